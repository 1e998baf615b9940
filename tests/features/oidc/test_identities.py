"""Linking and unlinking identities, and their life with the account."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.core.events import IdentityLinked, IdentityUnlinked
from flask_accounts.core.mail import MailRoom
from flask_accounts.features.magic_link import MagicLink
from flask_accounts.features.oidc import Provider
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of

from .provider import Idp
from .tools import ANN, IDENTITIES, arrive, exchange, link, outcome, sign_in
from .tools import idp as idp
from .tools import make_site as make_site
from .tools import other as other
from .tools import site as site

BEN = "ben@example.com"


def linked(site: Site, idp: Idp, **claims: Any) -> Any:
    """Ben's client, who has a password and the identity."""
    client = site.client_for(site.user(BEN, email_verified=True))
    assert link(client, idp, **claims).status_code == 201
    return client


def test_an_owner_links_an_identity_of_any_address_and_signs_in_by_it(site: Site, idp: Idp) -> None:
    with site.testing.recorded() as events:
        client = linked(site, idp, email_verified=False)

    (identity,) = client.get(IDENTITIES).get_json()["identities"]
    assert (identity["provider"], identity["email"]) == ("idp", ANN)
    assert [event.way for event in events if isinstance(event, IdentityLinked)] == ["explicit"]
    assert site.testing.outbox[-1].to == BEN
    assert sign_in(site.client, idp, email_verified=False).get_json()["user"]["email"] == BEN


def test_linking_twice_is_no_error(site: Site, idp: Idp) -> None:
    client = linked(site, idp)

    assert link(client, idp).status_code == 201
    assert len(client.get(IDENTITIES).get_json()["identities"]) == 1


def test_an_identity_of_another_account_is_not_taken_from_it(site: Site, idp: Idp) -> None:
    linked(site, idp)
    other = site.client_for(site.user("eve@example.com"))

    assert outcome(link(other, idp)) == (409, "IDENTITY_TAKEN")


def test_an_owner_unlinks_an_identity_and_is_told(site: Site, idp: Idp) -> None:
    client = linked(site, idp)
    (identity,) = client.get(IDENTITIES).get_json()["identities"]
    site.testing.outbox.clear()

    with site.testing.recorded() as events:
        assert client.delete(f"{IDENTITIES}/{identity['id']}").status_code == 204

    assert [event.provider for event in events if isinstance(event, IdentityUnlinked)] == ["idp"]
    assert "removed" in site.testing.outbox[-1].text
    assert client.get(IDENTITIES).get_json() == {"identities": []}
    assert outcome(client.delete(f"{IDENTITIES}/{identity['id']}")) == (404, "NOT_FOUND")
    assert client.delete(f"{IDENTITIES}/nonsense").status_code == 404


