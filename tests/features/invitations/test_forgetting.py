"""What is left of invitations once an account is deleted, or they have been over for long; and what one's own data shows of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.conftest import MakeSite, Site
from tests.features.invitations.tools import (
    INVITATIONS,
    NEW,
    VOID,
    accept,
    code,
    invite,
    invited,
    look,
    make_role,
    statuses,
    token_in,
)


def dump(site: Site) -> str:
    """Every row of every table, as text."""
    with site.app.app_context():
        return str([tuple(row) for table in site.db.metadata.sorted_tables for row in site.db.session.execute(sa.select(table))])


def rows(site: Site) -> list[Any]:
    with site.app.app_context():
        return list(site.db.session.execute(sa.text("SELECT * FROM accounts_invitations ORDER BY id")).mappings())


def purge(site: Site) -> int:
    with site.app.app_context():
        gone = site.testing.runtime.purge()
        site.db.session.commit()
        return gone


@pytest.mark.requirement("ASVS 14.2.7")
def test_the_deleted_account_takes_its_invitation_along(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    boss = site.client_for(site.admin())
    make_role(site)
    key = accept(site, invited(site, boss, roles=["editor"])).get_json()["user"]["id"]

    assert boss.delete(f"/api/users/{key}").status_code == 204

    assert "ann@example.com" not in dump(site)
    assert statuses(boss) == []


@pytest.mark.requirement("ASVS 14.2.7")
def test_the_deleted_inviter_is_not_in_it_any_more_and_what_was_open_is_withdrawn(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = make_site(url=every_database_url)
    boss = site.client_for(site.admin())
    helper = site.user("helper@example.com", permissions=["invitations:write"])
    client = site.client_for(helper)
    accepted, token = invited(site, client), invited(site, client, "ben@example.com")
    accept(site, accepted)

    assert boss.delete(f"/api/users/{helper.id}").status_code == 204

    assert sorted(statuses(boss)) == [("ann@example.com", "accepted"), ("ben@example.com", "withdrawn")]
    assert [row["invited_by"] for row in rows(site)] == [None, None]
    assert code(look(site, token)) == code(accept(site, token)) == VOID
    assert "helper@example.com" not in dump(site)


@pytest.mark.requirement("ASVS 14.2.7")
def test_an_invitation_of_a_deleted_accounts_own_address_goes_too(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)
    ann = site.user("ann@example.com", email_verified=True)

    boss.delete(f"/api/users/{ann.id}")

    assert "ann@example.com" not in dump(site)
    assert code(look(site, token)) == VOID


def test_deleting_an_account_of_an_address_that_it_only_typed_leaves_the_owners_invitation(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)
    squatter = site.user("ann@example.com")

    site.client_for(squatter).delete("/api/auth/me")

    assert accept(site, token).status_code == 201


def test_purge_deletes_what_has_been_over_for_30_days(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    with site.app.app_context():
        service = site.accounts.invitations
        tokens = [service.invite(f"{name}@example.com").token for name in ("accepted", "expired")]
        service.withdraw(service.invite("withdrawn@example.com").invitation.id)
        site.db.session.commit()
    accept(site, tokens[0])

    def left() -> set[str]:
        return {row["address"].partition("@")[0] for row in rows(site)}

    site.testing.clock.move(days=29, hours=23)
    purge(site)
    assert left() == {"accepted", "expired", "withdrawn"}
    site.testing.clock.move(hours=1)
    purge(site)
    assert left() == {"expired"}
    site.testing.clock.move(days=6, hours=23)
    purge(site)
    assert left() == {"expired"}
    site.testing.clock.move(hours=1)
    purge(site)
    assert left() == set()


def test_how_long_is_a_setting(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_INVITATIONS_KEEP_FOR": timedelta(0)})
    with site.app.app_context():
        service = site.accounts.invitations
        service.withdraw(service.invite("withdrawn@example.com").invitation.id)
        service.invite("open@example.com")
        site.db.session.commit()

    purge(site)

    assert [row["address"] for row in rows(site)] == ["open@example.com"]


def test_the_export_shows_what_one_has_sent_without_the_addresses_and_what_one_was_invited_by(
    site: Site, boss: FlaskClient, helper: Any
) -> None:
    make_role(site)
    ann = accept(site, invited(site, boss, roles=["editor"])).get_json()["user"]["id"]
    found = invite(site.client_for(helper), "ben@example.com", roles=["editor"])
    runtime = site.testing.runtime

    with site.app.app_context():
        of_ann, of_helper, of_nobody = (runtime.export(key) for key in (ann, helper.id, site.user().id))

    assert of_ann["invitations"]["sent"] == []
    [accepted] = of_ann["invitations"]["accepted"]
    assert (accepted["email"], accepted["roles"], accepted["status"]) == ("ann@example.com", ["editor"], "accepted")
    assert of_helper["invitations"] == {
        "accepted": [],
        "sent": [
            {"roles": ["editor"], "status": "open", "accepted_at": None, "withdrawn_at": None}
            | {name: found[name] for name in ("created_at", "sent_at", "expires_at")}
        ],
    }
    assert "ben@example.com" not in str(of_helper)
    assert "invitations" not in of_nobody


def test_the_table_holds_no_secret(site: Site, boss: FlaskClient) -> None:
    token = token_in(site.testing.outbox[-1]) if invite(boss) else ""

    assert token not in dump(site)
    assert boss.get(INVITATIONS).get_json()["invitations"][0].keys().isdisjoint({"token", "hash", "token_hash", "trusted"})


@pytest.mark.parametrize("key", ["int", "uuid7"])
def test_it_works_with_every_kind_of_key(make_site: MakeSite, every_database_url: str, key: str) -> None:
    site = make_site(url=every_database_url, user_key=key)
    boss = site.client_for(site.admin())
    me = boss.get("/api/auth/me").get_json()["id"]

    found = invite(boss)
    user = accept(site, token_in(site.testing.outbox[-1]), NEW).get_json()["user"]

    shown = boss.get(f"{INVITATIONS}/{found['id']}").get_json()
    assert (shown["invited_by"], shown["accepted_user"]) == (me, user["id"])
