"""Setting accounts up: every way that works, and every wrong one refused with a sentence that names the remedy."""

from __future__ import annotations

import threading
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_accounts import (
    Accounts,
    ConfigurationError,
    PublicUserSchema,
    RegisterSchema,
    RoleMixin,
    SessionMixin,
    UpdateUserSchema,
    UserMixin,
    UserSchema,
    current_accounts,
    default_features,
)
from flask_accounts.features.openapi import OpenApi
from flask_accounts.features.password import Password
from flask_accounts.features.registration import Registration
from flask_accounts.features.sessions import Sessions
from flask_accounts.features.users.service import UserService
from flask_accounts.testing import PASSWORD, AccountsTesting
from tests.hosts.conftest import MakeApp
from tests.inventory import FEATURES, TABLES

ANN = "ann@example.com"


def create_tables(app: Flask) -> AccountsTesting:
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
    return AccountsTesting(app)


def register(client: FlaskClient, email: str = ANN, prefix: str = "/api/auth") -> int:
    return client.post(f"{prefix}/register", json={"email": email, "password": PASSWORD}).status_code


def login(client: FlaskClient, email: str = ANN, prefix: str = "/api/auth") -> int:
    return client.post(f"{prefix}/login", json={"email": email, "password": PASSWORD}).status_code


# What works


def test_three_lines_give_an_app_accounts(make_app: MakeApp) -> None:
    app = make_app()

    db = SQLAlchemy()
    accounts = Accounts(db)
    accounts.init_app(app)

    create_tables(app)
    assert register(app.test_client()) == 201
    assert login(app.test_client()) == 200


def test_accounts_with_an_app_initialises_it_right_away(make_app: MakeApp) -> None:
    app = make_app()

    accounts = Accounts(SQLAlchemy(), app)

    create_tables(app)
    assert register(app.test_client()) == 201
    with app.app_context():
        assert accounts.runtime is app.extensions["accounts"] is current_accounts()


def test_a_db_that_the_host_has_initialised_already_is_used_as_it_is(make_app: MakeApp) -> None:
    app, db = make_app(), SQLAlchemy()
    db.init_app(app)

    Accounts(db).init_app(app)

    create_tables(app)
    assert register(app.test_client()) == 201


def test_the_user_class_and_the_tables_are_there_before_any_app(make_app: MakeApp) -> None:
    db = SQLAlchemy()

    accounts = Accounts(db)

    assert accounts.User.__tablename__ == "users"
    assert set(db.metadata.tables) == {"users"} | TABLES


def test_one_accounts_serves_several_apps_of_a_factory_each_with_its_own_settings(make_app: MakeApp, tmp_path: Path) -> None:
    db = SQLAlchemy()
    accounts = Accounts(db)

    def create_app(name: str, **config: Any) -> Flask:
        app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / name}", **config)
        accounts.init_app(app)
        create_tables(app)
        return app

    one = create_app("one.db", ACCOUNTS_REGISTRATION_OPEN=True)
    two = create_app("two.db", ACCOUNTS_REGISTRATION_OPEN=False, ACCOUNTS_AUTH_URL_PREFIX="/konto")

    assert register(one.test_client()) == 201
    assert login(one.test_client()) == 200
    assert register(two.test_client(), prefix="/konto") == 403
    assert two.test_client().get("/api/auth/me").status_code == 404
    assert login(two.test_client(), prefix="/konto") == 401, "an account of one app is none of the other"


def test_a_token_of_one_app_is_worth_nothing_in_another_with_another_key(make_app: MakeApp) -> None:
    accounts = Accounts(SQLAlchemy())
    one, two = make_app(SECRET_KEY="1" * 48), make_app(SECRET_KEY="2" * 48)
    for app in (one, two):
        accounts.init_app(app)
    first, second = create_tables(one), create_tables(two)
    token = first.sign_in(first.make_user(ANN)).tokens.access_token
    second.make_user(ANN)

    answer = two.test_client().get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert answer.get_json()["code"] == "INVALID_TOKEN"


