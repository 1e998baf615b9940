"""E-mail verification: by link, by code, required or not, and registration that does not tell."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_accounts import Message
from flask_accounts.core.events import EmailVerified
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.opted_in import make_site as make_site
from tests.opted_in import site as site

BASE = "https://app.example.com/account"


@pytest.fixture
def required(make_site: MakeSite) -> Site:
    return make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required"})


def register(site: Site, email: str = "ann@example.com", **kwargs: Any) -> Any:
    return site.client.post("/api/auth/register", json={"email": email, "password": PASSWORD, **kwargs})


def verify(site: Site, **body: Any) -> int:
    return site.client.post("/api/auth/email/verify", json=body).status_code


def token_in(message: Message) -> str:
    found = re.search(r"[A-Za-z0-9_-]{43}", message.text)
    assert found
    return found[0]


def code_in(message: Message) -> str:
    found = re.search(r"\b\d{8}\b", message.text)
    assert found
    return found[0]


def test_a_new_address_is_asked_and_proved_by_the_link(site: Site) -> None:
    register(site)
    (mail,) = site.testing.outbox

    with site.testing.recorded() as events:
        assert verify(site, token=token_in(mail)) == 204

    assert mail.to == "ann@example.com"
    assert [type(event) for event in events] == [EmailVerified]
    assert site.login("ann@example.com").get_json()["user"]["email_verified"] is True


def test_the_code_proves_it_too_however_it_is_typed(site: Site) -> None:
    register(site)
    code = code_in(site.testing.outbox[0])

    assert verify(site, email="Ann@Example.com", code=f"{code[:4]} {code[4:]}") == 204


@pytest.mark.requirement("ASVS 6.4.1")
def test_link_and_code_work_once(site: Site) -> None:
    register(site)
    mail = site.testing.outbox[0]

    assert verify(site, token=token_in(mail)) == 204
    assert verify(site, token=token_in(mail)) == 400
    assert verify(site, email="ann@example.com", code=code_in(mail)) == 400


@pytest.mark.requirement("ASVS 6.6.3")
def test_guesses_at_the_code_are_counted_though_they_are_refused(site: Site) -> None:
    register(site)
    code = code_in(site.testing.outbox[0])
    wrong = f"{(int(code) + 1) % 10**8:08}"

    assert {verify(site, email="ann@example.com", code=wrong) for _ in range(5)} == {400}

    assert verify(site, email="ann@example.com", code=code) == 400


@pytest.mark.requirement("ASVS 6.6.2")
def test_an_old_link_does_not_prove_a_new_address(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_DIRECT": True})
    ann = site.user("ann@example.com")
    old = token_in(site.testing.outbox[-1])
    assert site.client_for(ann).patch("/api/auth/me", json={"email": "ann@new.example.com"}).status_code == 200
    mails = {mail.kind: mail for mail in site.testing.outbox}
    new = mails["verify_email"]

    assert verify(site, token=old) == 400
    assert (new.to, mails["email_changed"].to) == ("ann@new.example.com", "ann@example.com")
    assert verify(site, token=token_in(new)) == 204


@pytest.mark.requirement("ASVS 3.5.3")
def test_following_a_link_consumes_nothing(site: Site) -> None:
    register(site)
    token = token_in(site.testing.outbox[0])

    assert site.client.get(f"/api/auth/email/verify?token={token}").status_code == 405

    assert verify(site, token=token) == 204


def test_resending_voids_the_older_mail_and_says_the_same_to_everybody(site: Site) -> None:
    register(site)
    first = token_in(site.testing.outbox[0])

    answers = [
        site.client.post("/api/auth/email/verify/resend", json={"email": email})
        for email in ("ann@example.com", "nobody@example.com")
    ]

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert len(site.testing.outbox) == 2
    assert verify(site, token=first) == 400
    assert verify(site, token=token_in(site.testing.outbox[1])) == 204


@pytest.mark.requirement("ASVS 2.3.1")
def test_where_it_is_required_nobody_signs_in_before(required: Site) -> None:
    register(required)

    refused = required.login("ann@example.com")
    wrong = required.login("ann@example.com", "not the password at all")

    assert (refused.status_code, refused.get_json()["code"]) == (403, "EMAIL_NOT_VERIFIED")
    assert (wrong.status_code, wrong.get_json()["code"]) == (401, "INVALID_CREDENTIALS")
    assert verify(required, token=token_in(required.testing.outbox[0])) == 204
    assert required.login("ann@example.com").status_code == 200


@pytest.mark.requirement("ASVS 6.3.8")
@pytest.mark.parametrize("path", ["/api/auth/register", "/api/users"])
def test_registration_does_not_tell_which_addresses_are_known(required: Site, path: str) -> None:
    body = {"email": "ann@example.com", "password": PASSWORD}

    new = required.client.post(path, json=body)
    known = required.client.post(path, json=body | {"email": "ANN@example.com"})

    assert (new.status_code, new.text, dict(new.headers)) == (known.status_code, known.text, dict(known.headers))
    assert new.status_code == 202
    assert [mail.kind for mail in required.testing.outbox] == ["verify_email", "account_exists"]
    assert required.testing.outbox[1].to == "ann@example.com"


@pytest.mark.requirement("ASVS 6.3.8")
def test_registering_a_known_address_costs_as_many_hashes_as_a_new_one(required: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    inner = required.testing.runtime.hasher.inner
    plain = inner.hash

    def counted(password: str) -> str:
        hashed.append(password)
        return plain(password)

    monkeypatch.setattr(inner, "hash", counted)

    register(required)
    new = len(hashed)
    register(required)

    assert (new, len(hashed) - new) == (1, 1)


@pytest.mark.requirement("OWASP-EV 5")
def test_registering_a_known_address_changes_nothing_about_the_account(required: Site) -> None:
    required.user("ann@example.com", email_verified=True)

    required.client.post("/api/auth/register", json={"email": "ann@example.com", "password": "quite another password"})

    assert required.login("ann@example.com").status_code == 200
    assert required.login("ann@example.com", "quite another password").status_code == 401


def test_administrators_see_conflicts_as_ever(required: Site) -> None:
    boss = required.user("boss@example.com", roles=["admin"], email_verified=True)

    answer = required.client_for(boss).post("/api/users", json={"email": "boss@example.com", "password": PASSWORD})

    assert answer.status_code == 409


def test_switched_off_it_sends_nothing(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "off"})

    assert register(site).status_code == 201

    assert site.testing.outbox == []


@pytest.mark.requirement("OWASP-FP 3")
def test_host_header_poisoning_does_not_reach_a_link(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": BASE})
    evil = {
        "Host": "evil.example.com",
        "X-Forwarded-Host": "evil.example.com",
        "Forwarded": "host=evil.example.com",
        "Referer": "https://evil.example.com",
    }

    site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD}, headers=evil)

    (mail,) = site.testing.outbox
    assert f"{BASE}/verify-email#token=" in mail.text
    assert "evil" not in mail.text + (mail.html or "")


@pytest.mark.requirement("ASVS 1.3.7")
def test_an_address_is_never_run_as_a_template(site: Site) -> None:
    register(site, "{{7*191}}@example.com")

    (mail,) = site.testing.outbox
    assert "1337" not in mail.text + (mail.html or "")


def test_mail_is_written_in_the_language_asked_for(site: Site) -> None:
    site.client.post(
        "/api/auth/register",
        json={"email": "ann@example.com", "password": PASSWORD},
        headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"},
    )

    assert site.testing.outbox[0].subject == "Bestätigen Sie Ihre E-Mail-Adresse"


@pytest.mark.parametrize(
    "body", [{}, {"token": "x", "code": "1", "email": "a@b.example"}, {"code": "12345678"}, {"email": "a@example.com"}]
)
def test_half_a_proof_is_a_bad_request(site: Site, body: dict[str, str]) -> None:
    assert verify(site, **body) == 400


def test_a_verified_account_is_not_asked_again(site: Site) -> None:
    site.user("ann@example.com", email_verified=True)
    before = len(site.testing.outbox)

    site.client.post("/api/auth/email/verify/resend", json={"email": "ann@example.com"})

    assert len(site.testing.outbox) == before


def test_the_signed_in_stay_signed_in_while_unverified(site: Site) -> None:
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]

    assert site.client.get("/api/auth/me", headers=bearer(token)).get_json()["email_verified"] is False
