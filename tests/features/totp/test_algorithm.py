"""TOTP held against the vectors of its RFCs, and against oathtool, which is somebody else's."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from flask_accounts.features.totp.algorithm import hotp, matching_step, shown, step_at, uri

SEED = b"12345678901234567890"
LONGER = {"sha1": SEED, "sha256": (SEED * 4)[:32], "sha512": (SEED * 4)[:64]}


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.requirement("RFC6238 5.2")
def test_the_vectors_of_rfc_4226_appendix_d() -> None:
    expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]

    assert [hotp(SEED, counter) for counter in range(10)] == expected


@pytest.mark.requirement("RFC6238 5.2")
@pytest.mark.parametrize(
    ("seconds", "codes"),
    [
        (59, ("94287082", "46119246", "90693936")),
        (1_111_111_109, ("07081804", "68084774", "25091201")),
        (1_111_111_111, ("14050471", "67062674", "99943326")),
        (1_234_567_890, ("89005924", "91819424", "93441116")),
        (2_000_000_000, ("69279037", "90698825", "38618901")),
        (20_000_000_000, ("65353130", "77737706", "47863826")),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(seconds: int, codes: tuple[str, str, str]) -> None:
    found = tuple(hotp(LONGER[name], step_at(at(seconds)), 8, name) for name in LONGER)

    assert found == codes


def test_oathtool_makes_the_same_codes() -> None:
    oathtool = shutil.which("oathtool")
    if oathtool is None:
        pytest.skip("oathtool is not installed")
    for seconds in (59, 1_234_567_890, 1_800_000_000, 4_000_000_000):
        secret = secrets.token_bytes(20)
        command = [oathtool, "--totp", "-b", shown(secret), "--now", f"@{seconds}"]

        theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

        assert theirs == hotp(secret, step_at(at(seconds)))


@pytest.mark.requirement("ASVS 6.5.5")
def test_one_step_of_drift_and_no_more() -> None:
    now, present = at(1_800_000_000), step_at(at(1_800_000_000))

    found = {step: matching_step(SEED, hotp(SEED, present + step), now, drift=1) for step in range(-3, 4)}

    assert found == {-3: None, -2: None, -1: present - 1, 0: present, 1: present + 1, 2: None, 3: None}
    assert matching_step(SEED, hotp(SEED, present - 1), now, drift=0) is None


@pytest.mark.requirement("ASVS 6.5.1")
def test_what_was_used_and_what_is_older_matches_nothing() -> None:
    now, present = at(1_800_000_000), step_at(at(1_800_000_000))

    assert matching_step(SEED, hotp(SEED, present), now, drift=1, after=present) is None
    assert matching_step(SEED, hotp(SEED, present - 1), now, drift=1, after=present) is None
    assert matching_step(SEED, hotp(SEED, present + 1), now, drift=1, after=present) == present + 1


@pytest.mark.requirement("ASVS 15.3.5")
def test_a_code_is_six_ascii_digits_however_it_is_grouped() -> None:
    now = at(59)
    code = hotp(SEED, 1)

    assert matching_step(SEED, f"{code[:3]} {code[3:]}", now, drift=1) == 1
    assert matching_step(SEED, f"{code[:3]}-{code[3:]}", now, drift=1) == 1
    arabic = code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    for wrong in ("", code[:5], code + "0", f"{code}\n", f"+{code}", arabic, "x" * 1000, "0x" + code[2:]):
        assert matching_step(SEED, wrong, now, drift=1) is None, wrong


def test_the_uri_says_who_and_what() -> None:
    found = uri(SEED, issuer="My Shop & Co", account="ann+x@example.com")

    assert found == (
        "otpauth://totp/My%20Shop%20%26%20Co:ann%2Bx@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=My%20Shop%20%26%20Co&algorithm=SHA1&digits=6&period=30"
    )
    assert base64.b32decode(shown(SEED)) == SEED
