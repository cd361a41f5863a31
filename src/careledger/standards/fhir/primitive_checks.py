"""Formats of FHIR's primitive types (FHIR R4 §2.24.0.1): one check per type, on the JSON value.

Texts are bounded and contain no control characters; dates exist in the calendar; numbers are JSON numbers
of the right kind. Codes of required bindings are not looked up here (``element_checks``), narrative has a
module of its own.
"""

import re
from decimal import Decimal

from careledger.standards.fhir.findings import Check, Findings, wrong
from careledger.standards.fhir.instants import InstantError, parse_range
from careledger.standards.fhir.narrative import check_narrative

STRING_CHARS_MAX = 1024 * 1024
"""FHIR's limit for a string."""
INTEGER_MAX = 2**31 - 1
INTEGER_MIN = -(2**31)
LAST_DAY_OF_EVERY_MONTH = "28"

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_URI = re.compile(r"[^\s\x00-\x1f\x7f]+")
_CODE = re.compile(r"[^\s\x00-\x1f\x7f]+(?:[^\S\x00-\x1f][^\s\x00-\x1f\x7f]+)*")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DATE_TEXT = r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK_TEXT = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?"
_ZONE_TEXT = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(_DATE_TEXT + ")?)?")
_DATE_TIME = re.compile(_DATE_TEXT + "(?:T" + _CLOCK_TEXT + _ZONE_TEXT + ")?)?)?")
_INSTANT = re.compile(
    "(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T" + _CLOCK_TEXT + _ZONE_TEXT
)
_TIME = re.compile(_CLOCK_TEXT)


def check_string(value: object) -> Findings | None:
    """Refuse what is no text, empty, too long, or holds control characters."""
    if type(value) is str and value and (value.isprintable() or not _CONTROL.search(value)):
        return None if len(value) <= STRING_CHARS_MAX else wrong("too-long", "the text is longer than 1 MiB")
    if not isinstance(value, str):
        return wrong("structure", "must be a JSON string")
    return wrong("value", "the text holds control characters" if value else "a text must not be empty")


def _text_check(pattern: re.Pattern[str], text: str, *, is_plain_enough: bool = False) -> Check:
    """Return a check for a text format; ``is_plain_enough`` lets printable text without spaces pass at once."""
    fullmatch = pattern.fullmatch

    def check(value: object) -> Findings | None:
        if type(value) is not str:
            return wrong("structure", "must be a JSON string")
        if is_plain_enough and value and " " not in value and value.isprintable():
            return None
        return None if fullmatch(value) else wrong("value", text)

    return check


def _calendar_check(pattern: re.Pattern[str], text: str) -> Check:
    """Return a check for a date format whose day must exist."""
    fullmatch = pattern.fullmatch

    def check(value: object) -> Findings | None:
        if type(value) is not str:
            return wrong("structure", "must be a JSON string")
        if not fullmatch(value):
            return wrong("value", text)
        if value[8:10] > LAST_DAY_OF_EVERY_MONTH:
            try:
                parse_range(value)
            except InstantError:
                return wrong("value", "the day does not exist")
        return None

    return check


def _integer_check(lowest: int, text: str) -> Check:
    """Return a check for whole numbers from ``lowest`` to 2^31 - 1."""

    def check(value: object) -> Findings | None:
        if type(value) is int and lowest <= value <= INTEGER_MAX:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return wrong("structure", "must be a JSON number")
        return wrong("value", text)

    return check


def check_boolean(value: object) -> Findings | None:
    """Refuse what is neither ``true`` nor ``false``."""
    if value is True or value is False:
        return None
    return wrong("structure", "must be true or false")


def check_decimal(value: object) -> Findings | None:
    """Refuse what is no number; its length and magnitude were bounded when it was read."""
    if type(value) is Decimal or type(value) is int or isinstance(value, Decimal):
        return None
    return wrong("structure", "must be a JSON number")


def check_base64(value: object) -> Findings | None:
    """Refuse what is no base64; white space inside is allowed."""
    if not isinstance(value, str):
        return wrong("structure", "must be a JSON string")
    joined = "".join(value.split())
    if joined and len(joined) % 4 == 0 and _BASE64.fullmatch(joined):
        return None
    return wrong("value", "must be base64")


_URI_CHECK = _text_check(_URI, "must be a URI without white space", is_plain_enough=True)

PRIMITIVE_CHECKS: dict[str, Check] = {
    "base64Binary": check_base64,
    "boolean": check_boolean,
    "canonical": _URI_CHECK,
    "code": _text_check(_CODE, "must be a code without outer or double spaces", is_plain_enough=True),
    "date": _calendar_check(_DATE, "must be a date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": _calendar_check(_DATE_TIME, "must be a date, or a time with seconds and zone"),
    "decimal": check_decimal,
    "id": _text_check(_ID, "must be 1 to 64 letters, digits, '-' and '.'"),
    "instant": _calendar_check(_INSTANT, "must be a time with seconds and zone"),
    "integer": _integer_check(INTEGER_MIN, "must be a whole number of 32 bits"),
    "markdown": check_string,
    "oid": _text_check(_OID, "must be an OID after urn:oid:"),
    "positiveInt": _integer_check(1, "must be a whole number from 1 to 2147483647"),
    "string": check_string,
    "time": _text_check(_TIME, "must be a time of day with seconds"),
    "unsignedInt": _integer_check(0, "must be a whole number from 0 to 2147483647"),
    "uri": _URI_CHECK,
    "url": _URI_CHECK,
    "uuid": _text_check(_UUID, "must be a lower-case UUID after urn:uuid:"),
    "xhtml": check_narrative,
}
"""Per primitive type, its check."""
