"""Money as integer minor units, with one named rounding for each step.

No floats, no true division: an amount of 12.34 is 1234 minor units of a currency with two decimals.
"""

from __future__ import annotations

import re

from careledger.primitives.codec import Wire

_AMOUNT = re.compile(r"(-?)(\d{0,15})(?:\.(\d{0,6}))?\Z", re.ASCII)


class Money(Wire, frozen=True):
    """An amount of one currency."""

    amount_minor: int
    """Signed amount in minor units."""
    currency: str
    """ISO 4217 code, three capital letters."""


def parse_minor(text: str, *, decimals: int = 2) -> int:
    """Read a decimal amount such as `24599.00`, `24599` or `.5` exactly.

    Raises:
        ValueError: Not a decimal number, or more decimals than the currency has (other than zeros).
    """
    match = _AMOUNT.match(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("not a decimal amount")
    fraction = match[3] or ""
    if fraction[decimals:].strip("0"):
        raise ValueError("more decimals than the currency has")
    minor = int((match[2] or "0") + fraction[:decimals].ljust(decimals, "0"))
    return -minor if match[1] else minor


def format_minor(amount_minor: int, *, decimals: int = 2) -> str:
    """Write an amount with exactly the currency's decimals."""
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def divide_half_up(numerator: int, denominator: int) -> int:
    """Divide, halves away from zero."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide, halves to the even neighbour."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    quotient, remainder = divmod(numerator, denominator)
    if 2 * remainder > denominator or (2 * remainder == denominator and quotient % 2):
        return quotient + 1
    return quotient
