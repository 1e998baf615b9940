"""The document is valid OpenAPI 3.1, and what the routes answer is what it says: status, content type, headers, shape, code."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jsonschema.validators import Draft202012Validator
from openapi_spec_validator import validate
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import Accounts, RegisterSchema, UpdateUserSchema, UserMixin, UserSchema
from flask_accounts.core.schemas import TokenResponse
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site
from tests.contract import contract_of, walk, walk_invitations, walk_life, walk_mfa


def test_every_answer_of_a_long_walk_is_what_the_document_says(make_site: MakeSite) -> None:
    config = {"ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN": True, "ACCOUNTS_MFA_REQUIRED": ["strict"], "ACCOUNTS_MFA_REMEMBER_FOR": 3600}
    site = make_site(config=config)
    contract = contract_of(site)

    walk(site, contract)
    walk_life(site, contract)
    walk_invitations(site, contract)
    walk_mfa(site, contract)

    # What only limits, a broken database or another set-up bring about; 413 and 415 are one piece of code for all.
    rare = {429, 503, 413, 415}
    unmet = {answer for answer in contract.answers - contract.met if answer[2] not in rare}
    unmet.discard(("post", "/api/auth/register", 403))
    unmet.discard(("get", "/api/auth/me/export", 500))  # an exporter of the host's fails
    # Where signing up signs in, and a second factor is demanded.
    unmet -= {("post", "/api/auth/register", 401), ("post", "/api/auth/invitations/accept", 401)}
    unmet.discard(("post", "/api/auth/mfa/devices", 404))  # where none are remembered
    unmet.discard(("post", "/api/auth/mfa/totp/confirm", 409))  # two at the same moment
    # Only where e-mail verification is required; its own tests meet them.
    unmet -= {("post", "/api/auth/register", 202), ("post", "/api/users", 202)}
    assert sorted(unmet) == [], str(sorted(unmet))


class Owner(UserSchema):
    """An account with an own column."""

    nickname: str | None


def with_own_schemas(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        nickname: Mapped[str | None] = mapped_column(String(50), default=None)

    class Register(RegisterSchema):
        """A new person."""

        nickname: str

    class Update(UpdateUserSchema):
        """A changed person."""

        nickname: str = ""

    return {"user_model": Person, "schemas": {UserSchema: Owner, RegisterSchema: Register, UpdateUserSchema: Update}}


def test_a_hosts_own_schemas_are_what_is_documented_and_answered(make_site: MakeSite) -> None:
    site = make_site(setup=with_own_schemas)
    contract = contract_of(site)

    walk(site, contract, nickname="Nick")

    schemas = contract.document["components"]["schemas"]
    assert "nickname" in schemas["Owner"]["properties"]
    assert "nickname" in schemas["Register"]["required"]


def test_with_uuid_keys_the_document_says_so(make_site: MakeSite) -> None:
    site = make_site(user_key="uuid7")
    contract = contract_of(site)

    walk(site, contract)

    assert contract.document["components"]["schemas"]["UserSchema"]["properties"]["id"]["format"] == "uuid"
    parameters = contract.document["paths"]["/api/users/{user_id}"]["get"]["parameters"]
    assert parameters[0]["schema"] == {"type": "string", "format": "uuid"}


def test_under_other_prefixes_the_document_follows(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUTH_URL_PREFIX": "/v1/a", "ACCOUNTS_USERS_URL_PREFIX": "/v1/people"})
    contract = contract_of(site, "/v1/a/openapi.json")

    walk(site, contract, auth="/v1/a", users="/v1/people")


def test_blueprints_registered_by_the_host_under_own_names_and_twice_are_documented() -> None:
    db = SQLAlchemy()
    accounts = Accounts(db)
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, TESTING=True)
    accounts.init_app(app, register_blueprints=False)
    app.register_blueprint(accounts.auth_blueprint(name="first"), url_prefix="/one")
    app.register_blueprint(accounts.auth_blueprint(name="second"), url_prefix="/two")

    document = app.test_client().get("/two/openapi.json").get_json()

    validate(document)
    assert {"/one/login", "/two/login"} <= document["paths"].keys()


def test_below_a_script_root_the_document_names_it_as_the_server(site: Site) -> None:
    document = site.client.get("/api/auth/openapi.json", environ_overrides={"SCRIPT_NAME": "/shop"}).get_json()

    assert document["servers"] == [{"url": "/shop"}]


COOKIES = {"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_SECURE": False}


def test_in_cookie_mode_the_cookies_and_the_csrf_headers_are_the_ways_in(make_site: MakeSite) -> None:
    contract = contract_of(make_site(config=COOKIES))

    schemes, paths = contract.document["components"]["securitySchemes"], contract.document["paths"]
    assert set(schemes) == {"access_cookie", "access_csrf", "refresh_cookie", "refresh_csrf"}
    assert schemes["access_cookie"]["name"] == "access_token_cookie"
    assert schemes["access_csrf"] == schemes["refresh_csrf"] | {"description": schemes["access_csrf"]["description"]}
    assert paths["/api/auth/me"]["get"]["security"] == [{"access_cookie": []}]
    assert paths["/api/auth/me"]["patch"]["security"] == [{"access_cookie": [], "access_csrf": []}]
    assert paths["/api/auth/refresh"]["post"]["security"] == [{}, {"refresh_cookie": [], "refresh_csrf": []}]
    assert paths["/api/auth/login"]["post"]["security"] == []


def test_in_cookie_mode_the_answers_are_what_the_document_says(make_site: MakeSite) -> None:
    site = make_site(config=COOKIES)
    contract = contract_of(site)
    site.user("ann@example.com")
    client = site.client

    def csrf(kind: str = "access") -> dict[str, str]:
        cookie = client.get_cookie(f"csrf_{kind}_token")
        return {"X-CSRF-TOKEN": cookie.value if cookie else ""}

    contract.check(client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}))
    contract.check(client.get("/api/auth/me"))
    contract.check(client.patch("/api/auth/me", json={"username": "ann"}))
    contract.check(client.patch("/api/auth/me", json={"username": "ann"}, headers=csrf()))
    contract.check(client.post("/api/auth/refresh"))
    contract.check(client.post("/api/auth/refresh", headers=csrf("refresh")))
    contract.check(client.post("/api/auth/logout"))
    contract.check(client.post("/api/auth/logout", headers=csrf()))

    assert ("patch", "/api/auth/me", 403) in contract.met


def test_the_least_length_of_a_password_and_an_asked_for_username_are_as_set(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSWORD_MIN_LENGTH": 15, "ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})

    schema = contract_of(site).document["components"]["schemas"]["RegisterSchema"]

    assert schema["properties"]["password"]["minLength"] == 15
    assert "username" in schema["required"]
    assert schema["properties"]["username"]["type"] == "string"


def test_every_input_is_closed_and_bounded(site: Site) -> None:
    """No body takes members it does not name, nor text without an end (ASVS 15.3.3)."""
    document = contract_of(site).document
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    }

    for name in bodies:
        schema = document["components"]["schemas"][name]
        assert schema["additionalProperties"] is False
        for field in schema["properties"].values():
            for kind in (*field.get("anyOf", [field]), *([field["items"]] if "items" in field else [])):
                assert kind["type"] != "string" or "maxLength" in kind or "pattern" in kind
                assert kind["type"] != "array" or "maxItems" in kind


def test_no_schema_shows_a_password_or_its_hash(site: Site) -> None:
    for name, schema in contract_of(site).document["components"]["schemas"].items():
        for field, definition in schema.get("properties", {}).items():
            assert "hash" not in field, name
            assert "password" not in field or definition["writeOnly"] is True


def test_every_error_has_an_example_and_its_code_is_narrowed_by_status(site: Site) -> None:
    document = contract_of(site).document
    login = document["paths"]["/api/auth/login"]["post"]["responses"]["401"]["content"]["application/problem+json"]

    plain, challenge = (option["allOf"] for option in login["schema"]["anyOf"])
    assert plain[1]["properties"]["code"]["enum"] == ["INVALID_CREDENTIALS"]
    assert challenge[0] == {"$ref": "#/components/schemas/ChallengeProblemSchema"}
    assert challenge[1]["properties"]["code"]["enum"] == [
        "CHALLENGE_REQUIRED", "MFA_REQUIRED", "MFA_ENROLMENT_REQUIRED", "PASSWORD_CHANGE_REQUIRED",
    ]  # fmt: skip
    assert all({"status", "code"} == set(option[1]["required"]) for option in (plain, challenge))


def test_every_example_of_an_error_is_one(site: Site) -> None:
    document = contract_of(site).document
    answers = [
        answer["content"]["application/problem+json"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        if "application/problem+json" in answer.get("content", {})
    ]

    for answer in answers:
        schema = Draft202012Validator(answer["schema"] | {"components": document["components"]})
        for code in answer["examples"]:
            schema.validate(document["components"]["examples"][code]["value"])
    assert len(answers) > 200


def test_tokens_are_required_where_bodies_carry_them_absent_where_cookies_do_and_optional_with_both(make_site: MakeSite) -> None:
    def tokens(*places: str) -> tuple[list[str], list[str]]:
        site = make_site(config={"JWT_TOKEN_LOCATION": places, "JWT_COOKIE_SECURE": False})
        schema = contract_of(site).document["components"]["schemas"]["TokenResponse"]
        pair = ("access_token", "refresh_token")
        assert all(schema["properties"].get(name, {"type": "string"})["type"] == "string" for name in pair)
        return [name for name in pair if name in schema["properties"]], [name for name in pair if name in schema["required"]]

    both = ["access_token", "refresh_token"]
    assert tokens("headers") == (both, both)
    assert tokens("cookies") == ([], [])
    assert tokens("headers", "cookies") == (both, [])


def test_members_of_bodies_have_their_defaults_in_words_for_generators_that_would_take_them_for_required(site: Site) -> None:
    schemas = contract_of(site).document["components"]["schemas"]

    assert "default" not in schemas["LoginSchema"]["properties"]["email"]
    assert schemas["AdminRegisterSchema"]["properties"]["is_active"] == {"type": "boolean", "description": "Default: `true`."}


class Dated(TokenResponse):
    """A token response with a member of the host's."""

    version: int = 2


def test_what_a_hosts_schema_has_a_default_for_is_always_answered(make_site: MakeSite) -> None:
    site = make_site(schemas={TokenResponse: Dated})
    contract = contract_of(site)
    site.user("ann@example.com")

    answer = site.login("ann@example.com")

    contract.check(answer)
    assert answer.get_json()["version"] == 2
    assert "version" in contract.document["components"]["schemas"]["Dated"]["required"]


def test_operations_have_unique_ids_a_summary_and_a_tag_that_is_described(site: Site) -> None:
    document = contract_of(site).document
    operations = [operation for operations in document["paths"].values() for operation in operations.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations) == 64
    assert all(operation["summary"] and operation["description"] for operation in operations)
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in document["tags"]}
