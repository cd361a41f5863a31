"""The form in which an event is kept: every value as it was read, whatever syntax it came in.

An event that came as XML need not survive a way through JSON-LD unchanged, and its hash must. So its tree of values
is kept as it is, in MessagePack: a structure as its number and its fields in order, a decimal as its digits.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from careledger.primitives.errors import InvariantViolated
from careledger.standards.epcis import model
from careledger.standards.epcis.timestamps import Instant

_TUPLE: Final = 0
_DECIMAL: Final = 1
_STRUCTURES: Final[dict[int, type[msgspec.Struct]]] = {
    2: Instant,
    3: model.Field,
    4: model.Node,
    5: model.Identifier,
    6: model.Quantity,
    7: model.Place,
    8: model.Transaction,
    9: model.Party,
    10: model.PersistentDisposition,
    11: model.ErrorDeclaration,
    12: model.SensorMetadata,
    13: model.SensorReport,
    14: model.SensorElement,
    15: model.ObjectEvent,
    16: model.AggregationEvent,
    17: model.TransactionEvent,
    18: model.TransformationEvent,
    19: model.AssociationEvent,
    20: model.ExtendedEvent,
    21: model.VocabularyElement,
    22: model.MasterDataVocabulary,
}
"""Numbers are never reused; a structure that gains a field gets a new number."""
_NUMBERS: Final = {kind: number for number, kind in _STRUCTURES.items()}
_FIELDS: Final = {kind: kind.__struct_fields__ for kind in _NUMBERS}


def write_stored(value: model.Event | model.MasterDataVocabulary) -> bytes:
    """Write an event, or master data of one kind."""
    return msgspec.msgpack.encode(_plain(value))


def read_stored(raw: bytes) -> model.Event:
    """Read an event that `write_stored` wrote.

    Raises:
        InvariantViolated: The bytes are not of that form.
    """
    event = _read(raw)
    if not isinstance(event, model.Event):
        raise InvariantViolated("a stored event cannot be read")
    return event


def read_stored_vocabulary(raw: bytes) -> model.MasterDataVocabulary:
    """Read master data that `write_stored` wrote.

    Raises:
        InvariantViolated: The bytes are not of that form.
    """
    vocabulary = _read(raw)
    if not isinstance(vocabulary, model.MasterDataVocabulary):
        raise InvariantViolated("stored master data cannot be read")
    return vocabulary


def _read(raw: bytes) -> Any:
    try:
        return _value(msgspec.msgpack.decode(raw))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InvariantViolated("a stored value cannot be read") from error


def _plain(value: Any) -> Any:
    kind = type(value)
    fields = _FIELDS.get(kind)
    if fields is not None:
        return [_NUMBERS[kind], *[_plain(getattr(value, name)) for name in fields]]
    if kind is tuple:
        return [_TUPLE, *map(_plain, value)]
    if kind is Decimal:
        return [_DECIMAL, str(value)]
    return value


def _value(plain: Any) -> Any:
    if type(plain) is not list:
        return plain
    number, *parts = plain
    if number == _TUPLE:
        return tuple(map(_value, parts))
    if number == _DECIMAL:
        return Decimal(parts[0])
    kind = _STRUCTURES[number]
    return kind(**dict(zip(_FIELDS[kind], map(_value, parts), strict=True)))
