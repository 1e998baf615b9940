"""Who has lost everything is helped by an administrator, or by who runs the app."""

from __future__ import annotations

from flask_accounts import events
from tests.conftest import Site
from tests.features.mfa.tools import ANN, AUTH, Owner, code_of, enrolled


def test_an_administrator_takes_every_factor_and_the_owner_is_told(site: Site, ann: Owner) -> None:
    admin = site.client_for(site.admin())

    with site.testing.recorded() as told:
        answer = admin.delete(f"/api/users/{ann.user.id}/mfa")

    assert answer.status_code == 204
    changed = [event for event in told if isinstance(event, events.FactorChanged)]
    assert [(event.factor, event.change, event.actor_id == event.user_id) for event in changed] == [("totp", "removed", False)]
    assert [mail.subject for mail in site.testing.outbox if mail.to == ANN] == ["A sign-in method was removed from your account"]
    assert code_of(ann.browser.get(f"{AUTH}/me")) == (401, "TOKEN_REVOKED")
    assert site.login(ANN).status_code == 200
    assert admin.delete(f"/api/users/{ann.user.id}/mfa").status_code == 204  # twice is no error
    assert code_of(admin.delete("/api/users/999/mfa")) == (404, "NOT_FOUND")


def test_it_is_in_the_audit_log_with_who_did_it(site: Site, ann: Owner) -> None:
    root = site.admin()
    admin = site.client_for(root)
    admin.delete(f"/api/users/{ann.user.id}/mfa")

    rows = admin.get(f"/api/users/{ann.user.id}/events?event=factor.changed").get_json()["events"]

    [row] = [row for row in rows if row["details"]["change"] == "removed"]
    assert (row["details"]["factor"], row["actor_id"]) == ("totp", str(root.id))


def test_the_command(site: Site, ann: Owner) -> None:
    run = site.app.test_cli_runner().invoke

    assert run(args=["accounts", "reset-mfa", ANN]).output == f"{ANN} has no second factor any more; all sessions have ended.\n"
    assert run(args=["accounts", "reset-mfa", ANN]).output == f"{ANN} had no second factor.\n"
    assert site.login(ANN).status_code == 200


def test_host_code_sees_what_an_account_has(site: Site, ann: Owner) -> None:
    bob = site.user("bob@example.com")
    with site.app.app_context():
        assert set(site.accounts.mfa.factors(ann.user)) == {"totp", "recovery_code"}
        assert site.accounts.mfa.factors(bob) == {}


def test_the_doctor_counts_administrators_without_one(site: Site) -> None:
    from flask_accounts.core.checkups import Deployment
    from flask_accounts.features.mfa.checkup import admins_without_mfa

    enrolled(site, "root@example.com", roles=["admin"])
    site.admin()
    with site.app.app_context():
        found = [problem.found for problem in admins_without_mfa.ask(Deployment(site.app, site.testing.runtime))]

    assert found == ["There are 1."]
