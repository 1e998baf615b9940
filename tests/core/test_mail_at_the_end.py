"""What becomes of waiting mails when the process ends, and when it forks. Each test is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SITE = """
import atexit, os, signal, sys, threading
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_accounts import Accounts, Message, events

sent = open("sent", "a", buffering=1)
app = Flask("host")
app.config.update(
    SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="k" * 40, ACCOUNTS_MAIL_WORKERS=1, ACCOUNTS_MAIL_EXIT_PATIENCE=SECONDS,
    ACCOUNTS_MAIL_PAUSE=3600,
)
db = SQLAlchemy()
gate, entered = threading.Event(), threading.Event()

def post(*names):
    with app.app_context():
        for name in names:
            accounts.mail.send(Message(to="ann@example.com", subject="Hello", text="a-secret-token", kind=name))
        db.session.commit()

def told(sender, event):
    print("told:", event.kind, event.reason, flush=True)

events.MailFailed.signal.connect(told)
"""


def run(tmp_path: Path, script: str, *, patience: float = 30) -> subprocess.CompletedProcess[str]:
    """The script's end; the test's own limit is what tells a hang."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SITE.replace("SECONDS", str(patience)) + script],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


def test_what_waits_at_the_end_still_leaves(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def mailer(message):
    gate.wait()
    print(message.kind, file=sent)

accounts = Accounts(db, app, mailer=mailer)
post("one", "two", "three")
atexit.register(gate.set)  # registered last, carried out first: the end has begun, and nothing has left yet
""",
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "sent").read_text().split() == ["one", "two", "three"]


def test_what_does_not_leave_in_time_is_told_and_the_process_ends(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def mailer(message):
    entered.set()
    threading.Event().wait()  # for ever

accounts = Accounts(db, app, mailer=mailer)
post("one", "two")
entered.wait()
""",
        patience=0.05,
    )

    assert done.returncode == 0
    assert done.stdout == "told: one the process ended\ntold: two the process ended\n"
    assert "A mail (two) could not be sent: the process ended." in done.stderr
    assert "a-secret-token" not in done.stderr


def test_at_the_end_nobody_waits_for_a_pause_between_two_tries(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def mailer(message):
    print("tried", file=sent)
    entered.set()
    raise OSError

accounts = Accounts(db, app, mailer=mailer)
post("one")
entered.wait()
""",
    )

    assert done.stdout == "told: one OSError\n"
    assert (tmp_path / "sent").read_text().split() in (["tried", "tried"], ["tried"])  # the pause, or not even that, was begun


def test_a_mail_sent_after_the_end_is_told(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
atexit.register(lambda: post("late"))  # registered first, carried out last
accounts = Accounts(db, app, mailer=lambda message: print(message.kind, file=sent))
post("early")
""",
    )

    assert done.stdout == "told: late the process ended\n"
    assert (tmp_path / "sent").read_text().split() == ["early"]


def test_a_commands_mail_leaves_before_the_command_ends(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        SITE.replace("SECONDS", "30")
        + """
accounts = Accounts(db, app, mailer=lambda message: print(message.kind, file=sent))
with app.app_context():
    db.create_all()
"""
    )
    command = ["accounts", "create-user", "ann@example.com", "--password", "seven brown foxes"]
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sent").read_text().split() == ["verify_email"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_sends_its_own_mail_and_not_its_parents(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def mailer(message):
    if os.getpid() == parent:
        entered.set()
        gate.wait()
    print(message.kind, "of the", "parent" if os.getpid() == parent else "child", file=sent)

parent = os.getpid()
accounts = Accounts(db, app, mailer=mailer)
post("one", "two")
entered.wait()  # the parent's only thread has one at the server and one waiting, as the server forks
with app.extensions["accounts"].mail._changed:  # as if another thread held it
    child = os.fork()
if child == 0:
    signal.alarm(40)  # should it hang
    post("three")
    with app.app_context():
        accounts.mail.drain()
    os._exit(0)
status = os.waitpid(child, 0)[1]
gate.set()
sys.exit(status)
""",
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sent").read_text().splitlines() == ["three of the child", "one of the parent", "two of the parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_an_app_made_before_the_fork_sends_in_each_child(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
accounts = Accounts(db, app, mailer=lambda message: print(message.kind, file=sent))
for name in ("first", "second"):
    child = os.fork()
    if child == 0:
        post(name)
        sys.exit(0)  # as a server's worker ends
    assert os.waitpid(child, 0)[1] == 0
""",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "sent").read_text().split() == ["first", "second"]
