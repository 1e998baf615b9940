"""Accounts that programs use: made by administrators or on the machine, used by keys alone."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result

from flask_accounts import default_features
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.api_keys.service_accounts import ServiceAccountService
from tests.conftest import Site
from tests.features.api_keys.tools import ANN, code_of, use

PATH = "/api/users/service-accounts"


def make(site: Site, name: str = "deployer", **body: Any) -> Any:
    answer = site.client_for(site.admin(f"maker-of-{name}@example.com")).post(PATH, json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def run(site: Site, *words: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["accounts", *words])


def test_an_administrator_makes_one_with_roles_and_a_key(site: Site) -> None:
    admin = site.client_for(site.admin())
    admin.post("/api/users/roles", json={"name": "reader", "permissions": ["posts:read"]})

    made = admin.post(PATH, json={"name": "deployer", "description": "Puts posts online."}).get_json()
    assert admin.put(f"/api/users/{made['id']}/roles", json={"roles": ["reader"]}).status_code == 200
    key = admin.post(f"/api/users/{made['id']}/api-keys", json={"name": "ci", "scopes": ["posts:read"]}).get_json()

    assert use(site, key["key"], "/read").status_code == 200
    assert use(site, key["key"], "/write").status_code == 403
    assert admin.get(PATH).get_json() == {"service_accounts": [made]}
    assert [found["id"] for found in admin.get(f"/api/users/{made['id']}/api-keys").get_json()["api_keys"]] == [key["id"]]
    assert admin.delete(f"/api/users/{made['id']}/api-keys/{key['id']}").status_code == 204
    assert use(site, key["key"], "/read").status_code == 401


def test_no_mail_is_sent_to_a_program(site: Site) -> None:
    made, admin = make(site), site.client_for(site.admin())
    site.testing.outbox.clear()
    admin.post(f"/api/users/{made['id']}/api-keys", json={"name": "ci"})
    for path in ("password/forgot", "email/verify/resend"):
        assert site.client.post(f"/api/auth/{path}", json={"email": "deployer@service-account.invalid"}).status_code == 202

    assert site.testing.outbox == []


def test_its_name_is_taken_from_then_on(site: Site) -> None:
    make(site)

    answer = site.client_for(site.admin()).post(PATH, json={"name": "Deployer"})

    assert code_of(answer) == (409, "USERNAME_TAKEN")


def test_it_can_be_renamed_and_deleted_as_any_account(site: Site) -> None:
    made, admin = make(site), site.client_for(site.admin())

    assert admin.patch(f"/api/users/{made['id']}", json={"username": "uploader"}).status_code == 200
    assert admin.delete(f"/api/users/{made['id']}").status_code == 204
    assert admin.get(PATH).get_json() == {"service_accounts": []}


def test_the_machine_makes_one_and_its_key(site: Site) -> None:
    run(site, "roles", "create", "reader", "--permission", "posts:read")

    assert "Made the account deployer" in run(site, "service-accounts", "create", "deployer", "--role", "reader").output
    made = run(site, "api-keys", "create", "deployer", "ci", "--scope", "posts:read", "--limit", "100/minute")
    key = made.output.strip()
    assert use(site, key, "/read").status_code == 200

    listed = run(site, "api-keys", "list", "deployer")
    assert key[:8] in listed.output
    assert key not in listed.output
    assert "deployer" in run(site, "service-accounts", "list").output
    assert run(site, "api-keys", "revoke", "deployer").output == "Revoked 1 key.\n"
    assert use(site, key, "/read").status_code == 401


def test_the_machine_revokes_one_key(site: Site) -> None:
    run(site, "service-accounts", "create", "deployer")
    first, second = (run(site, "api-keys", "create", "deployer", name).output.strip() for name in ("one", "two"))
    with site.app.app_context():
        from flask_accounts.features.api_keys.service import ApiKeyService

        found = site.accounts.users.find(username="deployer")
        ids = {key.name: str(key.id) for key in site.testing.runtime.get(ApiKeyService).of(found)}

    assert run(site, "api-keys", "revoke", "deployer", ids["one"]).output == "Revoked 1 key.\n"
    assert [use(site, key).status_code for key in (first, second)] == [401, 200]


def test_the_machine_makes_no_keys_of_people_and_says_what_is_wrong(site: Site) -> None:
    site.user(ANN)
    run(site, "service-accounts", "create", "deployer")

    assert "is no account of a program" in run(site, "api-keys", "create", ANN, "ci").output
    for words in (["--scope", "posts:read"], ["--network", "home"], ["--endless"], ["--expires", "2001-01-01T00:00:00Z"]):
        said = run(site, "api-keys", "create", "deployer", "ci", *words)
        assert said.exit_code == 1, said.output
        assert "Traceback" not in said.output


def test_host_code_makes_one_with_columns_of_its_own(site: Site) -> None:
    with site.app.app_context():
        service = site.testing.runtime.get(ServiceAccountService)
        view = service.create("deployer", description="Puts posts online.")
        site.db.session.commit()

        assert service.is_one(view)
        assert [account.name for account in service.all()] == ["deployer"]
        assert not service.is_one(site.user(ANN))


def test_the_feature_names_what_it_needs() -> None:
    assert set(ApiKeys.requires) <= {feature.name for feature in default_features()}


@pytest.mark.parametrize("name", ["", "a b", "x@y", "é" * 200])
def test_a_name_that_is_none_is_refused(site: Site, name: str) -> None:
    answer = site.client_for(site.admin()).post(PATH, json={"name": name})

    assert code_of(answer) == (400, "VALIDATION_ERROR")
