"""For which site passkeys are: what the settings come to, and what is refused when the app starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, ConfigurationError, default_features
from flask_accounts.features.passkeys import Passkeys
from flask_accounts.features.passkeys.ceremonies import Ceremonies
from flask_accounts.features.passkeys.relying_party import RelyingParty
from tests.conftest import KEY, MakeSite
from tests.features.passkeys.authenticator import Authenticator

from .tools import ANN, begin_login, owner, problem, sign_in


def party(*, debug: bool = False, **settings: Any) -> RelyingParty:
    app = Flask("shop")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, DEBUG=debug)
    app.config.update({f"ACCOUNTS_{name.upper()}": value for name, value in settings.items()})
    accounts = Accounts(SQLAlchemy(), app, features=[*default_features(), Passkeys()])
    with app.app_context():
        return accounts.runtime.get(Ceremonies).party


@pytest.mark.parametrize(
    ("settings", "rp_id", "origins"),
    [
        ({"passkeys_origins": ["https://app.example.com"]}, "app.example.com", ("https://app.example.com",)),
        ({"passkeys_origins": ["https://App.Example.com:443/"]}, "app.example.com", ("https://app.example.com",)),
        ({"passkeys_origins": ["https://a.example.com:8443"], "passkeys_rp_id": "example.com"}, "example.com", ("https://a.example.com:8443",)),
        ({"passkeys_rp_id": "example.com"}, "example.com", ("https://example.com",)),
        ({"mail_base_url": "https://app.example.com/account"}, "app.example.com", ("https://app.example.com",)),
        ({"mail_base_url": "http://localhost:3000"}, "localhost", ("http://localhost:3000",)),
        ({"mail_base_url": "https://app.example.com", "passkeys_rp_id": "example.com"}, "example.com", ("https://app.example.com",)),
        ({"passkeys_origins": ["http://app.localhost:3000"]}, "app.localhost", ("http://app.localhost:3000",)),
        (
            {"passkeys_origins": ["https://example.com", f"android:apk-key-hash:{'a' * 43}"]},
            "example.com",
            ("https://example.com", f"android:apk-key-hash:{'a' * 43}"),
        ),
    ],
)  # fmt: skip
def test_what_the_settings_come_to(settings: dict[str, Any], rp_id: str, origins: tuple[str, ...]) -> None:
    found = party(**settings)

    assert (found.id, found.origins, found.name) == (rp_id, origins, "shop")
    assert all(map(found.takes, origins))


def test_in_debug_mode_it_is_localhost_with_any_port() -> None:
    found = party(debug=True)

    assert found.id == "localhost"
    assert [found.takes(f"http://localhost{port}") for port in ("", ":5000", ":5173")] == [True, True, True]
    for origin in (
        "https://localhost",
        "http://localhost.evil.example",
        "http://evil.localhost:5000",
        "http://localhost:0",
        "http://localhost:5000/",
    ):
        assert not found.takes(origin), origin


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "must know for which site"),
        ({"passkeys_origins": ["http://app.example.com"]}, "must begin with https://"),
        ({"passkeys_origins": ["https://127.0.0.1:5000"]}, "not for IP addresses"),
        ({"passkeys_origins": ["https://[::1]"]}, "not for IP addresses"),
        ({"mail_base_url": "http://127.0.0.1:5000"}, "ACCOUNTS_MAIL_BASE_URL.*not for IP addresses"),
        ({"passkeys_origins": ["https://app.example.com/sign-in"]}, "is no origin"),
        ({"passkeys_origins": ["https://ann@example.com"]}, "is no origin"),
        ({"passkeys_origins": ["app.example.com"]}, "is no origin"),
        ({"passkeys_origins": ["https://app.example.com:x"]}, "is no origin"),
        ({"passkeys_origins": ["https://bücher.example"]}, "punycode"),
        ({"passkeys_origins": ["https://*.example.com"]}, "punycode"),
        ({"passkeys_origins": ["https://example.com"], "passkeys_rp_id": "app.example.com"}, "neither on app.example.com"),
        ({"passkeys_origins": ["https://notexample.com"], "passkeys_rp_id": "example.com"}, "neither on example.com"),
        ({"passkeys_origins": ["https://app.example.com"], "passkeys_rp_id": "com"}, "is a suffix"),
        ({"passkeys_origins": ["https://shop.co.uk"], "passkeys_rp_id": "co.uk"}, "is a suffix"),
        ({"passkeys_rp_id": "https://example.com"}, "is no domain"),
        ({"passkeys_rp_id": "example.com:443"}, "is no domain"),
        ({"passkeys_rp_id": "Example.com"}, "is no domain"),
        ({"passkeys_rp_id": ""}, "is no domain"),
        ({"passkeys_rp_id": "192.0.2.1"}, "not for IP addresses"),
        ({"passkeys_rp_id": "example.com", "passkeys_related_origins": ["https://app.example.com"]}, "belongs to ACCOUNTS_PASSKEYS_ORIGINS"),
        ({"passkeys_rp_id": "example.com", "passkeys_related_origins": ["http://example.de"]}, "must begin with https://"),
    ],
)  # fmt: skip
def test_what_no_browser_would_take_is_refused_at_start(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){said}"):
        party(**settings)


def test_pages_of_a_related_origin_use_the_same_passkeys_and_browsers_can_ask_whether_they_may(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_RP_ID": "example.com", "ACCOUNTS_PASSKEYS_RELATED_ORIGINS": ["https://example.de"]})
    ann = owner(site, device=Authenticator(origin="https://example.de"))
    assert ann.user.email == ANN

    answer = site.client.get("/.well-known/webauthn")

    assert (answer.status_code, answer.content_type, answer.get_json()) == (
        200,
        "application/json",
        {"origins": ["https://example.de"]},
    )
    assert sign_in(site.client, ann.device).status_code == 200
    ann.device.origin = "https://example.fr"
    assert problem(sign_in(site.client, ann.device)) == (401, "INVALID_CREDENTIALS")


def test_without_related_origins_there_is_nothing_to_ask(make_site: MakeSite) -> None:
    assert make_site().client.get("/.well-known/webauthn").status_code == 404


def test_options_say_what_is_set_up(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_RP_ID": "example.com", "ACCOUNTS_PASSKEYS_CHALLENGE_FOR": 60})

    options = begin_login(site.client)

    assert (options["rpId"], options["timeout"], options["userVerification"]) == ("example.com", 60_000, "required")


def test_the_library_is_not_imported_before_a_passkey_comes() -> None:
    """It takes half a second."""
    script = (
        "import sys; from flask import Flask; from flask_sqlalchemy import SQLAlchemy\n"
        "from flask_accounts import Accounts, default_features; from flask_accounts.features.passkeys import Passkeys\n"
        f"app = Flask('x'); app.config.update(SQLALCHEMY_DATABASE_URI='sqlite://', SECRET_KEY='{KEY}', TESTING=True)\n"
        "accounts = Accounts(SQLAlchemy(), app, features=[*default_features(), Passkeys()])\n"
        "with app.app_context(): accounts.db.create_all()\n"
        "assert app.test_client().post('/api/auth/passkeys/login/options').status_code == 200\n"
        "assert 'webauthn' not in sys.modules and 'OpenSSL' not in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
