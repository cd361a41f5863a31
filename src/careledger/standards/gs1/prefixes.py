"""Where a GS1 company prefix ends.

Element strings and Digital Links do not say how long the company prefix is; EPC URNs must. Owns the
lookup in a table the caller supplies (GS1 publishes one, licensed, so none is packaged) and the place
inside each key where the prefix starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from careledger.standards.gs1.checkdigit import is_digits
from careledger.standards.gs1.errors import GS1Code, GS1Error

PREFIX_DIGITS_MIN: Final = 6
PREFIX_DIGITS_MAX: Final = 12

# Where the company prefix starts in the value of each key's application identifier: behind the
# indicator or extension digit, or behind the filler zero.
_STARTS = {
    "00": 1,
    "01": 1,
    "253": 0,
    "255": 0,
    "401": 0,
    "402": 0,
    "414": 0,
    "417": 0,
    "8003": 1,
    "8004": 0,
    "8006": 1,
    "8010": 0,
    "8017": 0,
    "8018": 0,
}


def prefix_start(ai: str) -> int:
    """Give the offset of the company prefix in the value of a primary key.

    Raises:
        GS1Error: NOT_A_KEY when `ai` is not a primary key.
    """
    start = _STARTS.get(ai)
    if start is None:
        raise GS1Error(GS1Code.NOT_A_KEY, f"({ai}) is not a GS1 key", ai=ai)
    return start


def verify_prefix_length(length: int) -> None:
    """Check that a company prefix may have `length` digits (6 to 12).

    Raises:
        GS1Error: PREFIX_LENGTH.
    """
    if not PREFIX_DIGITS_MIN <= length <= PREFIX_DIGITS_MAX:
        raise GS1Error(GS1Code.PREFIX_LENGTH, "a company prefix has 6 to 12 digits")


class CompanyPrefixes:
    """A table of company prefix lengths, looked up by longest match.

    Args:
        entries: (leading digits, length of the company prefix) pairs, such as `("4012345", 7)`.

    Raises:
        GS1Error: PREFIX_LENGTH or NOT_DIGITS for a malformed entry.
    """

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        self._lengths: dict[str, int] = {}
        for digits, length in entries:
            if not is_digits(digits):
                raise GS1Error(GS1Code.NOT_DIGITS, "the table of company prefixes holds something else")
            verify_prefix_length(length)
            self._lengths[digits] = length
        self._longest_digits = max(map(len, self._lengths), default=0)

    def length(self, ai: str, value: str) -> int | None:
        """Give the length of the company prefix of a key, or None where the table is silent."""
        start = prefix_start(ai)
        for digits in range(min(self._longest_digits, len(value) - start), 0, -1):
            length = self._lengths.get(value[start : start + digits])
            if length is not None:
                return length
        return None
