"""FHIR JSON bytes to values, refusing what is not exactly one well-formed document within limits.

Owns the defences of security row 16: size, number of values, nesting, duplicate member names, NaN and
Infinity, encodings other than UTF-8, lone surrogates, numbers of absurd length or magnitude. Numbers keep
their text (see ``json_types``). It does not know FHIR's structure; ``validate`` does.

How duplicates are found: msgspec, like most decoders, lets the last of two equal names win. So the members
of the decoded value are counted and compared with the colons outside strings in the bytes; a difference
means that a name was swallowed. Both counts together cost less than a decoder that sees pairs.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec

from careledger.standards.fhir.issues import FhirError, Issue, IssueType, printable_name
from careledger.standards.fhir.json_types import ExactDecimal, Json, JsonObject

NUMBER_CHARS_MAX = 64
NUMBER_EXPONENT_MAX = 308
"""Largest magnitude of the decimal exponent: what other systems, which use doubles, can still represent."""

_BLOCK_BYTES = 65_536
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_LOCATE_PASSES = 4
_LONG_INTEGER = re.compile(rb"[0-9]{%d}" % (NUMBER_CHARS_MAX + 1))
_NEGATIVE_ZERO = re.compile(rb"-0(?![.0-9eE])")
_POSITION = re.compile(r"\(byte ([0-9]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost."""

    size_bytes_max: int = 16 * 1024 * 1024
    """Length of the document."""
    depth_max: int = 64
    """Objects and arrays inside each other."""
    values_max: int = 1_000_000
    """Members and items altogether; bounds the memory of the decoded value at roughly 100 bytes each."""


DEFAULT_LIMITS = Limits()


class JsonError(FhirError):
    """The bytes are no acceptable JSON document."""

    def __init__(self, code: IssueType, location: str, text: str) -> None:
        super().__init__(Issue(code, location, text, "fatal"))
        self.location = location
        """JSON pointer of the place, ``byte N``, or empty for the whole document."""


class _TooDeepError(Exception):
    """The walk over the decoded value went below the allowed depth."""


def _read_number(text: str) -> Decimal:
    """Return a JSON number with fraction or exponent as a decimal that is written back unchanged."""
    if len(text) > NUMBER_CHARS_MAX:
        raise JsonError("too-long", "", f"a number has more than {NUMBER_CHARS_MAX} characters")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise JsonError("value", "", "a number has an impossible exponent") from error
    if not -NUMBER_EXPONENT_MAX <= number.adjusted() <= NUMBER_EXPONENT_MAX:
        raise JsonError("value", "", f"a number is beyond 1e{NUMBER_EXPONENT_MAX} or below its inverse")
    return number if str(number) == text else ExactDecimal(text)


def _read_integer(text: str) -> int | Decimal:
    """Return a JSON number without fraction; only ``-0`` has a text that ``int`` would lose."""
    return ExactDecimal(text) if text == "-0" else int(text)


_DECODER = msgspec.json.Decoder(float_hook=_read_number)
_EXACT_DECODER = json.JSONDecoder(parse_float=_read_number, parse_int=_read_integer)
_OBJECT_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class _Structure:
    """Counts of what stands outside strings."""

    members: int = 0
    values: int = 0
    has_negative_zero: bool = False
    has_long_integer: bool = False


def _scan(data: bytes) -> _Structure:
    """Count members and values of JSON text, block by block so that the memory needed stays small."""
    if b"\\" in data:
        # Escaped backslashes first, so that what then precedes a quote does escape it.
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    found = _Structure()
    in_string = 0
    for start in range(0, len(data), _BLOCK_BYTES):
        pieces = data[start : start + _BLOCK_BYTES].split(b'"')
        bare = b" ".join(pieces[in_string::2])
        in_string ^= (len(pieces) - 1) & 1
        found.members += bare.count(b":")
        found.values += bare.count(b",") + bare.count(b"{") + bare.count(b"[")
        found.has_negative_zero |= b"-0" in bare and _NEGATIVE_ZERO.search(bare) is not None
        found.has_long_integer |= _LONG_INTEGER.search(bare) is not None
    return found


def _count_members(value: Json, depth_left: int) -> int:
    """Return the number of object members in ``value``, which is a dict or a list."""
    if not depth_left:
        raise _TooDeepError
    depth_left -= 1
    if type(value) is dict:
        members = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                members += _count_members(item, depth_left)
        return members
    members = 0
    for item in value:  # type: ignore[attr-defined]  # a list: the caller has looked, and this is the hot path
        if type(item) is dict or type(item) is list:
            members += _count_members(item, depth_left)
    return members


