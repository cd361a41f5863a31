"""From parsed members to a typed event.

Owns the fields of each event type and the order of reading; the rules between fields are in `rules`. JSON
and XML both arrive here as the same members under the JSON names, so there is one set of checks. A problem
never stops the reading: an event with errors gives every one of them and no event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from careledger.standards.epcis import rules
from careledger.standards.epcis.content import read_field
from careledger.standards.epcis.context import read_context
from careledger.standards.epcis.errors import Problem, ProblemCode
from careledger.standards.epcis.model import (
    AggregationEvent,
    AssociationEvent,
    Event,
    ExtendedEvent,
    Field,
    ObjectEvent,
    TransactionEvent,
    TransformationEvent,
)
from careledger.standards.epcis.parts import (
    party_reader,
    read_action,
    read_certifications,
    read_disposition,
    read_error_declaration,
    read_ilmd,
    read_persistent,
    read_place,
    read_quantities,
    read_transactions,
)
from careledger.standards.epcis.scope import Scope, is_absolute_uri
from careledger.standards.epcis.sensors import read_sensor_elements
from careledger.standards.epcis.values import (
    Reader,
    construct,
    read_epcs,
    read_identifier,
    read_instant,
    read_members,
    read_uri,
    read_zone_offset,
    word_reader,
)
from careledger.standards.epcis.vocabulary import Kind

_COMMON: dict[str, tuple[str, Reader]] = {
    "eventTime": ("event_time", read_instant),
    "recordTime": ("record_time", read_instant),
    "eventTimeZoneOffset": ("event_time_zone_offset", read_zone_offset),
    "eventID": ("event_id", read_uri),
    "certificationInfo": ("certification_info", read_certifications),
    "errorDeclaration": ("error_declaration", read_error_declaration),
}
_CONTENT: dict[str, tuple[str, Reader]] = {
    **_COMMON,
    "bizStep": ("biz_step", word_reader(Kind.BUSINESS_STEP)),
    "disposition": ("disposition", read_disposition),
    "persistentDisposition": ("persistent_disposition", read_persistent),
    "readPoint": ("read_point", read_place),
    "bizLocation": ("biz_location", read_place),
    "bizTransactionList": ("biz_transactions", read_transactions),
    "sourceList": ("sources", party_reader("source")),
    "destinationList": ("destinations", party_reader("destination")),
    "sensorElementList": ("sensor_elements", read_sensor_elements),
}
_ACTION: dict[str, tuple[str, Reader]] = {"action": ("action", read_action)}
_OBJECTS: dict[str, tuple[str, Reader]] = {
    "epcList": ("epcs", read_epcs),
    "quantityList": ("quantities", read_quantities),
}
_CHILDREN: dict[str, tuple[str, Reader]] = {
    "parentID": ("parent_id", read_identifier),
    "childEPCs": ("child_epcs", read_epcs),
    "childQuantityList": ("child_quantities", read_quantities),
}


class EventSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One event type: what it is made of."""

    event: Callable[..., Event]
    fields: dict[str, tuple[str, Reader]]
    check: rules.Check


SPECS: Final[dict[str, EventSpec]] = {
    "ObjectEvent": EventSpec(
        event=ObjectEvent,
        fields={**_CONTENT, **_ACTION, **_OBJECTS, "ilmd": ("ilmd", read_ilmd)},
        check=rules.check_object,
    ),
    "AggregationEvent": EventSpec(
        event=AggregationEvent, fields={**_CONTENT, **_ACTION, **_CHILDREN}, check=rules.check_aggregation
    ),
    "TransactionEvent": EventSpec(
        event=TransactionEvent,
        fields={**_CONTENT, **_ACTION, **_OBJECTS, "parentID": ("parent_id", read_identifier)},
        check=rules.check_transaction,
    ),
    "TransformationEvent": EventSpec(
        event=TransformationEvent,
        fields={
            **_CONTENT,
            "inputEPCList": ("input_epcs", read_epcs),
            "inputQuantityList": ("input_quantities", read_quantities),
            "outputEPCList": ("output_epcs", read_epcs),
            "outputQuantityList": ("output_quantities", read_quantities),
            "transformationID": ("transformation_id", read_identifier),
            "ilmd": ("ilmd", read_ilmd),
        },
        check=rules.check_transformation,
    ),
    "AssociationEvent": EventSpec(
        event=AssociationEvent, fields={**_CONTENT, **_ACTION, **_CHILDREN}, check=rules.check_association
    ),
}
_EXTENDED = EventSpec(event=ExtendedEvent, fields=_COMMON, check=rules.check_times)
CONTEXT_KEY: Final = "@context"
TYPE_KEY: Final = "type"


def build_event(members: object, scope: Scope) -> tuple[Event | None, tuple[Problem, ...]]:
    """Build one event from its members.

    Args:
        members: the parsed JSON object, or the same made from XML; extension content of XML comes as
            `Field` values under any key.
        scope: namespaces and limits of the document; its problems must have been taken.

    Returns:
        The event, or None when there are errors, and the problems with places relative to the event.
    """
    errors = scope.remarks.errors
    event = _build(members, scope)
    return (event if scope.remarks.errors == errors else None), scope.remarks.take()


def _build(members: object, scope: Scope) -> Event | None:
    if type(members) is not dict:
        scope.report(ProblemCode.WRONG_TYPE, "", "an event is an object")
        return None
    errors = scope.remarks.errors
    name = members.get(TYPE_KEY)
    spec = SPECS.get(name) if type(name) is str else None
    attributes: dict[str, object] = {}
    if CONTEXT_KEY in members:
        scope = _derive(members[CONTEXT_KEY], scope)
    if spec is None:
        spec = _EXTENDED
        attributes["type"] = _extended_type(name, scope)
    fields = spec.fields
    extensions: list[Field] = []
    for key, value in members.items():
        known = fields.get(key)
        if known is not None:
            attributes[known[0]] = known[1](value, scope, key)
        elif type(value) is Field:
            extensions.append(value)
        elif key not in (TYPE_KEY, CONTEXT_KEY):
            _read_extension(key, value, scope, spec, extensions)
    if extensions:
        attributes["extensions"] = tuple(extensions)
    spec.check(attributes, scope)
    return construct(spec.event, attributes) if scope.remarks.errors == errors else None


def _derive(context: object, scope: Scope) -> Scope:
    """Take an event's own context into account."""
    return scope.with_namespaces(read_context(context, scope, CONTEXT_KEY))


def _extended_type(name: object, scope: Scope) -> str:
    if name is None:
        scope.report(ProblemCode.MISSING_FIELD, TYPE_KEY, "the type of the event is missing")
    elif type(name) is not str or not is_absolute_uri(scope.expand(name)):
        message = "not one of the five event types, nor the URI of a type of one's own"
        scope.report(ProblemCode.EVENT_TYPE, TYPE_KEY, message)
    else:
        return scope.expand(name)
    return ""


def _read_extension(key: str, value: object, scope: Scope, spec: EventSpec, found: list[Field]) -> None:
    if spec is _EXTENDED and ":" not in key:
        # An event of a partner's own type may use any name; it is kept as it is.
        _, extensions = read_members({f"urn:x:{key}": value}, {}, scope, "")
        found.extend(msgspec.structs.replace(field, namespace="", name=key) for field in extensions)
        return
    field = read_field(key, value, scope, "")
    if field is not None:
        found.append(field)
