import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.epcis.timestamps import (
    InvalidTime,
    canonical_instant,
    is_zone_offset,
    parse_instant,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2020-03-04T11:00:30.000+01:00", "2020-03-04T10:00:30.000Z"),
        ("2020-03-04T11:00:30+01:00", "2020-03-04T10:00:30.000Z"),
        ("2020-03-04T10:00:30.000Z", "2020-03-04T10:00:30.000Z"),
        ("2020-03-04T10:00:30.0Z", "2020-03-04T10:00:30.000Z"),
        ("2023-02-02T11:04:03.1415Z", "2023-02-02T11:04:03.142Z"),
        ("2023-02-02T11:04:03.1414Z", "2023-02-02T11:04:03.141Z"),
        # Half rounds up, not to even, and carries as far as needed.
        ("2023-02-02T11:04:03.1425Z", "2023-02-02T11:04:03.143Z"),
        ("2023-12-31T23:59:59.9995Z", "2024-01-01T00:00:00.000Z"),
        ("2023-02-02T11:04:03.141499999999Z", "2023-02-02T11:04:03.141Z"),
        ("1969-12-31T23:59:59.9994Z", "1969-12-31T23:59:59.999Z"),
        ("2024-02-29T23:30:00-14:00", "2024-03-01T13:30:00.000Z"),
    ],
)
def test_canonical_spelling(text: str, canonical: str) -> None:
    assert canonical_instant(parse_instant(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-03-04",
        "2020-03-04T11:00:30",
        "2020-03-04T24:00:00Z",
        "2020-03-04T23:59:60Z",
        "2020-02-30T10:00:00Z",
        "2021-02-29T10:00:00Z",
        "2020-13-01T10:00:00Z",
        "2020-03-04 11:00:30Z",
        "2020-03-04t11:00:30z",
        "2020-03-04T11:00:30+15:00",
        "2020-03-04T11:00:30+14:30",
        "2020-03-04T11:00:30+0100",
        "2020-W10-3T11:00:00Z",
        "2020-03-04T11:00:30.Z",
        "2020-03-04T11:00:30.1234567890123Z",
        "٢٠٢٠-03-04T11:00:30Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59.9996Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidTime) as caught:
        parse_instant(text)
    assert caught.value.lacks_zone == (text == "2020-03-04T11:00:30")


ZONES = [dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(-dt.timedelta(hours=11))]
moments = st.datetimes(timezones=st.sampled_from(ZONES)).filter(lambda moment: 1 < moment.year < 9999)


@given(moments)
def test_the_number_is_the_moment(moment: dt.datetime) -> None:
    instant = parse_instant(moment.isoformat(timespec="microseconds"))
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert epoch + dt.timedelta(microseconds=instant.epoch_us) == moment
    canonical = parse_instant(canonical_instant(instant))
    assert abs(canonical.epoch_us - instant.epoch_us) <= 500
    assert canonical_instant(canonical) == canonical.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+01:00", True),
        ("-14:00", True),
        ("+14:01", False),
        ("Z", False),
        ("+1:00", False),
        ("+00:60", False),
    ],
)
def test_offsets(text: str, expected: bool) -> None:
    assert is_zone_offset(text) is expected
