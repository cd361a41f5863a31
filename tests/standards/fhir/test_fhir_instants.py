"""Dates and times as ranges: published shapes, impossible ones, and agreement with the calendar library."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.instants import (
    COMPARISONS,
    EARLIEST_MS,
    LATEST_MS,
    InstantError,
    format_instant,
    is_match,
    parse_instant_ms,
    parse_period_range,
    parse_range,
    widen,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def ms(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2023", "2023-01-01T00:00:00.000Z", "2023-12-31T23:59:59.999Z"),
        ("2024-02", "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
        ("2023-12", "2023-12-01T00:00:00.000Z", "2023-12-31T23:59:59.999Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
        ("1959-03-01", "1959-03-01T00:00:00.000Z", "1959-03-01T23:59:59.999Z"),
        ("2024-05-06T10:00", "2024-05-06T10:00:00.000Z", "2024-05-06T10:00:59.999Z"),
        ("2024-05-06T10:00Z", "2024-05-06T10:00:00.000Z", "2024-05-06T10:00:59.999Z"),
        ("2024-05-06T10:00:01", "2024-05-06T10:00:01.000Z", "2024-05-06T10:00:01.999Z"),
        ("2024-05-06T10:00:01+02:30", "2024-05-06T07:30:01.000Z", "2024-05-06T07:30:01.999Z"),
        ("2024-05-06T23:00:01-05:00", "2024-05-07T04:00:01.000Z", "2024-05-07T04:00:01.999Z"),
        ("2024-05-06T10:00:01.1Z", "2024-05-06T10:00:01.100Z", "2024-05-06T10:00:01.199Z"),
        ("2024-05-06T10:00:01.12Z", "2024-05-06T10:00:01.120Z", "2024-05-06T10:00:01.129Z"),
        ("2024-05-06T10:00:01.123Z", "2024-05-06T10:00:01.123Z", "2024-05-06T10:00:01.123Z"),
        ("2024-05-06T10:00:01.123999Z", "2024-05-06T10:00:01.123Z", "2024-05-06T10:00:01.123Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z", "2017-01-01T00:00:00.999Z"),
        ("0001", "0001-01-01T00:00:00.000Z", "0001-12-31T23:59:59.999Z"),
        ("9999", "9999-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_text_covers_its_whole_precision(text: str, first: str, last: str) -> None:
    assert parse_range(text) == (ms(first), ms(last))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "0000",
        "2024-13",
        "2024-00",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-2-3",
        "20240203",
        "2024-02-03T",
        "2024-02-03T10",
        "2024-02-03T24:00:00Z",
        "2024-02-03T10:60:00Z",
        "2024-02-03T10:00:61Z",
        "2024-02-03T10:00:00.Z",
        "2024-02-03T10:00:00.1234567890Z",
        "2024-02-03T10:00:00+14:01",
        "2024-02-03T10:00:00+1400",
        "2024-02-03 10:00:00Z",
        "2024-02-03T10:00:00z",
        " 2024",
        "2024\n",
        "\uff12\uff10\uff12\uff14",
        "-2024",
        "2024-W05",
    ],
)
def test_what_is_no_fhir_time_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InstantError) as caught:
        parse_range(text)
    assert len(text) < 4 or text not in str(caught.value)


@pytest.mark.parametrize("text", ["2024", "2024-02-03", "2024-02-03T10:00Z", "2024-02-03T10:00:00", "x"])
def test_an_instant_needs_seconds_and_a_zone(text: str) -> None:
    with pytest.raises(InstantError):
        parse_instant_ms(text)


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_full_precision_agrees_with_the_calendar_library(moment: datetime, zone_minutes: int) -> None:
    zoned = moment.replace(
        microsecond=moment.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=zone_minutes))
    )
    expected = (zoned - EPOCH) // MILLISECOND
    text = zoned.isoformat(timespec="milliseconds")
    assert parse_range(text) == (expected, expected)
    assert parse_instant_ms(text) == expected
    assert parse_instant_ms(format_instant(expected)) == expected


@pytest.mark.parametrize("instant_ms", [EARLIEST_MS - 1, LATEST_MS + 1])
def test_an_instant_outside_the_named_years_is_refused(instant_ms: int) -> None:
    with pytest.raises(InstantError):
        format_instant(instant_ms)
    assert format_instant(EARLIEST_MS) == "0001-01-01T00:00:00.000Z"
    assert format_instant(LATEST_MS) == "9999-12-31T23:59:59.999Z"


def test_an_open_period_reaches_to_the_end_of_time() -> None:
    assert parse_period_range(None, None) == (EARLIEST_MS, LATEST_MS)
    assert parse_period_range("2024", None) == (ms("2024-01-01T00:00:00Z"), LATEST_MS)
    assert parse_period_range(None, "2024") == (EARLIEST_MS, ms("2024-12-31T23:59:59.999Z"))


# Columns: the resource's range, and the prefixes that hold against the wanted range (10, 20).
@pytest.mark.parametrize(
    ("target", "holding"),
    [
        ((10, 20), {"eq", "ge", "le", "ap"}),
        ((12, 15), {"eq", "ge", "le", "ap"}),
        ((5, 9), {"ne", "lt", "le", "eb"}),
        ((21, 30), {"ne", "gt", "ge", "sa"}),
        ((5, 15), {"ne", "lt", "le", "ap"}),
        ((15, 25), {"ne", "gt", "ge", "ap"}),
        ((5, 25), {"ne", "gt", "lt", "ge", "le", "ap"}),
    ],
)
def test_prefixes_compare_ranges_as_r4_defines_them(target: tuple[int, int], holding: set[str]) -> None:
    assert {prefix for prefix in COMPARISONS if is_match(prefix, target, (10, 20))} == holding


def test_approximate_widens_by_a_tenth_of_the_distance_to_now() -> None:
    assert widen((1_000, 1_999), 11_999) == (1_000 - 1_099, 1_999 + 1_099)
