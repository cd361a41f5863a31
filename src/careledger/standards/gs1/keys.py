"""GS1 keys as types.

Owns the keys CareLedger reasons about (trade item, serialised item, lot, logistic unit, location),
each checked when it is made and never altered afterwards. Their written forms are in
`notation`; other GS1 keys (assets, documents, service relations) are only normalised, in `canonical`.
"""

from __future__ import annotations

from typing import Self

import msgspec

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.checkdigit import compute_check_digit, is_digits, verify_check_digit
from careledger.standards.gs1.errors import GS1Code, GS1Error

_GTIN_LENGTHS = (8, 12, 13, 14)
_GTIN_DIGITS = 14
_GLN_DIGITS = 13


def _verify(ai: str, value: str) -> None:
    identifiers.verify_value(identifiers.IDENTIFIERS[ai], value)


class GTIN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Global Trade Item Number, always as 14 digits (GTIN-8, -12 and -13 padded with zeros)."""

    digits: str

    def __post_init__(self) -> None:
        """Check the number; raises GS1Error."""
        _verify("01", self.digits)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a GTIN of 8, 12, 13 or 14 digits.

        Raises:
            GS1Error: NOT_DIGITS, WRONG_LENGTH or CHECK_DIGIT.
        """
        if not is_digits(text):
            raise GS1Error(GS1Code.NOT_DIGITS, "a GTIN consists of digits", ai="01")
        if len(text) not in _GTIN_LENGTHS:
            raise GS1Error(GS1Code.WRONG_LENGTH, "a GTIN has 8, 12, 13 or 14 digits", ai="01")
        return cls(digits=text.zfill(_GTIN_DIGITS))

    @classmethod
    def from_body(cls, body: str) -> Self:
        """Make a GTIN from its first 13 digits, computing the last."""
        return cls(digits=body + compute_check_digit(body))


class SGTIN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One serialised trade item: a pack, AIs (01) and (21)."""

    gtin: GTIN

    serial: str
    """1 to 20 characters of set 82; case matters."""

    def __post_init__(self) -> None:
        """Check the serial number; raises GS1Error."""
        _verify("21", self.serial)


class LGTIN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One batch or lot of a trade item, AIs (01) and (10)."""

    gtin: GTIN

    lot: str
    """1 to 20 characters of set 82; case matters."""

    def __post_init__(self) -> None:
        """Check the lot number; raises GS1Error."""
        _verify("10", self.lot)


class SSCC(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Serial Shipping Container Code: one logistic unit, AI (00), 18 digits."""

    digits: str

    def __post_init__(self) -> None:
        """Check the number; raises GS1Error."""
        _verify("00", self.digits)

    @classmethod
    def from_body(cls, body: str) -> Self:
        """Make an SSCC from its first 17 digits, computing the last."""
        return cls(digits=body + compute_check_digit(body))


class GLN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Global Location Number: a party or a place, 13 digits."""

    digits: str

    def __post_init__(self) -> None:
        """Check the number; raises GS1Error."""
        if len(self.digits) != _GLN_DIGITS:
            raise GS1Error(GS1Code.WRONG_LENGTH, "a GLN has 13 digits", ai="414")
        verify_check_digit(self.digits, ai="414")

    @classmethod
    def from_body(cls, body: str) -> Self:
        """Make a GLN from its first 12 digits, computing the last."""
        return cls(digits=body + compute_check_digit(body))


class SGLN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A place, with or without an internal extension, AIs (414) and (254)."""

    gln: GLN

    extension: str = ""
    """Nothing for the place itself (written `0` in a URN), or 1 to 20 characters of set 82."""

    def __post_init__(self) -> None:
        """Check the extension; raises GS1Error."""
        if self.extension:
            _verify("254", self.extension)


class PGLN(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A party (legal entity or function), AI (417)."""

    gln: GLN


Key = GTIN | SGTIN | LGTIN | SSCC | SGLN | PGLN
