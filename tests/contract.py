"""A site's OpenAPI document held against its answers, and walks through every operation, well and badly."""

from __future__ import annotations

import re
from typing import Any

from jsonschema.validators import Draft202012Validator
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from flask_accounts.core.errors import FieldProblem
from flask_accounts.testing import PASSWORD
from tests.conftest import Site, bearer

NEW = "a rather different horse"


class Contract:
    """A site's document, and the check of an answer against it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.met: set[tuple[str, str, int]] = set()

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        # A path without variables goes before one that has some, as in Flask's own map.
        for template, operations in sorted(self.document["paths"].items(), key=lambda item: item[0].count("{")):
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method in operations:
                return template, operations[method]
        raise AssertionError(f"{method} {path} is not in the document")

    def check(self, answer: TestResponse) -> None:
        """Raise unless the document allows this answer."""
        method, path = answer.request.method.lower(), answer.request.path.rstrip("/")
        template, operation = self.operation(method, path)
        said = operation["responses"].get(str(answer.status_code))
        assert said is not None, f"{method} {template}: {answer.status_code} is not documented"
        self.met.add((method, template, answer.status_code))
        for name in said.get("headers", {}):
            assert name in answer.headers
        if "content" not in said:
            assert answer.data == b""
            assert "Content-Type" not in answer.headers
            return
        assert answer.mimetype in said["content"]
        schema = said["content"][answer.mimetype]["schema"] | {"components": self.document["components"]}
        checker = Draft202012Validator.FORMAT_CHECKER
        Draft202012Validator(schema, format_checker=checker).validate(answer.get_json())

    @property
    def answers(self) -> set[tuple[str, str, int]]:
        """Every documented answer."""
        return {
            (method, path, int(status))
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
            for status in operation["responses"]
        }


def contract_of(site: Site, url: str = "/api/auth/openapi.json") -> Contract:
    answer = site.client.get(url)
    assert answer.status_code == 200
    document = answer.get_json()
    validate(document)
    return Contract(document)


def walk(site: Site, contract: Contract, *, auth: str = "/api/auth", users: str = "/api/users", **own: Any) -> None:
    """Go through every operation, well and badly. `own`: further members of a registration."""
    check, anybody = contract.check, site.client
    root = site.user("root@example.com", roles=["admin"], **own)
    admin = site.client_for(root)
    site.user("ben@example.com", username="ben", **own)

    def sign_in(email: str = "ann@example.com", password: str = PASSWORD) -> dict[str, str]:
        tokens = anybody.post(f"{auth}/login", json={"email": email, "password": password}).get_json()
        return {"access": tokens["access_token"], "refresh": tokens["refresh_token"]}

    # Signing up and in
    wanted = {"email": "ann@example.com", "username": "ann", "password": PASSWORD, **own}
    for body in (wanted, wanted, {**wanted, "email": "other@example.com"}, {"email": "nothing"}, {**wanted, "is_active": True}):
        check(anybody.post(f"{auth}/register", json=body))
    check(anybody.post(f"{auth}/register", data="{", content_type="application/json"))
    check(anybody.post(f"{auth}/register", data="email=x"))
    check(anybody.post(f"{auth}/register", data=b'"' + b"x" * 70_000 + b'"', content_type="application/json"))
    for body in ({"email": "ann@example.com", "password": PASSWORD}, {"username": "ann", "password": "no"}, {"password": "x"}):
        check(anybody.post(f"{auth}/login", json=body))
    # Nobody gets anywhere that asks for a sign-in
    for path, operations in contract.document["paths"].items():
        for method, operation in operations.items():
            if operation["security"] and {} not in operation["security"]:
                check(anybody.open(re.sub(r"{\w+}", "1", path), method=method.upper()))
    # The own account, and what is wrong with a token
    token = sign_in()["access"]
    for header in ({}, bearer(token), bearer("nonsense"), bearer(sign_in()["refresh"]), {"Authorization": "Bearer"}):
        check(anybody.get(f"{auth}/me", headers=header))
    for body in ({"username": "anna"}, {"username": "ben"}, {"email": "ben@example.com"}, {"id": 5}, {"username": None}):
        check(anybody.patch(f"{auth}/me", json=body, headers=bearer(token)))
    check(anybody.post(f"{auth}/reauthenticate", json={"password": PASSWORD}, headers=bearer(token)))
    check(anybody.post(f"{auth}/reauthenticate", json={"password": "no"}, headers=bearer(token)))
    check(anybody.post(f"{auth}/reauthenticate", json={}, headers=bearer(token)))
    for body in ({"current_password": "no", "new_password": NEW}, {"current_password": NEW, "new_password": NEW}):
        check(anybody.post(f"{auth}/password/change", json=body, headers=bearer(token)))
    # Sessions
    check(anybody.get(f"{auth}/sessions", headers=bearer(token)))
    other = sign_in()
    sessions = anybody.get(f"{auth}/sessions", headers=bearer(token)).get_json()["sessions"]
    ended = next(session["id"] for session in sessions if not session["current"])
    check(anybody.delete(f"{auth}/sessions/{ended}", headers=bearer(token)))
    check(anybody.delete(f"{auth}/sessions/{ended}", headers=bearer(token)))
    check(anybody.delete(f"{auth}/sessions", headers=bearer(token)))
    check(anybody.get(f"{auth}/sessions", headers=bearer(other["access"])))
    check(anybody.post(f"{auth}/refresh", headers=bearer(other["refresh"])))
    tokens = sign_in()
    check(anybody.post(f"{auth}/refresh", headers=bearer(tokens["refresh"])))
    check(anybody.post(f"{auth}/refresh"))
    check(anybody.post(f"{auth}/refresh", json={"refresh_token": 5}))
    check(anybody.post(f"{auth}/logout", json={"refresh_token": sign_in()["refresh"]}))
    check(anybody.delete(f"{auth}/logout", headers=bearer(sign_in()["access"])))
    check(anybody.delete(f"{auth}/logout"))
    check(anybody.post(f"{auth}/logout"))
    # Administration
    for query in (
        "",
        "?cursor=",
        "?per_page=0",
        "?search=a&role=admin&is_active=true&sort=-email&created_after=2020-01-01T00:00:00Z",
    ):
        check(admin.get(f"{users}{query}"))
    check(anybody.get(users))
    check(anybody.get(users, headers=bearer(token)))
    made = admin.post(users, json={**wanted, "email": "cat@example.com", "username": "cat", "roles": ["admin"], "is_active": False})
    check(made)
    check(anybody.post(users, json={**wanted, "email": "dan@example.com", "username": "dan"}))
    check(anybody.post(users, json={**wanted, "email": "eve@example.com", "roles": ["admin"]}))
    check(anybody.post(users, json=wanted))
    check(anybody.post(users, json=wanted, headers=bearer("nonsense")))
    cat = f"{users}/{made.get_json()['id']}"
    check(anybody.post(f"{auth}/login", json={"email": "cat@example.com", "password": PASSWORD}))
    for client, headers in ((admin, {}), (anybody, bearer(token)), (anybody, {})):
        check(client.get(cat, headers=headers))
        check(client.patch(cat, json={"email_verified": True}, headers=headers))
        check(client.put(cat, json={"email": "cat@example.com", "username": "kat", **own}, headers=headers))
        check(client.post(f"{cat}/enable", headers=headers))
        check(client.post(f"{cat}/disable", json={"reason": "spam"}, headers=headers))
        check(client.get(f"{cat}/standing", headers=headers))
        check(client.get(f"{cat}/sessions", headers=headers))
        check(client.delete(f"{cat}/sessions", headers=headers))
        check(client.put(f"{cat}/roles", json={"roles": []}, headers=headers))
        check(client.get(f"{users}/roles", headers=headers))
        check(client.post(f"{users}/roles", json={"name": "helper", "permissions": ["users:read"]}, headers=headers))
        check(client.post(f"{users}/roles", json={"name": "Not a name"}, headers=headers))
        check(client.patch(f"{users}/roles/helper", json={"description": "Helps."}, headers=headers))
        check(client.patch(f"{users}/roles/admin", json={"permissions": []}, headers=headers))
        check(client.delete(f"{users}/roles/nobody", headers=headers))
    check(admin.post(f"{users}/roles", json={"name": "helper"}))
    check(admin.put(f"{cat}/roles", json={"roles": ["nobody"]}))
    check(admin.put(cat, json={"username": "kat"}))
    check(admin.patch(cat, json={"email": "ben@example.com"}))
    check(admin.put(cat, json={"email": "ben@example.com", "username": "kat", **own}))
    check(admin.delete(f"{users}/roles/helper"))
    check(admin.delete(f"{users}/roles/admin"))
    # What is not there, and what no schema fits
    for path in ("", "/enable", "/disable", "/sessions", "/standing"):
        method = "POST" if path.endswith("able") else "GET"
        check(admin.open(f"{users}/0{path}", method=method))
    for method, path in (("PUT", "/0/roles"), ("PUT", "/0"), ("PATCH", "/0"), ("DELETE", "/0"), ("DELETE", "/0/sessions")):
        body = {"roles": []} if path.endswith("roles") else {"email": "x@example.com", "username": "x1", **own}
        check(admin.open(f"{users}{path}", method=method, json=body))
    check(admin.patch(f"{users}/roles/nobody", json={"description": "None."}))
    for method, path in (("PATCH", "/roles/helper"), ("PATCH", "/0"), ("PUT", "/0"), ("POST", "/0/disable"), ("PUT", "/0/roles")):
        check(admin.open(f"{users}{path}", method=method, json={"unknown": 1}))
    check(anybody.post(f"{auth}/logout", json={"unknown": 1}))
    # An administrator of lesser power does not touch one of more
    lesser = site.client_for(site.user("lesser@example.com", permissions=["users:read", "users:write", "roles:write"], **own))
    power = f"{users}/{admin.get(f'{auth}/me').get_json()['id']}"
    check(lesser.patch(power, json={"username": "nobody"}))
    check(lesser.put(power, json={"email": "nobody@example.com", "username": "nobody", **own}))
    check(lesser.delete(power))
    check(lesser.put(f"{power}/roles", json={"roles": []}))
    check(lesser.post(f"{users}/roles", json={"name": "mighty", "permissions": ["*"]}))
    check(lesser.post(users, json={**wanted, "email": "flo@example.com", "username": "flo", "roles": ["admin"]}))
    check(lesser.patch(f"{users}/roles/admin", json={"description": "Weak."}))
    check(lesser.delete(f"{users}/roles/helper"))
    for path in ("disable", "enable"):
        check(lesser.post(f"{power}/{path}"))
    root_url = f"{users}/{admin.get(f'{auth}/me').get_json()['id']}"
    check(admin.put(f"{root_url}/roles", json={"roles": []}))
    check(admin.post(f"{root_url}/disable"))
    check(admin.patch(root_url, json={"is_active": False}))
    check(admin.delete(root_url))
    check(admin.delete(f"{auth}/me"))
    check(admin.delete(cat))
    check(admin.delete(cat))
    check(anybody.post(f"{auth}/password/change", json={"current_password": PASSWORD, "new_password": NEW}, headers=bearer(token)))
    token = sign_in(password=NEW)["access"]
    site.testing.clock.move(minutes=15)
    check(anybody.get(f"{auth}/me", headers=bearer(token)))
    token = anybody.post(f"{auth}/refresh", headers=bearer(sign_in(password=NEW)["refresh"])).get_json()["access_token"]
    check(anybody.delete(f"{auth}/me", headers=bearer(token)))


def token_of(text: str) -> str:
    """The token in a mail: what follows `token=`, or else the one line that looks like one."""
    found = re.search(r"token=([\w-]{43})", text) or re.search(r"^([\w-]{43})$", text, re.MULTILINE)
    assert found, text
    return found[1]


def walk_life(site: Site, contract: Contract) -> None:
    """The life of accounts: proofs by mail, recovery, what happened, unlocking, sign-ins of more than one step."""
    check, anybody, outbox = contract.check, site.client, site.testing.outbox
    auth, users = "/api/auth", "/api/users"
    admin = site.client_for(site.user("root2@example.com", roles=["admin"]))
    lesser = site.client_for(site.user("lesser2@example.com", permissions=["users:read", "users:write"]))
    ordinary = site.client_for(site.user("gil@example.com"))
    power = f"{users}/{admin.get(f'{auth}/me').get_json()['id']}"
    gil = f"{users}/{ordinary.get(f'{auth}/me').get_json()['id']}"

    # Proofs by mail
    check(anybody.post(f"{auth}/email/verify/resend", json={"email": "gil@example.com"}))
    check(anybody.post(f"{auth}/email/verify/resend", json={}))
    token = token_of(outbox[-1].text)
    for body in ({"token": token}, {"token": token}, {"email": "gil@example.com"}):
        check(anybody.post(f"{auth}/email/verify", json=body))
    check(anybody.post(f"{auth}/password/forgot", json={"email": "gil@example.com"}))
    check(anybody.post(f"{auth}/password/forgot", json={"email": 5}))
    token = token_of(outbox[-1].text)
    for body in ({"token": token, "new_password": NEW}, {"token": token, "new_password": NEW}, {"token": token}):
        check(anybody.post(f"{auth}/password/reset", json=body))
    for email in ("gil@example.com", 5):
        check(anybody.post(f"{auth}/unlock/request", json={"email": email}))
    token = token_of(outbox[-1].text)
    for unlocking in (token, token, 5):
        check(anybody.post(f"{auth}/unlock", json={"token": unlocking}))
    ordinary = site.client_for(site.user("hal@example.com"))
    walk_change_of_address(site, contract)
    # What is stored
    check(ordinary.get(f"{auth}/me/export"))
    # What happened
    for query in ("", "?cursor=", "?event=session.opened&outcome=success&per_page=1", "?per_page=0"):
        check(ordinary.get(f"{auth}/me/events{query}"))
        check(admin.get(f"{users}/events{query}"))
        check(admin.get(f"{gil}/events{query}"))
    for path in (f"{users}/events", f"{gil}/events"):
        check(ordinary.get(path))
        check(anybody.get(path))
    check(admin.get(f"{users}/no-key/events"))
    # What administrators do about it
    for act in ("unlock", "password-reset", "email/verify/resend"):
        check(admin.post(f"{gil}/{act}"))
        check(ordinary.post(f"{gil}/{act}"))
        check(lesser.post(f"{power}/{act}"))
        check(admin.post(f"{users}/0/{act}"))
    # A password that the policy refuses by now
    runtime = site.testing.runtime
    before = runtime.password_checks
    problem = FieldProblem("password", "password_old", "Too old.")
    runtime.password_checks = (*before, lambda password, context: problem if password == PASSWORD else None)
    asked = site.login("hal@example.com")
    check(asked)
    step = {"challenge_token": asked.get_json()["challenge_token"], "method": "password_change"}
    check(anybody.post(f"{auth}/challenge", json=step))
    check(anybody.post(f"{auth}/challenge", json=step | {"new_password": NEW}))
    check(anybody.post(f"{auth}/challenge", json=step | {"new_password": NEW}))
    runtime.password_checks = before


def walk_change_of_address(site: Site, contract: Contract) -> None:
    """Asking for another address, proving it, and taking the account back."""
    check, anybody, outbox, url = contract.check, site.client, site.testing.outbox, "/api/auth/email/change"
    person = site.user("lea@example.com", email_verified=True)
    client = site.client_for(person)

    def asked(email: str) -> str:
        check(client.post(url, json={"email": email}))
        return token_of(next(mail.text for mail in reversed(outbox) if mail.kind == "change_email"))

    check(client.post(url, json={"email": "lea@example.com"}))
    token = asked("lea@new.example.com")
    check(anybody.post(f"{url}/confirm", json={"code": "12345678"}))
    check(anybody.post(f"{url}/confirm", json={"token": token, "code": "12345678"}))
    taken = site.user("lea@new.example.com")
    check(anybody.post(f"{url}/confirm", json={"token": token}))
    check(site.client_for(site.admin("root4@example.com")).delete(f"/api/users/{taken.id}"))
    check(anybody.post(f"{url}/confirm", json={"token": token}))
    undo = token_of(next(mail.text for mail in reversed(outbox) if mail.kind == "email_changed"))
    site.user("lea@example.com")
    for body in ({"token": undo}, {"token": "x"}):
        check(anybody.post(f"{url}/undo", json=body))
    check(client.patch("/api/auth/me", json={"email": "lea@third.example.com"}))
    undone = site.client_for(site.user("moe@example.com", email_verified=True))
    undone.post(url, json={"email": "moe@new.example.com"})
    check(anybody.post(f"{url}/confirm", json={"token": token_of(outbox[-2].text)}))
    check(anybody.post(f"{url}/undo", json={"token": token_of(outbox[-1].text)}))


def walk_invitations(site: Site, contract: Contract) -> None:
    """Inviting, seeing, sending again, withdrawing and accepting; after `walk`, whose people are there."""
    check, anybody = contract.check, site.client
    auth, users = "/api/auth", "/api/users"
    admin = site.client_for(site.user("root3@example.com", roles=["admin"]))
    ordinary = site.client_for(site.user("ivy@example.com"))
    wanted = {"email": "jim@example.com", "username": "jim", "password": PASSWORD}
    sent = [admin.post(f"{users}/invitations", json={"email": f"{name}@example.com"}) for name in ("kim", "ida", "jim")]
    ids = [answer.get_json()["id"] for answer in sent]
    check(sent[0])
    secrets = [token_of(mail.text) for mail in site.testing.outbox[-2:]]
    check(anybody.post(f"{auth}/register", json=wanted))
    for client in (admin, ordinary, anybody):
        for email in ("ida@example.com", "ben@example.com", "nothing"):
            check(client.post(f"{users}/invitations", json={"email": email}))
        for query in ("", "?cursor=&status=open", "?cursor=x"):
            check(client.get(f"{users}/invitations{query}"))
        for name in (ids[2], "nothing"):
            check(client.get(f"{users}/invitations/{name}"))
            check(client.post(f"{users}/invitations/{name}/resend"))
        check(client.delete(f"{users}/invitations/nothing"))
    for secret in (secrets[1], secrets[0], "x", 5):
        check(anybody.post(f"{auth}/invitations/look", json={"token": secret}))
        for body in ({"username": "ben"}, {"email": "eve@example.com"}, {"username": "ida"}):
            check(anybody.post(f"{auth}/invitations/accept", json={"token": secret, "password": NEW, **body}))
    check(admin.post(f"{users}/invitations/{ids[0]}/resend"))
    check(admin.delete(f"{users}/invitations/{ids[0]}"))


def walk_mfa(site: Site, contract: Contract) -> None:
    """Second factors: set up, asked for, remembered, demanded and taken away."""
    from tests.features.mfa.tools import Phone, phone_of, with_token

    check, anybody, mfa = contract.check, site.client, "/api/auth/mfa"
    admin = site.client_for(site.user("root5@example.com", roles=["admin"]))
    lesser = site.client_for(site.user("lesser5@example.com", permissions=["users:write"]))
    site.user("nia@example.com", email_verified=True)
    nia = with_token(site, site.tokens("nia@example.com")["access_token"])
    unproved = site.client_for(site.user("uma@example.com"))

    def begun(answer: TestResponse) -> Phone:
        check(answer)
        return phone_of(site, answer)

    for path in ("", "/recovery-codes", "/devices"):
        check(nia.open(mfa + path, method="GET" if path == "" else "POST"))
    for client in (unproved, nia):
        check(client.post(f"{mfa}/totp"))
        check(client.post(f"{mfa}/totp/confirm", json={"code": "none"}))
        check(client.delete(f"{mfa}/totp"))
    phone = begun(nia.post(f"{mfa}/totp"))
    check(nia.post(f"{mfa}/totp/confirm", json={"code": phone.code()}))
    check(nia.post(f"{mfa}/recovery-codes"))
    for _ in range(2):
        check(nia.post(f"{mfa}/devices"))
    listed = nia.get(f"{mfa}/devices")
    check(listed)
    for name in (listed.get_json()["devices"][0]["id"], "nothing"):
        check(nia.delete(f"{mfa}/devices/{name}"))
    check(nia.delete(f"{mfa}/devices"))
    check(nia.get(mfa))
    check(nia.post("/api/auth/reauthenticate", json={"password": PASSWORD}))
    check(nia.post("/api/auth/reauthenticate", json={"method": "totp", "code": phone.next()}))
    asked = site.login("nia@example.com")
    check(asked)
    step = {"challenge_token": asked.get_json()["challenge_token"], "method": "totp"}
    for code in ("no code", phone.next()):
        check(anybody.post("/api/auth/challenge", json=step | {"code": code}))
    check(nia.delete(f"{mfa}/totp"))
    # Demanded
    site.user("sue@example.com", email_verified=True, roles=["strict"])
    sue_id = site.user("tom@example.com", roles=["strict"]).id
    tokens = [site.login(f"{name}@example.com").get_json()["challenge_token"] for name in ("tom", "sue")]
    for token in ("x", 5, tokens[0]):
        check(anybody.post("/api/auth/challenge/totp", json={"challenge_token": token}))
    phone = begun(anybody.post("/api/auth/challenge/totp", json={"challenge_token": tokens[1]}))
    step = {"challenge_token": tokens[1], "method": "totp_enrolment", "code": phone.code()}
    done = anybody.post("/api/auth/challenge", json=step)
    check(done)
    sue = with_token(site, done.get_json()["access_token"])
    check(sue.delete(f"{mfa}/totp"))
    # An administrator helps
    power = admin.get("/api/auth/me").get_json()["id"]
    for client, of in ((admin, sue_id), (lesser, power), (unproved, sue_id), (anybody, sue_id), (admin, 0)):
        check(client.delete(f"/api/users/{of}/mfa"))
