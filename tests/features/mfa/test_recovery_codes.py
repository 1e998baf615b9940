"""Recovery codes: shown once, good once, told of when used."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from flask_accounts import events
from flask_accounts.features.mfa.models import RecoveryCodeMixin
from flask_accounts.features.mfa.recovery import ALPHABET
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import ANN, AUTH, Owner, answered, asked, code_of, enrolled, signed_in


@pytest.mark.requirement("ASVS 6.5.4")
def test_codes_have_120_bits_in_letters_that_nobody_mistakes(site: Site, ann: Owner) -> None:
    assert len(ALPHABET) == 32
    assert not set("ILOU") & set(ALPHABET)
    for code in ann.codes:
        assert re.fullmatch(rf"([{ALPHABET}]{{6}}-){{3}}[{ALPHABET}]{{6}}", code)


def test_a_code_stands_in_for_the_lost_factor_once_and_is_told_of(site: Site, ann: Owner) -> None:
    with site.testing.recorded() as told:
        answer = answered(site, asked(site), "recovery_code", code=ann.codes[0])

    assert answer.status_code == 200, answer.text
    assert [event.left for event in told if isinstance(event, events.RecoveryCodeUsed)] == [9]
    assert [mail.subject for mail in site.testing.outbox] == ["A recovery code was used"]
    assert "Recovery codes that are left: 9." in site.testing.outbox[0].text
    assert code_of(answered(site, asked(site), "recovery_code", code=ann.codes[0])) == (401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("left", [1, 0])
def test_few_left_are_told_of(site: Site, ann: Owner, left: int) -> None:
    for code in ann.codes[: 10 - left]:
        assert answered(site, asked(site), "recovery_code", code=code).status_code == 200

    text = site.testing.outbox[-1].text
    assert f"that are left: {left}." in text
    assert "Make new ones" in text
    assert "Make new ones" not in site.testing.outbox[0].text


def test_a_code_may_be_typed_as_it_is_read(site: Site, ann: Owner) -> None:
    typed = ann.codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")

    assert answered(site, asked(site), "recovery_code", code=typed).status_code == 200


@pytest.mark.requirement("ASVS 6.5.6")
def test_new_codes_void_the_old_ones_and_take_step_up(site: Site, ann: Owner) -> None:
    made = ann.browser.post(f"{AUTH}/mfa/recovery-codes")

    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    new = made.get_json()["recovery_codes"]
    assert not set(new) & set(ann.codes)
    assert answered(site, asked(site), "recovery_code", code=ann.codes[0]).status_code == 401
    assert answered(site, asked(site), "recovery_code", code=new[0]).status_code == 200
    assert site.testing.outbox[0].subject == "A sign-in method was added to your account"


def test_an_account_without_a_factor_gets_none(site: Site) -> None:
    site.user(ANN, email_verified=True)

    assert code_of(signed_in(site).post(f"{AUTH}/mfa/recovery-codes")) == (409, "FACTOR_MISSING")


def test_how_many_there_are_is_a_setting(make_site: MakeSite) -> None:
    assert len(enrolled(make_site(config={"ACCOUNTS_MFA_RECOVERY_CODES": 12})).codes) == 12


@pytest.mark.requirement("ASVS 6.5.2")
def test_no_code_lies_at_rest(site: Site, ann: Owner) -> None:
    table = site.testing.runtime.model(RecoveryCodeMixin).__table__
    with site.app.app_context():
        stored = " ".join(site.db.session.execute(sa.select(table.c.code_hash)).scalars())

    for code in ann.codes:
        for spelling in (code, code.lower(), code.replace("-", "")):
            assert spelling not in stored
