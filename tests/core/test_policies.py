"""Policies: canonical forms of addresses and usernames, and what makes a password unfit."""

from __future__ import annotations

import pytest

from flask_accounts.core.errors import FieldProblem, ValidationError
from flask_accounts.core.policies import (
    MAX_EMAIL,
    PasswordCheck,
    PasswordContext,
    check_password,
    check_username,
    common_check,
    common_passwords,
    email_form,
    is_single_script,
    length_check,
    likeness_check,
    normalise_email,
)

NOBODY = PasswordContext()
ANN = PasswordContext(email="ann.miller@acme.example.com", username="annie_m", words=("Globex",))


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("  ann@example.com ", "ann@example.com"),
        ("ａｎｎ@example.com", "ann@example.com"),
        ("ann+tag@example.com", "ann+tag@example.com"),
        ("a.n.n@example.com", "a.n.n@example.com"),
        ("ann@bücher.example.com", "ann@bücher.example.com"),
        ("ann@xn--bcher-kva.example.com", "ann@bücher.example.com"),
        ("ann@straße.example.com", "ann@straße.example.com"),
    ],
)
def test_an_address_has_one_canonical_form(typed: str, canonical: str) -> None:
    assert normalise_email(typed) == canonical
    assert normalise_email(canonical) == canonical


@pytest.mark.parametrize(
    "text", ["", "ann", "ann@", "@example.com", "a b@example.com", "ann@example.com\nBcc: x@y.example.com", "a@b@c.example.com",
             "ann@example.com,bob@example.com", "ann@" + "a" * 300 + ".com", "ann\x00@example.com"]
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        normalise_email(text)


def test_an_address_is_as_long_as_a_mail_can_carry() -> None:
    longest = "a" * 60 + "@" + ".".join(["b" * 60, "c" * 60, "d" * 60, "example"]) + ".com"
    longest = longest.replace("example", "e" * (MAX_EMAIL - len(longest) + len("example")))

    assert len(longest) == MAX_EMAIL
    assert normalise_email(longest) == longest
    with pytest.raises(ValueError, match=r"at most 254 characters"):
        normalise_email("a" + longest)


def test_an_address_under_the_domain_reserved_for_tests_is_one() -> None:
    """RFC 2606: nobody can own `.test`, and hosts' tests use it."""
    assert normalise_email("ann@example.test") == "ann@example.test"


def test_what_is_wrong_with_an_address_is_said() -> None:
    with pytest.raises(ValueError, match=r"@-sign"):
        normalise_email("ann")


def test_a_look_alike_address_stays_another_address() -> None:
    """Folding would make one deliverable address of two."""
    assert email_form("strasse@example.com") != email_form("straße@example.com")
    assert email_form("bıll@example.com") != email_form("bill@example.com")


@pytest.mark.parametrize("name", ["ab", "a" * 64, "ann", "Ann_M", "a.b-c", "anna1", "Ærø", "иван", "李小龙", "さくら花"])
def test_usernames_of_one_script_are_fit(name: str) -> None:
    assert check_username(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "ß" * 33,
        "_ann",
        "ann_",
        "ann@example.com",
        "an n",
        "ann/..",
        "a" * 65,
        "аnn",
        "adm\u200bin",
        "ann\u202e",
        "ﷺﷺﷺﷺ",
        "Ꮪam",
    ],
)
def test_usernames_that_deceive_or_break_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"Use"):
        check_username(name)


def test_scripts_written_together_count_as_one() -> None:
    assert is_single_script("東京タワー")
    assert is_single_script("漢字かなカナ")
    assert is_single_script("漢字한글")
    assert is_single_script("漢字ㄅㄆ")
    assert not is_single_script("한글かな")
    assert not is_single_script("ㄅㄆかな")
    assert not is_single_script("pаypal")


def test_letters_without_a_name_are_a_script_too_and_break_nothing() -> None:
    """Python names no Tangut ideograph: asking for the name of one raises."""
    assert is_single_script("\U00017000\U00017001")
    assert not is_single_script("ann\U00017000")


