"""The list of passkeys: names, order, removal, the last way in, and what becomes of them with the account."""

from __future__ import annotations

from uuid import uuid4

import pytest

from flask_accounts.core.events import PasskeyRemoved
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of

from .authenticator import Authenticator
from .tools import ANN, AUTH, PASSKEYS, add, begin, owner, problem, register, sign_in, with_token


def test_a_passkey_is_renamed(site: Site) -> None:
    ann = owner(site)

    answer = ann.browser.patch(f"{PASSKEYS}/{ann.passkey['id']}", json={"name": " My phone "})

    assert (answer.status_code, answer.get_json()["name"]) == (200, "My phone")
    assert ann.browser.get(PASSKEYS).get_json()["passkeys"][0]["name"] == "My phone"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 65, None, 1])
def test_a_name_is_printable_and_short(site: Site, name: object) -> None:
    ann = owner(site)

    assert ann.browser.patch(f"{PASSKEYS}/{ann.passkey['id']}", json={"name": name}).status_code == 400


def test_passkeys_are_named_after_their_make_where_that_is_known(site: Site) -> None:
    ann = owner(site)

    added = add(ann.browser, Authenticator(aaguid=uuid4())).get_json()

    assert (added["name"], added["authenticator"]) == ("Passkey", "Passkey")


def test_the_browser_is_told_which_passkeys_there_are_so_that_it_makes_no_second_one(site: Site) -> None:
    ann = owner(site)

    options = begin(ann.browser)

    assert [each["id"] for each in options["excludeCredentials"]]
    assert options["user"]["name"] == ANN
    with pytest.raises(RuntimeError, match="InvalidStateError"):
        ann.device.make(options)


def test_an_account_has_one_user_handle_that_tells_nothing(site: Site) -> None:
    ann = owner(site)
    bob = owner(site, "bob@example.com")

    handles = {begin(ann.browser)["user"]["id"], begin(ann.browser)["user"]["id"]}

    assert len(handles) == 1
    assert len(ann.device.credentials[0].handle) == 64
    assert ann.device.credentials[0].handle != bob.device.credentials[0].handle


def test_no_more_than_a_number_of_passkeys(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_MAX_PER_USER": 1})
    ann = owner(site)

    assert problem(ann.browser.post(f"{PASSKEYS}/options")) == (409, "PASSKEY_LIMIT")


def test_removing_a_passkey_ends_other_sessions_and_is_told_of(site: Site) -> None:
    ann = owner(site)
    add(ann.browser, Authenticator(), name="Phone")
    elsewhere = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])
    site.testing.outbox.clear()

    with site.testing.recorded() as events:
        answer = ann.browser.delete(f"{PASSKEYS}/{ann.passkey['id']}")

    assert answer.status_code == 204
    assert [str(event.passkey_id) for event in events if isinstance(event, PasskeyRemoved)] == [ann.passkey["id"]]
    assert elsewhere.get(f"{AUTH}/me").status_code == 401
    assert ann.browser.get(f"{AUTH}/me").status_code == 200
    assert [mail.kind for mail in site.testing.outbox] == ["factor_changed"]
    assert problem(sign_in(site.client, ann.device)) == (401, "INVALID_CREDENTIALS")
    assert problem(ann.browser.delete(f"{PASSKEYS}/{ann.passkey['id']}")) == (404, "NOT_FOUND")


def test_with_the_last_passkey_the_password_alone_signs_in_again(site: Site) -> None:
    ann = owner(site)

    assert ann.browser.delete(f"{PASSKEYS}/{ann.passkey['id']}").status_code == 204

    assert site.login(ANN).status_code == 200
    assert ann.browser.get(f"{AUTH}/mfa").get_json()["recovery_codes"] == 0


def test_who_must_have_a_second_factor_keeps_the_last_one(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": ["admin"]})
    ann = owner(site)
    with site.app.app_context():
        site.accounts.roles.grant(ann.user.id, "admin")
        site.db.session.commit()

    answer = ann.browser.delete(f"{PASSKEYS}/{ann.passkey['id']}")

    assert problem(answer) == (409, "FACTOR_NEEDED")


def test_the_last_way_in_stays(make_site: MakeSite) -> None:
    from flask_accounts import default_features
    from flask_accounts.features.passkeys import Passkeys

    site = make_site(features=[*default_features(), Passkeys()], config={"ACCOUNTS_REGISTRATION_SIGN_IN": True})
    device = Authenticator()
    browser = site.client
    made = register(browser, device)
    assert made.status_code == 201, made.text
    headers = bearer(made.get_json()["access_token"])
    [passkey] = browser.get(PASSKEYS, headers=headers).get_json()["passkeys"]

    answer = browser.delete(f"{PASSKEYS}/{passkey['id']}", headers=headers)

    assert problem(answer) == (409, "LAST_WAY_IN")
    with site.app.app_context():
        user = site.accounts.users.find(email=ANN)
        site.accounts.passwords.set(user, "a long enough password")
        site.db.session.commit()
    again = bearer(sign_in(browser, device).get_json()["access_token"])
    assert browser.delete(f"{PASSKEYS}/{passkey['id']}", headers=again).status_code == 204


def test_passkeys_are_exported_without_keys_and_erased(site: Site) -> None:
    ann = owner(site)

    document = ann.browser.get(f"{AUTH}/me/export").get_json()["passkeys"]
    [exported] = document["passkeys"]
    assert len(document["user_handle"]) == 86  # 64 bytes
    assert set(exported) == {
        "credential_id",
        "name",
        "authenticator",
        "transports",
        "backed_up",
        "sign_count",
        "created_at",
        "last_used_at",
    }
    with site.app.app_context():
        site.accounts.users.delete(ann.user.id)
        site.db.session.commit()
        rows = [
            site.db.session.execute(site.db.text(f"select count(*) from {name}")).scalar()
            for name in ("accounts_passkeys", "accounts_passkey_handles")
        ]

    assert rows == [0, 0]
    assert problem(sign_in(site.client, ann.device)) == (401, "INVALID_CREDENTIALS")


def test_host_code_lists_renames_and_removes(site: Site) -> None:
    from flask_accounts.core.events import Client

    ann = owner(site)
    with site.app.app_context():
        [passkey] = site.accounts.passkeys.of(ann.user)
        assert site.accounts.passkeys.rename(ann.user, passkey.id, "Key").name == "Key"
        site.accounts.passkeys.remove(ann.user, passkey.id, Client())
        site.db.session.commit()
        assert site.accounts.passkeys.of(ann.user.id) == []


@pytest.mark.requirement("ASVS 6.3.3", "ASVS 6.4.4")
def test_taking_the_address_back_takes_the_passkeys_that_were_made_since_and_leaves_the_owners(site: Site) -> None:
    ann, thief = owner(site), Authenticator()
    site.testing.clock.move(minutes=1)
    assert ann.browser.post("/api/auth/email/change", json={"email": "evil@example.com"}).status_code == 202
    asked = next(mail for mail in site.testing.outbox if mail.kind == "change_email")
    assert site.client.post("/api/auth/email/change/confirm", json={"token": token_of(asked.text)}).status_code == 204
    told = next(mail for mail in site.testing.outbox if mail.kind == "email_changed")
    assert add(ann.browser, thief).status_code == 201

    assert site.client.post("/api/auth/email/change/undo", json={"token": token_of(told.text)}).status_code == 204

    assert sign_in(site.client, ann.device).status_code == 200
    assert sign_in(site.client, thief).status_code == 401
