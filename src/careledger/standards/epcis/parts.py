"""The parts of an event: places, transactions, parties, quantities, declarations.

Owns how each structured field is read. Fields that come in the same plain form from event to event have a short
way, which gives up as soon as anything is unusual; the long way then does the checking and reporting.
"""

from __future__ import annotations

import functools
from typing import Final, cast

from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.model import (
    ErrorDeclaration,
    Field,
    Party,
    PersistentDisposition,
    Place,
    Quantity,
    Transaction,
)
from careledger.standards.epcis.scope import Scope
from careledger.standards.epcis.values import (
    Reader,
    construct,
    gs1_identifier,
    plain_identifier,
    read_identifier,
    read_instant,
    read_list,
    read_members,
    read_number,
    read_unit,
    read_uri,
    word_reader,
)
from careledger.standards.epcis.vocabulary import VOCABULARIES, Kind

# Places and parties that come again and again are made once.
_CACHED: Final = 8_192
# Lists up to this length are first tried as the plain case.
_SHORT_LIST: Final = 64
_ACTIONS = frozenset(("ADD", "OBSERVE", "DELETE"))
read_disposition = word_reader(Kind.DISPOSITION)


def _report_missing(value: object, scope: Scope, at: str, message: str) -> None:
    """Report a missing member, unless the whole value is not an object, which was reported before."""
    if type(value) is dict:
        scope.report(ProblemCode.MISSING_FIELD, at, message)


def read_action(value: object, scope: Scope, at: str) -> str:
    """Read the action of an event."""
    if type(value) is str and value in _ACTIONS:
        return value
    scope.report(ProblemCode.ACTION, at, "ADD, OBSERVE or DELETE is expected")
    return ""


def read_certifications(value: object, scope: Scope, at: str) -> tuple[str, ...]:
    """Read one certificate or a list of them."""
    if type(value) is list:
        return cast("tuple[str, ...]", read_list(value, read_uri, scope, at))
    return (read_uri(value, scope, at),)


_PLACE_FIELDS: dict[str, tuple[str, Reader]] = {"id": ("id", read_identifier)}


@functools.lru_cache(maxsize=_CACHED)
def _known_place(text: str) -> Place | None:
    """Make a place that is nothing but a GS1 identifier; such places come again and again."""
    identifier = gs1_identifier(text)
    return None if identifier is None else Place(id=identifier)


def read_place(value: object, scope: Scope, at: str) -> Place:
    """Read a read point or business location."""
    if type(value) is dict and len(value) == 1:
        text = value.get("id")
        known = _known_place(text) if type(text) is str else None
        if known is not None:
            return known
    attributes, extensions = read_members(value, _PLACE_FIELDS, scope, at)
    if "id" not in attributes:
        _report_missing(value, scope, f"{at}/id", "the identifier of the place is missing")
        attributes["id"] = read_identifier("urn:x:missing", scope, at)
    return construct(Place, attributes, extensions)


_ERROR_FIELDS: dict[str, tuple[str, Reader]] = {
    "declarationTime": ("declaration_time", read_instant),
    "reason": ("reason", word_reader(Kind.ERROR_REASON)),
    "correctiveEventIDs": (
        "corrective_event_ids",
        lambda value, scope, at: read_list(value, read_uri, scope, at),
    ),
}


def read_error_declaration(value: object, scope: Scope, at: str) -> ErrorDeclaration | None:
    """Read the declaration that an earlier event was wrong."""
    attributes, extensions = read_members(value, _ERROR_FIELDS, scope, at)
    if "declaration_time" not in attributes:
        _report_missing(value, scope, f"{at}/declarationTime", "the time of declaration is missing")
        return None
    return construct(ErrorDeclaration, attributes, extensions)


def _closed(
    value: object, readers: dict[str, tuple[str, Reader]], scope: Scope, at: str
) -> dict[str, object]:
    """Read an object that takes no extensions."""
    attributes, extensions = read_members(value, readers, scope, at)
    for field in extensions:
        place = f"{at}/{scope.key(field.name)}"
        scope.report(ProblemCode.UNKNOWN_FIELD, place, "extensions are not allowed here")
    return attributes


_QUANTITY_FIELDS: dict[str, tuple[str, Reader]] = {
    "epcClass": ("epc_class", read_identifier),
    "quantity": ("quantity", read_number),
    "uom": ("uom", read_unit),
}


def _read_quantity(value: object, scope: Scope, at: str) -> Quantity:
    attributes = _closed(value, _QUANTITY_FIELDS, scope, at)
    if "epc_class" not in attributes:
        _report_missing(value, scope, f"{at}/epcClass", "the class is missing")
        attributes["epc_class"] = read_identifier("urn:x:missing", scope, at)
    quantity = construct(Quantity, attributes)
    if quantity.quantity is not None and quantity.quantity < 0:
        scope.report(ProblemCode.NUMBER, f"{at}/quantity", "a quantity cannot be negative")
    return quantity


