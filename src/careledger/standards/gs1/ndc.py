"""United States National Drug Codes and their GTINs.

Owns the arithmetic between NDC-10 (three segments, 4-4-2, 5-3-2 or 5-4-1), NDC-11 (always 5-4-2, as
claims write it) and GTIN-14 (indicator, 03, the ten digits, check digit). Ten digits without
hyphens do not say where the segments end, so that must be given: guessing it would name another drug.
"""

from __future__ import annotations

import enum
import re

import msgspec

from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.keys import GTIN

_HYPHENATED = re.compile(r"([0-9]{4,5})-([0-9]{3,4})-([0-9]{1,2})")
_DIGITS_10 = re.compile(r"[0-9]{10}")
_DIGITS_11 = re.compile(r"[0-9]{11}")
# GS1 prefix under which the United States drug codes are registered.
_GTIN_DRUG_PREFIX = "03"
_INDICATOR = re.compile(r"[0-8]")


class NDCShape(enum.Enum):
    """Lengths of labeler, product and package code of a ten-digit code."""

    FOUR_FOUR_TWO = (4, 4, 2)
    FIVE_THREE_TWO = (5, 3, 2)
    FIVE_FOUR_ONE = (5, 4, 1)


class NDC(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One National Drug Code, by its segments."""

    labeler: str
    product: str
    package: str

    def __post_init__(self) -> None:
        """Check the segments; raises GS1Error."""
        parts = (self.labeler, self.product, self.package)
        if tuple(map(len, parts)) not in {shape.value for shape in NDCShape}:
            raise GS1Error(GS1Code.NDC, "a drug code has segments of 4-4-2, 5-3-2 or 5-4-1 digits", ai="715")
        if not "".join(parts).isdecimal() or not "".join(parts).isascii():
            raise GS1Error(GS1Code.NDC, "a drug code consists of digits", ai="715")

    @property
    def digits_10(self) -> str:
        """The ten digits, without hyphens, as in the GTIN."""
        return self.labeler + self.product + self.package

    @property
    def digits_11(self) -> str:
        """The eleven digits 5-4-2, as in claims (HIPAA, NCPDP)."""
        return self.labeler.zfill(5) + self.product.zfill(4) + self.package.zfill(2)

    @property
    def hyphenated(self) -> str:
        """The code as printed on the label."""
        return f"{self.labeler}-{self.product}-{self.package}"


def parse_ndc(text: str) -> NDC:
    """Read a hyphenated NDC-10.

    Raises:
        GS1Error: NDC.
    """
    match = _HYPHENATED.fullmatch(text)
    if match is None:
        raise GS1Error(GS1Code.NDC, "not a hyphenated ten-digit drug code", ai="715")
    labeler, product, package = match.groups()
    return NDC(labeler=labeler, product=product, package=package)


def split_digits_10(digits: str, shape: NDCShape) -> NDC:
    """Split ten digits into segments of a known shape.

    Raises:
        GS1Error: NDC.
    """
    if not _DIGITS_10.fullmatch(digits):
        raise GS1Error(GS1Code.NDC, "ten digits are expected", ai="715")
    first, second, _ = shape.value
    return NDC(
        labeler=digits[:first], product=digits[first : first + second], package=digits[first + second :]
    )


def ndcs_of_digits_11(digits: str) -> tuple[NDC, ...]:
    """Give the NDC-10 codes that an NDC-11 may stand for.

    One padding zero has to go: in the labeler, the product or the package segment. Usually one
    segment starts with a zero and there is one answer; where several do, all are given, since only a
    product master can tell.

    Raises:
        GS1Error: NDC when no segment starts with a zero.
    """
    if not _DIGITS_11.fullmatch(digits):
        raise GS1Error(GS1Code.NDC, "eleven digits are expected", ai="715")
    labeler, product, package = digits[:5], digits[5:9], digits[9:]
    found = []
    if labeler[0] == "0":
        found.append(NDC(labeler=labeler[1:], product=product, package=package))
    if product[0] == "0":
        found.append(NDC(labeler=labeler, product=product[1:], package=package))
    if package[0] == "0":
        found.append(NDC(labeler=labeler, product=product, package=package[1:]))
    if not found:
        raise GS1Error(GS1Code.NDC, "no segment of this drug code holds the padding zero", ai="715")
    return tuple(found)


def gtin_of_ndc(ndc: NDC, *, indicator: str = "0") -> GTIN:
    """Make the GTIN-14 of a drug code.

    Args:
        ndc: the code.
        indicator: `0` for the saleable unit, `1` to `8` for packaging levels.

    Raises:
        GS1Error: NDC for a wrong indicator.
    """
    if not _INDICATOR.fullmatch(indicator):
        raise GS1Error(GS1Code.NDC, "the indicator digit is 0 to 8", ai="01")
    return GTIN.from_body(indicator + _GTIN_DRUG_PREFIX + ndc.digits_10)


def digits_10_of_gtin(gtin: GTIN) -> str | None:
    """Give the ten digits of the drug code inside a GTIN, or None when it holds none."""
    digits = gtin.digits
    return digits[3:13] if digits[1:3] == _GTIN_DRUG_PREFIX else None


def ndc_of_gtin(gtin: GTIN, shape: NDCShape) -> NDC | None:
    """Give the drug code inside a GTIN, its segments split by `shape`, or None when it holds none."""
    digits = digits_10_of_gtin(gtin)
    return None if digits is None else split_digits_10(digits, shape)
