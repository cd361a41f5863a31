"""Amounts of money and quantities, exactly.

Owns the way between X12's decimal numbers (type R: optional minus sign, digits, optional point) and
integers: money in minor units (cents), quantities in thousandths. No floating point anywhere.
"""

_DIGITS_MAX = 18
"""Longest run of digits accepted (element 782)."""


def _scaled(text: str, places: int) -> int:
    """Return `text` times ten to the power of `places`.

    Raises:
        ValueError: If `text` is no X12 decimal number, or has more decimals than `places` that are not zero.
    """
    digits = text.removeprefix("-")
    whole, _, decimals = digits.partition(".")
    both = whole + decimals
    if not (both.isdecimal() and both.isascii()) or len(both) > _DIGITS_MAX:
        raise ValueError("not a decimal number")
    if len(decimals) > places:
        if decimals[places:].strip("0"):
            raise ValueError("more decimals than can be kept")
        decimals = decimals[:places]
    value = int(whole + decimals.ljust(places, "0"))
    return -value if digits is not text else value


def read_minor(text: str) -> int:
    """Return an amount of money in minor units: `24599.00`, `24599`, `.5` and `-1.27` are 2459900, 2459900, 50, -127.

    Raises:
        ValueError: If `text` is no amount or has a fraction of a minor unit.
    """
    # The usual forms first; everything else takes the long way.
    whole, point, decimals = text.partition(".")
    if whole.isdecimal() and text.isascii() and len(text) < _DIGITS_MAX:
        if not point:
            return int(whole) * 100
        if decimals.isdecimal():
            if len(decimals) == 2:
                return int(whole + decimals)
            if len(decimals) == 1:
                return int(whole + decimals) * 10
    return _scaled(text, 2)


def read_milli(text: str) -> int:
    """Return a quantity in thousandths.

    Raises:
        ValueError: If `text` is no number or has more than three decimals.
    """
    if text.isdecimal() and text.isascii() and len(text) < _DIGITS_MAX:
        return int(text) * 1000
    return _scaled(text, 3)


def write_minor(amount_minor: int) -> str:
    """Return an amount in its shortest X12 form: 10000 is `100`, 1250 is `12.5`."""
    sign = "-" if amount_minor < 0 else ""
    whole, cents = divmod(abs(amount_minor), 100)
    if not cents:
        return f"{sign}{whole}"
    if whole:
        return f"{sign}{whole}.{_CENTS[cents]}"
    return f"{sign}.{_CENTS[cents]}"


def write_milli(quantity_milli: int) -> str:
    """Return a quantity in its shortest X12 form: 1000 is `1`, 2500 is `2.5`."""
    sign = "-" if quantity_milli < 0 else ""
    whole, rest = divmod(abs(quantity_milli), 1000)
    if not rest:
        return f"{sign}{whole}"
    decimals = f"{rest:03d}".rstrip("0")
    return f"{sign}{whole or ''}.{decimals}"


_CENTS = tuple(f"{cents:02d}".rstrip("0") for cents in range(100))
