"""flask accounts invitations: what is done, printed and refused."""

from __future__ import annotations

import json

import pytest
from click.testing import Result
from flask.testing import FlaskClient

from flask_accounts.core.mail import MailRoom, MailSettings
from tests.conftest import MakeSite, Site
from tests.features.invitations.tools import INVITATIONS, accept, code, invite, invited, look, make_role, statuses, token_in


def run(site: Site, *args: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["accounts", "invitations", *args])


def ok(site: Site, *args: str) -> str:
    result = run(site, *args)
    assert result.exit_code == 0, result.output
    return result.output


def refused(site: Site, *args: str) -> str:
    result = run(site, *args)
    assert result.exit_code == 1, result.output
    return result.output.strip()


def test_somebody_is_invited_with_any_role(site: Site) -> None:
    make_role(site, permissions=["*"])

    said = ok(site, "invite", "Ann@example.com", "--role", "editor", "--role", "admin", "--language", "de")

    assert said == "Invited ann@example.com with admin, editor.\n"
    [mail] = site.testing.outbox
    assert mail.subject == "Einladung zu host"
    assert accept(site, token_in(mail)).get_json()["user"]["roles"] == ["admin", "editor"]


@pytest.mark.parametrize("base", [None, "https://app.example.com"])
def test_without_mail_the_link_or_the_token_is_printed_and_nothing_sent(make_site: MakeSite, base: str | None) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": base})
    runtime = site.testing.runtime
    runtime.mail = MailRoom(None, runtime.events, site.app, MailSettings(background=False))

    assert refused(site, "invite", "ann@example.com").startswith("Error: No mail can be sent from here")
    said = ok(site, "invite", "ann@example.com", "--print").strip()

    token = said.rpartition("#token=")[2]
    assert said == (f"{base}/accept-invitation#token={token}" if base else token)
    assert site.testing.outbox == []
    assert look(site, token).status_code == 200


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("nothing",), "email: "),
        (("taken@example.com",), "This e-mail address is taken."),
        (("open@example.com",), "This address has an open invitation."),
        (("ann@example.com", "--role", "nobody"), "There is no role 'nobody'."),
    ],
)
def test_what_cannot_be_is_said_and_nothing_sent(site: Site, boss: FlaskClient, args: tuple[str, ...], reason: str) -> None:
    site.user("taken@example.com")
    invite(boss, "open@example.com")
    site.testing.outbox.clear()

    assert reason in refused(site, "invite", *args)
    assert site.testing.outbox == []


def test_they_are_listed_for_people_and_scripts(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    found = invite(boss, roles=["editor"])
    site.testing.clock.move(seconds=1)
    other = invite(boss, "ben@example.com")
    boss.delete(f"{INVITATIONS}/{other['id']}")

    listed = json.loads(ok(site, "list", "--json"))
    head, first, second = ok(site, "list").splitlines()

    assert [(row["email"], row["status"]) for row in listed] == [("ben@example.com", "withdrawn"), ("ann@example.com", "open")]
    assert (listed[1]["id"], listed[1]["roles"], listed[1]["invited_by"]) == (found["id"], ["editor"], str(found["invited_by"]))
    assert head.split() == ["EMAIL", "ROLES", "STATUS", "EXPIRES_AT", "ID"]
    assert first.startswith("ben@example.com")
    assert found["id"] in second
    assert len(json.loads(ok(site, "list", "--json", "--status", "open"))) == 1
    assert len(json.loads(ok(site, "list", "--json", "--limit", "1"))) == 1


@pytest.mark.parametrize("by", ["address", "id"])
def test_one_is_withdrawn_by_address_or_id(site: Site, boss: FlaskClient, by: str) -> None:
    token = invited(site, boss)
    found = boss.get(INVITATIONS).get_json()["invitations"][0]

    said = ok(site, "withdraw", "ANN@example.com" if by == "address" else found["id"])

    assert said == "The invitation of ann@example.com is withdrawn.\n"
    assert code(look(site, token))[0] == 400
    assert statuses(boss) == [("ann@example.com", "withdrawn")]
    assert "no open invitation" in refused(site, "withdraw", "ann@example.com")
    assert run(site, "withdraw", "nonsense").exit_code == 2
