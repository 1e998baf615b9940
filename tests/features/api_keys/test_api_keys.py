"""API keys as their owners make, see and end them, and as programs use them."""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from flask_accounts import ConfigurationError
from flask_accounts.features.api_keys.secret import DIGITS, is_formed, new_secret
from flask_accounts.features.api_keys.service import ApiKeyService
from tests.conftest import MakeSite, Site, bearer
from tests.features.api_keys.tools import ANN, KEYS, ME, ask, by_host, code_of, header, key_of, use

FORM = re.compile(r"fak_[0-9A-Za-z]{49}")


def rows(site: Site) -> list[dict[str, Any]]:
    with site.app.app_context():
        table = site.db.metadata.tables["accounts_api_keys"]
        return [dict(row) for row in site.db.session.execute(sa.select(table)).mappings()]


# What a key looks like


def test_a_key_is_found_by_one_regular_expression_and_its_checksum() -> None:
    secret = new_secret("fak")

    assert FORM.fullmatch(secret)
    number = 0
    for digit in secret[-6:]:
        number = number * 62 + DIGITS.index(digit)
    assert number == zlib.crc32(secret[:-6].encode())
    assert is_formed(secret, ["fak"])
    assert not is_formed(secret, ["other"])


def test_keys_are_of_one_length_and_all_different() -> None:
    made = {new_secret("fak") for _ in range(500)}

    assert len(made) == 500
    assert {len(secret) for secret in made} == {53}


def test_a_prefix_may_have_parts() -> None:
    assert is_formed(new_secret("acme_live"), ["acme", "acme_live"])


