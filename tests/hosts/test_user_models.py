"""User classes: the built one, and a host's own with its keys, columns, schemas, relationships and databases."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pydantic import Field
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from flask_accounts import (
    Accounts,
    ConfigurationError,
    PublicUserSchema,
    RegisterSchema,
    RevokedTokenMixin,
    RoleMixin,
    SessionMixin,
    UpdateUserSchema,
    UserMixin,
    UserRoleMixin,
    UserSchema,
    UuidKeyMixin,
    current_user,
    login_required,
)
from flask_accounts.core.models import uuid7
from flask_accounts.features.devices.models import DeviceMixin
from flask_accounts.testing import PASSWORD, AccountsTesting
from tests.conftest import MakeSite, Site, bearer
from tests.hosts.conftest import MakeApp
from tests.inventory import TABLES

ANN = "ann@example.com"


def whole_story(site: Site) -> Any:
    """Register, sign in, refresh, be listed and changed by an administrator, sign out; returns the account's key as shown."""
    client = site.client
    shown = client.post("/api/auth/register", json={"email": ANN, "username": "Ann", "password": PASSWORD})
    assert shown.status_code == 201, shown.text
    key = shown.get_json()["user"]["id"]
    tokens = site.tokens(ANN)
    assert tokens["user"]["id"] == key
    refreshed = client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))
    assert refreshed.status_code == 200, refreshed.text
    me = client.get("/api/auth/me", headers=bearer(refreshed.get_json()["access_token"]))
    assert me.get_json()["id"] == key
    admin = site.client_for(site.admin())
    for query in ("?page=1", "?cursor=", "?sort=-created_at&search=ann", "?role=admin"):
        listed = admin.get(f"/api/users/{query}")
        assert listed.status_code == 200, listed.text
    assert key in [user["id"] for user in admin.get("/api/users/?search=ann").get_json()["users"]]
    assert admin.get(f"/api/users/{key}").get_json()["id"] == key
    assert admin.patch(f"/api/users/{key}", json={"username": "Anna"}).get_json()["username"] == "Anna"
    assert admin.put(f"/api/users/{key}/roles", json={"roles": ["admin"]}).get_json()["roles"] == ["admin"]
    assert len(admin.get(f"/api/users/{key}/sessions").get_json()["sessions"]) == 1
    out = client.post("/api/auth/logout", headers=bearer(refreshed.get_json()["access_token"]))
    assert out.status_code == 200
    assert admin.delete(f"/api/users/{key}").status_code == 204
    return key


def model_named(db: SQLAlchemy, name: str) -> Any:
    base: Any = db.Model
    return base.registry._class_registry[name]


# Keys and names


def test_the_default_user_has_an_int_key_on_the_table_users(make_site: MakeSite) -> None:
    site = make_site()

    assert isinstance(whole_story(site), int)
    assert site.accounts.User.__tablename__ == "users"


def test_uuid7_keys_by_one_choice(make_site: MakeSite) -> None:
    key = whole_story(make_site(user_key="uuid7"))

    assert UUID(key).version == 7


