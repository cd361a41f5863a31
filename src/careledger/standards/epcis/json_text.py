"""JSON in and out, strictly.

Owns the parser settings that the standard library lacks: exact decimals, no NaN, no duplicate keys, bounded numbers,
size and depth. Nothing here knows EPCIS.

Duplicate keys are found without slowing the parser down: a duplicate loses its first key and value, so writing the
parsed document again gives fewer quotation marks than were read. Only then is the place searched for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Final

import msgspec

from careledger.standards.epcis.errors import DocumentRejected, Problem, ProblemCode, pointer_token, reject
from careledger.standards.epcis.limits import EXPONENT_MAX, NUMBER_CHARS_MAX, Limits

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_BYTE_OFFSET = re.compile(r"\(byte (\d+)\)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00", b"{\x00", b"[\x00")

_LONG_NUMBER = "a number is longer or larger than any measurement"


def _decimal(literal: str) -> Decimal:
    """Read a number literal; the parser turns the error into one of its own."""
    if len(literal) > NUMBER_CHARS_MAX:
        raise ValueError(_LONG_NUMBER)
    number = Decimal(literal)
    if abs(number.adjusted()) > EXPONENT_MAX:
        raise ValueError(_LONG_NUMBER)
    return number


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def parse_json(data: bytes, limits: Limits) -> object:
    """Parse a JSON text in UTF-8.

    Numbers with a fraction or exponent become `Decimal`, so that digits survive.

    Raises:
        DocumentRejected: TOO_LARGE, ENCODING, SYNTAX (with line), NUMBER, TOO_DEEP or DUPLICATE_KEY (with the
            places).
    """
    parsed, doubled = parse_json_finding_doubles(data, limits)
    if doubled:
        raise DocumentRejected([duplicate_key(place) for place in doubled])
    return parsed


def duplicate_key(place: str) -> Problem:
    """Make the problem of a member that occurs twice."""
    message = "an object has two members of this name"
    return Problem(code=ProblemCode.DUPLICATE_KEY, message=message, pointer=place)


def parse_json_finding_doubles(data: bytes, limits: Limits) -> tuple[object, tuple[str, ...]]:
    """Parse a JSON text as `parse_json` does, but give the places of duplicate keys instead of failing.

    Returns:
        The value, and JSON pointers to members that occur more than once (at most `problems_max`); what such a
        member holds must not be used.

    Raises:
        DocumentRejected: as `parse_json`, but for DUPLICATE_KEY.
    """
    if len(data) > limits.document_bytes_max:
        message = f"the document is larger than {limits.document_bytes_max} bytes"
        raise reject(ProblemCode.TOO_LARGE, message)
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if data.startswith(_OTHER_ENCODINGS):
        raise reject(ProblemCode.ENCODING, "JSON must be encoded in UTF-8")
    try:
        parsed: object = _DECODER.decode(data)
    except RecursionError as error:
        raise reject(ProblemCode.TOO_DEEP, "the document is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise reject(ProblemCode.ENCODING, "the document is not valid UTF-8") from error
    except msgspec.DecodeError as error:
        raise _syntax_error(data, error) from error
    if _has_doubles(data, parsed):
        return parsed, _doubles(data, limits)
    return parsed, ()


def _syntax_error(data: bytes, error: msgspec.DecodeError) -> DocumentRejected:
    if isinstance(error, msgspec.ValidationError):
        return reject(ProblemCode.NUMBER, _LONG_NUMBER)
    match = _BYTE_OFFSET.search(str(error))
    offset = int(match.group(1)) if match else len(data)
    line = data.count(b"\n", 0, offset) + 1
    return reject(ProblemCode.SYNTAX, f"not valid JSON at byte {offset}", line=line)


def _has_doubles(data: bytes, parsed: object) -> bool:
    try:
        again = _ENCODER.encode(parsed)
    except RecursionError as error:
        raise reject(ProblemCode.TOO_DEEP, "the document is nested too deeply") from error
    if b"\\" in data:
        data, again = _ESCAPE.sub(b"", data), _ESCAPE.sub(b"", again)
    return data.count(b'"') != again.count(b'"')


class _Doubled(dict[str, object]):
    """A JSON object with members that occur more than once."""

    names: tuple[str, ...] = ()


def _collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(key for key, _ in pairs)
    doubled = _Doubled(members)
    doubled.names = tuple(key for key, count in counts.items() if count > 1)
    return doubled


def _doubles(data: bytes, limits: Limits) -> tuple[str, ...]:
    """Find the places of duplicate keys, in document order."""
    try:
        parsed = json.loads(data, object_pairs_hook=_collect, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        raise reject(ProblemCode.SYNTAX, "not valid JSON") from error
    found: list[str] = []
    stack: list[tuple[str, object]] = [("", parsed)]
    while stack and len(found) < limits.problems_max:
        place, value = stack.pop()
        if isinstance(value, _Doubled):
            found.extend(f"{place}/{pointer_token(key)}" for key in value.names)
        if isinstance(value, dict):
            stack.extend((f"{place}/{pointer_token(k)}", v) for k, v in reversed(value.items()))
        elif isinstance(value, list):
            stack.extend((f"{place}/{i}", v) for i, v in reversed(list(enumerate(value))))
    return tuple(found)


def encode_json(value: object) -> bytes:
    """Write a JSON text in UTF-8, without white space, numbers with their digits."""
    return _ENCODER.encode(value)
