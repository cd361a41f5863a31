"""Values of search parameters: commas, escapes, prefixes, and the notation of each kind.

Owns FHIR R4 §3.1.1.4 from the text after the equals sign to a typed value. Pure; the clock that prefix `ap` on
dates needs is an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, DecimalException

from careledger.standards.fhir.instants import InstantError, parse_range, widen
from careledger.standards.fhir.search.amounts import (
    Amount,
    AmountError,
    approximate_range,
    encode_amount,
    implicit_range,
    parse_decimal,
)
from careledger.standards.fhir.search.definitions import Kind, Parameter
from careledger.standards.fhir.search.query import (
    AmountValue,
    CompositeValue,
    DateValue,
    Issue,
    Limits,
    Modifier,
    PositionValue,
    ReferenceValue,
    SearchRejected,
    TextValue,
    TokenValue,
    TypedIdentifierValue,
    Value,
)
from careledger.standards.fhir.search.read_references import split_reference, strip_version

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[-+.0-9])")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NEAR_PARTS = (2, 3, 4)
_E7 = 10_000_000
_DEGREES_MAX = 180
_DISTANCE_M_DEFAULT = 50_000
"""Distance of a `near` search that names none."""
_METRES = {
    "km": Decimal(1_000),
    "m": Decimal(1),
    "[mi_us]": Decimal("1609.347219"),
    "[mi_i]": Decimal("1609.344"),
    "mi": Decimal("1609.344"),
}
_DISTANCE_M_MAX = 20_100_000
"""Half way round the globe."""
_QUANTITY_PARTS = (1, 3)
_TYPED_PARTS = 3
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What reading values depends on besides their text."""

    now_ms: int
    """Current time, for prefix `ap` on dates."""
    own_base: str
    """This server's base URL with its final slash, empty if unknown."""
    limits: Limits


def split_escaped(text: str, separator: str) -> list[str]:
    r"""Split at a separator that no backslash precedes; the escapes stay.

    `a\,b,c` at the comma gives `a\,b` and `c`.
    """
    parts = [""]
    escaped = False
    for sign in text:
        if sign == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += sign
        escaped = sign == "\\" and not escaped
    return parts