def _check_encoding(data: bytes) -> None:
    """Refuse byte order marks and anything that is not UTF-8."""
    if data.startswith(_UTF8_MARK):
        raise JsonError("structure", "byte 0", "a byte order mark is not allowed in JSON")
    if data.startswith(_UTF16_MARKS) or b"\x00" in data[:2]:
        raise JsonError("structure", "byte 0", "the document must be encoded in UTF-8")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError("structure", f"byte {error.start}", "the document is not valid UTF-8") from error


def _decode(data: bytes, structure: _Structure, limits: Limits) -> Json:
    """Decode bytes whose size is already checked, turning every failure into a located error."""
    try:
        value: Json = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        found = _POSITION.search(str(error))
        _check_encoding(data)
        location = f"byte {found[1]}" if found else ""
        raise JsonError("structure", location, "the document is not well-formed JSON") from error
    except UnicodeDecodeError as error:
        _check_encoding(data)
        raise JsonError("structure", "", "the document is not valid UTF-8") from error
    except RecursionError as error:
        raise JsonError("too-costly", "", f"nesting is deeper than {limits.depth_max}") from error
    if structure.has_negative_zero:
        value = _EXACT_DECODER.decode(data.decode("utf-8"))
    return value


def read_json(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Return the value of one JSON document.

    Args:
        data: The bytes exactly as received.
        limits: What the document may cost.

    Raises:
        JsonError: The document is too large, too deep, not UTF-8, not JSON, repeats a name, or holds a
            number that cannot be kept.
    """
    if len(data) > limits.size_bytes_max:
        raise JsonError("too-long", "", f"the document is larger than {limits.size_bytes_max} bytes")
    structure = _scan(data)
    if structure.values > limits.values_max:
        raise JsonError("too-costly", "", f"the document holds more than {limits.values_max} values")
    if structure.has_long_integer:
        raise JsonError("too-long", "", f"a number has more than {NUMBER_CHARS_MAX} characters")
    value = _decode(data, structure, limits)
    if type(value) is not dict and type(value) is not list:
        return value
    try:
        members = _count_members(value, limits.depth_max)
    except _TooDeepError:
        raise JsonError("too-costly", "", f"nesting is deeper than {limits.depth_max}") from None
    if members != structure.members:
        raise JsonError("structure", _locate_duplicate(data), "a member name occurs twice in one object")
    return value


def read_resource(data: bytes, limits: Limits = DEFAULT_LIMITS) -> JsonObject:
    """Return the resource in one JSON document: an object with a ``resourceType``.

    Raises:
        JsonError: As :func:`read_json`, or the document is no resource.
    """
    value = read_json(data, limits)
    if not isinstance(value, dict):
        raise JsonError("structure", "", "a resource must be a JSON object")
    if not isinstance(value.get("resourceType"), str):
        raise JsonError("structure", "/resourceType", "a resource must name its resourceType")
    return value


def _has_duplicate(data: bytes) -> bool:
    """Return whether well-formed JSON of bounded depth repeats a name somewhere."""
    value: Json = _DECODER.decode(data)
    counted = _count_members(value, len(data)) if isinstance(value, dict | list) else 0
    return counted != _scan(data).members


def _locate_duplicate(data: bytes) -> str:
    """Return the JSON pointer of the innermost object known to contain a repeated name.

    Descends only into the part whose counts disagree. The work is bounded by a few passes over the
    document; when they are used up, the pointer found so far is true though not the innermost.
    """
    pointer = ""
    budget_bytes = _LOCATE_PASSES * len(data)
    while budget_bytes > 0:
        budget_bytes -= len(data)
        parts: list[tuple[str, bytes]]
        if data.lstrip()[:1] == b"{":
            members = _OBJECT_DECODER.decode(data)
            parts = [(printable_name(name), bytes(raw)) for name, raw in members.items()]
        else:
            parts = [(str(index), bytes(raw)) for index, raw in enumerate(_ARRAY_DECODER.decode(data))]
        inner = next(
            (part for part in parts if part[1][:1] in (b"{", b"[") and _has_duplicate(part[1])), None
        )
        if inner is None:
            break
        pointer += f"/{inner[0]}"
        data = inner[1]
    return pointer
