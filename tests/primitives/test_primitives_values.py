import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

import careledger.ledger.errors  # noqa: F401 - a code space to look at
from careledger.primitives.errors import Category, CodeSpace, code_spaces
from careledger.primitives.identifiers import is_chain_id, is_slug
from careledger.primitives.money import divide_half_even, divide_half_up, format_minor, parse_minor
from careledger.primitives.timestamps import civil_from_days, days_from_civil, format_instant


@given(st.integers(-700_000, 2_900_000))
def test_calendar_agrees_with_the_standard_library(days: int) -> None:
    expected = dt.date(1970, 1, 1).toordinal() + days
    if not 1 <= expected <= dt.date.max.toordinal():
        return
    date = dt.date.fromordinal(expected)
    assert civil_from_days(days) == (date.year, date.month, date.day)
    assert days_from_civil(date.year, date.month, date.day) == days


def test_instants_are_written_with_milliseconds() -> None:
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"
    assert format_instant(1_795_336_200_042) == "2026-11-22T08:30:00.042Z"


@pytest.mark.parametrize(
    ("text", "minor"),
    [("24599.00", 2459900), ("24599", 2459900), (".5", 50), ("-1.27", -127), ("0", 0), ("1.5000", 150)],
)
def test_amounts_are_read_exactly(text: str, minor: int) -> None:
    assert parse_minor(text) == minor
    assert parse_minor(format_minor(minor)) == minor


@pytest.mark.parametrize("text", ["", ".", "-", "1.005", "1e3", "1,5", "NaN", "٣", "1 ", "0x1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal|decimals"):
        parse_minor(text)


@pytest.mark.parametrize(
    ("numerator", "denominator", "up", "even"),
    [(5, 2, 3, 2), (7, 2, 4, 4), (-5, 2, -3, -2), (1, 3, 0, 0), (2, 3, 1, 1), (-1, 2, -1, 0)],
)
def test_roundings_by_name(numerator: int, denominator: int, up: int, even: int) -> None:
    assert divide_half_up(numerator, denominator) == up
    assert divide_half_even(numerator, denominator) == even


def test_names() -> None:
    assert is_chain_id("demo-1.eu")
    assert is_slug("hospital-a")
    assert not any(map(is_chain_id, ("", "1a", "A", "a" * 49, "a b", "ab\n")))
    assert not any(map(is_slug, ("", "a", "-a", "A1", "a_b", "ab\n")))


def test_codes_are_numbered_once() -> None:
    space = code_spaces()[0]
    taken = space.codes()[0]
    with pytest.raises(ValueError, match="in use"):
        space.define(taken.number, "ANOTHER", Category.INVALID, "text")
    with pytest.raises(ValueError, match="in use"):
        space.define(999, taken.slug, Category.INVALID, "text")
    with pytest.raises(ValueError, match="already defined"):
        CodeSpace(space.module, 250)
    assert all(code.category.http_status >= 400 for one in code_spaces() for code in one.codes())
