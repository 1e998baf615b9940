"""A provider's own tokens: kept only if the app asks, sealed, refreshed one at a time, and gone with their identity."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from flask_accounts import ConfigurationError, default_features
from flask_accounts.core.errors import NotFound, ProviderConsentRequired, ProviderUnavailable, ServiceUnavailable
from flask_accounts.features.oidc import GitHub, Google, Oidc, Provider, ProviderToken
from flask_accounts.features.oidc.client import Granted, ProviderClient
from flask_accounts.features.oidc.provider_tokens import ProviderTokens
from tests import conftest
from tests.conftest import MakeSite, Site, bearer

from .provider import Idp
from .tools import ANN, IDENTITIES, arrive, begin, exchange, just_now, link, oidc_config, sign_in, step_up
from .tools import idp as idp
from .tools import make_site as make_site

make_plain_site = conftest.make_site
OLD_KEY, NEW_KEY = "an-old-secret-of-thirty-two-bytes-or-more-0123", "a-new-secret-of-thirty-two-bytes-or-more-0123"
SCOPES = ("openid", "email", "calendar")


@pytest.fixture
def site(make_site: MakeSite, idp: Idp) -> Site:
    """An app that asks for the provider's tokens."""
    return keeping(make_site, idp)


def keeping(make_site: MakeSite, idp: Idp, *, config: dict[str, Any] | None = None, **kwargs: Any) -> Site:
    idp.gives_tokens = True
    provider = Provider("idp", idp.issuer, scopes=SCOPES, store_tokens=True)
    return make_site(providers=[provider], config=config, **kwargs)


def identity_of(site: Site, email: str = ANN) -> UUID:
    with site.app.app_context():
        found: UUID = site.accounts.identities.of(site.accounts.users.find(email=email))[0].id
        return found


def token_of(site: Site, identity_id: UUID | None = None, **kwargs: Any) -> ProviderToken:
    """What the app is given for Ann's identity."""
    identity_id = identity_id or identity_of(site)
    with site.app.app_context():
        return site.accounts.identities.access_token(identity_id, **kwargs)


def everything(site: Site) -> str:
    """The whole database, as text."""
    with site.app.app_context():
        rows = [
            repr(tuple(row)) for table in site.db.metadata.sorted_tables for row in site.db.session.execute(sa.select(table)).all()
        ]
        site.db.session.rollback()
    return "\n".join(rows)


def kept(site: Site) -> int:
    with site.app.app_context():
        found: int = site.db.session.execute(sa.text("SELECT count(*) FROM accounts_provider_tokens")).scalar_one()
        return found


def refreshes(idp: Idp) -> int:
    return sum(form["grant_type"] == "refresh_token" for form in idp.forms)


# Keeping


@pytest.mark.requirement("ASVS 10.2.3", "ASVS 13.3.1")
def test_where_nobody_asks_nothing_is_stored(make_site: MakeSite, idp: Idp) -> None:
    site = make_site()
    idp.gives_tokens, idp.tokens = True, {"access_token": "the-access-token"}
    browser = site.client
    code = arrive(browser, idp, at_hash=None)
    waiting = everything(site)
    token = exchange(browser, code).get_json()["access_token"]
    browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert link(browser, idp, sub="second", at_hash=None).status_code == 201

    for dump in (waiting, everything(site)):
        assert "person-1" in dump
        for secret in ("the-access-token", str(idp.refresh_token), "calendar", '"tokens"'):
            assert secret not in dump
    assert kept(site) == 0
    with pytest.raises(ProviderConsentRequired):
        token_of(site)


@pytest.mark.requirement("ASVS 13.3.1")
def test_what_is_kept_is_sealed_while_it_waits_and_afterwards(site: Site, idp: Idp) -> None:
    idp.tokens = {"access_token": "the-access-token"}
    browser = site.client
    code = arrive(browser, idp, at_hash=None)
    waiting = everything(site)
    exchange(browser, code)

    for dump in (waiting, everything(site)):
        for secret in ("the-access-token", str(idp.refresh_token), "calendar"):
            assert secret not in dump
    found = token_of(site)
    assert (found.access_token, found.scopes) == ("the-access-token", SCOPES)
    assert found.expires_at == site.testing.clock.now() + timedelta(hours=1)
    assert "the-access-token" not in repr(found)
    assert refreshes(idp) == 0


def test_a_link_keeps_them_too_and_linking_again_renews_them(site: Site, idp: Idp) -> None:
    browser = site.client_for(site.user("ben@example.com", email_verified=True))
    for token in ("one", "two"):
        idp.tokens = {"access_token": token}
        assert link(browser, idp, at_hash=None).status_code == 201
        assert token_of(site, identity_of(site, "ben@example.com")).access_token == token
    assert kept(site) == 1