def unescape(text: str) -> str:
    r"""Take away the backslashes of `\,`, `\|`, `\$` and `\\`; any other backslash stands for itself."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def read_values(
    parameter: Parameter, modifier: Modifier, only_type: str, text: str, reading: Reading, at: str
) -> tuple[Value | CompositeValue, ...]:
    """Read the values of one parameter, which are alternatives.

    Args:
        parameter: what they are values of.
        modifier: which decides their notation.
        only_type: resource type given as the modifier of a reference, or empty.
        text: what follows the equals sign, percent-decoding done.
        reading: clock, own base and limits.
        at: place of the parameter, for errors.

    Raises:
        SearchRejected: A value is malformed, or there are too many.
    """
    parts = [part for part in split_escaped(text, ",") if part]
    if len(parts) > reading.limits.values_max:
        raise SearchRejected(Issue.TOO_COSTLY, "too many values", at=at)
    if any(len(part) > reading.limits.value_chars_max for part in parts):
        raise SearchRejected(Issue.TOO_COSTLY, "value too long", at=at)
    if parameter.kind is Kind.COMPOSITE:
        return tuple(_read_composite(parameter, part, reading, at) for part in parts)
    targets = (only_type,) if only_type else parameter.targets
    return tuple(_read_value(parameter.kind, modifier, targets, part, reading, at) for part in parts)


def _read_composite(parameter: Parameter, text: str, reading: Reading, at: str) -> CompositeValue:
    """Read `a$b`, each part in the notation of its component."""
    parts = split_escaped(text, "$")
    if len(parts) != len(parameter.components) or not all(parts):
        raise SearchRejected(Issue.INVALID, f"needs {len(parameter.components)} parts joined by $", at=at)
    return CompositeValue(
        tuple(
            _read_value(component.kind, Modifier.NONE, component.targets, part, reading, at)
            for component, part in zip(parameter.components, parts, strict=True)
        )
    )


def _read_value(
    kind: Kind, modifier: Modifier, targets: tuple[str, ...], text: str, reading: Reading, at: str
) -> Value:
    """Read one value of a kind."""
    if modifier is Modifier.OF_TYPE:
        return _read_typed_identifier(text, at)
    if modifier is Modifier.IDENTIFIER:
        return _read_token(text, at)
    if modifier is Modifier.TEXT or kind in {Kind.STRING, Kind.PHONETIC, Kind.URI}:
        return TextValue(unescape(text))
    if kind is Kind.TOKEN:
        return _read_token(text, at)
    if kind is Kind.REFERENCE:
        return _read_reference(targets, text, reading, at)
    if kind is Kind.DATE:
        return _read_date(text, reading, at)
    if kind is Kind.SPECIAL:
        return _read_position(text, at)
    return _read_amount(text, at, with_unit=kind is Kind.QUANTITY)


def _read_token(text: str, at: str) -> TokenValue:
    """Read `code`, `system|code`, `|code` or `system|`."""
    parts = [unescape(part) for part in split_escaped(text, "|")]
    if len(parts) == 1:
        return TokenValue(None, parts[0])
    if len(parts) != _PAIR or not any(parts):
        raise SearchRejected(Issue.INVALID, "not of the form system|code", at=at)
    return TokenValue(parts[0], parts[1] or None)


def _read_typed_identifier(text: str, at: str) -> TypedIdentifierValue:
    """Read `system|code|value`, all three present."""
    parts = [unescape(part) for part in split_escaped(text, "|")]
    if len(parts) != _TYPED_PARTS or not all(parts):
        raise SearchRejected(Issue.INVALID, "not of the form system|code|value", at=at)
    return TypedIdentifierValue(*parts)


def _read_reference(targets: tuple[str, ...], text: str, reading: Reading, at: str) -> ReferenceValue:
    """Read an id, `Type/id` or a URL; an id alone may be of any type the parameter leads to."""
    plain = unescape(text)
    if _ID.fullmatch(plain):
        return ReferenceValue(targets, plain, "")
    type_name, target_id = split_reference(plain, reading.own_base)
    if type_name:
        if not _ID.fullmatch(target_id):
            raise SearchRejected(Issue.INVALID, "not a reference", at=at)
        return ReferenceValue((type_name,) if not targets or type_name in targets else (), target_id, "")
    if ":" not in plain:
        raise SearchRejected(Issue.INVALID, "not a reference", at=at)
    return ReferenceValue((), "", strip_version(plain))


def _split_prefix(text: str) -> tuple[str, str]:
    """Split off the prefix, which is `eq` when absent."""
    match = _PREFIXED.match(text)
    return (match.group(1), text[match.end() :]) if match else ("eq", text)


def _read_date(text: str, reading: Reading, at: str) -> DateValue:
    """Read a date with its prefix (FHIR R4 §3.1.1.4.6)."""
    prefix, rest = _split_prefix(unescape(text))
    try:
        first, last = parse_range(rest)
    except InstantError as error:
        raise SearchRejected(Issue.INVALID, str(error), at=at) from error
    if prefix == "ap":
        first, last = widen((first, last), reading.now_ms)
    return DateValue(prefix, first, last)


def _read_amount(text: str, at: str, *, with_unit: bool) -> AmountValue:
    """Read a number or `number|system|code` with its prefix (FHIR R4 §3.1.1.4.7 and §3.1.1.4.13)."""
    parts = [unescape(part) for part in split_escaped(text, "|")] if with_unit else [unescape(text)]
    if len(parts) not in _QUANTITY_PARTS:
        raise SearchRejected(Issue.INVALID, "not of the form number|system|code", at=at)
    prefix, rest = _split_prefix(parts[0])
    try:
        low, high = _range(prefix, parse_decimal(rest))
    except AmountError as error:
        raise SearchRejected(Issue.INVALID, str(error), at=at) from error
    if len(parts) == 1:
        return AmountValue(prefix, low, high)
    return AmountValue(prefix, low, high, parts[1] or None, parts[2] or None)


def _range(prefix: str, number: Decimal) -> tuple[Amount, Amount]:
    """Return what a number stands for under a prefix."""
    if prefix in {"eq", "ne"}:
        return implicit_range(number)
    if prefix == "ap":
        return approximate_range(number)
    return encode_amount(number), encode_amount(number)


def _read_position(text: str, at: str) -> PositionValue:
    """Read `latitude|longitude|distance|unit` (FHIR R4 Location.near); the default is 50 kilometres."""
    parts = [unescape(part) for part in split_escaped(text, "|")]
    if len(parts) not in _NEAR_PARTS:
        raise SearchRejected(Issue.INVALID, "not of the form latitude|longitude|distance|unit", at=at)
    try:
        latitude, longitude = parse_decimal(parts[0]), parse_decimal(parts[1])
        distance = Decimal(_DISTANCE_M_DEFAULT)
        if len(parts) > _PAIR and parts[2]:
            unit = parts[3] if len(parts) > _TYPED_PARTS and parts[3] else "km"
            distance = parse_decimal(parts[2]) * _METRES[unit]
    except (AmountError, DecimalException, KeyError) as error:
        raise SearchRejected(Issue.INVALID, "not a position, distance or known unit", at=at) from error
    if abs(latitude) > _DEGREES_MAX // 2 or abs(longitude) > _DEGREES_MAX or distance < 0:
        raise SearchRejected(Issue.INVALID, "not on the globe", at=at)
    return PositionValue(round(latitude * _E7), round(longitude * _E7), min(int(distance), _DISTANCE_M_MAX))
