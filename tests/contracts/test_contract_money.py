"""Roundings, percentages, amounts and dates against exact fractions, decimals and the calendar."""

from __future__ import annotations

import datetime as dt
import decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.contracts.semantics import money

NUMBERS = st.integers(-(2**127), 2**127)
DIVISORS = st.integers(1, 2**64)
DECIMAL_MODES = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "down": decimal.ROUND_DOWN,
    "up": decimal.ROUND_UP,
    "floor": decimal.ROUND_FLOOR,
    "ceiling": decimal.ROUND_CEILING,
}


@given(NUMBERS, st.integers(1, 2**20))
def test_every_rounding_is_the_decimal_module_s_of_the_same_name(numerator: int, divisor: int) -> None:
    with decimal.localcontext() as context:
        context.prec = 120
        exact = decimal.Decimal(numerator) / decimal.Decimal(divisor)
        for name, rounding in money.ROUNDINGS.items():
            expected = exact.to_integral_value(rounding=DECIMAL_MODES[name])
            assert rounding(numerator, divisor) == expected, name


@given(NUMBERS, DIVISORS)
def test_floor_and_ceiling_enclose_the_fraction(numerator: int, divisor: int) -> None:
    exact = Fraction(numerator, divisor)
    assert money.floor(numerator, divisor) == floor(exact)
    assert money.ceiling(numerator, divisor) == ceil(exact)
    for rounding in money.ROUNDINGS.values():
        assert abs(rounding(numerator, divisor) - exact) < 1
    assert abs(money.round_half_up(numerator, divisor) - exact) <= Fraction(1, 2)
    assert abs(money.round_half_even(numerator, divisor) - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("numerator", "half_up", "half_even", "down", "up", "floored", "ceiled"),
    [
        (15, 2, 2, 1, 2, 1, 2),
        (25, 3, 2, 2, 3, 2, 3),
        (-15, -2, -2, -1, -2, -2, -1),
        (-25, -3, -2, -2, -3, -3, -2),
        (14, 1, 1, 1, 2, 1, 2),
        (-16, -2, -2, -1, -2, -2, -1),
        (20, 2, 2, 2, 2, 2, 2),
        (0, 0, 0, 0, 0, 0, 0),
    ],
)
def test_tenths(
    numerator: int, half_up: int, half_even: int, down: int, up: int, floored: int, ceiled: int
) -> None:
    modes = ("half_up", "half_even", "down", "up", "floor", "ceiling")
    assert [money.ROUNDINGS[mode](numerator, 10) for mode in modes] == [
        half_up,
        half_even,
        down,
        up,
        floored,
        ceiled,
    ]


def test_an_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="no such rounding"):
        money.percent_bp(1, 1, "commercial")


@given(NUMBERS)
def test_amounts_are_read_as_they_are_written(amount: int) -> None:
    assert money.minor_units(money.amount_text(amount)) == amount
    assert (
        money.amount_text(amount)
        == f"{'-' if amount < 0 else ''}{abs(amount) // 100:,}.{abs(amount) % 100:02}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.5",
        "1.505",
        ".50",
        "1,00.00",
        "1,0000.00",
        "01,000.0",
        "1.00 ",
        "+1.00",
        "\u0661.\u0660\u0660",
        "1" * 70 + ".00",
    ],
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        money.minor_units(text)


@given(st.dates(), st.dates())
def test_days_are_those_of_the_calendar(first: dt.date, second: dt.date) -> None:
    days = money.days_between(first.isoformat(), second.isoformat())
    assert days == (second - first).days
    assert money.add_days(first.isoformat(), days) == second.isoformat()


@pytest.mark.parametrize(
    "text",
    ["", "2026-1-01", "2026-02-30", "2026-13-01", "20260101", "2026-W01-1", "0000-01-01", "2026-01-0\u0661"],
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        money.days_between(text, "2026-01-01")


@pytest.mark.parametrize("days", [-800_000, 3_000_000, 2**126])
def test_days_beyond_the_calendar(days: int) -> None:
    with pytest.raises(ValueError, match="calendar"):
        money.add_days("2026-01-01", days)
