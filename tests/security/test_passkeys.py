"""Attacks on passkeys: each part of a ceremony bent, challenges replayed and swapped, other people's passkeys, and what a stranger left behind."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from flask_accounts.core.events import PasskeyCloneSuspected, SignInFailed
from tests.conftest import MakeSite, Site, bearer
from tests.features.passkeys.authenticator import AT, BE, BS, ORIGIN, UP, UV, Authenticator, Json, b64, unb64
from tests.features.passkeys.tools import (
    ANN,
    AUTH,
    PASSKEYS,
    add,
    answered,
    asked,
    begin,
    begin_challenge,
    begin_login,
    login,
    options_of,
    owner,
    problem,
    register,
    sign_in,
    signed_in,
    with_token,
)
from tests.opted_in import make_site as make_site
from tests.opted_in import site as site

REFUSED, MALFORMED, UNKNOWN = (400, "credential_refused"), (400, "credential_invalid"), (400, "challenge_unknown")
WRONG = (401, "INVALID_CREDENTIALS")


def _set(*path: str, value: Any) -> Callable[[Json], None]:
    def bend(answer: Json) -> None:
        part = answer
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = value

    return bend


def _ec_numbers(curve: ec.EllipticCurve, size: int, algorithm: int, number: int) -> Json:
    public = ec.generate_private_key(curve).public_key().public_numbers()
    return {1: 2, 3: algorithm, -1: number, -2: public.x.to_bytes(size, "big"), -3: public.y.to_bytes(size, "big")}  # type: ignore[dict-item]


def _short_rsa() -> Json:
    public = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()  # noqa: S505  # that is the attack
    return {1: 3, 3: -257, -1: public.n.to_bytes(128, "big"), -2: b"\x01\x00\x01"}  # type: ignore[dict-item]


FULL = UP | UV | BE | BS
BENT_CLIENTS: dict[str, Json] = {
    "another ceremony": {"type": "payment.get"},
    "another origin": {"origin": "https://evil.example"},
    "an origin that begins alike": {"origin": f"{ORIGIN}.evil.example"},
    "an origin with a path": {"origin": f"{ORIGIN}/"},
    "another scheme": {"origin": "https://localhost:5000"},
    "a subdomain": {"origin": "http://evil.localhost:5000"},
    "inside another site's frame": {"crossOrigin": True},
    "below another site": {"topOrigin": "https://evil.example"},
}

# Making one


@pytest.mark.requirement("WebAuthn 7.1")
@pytest.mark.parametrize(
    "bent",
    [
        *(pytest.param({"client": each}, id=name) for name, each in BENT_CLIENTS.items()),
        pytest.param({"client": {"type": "webauthn.get"}}, id="an assertion"),
        pytest.param({"rp_id": "evil.example"}, id="another RP ID"),
        pytest.param({"flags": UV | BE | BS | AT}, id="nobody present"),
        pytest.param({"flags": UP | BE | BS | AT}, id="nobody verified"),
        pytest.param({"flags": UP | UV | BS | AT}, id="backed up but not to be copied"),
        pytest.param({"flags": FULL}, id="no credential in it"),
        pytest.param({"extra": b"\x00"}, id="bytes left over"),
        pytest.param({"cose": {1: 2, 3: -7}}, id="a key without coordinates"),
        pytest.param({"cose": {1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x01" * 32}}, id="a point off the curve"),
        pytest.param({"cose": _ec_numbers(ec.SECP384R1(), 48, -35, 2)}, id="an algorithm that was not asked for"),
        pytest.param({"cose": _ec_numbers(ec.SECP384R1(), 48, -7, 2)}, id="ES256 on another curve"),
        pytest.param({"cose": _short_rsa()}, id="a short RSA key"),
        pytest.param({"cose": "key"}, id="no key"),
        pytest.param({"statement": {"authData": b""}}, id="no authenticator data"),
        pytest.param({"statement": {"authData": 5}}, id="a number for authenticator data"),
        pytest.param({"bend": _set("response", "attestationObject", value=b64(b"\xff\xff"))}, id="no CBOR"),
        pytest.param({"bend": _set("response", "attestationObject", value="")}, id="an empty attestation"),
        pytest.param({"bend": _set("response", "attestationObject", value=b64(b"\x81" * 5000))}, id="deep CBOR"),
        pytest.param({"bend": _set("response", "attestationObject", value=b64(b"\x5b\x00\x00\xff\xff\xff\xff\xff\xff"))}, id="endless CBOR"),
    ],
)  # fmt: skip
def test_a_bent_registration_is_refused_and_its_challenge_used_up(site: Site, bent: Json) -> None:
    site.user(ANN, email_verified=True)
    browser, device = signed_in(site), Authenticator(algorithm=-7)
    options = begin(browser)

    answer = browser.post(PASSKEYS, json={"credential": device.make(options, **bent)})

    assert problem(answer) == REFUSED
    assert browser.get(PASSKEYS).get_json()["passkeys"] == []
    assert problem(browser.post(PASSKEYS, json={"credential": device.make(options)})) == UNKNOWN


@pytest.mark.requirement("WebAuthn 7.1")
def test_a_credential_id_is_the_one_that_was_made_and_not_too_long(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser, device = signed_in(site), Authenticator()

    other = b64(secrets.token_bytes(32))
    swapped = add(browser, device, bend=lambda answer: answer.update(id=other, rawId=other))
    assert problem(swapped) == REFUSED
    assert problem(add(browser, device, credential_id=b"x" * 1024)) == MALFORMED
    assert problem(add(browser, device, credential_id=b"")) == MALFORMED
    assert add(browser, device, credential_id=b"x" * 1023).status_code == 201


@pytest.mark.requirement("WebAuthn 7.1")
def test_a_passkey_that_is_known_is_not_made_another_accounts_too(site: Site) -> None:
    ann = owner(site)
    site.user("bob@example.com", email_verified=True)
    bob = signed_in(site, "bob@example.com")

    answer = add(bob, Authenticator(), credential_id=ann.device.credentials[0].id)

    assert problem(answer) == (400, "credential_known")
    assert sign_in(site.client, ann.device).get_json()["user"]["email"] == ANN


def test_an_attestation_statement_is_put_aside_unread(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser, device = signed_in(site), Authenticator()

    junk = {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"no certificate"]}}
    assert add(browser, device, statement=junk).status_code == 201
    assert sign_in(site.client, device).status_code == 200


@pytest.mark.requirement("ASVS 7.5.1")
def test_without_recent_authentication_nothing_about_passkeys_changes(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_FRESH_FOR": 60})
    ann = owner(site)
    made = Authenticator().make(begin(ann.browser))
    site.testing.clock.move(seconds=61)

    for method, path, body in (
        ("POST", f"{PASSKEYS}/options", None),
        ("POST", PASSKEYS, {"credential": made}),
        ("DELETE", f"{PASSKEYS}/{ann.passkey['id']}", None),
    ):
        answer = ann.browser.open(path, method=method, json=body)
        assert problem(answer) == (401, "REAUTHENTICATION_REQUIRED"), path


# Signing in


@pytest.mark.requirement("WebAuthn 7.2")
@pytest.mark.parametrize(
    "bent",
    [
        *(pytest.param({"client": each}, id=name) for name, each in BENT_CLIENTS.items()),
        pytest.param({"client": {"type": "webauthn.create"}}, id="a registration"),
        pytest.param({"rp_id": "evil.example"}, id="another RP ID"),
        pytest.param({"flags": UV | BE | BS}, id="nobody present"),
        pytest.param({"flags": UP | BE | BS}, id="nobody verified"),
        pytest.param({"flags": UP | UV}, id="not to be copied any more"),
        pytest.param({"flags": UP | UV | BS}, id="backed up but not to be copied"),
        pytest.param({"signature": b""}, id="no signature"),
        pytest.param({"signature": b"\x00" * 64}, id="a made-up signature"),
        pytest.param({"handle": b"x" * 64}, id="another user handle"),
        pytest.param({"bend": lambda answer: answer["response"].pop("userHandle")}, id="no user handle"),
        pytest.param({"bend": _set("response", "userHandle", value=None)}, id="a null user handle"),
        pytest.param({"bend": _set("response", "authenticatorData", value=b64(b"short"))}, id="short authenticator data"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("algorithm", [-8, -7])
def test_a_bent_sign_in_is_refused_and_its_challenge_used_up(site: Site, bent: Json, algorithm: int) -> None:
    ann = owner(site, device=Authenticator(algorithm=algorithm))
    browser = site.client
    options = begin_login(browser)

    with site.testing.recorded() as events:
        answer = login(browser, ann.device.prove(options, **bent))

    assert problem(answer) == WRONG
    assert [event.user_id for event in events if isinstance(event, SignInFailed)] == [ann.user.id]
    assert problem(login(browser, ann.device.prove(options))) == UNKNOWN
    assert sign_in(site.client, ann.device).status_code == 200


@pytest.mark.requirement("WebAuthn 7.2")
def test_what_was_signed_cannot_be_changed_afterwards(site: Site) -> None:
    ann = owner(site, device=Authenticator(counts=True, synced=False))
    browser = site.client

    def flip(answer: Json) -> None:
        data = bytearray(unb64(answer["response"]["authenticatorData"]))
        data[36] += 1  # the counter
        answer["response"]["authenticatorData"] = b64(bytes(data))

    assert problem(sign_in(browser, ann.device, bend=flip)) == WRONG


@pytest.mark.requirement("WebAuthn 7.2")
def test_another_passkeys_signature_is_none_of_this_one(site: Site) -> None:
    ann, mallory = owner(site), owner(site, "mallory@example.com")
    hers, his = ann.device.credentials[0], mallory.device.credentials[0]
    browser = site.client

    def claim(answer: Json) -> None:
        answer.update(id=b64(hers.id), rawId=b64(hers.id))
        answer["response"]["userHandle"] = b64(hers.handle)

    assert problem(login(browser, mallory.device.prove(begin_login(browser), his, bend=claim))) == WRONG


@pytest.mark.requirement("WebAuthn 14.6.2")
def test_no_oracle_an_unknown_passkey_and_a_wrong_signature_are_answered_alike(site: Site) -> None:
    ann = owner(site)
    stranger = Authenticator(credentials=[])
    stranger.make(begin(ann.browser))  # never handed in

    unknown = sign_in(site.client, stranger)
    wrong = sign_in(site.client, ann.device, signature=b"\x00" * 64)

    assert (unknown.status_code, unknown.get_json(), sorted(unknown.headers.keys())) == (
        wrong.status_code, wrong.get_json(), sorted(wrong.headers.keys()),
    )  # fmt: skip


@pytest.mark.requirement("WebAuthn 14.6.2")
def test_the_options_to_sign_in_tell_of_nobody(site: Site) -> None:
    before = begin_login(site.client)
    owner(site)
    after = begin_login(site.client)

    assert before["allowCredentials"] == after["allowCredentials"] == []
    assert before.keys() == after.keys()


@pytest.mark.requirement("WebAuthn 6.1.1")
@pytest.mark.parametrize("counter", [7, 50, 0], ids=["back", "the same", "none any more"])
def test_a_counter_that_goes_back_is_a_copy(site: Site, counter: int) -> None:
    ann = owner(site, device=Authenticator(counts=True, synced=False))
    assert sign_in(site.client, ann.device, counter=50).status_code == 200

    with site.testing.recorded() as events:
        answer = sign_in(site.client, ann.device, counter=counter)

    assert problem(answer) == WRONG
    assert [str(event.passkey_id) for event in events if isinstance(event, PasskeyCloneSuspected)] == [ann.passkey["id"]]
    assert sign_in(site.client, ann.device, counter=51).status_code == 200


@pytest.mark.requirement("WebAuthn 6.1.1")
def test_of_two_uses_at_once_that_have_read_the_same_counter_one_wins(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from flask_accounts.features.passkeys.service import PasskeyService

    ann = owner(site, device=Authenticator(counts=True, synced=False))
    service = site.testing.runtime.get(PasskeyService)
    with site.app.app_context():
        read = service._find(ann.device.credentials[0].id)
    assert sign_in(site.client, ann.device).status_code == 200

    with monkeypatch.context() as patched:
        patched.setattr(service, "_find", lambda credential_id: read)  # as it was before
        assert problem(sign_in(site.client, ann.device)) == WRONG

    assert sign_in(site.client, ann.device).status_code == 200


@pytest.mark.requirement("ASVS 15.3.5")
@pytest.mark.parametrize(
    "value", [None, True, 5, "text", [], {}, {"id": 5}, {"id": "AA", "rawId": "AA", "type": "public-key", "response": []}]
)
def test_what_is_no_credential_is_a_mistake_of_form(site: Site, value: Any) -> None:
    owner(site)
    token = asked(site)

    assert login(site.client, value).status_code == 400
    assert answered(site, token, "passkey", credential=value).status_code == 400


@pytest.mark.requirement("ASVS 15.3.5")
@pytest.mark.parametrize("member", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("value", [True, 5, [], {}, "=", "AA==", "A", "+/+/", "ä", "AB"])
def test_every_member_is_base64url_in_its_one_form(site: Site, member: str, value: Any) -> None:
    ann = owner(site)

    assert problem(sign_in(site.client, ann.device, bend=_set("response", member, value=value))) == MALFORMED


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"\xff", b'{"type":"webauthn.get"}', b'{"type":1,"challenge":"AA","origin":"x"}', b"[" * 9000]
)
def test_client_data_that_is_none_is_a_mistake_of_form(site: Site, raw: bytes) -> None:
    ann = owner(site)

    assert problem(sign_in(site.client, ann.device, bend=_set("response", "clientDataJSON", value=b64(raw)))) == MALFORMED


# Challenges


@pytest.mark.requirement("WebAuthn 13.4.3", "ASVS 6.7.2")
def test_challenges_are_long_and_never_the_same(site: Site) -> None:
    challenges = {begin_login(site.client)["challenge"] for _ in range(5)}

    assert len(challenges) == 5
    assert {len(unb64(each)) for each in challenges} == {32}


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_a_replayed_sign_in_opens_nothing(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    credential = ann.device.prove(begin_login(browser))

    assert login(browser, credential).status_code == 200
    assert problem(login(browser, credential)) == UNKNOWN


@pytest.mark.requirement("WebAuthn 13.4.3", "ASVS 6.7.2")
def test_a_challenge_expires(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    credential = ann.device.prove(begin_login(browser))
    site.testing.clock.move(minutes=10)

    assert problem(login(browser, credential)) == UNKNOWN


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_a_made_up_challenge_is_none_of_ours(site: Site) -> None:
    ann = owner(site)

    answer = sign_in(site.client, ann.device, client={"challenge": b64(secrets.token_bytes(32))})

    assert problem(answer) == UNKNOWN


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_login_csrf_a_challenge_is_answered_in_the_browser_that_asked(site: Site) -> None:
    """Mallory's answer, put into Ann's browser, does not sign her in as him; nor does hers in his."""
    mallory = owner(site, "mallory@example.com")
    his, hers = site.client, site.client
    credential = mallory.device.prove(begin_login(his))
    begin_login(hers)

    assert problem(login(hers, credential)) == UNKNOWN
    assert problem(login(site.app.test_client(use_cookies=False), credential)) == UNKNOWN
    assert problem(login(site.client, credential, request_token="")) == UNKNOWN
    assert login(his, credential).status_code == 200


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_with_cookies_the_browsers_secret_is_in_no_body(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    browser = site.client

    answer = browser.post(f"{PASSKEYS}/login/options")

    assert "request_token" not in answer.get_json()
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_a_challenge_of_one_purpose_is_none_of_another(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    here = with_token(site, sign_in(browser, ann.device).get_json()["access_token"])
    waiting = asked(site)
    challenges = {
        "sign-in": begin_login(browser),
        "proof": options_of(here.post(f"{AUTH}/reauthenticate/passkey")),
        "waiting": begin_challenge(site, waiting),
        "addition": begin(here) | {"rpId": "localhost"},
    }

    for name in ("proof", "waiting", "addition"):
        assert problem(login(browser, ann.device.prove(challenges[name]))) == UNKNOWN, name
    for name in ("sign-in", "waiting", "addition"):
        answer = here.post(f"{AUTH}/reauthenticate", json={"method": "passkey", "credential": ann.device.prove(challenges[name])})
        assert problem(answer) == UNKNOWN, name
    for name in ("sign-in", "proof", "addition"):
        site.testing.clock.move(minutes=2)  # the wait after wrong answers
        assert problem(answered(site, waiting, "passkey", credential=ann.device.prove(challenges[name]))) == UNKNOWN, name
    creation = begin(here)
    for name in ("sign-in", "proof", "waiting"):
        made = Authenticator().make(creation | {"challenge": challenges[name]["challenge"]})
        assert problem(here.post(PASSKEYS, json={"credential": made})) == UNKNOWN, name


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_a_challenge_of_one_session_is_none_of_another_of_the_same_account(site: Site) -> None:
    ann = owner(site)
    first = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])
    second = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])

    proof = ann.device.prove(options_of(first.post(f"{AUTH}/reauthenticate/passkey")))
    assert problem(second.post(f"{AUTH}/reauthenticate", json={"method": "passkey", "credential": proof})) == UNKNOWN
    made = Authenticator().make(begin(first))
    assert problem(second.post(PASSKEYS, json={"credential": made})) == UNKNOWN


@pytest.mark.requirement("WebAuthn 13.4.3")
def test_a_challenge_of_one_waiting_sign_in_is_none_of_another(site: Site) -> None:
    """Whoever knows the password cannot have Ann answer for him."""
    ann = owner(site)
    his, hers = asked(site), asked(site)

    proof = ann.device.prove(begin_challenge(site, his))

    assert problem(answered(site, hers, "passkey", credential=proof)) == UNKNOWN


# Other people's passkeys


@pytest.mark.requirement("ASVS 7.5.1")
def test_presence_is_not_proved_by_somebody_elses_passkey(site: Site) -> None:
    """GHSA-f66q-9rf6-8795."""
    ann, mallory = owner(site), owner(site, "mallory@example.com")
    hers = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])
    his = mallory.device.credentials[0]

    for bend in (lambda answer: None, lambda answer: answer["response"].pop("userHandle"), _handle_of(ann.device)):
        options = options_of(hers.post(f"{AUTH}/reauthenticate/passkey"))
        proof = mallory.device.prove(options, his, bend=bend)
        assert problem(hers.post(f"{AUTH}/reauthenticate", json={"method": "passkey", "credential": proof})) == WRONG


def _handle_of(device: Authenticator) -> Callable[[Json], None]:
    return _set("response", "userHandle", value=b64(device.credentials[0].handle))


@pytest.mark.requirement("WebAuthn 7.2")
def test_a_second_factor_is_not_somebody_elses_passkey(site: Site) -> None:
    ann, mallory = owner(site), owner(site, "mallory@example.com")
    token = asked(site)

    proof = mallory.device.prove(begin_challenge(site, token), mallory.device.credentials[0])

    assert problem(answered(site, token, "passkey", credential=proof)) == WRONG
    assert answered(site, token, "passkey", credential=ann.device.prove(begin_challenge(site, token))).status_code == 200


@pytest.mark.requirement("WebAuthn 7.2")
def test_an_own_passkey_that_calls_its_account_another_is_refused(site: Site) -> None:
    ann = owner(site)
    token = asked(site)

    proof = ann.device.prove(begin_challenge(site, token), handle=b"x" * 64)

    assert problem(answered(site, token, "passkey", credential=proof)) == WRONG


@pytest.mark.requirement("ASVS 8.2.2")
def test_other_peoples_passkeys_are_out_of_reach_and_unseen(site: Site) -> None:
    ann, bob = owner(site), owner(site, "bob@example.com")
    theirs, nobodys = f"{PASSKEYS}/{ann.passkey['id']}", f"{PASSKEYS}/018f0000-0000-7000-8000-000000000000"

    for path in (theirs, nobodys, f"{PASSKEYS}/x"):
        assert problem(bob.browser.patch(path, json={"name": "mine"})) == (404, "NOT_FOUND")
        assert problem(bob.browser.delete(path)) == (404, "NOT_FOUND")
    assert [passkey["id"] for passkey in bob.browser.get(PASSKEYS).get_json()["passkeys"]] == [bob.passkey["id"]]
    assert ann.browser.get(PASSKEYS).get_json()["passkeys"][0]["name"] == "Apple Passwords"


def test_a_found_key_that_was_made_without_a_pin_is_no_way_in_once_it_has_one(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_SECURITY_KEYS": True})
    ann = owner(site, device=Authenticator(verifies=False, synced=False))
    ann.device.verifies = True  # the finder has given it a PIN

    assert problem(sign_in(site.client, ann.device)) == WRONG
    browser = ann.browser
    options = options_of(browser.post(f"{AUTH}/reauthenticate/passkey"))
    answer = browser.post(f"{AUTH}/reauthenticate", json={"method": "passkey", "credential": ann.device.prove(options)})
    assert answer.status_code == 200
    assert problem(sign_in(site.client, ann.device)) == WRONG


@pytest.mark.requirement("WebAuthn 7.1")
def test_the_only_credential_of_an_account_verifies_its_owner_whatever_keys_are_taken_beside_a_password(
    make_site: MakeSite,
) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_SECURITY_KEYS": True})

    assert problem(register(site.client, Authenticator(verifies=False))) == REFUSED


# The life of accounts


@pytest.mark.requirement("ASVS 7.4.2")
def test_a_disabled_account_is_not_let_in_by_its_passkey(site: Site) -> None:
    ann = owner(site)
    with site.app.app_context():
        site.accounts.users.disable(ann.user)
        site.db.session.commit()

    assert problem(sign_in(site.client, ann.device)) == (403, "ACCOUNT_DISABLED")


def _stranger_registers(site: Site) -> Authenticator:
    """Mallory makes an account of Ann's address, by a passkey."""
    device = Authenticator()
    answer = register(site.client, device)
    assert answer.status_code == 201, answer.text
    assert sign_in(site.client, device).status_code == 200
    return device


