import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.gs1.dates import resolve_date, resolve_year, verify_date, write_date
from careledger.standards.gs1.errors import GS1Code, GS1Error


@pytest.mark.parametrize(
    ("value", "reference_year", "expected"),
    [
        ("271231", 2026, dt.date(2027, 12, 31)),
        ("270200", 2026, dt.date(2027, 2, 28)),
        ("280200", 2026, dt.date(2028, 2, 29)),
        ("271200", 2026, dt.date(2027, 12, 31)),
        ("270400", 2026, dt.date(2027, 4, 30)),
        # 77 - 26 = 51: the previous century; 76 - 26 = 50: this one.
        ("770101", 2026, dt.date(1977, 1, 1)),
        ("760101", 2026, dt.date(2076, 1, 1)),
        # 30 - 80 = -50: the next century; 31 - 80 = -49: this one.
        ("300101", 2080, dt.date(2130, 1, 1)),
        ("310101", 2080, dt.date(2031, 1, 1)),
    ],
)
def test_dates_mean(value: str, reference_year: int, expected: dt.date) -> None:
    assert resolve_date(value, reference_year=reference_year) == expected


@given(st.integers(0, 99), st.integers(1960, 2200))
def test_the_year_meant_is_within_half_a_century(two_digits: int, reference_year: int) -> None:
    year = resolve_year(two_digits, reference_year=reference_year)
    assert year % 100 == two_digits
    assert -49 <= year - reference_year <= 50


@given(st.dates(dt.date(2000, 1, 1), dt.date(2049, 12, 31)))
def test_dates_round_trip(day: dt.date) -> None:
    assert resolve_date(write_date(day), reference_year=2026) == day


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("271301", "ymd0"),
        ("270001", "ymd0"),
        ("270230", "ymd0"),
        ("270431", "ymd0"),
        ("270229", "ymd"),
        ("270400", "ymd"),
        ("27043", "ymd"),
        ("2704301", "ymd"),
        ("27043x", "ymd"),
        ("2704302401", "ymdhm"),
        ("2704301260", "ymdhm"),
        ("27043024", "ymdh"),
        ("2400", "hm"),
        ("20270230", "Ymd"),
    ],
)
def test_impossible_dates(value: str, shape: str) -> None:
    with pytest.raises(GS1Error) as caught:
        verify_date(value, shape, ai="17", position=18)
    assert caught.value.code is GS1Code.DATE
    assert (caught.value.ai, caught.value.position) == ("17", 18)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("2704309999", "ymdhm"),
        ("280229", "ymd"),
        ("2359", "hm"),
        ("202802292359", "Ymdhm"),
        ("27043023", "ymdh"),
    ],
)
def test_possible_dates(value: str, shape: str) -> None:
    verify_date(value, shape)


def test_a_leap_day_of_the_wrong_century_is_refused_once_the_year_is_known() -> None:
    assert resolve_date("000229", reference_year=2026) == dt.date(2000, 2, 29)
    with pytest.raises(GS1Error):
        resolve_date("000229", reference_year=2080)