def test_every_sign_in_renews_them_and_keeps_the_refresh_token_if_there_is_no_new_one(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    first = token_of(site).access_token
    idp.gives_tokens, refresh = False, idp.refresh_token

    sign_in(site.client, idp)

    idp.refresh_token = refresh
    second = token_of(site)
    assert second.access_token != first
    assert second.expires_at is None, "the provider did not say"
    assert token_of(site, refused=second.access_token).access_token != second.access_token
    assert refreshes(idp) == 1


@pytest.mark.requirement("ASVS 10.2.3")
def test_a_proof_of_presence_asks_for_no_rights_and_keeps_nothing(make_site: MakeSite, idp: Idp) -> None:
    idp.gives_tokens = True
    provider = Provider("idp", idp.issuer, scopes=SCOPES, store_tokens=True, asks={"prompt": "consent", "audience": "us"})
    site = make_site(providers=[provider])
    browser = site.client
    query = parse_qs(urlsplit(begin(browser)).query)
    assert (query["prompt"], query["audience"], query["scope"]) == (["consent"], ["us"], [" ".join(SCOPES)])
    browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {sign_in(browser, idp).get_json()['access_token']}"
    before = token_of(site)

    assert step_up(browser, idp, auth_time=just_now(idp)).status_code == 200

    assert token_of(site) == before


def test_google_is_asked_for_a_refresh_token_only_where_it_is_kept() -> None:
    assert Google().asks == {}
    assert Google(store_tokens=True).asks == {"access_type": "offline"}
    asked = Google(
        store_tokens=True, asks={"prompt": "consent"}, scopes=("openid", "email", "https://www.googleapis.com/auth/calendar")
    )
    assert asked.asks == {"access_type": "offline", "prompt": "consent"}


@pytest.mark.requirement("RFC9700 2.1.1")
@pytest.mark.parametrize("name", ["state", "nonce", "code_challenge_method", "redirect_uri", "response_type", "request"])
def test_what_a_sign_in_rests_on_cannot_be_asked_otherwise(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        GitHub(asks={name: "x"})


# Refreshing


def test_a_token_that_is_over_is_refreshed_and_the_new_refresh_token_is_stored(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    first = token_of(site)
    site.testing.clock.move(minutes=59, seconds=29)
    assert token_of(site) == first
    site.testing.clock.move(seconds=1)

    second = token_of(site)
    assert second.access_token != first.access_token
    assert second.expires_at == site.testing.clock.now() + timedelta(hours=1)
    assert second.scopes == SCOPES
    assert token_of(site) == second
    site.testing.clock.move(hours=1)
    assert token_of(site).access_token != second.access_token
    assert refreshes(idp) == 2


def test_a_provider_that_does_not_rotate_gets_the_same_again(site: Site, idp: Idp) -> None:
    idp.rotates = False
    sign_in(site.client, idp)
    given: list[str] = []

    for _ in range(2):
        site.testing.clock.move(hours=1)
        idp.refresh_token = given[-1] if given else idp.refresh_token
        token_of(site)
        given.append(idp.forms[-1]["refresh_token"])

    assert given[0] == given[1]


@pytest.mark.requirement("ASVS 15.4.2")
def test_of_many_who_ask_at_once_one_refreshes(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    identity_id = identity_of(site)
    site.testing.clock.move(hours=1)

    with ThreadPoolExecutor(6) as pool:
        found = {each.access_token for each in pool.map(lambda _: token_of(site, identity_id), range(6))}

    assert len(found) == 1
    assert refreshes(idp) == 1


def test_a_token_that_the_providers_api_has_refused_is_replaced_once(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    first = token_of(site).access_token

    second = token_of(site, refused=first).access_token

    assert second != first
    assert token_of(site, refused=first).access_token == second, "for whoever comes later with the same"
    assert refreshes(idp) == 1


@pytest.mark.requirement("ASVS 16.5.2")
def test_a_provider_that_is_down_is_a_clear_error_and_nothing_is_lost(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    site.testing.clock.move(hours=1)
    for answer in (
        lambda: ("down", 503),
        lambda: ({"error": "server_error"}, 400),
        lambda: ({"access_token": 7}, 200),
        lambda: ({}, 200),
    ):
        idp.instead["/token"] = answer
        with pytest.raises(ProviderUnavailable) as raised:
            token_of(site)
        assert isinstance(raised.value, ServiceUnavailable)
    del idp.instead["/token"]

    assert token_of(site).access_token


def test_a_grant_that_is_over_is_forgotten_and_a_sign_in_brings_another(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    site.testing.clock.move(hours=1)
    idp.refresh_token = None

    for _ in range(2):
        with pytest.raises(ProviderConsentRequired) as raised:
            token_of(site)
    assert (raised.value.code, raised.value.error_code) == (409, "PROVIDER_CONSENT_REQUIRED")
    assert (kept(site), refreshes(idp)) == (0, 1)

    sign_in(site.client, idp)
    assert token_of(site).access_token


def test_without_a_refresh_token_only_the_person_can_help(site: Site, idp: Idp) -> None:
    idp.gives_tokens, idp.tokens = False, {"expires_in": "60"}
    sign_in(site.client, idp)
    assert token_of(site).expires_at == site.testing.clock.now() + timedelta(minutes=1)
    site.testing.clock.move(minutes=1)

    with pytest.raises(ProviderConsentRequired):
        token_of(site)
    with pytest.raises(NotFound):
        token_of(site, uuid4())


def test_who_died_while_refreshing_is_not_waited_for_for_ever(make_site: MakeSite, idp: Idp) -> None:
    site = keeping(make_site, idp)
    sign_in(site.client, idp)
    identity_id = identity_of(site)
    site.testing.clock.move(hours=1)
    with site.app.app_context():
        table = site.db.metadata.tables["accounts_provider_tokens"]
        site.db.session.execute(sa.update(table).values(busy_until=site.testing.clock.now() + timedelta(seconds=5)))
        site.db.session.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.app.extensions["accounts"].get(ProviderTokens), "_timeout", 0.05)
        with pytest.raises(ServiceUnavailable):
            token_of(site, identity_id)
    assert refreshes(idp) == 0

    site.testing.clock.move(seconds=6)

    assert token_of(site, identity_id).access_token


@pytest.mark.parametrize("brings_refresh_token", [True, False])
def test_a_sign_in_while_somebody_refreshes_loses_neither(
    site: Site, idp: Idp, monkeypatch: pytest.MonkeyPatch, brings_refresh_token: bool
) -> None:
    sign_in(site.client, idp)
    identity_id = identity_of(site)
    site.testing.clock.move(hours=1)
    original = ProviderClient.refresh
    sign_ins: list[str] = []

    def meanwhile(client: ProviderClient, granted: Granted) -> Granted:
        refreshed = original(client, granted)
        if not sign_ins:
            was = idp.refresh_token
            idp.gives_tokens = brings_refresh_token
            sign_ins.append(sign_in(site.client, idp).get_json()["access_token"])
            if not brings_refresh_token:
                idp.refresh_token = was
        return refreshed

    monkeypatch.setattr(ProviderClient, "refresh", meanwhile)
    found = token_of(site, identity_id)

    assert token_of(site, identity_id) == found
    site.testing.clock.move(hours=1)
    assert token_of(site, identity_id, refused=found.access_token).access_token != found.access_token


@pytest.mark.requirement("ASVS 2.3.3")
def test_what_a_refresh_has_brought_stands_whatever_becomes_of_the_request(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    identity_id = identity_of(site)
    site.testing.clock.move(hours=1)
    with site.app.app_context():
        assert site.accounts.users.find(email=ANN)  # a transaction that reads
        found = site.accounts.identities.access_token(identity_id)
        site.db.session.rollback()

    assert token_of(site, identity_id) == found


# The life of identities


@pytest.mark.requirement("ASVS 14.2.7")
def test_they_go_when_the_identity_is_unlinked(site: Site, idp: Idp) -> None:
    browser = site.client_for(site.user(ANN, email_verified=True))
    assert link(browser, idp).status_code == 201
    assert kept(site) == 1

    assert browser.delete(f"{IDENTITIES}/{identity_of(site)}").status_code == 204

    assert kept(site) == 0


@pytest.mark.requirement("ASVS 14.2.7")
def test_they_go_with_the_account(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    with site.app.app_context():
        site.accounts.users.delete(site.accounts.users.find(email=ANN))
        site.db.session.commit()

    assert kept(site) == 0


@pytest.mark.requirement("ASVS 6.8.1", "ASVS 14.2.7")
def test_they_go_when_the_accounts_owner_comes(site: Site, idp: Idp) -> None:
    squatter = site.client_for(site.user("eve@example.com"))
    assert link(squatter, idp, sub="eve").status_code == 201
    assert kept(site) == 1

    sign_in(site.client, idp, sub="owner", email="eve@example.com")

    with site.app.app_context():
        identities = site.accounts.identities.of(site.accounts.users.find(email="eve@example.com"))
    assert [identity.subject for identity in identities] == ["owner"]
    assert kept(site) == 1


def test_the_database_itself_takes_them_along(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    with site.app.app_context(), site.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("DELETE FROM accounts_identities")
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    assert kept(site) == 0


@pytest.mark.requirement("ASVS 8.2.3")
def test_the_export_says_that_there_are_some_and_no_answer_holds_any(site: Site, idp: Idp) -> None:
    idp.tokens = {"access_token": "the-access-token"}
    answer = sign_in(site.client, idp, at_hash=None)
    headers = bearer(answer.get_json()["access_token"])

    exported = site.client.get("/api/auth/me/export", headers=headers)
    listed = site.client.get(IDENTITIES, headers=headers)

    found = exported.get_json()["oidc"][0]["tokens"]
    assert found.keys() == {"kept_at", "scopes", "expires_at"}
    assert found["scopes"] == list(SCOPES)
    for text in (answer.text, exported.text, listed.text):
        assert "the-access-token" not in text
        assert str(idp.refresh_token) not in text


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_log_holds_any(site: Site, idp: Idp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sign_in(site.client, idp)
    secrets = [token_of(site).access_token, str(idp.refresh_token)]
    site.testing.clock.move(hours=1)
    idp.instead["/token"] = lambda: ({"error": secrets[1]}, 400)
    with pytest.raises(ProviderUnavailable):
        token_of(site)
    del idp.instead["/token"]
    secrets += [token_of(site).access_token, str(idp.refresh_token)]

    assert not [secret for secret in secrets if secret in caplog.text]


def test_a_provider_that_keeps_none_any_more_gives_none_and_they_are_purged(
    make_site: MakeSite, idp: Idp, database_url: str
) -> None:
    before = keeping(make_site, idp, url=database_url)
    sign_in(before.client, idp)
    identity_id = identity_of(before)
    after = make_site(url=database_url)
    after.testing.clock.move(before.testing.clock.now() - after.testing.clock.now() + timedelta(hours=1))
    with pytest.raises(ProviderConsentRequired):
        token_of(after, identity_id)
    with before.app.app_context():
        before.testing.runtime.purge()
        before.db.session.commit()
    assert kept(after) == 1

    with after.app.app_context():
        assert after.testing.runtime.purge() > 0
        after.db.session.commit()
    assert kept(after) == 0


# Seals


@pytest.mark.requirement("ASVS 13.3.1")
def test_the_secret_that_seals_is_changed_without_losing_any(make_site: MakeSite, idp: Idp, database_url: str) -> None:
    def site_with(*keys: str) -> Site:
        return keeping(make_site, idp, url=database_url, config={"ACCOUNTS_AT_REST_KEYS": list(keys)})

    before = site_with(OLD_KEY)
    sign_in(before.client, idp)
    found = token_of(before)

    after = site_with(NEW_KEY, OLD_KEY)
    with after.app.app_context():
        assert after.testing.runtime.get(ProviderTokens).sealed.seals() == (0, 1, 0)
    assert resealed(after) == {"table": "accounts_provider_tokens", "sealed": 1, "unreadable": 0}
    assert resealed(after) == {"table": "accounts_provider_tokens", "sealed": 0, "unreadable": 0}

    last = site_with(NEW_KEY)
    assert token_of(last) == found
    gone = site_with(OLD_KEY)
    assert resealed(gone) == {"table": "accounts_provider_tokens", "sealed": 0, "unreadable": 1}


def resealed(site: Site) -> dict[str, Any]:
    """What `flask accounts reseal` says of the providers' tokens."""
    said = json.loads(site.app.test_cli_runner().invoke(args=["accounts", "reseal", "--json"]).output)
    return next(row for row in said if row["table"] == "accounts_provider_tokens")


@pytest.mark.requirement("ASVS 16.5.3", "ASVS 13.3.1")
def test_tokens_moved_to_another_identity_do_not_open(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    sign_in(site.client, idp, sub="eve", email="eve@example.com")
    table = site.db.metadata.tables["accounts_provider_tokens"]
    with site.app.app_context():
        (first, sealed), (second, _) = site.db.session.execute(
            sa.select(table.c.identity_id, table.c.sealed).order_by(table.c.identity_id)
        ).all()
        site.db.session.execute(sa.update(table).where(table.c.identity_id == second).values(sealed=sealed))
        site.db.session.commit()

    assert token_of(site, first).access_token
    with pytest.raises(ServiceUnavailable):
        token_of(site, second)


def test_an_app_that_keeps_tokens_needs_a_secret_to_seal_with(make_plain_site: MakeSite, idp: Idp) -> None:
    provider = Provider("idp", idp.issuer, store_tokens=True)
    config = oidc_config("idp") | {"ACCOUNTS_AT_REST_KEYS": ["short"]}

    with pytest.raises(ConfigurationError, match="ACCOUNTS_AT_REST_KEYS"):
        make_plain_site(features=[*default_features(), Oidc([provider])], config=config)
