"""Amounts, dates and identifiers: exact both ways, and nothing else gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.x12.amounts import read_milli, read_minor, write_milli, write_minor
from careledger.standards.x12.dates import check_moment, read_date, read_period, read_time, write_date
from careledger.standards.x12.npi import compute_check_digit, is_npi


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("24599.00", 2459900),
        ("24599", 2459900),
        (".5", 50),
        ("0.05", 5),
        ("-1.27", -127),
        ("-.3", -30),
        ("1000.", 100000),
        ("1.500", 150),
        ("0", 0),
        ("007", 700),
        ("9999999999999.99", 999999999999999),
    ],
)
def test_amounts_are_read_exactly(text: str, minor: int) -> None:
    assert read_minor(text) == minor


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "-",
            "-.",
            "1.234",
            ".005",
            "1e3",
            "+1",
            " 1",
            "1 ",
            "1_0",
            "1,0",
            "--1",
            "1-",
            "1.2.3",
            "0x1",
        ),
        *("NaN", "inf", "\u00b2", "\u0663", "1" * 19, "1" * 17 + ".00"),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        read_minor(text)


@given(st.integers(-(10**15), 10**15))
def test_amounts_survive_writing(minor: int) -> None:
    assert read_minor(write_minor(minor)) == minor


@given(st.integers(-(10**15), 10**15))
def test_quantities_survive_writing(milli: int) -> None:
    assert read_milli(write_milli(milli)) == milli


@given(st.integers(0, 10**12), st.integers(0, 99), st.booleans())
def test_every_form_of_an_amount_is_the_same_amount(whole: int, cents: int, is_negative: bool) -> None:
    sign = "-" if is_negative else ""
    expected = (whole * 100 + cents) * (-1 if is_negative else 1)
    assert read_minor(f"{sign}{whole}.{cents:02d}") == expected
    assert read_minor(f"{sign}{whole}.{cents:02d}000") == expected
    assert read_minor(f"{sign}00{whole}.{cents:02d}") == expected


@pytest.mark.parametrize(
    ("minor", "text"),
    [(10000, "100"), (1250, "12.5"), (1225, "12.25"), (5, ".05"), (-127, "-1.27"), (0, "0"), (50, ".5")],
)
def test_amounts_are_written_in_their_shortest_form(minor: int, text: str) -> None:
    assert write_minor(minor) == text


@pytest.mark.parametrize(
    ("milli", "text"), [(1000, "1"), (2500, "2.5"), (125, ".125"), (-10, "-.01"), (0, "0")]
)
def test_quantities_are_written_in_their_shortest_form(milli: int, text: str) -> None:
    assert write_milli(milli) == text


def test_quantities_have_three_decimals_at_most() -> None:
    assert read_milli("1.125") == 1125
    with pytest.raises(ValueError, match="decimals"):
        read_milli("1.1255")


@given(st.dates())
def test_dates_survive_writing(date: object) -> None:
    iso = str(date)
    assert read_date(write_date(iso)) == iso


@pytest.mark.parametrize(
    "text", ["20260230", "20261301", "2026010", "202601011", "2026-1-1", "\u0662" * 8, "00000101"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the calendar words its own errors
        read_date(text)


@pytest.mark.parametrize(
    ("form", "text", "is_good"),
    [
        ("D8", "20240229", True),
        ("D8", "20230229", False),
        ("D6", "260131", True),
        ("RD8", "20260101-20260101", True),
        ("RD8", "20260102-20260101", False),
        ("RD8", "20260101", False),
        ("DT", "202601012359", True),
        ("DT", "202601012460", False),
        ("DT", "20260101", False),
        ("TM", "0000", True),
        ("TM", "235960", False),
        ("TM", "1", False),
        ("XX", "anything", True),
    ],
)
def test_moments_are_held_against_their_form(form: str, text: str, is_good: bool) -> None:
    assert check_moment(form, text) is is_good


def test_a_period_gives_both_ends() -> None:
    assert read_period("20260131-20260201") == ("2026-01-31", "2026-02-01")


@pytest.mark.parametrize("text", ["12", "12345", "240000", "12\u0663\u0663"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        read_time(text)


@pytest.mark.parametrize("text", ["2026-02-30", "20260201x", "2026-2-1", ""])
def test_only_iso_dates_are_written(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the calendar words its own errors
        write_date(text)


def test_the_published_identifier_checks() -> None:
    # 45 CFR 162.406 is explained by CMS with 123456789 and its check digit 3.
    assert is_npi("1234567893")
    assert compute_check_digit("123456789") == "3"


@given(st.integers(0, 10**9 - 1), st.integers(0, 9), st.integers(0, 9))
def test_every_single_wrong_digit_is_found(stem: int, place: int, digit: int) -> None:
    text = f"{stem:09d}"
    good = text + compute_check_digit(text)
    changed = good[:place] + str(digit) + good[place + 1 :]
    assert is_npi(good)
    assert is_npi(changed) is (changed == good)


@pytest.mark.parametrize("text", ["", "123456789", "12345678933", "123456789x", "\u0661" * 10, " 234567893"])
def test_what_is_no_identifier_is_refused(text: str) -> None:
    assert not is_npi(text)


def test_a_check_digit_needs_nine_digits() -> None:
    with pytest.raises(ValueError, match="nine digits"):
        compute_check_digit("12345678")
