"""The GS1 check digit (GS1 General Specifications §7.9.1).

Owns the modulo-10 weighting shared by GTIN, GLN, SSCC, GSIN, GSRN, GRAI, GDTI and GCN. Does not
know which application identifier carries one: that is `ai`.
"""

from __future__ import annotations

from careledger.standards.gs1.errors import GS1Code, GS1Error

_THREE_TIMES = {str(digit): digit * 3 for digit in range(10)}
_ONCE = {str(digit): digit for digit in range(10)}


def is_digits(text: str) -> bool:
    """Tell whether `text` is one or more ASCII digits (other scripts' digits do not count)."""
    return text.isascii() and text.isdigit()


def compute_check_digit(body: str) -> str:
    """Compute the check digit that follows `body`.

    Weights 3 and 1 alternate from the right, starting with 3; the digit brings the sum to a
    multiple of ten. Example: `compute_check_digit("629104150021") == "3"`.

    Raises:
        GS1Error: NOT_DIGITS when `body` holds anything but ASCII digits.
    """
    if not is_digits(body):
        raise GS1Error(GS1Code.NOT_DIGITS, "a check digit is computed over digits only")
    total = sum(map(_THREE_TIMES.__getitem__, body[::-2])) + sum(map(_ONCE.__getitem__, body[-2::-2]))
    return str(-total % 10)


def verify_check_digit(digits: str, *, ai: str = "", position: int = 0) -> None:
    """Check that the last of `digits` is the check digit of those before it.

    Raises:
        GS1Error: NOT_DIGITS or CHECK_DIGIT, with `ai` and `position` as given.
    """
    if not is_digits(digits):
        raise GS1Error(GS1Code.NOT_DIGITS, f"({ai}) must be digits", position=position, ai=ai)
    if compute_check_digit(digits[:-1]) != digits[-1]:
        message = f"the check digit of ({ai}) does not fit the digits before it"
        raise GS1Error(GS1Code.CHECK_DIGIT, message, position=position + len(digits) - 1, ai=ai)
