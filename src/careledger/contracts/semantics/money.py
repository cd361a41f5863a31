"""Named roundings, percentages and dates: the arithmetic plans are written with.

Pure functions on integers in minor units and on dates written `2026-01-31`; no fractions, no clock. They know
nothing of the meter; a value they do not accept is a `ValueError`, which the library turns into a fault.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

BASIS_POINTS_PER_UNIT: Final = 10_000
"""100 % is 10,000 basis points."""

_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)\.([0-9]{2})\Z", re.ASCII)
_DATE_LENGTH: Final = 10
_AMOUNT_LENGTH_MAX: Final = 64


def floor(numerator: int, divisor: int) -> int:
    """Return the quotient rounded towards minus infinity; `divisor` is positive, here and below."""
    return numerator // divisor


def ceiling(numerator: int, divisor: int) -> int:
    """Return the quotient rounded towards plus infinity."""
    return -(-numerator // divisor)


def round_down(numerator: int, divisor: int) -> int:
    """Return the quotient rounded towards zero: what is left of a cent is dropped."""
    return numerator // divisor if numerator >= 0 else -(-numerator // divisor)


def round_up(numerator: int, divisor: int) -> int:
    """Return the quotient rounded away from zero: any part of a cent becomes a whole one."""
    return -(-numerator // divisor) if numerator >= 0 else numerator // divisor


def round_half_up(numerator: int, divisor: int) -> int:
    """Return the nearest quotient; exactly half a cent goes away from zero."""
    rounded = (2 * abs(numerator) + divisor) // (2 * divisor)
    return rounded if numerator >= 0 else -rounded


def round_half_even(numerator: int, divisor: int) -> int:
    """Return the nearest quotient; exactly half a cent goes to the even neighbour."""
    quotient, rest = divmod(numerator, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1):
        return quotient + 1
    return quotient


ROUNDINGS: Final[dict[str, Callable[[int, int], int]]] = {
    "half_up": round_half_up,
    "half_even": round_half_even,
    "down": round_down,
    "up": round_up,
    "floor": floor,
    "ceiling": ceiling,
}
"""Names of the roundings as `percent_bp` takes them."""


def percent_bp(amount: int, basis_points: int, mode: str) -> int:
    """Return `basis_points` / 10,000 of an amount, rounded as `mode` names."""
    rounding = ROUNDINGS.get(mode)
    if rounding is None:
        raise ValueError("no such rounding")
    return rounding(amount * basis_points, BASIS_POINTS_PER_UNIT)


def minor_units(text: str) -> int:
    """Return the minor units of an amount with exactly two decimals, such as `1,250.00`."""
    match = _AMOUNT.match(text) if len(text) <= _AMOUNT_LENGTH_MAX else None
    if match is None:
        raise ValueError("not an amount with two decimals")
    sign, whole, cents = match.groups()
    amount = int(whole.replace(",", "")) * 100 + int(cents)
    return -amount if sign else amount


def amount_text(amount: int) -> str:
    """Return minor units as people write them: 125000 as `1,250.00`."""
    whole, cents = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole:,}.{cents:02d}"


def _ordinal(text: str) -> int:
    """Return the day number of a date; the shape is checked here because `fromisoformat` takes others too."""
    if len(text) != _DATE_LENGTH or text[4] != "-" or text[7] != "-" or not text.isascii():
        raise ValueError("not a date")
    return dt.date.fromisoformat(text).toordinal()


def days_between(first: str, second: str) -> int:
    """Return the number of days from one date to another; negative where the second is the earlier."""
    return _ordinal(second) - _ordinal(first)


def add_days(date: str, days: int) -> str:
    """Return the date so many days later, or earlier where `days` is negative."""
    ordinal = _ordinal(date) + days
    if not 1 <= ordinal <= dt.date.max.toordinal():
        raise ValueError("beyond the calendar")
    return dt.date.fromordinal(ordinal).isoformat()
