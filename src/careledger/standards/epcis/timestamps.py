"""Moments in EPCIS events.

Owns the accepted form (XML Schema `dateTimeStamp`: a time zone is mandatory), the position on the time line and
the canonical spelling of CBV 2.0 §8.9. The captured text is kept beside it, because the offset a party
wrote is part of what it said. There is no clock here.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Final

import msgspec

_PATTERN = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    r"(?:\.\d{1,12})?(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))",
    re.ASCII,
)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,12})?", re.ASCII)
_OFFSET = re.compile(r"[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST_US: Final = (dt.datetime(1, 1, 1, tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
# Half a millisecond before the year 10000, so that rounding stays within four digits.
_LAST_US: Final = (dt.datetime(9999, 12, 31, 23, 59, 59, 999_499, tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_HALF_MILLISECOND_US = 500
_US_PER_MS = 1_000
_MS_PER_DAY = 86_400_000
# 2020-03-04T10:00:30.000Z: already canonical.
_CANONICAL_CHARS = 24
_CACHED: Final = 4_096


class Instant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One moment, as written and as a number."""

    text: str
    """As captured, offset included."""

    epoch_us: int
    """Microseconds since 1970-01-01T00:00:00Z; digits beyond microseconds are cut."""


class InvalidTime(ValueError):  # noqa: N818 (reads as what it is)
    """A text that is not a moment.

    Attributes:
        lacks_zone: whether only the time zone is missing.
    """

    def __init__(self, *, lacks_zone: bool) -> None:
        super().__init__("a date and time with time zone is expected")
        self.lacks_zone = lacks_zone


@functools.lru_cache(maxsize=_CACHED)
def parse_instant(text: str) -> Instant:
    """Read a date and time with time zone, such as `2026-11-22T09:30:00.000+01:00`.

    Raises:
        InvalidTime: for anything else, leap seconds and day 24:00:00 included.
    """
    if not _PATTERN.fullmatch(text):
        raise InvalidTime(lacks_zone=bool(_LOCAL.fullmatch(text)))
    try:
        epoch_us = (dt.datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except ValueError as error:
        raise InvalidTime(lacks_zone=False) from error
    if not _FIRST_US <= epoch_us <= _LAST_US:
        raise InvalidTime(lacks_zone=False)
    return Instant(text=text, epoch_us=epoch_us)


def canonical_instant(instant: Instant) -> str:
    """Spell a moment in UTC with milliseconds, half a millisecond rounded up (CBV 2.0 §8.9).

    Example: `2023-02-02T11:04:03.1415Z` gives `2023-02-02T11:04:03.142Z`.
    """
    text = instant.text
    if len(text) == _CANONICAL_CHARS and text[-1] == "Z":
        return text
    days, ms = divmod((instant.epoch_us + _HALF_MILLISECOND_US) // _US_PER_MS, _MS_PER_DAY)
    seconds, ms = divmod(ms, _US_PER_MS)
    return f"{_date(days)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}Z"


@functools.lru_cache(maxsize=_CACHED)
def _date(days: int) -> str:
    """Give the date so many days after 1970-01-01."""
    return (_EPOCH + dt.timedelta(days=days)).date().isoformat()


def is_zone_offset(text: str) -> bool:
    """Tell whether `text` is a time zone offset such as `+01:00` or `-06:00`."""
    return _OFFSET.fullmatch(text) is not None