def _mailed(site: Site, kind: str) -> str:
    [text] = [mail.text for mail in site.testing.outbox if mail.kind == kind]
    return text


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_a_strangers_passkey_is_void_once_the_owner_signs_in_by_mail(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": "http://localhost:5000"})
    device = _stranger_registers(site)
    browser = site.client
    browser.post(f"{AUTH}/magic-link", json={"email": ANN})
    token = _mailed(site, "magic_link").partition("#token=")[2].split()[0]

    answer = browser.post(f"{AUTH}/magic-link/login", json={"token": token})

    assert answer.status_code == 200, answer.text
    assert problem(sign_in(site.client, device)) == WRONG
    assert browser.get(PASSKEYS, headers=bearer(answer.get_json()["access_token"])).get_json() == {"passkeys": []}


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_an_address_is_taken_back_by_a_password_set_by_mail(make_site: MakeSite) -> None:
    """Also where an account without a password gets none otherwise: nobody keeps an address from its owner."""
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": "http://localhost:5000"})
    device = _stranger_registers(site)
    before = with_token(site, sign_in(site.client, device).get_json()["access_token"])
    site.client.post(f"{AUTH}/password/forgot", json={"email": ANN})
    token = _mailed(site, "reset_password").partition("#token=")[2].split()[0]

    answer = site.client.post(f"{AUTH}/password/reset", json={"token": token, "new_password": "seven brown foxes"})

    assert answer.status_code == 204, answer.text
    assert problem(sign_in(site.client, device)) == WRONG
    assert before.get(f"{AUTH}/me").status_code == 401
    assert site.login(ANN, "seven brown foxes").status_code == 200  # and nothing of the stranger's is asked for


@pytest.mark.requirement("ASVS 6.8.1")
def test_a_challenge_to_register_is_for_the_address_that_it_was_asked_for(site: Site) -> None:
    browser, device = site.client, Authenticator()
    options = options_of(browser.post(f"{PASSKEYS}/register/options", json={"email": "mallory@example.com"}))

    answer = browser.post(f"{PASSKEYS}/register", json={"email": ANN, "credential": device.make(options)})

    assert problem(answer) == UNKNOWN
    assert (
        problem(browser.post(f"{PASSKEYS}/register", json={"email": "mallory@example.com", "credential": device.make(options)}))
        == UNKNOWN
    )


@pytest.mark.parametrize("older", [False, True], ids=["his alone", "beside hers"])
def test_whoever_takes_an_account_back_is_rid_of_the_thiefs_passkey(site: Site, older: bool) -> None:
    from flask_accounts.core.events import EmailChangeUndone

    ann = owner(site)
    since = site.testing.clock.now()
    thief = Authenticator()
    if older:
        site.testing.clock.move(minutes=1)
        since = site.testing.clock.now()
        assert add(ann.browser, thief).status_code == 201
        site.testing.outbox.clear()
    with site.app.app_context():
        taken_back = EmailChangeUndone(user_id=ann.user.id, email=ANN, dropped="mallory@example.com", since=since)
        site.testing.runtime.events.emit(taken_back)
        site.db.session.commit()

    assert problem(sign_in(site.client, thief if older else ann.device)) == WRONG
    assert {mail.kind for mail in site.testing.outbox} == {"factor_changed"}
    if older:
        assert sign_in(site.client, ann.device).status_code == 200


@pytest.mark.requirement("ASVS 6.3.8", "OWASP-FP 2")
def test_asking_for_a_password_costs_the_same_whether_an_account_was_made_by_a_passkey_or_not(site: Site) -> None:
    register(site.client, Authenticator())
    site.user("known@example.com")
    site.user("sso@example.com", password=None)
    site.testing.outbox.clear()
    seen = []

    for address in (ANN, "known@example.com", "sso@example.com", "unknown@example.com"):
        site.client.post(f"{AUTH}/password/forgot", json={"email": address})  # so that there is an older one to be voided
        site.statements.clear()
        answer = site.client.post(f"{AUTH}/password/forgot", json={"email": address})
        seen.append((answer.status_code, answer.get_data(), len(site.statements)))

    assert all(each == seen[0] for each in seen), seen
    assert {mail.to for mail in site.testing.outbox} == {ANN, "known@example.com"}  # whoever signs in otherwise gets none


def test_an_owner_who_has_lost_the_only_passkey_is_helped_by_an_administrator(site: Site) -> None:
    register(site.client, Authenticator())
    with site.app.app_context():
        user = site.accounts.users.find(email=ANN)
        site.accounts.users.update(user, {"email_verified": True})
        site.db.session.commit()
        key = site.testing.runtime.users.key_of(user)
    site.testing.outbox.clear()
    site.client.post(f"{AUTH}/password/forgot", json={"email": ANN})
    assert site.testing.outbox == []
    admin = site.client_for(site.admin())

    assert admin.delete(f"/api/users/{key}/mfa").status_code == 204
    assert admin.post(f"/api/users/{key}/password-reset").status_code < 300

    assert "reset_password" in [mail.kind for mail in site.testing.outbox]


# Around it


@pytest.mark.requirement("ASVS 16.3.1")
def test_nothing_is_read_from_the_host_header(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    poisoned = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}

    options = options_of(browser.post(f"{PASSKEYS}/login/options", headers=poisoned))

    assert options["rpId"] == "localhost"
    browser = site.client
    credential = ann.device.prove(begin_login(browser), client={"origin": "https://evil.example"}, rp_id="evil.example")
    assert problem(browser.post(f"{PASSKEYS}/login", json={"credential": credential}, headers=poisoned)) in (WRONG, UNKNOWN)


def test_options_for_nobody_are_limited(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_PASSKEY_OPTIONS_ADDRESS": "3/minute"})

    statuses = [site.client.post(f"{PASSKEYS}/login/options").status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


def test_challenges_that_nobody_answered_are_purged(site: Site) -> None:
    begin_login(site.client)
    site.testing.clock.move(minutes=11)

    with site.app.app_context():
        assert site.testing.runtime.purge() == 1
        site.db.session.commit()


def test_nothing_of_a_ceremony_is_logged_but_the_origin(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    ann = owner(site)

    sign_in(site.client, ann.device, client={"origin": "http://localhost:5000\nforged line"})
    sign_in(site.client, ann.device, client={"origin": "https://shop.example"})

    assert "'https://shop.example' is none of ACCOUNTS_PASSKEYS_ORIGINS" in caplog.text
    assert "\nforged" not in caplog.text
    assert json.dumps(b64(ann.device.credentials[0].id)) not in caplog.text
