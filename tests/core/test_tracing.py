"""Spans: their names and places, what they say of errors, what they never say, and that they cost nothing where nobody looks."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from flask_accounts import Feature, default_features
from flask_accounts.core import tracing
from flask_accounts.core.errors import ChallengeRequired, InvalidCredentials
from flask_accounts.core.gates import Answer, ChallengeMethod, Gate, LoginAttempt
from flask_accounts.core.mail import MailRoom, MailSettings, Message
from flask_accounts.core.passwords import scheme
from flask_accounts.core.runtime import Runtime
from flask_accounts.core.users import UserView
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

ROOT = Path(__file__).parent.parent.parent
AGENT = "Marker-Agent/7.7 (planted)"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What has been traced, by a provider that is set for this test only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def names(spans: InMemorySpanExporter) -> list[str]:
    """The names of our spans so far, in the order they began; then forget them."""
    found = sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0)
    spans.clear()
    return [span.name for span in found if span.name.startswith("accounts.")]


def one(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = (span for span in spans.get_finished_spans() if span.name == name)
    return found


def of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# Names and places


def test_each_step_has_a_span(site: Site, spans: InMemorySpanExporter) -> None:
    site.user("ann@example.com")
    spans.clear()

    pair = site.tokens("ann@example.com")
    assert names(spans) == ["accounts.entry_checks", "accounts.password.verify", "accounts.sign_in"]

    assert site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 200
    assert names(spans) == ["accounts.authenticate"]

    assert site.client.post("/api/auth/refresh", headers=bearer(pair["refresh_token"])).status_code == 200
    assert names(spans) == ["accounts.refresh", "accounts.entry_checks"]

    site.client.post("/api/auth/register", json={"email": "ben@example.com", "password": PASSWORD})
    assert names(spans) == ["accounts.entry_checks", "accounts.password.hash", "accounts.mail.send"]


def test_the_caller_is_authenticated_once_a_request(site: Site, spans: InMemorySpanExporter) -> None:
    client = site.client_for(site.user())
    spans.clear()

    client.get("/api/auth/me")

    assert names(spans).count("accounts.authenticate") == 1


def test_spans_stand_inside_the_hosts_own(site: Site, spans: InMemorySpanExporter) -> None:
    site.user("ann@example.com")
    spans.clear()

    with trace.get_tracer("host").start_as_current_span("the host's request") as outer:
        site.tokens("ann@example.com")

    for name in ("accounts.entry_checks", "accounts.password.verify", "accounts.sign_in"):
        parent = one(spans, name).parent
        assert parent is not None
        assert parent.span_id == outer.get_span_context().span_id


def test_a_step_within_a_step_is_its_child(site: Site, spans: InMemorySpanExporter) -> None:
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["refresh_token"]
    spans.clear()

    site.client.post("/api/auth/refresh", headers=bearer(token))

    inner, outer = one(spans, "accounts.entry_checks"), one(spans, "accounts.refresh")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


def test_a_mail_belongs_to_the_trace_of_what_caused_it_though_another_thread_sends_it(
    site: Site, spans: InMemorySpanExporter
) -> None:
    release, sent_by = threading.Event(), []

    class Slow:
        def send(self, message: Message) -> None:
            assert release.wait(10)
            sent_by.append(threading.current_thread())

    mail = site.testing.runtime.mail = MailRoom(Slow(), site.testing.runtime.events, site.app, MailSettings())
    with trace.get_tracer("host").start_as_current_span("the host's request") as outer:
        site.client.post("/api/auth/register", json={"email": "ben@example.com", "password": PASSWORD})
    release.set()  # the request is over
    mail.drain()

    sent = one(spans, "accounts.mail.send")
    assert sent_by != [threading.current_thread()]
    assert sent.parent is not None
    assert sent.parent.span_id == outer.get_span_context().span_id
    assert sent.status.status_code is StatusCode.UNSET
    assert of(sent) == {"accounts.mail_kind": "verify_email", "accounts.mail_tries": 1}


# Attributes and errors


def test_attributes_say_what_was_done(site: Site, spans: InMemorySpanExporter) -> None:
    site.user("ann@example.com")
    spans.clear()
    token = site.tokens("ann@example.com")["access_token"]
    site.client.get("/api/auth/me", headers=bearer(token))

    assert of(one(spans, "accounts.entry_checks")) == {"accounts.action": "login"}
    assert of(one(spans, "accounts.password.verify")) == {"accounts.hash_scheme": "other", "accounts.outcome": "match"}
    assert of(one(spans, "accounts.sign_in")) == {"accounts.amr": ("pwd",)}
    assert of(one(spans, "accounts.authenticate")) == {"accounts.credential": "headers"}


@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        ("$argon2id$v=19$...", "argon2id"), ("$argon2i$v=19$...", "argon2"), ("$2b$12$...", "bcrypt"), ("scrypt:32768:8:1$...", "scrypt"),
        ("pbkdf2:sha256:600000$...", "pbkdf2"), ("{a host's own}...", "other"), ("", "none"), (None, "none"),
    ],
)  # fmt: skip
def test_schemes_of_hashes_are_named(encoded: str | None, name: str) -> None:
    assert scheme(encoded) == name


def test_a_refusal_sets_the_status_to_its_stable_code(site: Site, spans: InMemorySpanExporter) -> None:
    ann = site.user("ann@example.com")
    with site.app.app_context():
        site.accounts.users.disable(ann.id)
        site.db.session.commit()
    spans.clear()

    assert site.login("ann@example.com").status_code == 403
    assert site.client.get("/api/auth/me", headers=bearer("nonsense")).status_code == 401

    for name, code in (("accounts.sign_in", "ACCOUNT_DISABLED"), ("accounts.authenticate", "INVALID_TOKEN")):
        found = one(spans, name)
        assert (found.status.status_code, found.status.description) == (StatusCode.ERROR, code)
        assert of(found)["error.type"] == code
        assert found.events == ()


def test_a_sign_in_that_asks_for_more_is_no_failure(make_site: MakeSite, spans: InMemorySpanExporter) -> None:
    def gate(attempt: LoginAttempt, user: UserView) -> None:
        raise ChallengeRequired(["code"])

    site = make_site(gates=[gate])
    site.user("ann@example.com")
    spans.clear()

    assert site.login("ann@example.com").status_code == 401

    found = one(spans, "accounts.sign_in")
    assert found.status.status_code is StatusCode.UNSET
    assert of(found)["accounts.outcome"] == "challenged"


def test_of_an_error_that_is_a_bug_only_the_kind_is_kept(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="is at fault"), tracing.span("accounts.test"):
        raise ValueError("ann@example.com is at fault")

    found = one(spans, "accounts.test")
    assert (found.status.status_code, found.status.description) == (StatusCode.ERROR, "ValueError")
    assert "ann@example.com" not in found.to_json()


def test_a_mail_that_cannot_be_sent_says_why_without_its_words(site: Site, spans: InMemorySpanExporter) -> None:
    class Broken:
        def send(self, message: Message) -> None:
            raise OSError(message.text)

    room = MailRoom(Broken(), site.testing.runtime.events, site.app, MailSettings(attempts=3, pause=0))
    with site.app.app_context():
        room.send(Message(to="ann@example.com", subject="A subject", text="A secret link", kind="hello"))
        site.db.session.commit()
    room.drain()

    found = one(spans, "accounts.mail.send")
    assert (found.status.status_code, found.status.description) == (StatusCode.ERROR, "OSError")
    assert of(found) == {"accounts.mail_kind": "hello", "accounts.mail_tries": 3, "error.type": "OSError"}


class SecondWord(Feature):
    """Asks for a word after the password."""

    name = "second_word"

    def gates(self, runtime: Runtime) -> Sequence[Gate]:
        def gate(attempt: LoginAttempt, user: UserView) -> None:
            if "word" not in attempt.answered:
                raise ChallengeRequired(["word"])

        return [gate]

    def challenge_methods(self, runtime: Runtime) -> Mapping[str, ChallengeMethod]:
        def answered(attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
            if answer.code != "marked-word":
                raise InvalidCredentials
            return attempt

        return {"word": answered}


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_span_holds_personal_data_or_a_secret(make_site: MakeSite, spans: InMemorySpanExporter) -> None:
    config = {"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com"}
    site = make_site(user_key="uuid7", limits=True, features=[*default_features(), SecondWord()], config=config)
    email, username, password, other = "marked.ann@example.com", "markedann", "marked brown foxes 71", "marked purple newts 72"
    client = site.app.test_client()
    client.environ_base.update({"REMOTE_ADDR": "203.0.113.77", "HTTP_USER_AGENT": AGENT})

    def post(path: str, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {body.pop('token')}"} if "token" in body else {}
        answer = client.post(f"/api/auth{path}", json=body, headers=headers)
        return answer.get_json(silent=True) or {}

    user = post("/register", email=email, username=username, password=password)["user"]
    post("/register", email=email, username=username, password=password)
    code = re.search(r"\b\d{8}\b", site.testing.outbox[0].text)
    assert code
    post("/email/verify", email=email, code="00000000")
    post("/email/verify", email=email, code=code[0])
    post("/login", email=email, password="marked wrong one 73")
    post("/login", email="marked.nobody@example.com", password=password)
    waiting = post("/login", username=username, password=password)["challenge_token"]
    post("/challenge", challenge_token=waiting, method="word", code="marked wrong word")
    pair = post("/challenge", challenge_token=waiting, method="word", code="marked-word")
    fresh = post("/refresh", token=pair["refresh_token"])
    client.get("/api/auth/me", headers=bearer(fresh["access_token"]))
    client.get(f"/api/users/{user['id']}", headers=bearer(fresh["access_token"]))
    post("/reauthenticate", token=fresh["access_token"], password=password)
    post("/password/forgot", email=email)
    token = re.search(r"#token=(\S+)", site.testing.outbox[-1].text)
    assert token
    client.post("/api/auth/password/reset", json={"token": token[1], "new_password": other})
    post("/login", email=email, password=other)

    said = "\n".join(span.to_json() for span in spans.get_finished_spans())
    planted = [
        email, "marked", username, password, other, AGENT, "203.0.113.77", user["id"], user["id"].replace("-", ""), code[0], token[1],
        waiting, pair["access_token"], pair["refresh_token"], fresh["access_token"], fresh["refresh_token"],
    ]  # fmt: skip
    assert {span.name for span in spans.get_finished_spans()} == set(stated())
    assert [marker for marker in planted if marker in said] == []


def stated() -> list[str]:
    """The spans that the guide states."""
    return re.findall(
        r"^\| `(accounts\.[\w.]+)` \|", (ROOT / "docs" / "how-to" / "tracing.md").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_the_guide_states_every_span_and_attribute_there_is() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    guide = (ROOT / "docs" / "how-to" / "tracing.md").read_text(encoding="utf-8")

    assert sorted(stated()) == sorted(set(re.findall(r'(?:traced|span)\(\s*"(accounts\.[\w.]+)"', source)))
    for attribute in ("action", "amr", "credential", "hash_scheme", "mail_kind", "mail_tries", "outcome"):
        assert f"`accounts.{attribute}`" in guide


# Without a reader


def test_without_a_provider_nothing_is_recorded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)

    assert tracing.span("accounts.test") is tracing.span("accounts.other")
    assert tracing.carried() is None
    site.user("ann@example.com")
    assert site.login("ann@example.com").status_code == 200


def python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_does_not_import_opentelemetry() -> None:
    assert python("import sys, flask_accounts; print('opentelemetry' in sys.modules)") == "False\n"


def test_without_opentelemetry_everything_works(tmp_path: Path) -> None:
    said = python(
        """
import sys
sys.modules["opentelemetry"] = None  # importing it fails, as where it is not installed
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_accounts import Accounts

db, sent = SQLAlchemy(), []
app = Flask("host")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="k" * 40)
accounts = Accounts(db, app, mailer=sent.append)
with app.app_context():
    db.create_all()
    ann = {"email": "ann@example.com", "password": "seven brown foxes"}
    client = app.test_client()
    statuses = [client.post(f"/api/auth/{path}", json=ann).status_code for path in ("register", "login")]
    accounts.mail.drain()
print(statuses, len(sent))
"""
    )

    assert said == "[201, 200] 1\n"
