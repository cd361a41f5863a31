"""Values of query parameters.

Owns one reader per kind of value. A reader gives None for what is not of its kind; the caller reports that.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from careledger.standards.epcis.building import SPECS
from careledger.standards.epcis.limits import URI_CHARS_MAX
from careledger.standards.epcis.query_model import Subject, Value
from careledger.standards.epcis.query_patterns import parse_pattern
from careledger.standards.epcis.scope import is_absolute_uri
from careledger.standards.epcis.timestamps import InvalidTime, parse_instant
from careledger.standards.epcis.values import parse_number
from careledger.standards.epcis.vocabulary import Kind, bare_word, claims_to_be_standard
from careledger.standards.gs1.canonical import canonical_uri

Convert: TypeAlias = Callable[[str], Value | None]


def read_time(text: str) -> Value | None:
    """Read a date and time with time zone."""
    try:
        return parse_instant(text)
    except InvalidTime:
        return None


def read_number(text: str) -> Value | None:
    """Read a number."""
    number = parse_number(text)
    return None if number is None else Decimal(number)


def read_truth(text: str) -> Value | None:
    """Read true or false."""
    return {"true": True, "false": False}.get(text)


def read_text(text: str) -> Value | None:
    """Take a text as it is."""
    return text


def read_uri(text: str) -> Value | None:
    """Read a URI and bring it to its canonical form."""
    return canonical_uri(text) if is_absolute_uri(text) and len(text) <= URI_CHARS_MAX else None


def read_pattern(text: str) -> Value | None:
    """Read an identifier or a pattern of identifiers."""
    return parse_pattern(text)


def _read_action(text: str) -> Value | None:
    return text if text in ("ADD", "OBSERVE", "DELETE") else None


def _read_event_type(text: str) -> Value | None:
    return text if text in SPECS or is_absolute_uri(text) else None


def word_reader(kind: Kind) -> Convert:
    """Make the reader of one kind of vocabulary; it gives the bare word, or a partner's URI."""

    def convert(text: str) -> Value | None:
        word = bare_word(kind, text)
        if word is not None:
            return word
        return text if is_absolute_uri(text) and not claims_to_be_standard(kind, text) else None

    return convert


_disposition = word_reader(Kind.DISPOSITION)
# Subjects of fixed parameters: how their values are read.
VALUES: dict[Subject, Convert] = {
    Subject.EVENT_TYPE: _read_event_type,
    Subject.ACTION: _read_action,
    Subject.BIZ_STEP: word_reader(Kind.BUSINESS_STEP),
    Subject.DISPOSITION: _disposition,
    Subject.PERSISTENT_SET: _disposition,
    Subject.PERSISTENT_UNSET: _disposition,
    Subject.ERROR_REASON: word_reader(Kind.ERROR_REASON),
    Subject.TYPE: word_reader(Kind.MEASUREMENT),
    Subject.STRING_VALUE: read_text,
    Subject.HEX_BINARY_VALUE: read_text,
    Subject.BOOLEAN_VALUE: read_truth,
    **dict.fromkeys(
        (
            Subject.EVENT_TIME,
            Subject.RECORD_TIME,
            Subject.ERROR_DECLARATION_TIME,
            Subject.TIME,
            Subject.START_TIME,
            Subject.END_TIME,
        ),
        read_time,
    ),
    **dict.fromkeys((Subject.QUANTITY, Subject.PERC_RANK), read_number),
    **dict.fromkeys(
        (
            Subject.EVENT_ID,
            Subject.READ_POINT,
            Subject.BIZ_LOCATION,
            Subject.TRANSFORMATION_ID,
            Subject.CORRECTIVE_EVENT_ID,
            Subject.DEVICE_ID,
            Subject.DATA_PROCESSING_METHOD,
            Subject.MICROORGANISM,
            Subject.CHEMICAL_SUBSTANCE,
            Subject.BIZ_RULES,
            Subject.URI_VALUE,
        ),
        read_uri,
    ),
    **dict.fromkeys(
        (
            Subject.EPC,
            Subject.PARENT_ID,
            Subject.INPUT_EPC,
            Subject.OUTPUT_EPC,
            Subject.ANY_EPC,
            Subject.EPC_CLASS,
            Subject.INPUT_EPC_CLASS,
            Subject.OUTPUT_EPC_CLASS,
            Subject.ANY_EPC_CLASS,
        ),
        read_pattern,
    ),
}
