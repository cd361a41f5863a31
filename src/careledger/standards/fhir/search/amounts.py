"""Decimal numbers as byte strings that sort like the numbers, without floats.

Owns the encoding of decimals for the index and the ranges that a number in a search stands for (FHIR R4
§3.1.1.4.7). `1.50` and `1.5` are one number with one encoding; how many digits were written matters only for the
range of a search value.

Layout: one byte for the sign (`00` minus infinity, `40` negative, `80` zero, `c0` positive, `ff` infinity); then,
but for zero and the infinities, the exponent of the first digit as four bytes with an offset and the digits as
half bytes, digit plus one, ending in a zero half byte. A negative number carries the complement of its positive
twin.
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, TypeAlias

Amount: TypeAlias = bytes
"""Encoded decimal; comparing two as bytes compares the numbers."""

LOWEST: Final[Amount] = b"\x00"
"""Below every number."""
HIGHEST: Final[Amount] = b"\xff"
"""Above every number."""

DIGITS_MAX: Final = 64
"""Longest mantissa understood; FHIR asks for 18 digits."""
EXPONENT_MAX: Final = 10_000
"""Largest power of ten understood, in either direction; keeps arithmetic on ranges small."""

_ZERO: Final = b"\x80"
_OFFSET: Final = 0x8000_0000
EXACT: Final = Context(prec=4 * DIGITS_MAX)
"""Arithmetic on search values, exact for every number understood here."""
_HALF_BYTES: Final = str.maketrans("0123456789", "123456789a")
_COMPLEMENT: Final = bytes(255 - value for value in range(256))


class AmountError(ValueError):
    """A number is not finite, too long or too large; the message never repeats it."""


def encode_amount(value: Decimal) -> Amount:
    """Return the encoding of a finite decimal.

    Raises:
        AmountError: The number is not finite or exceeds `DIGITS_MAX` or `EXPONENT_MAX`.
    """
    if not value.is_finite():
        raise AmountError("not a finite number")
    return _encode(value)


@lru_cache(maxsize=8_192)
def _encode(value: Decimal) -> Amount:
    """Return the encoding; equal numbers share an entry of the cache, and measurements repeat themselves."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return _ZERO
    if not isinstance(exponent, int) or len(text) > DIGITS_MAX or abs(exponent) > EXPONENT_MAX:
        raise AmountError("number with too many digits")
    first = len(text) + exponent - 1
    text = text.rstrip("0").translate(_HALF_BYTES)
    body = (first + _OFFSET).to_bytes(4, "big") + bytes.fromhex(text + ("00" if len(text) % 2 == 0 else "0"))
    return b"\x40" + body.translate(_COMPLEMENT) if sign else b"\xc0" + body


def parse_decimal(text: str) -> Decimal:
    """Read a number as a search writes it.

    Raises:
        AmountError: It is no number in FHIR's notation, or too long or large.
    """
    if not text.isascii() or not set(text) <= set("+-.0123456789eE") or len(text) > 2 * DIGITS_MAX:
        raise AmountError("not a number")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise AmountError("not a number") from error
    encode_amount(value)
    return value


def implicit_range(value: Decimal) -> tuple[Amount, Amount]:
    """Return the range a number written so stands for: half a unit of its last digit to either side.

    The lower end is included, the upper one is not: 100 stands for 99.5 up to but not including 100.5.

    Raises:
        AmountError: See `encode_amount`.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise AmountError("not a finite number")
    half = Decimal((0, (5,), exponent - 1))
    return encode_amount(EXACT.subtract(value, half)), encode_amount(EXACT.add(value, half))


def approximate_range(value: Decimal) -> tuple[Amount, Amount]:
    """Return the range within a tenth of a number, both ends included, which is what prefix `ap` asks for.

    Raises:
        AmountError: See `encode_amount`.
    """
    tenth = EXACT.multiply(EXACT.abs(value), Decimal("0.1"))
    return encode_amount(EXACT.subtract(value, tenth)), encode_amount(EXACT.add(value, tenth))


def amount_of(value: object) -> Amount | None:
    """Return the encoding of a number found in a resource, or None where there is none to be indexed."""
    try:
        if type(value) is Decimal:
            return encode_amount(value)
        if type(value) is int:
            return encode_amount(Decimal(value))
        if type(value) is float:
            # Only a caller that decoded without decimals gets here; the shortest text is what was written.
            return encode_amount(Decimal(repr(value)))
    except AmountError:
        # Structure checks refuse such a number before it is stored; an index of older data leaves it out.
        return None
    return None