def read_quantities(value: object, scope: Scope, at: str) -> tuple[object, ...]:
    """Read a list of quantities."""
    return read_list(value, _read_quantity, scope, at)


_TRANSACTION_FIELDS: dict[str, tuple[str, Reader]] = {
    "type": ("type", word_reader(Kind.TRANSACTION_TYPE)),
    "bizTransaction": ("id", read_identifier),
}


_TRANSACTION_WORDS = frozenset(VOCABULARIES[Kind.TRANSACTION_TYPE].words)
_PARTY_WORDS = frozenset(VOCABULARIES[Kind.PARTY_TYPE].words)


def _read_transaction(value: object, scope: Scope, at: str) -> Transaction | None:
    attributes = _closed(value, _TRANSACTION_FIELDS, scope, at)
    if "id" not in attributes:
        _report_missing(value, scope, f"{at}/bizTransaction", "the transaction is missing")
        return None
    return construct(Transaction, attributes)


def _plain_transaction(value: object, scope: Scope) -> Transaction | None:
    """Make a transaction of a bare word and a well-formed identifier, the usual case."""
    if type(value) is not dict or len(value) != len(_TRANSACTION_FIELDS):
        return None
    kind, text = value.get("type"), value.get("bizTransaction")
    if type(text) is not str or type(kind) is not str or kind not in _TRANSACTION_WORDS:
        return None
    identifier = plain_identifier(text, scope)
    return None if identifier is None else Transaction(id=identifier, type=kind)


def read_transactions(value: object, scope: Scope, at: str) -> tuple[object, ...]:
    """Read the list of business transactions."""
    if scope.is_json and type(value) is list and len(value) <= _SHORT_LIST:
        found = [_plain_transaction(item, scope) for item in value]
        if None not in found:
            return tuple(found)
    return read_list(value, _read_transaction, scope, at)


@functools.lru_cache(maxsize=_CACHED)
def _known_party(kind: str, text: str) -> Party | None:
    """Make a party that is nothing but a bare word and a GS1 identifier."""
    identifier = gs1_identifier(text)
    return Party(id=identifier, type=kind) if identifier is not None and kind in _PARTY_WORDS else None


def party_reader(name: str) -> Reader:
    """Make the reader of a list of sources or destinations."""
    fields: dict[str, tuple[str, Reader]] = {
        "type": ("type", word_reader(Kind.PARTY_TYPE)),
        name: ("id", read_identifier),
    }

    def read_party(value: object, scope: Scope, at: str) -> Party | None:
        attributes = _closed(value, fields, scope, at)
        for key, (attribute, _) in fields.items():
            if attribute not in attributes:
                _report_missing(value, scope, f"{at}/{key}", f"{key} is missing")
        return construct(Party, attributes) if len(attributes) == len(fields) else None

    def plain_party(value: object) -> Party | None:
        if type(value) is not dict or len(value) != len(fields):
            return None
        kind, text = value.get("type"), value.get(name)
        return _known_party(kind, text) if type(kind) is str and type(text) is str else None

    def read_parties(value: object, scope: Scope, at: str) -> tuple[object, ...]:
        if scope.is_json and type(value) is list and len(value) <= _SHORT_LIST:
            found = [plain_party(item) for item in value]
            if None not in found:
                return tuple(found)
        return read_list(value, read_party, scope, at)

    return read_parties


def _read_dispositions(value: object, scope: Scope, at: str) -> tuple[object, ...]:
    found = read_list(value, read_disposition, scope, at)
    if not found:
        scope.report(ProblemCode.EMPTY, at, "at least one disposition is expected")
    if len(set(found)) != len(found):
        scope.report(ProblemCode.DUPLICATE_IDENTIFIER, at, "a disposition is listed twice")
    return found


_PERSISTENT_FIELDS: dict[str, tuple[str, Reader]] = {
    "set": ("set", _read_dispositions),
    "unset": ("unset", _read_dispositions),
}


def read_persistent(value: object, scope: Scope, at: str) -> PersistentDisposition:
    """Read persistent dispositions."""
    attributes = _closed(value, _PERSISTENT_FIELDS, scope, at)
    if not attributes:
        scope.report(ProblemCode.EMPTY, at, "set or unset is expected")
    return construct(PersistentDisposition, attributes)


def read_ilmd(value: object, scope: Scope, at: str) -> tuple[Field, ...]:
    """Read instance or lot master data."""
    _, extensions = read_members(value, {}, scope, at)
    return tuple(extensions)
