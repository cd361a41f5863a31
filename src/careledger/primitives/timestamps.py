"""Time as integer milliseconds since 1970-01-01T00:00:00Z, in plain integer arithmetic.

Reads no clock: on the replicated path time is block time, and elsewhere the caller hands it in.
"""

from __future__ import annotations

from typing import NewType

TimeMs = NewType("TimeMs", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day number (0 is 1970-01-01) in the proleptic Gregorian calendar."""
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def days_from_civil(year: int, month: int, day: int) -> int:
    """Day number of a date in the proleptic Gregorian calendar; the inverse of `civil_from_days`."""
    shifted_year = year - (month <= 2)
    era, year_of_era = divmod(shifted_year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def format_instant(time_ms: int) -> str:
    """Write a FHIR instant in UTC with milliseconds, such as `2026-11-22T08:30:00.000Z`."""
    days, rest_ms = divmod(time_ms, DAY_MS)
    year, month, day = civil_from_days(days)
    seconds, ms = divmod(rest_ms, SECOND_MS)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    return f"{year:04d}-{month:02d}-{day:02d}T{hours:02d}:{minutes:02d}:{seconds:02d}.{ms:03d}Z"
