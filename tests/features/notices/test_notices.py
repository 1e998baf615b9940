"""What happens to an account is told to its owner by mail, each kind unless the host does not want it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_accounts import Client, events
from flask_accounts.core.mail import MailRoom, MailSettings, Message
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

LINKED = {"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/account"}
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


def sign_in(site: Site, agent: str, address: str = "203.0.113.7", **headers: str) -> int:
    return site.login(
        "ann@example.com", headers={"User-Agent": agent, **headers}, environ_base={"REMOTE_ADDR": address}
    ).status_code


def new_device(site: Site) -> None:
    assert sign_in(site, "curl/8") == sign_in(site, CHROME) == 200


def factor(site: Site, factor: str = "totp", change: str = "added", client: Client | None = None) -> None:
    with site.app.app_context():
        user = site.testing.runtime.users.find(email="ann@example.com")
        assert user is not None
        at = site.testing.clock.now()
        site.testing.runtime.events.emit(
            events.FactorChanged(user_id=user.user_id, factor=factor, change=change, client=client, at=at)
        )
        site.db.session.commit()


def password_changed(site: Site) -> None:
    with site.app.app_context():
        user = site.testing.runtime.users.find(email="ann@example.com")
        assert user is not None
        site.accounts.passwords.set(user.user_id, "a rather different horse")
        site.db.session.commit()


def token_reused(site: Site) -> None:
    first = site.tokens("ann@example.com")["refresh_token"]
    for moved in (0, 60):
        site.testing.clock.move(seconds=moved)
        answer = site.client.post("/api/auth/refresh", headers=bearer(first))
    assert answer.status_code == 401


NOTICES: dict[str, Callable[[Site], None]] = {
    "token_reused": token_reused, "new_device": new_device, "factor_changed": factor, "password_changed": password_changed,
}  # fmt: skip


def notices(site: Site) -> list[Message]:
    return [mail for mail in site.testing.outbox if mail.kind in NOTICES]


@pytest.mark.requirement("ASVS 6.3.5", "ASVS 6.3.7")
@pytest.mark.parametrize("name", NOTICES)
def test_each_notice_is_sent_to_the_owner_with_the_page_for_a_new_password(make_site: MakeSite, name: str) -> None:
    site = make_site(config=LINKED)
    site.user("ann@example.com")

    NOTICES[name](site)

    [mail] = notices(site)
    assert (mail.kind, mail.to) == (name, "ann@example.com")
    assert "https://app.example.com/account/forgot-password\n" in mail.text
    assert 'href="https://app.example.com/account/forgot-password"' in (mail.html or "")
    assert "#token" not in mail.text + (mail.html or "")


@pytest.mark.parametrize("name", NOTICES)
def test_each_notice_can_be_switched_off(make_site: MakeSite, name: str) -> None:
    site = make_site(config={f"ACCOUNTS_NOTICES_{name.upper()}": False})
    site.user("ann@example.com")

    for act in NOTICES.values():
        act(site)

    assert {mail.kind for mail in notices(site)} == NOTICES.keys() - {name}


@pytest.mark.parametrize("config", [{}, LINKED | {"ACCOUNTS_NOTICES_LINK_PATH": None}])
@pytest.mark.parametrize("name", NOTICES)
def test_without_a_page_there_is_no_link(make_site: MakeSite, name: str, config: dict[str, Any]) -> None:
    site = make_site(config=config)
    site.user("ann@example.com")

    NOTICES[name](site)

    [mail] = notices(site)
    assert "https://" not in mail.text
    assert 'class="button"' not in (mail.html or "")


def test_the_page_is_a_setting(make_site: MakeSite) -> None:
    site = make_site(config=LINKED | {"ACCOUNTS_NOTICES_LINK_PATH": "help/hacked"})
    site.user("ann@example.com")
    factor(site)

    assert "https://app.example.com/account/help/hacked" in notices(site)[0].text


def test_nothing_is_written_where_there_is_no_mail(make_site: MakeSite) -> None:
    site = make_site()
    site.user("ann@example.com")
    runtime = site.testing.runtime
    runtime.mail = MailRoom(None, runtime.events, site.app, MailSettings(backend="none"))
    assert not runtime.mail.available

    for act in NOTICES.values():
        act(site)

    assert notices(site) == []


# A new device


def test_a_new_device_is_described(site: Site) -> None:
    site.user("ann@example.com")
    new_device(site)

    [mail] = notices(site)
    assert mail.subject == "New sign-in to your account"
    now = f"{site.testing.clock.now():%Y-%m-%d %H:%M} UTC"
    assert "Device: Chrome on Windows\nAddress: 203.0.113.7\nTime: " + now in mail.text
    for words in ("Device: Chrome on Windows", "Address: 203.0.113.7", f"Time: {now}"):
        assert words in (mail.html or "")


@pytest.mark.requirement("ASVS 1.3.11")
def test_whoever_signs_in_writes_nothing_into_the_mail(site: Site) -> None:
    site.user("ann@example.com")
    sign_in(site, CHROME)
    sign_in(site, "Call +1 555 0100 at once, see https://evil.example", "call us at evil.example")

    [mail] = notices(site)
    written = mail.text + (mail.html or "") + mail.subject
    assert "evil" not in written
    assert "555" not in written
    assert "Device:" not in written
    assert "Address:" not in written
    assert "Time:" in written


# A factor


@pytest.mark.parametrize(
    ("kind", "change", "language", "subject", "words"),
    [
        ("totp", "added", "en", "A sign-in method was added to your account", "added to your account a moment ago: an authenticator app."),
        ("passkey", "removed", "en", "A sign-in method was removed from your account", "a moment ago: a passkey."),
        ("recovery_codes", "added", "de", "Eine Anmeldemethode wurde zu Ihrem Konto hinzugefügt", "Wiederherstellungscodes."),
        ("totp", "removed", "fr", "Une méthode de connexion a été retirée de votre compte", "une application d'authentification."),
        ("badge reader", "added", "en", "A sign-in method was added to your account", "a moment ago: badge reader."),
    ],
)  # fmt: skip
@pytest.mark.requirement("ASVS 6.3.7")
def test_a_changed_factor_is_named_in_the_owners_language(
    site: Site, kind: str, change: str, language: str, subject: str, words: str
) -> None:
    site.user("ann@example.com")
    factor(site, kind, change, Client("203.0.113.7", None, language))

    [mail] = notices(site)
    assert mail.subject == subject
    assert words in " ".join(mail.text.split())
    assert words.replace("'", "&#39;") in (mail.html or "") or words in (mail.html or "")
    assert "203.0.113.7" in mail.text


def test_a_changed_factor_becomes_a_row_of_the_audit_log(site: Site) -> None:
    site.user("ann@example.com", password=PASSWORD)
    factor(site)

    [row] = site.client_for(site.admin()).get("/api/users/events?event=factor.changed").get_json()["events"]
    assert (row["details"]["factor"], row["details"]["change"]) == ("totp", "added")
