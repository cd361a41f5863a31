"""Dates and times as X12 writes them.

Owns the way between the forms of element 1250 (D8, RD8, DT, TM) and ISO 8601 text, with the calendar
checked. Holds no clock.
"""

from datetime import date
from functools import lru_cache

_HOURS, _MINUTES, _SECONDS = 24, 60, 60
_PERIOD_LENGTH = 17


@lru_cache(maxsize=8192)
def read_date(text: str) -> str:
    """Return `CCYYMMDD` as `CCYY-MM-DD`.

    Raises:
        ValueError: If `text` is not eight digits of a day that exists.
    """
    if len(text) != 8 or not (text.isascii() and text.isdecimal()):
        raise ValueError("not a date")
    return date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat()


def read_period(text: str) -> tuple[str, str]:
    """Return `CCYYMMDD-CCYYMMDD` (RD8) as two ISO dates.

    Raises:
        ValueError: If either is no date or they are the wrong way round.
    """
    if len(text) != _PERIOD_LENGTH or text[8] != "-":
        raise ValueError("not a period")
    first, last = read_date(text[:8]), read_date(text[9:])
    if last < first:
        raise ValueError("the period ends before it starts")
    return first, last


def read_time(text: str) -> str:
    """Return `HHMM`, `HHMMSS` or `HHMMSSD[D]` unchanged once checked.

    Raises:
        ValueError: If `text` is no time of day.
    """
    if len(text) not in {4, 6, 7, 8} or not (text.isascii() and text.isdecimal()):
        raise ValueError("not a time")
    if int(text[:2]) >= _HOURS or int(text[2:4]) >= _MINUTES or int(text[4:6] or 0) >= _SECONDS:
        raise ValueError("not a time")
    return text


def check_moment(form: str, text: str) -> bool:
    """Tell whether `text` is what element 1250 says it is; forms this package does not know pass."""
    try:
        if form == "D8":
            read_date(text)
        elif form == "RD8":
            read_period(text)
        elif form == "TM":
            read_time(text)
        elif form == "DT":
            read_date(text[:8])
            read_time(text[8:])
        elif form == "D6":
            read_date("20" + text)
    except ValueError:
        return False
    return True


def is_date(text: str) -> bool:
    """Tell whether `text` is an eight- or six-digit date (type DT)."""
    return check_moment("D6" if len(text) == 6 else "D8", text)


def is_time(text: str) -> bool:
    """Tell whether `text` is a time (type TM)."""
    return check_moment("TM", text)


def write_date(iso: str) -> str:
    """Return `CCYY-MM-DD` as `CCYYMMDD`.

    Raises:
        ValueError: If `iso` is no ISO date.
    """
    text = iso.replace("-", "")
    if read_date(text) != iso:
        raise ValueError("not a date")
    return text
