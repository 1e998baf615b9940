"""The demo's page "Security" and the sign-ins that it leads to, in a real browser.

The browser is whatever Chromium the machine has; without one these tests are skipped and say so.
"""

from __future__ import annotations

from typing import Any

import pytest
from examples.demo.models import User, db

from flask_accounts.testing import PASSWORD, FastHasher
from tests.browser import chromium

from .conftest import Demo
from .visits import FIREFOX, Visit, Visitor, expect, visit

__all__ = ["chromium", "visit"]

NEW_PASSWORD = "quite another phrase 17"


class App:
    """An authenticator app: what was typed into it, and the clock."""

    def __init__(self, demo: Demo, here: Visit) -> None:
        self._demo = demo
        here.page.get_by_text("Cannot scan it?").click()
        self._secret = here.page.locator("[data-secret]").inner_text().replace(" ", "")

    @property
    def code(self) -> str:
        """The next code: each is good once."""
        self._demo.testing.clock.move(seconds=30)
        return self._demo.testing.totp_code(self._secret)


def panel(here: Visit, name: str) -> Any:
    return here.page.get_by_role("region", name=name)


def dialog(here: Visit, name: str) -> Any:
    return here.page.get_by_role("dialog", name=name)


def keep_codes(here: Visit) -> list[str]:
    shown = dialog(here, "Keep your recovery codes")
    codes: list[str] = shown.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    here.press("I have kept them")
    expect(shown).to_have_count(0)
    return codes


def set_up(demo: Demo, here: Visit) -> tuple[App, list[str]]:
    """An authenticator app for whoever is signed in, and the recovery codes that come with it."""
    here.go("/security")
    here.press("Set up")
    expect(dialog(here, "Set up your authenticator app").get_by_role("img", name="QR code")).to_be_visible()
    app = App(demo, here)
    here.fill(code=app.code)
    here.press("Confirm")
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    codes = keep_codes(here)
    here.says("Your authenticator app is set up. Every other session has ended.")
    return app, codes


def begin_sign_in(here: Visit, login: str, password: str = PASSWORD) -> Any:
    here.go("/sign-in")
    here.fill(login=login, password=password)
    here.press("Sign in")
    asked = dialog(here, "One more step")
    expect(asked).to_be_visible()
    return asked


def answer(asked: Any, code: str, *, remember: bool = False) -> None:
    asked.locator("[name=code]").fill(code)
    if remember:
        asked.get_by_label("Do not ask again on this device").check()
    asked.get_by_role("button", name="Sign in", exact=True).click()


def signed_in(here: Visit) -> None:
    expect(here.page.locator(".chip")).to_be_visible()