def test_length_counts_code_points() -> None:
    check = length_check(8)

    assert check("🙂" * 7, NOBODY) == FieldProblem("password", "password_too_short", "Use at least 8 characters.")
    assert check("🙂" * 8, NOBODY) is None
    assert check("x" * 256, NOBODY) is None
    assert check("x" * 257, NOBODY) == FieldProblem("password", "password_too_long", "Use at most 256 characters.")


@pytest.mark.parametrize("password", ["password1", "PassWord1", "qwertyuiop", "passwordpassword", "1234567890123456", "ｐassword1"])
def test_common_passwords_are_refused_however_they_are_cased(password: str) -> None:
    found = common_check(password, NOBODY)

    assert found
    assert (found.field, found.code) == ("password", "password_common")
    assert found.message


def test_only_what_can_be_a_password_is_looked_up() -> None:
    """Folding costs by the length, and one character can become eighteen (ASVS 15.2.2)."""
    assert common_check("ﷺ" * 257, NOBODY) is None
    assert common_check("no " * 85 + "x", NOBODY) is None


def test_the_list_of_common_passwords_is_long_enough() -> None:
    """ASVS 6.2.4 asks for the 3,000 most common that the policy would let through."""
    assert len(common_passwords()) > 3000
    assert min(map(len, common_passwords())) >= 8


@pytest.mark.parametrize(
    "password",
    ["ann.miller@acme.example.com", "AnnMiller", "annie_m1", "m_einna", "globex99", "ann.miller1", "acme", "acme1", "anniem12345",
     "acme.example.com"],
)  # fmt: skip
def test_passwords_like_the_account_are_refused(password: str) -> None:
    found = likeness_check(password, ANN)

    assert found
    assert (found.field, found.code) == ("password", "password_like_account")
    assert found.message


def test_an_address_whose_halves_are_equally_long_is_no_password_either() -> None:
    """Neither half alone makes up most of it."""
    assert likeness_check("annmille@acmes.com", PasswordContext(email="annmille@acmes.com"))


@pytest.mark.parametrize("name", ["joe", "jö", "x.y"])
def test_a_name_of_three_letters_says_nothing_about_a_password(name: str) -> None:
    context = PasswordContext(email=f"{name}@it.io", username=name, words=(name,))

    assert likeness_check(f"{name}1", context) is None
    assert likeness_check(f"{name} 2", context) is None


def test_who_has_no_name_has_none_that_a_password_could_be_like() -> None:
    for password in ("", "xxxx", "XXXX", "none"):
        assert likeness_check(password, NOBODY) is None


def test_only_what_can_be_a_password_is_compared() -> None:
    long = "annie" + "x" * 252
    context = PasswordContext(username="annie", words=(long[1:], long))

    assert likeness_check(long[1:], context), "256 characters"
    assert likeness_check(long, context) is None, "257: too long to be a password"


@pytest.mark.parametrize("password", ["correct horse battery", "my cat annie_m sleeps all day long", "acm", "anniem123456"])
def test_passwords_that_only_touch_on_the_account_are_fit(password: str) -> None:
    assert likeness_check(password, ANN) is None


def test_every_check_is_asked_and_each_problem_is_told_of_the_field_that_was_filled_in() -> None:
    def check(code: str) -> PasswordCheck:
        return lambda password, context: FieldProblem("password", code, f"{password} of {context.username}")

    def fit(password: str, context: PasswordContext) -> None:
        return None

    with pytest.raises(ValidationError) as refused:
        check_password("secret", ANN, [check("one"), fit, check("two")], field="new_password")

    assert refused.value.problems == (
        FieldProblem("new_password", "one", "secret of annie_m"),
        FieldProblem("new_password", "two", "secret of annie_m"),
    )
    check_password("secret", ANN, [fit])
    with pytest.raises(ValidationError) as by_default:
        check_password("secret", ANN, [check("one")])
    assert [problem.field for problem in by_default.value.problems] == ["password"]