def test_the_last_way_in_stays(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    site = make_site(providers=[Provider("second", other.issuer)])
    token = sign_in(site.client, idp).get_json()["access_token"]
    client = site.client
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    (identity,) = client.get(IDENTITIES).get_json()["identities"]

    assert outcome(client.delete(f"{IDENTITIES}/{identity['id']}")) == (409, "LAST_WAY_IN")

    other.now = idp.now
    assert link(client, other, "second").status_code == 201
    assert client.delete(f"{IDENTITIES}/{identity['id']}").status_code == 204
    (left,) = client.get(IDENTITIES).get_json()["identities"]
    assert outcome(client.delete(f"{IDENTITIES}/{left['id']}")) == (409, "LAST_WAY_IN")
    with site.app.app_context():
        site.accounts.passwords.set(site.accounts.users.find(email=ANN), PASSWORD)
        site.db.session.commit()
    token = site.tokens(ANN)["access_token"]
    assert client.delete(f"{IDENTITIES}/{left['id']}", headers=bearer(token)).status_code == 204


def test_an_identity_of_a_provider_that_is_gone_is_no_way_in(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    before = make_site(providers=[Provider("second", other.issuer)])
    other.now = idp.now
    token = sign_in(before.client, idp).get_json()["access_token"]
    client = before.client
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert link(client, other, "second").status_code == 201

    site = make_site()
    site.testing.clock.move(before.testing.clock.now() - site.testing.clock.now())
    found = site.client.get(IDENTITIES, headers=bearer(token)).get_json()["identities"]
    first = next(identity["id"] for identity in found if identity["provider"] == "idp")

    assert outcome(site.client.delete(f"{IDENTITIES}/{first}", headers=bearer(token))) == (409, "LAST_WAY_IN")


def test_mail_is_a_way_in_where_people_sign_in_by_it(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(features=[MagicLink()])
    token = sign_in(site.client, idp).get_json()["access_token"]
    (identity,) = site.client.get(IDENTITIES, headers=bearer(token)).get_json()["identities"]

    assert site.client.delete(f"{IDENTITIES}/{identity['id']}", headers=bearer(token)).status_code == 204


def test_a_password_that_was_removed_is_a_way_in_only_where_mail_can_bring_it_back(
    site: Site, idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_mail:
        without_mail.setattr(MailRoom, "available", False)
        site.user("nomail@example.com")
        token = sign_in(site.client, idp, sub="nomail", email="nomail@example.com").get_json()["access_token"]
        (identity,) = site.client.get(IDENTITIES, headers=bearer(token)).get_json()["identities"]
        assert outcome(site.client.delete(f"{IDENTITIES}/{identity['id']}", headers=bearer(token))) == (409, "LAST_WAY_IN")

    site.user(ANN)  # whose address nobody has proved: the password goes at the first sign-in
    token = sign_in(site.client, idp).get_json()["access_token"]
    (identity,) = site.client.get(IDENTITIES, headers=bearer(token)).get_json()["identities"]

    assert site.client.delete(f"{IDENTITIES}/{identity['id']}", headers=bearer(token)).status_code == 204
    site.testing.outbox.clear()
    site.client.post("/api/auth/password/forgot", json={"email": ANN})
    assert [mail.kind for mail in site.testing.outbox] == ["reset_password"]


def test_an_administrator_sees_a_users_identities(site: Site, idp: Idp) -> None:
    linked(site, idp)
    user = site.accounts.User
    with site.app.app_context():
        key = site.db.session.query(user).filter_by(email=BEN).one().id

    shown = site.client_for(site.admin()).get(f"/api/users/{key}/identities").get_json()["identities"]

    assert [identity["provider"] for identity in shown] == ["idp"]
    assert site.client_for(site.user("eve@example.com")).get(f"/api/users/{key}/identities").status_code == 403


def test_identities_are_exported_and_erased(site: Site, idp: Idp) -> None:
    client = linked(site, idp)

    exported = client.get("/api/auth/me/export").get_json()["oidc"]
    assert [(each["issuer"], each["subject"], each["email"]) for each in exported] == [(idp.issuer, "person-1", ANN)]

    with site.app.app_context():
        site.accounts.users.delete(site.accounts.users.find(email=BEN))
        site.db.session.commit()
        assert site.accounts.identities.find(idp.issuer, "person-1") is None
    assert sign_in(site.client, idp, sub="person-1").get_json()["user"]["email"] == ANN, "a new account"


def test_a_link_that_was_begun_is_no_sign_in_and_the_other_way_round(site: Site, idp: Idp) -> None:
    client = site.client_for(site.user(BEN))

    assert outcome(exchange(client, arrive(client, idp, link=True))) == (400, "ONE_TIME_TOKEN_INVALID")
    assert outcome(client.post(IDENTITIES, json={"code": arrive(client, idp)})) == (400, "ONE_TIME_TOKEN_INVALID")


@pytest.mark.requirement("ASVS 6.4.4", "ASVS 7.4.3")
def test_taking_the_address_back_unlinks_what_was_linked_since(site: Site, idp: Idp) -> None:
    client = linked(site, idp)
    site.testing.clock.move(minutes=1)
    assert client.post("/api/auth/email/change", json={"email": "evil@example.com"}).status_code == 202
    asked = next(mail for mail in reversed(site.testing.outbox) if mail.kind == "change_email")
    assert site.client.post("/api/auth/email/change/confirm", json={"token": token_of(asked.text)}).status_code == 204
    told = next(mail for mail in reversed(site.testing.outbox) if mail.kind == "email_changed")
    assert link(client, idp, sub="the hijacker", email="evil@example.com").status_code == 201
    assert len(client.get(IDENTITIES).get_json()["identities"]) == 2

    with site.testing.recorded() as events:
        assert site.client.post("/api/auth/email/change/undo", json={"token": token_of(told.text)}).status_code == 204

    assert [event.user_id for event in events if isinstance(event, IdentityUnlinked)] == [events[0].user_id]
    with site.app.app_context():
        (kept,) = site.accounts.identities.of(site.accounts.users.find(email=BEN))
    assert kept.subject != "the hijacker", "the owner's own stays"
    assert sign_in(site.client, idp).get_json()["user"]["email"] == BEN