def test_uuid7_keys_of_an_own_class(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UuidKeyMixin, UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"

        return {"user_model": Person}

    assert UUID(whole_story(make_site(setup=setup))).version == 7


@pytest.mark.parametrize("kind", ["int", "uuid", "text"])
def test_an_own_table_with_a_key_of_another_name(make_site: MakeSite, kind: str) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        columns = {
            "int": lambda: mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
            "uuid": lambda: mapped_column(sa.Uuid, primary_key=True, default=uuid7),
            "text": lambda: mapped_column(sa.String(36), primary_key=True, default=lambda: f"person-{uuid7().hex[-8:]}"),
        }

        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"
            id = None
            number = columns[kind]()

        return {"user_model": Person, "schemas": {UserSchema: WithNumber, PublicUserSchema: PublicWithNumber}}

    class WithNumber(UserSchema):
        id: int | UUID | str = Field(validation_alias="number")

    class PublicWithNumber(PublicUserSchema):
        id: int | UUID | str = Field(validation_alias="number")

    site = make_site(setup=setup)

    whole_story(site)
    table = site.db.metadata.tables["accounts_sessions"]
    assert [key.target_fullname for key in table.c.user_id.foreign_keys] == ["people.number"]


def test_an_own_key_name_is_shown_as_id_without_an_own_schema(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            id = None
            number: Mapped[int] = mapped_column(primary_key=True)

        return {"user_model": Person}

    assert isinstance(whole_story(make_site(setup=setup)), int)


def test_columns_may_have_other_names_in_the_database(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "tbl_person"
            id: Mapped[int] = mapped_column("person_no", primary_key=True)
            email: Mapped[str] = mapped_column("mail_address", sa.String(254), unique=True, nullable=False)
            password_hash: Mapped[str | None] = mapped_column("pw", sa.String(512), nullable=True)
            is_active: Mapped[bool] = mapped_column("enabled", sa.Boolean, nullable=False, default=True)
            username_normalized: Mapped[str | None] = mapped_column("uname_norm", sa.String(64), unique=True)

        return {"user_model": Person}

    site = make_site(setup=setup)

    whole_story(site)
    assert {"person_no", "mail_address", "pw", "enabled", "uname_norm"} <= set(site.db.metadata.tables["tbl_person"].c.keys())


# Own columns and schemas


class Register(RegisterSchema):
    nickname: str = Field(min_length=2, max_length=40)
    newsletter: bool = False


class Update(UpdateUserSchema):
    nickname: str = Field(default="", min_length=2, max_length=40)


class Show(UserSchema):
    nickname: str | None
    newsletter: bool


class ShowPublic(PublicUserSchema):
    nickname: str | None


def with_nickname(db: SQLAlchemy) -> dict[str, Any]:
    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        nickname: Mapped[str | None] = mapped_column(sa.String(40))
        newsletter: Mapped[bool] = mapped_column(nullable=False, default=False)
        credit: Mapped[int] = mapped_column(nullable=False, default=0)

    schemas = {RegisterSchema: Register, UpdateUserSchema: Update, UserSchema: Show, PublicUserSchema: ShowPublic}
    return {"user_model": User, "schemas": schemas}


def test_own_columns_are_registered_updated_and_shown_by_own_schemas(make_site: MakeSite) -> None:
    site = make_site(setup=with_nickname, config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    body = {"email": ANN, "password": PASSWORD, "nickname": "Annie", "newsletter": True}

    answer = site.client.post("/api/auth/register", json=body)

    assert answer.status_code == 201
    shown = answer.get_json()["user"]
    assert (shown["nickname"], shown["newsletter"]) == ("Annie", True)
    assert "credit" not in shown
    tokens = site.tokens(ANN)
    assert tokens["user"]["nickname"] == "Annie"
    ann = bearer(tokens["access_token"])
    assert site.client.get("/api/auth/me", headers=ann).get_json()["nickname"] == "Annie"
    assert site.client.patch("/api/auth/me", headers=ann, json={"nickname": "Nan"}).get_json()["nickname"] == "Nan"
    refreshed = site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).get_json()
    assert refreshed["user"]["nickname"] == "Nan"
    [listed] = site.client.get("/api/users/", headers=ann).get_json()["users"]
    assert listed.keys() == {"id", "username", "created_at", "nickname"}
    admin = site.client_for(site.testing.make_user("root@example.com", roles=["admin"], nickname="Root"))
    assert [user["nickname"] for user in admin.get("/api/users/").get_json()["users"]] == ["Nan", "Root"]
    assert [user["nickname"] for user in admin.get("/api/users/?cursor=").get_json()["users"]] == ["Nan", "Root"]
    changed = admin.patch(f"/api/users/{shown['id']}", json={"nickname": "Ann", "is_active": True})
    assert changed.get_json()["nickname"] == "Ann"
    made = admin.post("/api/users/", json=body | {"email": "bob@example.com", "nickname": "Bob", "roles": ["admin"]})
    assert (made.get_json()["nickname"], made.get_json()["roles"]) == ("Bob", ["admin"])
    replaced = admin.put(f"/api/users/{shown['id']}", json={"email": ANN, "username": "ann", "nickname": "An"})
    assert replaced.get_json()["nickname"] == "An"


def test_own_columns_are_validated_and_their_problems_listed_with_ours(make_site: MakeSite) -> None:
    site = make_site(setup=with_nickname)

    answer = site.client.post("/api/auth/register", json={"email": "no", "password": PASSWORD, "nickname": "x"})

    assert answer.status_code == 400
    assert {problem["field"] for problem in answer.get_json()["errors"]} == {"email", "nickname"}


@pytest.mark.requirement("ASVS 15.3.3")
@pytest.mark.parametrize("member", ["credit", "is_active", "password_hash", "id", "roles"])
def test_columns_outside_the_schemas_are_set_by_nobody(make_site: MakeSite, member: str) -> None:
    site = make_site(setup=with_nickname)
    body = {"email": ANN, "password": PASSWORD, "nickname": "Annie", member: 1}

    answer = site.client.post("/api/auth/register", json=body)

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.get_json()["errors"]] == [member]
    person = site.client_for(site.testing.make_user(nickname="Ann"))
    assert person.patch("/api/auth/me", json={member: 1}).status_code == 400


def test_the_document_shows_own_schemas_everywhere_an_account_stands(make_site: MakeSite) -> None:
    site = make_site(setup=with_nickname)

    document = site.client.get("/api/auth/openapi.json").get_json()

    schemas = document["components"]["schemas"]

    def resolve(schema: dict[str, Any]) -> dict[str, Any]:
        return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def answer(path: str, method: str, status: str) -> dict[str, Any]:
        return resolve(document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"])

    assert "nickname" in answer("/api/auth/me", "get", "200")["properties"]
    for path, status in (("/api/auth/login", "200"), ("/api/auth/refresh", "200"), ("/api/auth/register", "201")):
        assert "nickname" in resolve(answer(path, "post", status)["properties"]["user"])["properties"], path
    pages = [resolve(option) for option in answer("/api/users", "get", "200")["anyOf"]]
    for page in pages:
        assert "nickname" in resolve(page["properties"]["users"]["items"])["properties"]
    body = resolve(document["paths"]["/api/auth/register"]["post"]["requestBody"]["content"]["application/json"]["schema"])
    assert "nickname" in body["required"]
    assert "password_hash" not in str(document)


def test_schemas_may_show_properties_and_relationships(make_site: MakeSite) -> None:
    class ShowPosts(UserSchema):
        greeting: str
        titles: list[str]

    def setup(db: SQLAlchemy) -> dict[str, Any]:
        base: Any = with_posts(db)["user_model"]

        class Greeting(base):  # type: ignore[misc]
            @property
            def greeting(self) -> str:
                return f"Hello {self.username}"

            @property
            def titles(self) -> list[str]:
                return [post.title for post in self.posts]

        return {"user_model": Greeting, "schemas": {UserSchema: ShowPosts}}

    site = make_site(setup=setup)
    ann = site.user(ANN, username="Ann")
    with site.app.app_context():
        post = model_named(site.db, "Post")
        site.db.session.add(post(title="One", author_id=ann.id))
        site.db.session.commit()

    me = site.client_for(ann).get("/api/auth/me").get_json()

    assert (me["greeting"], me["titles"]) == ("Hello Ann", ["One"])


# Relationships


def with_posts(db: SQLAlchemy) -> dict[str, Any]:
    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        posts: Mapped[list[Post]] = relationship(back_populates="author", cascade="all, delete-orphan")

    class Post(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str] = mapped_column(sa.String(100), nullable=False)
        author_id: Mapped[int] = mapped_column(sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False)
        author: Mapped[User] = relationship(back_populates="posts")

    # The annotations name classes of this function, which the registry cannot see by itself.
    User.__annotations__["posts"] = Mapped[list[Post]]
    return {"user_model": User}


def posts_views(app: Flask, db: SQLAlchemy) -> None:
    @app.post("/posts")
    @login_required
    def write() -> dict[str, Any]:
        post = model_named(db, "Post")(title="Mine", author=current_user)
        db.session.add(post)
        db.session.commit()
        return {"author": post.author.email, "posts": [post.title for post in current_user.posts]}


def test_a_host_model_relates_to_the_user_in_both_directions(make_site: MakeSite) -> None:
    site = make_site(setup=with_posts, views=posts_views)
    ann = site.user(ANN)

    answer = site.client_for(ann).post("/posts")

    assert answer.get_json() == {"author": ANN, "posts": ["Mine"]}
    with site.app.app_context():
        person: Any = site.accounts.users.get(ann.id)
        assert [post.title for post in person.posts] == ["Mine"]
        assert person.posts[0].author is person


def test_an_account_with_rows_of_the_host_is_deleted_with_what_hangs_on_it(make_site: MakeSite) -> None:
    site = make_site(setup=with_posts, views=posts_views)
    ann = site.user(ANN)
    site.client_for(ann).post("/posts")

    answer = site.client_for(site.admin()).delete(f"/api/users/{ann.id}")

    assert answer.status_code == 204, answer.text
    with site.app.app_context():
        assert site.db.session.execute(sa.text("SELECT count(*) FROM posts")).scalar() == 0


def test_an_account_that_rows_of_the_host_hold_fast_is_a_conflict_and_no_500(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Invoice(db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "invoices"
            id: Mapped[int] = mapped_column(primary_key=True)
            user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), nullable=False)

        return {}

    site = make_site(setup=setup)
    ann = site.user(ANN)
    with site.app.app_context():
        site.db.session.execute(sa.insert(site.db.metadata.tables["invoices"]).values(user_id=ann.id))
        site.db.session.commit()
        if site.db.engine.dialect.name == "sqlite":
            sa.event.listen(site.db.engine, "connect", lambda connection, record: connection.execute("PRAGMA foreign_keys=ON"))
            site.db.engine.dispose()

    answer = site.client_for(site.admin()).delete(f"/api/users/{ann.id}")

    assert answer.status_code == 409
    assert site.client_for(ann).get("/api/auth/me").status_code == 200, "nothing of the account was deleted"


# Own models of tables


def test_own_columns_of_an_own_session_class_get_their_defaults(make_site: MakeSite) -> None:
    """What Python computes, too: such a column may be null nowhere, and the library knows nothing of it."""
    numbers = itertools.count()

    class Session(SessionMixin):
        ticket: Mapped[str] = mapped_column(sa.String(20), nullable=False, default=lambda: f"ticket {next(numbers)}")
        watched: Mapped[bool] = mapped_column(nullable=False, default=True)

    class Device(DeviceMixin):
        kind: Mapped[str] = mapped_column(sa.String(20), nullable=False, default="unknown")

    site = make_site(models={SessionMixin: Session, DeviceMixin: Device})
    site.user("ann@example.com")

    assert [site.login("ann@example.com").status_code for _ in range(2)] == [200, 200]

    with site.app.app_context():
        session, device = (site.testing.runtime.model(mixin) for mixin in (SessionMixin, DeviceMixin))
        rows = site.db.session.execute(sa.select(session.ticket, session.watched)).all()
        assert {tuple(row) for row in rows} == {("ticket 0", True), ("ticket 1", True)}
        assert site.db.session.execute(sa.select(device.kind)).scalars().all() == ["unknown"]


def test_an_own_session_table_from_an_unmapped_subclass_of_the_mixin(make_site: MakeSite) -> None:
    class Session(SessionMixin):
        __tablename__ = "sign_ins"
        country: Mapped[str | None] = mapped_column(sa.String(2), nullable=True)

    site = make_site(models={SessionMixin: Session})

    whole_story(site)
    assert "country" in site.db.metadata.tables["sign_ins"].c
    assert "accounts_sessions" not in site.db.metadata.tables


def test_an_own_mapped_session_table_that_names_its_owner(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"
            sessions: Mapped[list[Any]] = relationship("SignIn", back_populates="person", viewonly=True)

        class SignIn(SessionMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "sign_ins"
            user_id: Mapped[int] = mapped_column(sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True)
            country: Mapped[str | None] = mapped_column(sa.String(2), nullable=True)
            person: Mapped[Any] = relationship("Person", back_populates="sessions", viewonly=True)

        return {"user_model": Person, "models": {SessionMixin: SignIn}}

    site = make_site(setup=setup)

    whole_story(site)
    ann = site.user("bea@example.com")
    site.testing.sign_in(ann)
    with site.app.app_context():
        person: Any = site.accounts.users.get(ann.id)
        assert len(person.sessions) == 1


def test_an_own_mapped_table_that_does_not_name_its_owner_says_how() -> None:
    db = SQLAlchemy()

    with pytest.raises(ConfigurationError, match=r"SignIn.*user_id = mapped_column\(sa.ForeignKey\(.*ondelete=.CASCADE"):

        class SignIn(SessionMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "sign_ins"


def test_own_tables_of_roles_and_revoked_tokens(make_site: MakeSite) -> None:
    class Role(RoleMixin):
        __tablename__ = "groups"
        colour: Mapped[str | None] = mapped_column(sa.String(20), nullable=True)

    class Membership(UserRoleMixin):
        __tablename__ = "memberships"

    class Revoked(RevokedTokenMixin):
        __tablename__ = "revoked"

    site = make_site(models={RoleMixin: Role, UserRoleMixin: Membership, RevokedTokenMixin: Revoked})

    whole_story(site)
    tables = site.db.metadata.tables
    own = {"accounts_roles": "groups", "accounts_user_roles": "memberships", "accounts_revoked_tokens": "revoked"}
    assert set(tables) == {"users"} | {own.get(name, name) for name in TABLES}
    assert [key.target_fullname for key in tables["memberships"].c.role_id.foreign_keys] == ["groups.id"]


def test_a_mapped_role_of_the_host_on_its_own_table(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Role(RoleMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "groups"

        return {"models": {RoleMixin: Role}}

    site = make_site(setup=setup)

    whole_story(site)
    keys = site.db.metadata.tables["accounts_user_roles"].c.role_id.foreign_keys
    assert [key.target_fullname for key in keys] == ["groups.id"]


def test_own_permissions_are_named_in_config_and_held_by_roles(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.post("/publish")
        @login_required(permissions=["posts:publish"])
        def publish() -> str:
            return "published"

    site = make_site(config={"ACCOUNTS_ROLES_PERMISSIONS": ["posts:publish"]}, views=views)
    admin = site.client_for(site.admin())
    made = admin.post("/api/users/roles", json={"name": "editor", "permissions": ["posts:publish"]})
    ann = site.user(ANN)

    assert made.status_code == 201
    assert site.client_for(ann).post("/publish").status_code == 403
    assert admin.put(f"/api/users/{ann.id}/roles", json={"roles": ["editor"]}).status_code == 200
    assert site.client_for(ann).post("/publish").text == "published"
    unknown = admin.post("/api/users/roles", json={"name": "writer", "permissions": ["posts:write"]})
    assert unknown.status_code == 400


# What the mixin gives


def test_set_password_and_check_password(site: Site) -> None:
    with site.app.app_context():
        user = site.accounts.User(email=ANN)
        assert not user.check_password(PASSWORD), "an account without a password never matches"

        user.set_password(PASSWORD)

        assert user.check_password(PASSWORD)
        assert not user.check_password(PASSWORD + " ")
        assert PASSWORD not in user.password_hash
        site.db.session.add(user)
        site.db.session.commit()
    assert site.login(ANN).status_code == 200


def test_set_password_refuses_what_is_never_hashed(site: Site) -> None:
    with site.app.app_context(), pytest.raises(ValueError, match="at most 256"):
        site.accounts.User(email=ANN).set_password("x" * 257)


def test_to_dict_is_the_account_as_the_api_shows_it(make_site: MakeSite) -> None:
    site = make_site(setup=with_nickname)
    ann = site.testing.make_user(ANN, username="Ann", nickname="Annie", roles=["editor"])
    shown = site.client_for(ann).get("/api/auth/me").get_json()
    with site.app.app_context():
        user = site.accounts.users.find(email=ANN)

        assert user.to_dict() == shown
        assert user.to_dict()["roles"] == ["editor"]
        assert "password_hash" not in user.to_dict()


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  Ann@Example.COM ", "ann@example.com"),
        ("\uff21nn@example.com", "ann@example.com"),
        ("a\u0308@example.com", "ä@example.com"),
    ],
)
def test_an_address_is_normalised_by_the_class_itself(site: Site, typed: str, stored: str) -> None:
    user = site.accounts.User(email=typed)

    assert user.email == stored
    user.email = typed.upper()
    assert user.email == stored


def test_a_username_is_kept_as_typed_and_normalised_beside_it(site: Site) -> None:
    user = site.accounts.User(email=ANN, username="Stra\u00dfe")

    assert (user.username, user.username_normalized) == ("Stra\u00dfe", "strasse")
    user.username = None
    assert (user.username, user.username_normalized) == (None, None)


def test_addresses_and_usernames_are_unique_in_their_normalised_form(site: Site) -> None:
    site.user(ANN, username="Ann")

    for taken in ({"email": "ANN@example.com"}, {"email": "other@example.com", "username": "ANN"}):
        with site.app.app_context():
            site.db.session.add(site.accounts.User(**taken))
            with pytest.raises(sa.exc.IntegrityError):
                site.db.session.commit()


def test_created_at_and_updated_at_are_kept_also_for_the_hosts_own_writes(site: Site) -> None:
    with site.app.app_context():
        user = site.accounts.User(email=ANN)
        site.db.session.add(user)
        site.db.session.commit()
        made = user.updated_at
        assert user.created_at.tzinfo is not None
        assert user.email_verified is False

        user.username = "ann"
        site.db.session.commit()

        assert user.updated_at > made
        assert user.created_at <= made


def test_a_naive_time_is_refused(site: Site) -> None:
    with site.app.app_context():
        site.db.session.add(site.accounts.User(email=ANN, email_verified_at=datetime(2026, 1, 1)))  # noqa: DTZ001  # the point
        with pytest.raises(sa.exc.StatementError, match="needs a time zone"):
            site.db.session.commit()


@pytest.mark.requirement("ASVS 14.2.7")
def test_the_key_of_a_deleted_account_is_not_given_to_the_next_one(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        site.accounts.users.delete(ann.id)
        site.db.session.commit()

    assert site.user(ANN).id != ann.id


# Kinds of db


def test_a_db_with_a_declarative_base_of_the_host(make_app: MakeApp) -> None:
    class Base(DeclarativeBase):
        metadata = sa.MetaData(
            naming_convention={
                "fk": "fk_%(table_name)s_%(column_0_name)s",
                "uq": "uq_%(table_name)s_%(column_0_name)s",
                "ix": "ix_%(column_0_label)s",
            }
        )

    db = SQLAlchemy(model_class=Base)

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"

    app = make_app()
    accounts = Accounts(db, app, user_model=User)
    with app.app_context():
        db.create_all()
    testing = AccountsTesting(app)

    whole_story(Site(app, db, accounts, testing))
    assert Base.metadata.tables["accounts_sessions"].c.user_id.foreign_keys


def test_the_built_user_on_a_declarative_base_of_the_host(make_app: MakeApp) -> None:
    class Base(DeclarativeBase):
        pass

    db, app = SQLAlchemy(model_class=Base), make_app()
    accounts = Accounts(db, app)
    with app.app_context():
        db.create_all()

    whole_story(Site(app, db, accounts, AccountsTesting(app)))


def test_a_db_of_dataclasses_is_refused_with_the_remedy() -> None:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    try:
        db = SQLAlchemy(model_class=Base)
    except sa.exc.InvalidRequestError:
        # With SQLAlchemy 2.1, Flask-SQLAlchemy cannot build such a db at all. This is what it built with 2.0.
        db = SQLAlchemy()
        db.Model = Base  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="DeclarativeBase without MappedAsDataclass"):
        Accounts(db)


def test_users_on_a_database_of_their_own(make_app: MakeApp, tmp_path: Path) -> None:
    db = SQLAlchemy()

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "people"

    class Post(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)

    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'main.db'}",
        SQLALCHEMY_BINDS={"people": f"sqlite:///{tmp_path / 'people.db'}"},
    )
    accounts = Accounts(db, app, user_model=User)
    with app.app_context():
        db.create_all()
        tables = {key: set(sa.inspect(engine).get_table_names()) for key, engine in db.engines.items()}

    whole_story(Site(app, db, accounts, AccountsTesting(app)))
    assert tables[None] == {"post"}
    assert tables["people"] == {"user"} | TABLES


def test_own_unmapped_tables_follow_the_users_to_their_database(make_app: MakeApp) -> None:
    db = SQLAlchemy()

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "people"

    class Session(SessionMixin):
        __tablename__ = "sign_ins"

    app = make_app(SQLALCHEMY_BINDS={"people": "sqlite://"})
    accounts = Accounts(db, app, user_model=User, models={SessionMixin: Session})
    with app.app_context():
        db.create_all()

    assert "sign_ins" in db.metadatas["people"].tables
    whole_story(Site(app, db, accounts, AccountsTesting(app)))