def test_two_accounts_on_two_databases_share_nothing_also_in_threads(make_app: MakeApp, tmp_path: Path) -> None:
    sites = []
    for name in ("one", "two"):
        db = SQLAlchemy()
        accounts = Accounts(db, user_key="int" if name == "one" else "uuid7")
        app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / name}.db")
        accounts.init_app(app)
        sites.append((app, accounts, create_tables(app)))
    found: list[tuple[int, int, Any]] = []
    failures: list[BaseException] = []

    def use(number: int, app: Flask, testing: AccountsTesting) -> None:
        try:
            for turn in range(5):
                person = testing.make_user(f"person{turn}@app{number}.example")
                answer = testing.client(person).get("/api/auth/me")
                found.append((number, answer.status_code, answer.get_json()["email"]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number, app, testing)) for number, (app, _, testing) in enumerate(sites)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert sorted(found) == sorted((n, 200, f"person{turn}@app{n}.example") for n in (0, 1) for turn in range(5))
    assert sites[0][1].User is not sites[1][1].User
    for number, (app, accounts, _) in enumerate(sites):
        with app.app_context():
            addresses = accounts.db.session.scalars(sa.select(accounts.User.email)).all()
        assert {address.partition("@")[2] for address in addresses} == {f"app{number}.example"}


def test_a_list_of_features_may_be_given_to_two_accounts(make_app: MakeApp) -> None:
    features = default_features()
    one, two = SQLAlchemy(), SQLAlchemy()
    first = Accounts(one, features=features)
    second = Accounts(two, features=features, user_key="uuid7")

    for accounts in (first, second):
        app = make_app()
        accounts.init_app(app)
        testing = create_tables(app)
        admin = testing.make_user(ANN, roles=["admin"])
        assert testing.client(admin).get("/api/users/").get_json()["total"] == 1


def test_the_object_keeps_nothing_of_an_app(make_app: MakeApp) -> None:
    accounts = Accounts(SQLAlchemy())
    before = dict(vars(accounts))

    accounts.init_app(make_app())

    assert vars(accounts) == before


# Blueprints


def test_prefixes_are_settings(make_app: MakeApp) -> None:
    app = make_app(ACCOUNTS_AUTH_URL_PREFIX="/a", ACCOUNTS_USERS_URL_PREFIX="/u")
    Accounts(SQLAlchemy(), app)
    testing = create_tables(app)
    admin = testing.client(testing.make_user(roles=["admin"]))

    assert admin.get("/a/me").status_code == 200
    assert admin.get("/u/").status_code == 200
    assert admin.get("/api/auth/me").status_code == 404


def test_the_host_registers_the_blueprints_itself(make_app: MakeApp) -> None:
    app = make_app()
    accounts = Accounts(SQLAlchemy())
    accounts.init_app(app, register_blueprints=False)
    assert "accounts_auth" not in app.blueprints

    app.register_blueprint(accounts.auth_blueprint(), url_prefix="/v2/auth")
    app.register_blueprint(accounts.users_blueprint(), url_prefix="/v2/people")

    testing = create_tables(app)
    admin = testing.client(testing.make_user(roles=["admin"]))
    assert admin.get("/v2/auth/me").status_code == 200
    assert admin.get("/v2/people/").status_code == 200
    assert admin.get("/api/auth/me").status_code == 404
    paths = admin.get("/v2/auth/openapi.json").get_json()["paths"]
    assert "/v2/auth/login" in paths
    assert "/v2/people/{user_id}" in paths


def test_blueprints_may_be_registered_before_init_app(make_app: MakeApp) -> None:
    app, accounts = make_app(), Accounts(SQLAlchemy())

    app.register_blueprint(accounts.auth_blueprint(), url_prefix="/auth")
    accounts.init_app(app, register_blueprints=False)

    create_tables(app)
    assert register(app.test_client(), prefix="/auth") == 201


def test_only_the_auth_blueprint_may_be_registered(make_app: MakeApp) -> None:
    app, accounts = make_app(), Accounts(SQLAlchemy())
    accounts.init_app(app, register_blueprints=False)
    app.register_blueprint(accounts.auth_blueprint(), url_prefix="/auth")

    testing = create_tables(app)

    assert testing.client(testing.make_user()).get("/auth/me").status_code == 200
    assert list(app.test_client().get("/auth/openapi.json").get_json()["paths"])
    assert app.test_client().get("/api/users/").status_code == 404


