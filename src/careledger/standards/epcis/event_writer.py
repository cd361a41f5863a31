"""Events written under their JSON names.

Owns the way back from the typed event to the members of a JSON object. Identifiers are written as captured unless
another form is asked for; vocabulary as bare words; extension content as it came. `json_writer` and `xml_writer`
put the result into documents.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from careledger.standards.epcis.content import Prefixes, write_fields
from careledger.standards.epcis.model import (
    AggregationEvent,
    AssociationEvent,
    ErrorDeclaration,
    Event,
    Field,
    Identifier,
    ObjectEvent,
    Party,
    Place,
    Quantity,
    SensorElement,
    TransactionEvent,
    TransformationEvent,
)
from careledger.standards.epcis.sensors import METADATA_FIELDS, REPORT_FIELDS
from careledger.standards.epcis.timestamps import Instant
from careledger.standards.gs1.digital_link import parse_link
from careledger.standards.gs1.epc_urn import write_urn
from careledger.standards.gs1.errors import GS1Error
from careledger.standards.gs1.prefixes import CompanyPrefixes

Members: TypeAlias = dict[str, object]


class EPCFormat(enum.StrEnum):
    """Forms of identifiers, as in the header `GS1-EPC-Format`."""

    NO_PREFERENCE = "No_Preference"
    """As captured."""

    DIGITAL_LINK = "Always_GS1_Digital_Link"

    URN = "Always_EPC_URN"
    """As EPC URN where the length of the company prefix is known, else as Digital Link."""


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """How to write identifiers."""

    epc_format: EPCFormat = EPCFormat.NO_PREFERENCE

    company_prefixes: CompanyPrefixes | None = None
    """Needed to write URNs for what was captured as Digital Link."""

    def write(self, identifier: Identifier) -> str:
        """Write one identifier."""
        if self.epc_format is EPCFormat.NO_PREFERENCE or identifier.canonical == identifier.text:
            is_link = identifier.canonical.startswith("https://id.gs1.org/")
            if self.epc_format is not EPCFormat.URN or not is_link:
                return identifier.text
        if self.epc_format is EPCFormat.DIGITAL_LINK:
            return identifier.canonical
        if identifier.text.startswith("urn:epc:"):
            return identifier.text
        return self._urn(identifier)

    def _urn(self, identifier: Identifier) -> str:
        try:
            link = parse_link(identifier.canonical)
            pairs = tuple((element.ai, element.value) for element in (link.key, *link.qualifiers))
            length = self.company_prefixes.length(*pairs[0]) if self.company_prefixes else None
            return identifier.canonical if length is None else write_urn(pairs, length)
        except GS1Error:
            return identifier.canonical


def write_event(event: Event, prefixes: Prefixes, spelling: Spelling) -> Members:
    """Write an event as the members of a JSON object, in the order of the standard's tables."""
    members: Members = {"type": event.event_type}
    if event.event_id:
        members["eventID"] = event.event_id
    members["eventTime"] = event.event_time.text
    if event.record_time is not None:
        members["recordTime"] = event.record_time.text
    members["eventTimeZoneOffset"] = event.event_time_zone_offset
    if event.certification_info:
        info = event.certification_info
        members["certificationInfo"] = info[0] if len(info) == 1 else list(info)
    if event.error_declaration is not None:
        members["errorDeclaration"] = _error_declaration(event.error_declaration, prefixes)
    _write_objects(event, members, spelling)
    _write_reasons(event, members, prefixes, spelling)
    if event.sensor_elements:
        members["sensorElementList"] = [
            _sensor_element(element, prefixes, spelling) for element in event.sensor_elements
        ]
    if isinstance(event, ObjectEvent | TransformationEvent) and event.ilmd:
        members["ilmd"] = _fields(event.ilmd, prefixes)
    write_fields(event.extensions, prefixes, members)
    return members


def _fields(fields: tuple[Field, ...], prefixes: Prefixes) -> Members:
    members: Members = {}
    write_fields(fields, prefixes, members)
    return members


def _error_declaration(declaration: ErrorDeclaration, prefixes: Prefixes) -> Members:
    members: Members = {"declarationTime": declaration.declaration_time.text}
    if declaration.reason:
        members["reason"] = declaration.reason
    if declaration.corrective_event_ids:
        members["correctiveEventIDs"] = list(declaration.corrective_event_ids)
    write_fields(declaration.extensions, prefixes, members)
    return members


