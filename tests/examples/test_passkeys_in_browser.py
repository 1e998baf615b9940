"""Passkeys in the demo, in a real browser with an authenticator of its own (Chromium's virtual one, WebDriver's extension for WebAuthn)."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.testing import PASSWORD
from tests.browser import chromium

from .conftest import Demo
from .test_security_in_browser import begin_sign_in, dialog, keep_codes, panel, set_up
from .visits import Visit, Visitor, expect, visit

__all__ = ["chromium", "visit"]


NOTING = """
window.asked = [];
const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = (options) => { window.asked.push(options.mediation ?? "at once"); return get(options); };
"""
"""Notes how the page asks for passkeys."""


class Authenticator:
    """The lock of the device that a browser runs on: it knows its owner, and answers at once while it is `present`."""

    def __init__(self, here: Visit) -> None:
        self._session = here.page.context.new_cdp_session(here.page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    @property
    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]
        return found

    def forget(self) -> None:
        self._session.send("WebAuthn.clearCredentials", {"authenticatorId": self._id})

    def refuse(self) -> None:
        """From now on it does not know who is there."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": False})


def add(here: Visit) -> None:
    here.go("/security")
    here.press("Add a passkey")
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    keep_codes(here)
    here.says("Your passkey is made. Every other session has ended.")


def sign_out(here: Visit) -> None:
    here.go("/account")
    here.press("Sign out")
    here.says("You are signed out.")


@pytest.mark.requirement("ASVS 6.3.3")
def test_a_passkey_is_made_renamed_signs_in_by_autofill_and_by_button_confirms_presence_and_is_removed(
    visit: Visitor, demo: Demo
) -> None:
    demo.person("ann", display_name="Ann Lee", email_verified=True)
    here = visit()
    device = Authenticator(here)
    page = here.page
    page.add_init_script(NOTING)
    here.sign_in("ann")
    here.go("/security")
    expect(panel(here, "Passkeys")).to_contain_text("With your first one, your password alone no longer signs you in.")

    add(here)
    assert [each["rpId"] for each in device.credentials] == ["localhost"]
    rows = page.get_by_role("list", name="Passkeys").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("never used")
    expect(rows).to_contain_text("this device only")
    expect(page.get_by_text("Your account is well protected")).to_be_visible()
    here.press("Add a passkey")
    expect(panel(here, "Passkeys").get_by_role("alert")).to_have_text("This device has a passkey for your account already.")
    rows.get_by_role("button", name="Rename").click()
    here.fill(name="My laptop")
    here.press("Save name")
    here.says("The new name is saved.")
    expect(rows).to_contain_text("My laptop")

    # The page of the sign-in asks as soon as it opens, and the device answers: to where its owner was going.
    page.get_by_role("link", name="Account", exact=True).click()
    here.press("Sign out")
    here.says("You are signed out.")
    here.go("/write")
    here.says("Welcome back, Ann Lee.")
    here.heading("Write a post")
    assert set(page.evaluate("window.asked")) == {"conditional"}  # an offer in the field, no dialog that nobody has asked for
    here.go("/security")
    expect(rows).to_contain_text("last used")

    # What wants presence proved asks for the passkey, and nothing else.
    demo.testing.clock.move(minutes=16)
    page.reload()
    here.press("Make new codes")
    dialog(here, "Make new recovery codes?").get_by_role("button", name="Make new codes").click()
    asked = dialog(here, "Confirm that it is you")
    expect(asked).to_contain_text("Use your passkey")
    expect(asked.get_by_label("Password")).to_have_count(0)
    asked.get_by_role("button", name="Confirm").click()
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    keep_codes(here)

    # Removed, it opens nothing any more, and the password will do again.
    rows.get_by_role("button", name="Remove").click()
    here.press("Remove passkey")
    here.says("The passkey My laptop is removed.")
    expect(rows).to_have_count(0)
    expect(panel(here, "Recovery codes")).to_have_count(0)
    page.get_by_role("link", name="Account", exact=True).click()
    here.press("Sign out")
    expect(page.get_by_role("link", name="Sign in", exact=True).first).to_be_visible()
    here.go("/sign-in")
    here.press("Sign in with a passkey")
    expect(page.get_by_role("alert").filter(has_text="The credentials are not valid.")).to_be_visible()
    device.forget()
    here.press("Sign in with a passkey")
    expect(page.get_by_role("alert").filter(has_text="No passkey was used.")).to_be_visible()
    here.fill(login="ann", password=PASSWORD)
    here.press("Sign in")
    here.says("Welcome back, Ann Lee.")


def test_a_passkey_is_the_second_step_after_a_password_beside_an_app(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    here = visit()
    device = Authenticator(here)
    here.sign_in("ann")
    app, _ = set_up(demo, here)
    here.press("Add a passkey")
    here.says("Your passkey is made.")
    there = visit()
    asked = begin_sign_in(there, "ann")

    # In another browser, which has none: the app will do, or a recovery code.
    there.press("Use your authenticator app")
    asked.get_by_label("Code", exact=True).fill(app.code)
    asked.get_by_role("button", name="Sign in", exact=True).click()
    there.says("Welcome back, ann.")

    # In this one: autofill is ahead of it, so the page is opened before the device is asked anything.
    assert len(device.credentials) == 1
    here.page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    here.page.reload()
    sign_out(here)
    asked = begin_sign_in(here, "ann")
    expect(asked).to_contain_text("Use your passkey")
    device.refuse()
    asked.get_by_role("button", name="Sign in", exact=True).click()
    expect(asked.get_by_role("alert").filter(has_text="No passkey was used.")).to_be_visible()
    here.press("Use a recovery code")
    here.press("Use your passkey")
    here.press("Cancel")
    here.heading("Sign in")


@pytest.mark.parametrize("config", [{"ACCOUNTS_MFA_REQUIRED": "all"}])
def test_who_must_have_a_second_step_may_make_a_passkey_in_the_sign_in(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    here = visit()
    device = Authenticator(here)
    here.go("/sign-in")
    here.fill(login="ann", password=PASSWORD)
    here.press("Sign in")
    expect(dialog(here, "Set up a second step").get_by_role("img", name="QR code")).to_be_visible()
    here.press("Make a passkey on this device")
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    keep_codes(here)
    here.says("Welcome back, ann.")
    assert len(device.credentials) == 1


def test_somebody_registers_with_a_passkey_and_has_no_password(visit: Visitor, demo: Demo) -> None:
    demo.person("ben")
    here = visit()
    device = Authenticator(here)
    here.go("/register")
    here.fill(email="ann@example.com", username="ben", display_name="Ann Lee")
    here.press("Register with a passkey instead")
    expect(here.page.locator("[data-field=username] .problem")).to_have_text("This username is taken.")
    here.fill(username="ann")
    here.press("Register with a passkey instead")
    here.says("Welcome, Ann Lee.")
    here.heading("Confirm your address")
    here.fill(code=here.mail("ann@example.com", "Confirm your e-mail address").letter.locator(".code").inner_text())
    here.press("Confirm address")
    here.says("Your address is confirmed.")
    assert len(device.credentials) == 1

    here.go("/security")
    expect(here.page.get_by_text("You have no recovery codes")).to_be_visible()
    sign_out(here)
    here.go("/sign-in")
    here.says("Welcome back, Ann Lee.")