@pytest.mark.parametrize("named_by", ["auth_blueprint", "register_blueprint"])
def test_a_blueprint_may_be_registered_twice_under_two_names(make_app: MakeApp, named_by: str) -> None:
    app, accounts = make_app(), Accounts(SQLAlchemy())
    accounts.init_app(app)

    if named_by == "auth_blueprint":
        app.register_blueprint(accounts.auth_blueprint("second"), url_prefix="/old/auth")
    else:
        app.register_blueprint(accounts.auth_blueprint(), url_prefix="/old/auth", name="second")

    testing = create_tables(app)
    person = testing.client(testing.make_user(ANN))
    assert person.get("/api/auth/me").status_code == person.get("/old/auth/me").status_code == 200
    assert login(app.test_client(), prefix="/old/auth") == 200
    document = app.test_client().get("/old/auth/openapi.json").get_json()
    assert {"/api/auth/login", "/old/auth/login"} <= set(document["paths"])
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations)), "operation ids are unique (OpenAPI 3.1 section 4.8.10.1)"


def test_a_blueprint_object_may_be_registered_in_several_apps(make_app: MakeApp) -> None:
    accounts = Accounts(SQLAlchemy())
    blueprint = accounts.auth_blueprint()
    for _ in range(2):
        app = make_app()
        accounts.init_app(app, register_blueprints=False)
        app.register_blueprint(blueprint, url_prefix="/auth")
        create_tables(app)

        assert register(app.test_client(), prefix="/auth") == 201


def test_blueprints_nest_in_a_blueprint_of_the_host(make_app: MakeApp) -> None:
    from flask import Blueprint

    app, accounts = make_app(), Accounts(SQLAlchemy())
    accounts.init_app(app, register_blueprints=False)
    api = Blueprint("api", __name__, url_prefix="/v1")
    api.register_blueprint(accounts.auth_blueprint(), url_prefix="/auth")
    app.register_blueprint(api)

    create_tables(app)

    assert register(app.test_client(), prefix="/v1/auth") == 201
    assert "/v1/auth/login" in app.test_client().get("/v1/auth/openapi.json").get_json()["paths"]


# The signing key (RFC 8725 section 3.5)


@pytest.mark.parametrize(("key", "said"), [(None, "There is no signing key"), ("", "no signing key"), ("k" * 31, "has 31 bytes")])
@pytest.mark.requirement("RFC8725 3.5")
def test_a_missing_or_short_key_is_an_error_in_production(make_app: MakeApp, key: str | None, said: str) -> None:
    app = make_app(SECRET_KEY=key, TESTING=None)

    with pytest.raises(ConfigurationError, match=said) as caught:
        Accounts(SQLAlchemy(), app)

    assert "Set JWT_SECRET_KEY" in str(caught.value)
    assert "at least 32" in str(caught.value)
    assert "secrets.token_urlsafe" in str(caught.value)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("mode", ["TESTING", "DEBUG"])
@pytest.mark.parametrize(("key", "said"), [(None, "There is no signing key"), ("k" * 31, "has 31 bytes")])
def test_a_missing_or_short_key_is_a_warning_in_debug_and_testing(make_app: MakeApp, key: str | None, said: str, mode: str) -> None:
    app = make_app(**{"SECRET_KEY": key, "TESTING": None, mode: True})

    with pytest.warns(UserWarning, match=said) as caught:
        Accounts(SQLAlchemy(), app)

    assert "Set JWT_SECRET_KEY" in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning points at the host's own line"
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
    assert register(app.test_client()) == 201
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* bytes")  # newer PyJWT says so too, at each use
        assert login(app.test_client()) == 200


