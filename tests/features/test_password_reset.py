"""Password reset: mailed, single use, telling nothing, ending every session."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flask_accounts import Message
from flask_accounts.features.users.service import UserService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.opted_in import make_site as make_site
from tests.opted_in import site as site

NEW = "quite another good password"


@pytest.fixture(autouse=True)
def _ann(site: Site) -> None:
    site.user("ann@example.com", email_verified=True)
    site.testing.outbox.clear()


def forgot(site: Site, email: str = "ann@example.com", **kwargs: Any) -> Any:
    return site.client.post("/api/auth/password/forgot", json={"email": email}, **kwargs)


def reset(site: Site, token: str, password: str = NEW) -> Any:
    return site.client.post("/api/auth/password/reset", json={"token": token, "new_password": password})


def token_in(message: Message) -> str:
    found = re.search(r"[A-Za-z0-9_-]{43}", message.text)
    assert found
    return found[0]


def asked(site: Site) -> str:
    assert forgot(site).status_code == 202
    return token_in(site.testing.outbox[-1])


def test_the_owner_sets_a_new_password_and_every_session_ends(site: Site) -> None:
    tokens = site.tokens("ann@example.com")

    answer = reset(site, asked(site))

    assert (answer.status_code, answer.data) == (204, b"")
    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 401
    assert site.client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert site.login("ann@example.com").status_code == 401
    assert site.login("ann@example.com", NEW).status_code == 200


@pytest.mark.requirement("OWASP-FP 5")
def test_a_reset_tells_the_owner_and_signs_nobody_in(site: Site) -> None:
    answer = reset(site, asked(site))

    assert [mail.kind for mail in site.testing.outbox] == ["reset_password", "password_changed"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.requirement("ASVS 6.3.8")
@pytest.mark.requirement("OWASP-FP 2")
def test_the_answer_is_one_and_the_same_for_every_address(site: Site) -> None:
    site.user("off@example.com", is_active=False)
    site.testing.outbox.clear()
    addresses = ("ann@example.com", "nobody@example.com", "off@example.com", "not an address", "ﷺ" * 100)
    answers, costs = [], []
    for address in addresses:
        site.statements.clear()
        answers.append(forgot(site, address))
        costs.append([text.split()[0] for text in site.statements])

    assert {(answer.status_code, answer.text, str(answer.headers)) for answer in answers} == {
        (202, answers[0].text, str(answers[0].headers))
    }
    assert all(cost == costs[0] for cost in costs), "known and unknown addresses cost alike"
    assert [mail.to for mail in site.testing.outbox] == ["ann@example.com"]


@pytest.mark.requirement("OWASP-FP 4")
def test_a_token_works_once(site: Site) -> None:
    token = asked(site)

    assert reset(site, token).status_code == 204
    again = reset(site, token, "a third good password")

    assert (again.status_code, again.get_json()["code"]) == (400, "ONE_TIME_TOKEN_INVALID")
    assert site.login("ann@example.com", NEW).status_code == 200


@pytest.mark.requirement("OWASP-FP 4")
def test_a_password_that_the_policy_refuses_does_not_burn_the_token(site: Site) -> None:
    token = asked(site)

    for unfit in ("short", "password1", "ann@example.com"):
        assert reset(site, token, unfit).get_json()["code"] == "VALIDATION_ERROR"

    assert reset(site, token).status_code == 204


@pytest.mark.requirement("OWASP-FP 4")
def test_a_newer_request_voids_the_older_token(site: Site) -> None:
    old, new = asked(site), asked(site)

    assert reset(site, old).status_code == 400
    assert reset(site, new).status_code == 204


@pytest.mark.requirement("OWASP-FP 4")
def test_changing_the_password_or_the_address_voids_the_token(site: Site) -> None:
    by_password = asked(site)
    tokens = site.tokens("ann@example.com")
    body = {"current_password": PASSWORD, "new_password": NEW}
    site.client.post("/api/auth/password/change", json=body, headers=bearer(tokens["access_token"]))
    by_address = asked(site)
    with site.app.app_context():
        runtime = site.testing.runtime
        runtime.get(UserService).update(runtime.users.by_email("ann@example.com"), {"email": "ann@new.example.com"})
        runtime.commit()

    assert reset(site, by_password, "a third good password").status_code == 400
    assert reset(site, by_address, "a third good password").status_code == 400


@pytest.mark.requirement("OWASP-FP 4")
def test_a_token_expires(site: Site) -> None:
    token = asked(site)
    site.testing.clock.move(timedelta(minutes=30))

    assert reset(site, token).status_code == 400


@pytest.mark.requirement("OWASP-FP 4")
def test_a_stolen_database_does_not_hold_the_token(site: Site) -> None:
    token = asked(site)

    with site.app.app_context():
        dump = str([tuple(row) for row in site.db.session.execute(sa.text("SELECT * FROM accounts_one_time_tokens"))])

    assert token not in dump


@pytest.mark.requirement("OWASP-FP 6")
def test_asking_changes_nothing(site: Site) -> None:
    tokens = site.tokens("ann@example.com")

    for _ in range(3):
        forgot(site)

    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 200
    assert site.login("ann@example.com").status_code == 200


@pytest.mark.requirement("OWASP-EV 4")
@pytest.mark.parametrize("typed", ["ANN@example.com", " ann@example.com", "ａｎｎ@example.com"])
def test_mail_goes_to_the_stored_address(site: Site, typed: str) -> None:
    forgot(site, typed)

    assert [mail.to for mail in site.testing.outbox] == ["ann@example.com"]


@pytest.mark.requirement("OWASP-EV 4")
def test_a_look_alike_address_gets_no_mail(site: Site) -> None:
    site.user("mike@example.com")
    site.testing.outbox.clear()

    forgot(site, "mıke@example.com")

    assert site.testing.outbox == []


@pytest.mark.requirement("ASVS 7.4.2")
def test_a_disabled_account_is_not_recovered(site: Site) -> None:
    token = asked(site)
    boss = site.admin()
    ann = site.login("ann@example.com").get_json()["user"]["id"]
    site.client_for(boss).post(f"/api/users/{ann}/disable")

    assert reset(site, token).status_code == 400


@pytest.mark.requirement("ASVS 6.6.2")
def test_a_verification_token_resets_nothing(site: Site) -> None:
    site.user("bob@example.com")
    token = token_in(site.testing.outbox[-1])

    assert reset(site, token).status_code == 400


def test_an_account_without_a_password_sets_one_only_if_the_host_allows(make_site: MakeSite) -> None:
    for allowed in (False, True):
        site = make_site(config={"ACCOUNTS_PASSWORD_RESET_WITHOUT_PASSWORD": allowed})
        site.user(f"oidc{allowed}@example.com".lower(), password=None, email_verified=True)
        site.testing.outbox.clear()

        forgot(site, f"oidc{allowed}@example.com")

        assert len(site.testing.outbox) == int(allowed)


def test_an_unknown_address_is_told_by_mail_only_if_the_host_asks(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSWORD_RESET_TELL_UNKNOWN": True})

    forgot(site, "nobody@example.com")

    assert [(mail.kind, mail.to) for mail in site.testing.outbox] == [("no_account", "nobody@example.com")]


def test_a_reset_proves_the_address_too(site: Site) -> None:
    site.user("bob@example.com")
    forgot(site, "bob@example.com")

    reset(site, token_in(site.testing.outbox[-1]))

    assert site.login("bob@example.com", NEW).get_json()["user"]["email_verified"] is True


@pytest.mark.requirement("ASVS 6.4.6")
def test_an_administrator_forces_a_reset_without_ever_knowing_a_password(site: Site) -> None:
    tokens = site.tokens("ann@example.com")
    boss = site.client_for(site.admin())
    site.testing.outbox.clear()

    answer = boss.post(f"/api/users/{tokens['user']['id']}/password-reset")

    assert (answer.status_code, answer.data) == (204, b"")
    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 401
    assert site.login("ann@example.com").status_code == 401
    mails = {mail.kind: mail for mail in site.testing.outbox}
    assert reset(site, token_in(mails["reset_password"])).status_code == 204
    assert site.login("ann@example.com", NEW).status_code == 200


@pytest.mark.requirement("ASVS 8.2.1")
def test_only_administrators_force_a_reset(site: Site) -> None:
    bob = site.client_for(site.user("bob@example.com"))
    ann = site.tokens("ann@example.com")["user"]["id"]

    assert bob.post(f"/api/users/{ann}/password-reset").status_code == 403
    assert site.client.post(f"/api/users/{ann}/password-reset").status_code == 401
