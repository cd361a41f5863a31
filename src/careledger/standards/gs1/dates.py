"""Dates inside GS1 element strings.

Owns the two rules that people get wrong: day 00 means the last day of the month (GS1 General
Specifications §3.4.2), and the century of a two-digit year is the one that brings the date nearest
to the year of reading (§7.12). There is no clock here; who wants a full date passes the year.
"""

from __future__ import annotations

import datetime as dt
import re

from careledger.standards.gs1.errors import GS1Code, GS1Error

_MONTHS = 12
_HOURS = 24
_MINUTES = 60
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
# Half a century: a two-digit year lies within 49 years back... 50 years ahead of the reading.
_FURTHEST_AHEAD_YEARS = 50
_FURTHEST_BACK_YEARS = -49
_CENTURY_YEARS = 100
_SHAPES = {
    "ymd0": re.compile(r"(\d\d)(\d\d)(\d\d)"),
    "ymd": re.compile(r"(\d\d)(\d\d)(\d\d)"),
    "ymdh": re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)"),
    "ymdhm": re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)"),
    "Ymd": re.compile(r"(\d{4})(\d\d)(\d\d)"),
    "Ymdhm": re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)"),
}
_CLOCK = re.compile(r"(\d\d)(\d\d)")
# "Any time of that day" in (4324) and (4325).
_ANY_TIME = ("99", "99")


def last_day_of_month(year: int, month: int) -> int:
    """Give the number of days of a month (28 to 31)."""
    following = dt.date(year + month // _MONTHS, month % _MONTHS + 1, 1)
    return (following - dt.timedelta(days=1)).day


def resolve_year(two_digits: int, *, reference_year: int) -> int:
    """Give the full year meant by `two_digits` (0 to 99) when read in `reference_year`.

    GS1 General Specifications §7.12: a difference of 51 to 99 means the previous century, -99 to
    -50 the next one, anything else the current one.
    """
    century = reference_year // _CENTURY_YEARS * _CENTURY_YEARS
    difference = two_digits - reference_year % _CENTURY_YEARS
    if difference > _FURTHEST_AHEAD_YEARS:
        return century + two_digits - _CENTURY_YEARS
    if difference < _FURTHEST_BACK_YEARS:
        return century + two_digits + _CENTURY_YEARS
    return century + two_digits


def resolve_date(value: str, *, reference_year: int) -> dt.date:
    """Turn six digits YYMMDD into the date meant; day 00 is the last day of the month.

    Example: `resolve_date("270200", reference_year=2026)` is 28 February 2027.

    Raises:
        GS1Error: DATE when no such day exists.
    """
    verify_date(value, "ymd0")
    year = resolve_year(int(value[:2]), reference_year=reference_year)
    month, day = int(value[2:4]), int(value[4:6])
    last = last_day_of_month(year, month)
    if day > last:
        raise GS1Error(GS1Code.DATE, "there is no such day in that month")
    return dt.date(year, month, day or last)


def write_date(day: dt.date) -> str:
    """Write a date as YYMMDD."""
    return day.strftime("%y%m%d")


def verify_date(value: str, shape: str, *, ai: str = "", position: int = 0) -> None:
    """Check a date or time of the given `shape` (see `ai_table`).

    29 February is accepted in every year divisible by four, since the century is not known here.

    Raises:
        GS1Error: DATE with `ai` and `position`.
    """
    if shape == "hm":
        _verify_clock(value, ai=ai, position=position)
        return
    match = _SHAPES[shape].fullmatch(value)
    if match is None:
        raise GS1Error(GS1Code.DATE, f"({ai}) is not a date", position=position, ai=ai)
    year, month, day = (int(part) for part in match.groups()[:3])
    day_first = 0 if shape == "ymd0" else 1
    if not 1 <= month <= _MONTHS:
        raise GS1Error(GS1Code.DATE, f"({ai}) names a month that does not exist", position=position, ai=ai)
    last = _DAYS[month - 1]
    if month == _FEBRUARY and year % 4:
        last -= 1
    if not day_first <= day <= last:
        raise GS1Error(GS1Code.DATE, f"({ai}) names a day that does not exist", position=position, ai=ai)
    clock = match.groups()[3:]
    if clock and clock != _ANY_TIME:
        _verify_clock("".join(clock).ljust(4, "0"), ai=ai, position=position)


def _verify_clock(value: str, *, ai: str, position: int) -> None:
    match = _CLOCK.fullmatch(value)
    if match is None or int(match.group(1)) >= _HOURS or int(match.group(2)) >= _MINUTES:
        raise GS1Error(GS1Code.DATE, f"({ai}) names a time that does not exist", position=position, ai=ai)
