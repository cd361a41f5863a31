"""The check digit of the National Provider Identifier.

Owns the Luhn check over the prefix 80840 (45 CFR 162.406; ISO/IEC 7812-1 annex B). Does not say whether an
identifier was ever issued.
"""

_LENGTH = 10
_PREFIX_SUM = 24
"""What the prefix 80840 adds to the Luhn sum of ten digits: 8+0+8+4+0 with every second one doubled."""

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def compute_check_digit(stem: str) -> str:
    """Return the check digit for the first nine digits of an identifier.

    Raises:
        ValueError: If `stem` is not nine digits.
    """
    if len(stem) != _LENGTH - 1 or not (stem.isascii() and stem.isdecimal()):
        raise ValueError("an identifier's stem is nine digits")
    digits = [int(digit) for digit in stem]
    total = _PREFIX_SUM + sum(_DOUBLED[digit] for digit in digits[0::2]) + sum(digits[1::2])
    return str(-total % 10)


def is_npi(text: str) -> bool:
    """Tell whether `text` is ten digits with a correct check digit."""
    if len(text) != _LENGTH or not (text.isascii() and text.isdecimal()):
        return False
    return compute_check_digit(text[:-1]) == text[-1]