@pytest.mark.requirement("ASVS 6.3.3")
def test_an_authenticator_app_is_set_up_asked_for_remembered_and_removed(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", display_name="Ann Lee", email_verified=True)
    here, there = visit(), visit(user_agent=FIREFOX)
    here.sign_in("ann")
    there.sign_in("ann")
    here.go("/security")
    expect(here.page.get_by_text("Your password is all that protects your account")).to_be_visible()

    # The picture is the server's and is loaded, a wrong code is said beside its field, a right one counts.
    here.press("Set up")
    picture = here.page.get_by_role("img", name="QR code")
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 100
    here.fill(code="000000")
    here.press("Confirm")
    expect(here.page.locator("dialog .problem").first).to_have_text("This is not the code. Is the clock of your device right?")
    here.press("Cancel")
    app, codes = set_up(demo, here)
    assert len(set(codes)) == 10
    expect(here.page.get_by_text("Your account is well protected")).to_be_visible()
    expect(panel(here, "Recovery codes")).to_contain_text("10 left")
    there.page.reload()
    there.go("/account")
    there.heading("Sign in")  # it had not shown the second factor

    # Another browser is asked, and asks to be remembered. It is then asked no more, until it is forgotten.
    asked = begin_sign_in(there, "ann")
    answer(asked, "000000")
    expect(asked.locator("[data-field=code] .problem")).to_have_text("This code is wrong, or was used before.")
    expect(asked.get_by_label("Code", exact=True)).to_be_focused()
    answer(asked, app.code, remember=True)
    there.says("Welcome back, Ann Lee.")
    there.go("/account")
    there.press("Sign out")
    there.says("You are signed out.")
    there.sign_in("ann")
    here.page.reload()
    expect(panel(here, "Remembered devices")).to_contain_text("Firefox on Linux")
    here.press("Forget Firefox on Linux")
    here.says("That device is asked again.")
    expect(panel(here, "Remembered devices")).to_contain_text("None.")
    there.go("/account")
    there.press("Sign out")
    there.says("You are signed out.")
    begin_sign_in(there, "ann")

    # Given up, nobody is signed in; removed, the password will do again.
    there.press("Cancel")
    there.heading("Sign in")
    here.press("Remove…")
    here.press("Remove app")
    here.says("Your authenticator app is removed.")
    expect(panel(here, "Recovery codes")).to_have_count(0)
    there.sign_in("ann")


@pytest.mark.requirement("ASVS 6.4.4")
def test_a_recovery_code_lets_in_once_and_new_codes_void_the_old_ones(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    here = visit()
    here.sign_in("ann")
    _, codes = set_up(demo, here)

    for code, good in ((codes[0], True), (codes[0].lower(), False), (codes[1].lower(), True)):
        there = visit()
        asked = begin_sign_in(there, "ann")
        there.press("Use a recovery code")
        expect(asked.get_by_label("Recovery code")).to_be_focused()
        answer(asked, code)
        if good:
            there.says("Welcome back, ann.")
        else:
            expect(asked.locator("[data-field=code] .problem")).to_have_text("This code is wrong, or was used before.")
    here.page.reload()
    expect(panel(here, "Recovery codes")).to_contain_text("8 left")

    # New ones: saved as a file, and not lost to the Escape key.
    here.press("Make new codes")
    dialog(here, "Make new recovery codes?").get_by_role("button", name="Make new codes").click()
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    for _ in range(3):
        here.page.keyboard.press("Escape")
    expect(dialog(here, "Keep your recovery codes").get_by_role("listitem").first).to_be_visible()
    with here.page.expect_download() as downloading:
        here.press("Download")
    text = downloading.value.path().read_text()
    new = keep_codes(here)
    assert all(code in text for code in new)
    assert not set(new) & set(codes)
    here.says("The new codes count from now on.")
    expect(panel(here, "Recovery codes")).to_contain_text("10 left")
    there = visit()
    asked = begin_sign_in(there, "ann")
    there.press("Use a recovery code")
    answer(asked, codes[2])
    expect(asked.locator("[data-field=code] .problem")).to_have_text("This code is wrong, or was used before.")
    answer(asked, new[0])
    there.says("Welcome back, ann.")


@pytest.mark.requirement("ASVS 7.5.1")
def test_who_has_an_app_confirms_presence_with_it_or_with_a_recovery_code(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    here = visit()
    here.sign_in("ann")
    app, codes = set_up(demo, here)
    demo.testing.clock.move(minutes=16)

    # A new password asks for the app; a wrong code does not close the question, and giving it up changes nothing.
    here.fill(current_password=PASSWORD, new_password=NEW_PASSWORD)
    here.press("Change password")
    asked = dialog(here, "Confirm that it is you")
    expect(asked.get_by_label("Code", exact=True)).to_be_focused()
    expect(asked.get_by_label("Password")).to_have_count(0)
    asked.locator("[name=code]").fill("000000")
    here.press("Confirm")
    expect(asked.locator("[data-field=code] .problem")).to_have_text("This code is wrong, or was used before.")
    here.press("Cancel")
    expect(asked).to_have_count(0)
    here.press("Change password")
    asked.locator("[name=code]").fill(app.code)
    here.press("Confirm")
    here.says("Your password is changed. Every other session has ended.")

    # Deleting the account always asks; a recovery code will do.
    here.follow("Account")
    here.press("Delete account…")
    leaving = dialog(here, "Delete your account?")
    leaving.get_by_role("button", name="Use a recovery code").click()
    leaving.get_by_label("Recovery code").fill(codes[0])
    leaving.get_by_role("button", name="Delete account").click()
    here.says("Your account is deleted. Until it is gone for good, signing in brings it back.")
    answer(begin_sign_in(here, "ann", NEW_PASSWORD), app.code)
    here.says("Welcome back, ann. Your account and your posts are restored.")


@pytest.mark.parametrize("config", [{"ACCOUNTS_MFA_REQUIRED": "all", "ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN": True}])
def test_a_sign_in_asks_for_a_new_password_and_then_for_an_app_to_be_set_up(visit: Visitor, demo: Demo) -> None:
    ann = demo.person("ann", email_verified=True)
    demo.person("ben")
    with demo.app.app_context():
        db.session.get_one(User, ann.id).password_hash = FastHasher().hash("commonplace")  # from before the policy
        db.session.commit()
    here, there = visit(), visit()

    here.go("/sign-in?next=/write")
    here.fill(login="ann", password="commonplace")
    here.press("Sign in")
    expect(dialog(here, "Please choose a new password")).to_be_visible()
    here.fill(new_password=NEW_PASSWORD)
    here.press("Save and sign in")
    expect(dialog(here, "Set up a second step").get_by_role("img", name="QR code")).to_be_visible()
    app = App(demo, here)
    here.fill(code=app.code)
    here.press("Confirm and sign in")
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    codes = keep_codes(here)
    here.says("Welcome back, ann.")
    here.heading("Write a post")

    # The codes that were shown are the ones that count, and the last factor stays.
    asked = begin_sign_in(there, "ann", NEW_PASSWORD)
    there.press("Use a recovery code")
    answer(asked, codes[0])
    there.says("Welcome back, ann.")
    here.go("/security")
    here.press("Remove…")
    here.press("Remove app")
    expect(dialog(here, "Remove your authenticator app?").get_by_role("alert")).to_contain_text("second factor")

    # Nobody has proved this address yet, so nobody may lock its account: that comes first.
    other = visit()
    other.go("/sign-in")
    other.fill(login="ben@example.com", password=PASSWORD)
    other.press("Sign in")
    other.heading("Confirm your address")


@pytest.mark.parametrize("config", [{"ACCOUNTS_MFA_REQUIRED": ["moderator"]}])
def test_mailed_links_and_invitations_lead_to_the_second_step_too(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"])
    demo.person("mira", roles=["moderator"])  # so that the role is there
    demo.person("ann", email_verified=True)
    here, ours = visit(), visit()

    here.sign_in("ann")
    app, _ = set_up(demo, here)
    here.follow("Account")
    here.press("Sign out")
    here.says("You are signed out.")
    here.go("/sign-in-by-mail")
    here.fill(email="ann@example.com")
    here.press("Send me a mail")
    expect(here.page.get_by_label("Code")).to_be_focused()
    here.fill(code=here.mail("ann@example.com", "Sign in").letter.locator(".code").inner_text())
    here.press("Sign in")
    asked = dialog(here, "One more step")
    answer(asked, app.code)
    here.says("Welcome back, ann.")

    ours.sign_in("ada")
    ours.go("/people/invitations")
    ours.fill(email="ben@example.com")
    ours.page.get_by_label("Moderator").check()
    ours.press("Send invitation")
    ours.says("ben@example.com is invited.")
    joining = visit().by_mail("ben@example.com", "You are invited to Commonplace")
    joining.fill(username="ben", display_name="Ben Moss", password=PASSWORD)
    joining.press("Join")
    expect(dialog(joining, "Set up a second step").get_by_role("img", name="QR code")).to_be_visible()
    joining.page.locator("dialog [name=code]").fill(App(demo, joining).code)
    joining.press("Confirm and sign in")
    expect(dialog(joining, "Keep your recovery codes")).to_be_visible()
    keep_codes(joining)
    joining.says("Welcome, Ben Moss.")


def test_an_address_is_proved_before_an_app_is_set_up(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.sign_in("ann")
    here.go("/security")

    expect(panel(here, "Authenticator app")).to_contain_text("Please confirm your address first")
    expect(here.page.get_by_role("button", name="Set up")).to_have_count(0)
    here.follow("enter the code")
    here.heading("Confirm your address")


def test_other_sessions_are_ended_one_by_one_and_together(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    here, others = visit(), [visit(user_agent=FIREFOX) for _ in range(3)]
    for each in (here, *others):
        each.sign_in("ann")
    here.go("/security")
    rows = here.page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(rows).to_have_count(4)

    rows.nth(1).get_by_role("button").click()
    here.says("The session has ended.")
    expect(rows).to_have_count(3)
    expect(panel(here, "Where you are signed in").get_by_role("heading")).to_be_focused()  # the keyboard goes on from there
    here.press("End all others")
    here.says("All other sessions have ended.")

    expect(rows).to_have_count(1)
    expect(panel(here, "Where you are signed in")).to_contain_text("You are signed in nowhere else.")
    for each in others:
        each.go("/account")
        each.heading("Sign in")


def test_an_api_key_is_made_shown_once_used_and_removed(visit: Visitor, demo: Demo) -> None:
    demo.person("mira", roles=["moderator"], permissions=["posts:moderate"], email_verified=True)
    here = visit()
    here.sign_in("mira")
    demo.testing.clock.move(minutes=16)
    here.go("/security")
    expect(panel(here, "API keys")).to_contain_text("You have no keys.")

    # What is missing is said beside its field; then the password is asked for, and the key is shown.
    here.press("New key")
    form = dialog(here, "New API key")
    here.press("Make key")
    dialog(here, "Confirm that it is you").get_by_label("Password", exact=True).fill(PASSWORD)
    here.press("Confirm")
    expect(form.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Name").fill("Nightly backup")
    form.get_by_label("Expires").select_option(label="In a year")
    here.press("Make key")
    shown = dialog(here, "Keep your key")
    key = shown.locator("[data-key]").inner_text()
    expect(shown.locator("pre")).to_have_text(f'curl {here.url}/api/auth/me -H "Authorization: Bearer {key}"')
    here.press("Try it here")
    expect(shown.get_by_role("status")).to_have_text("It works: the server knows whoever has it as mira@example.com.")
    here.press("I have kept it")
    here.says("Your key is made.")
    expect(here.page.locator("main")).not_to_contain_text(key)
    expect(panel(here, "API keys")).to_contain_text("last used")

    # It writes posts in her name, and moderates nothing: that was not ticked.
    program = demo.client()
    bearer = {"Authorization": f"Bearer {key}"}
    assert program.post("/api/posts", json={"title": "By a program", "body": "Hello."}, headers=bearer).status_code == 201
    theirs = demo.post(demo.person("ben"))
    assert program.delete(f"/api/posts/{theirs}", headers=bearer).status_code == 403
    here.press("New key")
    form.get_by_label("Name").fill("Moderator")
    form.get_by_label("Remove posts of anybody").check()
    here.press("Make key")
    second = {"Authorization": f"Bearer {shown.locator('[data-key]').inner_text()}"}
    here.press("I have kept it")
    assert program.delete(f"/api/posts/{theirs}", headers=second).status_code == 204

    here.press("Remove the key Nightly backup")
    here.press("Remove key")
    here.says("The key Nightly backup is removed.")
    assert program.get("/api/auth/me", headers=bearer).status_code == 401
    expect(panel(here, "API keys").get_by_role("listitem")).to_have_count(1)
    here.by_mail("mira@example.com", "API key").heading("Security")


@pytest.mark.parametrize("width", [320, 1280])
def test_no_dialog_is_wider_than_the_screen_and_everything_has_a_name(visit: Visitor, demo: Demo, width: int) -> None:
    demo.person("ann", email_verified=True, roles=["admin"])
    here = visit(viewport={"width": width, "height": 700})
    here.sign_in("ann")
    here.go("/security")

    def fits() -> None:
        assert here.page.evaluate("document.documentElement.scrollWidth") <= width
        assert here.page.evaluate("[...document.querySelectorAll('dialog')].every((one) => one.scrollWidth <= one.clientWidth)")
        nameless = here.page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([hidden]), textarea, select, img")]
            .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute("aria-label") || one.alt))
            .map((one) => one.outerHTML)"""
        )
        assert nameless == []

    here.press("Set up")
    app = App(demo, here)
    fits()
    here.fill(code=app.code)
    here.press("Confirm")
    expect(dialog(here, "Keep your recovery codes")).to_be_visible()
    fits()
    keep_codes(here)
    here.press("New key")
    fits()
    here.page.get_by_label("Name").fill("x" * 100)
    here.press("Make key")
    expect(dialog(here, "Keep your key")).to_be_visible()
    fits()
    here.press("I have kept it")
    here.says("Your key is made.")
    fits()
    there = visit(viewport={"width": width, "height": 700})
    begin_sign_in(there, "ann")
    there.press("Use a recovery code")
    assert there.page.evaluate("document.documentElement.scrollWidth") <= width
