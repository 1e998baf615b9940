"""Host code that must type-check under mypy strict, and pass pyright: what the docs tell hosts to write."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type
from uuid import UUID

from flask import Blueprint, Flask
from flask_sqlalchemy import SQLAlchemy
from pydantic import Field
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import (
    Accounts,
    AccountsError,
    Client,
    Feature,
    LoginAttempt,
    Message,
    PasswordContext,
    Principal,
    RegisterSchema,
    Runtime,
    Service,
    SessionMixin,
    UpdateUserSchema,
    UserMixin,
    UserSchema,
    current_accounts,
    current_principal,
    current_user,
    default_features,
    events,
    login_required,
    permissions_required,
    roles_required,
)
from flask_accounts.core.errors import FieldProblem
from flask_accounts.testing import AccountsTesting, MovableClock

db = SQLAlchemy()


class Register(RegisterSchema):
    nickname: str = Field(max_length=40)


class Update(UpdateUserSchema):
    nickname: str = ""


class Show(UserSchema):
    nickname: str | None


class Session(SessionMixin):
    country: Mapped[str | None] = mapped_column(default=None)


class Mailer:
    def send(self, message: Message) -> None:
        print(message.to, message.subject)


class Hasher:
    def hash(self, password: str) -> str:
        return password[::-1]

    def verify(self, password: str, encoded: str) -> bool:
        return encoded == password[::-1]

    def needs_rehash(self, encoded: str) -> bool:
        return False


class Limiter:
    def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
        return 1.5 if action == "login" and address == account else None


class Greeter(Service):
    def greet(self) -> str:
        return "Hello"


class Greeting(Feature):
    """Greets."""

    name = "greeting"
    services = (Greeter,)


def gate(attempt: LoginAttempt, user: object) -> None:
    assert_type(attempt.amr, tuple[str, ...])


def shop_check(password: str, context: PasswordContext) -> FieldProblem | None:
    assert_type(context.email, str | None)
    return FieldProblem("password", "shop", "Not the shop's name.") if password == "shop" else None


accounts = Accounts(
    db,
    user_key="uuid7",
    features=[*default_features(), Greeting()],
    models={SessionMixin: Session},
    schemas={RegisterSchema: Register, UpdateUserSchema: Update, UserSchema: Show},
    mailer=Mailer(),
    hasher=Hasher(),
    limiter=Limiter(),
    clock=MovableClock(),
    password_checks=[shop_check],
    gates=[gate],
)


def create_app() -> Flask:
    app = Flask(__name__)
    accounts.init_app(app, register_blueprints=False)
    assert_type(accounts.auth_blueprint(), Blueprint)
    app.register_blueprint(accounts.users_blueprint("people"), url_prefix="/people")
    return app


@login_required
def bare(post_id: int) -> str:
    return f"{post_id} {current_user.email}"


@login_required(fresh=timedelta(minutes=5), roles=["editor"], permissions=("posts:write",))
def guarded(post_id: int) -> dict[str, int]:
    return {"post": post_id}


@login_required(optional=True)
async def asynchronous() -> str:
    return "done"


@roles_required("editor", "author", any_of=True)
@permissions_required("posts:write")
def stacked() -> str:
    return "done"


assert_type(bare(1), str)
assert_type(guarded(post_id=1), dict[str, int])
assert_type(stacked(), str)


def principal() -> frozenset[str]:
    assert_type(current_principal, Principal)
    assert_type(current_principal.session_id, UUID | None)
    assert_type(current_principal.can("posts:write"), bool)
    return current_principal.permissions


def services(client: Client) -> str:
    user = accounts.users.create("ann@example.com", "correct horse", username="ann", client=client)
    assert_type(user, UserMixin)
    assert_type(user.email, str)
    accounts.passwords.set(user, "another pass phrase")
    accounts.roles.grant(user, "admin")
    assert_type(accounts.roles.of(user), list[str])
    assert_type(accounts.sessions.revoke_all(user), int)
    assert_type(current_accounts(), Runtime)
    assert_type(current_accounts().get(Greeter).greet(), str)
    return accounts.sessions.open(user, client=client).tokens.access_token


@events.UserRegistered.signal.connect
def welcome(app: Flask, event: events.UserRegistered) -> None:
    assert_type(event.email, str)


def errors() -> int:
    try:
        accounts.users.delete(1)
    except AccountsError as error:
        assert_type(error.error_code, str)
        assert_type(error.detail, str)
        return error.code
    return 204


def testing(app: Flask) -> list[events.Event]:
    tools = AccountsTesting(app)
    with tools.recorded() as recorded:
        tools.client(tools.make_user(roles=["admin"])).get("/")
        tools.clock.move(minutes=16)
    return recorded
