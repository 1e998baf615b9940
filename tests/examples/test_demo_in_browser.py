"""The demo's page in a real browser: what a person does, what an administrator does, and what must never happen.

The browser is whatever Chromium the machine has; without one these tests are skipped and say so.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from examples.demo.models import Post, User

from flask_accounts.testing import PASSWORD
from tests.browser import chromium

from .conftest import Demo
from .visits import FIREFOX, Visitor, expect, visit

__all__ = ["chromium", "visit"]

NEW_PASSWORD = "quite another phrase 17"


def test_a_person_registers_writes_ends_another_session_changes_the_password_and_leaves(visit: Visitor) -> None:
    here = visit()
    page = here.page

    # Registers, after a first try that the server refuses field by field.
    here.go("/")
    here.heading("A notebook that we keep together")
    here.follow("Register")
    here.fill(email="ann@", username="ann", password="short")
    here.press("Register")
    expect(page.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    expect(page.locator("[data-field=password] .problem")).to_have_text("Use at least 8 characters.")
    here.fill(email="ann@example.com", display_name="Ann Lee", password=PASSWORD)
    here.press("Register")
    here.says("Welcome, Ann Lee.")
    here.heading("Confirm your address")
    here.follow("Later")

    # Signs out and in again.
    page.get_by_label("Your account, Ann Lee").click()
    here.press("Sign out")
    here.says("You are signed out.")
    here.follow("Sign in")
    here.fill(login="ann", password="not the password")
    here.press("Sign in")
    expect(page.get_by_role("alert")).to_have_text("The credentials are not valid.")
    here.fill(password=PASSWORD)
    here.press("Sign in")
    here.says("Welcome back, Ann Lee.")

    # Writes, edits.
    here.follow("Write a post")
    here.press("Publish")
    expect(page.locator("[data-field=title] .problem")).to_have_text("Please fill this in.")
    here.fill(title="Bread", body="Flour.\n\nTime.")
    here.press("Publish")
    here.heading("Bread")
    expect(page.locator(".prose p")).to_have_text(["Flour.", "Time."])
    here.follow("Edit")
    here.fill(title="Bread, again")
    here.press("Save")
    here.heading("Bread, again")

    # Sees the session of another browser, and ends it.
    there = visit(user_agent=FIREFOX)
    there.sign_in("ann@example.com")
    here.go("/security")
    sessions = page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(sessions).to_have_count(2)
    expect(sessions.first).to_contain_text("this one")
    expect(sessions.nth(1)).to_contain_text("Firefox on Linux")
    expect(sessions.nth(1)).to_contain_text("127.0.0.1")
    sessions.nth(1).get_by_role("button").click()
    here.says("The session has ended.")
    expect(sessions).to_have_count(1)
    there.follow("Write")
    there.fill(title="From the other browser", body="Too late.")
    there.press("Publish")
    there.heading("Sign in")
    expect(there.page.get_by_role("status").first).to_have_text("Your session has ended. Please sign in again.")

    # Changes the password: a third browser is out, this one stays in.
    third = visit()
    third.sign_in("ann")
    here.fill(current_password=PASSWORD, new_password=NEW_PASSWORD)
    here.press("Change password")
    here.says("Your password is changed. Every other session has ended.")
    third.go("/account")
    third.heading("Sign in")

    # Leaves, and comes in with the new password only.
    here.follow("Account")
    here.press("Sign out")
    here.says("You are signed out.")
    expect(page.locator(".chip")).to_have_count(0)
    here.sign_in("ann", NEW_PASSWORD)


def test_an_address_is_proved_by_the_code_of_the_newest_mail(visit: Visitor, demo: Demo) -> None:
    here = visit()
    page = here.page
    here.go("/register")
    here.fill(email="ann@example.com", username="ann", password=PASSWORD)
    here.press("Register")
    here.heading("Confirm your address")
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    first = here.mail("ann@example.com", "Confirm your e-mail address").letter.locator(".code").inner_text()

    here.press("Send a new code")
    here.says("A new code is on its way. Older ones are void.")
    here.fill(code=first)
    here.press("Confirm address")
    expect(page.locator("[data-field=code] .problem")).to_have_text("This link or code is not good any more.")
    here.follow("Later")
    expect(page.locator(".banner")).to_contain_text("ann@example.com is not confirmed yet.")
    here.follow("Enter the code")
    code = here.mail("ann@example.com", "Confirm your e-mail address").letter.locator(".code").inner_text()
    here.fill(code=f"{code[:4]} {code[4:]}")
    here.press("Confirm address")

    here.says("Your address is confirmed.")
    expect(page.locator(".banner")).to_have_count(0)
    here.go("/account")
    expect(page.get_by_role("list", name="Activity").get_by_role("listitem").first).to_contain_text("Address confirmed")


@pytest.mark.requirement("ASVS 14.2.1")
def test_a_link_uses_nothing_up_before_its_button_is_pressed_and_leaves_no_token_in_the_address_bar(
    visit: Visitor, demo: Demo
) -> None:
    demo.person("ann")
    here = visit()
    for _ in range(2):
        tab = here.mail("ann@example.com", "Confirm your e-mail address")
        tab.letter.get_by_role("link", name="Confirm address").click()
        tab.heading("Confirm your address")
        assert tab.page.url == f"{here.url}/#/verify-email"
        assert not any(request.startswith("POST") for request in here.requests)

    tab.press("Confirm address")

    expect(tab.page.get_by_role("status").first).to_have_text("Your address is confirmed. Please sign in.")
    again = here.mail("ann@example.com", "Confirm your e-mail address")
    again.letter.get_by_role("link", name="Confirm address").click()
    again.press("Confirm address")
    expect(again.page.get_by_role("alert")).to_have_text("This link or code is not good any more.")
    again.page.reload()
    expect(again.page.get_by_label("Code", exact=True)).to_be_visible()  # the token went with the page


def test_a_person_signs_in_by_mail_in_the_browser_that_asked(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", display_name="Ann Lee", email_verified=True)
    here, there = visit(), visit(user_agent=FIREFOX)
    page = here.page

    # By the code. The answer is the same for every address.
    here.go("/write")
    here.heading("Sign in")
    here.follow("Sign in by mail")
    for address in ("nobody@example.com", "ann@example.com"):
        here.heading("Sign in by mail")
        here.fill(email=address)
        here.press("Send me a mail")
        expect(page.get_by_text(f"If there is an account for {address}, a link and a code are on their way.")).to_be_visible()
        expect(page.get_by_label("Code")).to_be_focused()
        here.fill(code="0000 0000")
        here.press("Sign in")
        expect(page.locator("[data-field=code] .problem")).to_have_text("This link or code is not good any more.")
        if address.startswith("nobody"):
            page.reload()
    here.fill(code=here.mail("ann@example.com", "Sign in").letter.locator(".code").inner_text())
    here.press("Sign in")
    here.says("Welcome back, Ann Lee.")
    here.heading("Write a post")  # where she was going

    # By the link: in another browser it is worth nothing, and it is not used up there.
    here.go("/account")
    expect(page.get_by_role("list", name="Activity").get_by_role("listitem").first).to_contain_text("Signed in by mail")
    here.press("Sign out")
    here.says("You are signed out.")
    here.go("/sign-in-by-mail")
    here.fill(email="ann@example.com")
    here.press("Send me a mail")
    expect(page.get_by_label("Code")).to_be_focused()
    for tab in (there.by_mail("ann@example.com", "Sign in"), here.by_mail("ann@example.com", "Sign in")):
        expect(tab.page.get_by_text("By the link from your mail.")).to_be_visible()
        assert tab.page.url == f"{tab.url}/#/sign-in"
        tab.press("Sign in")
        if tab.page.context == there.page.context:
            said = tab.page.get_by_role("alert")
            expect(said).to_have_text("Please open the link in the browser in which you asked for it.")
        else:
            tab.says("Welcome back, Ann Lee.")

    # Who signs out meets the form, and not the old link.
    tab.go("/account")
    tab.press("Sign out")
    tab.says("You are signed out.")
    tab.follow("Sign in")
    expect(tab.page.get_by_label("Password", exact=True)).to_be_visible()


def test_who_registered_an_address_of_others_is_out_once_its_owner_comes(visit: Visitor, demo: Demo) -> None:
    demo.person("eve")  # with the address of somebody else, not proved
    theirs, ours = visit(), visit()
    theirs.sign_in("eve")

    ours.go("/sign-in-by-mail")
    ours.fill(email="eve@example.com")
    ours.press("Send me a mail")
    expect(ours.page.get_by_label("Code")).to_be_focused()
    ours.fill(code=ours.mail("eve@example.com", "Sign in").letter.locator(".code").inner_text())
    ours.press("Sign in")
    ours.says("Welcome back, eve.")

    theirs.go("/account")
    theirs.heading("Sign in")
    theirs.fill(login="eve", password=PASSWORD)
    theirs.press("Sign in")
    expect(theirs.page.get_by_role("alert")).to_have_text("The credentials are not valid.")
    ours.go("/security")
    ours.follow("Forgotten, or none yet?")
    ours.heading("Forgot your password?")
    ours.press("Send me a link")
    expect(ours.page.get_by_role("heading", name="Look at your mail")).to_be_visible()
    reset = ours.by_mail("eve@example.com", "Set a new password")
    reset.fill(new_password=NEW_PASSWORD)
    reset.press("Set password")
    reset.fill(login="eve", password=NEW_PASSWORD)
    reset.press("Sign in")
    reset.says("Welcome back, eve.")


def test_a_forgotten_password_is_replaced_by_mail(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here, there = visit(), visit()
    there.sign_in("ann")
    page = here.page

    # The answer is the same for every address.
    for address in ("nobody@example.com", "ann@example.com"):
        here.go("/sign-in")
        here.follow("Forgot your password?")
        here.fill(email=address)
        here.press("Send me a link")
        expect(page.get_by_role("heading", name="Look at your mail")).to_be_focused()
        expect(page.get_by_text(f"If there is an account for {address}, a link")).to_be_visible()

    # A password that is refused does not use the link up.
    tab = here.by_mail("ann@example.com", "Set a new password")
    tab.heading("Set a new password")
    tab.fill(new_password="short")
    tab.press("Set password")
    expect(tab.page.locator("[data-field=new_password] .problem")).to_have_text("Use at least 8 characters.")
    tab.fill(new_password=NEW_PASSWORD)
    tab.press("Set password")
    tab.heading("Sign in")
    expect(tab.page.get_by_role("status").first).to_have_text("Your new password is set. Please sign in with it.")

    # It worked once, ended every session, and its owner is told.
    again = here.by_mail("ann@example.com", "Set a new password")
    again.fill(new_password="yet another phrase 18")
    again.press("Set password")
    expect(again.page.get_by_role("alert")).to_have_text("This link or code is not good any more.")
    there.follow("Write")
    there.fill(title="Still here?", body="No.")
    there.press("Publish")
    there.heading("Sign in")
    here.mail("ann@example.com", "Your password was changed")
    tab.fill(login="ann", password=NEW_PASSWORD)
    tab.press("Sign in")
    tab.says("Welcome back, ann.")


@pytest.mark.parametrize("limits", [True])
def test_who_guesses_reads_how_long_to_wait(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.go("/sign-in")
    said = here.page.get_by_role("alert")
    for attempt in range(6):
        here.fill(login="ann", password=f"a guess {attempt}")
        here.press("Sign in")
        expect(said).to_have_text("The credentials are not valid." if attempt < 5 else re.compile("Too many attempts"))

    expect(said).to_have_text("Too many attempts. Please try again in 30 seconds.")
    here.fill(password=PASSWORD)
    here.press("Sign in")
    expect(said).to_have_text("Too many attempts. Please try again in 30 seconds.")
    demo.testing.clock.move(seconds=31)
    here.press("Sign in")
    here.says("Welcome back, ann.")


@pytest.mark.parametrize("limits", [True])
def test_who_reads_the_accounts_mail_need_not_wait(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.go("/sign-in")
    for attempt in range(6):
        expect(here.page.get_by_role("link", name="Have a link mailed")).to_have_count(0)
        here.fill(login="ann", password=f"a guess {attempt}")
        here.press("Sign in")
        expect(here.page.get_by_role("alert")).to_have_text(re.compile("not valid" if attempt < 5 else "Too many attempts"))

    here.follow("Have a link mailed")
    here.heading("Too many wrong passwords?")
    here.fill(email="ann@example.com")
    here.press("Send me a link")
    expect(here.page.get_by_role("heading", name="Look at your mail")).to_be_focused()
    tab = here.by_mail("ann@example.com", "Sign in again after wrong passwords")
    tab.heading("Try again at once")
    assert tab.page.url == f"{here.url}/#/unlock"
    tab.press("Forget wrong passwords")
    expect(tab.page.get_by_role("status").first).to_have_text("You may try again now.")
    tab.fill(login="ann", password=PASSWORD)
    tab.press("Sign in")
    tab.says("Welcome back, ann.")

    # It worked once.
    again = here.by_mail("ann@example.com", "Sign in again after wrong passwords")
    again.press("Forget wrong passwords")
    expect(again.page.get_by_role("alert")).to_have_text("This link or code is not good any more.")
    again.follow("Ask for a new one")
    again.heading("Too many wrong passwords?")


@pytest.mark.parametrize("limits", [True])
def test_an_administrator_unlocks_confirms_and_forces_a_new_password(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"], display_name="Ada Holm")
    ben = demo.person("ben", display_name="Ben Moss")
    theirs, ours = visit(), visit()
    theirs.go("/sign-in")
    for attempt in range(6):
        theirs.fill(login="ben", password=f"a guess {attempt}")
        theirs.press("Sign in")
        expect(theirs.page.get_by_role("alert")).to_have_text(re.compile("not valid" if attempt < 5 else "Too many"))
    ours.sign_in("ada")
    ours.go(f"/people/{ben.id}")

    ours.press("Unlock")
    ours.says("Ben Moss may try again.")
    theirs.fill(password=PASSWORD)
    theirs.press("Sign in")
    theirs.says("Welcome back, Ben Moss.")

    ours.press("Send again")
    ours.says("A mail is on its way.")
    tab = theirs.mail("ben@example.com", "Confirm your e-mail address")
    tab.letter.get_by_role("link", name="Confirm address").click()
    tab.press("Confirm address")
    tab.says("Your address is confirmed.")

    ours.press("Force a new one")
    ours.press("Force a new password")
    ours.says("Ben Moss has to set a new password.")
    expect(ours.page.get_by_role("button", name="Send again")).to_have_count(0)
    expect(ours.page.get_by_role("list", name="Activity").get_by_role("listitem").first).to_contain_text("by you")
    tab.go("/account")
    tab.heading("Sign in")
    tab.fill(login="ben", password=PASSWORD)
    tab.press("Sign in")
    expect(tab.page.get_by_role("alert")).to_have_text("The credentials are not valid.")
    mail = theirs.by_mail("ben@example.com", "Set a new password")
    mail.fill(new_password=NEW_PASSWORD)
    mail.press("Set password")
    mail.fill(login="ben", password=NEW_PASSWORD)
    mail.press("Sign in")
    mail.says("Welcome back, Ben Moss.")


def test_an_administrator_searches_promotes_and_disables_and_the_disabled_person_is_out(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"], display_name="Ada Holm")
    demo.person("ben", display_name="Ben Moss")
    for number in range(9):
        demo.person(f"person{number}")
    with demo.app.app_context():
        demo.testing.runtime.db.session.commit()
    theirs, ours = visit(), visit()
    theirs.sign_in("ben")
    expect(theirs.page.get_by_role("link", name="People")).to_have_count(0)
    ours.sign_in("ada@example.com")
    page = ours.page

    # Pages through everybody, then finds one.
    ours.follow("People")
    rows = page.get_by_role("list", name="Accounts").get_by_role("listitem")
    expect(rows).to_have_count(8)
    ours.press("Next →")
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    expect(rows).to_have_count(3)
    page.get_by_label("Search").fill("BEN@")
    expect(rows).to_have_count(1)

    # Promotes: the rights are there with the next request.
    ours.follow("Manage Ben Moss")
    ours.heading("Ben Moss")
    expect(page.get_by_text("in one place")).to_be_visible()
    page.get_by_label("Administrator").check()
    ours.press("Save role")
    ours.says("The role of Ben Moss is saved.")
    expect(page.locator(".badge", has_text="admin")).to_be_visible()
    theirs.page.reload()
    theirs.follow("People")
    theirs.heading("People")

    # Demotes and disables: out with the next request.
    page.get_by_label("Member").check()
    ours.press("Save role")
    expect(page.locator(".badge", has_text="admin")).to_have_count(0)
    ours.press("Disable…")
    ours.fill(reason="Sells things")
    ours.press("Disable account")
    ours.says("Ben Moss is disabled and signed out everywhere.")
    expect(page.locator(".badge", has_text="disabled")).to_be_visible()
    expect(page.get_by_role("list", name="Activity")).to_contain_text("Account disabled: Sells things")
    theirs.follow("Write")
    theirs.fill(title="Still here?", body="No.")
    theirs.press("Publish")
    theirs.heading("Sign in")
    theirs.fill(login="ben", password=PASSWORD)
    theirs.press("Sign in")
    expect(theirs.page.get_by_role("alert")).to_have_text("This account is disabled.")

    # Enables again. The list is the one that was left.
    ours.press("Enable")
    ours.says("Ben Moss is enabled.")
    ours.follow("← People")
    expect(rows).to_have_count(1)
    expect(rows).not_to_contain_text("disabled")
    theirs.press("Sign in")
    theirs.says("Welcome back, Ben Moss.")


def test_an_administrator_disables_until_a_day_and_the_person_reads_when_it_is_over(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"])
    ben = demo.person("ben", display_name="Ben Moss")
    demo.post(ben, "His")
    day = demo.testing.clock.now() + timedelta(days=7)
    said = f"{day.day} {day:%B %Y}"
    ours, theirs = visit(timezone_id="UTC"), visit(timezone_id="UTC")
    ours.sign_in("ada")
    ours.go(f"/people/{ben.id}")

    ours.press("Disable…")
    ours.fill(until="2020-01-01")
    ours.press("Disable account")
    expect(ours.page.locator("[data-field=until] .problem")).to_have_text("Give a time to come, with its zone.")
    ours.fill(reason="Sells things", until=f"{day:%Y-%m-%d}")
    ours.press("Disable account")
    ours.says("Ben Moss is disabled and signed out everywhere.")
    expect(ours.page.get_by_role("region", name="Access")).to_contain_text(f", until {said}: Sells things. Nobody signs in to it.")
    expect(ours.page.get_by_role("list", name="Activity")).to_contain_text(f"Account disabled until {said}: Sells things")

    theirs.go("/")
    expect(theirs.page.get_by_text("Nothing has been written here yet.")).to_be_visible()
    theirs.follow("Sign in")
    theirs.fill(login="ben", password=PASSWORD)
    theirs.press("Sign in")
    # When it is over, but not why.
    expect(theirs.page.get_by_role("alert")).to_have_text(f"This account is disabled. You may sign in again from {said} on.")
    demo.testing.clock.move(days=7)
    theirs.press("Sign in")
    theirs.says("Welcome back, Ben Moss.")
    expect(theirs.page.get_by_role("link", name="His")).to_be_visible()
    theirs.go("/account")
    expect(theirs.page.get_by_role("list", name="Activity")).to_contain_text(f"Account disabled until {said}")
    expect(theirs.page.get_by_role("list", name="Activity")).not_to_contain_text("Sells things")


def test_the_last_administrator_reads_why_that_does_not_work(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"])
    here = visit()
    here.sign_in("ada")

    here.go("/people")
    here.follow("Manage ada")
    here.press("Disable…")
    here.press("Disable account")

    said = here.page.get_by_role("alert").filter(has_text="The last administrator cannot be removed, disabled or demoted.")
    expect(said).to_be_visible()


def test_an_expired_token_is_renewed_once_however_many_calls_meet_it(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.sign_in("ann")
    demo.testing.clock.move(minutes=16)
    here.requests.clear()

    here.go("/security")  # asks for the account and its sessions at the same time

    expect(here.page.get_by_role("region", name="Where you are signed in")).to_contain_text("this one")
    assert here.requests.count("POST /api/auth/refresh") == 1
    assert here.requests.count("GET /api/auth/me") == here.requests.count("GET /api/auth/sessions") == 2


LATE = """() => {
const ask = window.fetch;
let free;
const renewed = new Promise((resolve) => { free = resolve; });
window.fetch = async (path, options) => {
  const answer = await ask(path, options);
  if (path.endsWith("/auth/refresh")) setTimeout(free);  // once whoever waits for it has heard
  if (path.endsWith("/auth/sessions") && answer.status === 401) await renewed;
  return answer;
};
}"""
"""One refusal comes in after another call has renewed the tokens."""


def test_a_refusal_that_comes_in_late_does_not_renew_the_tokens_once_more(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.sign_in("ann")
    demo.testing.clock.move(minutes=16)
    here.requests.clear()
    here.page.evaluate(LATE)

    here.go("/security")

    expect(here.page.get_by_role("region", name="Where you are signed in")).to_contain_text("this one")
    assert here.requests.count("GET /api/auth/sessions") == 2
    assert here.requests.count("POST /api/auth/refresh") == 1


@pytest.mark.requirement("ASVS 7.5.1")
def test_a_new_address_asks_for_the_password_when_the_sign_in_is_old(visit: Visitor, demo: Demo) -> None:
    ann = demo.person("ann")
    here = visit()
    here.sign_in("ann")
    demo.testing.clock.move(minutes=16)
    here.go("/account")
    here.fill(email="new@example.com")
    here.press("Change address")
    dialog = here.page.get_by_role("dialog", name="Confirm that it is you")

    dialog.get_by_label("Password", exact=True).fill("not the password")
    here.press("Confirm")
    expect(dialog.get_by_role("alert")).to_have_text("The credentials are not valid.")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    here.press("Confirm")

    here.heading("Confirm your new address")
    assert demo.client(ann).get("/api/auth/me").get_json()["email"] == "ann@example.com"


def test_a_new_address_proves_itself_and_the_old_one_takes_the_account_back(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", email_verified=True)
    theirs, ours = visit(), visit()
    theirs.sign_in("ann")
    page = theirs.page

    # Somebody at the open browser moves the account to an address of their own.
    theirs.go("/account")
    theirs.fill(email="ann@example.com")
    theirs.press("Change address")
    expect(page.locator("[data-field=email] .problem")).to_have_text("This is the account's address already.")
    theirs.fill(email="eve@example.com")
    theirs.press("Change address")
    theirs.heading("Confirm your new address")
    expect(page.get_by_label("Code")).to_be_focused()
    theirs.fill(code="0000 0000")
    theirs.press("Use this address")
    expect(page.locator("[data-field=code] .problem")).to_have_text("This link or code is not good any more.")
    ours.mail("ann@example.com", "Another e-mail address for your account?")
    theirs.fill(code=theirs.mail("eve@example.com", "Confirm your new e-mail address").letter.locator(".code").inner_text())
    theirs.press("Use this address")
    theirs.says("Your address is changed.")
    expect(page.get_by_text("You sign in with eve@example.com.")).to_be_visible()
    expect(page.get_by_role("list", name="Activity")).to_contain_text("Address changed from ann@example.com to eve@example.com")

    # The old address is told, and is enough: the browser of the owner is not signed in.
    notice = ours.by_mail("ann@example.com", "Your e-mail address was changed")
    notice.heading("Take your account back")
    assert notice.page.url == f"{notice.url}/#/undo-email-change"
    notice.press("Take my account back")
    expect(notice.page.get_by_role("heading", name="It is yours again")).to_be_focused()
    theirs.follow("Write")
    theirs.fill(title="Still here?", body="No.")
    theirs.press("Publish")
    theirs.heading("Sign in")
    ours.mail("eve@example.com", "The change to this e-mail address was undone")

    # The password may be known to others: the owner sets another, and only that one is good.
    reset = ours.by_mail("ann@example.com", "Set a new password")
    reset.fill(new_password=NEW_PASSWORD)
    reset.press("Set password")
    reset.fill(login="ann@example.com", password=PASSWORD)
    reset.press("Sign in")
    expect(reset.page.get_by_role("alert")).to_have_text("The credentials are not valid.")
    reset.fill(password=NEW_PASSWORD)
    reset.press("Sign in")
    reset.says("Welcome back, ann.")


def test_the_link_to_a_new_address_works_in_any_browser_and_once(visit: Visitor, demo: Demo) -> None:
    ann = demo.person("ann")
    here, phone = visit(), visit()
    here.sign_in("ann")
    here.go("/account")
    here.fill(email="new@example.com")
    here.press("Change address")
    here.heading("Confirm your new address")

    for said in ("Your new address counts from now on. Please sign in with it.", None):
        tab = phone.by_mail("new@example.com", "Confirm your new e-mail address")
        tab.heading("Confirm your new address")
        tab.press("Use this address")
        if said:
            expect(tab.page.get_by_role("status").first).to_have_text(said)
        else:
            expect(tab.page.get_by_role("alert")).to_have_text("This link or code is not good any more.")

    assert demo.client(ann).get("/api/auth/me").get_json()["email"] == "new@example.com"
    # Where nobody is signed in, a code is of no use.
    phone.go("/confirm-email-change")
    expect(phone.page.get_by_text("Please open the link in your mail once more.")).to_be_visible()


def test_an_administrator_invites_sends_again_and_withdraws_and_a_colleague_joins(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"], display_name="Ada Holm")
    demo.person("mira", roles=["moderator"])
    ours, theirs = visit(), visit()
    ours.sign_in("ada")
    page = ours.page
    ours.follow("People")
    ours.follow("Invitations")
    expect(page.get_by_text("Nobody has been invited yet.")).to_be_visible()

    # What does not work is said beside the field.
    ours.fill(email="ada@example.com")
    ours.press("Send invitation")
    expect(page.locator("[data-field=email] .problem")).to_have_text("This e-mail address is taken.")
    for email, rank in (("ben@example.com", "Moderator"), ("eve@example.com", "Member")):
        ours.fill(email=email)
        page.get_by_label(rank).check()
        ours.press("Send invitation")
        ours.says(f"{email} is invited.")
    ours.fill(email="ben@example.com")
    ours.press("Send invitation")
    expect(page.locator("[data-field=email] .problem")).to_have_text("This address has an open invitation.")

    # Sent again, the older link is void; withdrawn, there is none.
    rows = page.get_by_role("list", name="Invitations").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="ben@example.com")).to_contain_text("moderator")
    older = theirs.mail("ben@example.com", "You are invited to Commonplace")
    ours.press("Send again: ben@example.com")
    ours.says("ben@example.com is invited again. The older link is void.")
    ours.press("Withdraw: eve@example.com")
    ours.says("The invitation of eve@example.com is withdrawn.")
    expect(rows.filter(has_text="eve@example.com")).to_contain_text("withdrawn")
    for tab in (older, theirs.mail("eve@example.com", "You are invited to Commonplace")):
        tab.page.locator(".mail-text a").click()
        tab.heading("This invitation is over")

    # Whoever is signed in at the browser is asked to sign out first; the invited then joins with the role.
    joining = ours.mail("ben@example.com", "You are invited to Commonplace")
    joining.letter.get_by_role("link", name="Accept the invitation").click()
    joining.heading("You are invited")
    expect(joining.page.get_by_text("You are signed in as Ada Holm here.")).to_be_visible()
    joining.press("Sign out")
    expect(joining.page.get_by_text("ben@example.com")).to_be_visible()
    joining.fill(username="ada", password=PASSWORD)
    joining.press("Join")
    expect(joining.page.locator("[data-field=username] .problem")).to_have_text("This username is taken.")
    joining.fill(username="ben", display_name="Ben Moss")
    joining.press("Join")
    joining.says("Welcome, Ben Moss.")
    expect(joining.page.locator(".banner")).to_have_count(0)  # the mail has proved the address
    joining.go("/account")
    expect(joining.page.locator(".badge", has_text="moderator")).to_be_visible()
    back = visit()
    back.sign_in("ada")
    back.go("/people/invitations")
    expect(back.page.get_by_role("listitem").filter(has_text="ben@example.com")).to_contain_text("accepted")
    back.follow("Manage ben@example.com")
    back.heading("Ben Moss")


def test_everything_stored_is_downloaded_once_the_password_is_given(visit: Visitor, demo: Demo) -> None:
    demo.post(demo.person("ann", display_name="Ann Lee"), "Hers")
    demo.post(demo.person("ben"), "His")
    here = visit()
    here.sign_in("ann")
    demo.testing.clock.move(minutes=16)
    here.go("/account")

    here.press("Download everything")
    here.page.get_by_role("dialog", name="Confirm that it is you").get_by_label("Password", exact=True).fill(PASSWORD)
    with here.page.expect_download() as downloading:
        here.press("Confirm")

    found = json.loads(downloading.value.path().read_text())
    assert downloading.value.suggested_filename == "account.json"
    assert (found["account"]["email"], found["account"]["display_name"]) == ("ann@example.com", "Ann Lee")
    assert [post["title"] for post in found["application"]["posts"]] == ["Hers"]
    here.page.reload()
    expect(here.page.get_by_role("list", name="Activity")).to_contain_text("All data downloaded")


def test_a_person_deletes_the_account_and_has_it_back_by_signing_in(visit: Visitor, demo: Demo) -> None:
    demo.post(demo.person("ann", display_name="Ann Lee"), "Hers")
    here, there = visit(), visit()
    here.sign_in("ann")
    there.sign_in("ann")
    here.go("/account")

    here.press("Delete account…")
    here.page.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
    here.press("Delete account")

    here.says("Your account is deleted. Until it is gone for good, signing in brings it back.")
    expect(here.page.get_by_text("Nothing has been written here yet.")).to_be_visible()
    # What is left binds the sign-in page's question for passkeys to this browser, and is worth nothing by itself.
    assert {cookie["name"] for cookie in here.page.context.cookies()} == {"__Host-passkey"}
    there.go("/account")
    there.heading("Sign in")
    here.mail("ann@example.com", "Your account will be erased on")

    demo.testing.clock.move(days=29)
    here.sign_in("ann")
    here.says("Welcome back, Ann Lee. Your account and your posts are restored.")
    here.heading("Newest pages")
    expect(here.page.get_by_role("link", name="Hers")).to_be_visible()
    here.go("/account")
    expect(here.page.get_by_role("list", name="Activity")).to_contain_text("Account restored")
    here.press("Sign out")
    here.says("You are signed out.")
    here.sign_in("ann")
    here.says("Welcome back, Ann Lee.")


def test_an_administrator_sees_that_an_account_waits_to_be_erased_and_keeps_it(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"])
    ann = demo.person("ann", display_name="Ann Lee")
    demo.post(ann, "Hers")
    assert demo.client(ann).delete("/api/auth/me").status_code == 204
    here = visit()
    here.sign_in("ada")
    here.go(f"/people/{ann.id}")

    access = here.page.get_by_role("region", name="Access")
    expect(access).to_contain_text("Deleted by its owner on")
    expect(access).to_contain_text("Signing in brings it back; so does enabling.")
    here.press("Enable")

    here.says("Ann Lee is enabled.")
    expect(here.page.get_by_role("list", name="Activity")).to_contain_text("Account restored")
    here.go("/")
    expect(here.page.get_by_role("link", name="Hers")).to_be_visible()


def test_after_the_time_of_grace_nothing_of_the_account_is_left(visit: Visitor, demo: Demo) -> None:
    demo.post(demo.person("ann"), "Hers")
    here = visit()
    here.sign_in("ann")
    here.go("/account")
    here.press("Delete account…")
    here.page.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
    here.press("Delete account")
    here.says("Your account is deleted. Until it is gone for good, signing in brings it back.")

    demo.testing.clock.move(days=31)
    demo.app.test_cli_runner().invoke(args=["accounts", "purge"])

    assert (demo.count(User), demo.count(Post)) == (0, 0)
    here.go("/sign-in")
    here.fill(login="ann", password=PASSWORD)
    here.press("Sign in")
    expect(here.page.get_by_role("alert")).to_have_text("The credentials are not valid.")


def test_the_whole_life_of_an_account(visit: Visitor, demo: Demo) -> None:
    demo.person("ada", roles=["admin"])
    here, theirs, ours = visit(), visit(), visit()
    page = here.page

    # Registers, and proves the address by the code.
    here.go("/register")
    here.fill(email="ann@example.com", username="ann", display_name="Ann Lee", password=PASSWORD)
    here.press("Register")
    here.heading("Confirm your address")
    here.fill(code=here.mail("ann@example.com", "Confirm your e-mail address").letter.locator(".code").inner_text())
    here.press("Confirm address")
    here.says("Your address is confirmed.")
    here.follow("Write")
    here.fill(title="Bread", body="Flour and time.")
    here.press("Publish")
    here.heading("Bread")

    # Forgets the password, and sets another.
    here.go("/account")
    here.press("Sign out")
    here.says("You are signed out.")
    here.go("/forgot-password")
    here.fill(email="ann@example.com")
    here.press("Send me a link")
    expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()
    here = here.by_mail("ann@example.com", "Set a new password")
    page = here.page
    here.fill(new_password=NEW_PASSWORD)
    here.press("Set password")
    here.heading("Sign in")
    here.fill(login="ann", password=NEW_PASSWORD)
    here.press("Sign in")
    here.says("Welcome back, Ann Lee.")

    # Changes the address; the old one is told.
    here.go("/account")
    here.fill(email="lee@example.com")
    here.press("Change address")
    here.heading("Confirm your new address")
    here.fill(code=here.mail("lee@example.com", "Confirm your new e-mail address").letter.locator(".code").inner_text())
    here.press("Use this address")
    here.says("Your address is changed.")
    here.mail("ann@example.com", "Your e-mail address was changed")

    # Is made an administrator, and invites a colleague.
    ours.sign_in("ada")
    ours.go("/people")
    ours.follow("Manage Ann Lee")
    ours.page.get_by_label("Administrator").check()
    ours.press("Save role")
    ours.says("The role of Ann Lee is saved.")
    page.reload()
    here.follow("People")
    here.follow("Invitations")
    here.fill(email="ben@example.com")
    here.press("Send invitation")
    here.says("ben@example.com is invited.")
    joining = theirs.by_mail("ben@example.com", "You are invited to Commonplace")
    joining.fill(username="ben", password=PASSWORD)
    joining.press("Join")
    joining.says("Welcome, ben.")
    page.reload()
    expect(page.get_by_role("list", name="Invitations")).to_contain_text("accepted")

    # Takes everything along.
    here.go("/account")
    with page.expect_download() as downloading:
        here.press("Download everything")
    found = json.loads(downloading.value.path().read_text())
    assert (found["account"]["email"], found["account"]["roles"]) == ("lee@example.com", ["admin"])
    assert [post["title"] for post in found["application"]["posts"]] == ["Bread"]

    # Leaves, and thinks better of it.
    here.press("Delete account…")
    page.get_by_role("dialog").get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    here.press("Delete account")
    here.says("Your account is deleted. Until it is gone for good, signing in brings it back.")
    expect(page.get_by_text("Nothing has been written here yet.")).to_be_visible()
    here.mail("lee@example.com", "Your account will be erased on")
    here.sign_in("lee@example.com", NEW_PASSWORD)
    here.says("Welcome back, Ann Lee. Your account and your posts are restored.")
    expect(page.get_by_role("link", name="Bread")).to_be_visible()


@pytest.mark.requirement("ASVS 3.2.2")
def test_what_people_write_never_becomes_markup(visit: Visitor, demo: Demo) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    eve = demo.person("eve", display_name=attack[:80])
    post = demo.post(eve, attack, attack)
    demo.person("ada", roles=["admin"])
    here = visit()
    here.sign_in("ada")

    for path in ("/", f"/posts/{post}", "/people"):
        here.go(path)
        expect(here.page.get_by_text("<img src=x").first).to_be_visible()

        assert here.page.locator("main img, main script").count() == 0
        assert here.page.title() != "owned"


@pytest.mark.requirement("ASVS 3.3.1")
def test_no_script_reaches_a_token(visit: Visitor, demo: Demo) -> None:
    demo.person("ann")
    here = visit()
    here.sign_in("ann")

    names = {pair.split("=")[0] for pair in here.page.evaluate("document.cookie").split("; ")}
    kept = here.page.evaluate("[localStorage.length, sessionStorage.length]")

    assert names == {"csrf_access_token", "csrf_refresh_token"}
    assert kept == [0, 0]
    assert {cookie["name"] for cookie in here.page.context.cookies() if cookie["secure"] and cookie["httpOnly"]} == {
        "__Host-access_token", "__Host-refresh_token", "__Host-passkey",
    }  # fmt: skip


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_page_is_wider_than_the_screen(visit: Visitor, demo: Demo, width: int) -> None:
    ada = demo.person("ada", roles=["admin"], display_name="x" * 80)
    post = demo.post(ada, "y" * 120, "z" * 300)
    here = visit(viewport={"width": width, "height": 800})
    demo.person("ann", display_name="w" * 80)
    for path in (
        "/register", "/sign-in", "/forgot-password", "/verify-email", "/reset-password",
        "/confirm-email-change", "/undo-email-change", "/accept-invitation", "/unlock", "/sign-in-by-mail", "/signed-in",
    ):  # fmt: skip
        here.go(path)
        expect(here.page.get_by_role("heading", level=1)).to_be_visible()
        assert here.page.evaluate("document.documentElement.scrollWidth") <= width, path
    here.mail("ann@example.com", "Confirm your e-mail address")
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width
    here.sign_in("ada")
    here.go("/people/invitations")
    here.fill(email=f"{'v' * 64}@example.com")
    here.press("Send invitation")
    expect(here.page.get_by_role("list", name="Invitations").get_by_role("listitem")).to_have_count(1)

    for path in (
        "/", f"/posts/{post}", "/write", "/account", "/security", "/people", f"/people/{ada.id + 1}", "/people/invitations",
        "/verify-email", "/confirm-email-change", "/nothing",
    ):  # fmt: skip
        here.go(path)
        expect(here.page.locator(".loading")).to_have_count(0)
        expect(here.page.get_by_role("heading", level=1)).to_be_visible()

        assert here.page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_everything_has_a_name_and_the_keyboard_is_enough_to_sign_in(visit: Visitor, demo: Demo) -> None:
    demo.person("ann", display_name="Ann Lee")
    here = visit()
    here.go("/sign-in")
    here.heading("Sign in")

    expect(here.page.get_by_label("E-mail address or username")).to_be_focused()
    for text in ("ann", PASSWORD):
        here.page.keyboard.type(text)
        here.page.keyboard.press("Tab")
    here.page.keyboard.press("Tab")  # past the button that shows the password
    here.page.keyboard.press("Enter")

    here.says("Welcome back, Ann Lee.")
    for path in ("/", "/write", "/account", "/security", "/verify-email", "/confirm-email-change", "/forgot-password", "/unlock"):
        here.go(path)
        expect(here.page.locator(".loading")).to_have_count(0)
        nameless = here.page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([hidden]), textarea, select")]
            .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute("aria-label")))
            .map((one) => one.outerHTML)"""
        )
        assert nameless == []