def _write_objects(event: Event, members: Members, spelling: Spelling) -> None:
    match event:
        case ObjectEvent():
            has_sensor = bool(event.sensor_elements) and event.read_point is not None
            _write_listed(event, members, spelling, may_be_missing=has_sensor)
            members["action"] = event.action
        case AggregationEvent() | AssociationEvent():
            _add_identifier(members, "parentID", event.parent_id, spelling)
            _add(members, "childEPCs", _epcs(event.child_epcs, spelling))
            _add(members, "childQuantityList", _quantities(event.child_quantities, spelling))
            members["action"] = event.action
        case TransactionEvent():
            _add_identifier(members, "parentID", event.parent_id, spelling)
            _write_listed(event, members, spelling, may_be_missing=event.action == "DELETE")
            members["action"] = event.action
        case TransformationEvent():
            _add(members, "inputEPCList", _epcs(event.input_epcs, spelling))
            _add(members, "inputQuantityList", _quantities(event.input_quantities, spelling))
            _add(members, "outputEPCList", _epcs(event.output_epcs, spelling))
            _add(members, "outputQuantityList", _quantities(event.output_quantities, spelling))
            _add_identifier(members, "transformationID", event.transformation_id, spelling)
        case _:
            return


def _write_listed(
    event: ObjectEvent | TransactionEvent, members: Members, spelling: Spelling, *, may_be_missing: bool
) -> None:
    """Write the objects of an event; one that names none needs an empty list to say so."""
    if event.epcs or not (event.quantities or may_be_missing):
        members["epcList"] = _epcs(event.epcs, spelling)
    _add(members, "quantityList", _quantities(event.quantities, spelling))


def _add(members: Members, name: str, items: list[object]) -> None:
    if items:
        members[name] = items


def _add_identifier(members: Members, name: str, identifier: Identifier | None, spelling: Spelling) -> None:
    if identifier is not None:
        members[name] = spelling.write(identifier)


def _epcs(identifiers: tuple[Identifier, ...], spelling: Spelling) -> list[object]:
    return [spelling.write(identifier) for identifier in identifiers]


def _quantities(quantities: tuple[Quantity, ...], spelling: Spelling) -> list[object]:
    found: list[object] = []
    for quantity in quantities:
        members: Members = {"epcClass": spelling.write(quantity.epc_class)}
        if quantity.quantity is not None:
            members["quantity"] = quantity.quantity
        if quantity.uom:
            members["uom"] = quantity.uom
        found.append(members)
    return found


def _write_reasons(event: Event, members: Members, prefixes: Prefixes, spelling: Spelling) -> None:
    """Write why and where: step, dispositions, places, transactions, parties."""
    if event.biz_step:
        members["bizStep"] = event.biz_step
    if event.disposition:
        members["disposition"] = event.disposition
    persistent = event.persistent_disposition
    if persistent is not None:
        words = {"set": list(persistent.set), "unset": list(persistent.unset)}
        members["persistentDisposition"] = {name: listed for name, listed in words.items() if listed}
    for name, place in (("readPoint", event.read_point), ("bizLocation", event.biz_location)):
        if place is not None:
            members[name] = _place(place, prefixes, spelling)
    if event.biz_transactions:
        members["bizTransactionList"] = [
            ({"type": item.type} if item.type else {}) | {"bizTransaction": spelling.write(item.id)}
            for item in event.biz_transactions
        ]
    _add(members, "sourceList", _parties("source", event.sources, spelling))
    _add(members, "destinationList", _parties("destination", event.destinations, spelling))


def _place(place: Place, prefixes: Prefixes, spelling: Spelling) -> Members:
    members: Members = {"id": spelling.write(place.id)}
    write_fields(place.extensions, prefixes, members)
    return members


def _parties(name: str, parties: tuple[Party, ...], spelling: Spelling) -> list[object]:
    return [{"type": party.type, name: spelling.write(party.id)} for party in parties]


def _sensor_element(element: SensorElement, prefixes: Prefixes, spelling: Spelling) -> Members:
    members: Members = {}
    if element.metadata is not None:
        metadata = _attributes(element.metadata, METADATA_FIELDS, spelling)
        write_fields(element.metadata.extensions, prefixes, metadata)
        members["sensorMetadata"] = metadata
    reports = []
    for report in element.reports:
        written = _attributes(report, REPORT_FIELDS, spelling)
        write_fields(report.extensions, prefixes, written)
        reports.append(written)
    members["sensorReport"] = reports
    write_fields(element.extensions, prefixes, members)
    return members


def _attributes(
    value: msgspec.Struct, fields: Mapping[str, tuple[str, object]], spelling: Spelling
) -> Members:
    """Write the sensor attributes that are present, under their JSON names."""
    members: Members = {}
    for name, (attribute, _) in fields.items():
        found = getattr(value, attribute)
        if isinstance(found, Identifier):
            members[name] = spelling.write(found)
        elif isinstance(found, Instant):
            members[name] = found.text
        elif found is not None and found != "":
            members[name] = found
    return members