@pytest.mark.parametrize(("algorithm", "length"), [("HS384", 47), ("HS512", 63)])
def test_longer_digests_need_longer_keys(make_app: MakeApp, algorithm: str, length: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{algorithm} needs at least {length + 1}"):
        Accounts(SQLAlchemy(), make_app(JWT_ALGORITHM=algorithm, SECRET_KEY="k" * length, TESTING=None))

    Accounts(SQLAlchemy(), make_app(JWT_ALGORITHM=algorithm, SECRET_KEY="k" * (length + 1), TESTING=None))


def test_the_jwt_key_counts_before_the_secret_key(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="has 5 bytes"):
        Accounts(SQLAlchemy(), make_app(JWT_SECRET_KEY="short", TESTING=None))


@pytest.mark.requirement("RFC8725 3.1")
@pytest.mark.parametrize("algorithm", ["none", "None", "HS257", "RS257"])
def test_an_algorithm_that_does_not_sign_is_refused(make_app: MakeApp, algorithm: str) -> None:
    with pytest.raises(ConfigurationError, match="JWT_ALGORITHM") as caught:
        Accounts(SQLAlchemy(), make_app(JWT_ALGORITHM=algorithm))

    assert "HS256" in str(caught.value)


@pytest.mark.parametrize("missing", ["JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY"])
def test_an_asymmetric_algorithm_without_its_keys_is_refused(make_app: MakeApp, missing: str) -> None:
    keys = {"JWT_PRIVATE_KEY": "p", "JWT_PUBLIC_KEY": "q"} | {missing: None}

    with pytest.raises(ConfigurationError, match=missing):
        Accounts(SQLAlchemy(), make_app(JWT_ALGORITHM="RS256", **keys))


# Settings


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("ACCOUNTS_SESSION_FRESH_FOR", "ACCOUNTS_SESSIONS_FRESH_FOR"),
        ("ACCOUNTS_PASSWORD_MIN_LENGHT", "ACCOUNTS_PASSWORD_MIN_LENGTH"),
        ("ACCOUNTS_AUTH_PREFIX", "ACCOUNTS_AUTH_URL_PREFIX"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_real_name(make_app: MakeApp, key: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is not a setting.*Did you mean {nearest}") as caught:
        Accounts(SQLAlchemy(), make_app(**{key: "s3cret-value"}))

    assert "s3cret-value" not in str(caught.value)


def test_an_unknown_setting_like_no_other_points_to_the_list(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="lists those there are"):
        Accounts(SQLAlchemy(), make_app(ACCOUNTS_XQZ=1))


def test_a_setting_of_a_feature_that_is_left_out_is_unknown(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_OPENAPI_TITLE is not a setting"):
        Accounts(SQLAlchemy(), make_app(ACCOUNTS_OPENAPI_TITLE="x"), features=[Password(), Sessions()])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ACCOUNTS_PASSWORD_MIN_LENGTH", "many"),
        ("ACCOUNTS_PASSWORD_MIN_LENGTH", 0),
        ("ACCOUNTS_SESSIONS_FRESH_FOR", "soon"),
        ("ACCOUNTS_REGISTRATION_OPEN", "perhaps"),
        ("ACCOUNTS_USERS_DIRECTORY", "everybody"),
        ("ACCOUNTS_ROLES_ADMIN_ROLE", "Not A Role"),
        ("ACCOUNTS_SESSIONS_MAX_PER_USER", 0),
        ("ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME", timedelta(0)),
        ("ACCOUNTS_SESSIONS_GRACE_WINDOW", timedelta(seconds=-1)),
        ("ACCOUNTS_SESSIONS_FRESH_FOR", timedelta(seconds=-1)),
    ],
)
def test_an_ill_typed_setting_is_refused_by_name(make_app: MakeApp, key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{key}: "):
        Accounts(SQLAlchemy(), make_app(**{key: value}))


@pytest.mark.requirement("ASVS 16.2.5")
def test_a_secret_of_the_wrong_type_is_not_printed(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_TOKENS_PREVIOUS_KEYS") as caught:
        Accounts(SQLAlchemy(), make_app(ACCOUNTS_TOKENS_PREVIOUS_KEYS={"once": "a-key-of-the-past"}))

    assert "a-key-of-the-past" not in repr(caught.value)
    assert "a-key-of-the-past" not in repr(caught.value.__cause__)
    assert caught.value.__suppress_context__ or "a-key-of-the-past" not in str(caught.value.__context__)


def test_all_wrong_settings_are_named_at_once(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Accounts(SQLAlchemy(), make_app(ACCOUNTS_PASSWORD_MIN_LENGTH="x", ACCOUNTS_SESSIONS_FRESH_FOR="y", ACCOUNTS_NONSENSE=1))

    for key in ("ACCOUNTS_PASSWORD_MIN_LENGTH", "ACCOUNTS_SESSIONS_FRESH_FOR", "ACCOUNTS_NONSENSE"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JWT_ACCESS_TOKEN_EXPIRES", False),
        ("JWT_ACCESS_TOKEN_EXPIRES", "15m"),
        ("JWT_ACCESS_TOKEN_EXPIRES", 0),
        ("JWT_REFRESH_TOKEN_EXPIRES", "14d"),
        ("JWT_REFRESH_TOKEN_EXPIRES", True),
        ("JWT_REFRESH_TOKEN_EXPIRES", timedelta(days=-1)),
    ],
)
def test_a_lifetime_that_is_none_is_refused_at_start_and_not_at_the_first_sign_in(
    make_app: MakeApp, key: str, value: object
) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        Accounts(SQLAlchemy(), make_app(**{key: value}))

    assert "timedelta" in str(caught.value)


def test_another_identity_claim_than_sub_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match=r"JWT_IDENTITY_CLAIM.*sub"):
        Accounts(SQLAlchemy(), make_app(JWT_IDENTITY_CLAIM="identity"))


# Apps and dbs


def test_a_second_init_app_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    accounts = Accounts(SQLAlchemy(), app)

    with pytest.raises(ConfigurationError, match="call init_app once per app"):
        accounts.init_app(app)


def test_a_second_accounts_on_one_app_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    Accounts(SQLAlchemy(), app)

    with pytest.raises(ConfigurationError, match="init_app once per app"):
        Accounts(SQLAlchemy()).init_app(app)


def test_a_second_accounts_on_one_db_is_refused() -> None:
    db = SQLAlchemy()
    Accounts(db)

    with pytest.raises(ConfigurationError, match="Make one per db at module level and call init_app for each app"):
        Accounts(db)


def test_another_db_than_the_app_uses_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    SQLAlchemy(app)

    with pytest.raises(ConfigurationError, match="pass Accounts the app's own db"):
        Accounts(SQLAlchemy()).init_app(app)


@pytest.mark.parametrize("wrong", [None, "sqlite://", Flask("db"), SQLAlchemy])
def test_what_is_no_db_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a Flask-SQLAlchemy object"):
        Accounts(wrong)


def test_a_runtime_is_asked_for_only_where_there_is_one(make_app: MakeApp) -> None:
    accounts = Accounts(SQLAlchemy())
    with make_app().app_context(), pytest.raises(ConfigurationError, match=r"Call accounts.init_app\(app\)"):
        accounts.users  # noqa: B018  # a property


def test_a_failed_init_app_may_be_repeated_once_the_config_is_mended(make_app: MakeApp) -> None:
    app = make_app(ACCOUNTS_PASSWORD_MIN_LENGTH="x")
    accounts = Accounts(SQLAlchemy())
    with pytest.raises(ConfigurationError):
        accounts.init_app(app)

    app.config["ACCOUNTS_PASSWORD_MIN_LENGTH"] = 10
    accounts.init_app(app)

    create_tables(app)
    assert register(app.test_client()) == 201


# User classes


def test_an_unknown_kind_of_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"user_key='uuid4'.*'int' or 'uuid7'"):
        Accounts(SQLAlchemy(), user_key="uuid4")


def test_a_user_class_that_is_not_mapped_is_refused() -> None:
    class User(UserMixin):
        pass

    for wrong in (User, dict, "User"):
        with pytest.raises(ConfigurationError, match=r"is not a mapped class. Write `class User\(UserMixin, db.Model\)"):
            Accounts(SQLAlchemy(), user_model=wrong)  # type: ignore[arg-type]  # that is the point


def test_a_user_class_without_its_columns_is_refused_with_their_names() -> None:
    db = SQLAlchemy()

    class User(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(sa.String(100))

    with pytest.raises(ConfigurationError, match="User lacks username, username_normalized, password_hash") as caught:
        Accounts(db, user_model=User)

    assert "inherit from flask_accounts.UserMixin" in str(caught.value)
    assert "email," not in str(caught.value)


def test_a_user_class_with_a_composite_key_is_refused() -> None:
    db = SQLAlchemy()

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        tenant: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ConfigurationError, match=r"needs a key of one column.*unique constraint") as caught:
        Accounts(db, user_model=User)

    assert "tenant" in str(caught.value)


def test_a_user_class_of_another_db_is_refused() -> None:
    class Base(DeclarativeBase):
        pass

    class Stranger(UserMixin, Base):
        __tablename__ = "strangers"

    other = SQLAlchemy()

    class User(UserMixin, other.Model):  # type: ignore[name-defined,misc]
        pass

    for wrong in (Stranger, User):
        with pytest.raises(ConfigurationError, match=r"is not on this db.*db\.Model"):
            Accounts(SQLAlchemy(), user_model=wrong)


# Features, models, schemas, services


def test_a_feature_without_what_it_requires_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'registration' needs users, roles: add it to Accounts\(features=\[...\]\)"):
        Accounts(SQLAlchemy(), features=[Password(), Sessions(), Registration()])


def test_a_feature_given_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'password' is given twice; leave one out"):
        Accounts(SQLAlchemy(), features=[Password(), Password()])


@pytest.mark.parametrize("wrong", [Password, "password", None])
def test_what_is_no_feature_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a feature.*features=\[Password\(\)"):
        Accounts(SQLAlchemy(), features=[wrong])


def test_a_service_of_a_feature_that_is_left_out_names_its_remedy(make_app: MakeApp) -> None:
    app = make_app()
    accounts = Accounts(SQLAlchemy(), app, features=[Password(), Sessions()])

    with app.app_context(), pytest.raises(ConfigurationError, match=r"RoleService.*features=\[...\]"):
        accounts.roles  # noqa: B018  # a property


def test_fewer_features_serve_fewer_routes_and_tables(make_app: MakeApp) -> None:
    app = make_app()
    db = SQLAlchemy()
    Accounts(db, app, features=[Password(), Sessions(), OpenApi()])

    assert "accounts_roles" not in db.metadata.tables
    assert app.test_client().post("/api/auth/register", json={}).status_code == 404
    assert app.test_client().post("/api/auth/login", json={}).status_code == 400
    assert app.test_client().get("/api/auth/openapi.json").status_code == 200


def test_models_must_be_subclasses_of_their_mixins() -> None:
    db = SQLAlchemy()

    class Row(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ConfigurationError, match="the model must be a subclass of SessionMixin"):
        Accounts(db, models={SessionMixin: Row})


def test_a_model_for_a_table_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no table of RoleMixin. There are: RevokedTokenMixin, SessionMixin"):
        Accounts(SQLAlchemy(), models={RoleMixin: RoleMixin}, features=[Password()])


def test_schemas_must_be_subclasses_of_what_they_replace() -> None:
    class Loose(BaseModel):
        nickname: str

    with pytest.raises(ConfigurationError, match="the schema must be a subclass of UserSchema"):
        Accounts(SQLAlchemy(), schemas={UserSchema: Loose})


@pytest.mark.requirement("ASVS 15.3.3")
@pytest.mark.parametrize("base", [RegisterSchema, UpdateUserSchema])
@pytest.mark.parametrize("member", ["is_active", "password_hash", "id", "roles", "email_verified_at"])
def test_a_schema_by_which_anybody_sets_what_only_the_system_sets_is_refused(base: type[BaseModel], member: str) -> None:
    own = type("Own", (base,), {"__annotations__": {member: str}, "__module__": __name__})

    with pytest.raises(ConfigurationError, match=f"Own lets anybody set {member}. Take it out"):
        Accounts(SQLAlchemy(), schemas={base: own})


@pytest.mark.parametrize("base", [RegisterSchema, UpdateUserSchema, UserSchema, PublicUserSchema])
def test_a_schema_with_a_member_that_the_user_class_has_not_is_refused(base: type[BaseModel]) -> None:
    own = type("Own", (base,), {"__annotations__": {"nickname": str}, "__module__": __name__})

    with pytest.raises(ConfigurationError, match=r"Own has nickname, which User has not. Add the column"):
        Accounts(SQLAlchemy(), schemas={base: own})


@pytest.mark.requirement("ASVS 8.2.3")
@pytest.mark.parametrize("base", [UserSchema, PublicUserSchema])
def test_a_schema_that_shows_the_password_hash_is_refused(base: type[BaseModel]) -> None:
    own = type("Own", (base,), {"__annotations__": {"password_hash": str}, "__module__": __name__})

    with pytest.raises(ConfigurationError, match=r"Own shows password_hash. Take it out"):
        Accounts(SQLAlchemy(), schemas={base: own})


def test_services_must_be_subclasses_of_what_they_replace() -> None:
    with pytest.raises(ConfigurationError, match="the service must be a subclass of UserService"):
        Accounts(SQLAlchemy(), services={UserService: dict})  # type: ignore[dict-item]  # that is the point


def test_a_service_that_nobody_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"UserService.*There are: "):
        Accounts(SQLAlchemy(), services={UserService: UserService}, features=[Password()])


def test_an_own_service_takes_the_place_of_ours_also_in_routes(make_app: MakeApp) -> None:
    class Welcoming(UserService):
        def create(self, email: str, password: str | None = None, **fields: Any) -> Any:
            return super().create("new-" + email, password, **fields)

    app = make_app()
    accounts = Accounts(SQLAlchemy(), app, services={UserService: Welcoming})
    create_tables(app)

    answer = app.test_client().post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert answer.get_json()["user"]["email"] == "new-" + ANN
    with app.app_context():
        assert isinstance(accounts.users, Welcoming)


def test_features_have_the_names_that_others_require() -> None:
    assert [feature.name for feature in default_features()] == FEATURES
