"""FHIR dates and times as inclusive ranges of whole UTC milliseconds.

Owns the reading of ``date``, ``dateTime`` and ``instant`` texts (FHIR R4 §2.24.0.1) into ranges, and the
comparison of two such ranges by search prefix (FHIR R4 §3.1.1.4.6). Everything is integer arithmetic on the
proleptic Gregorian calendar; nothing here knows a clock. It does not decide which elements hold dates:
``validate`` and ``search`` do.

A text of partial precision stands for every instant it covers: ``2024-02`` is the range from the first to the
last millisecond of that month. A text without a time zone (a date, or a search value such as
``2024-02-01T10:00``) is taken as UTC.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""First and last UTC millisecond since 1970-01-01, both inclusive; may be negative."""

EARLIEST_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z, the first instant FHIR can name."""
LATEST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last one."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
SECOND_MS = 1_000
_MONTHS = 12
_MILLI_DIGITS = 3
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# Second 60 is allowed by FHIR so that a leap second can be recorded; it lands on the next second here.
# At most nine decimals, which is more than any clock gives and keeps the text short.
_SHAPE = re.compile(
    r"([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01])"
    r"(?:T([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?)?)?)?"
)


class InstantError(ValueError):
    """A text is no FHIR date, dateTime or instant; the message never repeats the text."""


def _compute_day_start(year: int, month: int, day: int) -> int:
    """Return the first UTC millisecond of a day, or refuse a day that no calendar has."""
    try:
        ordinal = date(year, month, day).toordinal()
    except ValueError as error:
        raise InstantError("the day does not exist") from error
    return (ordinal - _EPOCH_ORDINAL) * DAY_MS


def _compute_date_range(year: int, month_text: str | None, day_text: str | None) -> Range:
    """Return the range of a year, a month or a day."""
    if month_text is None:
        start = _compute_day_start(year, 1, 1)
        return start, _compute_day_start(year, 12, 31) + DAY_MS - 1
    month = int(month_text)
    if day_text is not None:
        start = _compute_day_start(year, month, int(day_text))
        return start, start + DAY_MS - 1
    start = _compute_day_start(year, month, 1)
    if month == _MONTHS:
        return start, start + 31 * DAY_MS - 1
    return start, _compute_day_start(year, month + 1, 1) - 1


def parse_range(text: str) -> Range:
    """Return the inclusive range of UTC milliseconds that a date, dateTime or instant covers.

    Accepts what search accepts (FHIR R4 §3.1.1.4.6): a year, a month, a day, and a time with minutes or
    better, with or without a zone. A fraction finer than a millisecond keeps its millisecond.

    Raises:
        InstantError: The text has another shape, or names a day, time or zone that does not exist.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise InstantError("not a date or time in the FHIR format")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        return _compute_date_range(int(year), month, day)
    start = (
        _compute_day_start(int(year), int(month), int(day)) + int(hour) * HOUR_MS + int(minute) * MINUTE_MS
    )
    if zone is not None and zone != "Z":
        offset = int(zone[1:3]) * HOUR_MS + int(zone[4:6]) * MINUTE_MS
        start += offset if zone[0] == "-" else -offset
    if second is None:
        return start, start + MINUTE_MS - 1
    start += int(second) * SECOND_MS
    if fraction is None:
        return start, start + SECOND_MS - 1
    start += int(fraction[:_MILLI_DIGITS].ljust(_MILLI_DIGITS, "0"))
    return start, start + 10 ** max(_MILLI_DIGITS - len(fraction), 0) - 1


def parse_instant_ms(text: str) -> int:
    """Return the UTC millisecond of an ``instant`` (seconds and zone required).

    Raises:
        InstantError: The text is no instant.
    """
    match = _SHAPE.fullmatch(text)
    if match is None or match.group(6) is None or match.group(8) is None:
        raise InstantError("not an instant in the FHIR format")
    return parse_range(text)[0]


def format_instant(instant_ms: int) -> str:
    """Return UTC milliseconds as an ``instant`` with three decimals and ``Z``.

    Raises:
        InstantError: The value lies outside the years 0001 to 9999.
    """
    if not EARLIEST_MS <= instant_ms <= LATEST_MS:
        raise InstantError("instant outside the years 0001 to 9999")
    days, rest = divmod(instant_ms, DAY_MS)
    hour, rest = divmod(rest, HOUR_MS)
    minute, rest = divmod(rest, MINUTE_MS)
    second, milli = divmod(rest, SECOND_MS)
    day_text = date.fromordinal(days + _EPOCH_ORDINAL).isoformat()
    return f"{day_text}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"


def parse_period_range(start: str | None, end: str | None) -> Range:
    """Return the range a Period covers; a missing bound reaches to the end of representable time.

    Raises:
        InstantError: A bound is no dateTime.
    """
    return (
        EARLIEST_MS if start is None else parse_range(start)[0],
        LATEST_MS if end is None else parse_range(end)[1],
    )


COMPARISONS: dict[str, Callable[[Range, Range], bool]] = {
    "eq": lambda target, wanted: wanted[0] <= target[0] and target[1] <= wanted[1],
    "ne": lambda target, wanted: target[0] < wanted[0] or wanted[1] < target[1],
    "gt": lambda target, wanted: target[1] > wanted[1],
    "lt": lambda target, wanted: target[0] < wanted[0],
    "ge": lambda target, wanted: target[0] >= wanted[0] or target[1] > wanted[1],
    "le": lambda target, wanted: target[1] <= wanted[1] or target[0] < wanted[0],
    "sa": lambda target, wanted: target[0] > wanted[1],
    "eb": lambda target, wanted: target[1] < wanted[0],
    "ap": lambda target, wanted: target[0] <= wanted[1] and wanted[0] <= target[1],
}
"""Per search prefix, whether the range in the resource (first) satisfies the range searched for (second).

``ge`` and ``le`` follow R4 literally: beyond the value, or wholly inside it. ``ap`` is plain overlap; widen
the wanted range first (:func:`widen`), which needs a clock and is therefore the caller's.
"""


def is_match(prefix: str, target: Range, wanted: Range) -> bool:
    """Return whether ``target``, the range in the resource, satisfies ``prefix`` against ``wanted``.

    Raises:
        KeyError: The prefix is none of the nine of FHIR R4 §3.1.1.4.6.
    """
    return COMPARISONS[prefix](target, wanted)


def widen(wanted: Range, now_ms: int) -> Range:
    """Return ``wanted`` widened by a tenth of its distance from ``now_ms``, as R4 suggests for ``ap``."""
    distance = max(abs(now_ms - wanted[0]), abs(now_ms - wanted[1])) // 10
    return wanted[0] - distance, wanted[1] + distance