@pytest.mark.parametrize("prefix", ["", "a", "Acme", "acme_", "_acme", "acme-x", "acme x", "a" * 25, "acme\n"])
def test_a_prefix_that_scanners_would_not_find_is_refused(make_site: MakeSite, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_API_KEYS_KEY_PREFIX"):
        make_site(config={"ACCOUNTS_API_KEYS_KEY_PREFIX": prefix})


def test_keys_of_an_earlier_prefix_are_still_good(make_site: MakeSite, database_url: str) -> None:
    before = make_site(url=database_url)
    key = key_of(before, before.user(ANN))

    after = make_site(
        url=database_url, config={"ACCOUNTS_API_KEYS_KEY_PREFIX": "acme", "ACCOUNTS_API_KEYS_PREVIOUS_KEY_PREFIXES": ["fak"]}
    )

    assert use(after, key).status_code == 200
    without = make_site(url=database_url, config={"ACCOUNTS_API_KEYS_KEY_PREFIX": "acme"})
    assert code_of(use(without, key)) == (401, "INVALID_TOKEN")
    assert without.client.get(ME, headers=bearer(key)).status_code == 401


# Making, seeing, ending


def test_a_key_is_shown_once(site: Site) -> None:
    ann = site.user(ANN, permissions=["posts:read"])

    answer = ask(site, ann, "nightly job", scopes=["posts:read"], networks=["192.0.2.0/24", "2001:db8::1"], limit="100/minute")

    made = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    secret = made.pop("key")
    assert FORM.fullmatch(secret)
    assert made["hint"] == secret[:8]
    assert made["scopes"] == ["posts:read"]
    assert made["networks"] == ["192.0.2.0/24", "2001:db8::1/128"]
    assert made["limit"] == "100/minute"
    assert made["last_used_at"] is None
    assert site.client_for(ann).get(KEYS).get_json() == {"api_keys": [made]}
    assert secret not in json.dumps(rows(site), default=str)


def test_a_key_is_good_for_90_days_unless_its_maker_says(site: Site) -> None:
    now = site.testing.clock.now()
    ann = site.user(ANN)

    made = ask(site, ann).get_json()
    other = ask(site, ann, expires_at=(now + timedelta(days=7)).isoformat()).get_json()

    assert datetime.fromisoformat(made["expires_at"]) == now + timedelta(days=90)
    assert datetime.fromisoformat(other["expires_at"]) == now + timedelta(days=7)


@pytest.mark.parametrize(("days", "code"), [(-1, "expiry_past"), (366, "expiry_late")])
def test_a_key_ends_in_time(site: Site, days: int, code: str) -> None:
    end = site.testing.clock.now() + timedelta(days=days)

    answer = ask(site, site.user(ANN), expires_at=end.isoformat())

    assert [problem["code"] for problem in answer.get_json()["errors"]] == [code]


def test_a_key_without_an_end_is_for_the_app_to_allow(site: Site, make_site: MakeSite) -> None:
    ann = site.user(ANN)
    refused = ask(site, ann, expires_at=None)
    assert [problem["code"] for problem in refused.get_json()["errors"]] == ["expiry_missing"]

    endless = make_site(config={"ACCOUNTS_API_KEYS_MAX_LIFETIME": None})
    key = key_of(endless, ann, expires_at=None)
    endless.testing.clock.move(days=3000)
    assert use(endless, key).status_code == 200


def test_a_default_beyond_the_maximum_is_refused_at_start(make_site: MakeSite) -> None:
    with pytest.raises(ConfigurationError, match="longer than max_lifetime"):
        make_site(config={"ACCOUNTS_API_KEYS_LIFETIME": timedelta(days=400)})


def test_every_problem_is_told_at_once(site: Site) -> None:
    body = {"scopes": ["posts:read", "posts:reed", "role:editor"], "networks": ["192.0.2.1/24", "home"], "limit": "often"}

    answer = ask(site, site.user(ANN), "  ", **body)

    found = [(problem["field"], problem["code"]) for problem in answer.get_json()["errors"]]
    assert found == [
        ("name", "name_invalid"), ("scopes", "scope_not_held"), ("scopes", "scope_unknown"), ("scopes", "scope_not_held"),
        ("networks", "network_invalid"), ("networks", "network_invalid"), ("limit", "limit_invalid"),
    ]  # fmt: skip
    assert rows(site) == []


def test_an_account_has_no_more_keys_than_it_may_have(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_API_KEYS_MAX_PER_USER": 2})
    ann, bob = site.user(ANN), site.user("bob@example.com")
    soon = (site.testing.clock.now() + timedelta(hours=1)).isoformat()
    first = ask(site, ann, expires_at=soon).get_json()
    assert ask(site, ann).status_code == 201

    assert code_of(ask(site, ann)) == (409, "API_KEY_LIMIT")
    assert ask(site, bob).status_code == 201
    site.testing.clock.move(hours=2)
    assert ask(site, ann).status_code == 201, "one that has expired does not count"
    assert code_of(ask(site, ann)) == (409, "API_KEY_LIMIT")
    assert site.client_for(ann).delete(f"{KEYS}/{first['id']}").status_code == 204


def test_a_key_that_is_revoked_is_dead_at_once(site: Site) -> None:
    ann = site.user(ANN)
    made = ask(site, ann).get_json()
    assert use(site, made["key"]).status_code == 200

    assert site.client_for(ann).delete(f"{KEYS}/{made['id']}").status_code == 204

    assert code_of(use(site, made["key"])) == (401, "INVALID_TOKEN")
    assert site.client_for(ann).delete(f"{KEYS}/{made['id']}").status_code == 404


def test_a_key_expires(site: Site) -> None:
    key = key_of(site, site.user(ANN))
    site.testing.clock.move(days=90, seconds=-1)
    assert use(site, key).status_code == 200
    site.testing.clock.move(seconds=1)

    assert code_of(use(site, key)) == (401, "TOKEN_EXPIRED")


def test_the_owner_is_told_by_mail_without_the_key_and_without_words_of_whoever_made_it(make_site: MakeSite) -> None:
    config = {"ACCOUNTS_API_KEYS_LINK_PATH": "keys", "ACCOUNTS_MAIL_BASE_URL": "https://app.example.com"}
    site = make_site(config=config)

    made = ask(site, site.user(ANN), "see https://evil.example").get_json()

    mail = site.testing.outbox[-1]
    assert (mail.to, mail.kind) == (ANN, "api_key_created")
    assert made["hint"] in mail.text
    assert made["expires_at"][:10] in mail.text
    assert "https://app.example.com/keys" in mail.text
    for text in (mail.text, mail.html or ""):
        assert made["key"] not in text
        assert "evil" not in text


def test_the_mail_can_be_switched_off(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_API_KEYS_NOTICE": False})
    ann = site.user(ANN)
    site.testing.outbox.clear()
    ask(site, ann)

    assert site.testing.outbox == []


def test_what_happens_to_keys_is_told(site: Site) -> None:
    ann = site.user(ANN)
    with site.testing.recorded() as events:
        made = ask(site, ann, networks=["192.0.2.1"]).get_json()
        use(site, made["key"])
        site.client_for(ann).delete(f"{KEYS}/{made['id']}")

    told = {event.name: event for event in events if event.name.startswith("api_key")}
    assert list(told) == ["api_key.created", "api_key.refused", "api_key.revoked"]
    assert {event.key_id for event in told.values()} == {UUID(made["id"])}  # type: ignore[attr-defined]  # each of them has it
    assert told["api_key.revoked"].actor_id == ann.id
    assert made["key"] not in repr(events)


def test_a_new_key_is_not_shown_by_its_repr(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        made = site.testing.runtime.get(ApiKeyService).create(ann, "deploy")

    assert made.secret not in repr(made)


# Using


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_sent_as_a_bearer_token_or_in_a_header_of_its_own(site: Site, scheme: str) -> None:
    key = key_of(site, site.user(ANN))

    for headers in ({"Authorization": f"{scheme} {key}"}, header(key)):
        answer = site.client.get("/who", headers=headers)
        assert answer.get_json() == {"email": ANN, "kind": "api_key", "permissions": []}
        assert site.client.get(ME, headers=headers).get_json()["email"] == ANN


def test_the_header_can_have_another_name_or_none(make_site: MakeSite, database_url: str) -> None:
    site = make_site(config={"ACCOUNTS_API_KEYS_HEADER": "X-Acme-Key"})
    key = key_of(site, site.user(ANN))
    assert site.client.get("/who", headers={"X-Acme-Key": key}).status_code == 200
    assert site.client.get("/who", headers=header(key)).status_code == 401

    none = make_site(url=database_url, config={"ACCOUNTS_API_KEYS_HEADER": ""})
    assert code_of(none.client.get("/who", headers=header(key))) == (401, "TOKEN_MISSING")
    assert none.client.get("/who", headers=bearer(key)).status_code == 200


def test_a_key_has_the_power_that_its_scopes_and_its_owner_have_in_common(site: Site) -> None:
    ann = site.user(ANN, roles=["editor"], permissions=["posts:read", "posts:write"])
    reader, editor = key_of(site, ann, "posts:read"), key_of(site, ann, "role:editor")

    assert [use(site, reader, path).status_code for path in ("/read", "/write", "/edit")] == [200, 403, 403]
    assert [use(site, editor, path).status_code for path in ("/read", "/write", "/edit")] == [403, 403, 200]


def test_everything_is_a_scope_for_who_may_do_everything(site: Site) -> None:
    admin, ann = site.admin(), site.user(ANN, permissions=["posts:read"])

    key = key_of(site, admin, "*")

    assert use(site, key, "/api/users").status_code == 200
    assert use(site, key, "/write").status_code == 200
    assert [problem["code"] for problem in ask(site, ann, scopes=["*"]).get_json()["errors"]] == ["scope_not_held"]


def test_host_code_keeps_keys_out_or_asks_for_one(site: Site) -> None:
    ann = site.user(ANN)
    key, client = key_of(site, ann), site.client_for(ann)

    assert code_of(use(site, key, "/session")) == (403, "CREDENTIAL_NOT_ALLOWED")
    assert client.get("/session").status_code == 200
    assert use(site, key, "/program").status_code == 200
    assert code_of(client.get("/program")) == (403, "CREDENTIAL_NOT_ALLOWED")
    assert code_of(use(site, key, "/fresh")) == (403, "CREDENTIAL_NOT_ALLOWED")
    assert client.get("/fresh").status_code == 200


def test_plain_jwt_required_takes_no_keys(site: Site) -> None:
    key = key_of(site, site.user(ANN))

    assert code_of(site.client.get("/plain", headers=bearer(key))) == (401, "INVALID_TOKEN")
    assert code_of(use(site, key, "/plain")) == (401, "TOKEN_MISSING")


def test_what_a_key_does_is_told_with_the_key(site: Site) -> None:
    admin, ann = site.admin(), site.user(ANN)
    made = ask(site, admin, scopes=["users:write", "audit:read"]).get_json()
    with site.testing.recorded() as events:
        answer = use(site, made["key"], f"/api/users/{ann.id}", "PATCH", json={"username": "anna"})
    assert answer.status_code == 200, answer.text

    assert [(event.name, event.actor_id, event.via) for event in events] == [("user.updated", admin.id, f"api_key:{made['id']}")]
    logged = use(site, made["key"], f"/api/users/{ann.id}/events?event=user.updated").get_json()["events"]
    assert [(entry["actor_id"], entry["details"]["via"]) for entry in logged] == [(str(admin.id), f"api_key:{made['id']}")]


# Counting and noting uses


def used(site: Site) -> list[tuple[Any, Any]]:
    return [(row["last_used_at"], row["last_used_ip"]) for row in rows(site)]


def test_the_last_use_is_written_once_a_minute_after_the_answer(site: Site) -> None:
    key, clock = by_host(site, site.user(ANN)), site.testing.clock
    start = clock.now()
    answer = site.client.get(ME, headers=header(key))
    assert used(site) == [(None, None)], "not before the answer was sent"
    answer.close()
    first = used(site)
    assert first == [(pytest.approx(start, abs=timedelta(milliseconds=1)), "127.0.0.1")]

    site.statements.clear()
    clock.move(seconds=59)
    use(site, key)
    assert (used(site), [text for text in site.statements if "UPDATE" in text]) == (first, [])
    clock.move(seconds=1)
    use(site, key)
    assert used(site)[0][0] - start >= timedelta(minutes=1)


def test_a_use_that_cannot_be_noted_is_nobodys_loss(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = by_host(site, site.user(ANN))

    def fail(*_: object) -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(ApiKeyService, "note_use", fail)

    assert use(site, key).status_code == 200
    assert "could not be written" in caplog.text
    assert key not in caplog.text


def test_a_request_by_key_costs_one_statement(site: Site) -> None:
    ann = site.user(ANN, roles=["editor"], permissions=["posts:read"])
    key = key_of(site, ann, "posts:read")
    use(site, key)

    for path in (ME, "/read"):
        site.statements.clear()
        assert use(site, key, path).status_code == 200
        assert len(site.statements) == 1, site.statements


def test_the_first_use_in_a_minute_costs_one_update(site: Site) -> None:
    key = key_of(site, site.user(ANN))
    site.statements.clear()

    use(site, key)

    assert [text.split()[0] for text in site.statements] == ["SELECT", "UPDATE"] or [
        text.split()[0] for text in site.statements
    ] == ["SELECT", "SET", "UPDATE"]  # PostgreSQL is told not to wait for the disk


def test_what_is_no_key_asks_the_database_nothing(site: Site) -> None:
    site.statements.clear()
    good = new_secret("fak")
    for junk in (good[:-1] + ("0" if good[-1] != "0" else "1"), "fak_", "fak_x", good + "x", "fak_" + "é" * 49, "x", " "):
        answer = site.client.get(ME, headers=header(junk))
        assert code_of(answer) == (401, "INVALID_TOKEN"), junk

    assert site.statements == []
    assert code_of(use(site, good)) == (401, "INVALID_TOKEN")
    assert len(site.statements) == 1


def test_a_key_has_a_limit_of_its_own(make_site: MakeSite) -> None:
    site = make_site(limits=True)
    ann = site.user(ANN)
    key, other = by_host(site, ann, limit="2/minute"), by_host(site, ann)

    with site.testing.recorded() as events:
        answers = [use(site, key) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert [event.scope for event in events if event.name == "access.limited"] == ["key"]  # type: ignore[attr-defined]  # of `RateLimited`
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert answers[0].headers["RateLimit"].startswith('"api_key-key-60s";r=1;')
    assert use(site, other).status_code == 200
    site.testing.clock.move(minutes=1)
    assert use(site, key).status_code == 200


def test_the_apps_limit_counts_beside_the_keys_own(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_API_KEYS_LIMIT": "3/hour"})
    ann = site.user(ANN)
    key, same, loose = (by_host(site, ann, limit=limit) for limit in (None, "3/hour", "100/minute"))

    for each in (key, same, loose):
        assert [use(site, each).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_limits_of_keys_are_counted_in_another_store_too(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_STORAGE": "memory"})
    key = by_host(site, site.user(ANN), limit="1/minute")

    assert [use(site, key).status_code for _ in range(2)] == [200, 429]


def test_a_limit_that_is_none_is_refused_at_start(make_site: MakeSite) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_API_KEYS_LIMIT"):
        make_site(config={"ACCOUNTS_API_KEYS_LIMIT": "often"})


# The life of rows


def test_an_export_holds_the_keys_and_nothing_to_use_them_by(site: Site) -> None:
    ann = site.user(ANN)
    key = key_of(site, ann)

    exported = site.client_for(ann).get("/api/auth/me/export").get_json()

    assert [found["hint"] for found in exported["api_keys"]["keys"]] == [key[:8]]
    stored = rows(site)[0]["key_hash"]
    assert key not in json.dumps(exported)
    assert stored not in json.dumps(exported)


def test_a_purge_deletes_keys_a_month_after_their_end(site: Site) -> None:
    ann = site.user(ANN)
    key_of(site, ann)
    site.testing.clock.move(days=119)
    assert site.app.test_cli_runner().invoke(args=["accounts", "purge"]).exit_code == 0
    assert len(site.client_for(ann).get(KEYS).get_json()["api_keys"]) == 1, "its owner sees what became of it"
    site.testing.clock.move(days=1)
    site.app.test_cli_runner().invoke(args=["accounts", "purge"])

    assert rows(site) == []


def test_a_deleted_account_leaves_no_key(site: Site) -> None:
    ann = site.user(ANN)
    key = key_of(site, ann)
    with site.app.app_context():
        site.accounts.users.delete(ann)
        site.db.session.commit()

    assert rows(site) == []
    assert code_of(use(site, key)) == (401, "INVALID_TOKEN")


def test_times_are_told_in_utc(site: Site) -> None:
    made = ask(site, site.user(ANN)).get_json()

    assert datetime.fromisoformat(made["created_at"]).tzinfo == UTC


# The document


def test_the_document_says_where_a_key_will_do(site: Site) -> None:
    document = site.client.get("/api/auth/openapi.json").get_json()

    assert document["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"
    assert {"api_key": []} in document["paths"]["/api/users"]["get"]["security"]
    own = document["paths"]["/api/auth/api-keys"]["post"]
    assert {"api_key": []} not in own["security"]
    assert "CREDENTIAL_NOT_ALLOWED" in json.dumps(own["responses"]["403"])
