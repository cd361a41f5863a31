"""One event in XML.

Owns the order of elements in each event type (the schema is a sequence) and which of them version 1.2 keeps in an
extension layer.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

import msgspec
from lxml import etree

from careledger.standards.epcis.errors import ProblemCode, reject
from careledger.standards.epcis.event_writer import Spelling
from careledger.standards.epcis.model import (
    AggregationEvent,
    AssociationEvent,
    ErrorDeclaration,
    Event,
    ExtendedEvent,
    Field,
    Identifier,
    ObjectEvent,
    Party,
    PersistentDisposition,
    Place,
    Quantity,
    SensorElement,
    Transaction,
    TransactionEvent,
    TransformationEvent,
)
from careledger.standards.epcis.sensors import METADATA_FIELDS, REPORT_FIELDS
from careledger.standards.epcis.timestamps import Instant
from careledger.standards.epcis.vocabulary import Kind, urn, web_uri

_Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml publishes its element type under this name only)
# Elements that version 1.2 keeps in the extension layer of the event.
_LAYERED_1_2 = frozenset(("quantityList", "childQuantityList", "sourceList", "destinationList", "ilmd"))
_WORDS = {"type": Kind.MEASUREMENT, "exception": Kind.ALERT, "component": Kind.COMPONENT}


class EventWriter:
    """Writes events of one document.

    Args:
        spelling: how to write identifiers.
        is_1_2: whether to use the layers of version 1.2.
        append_field: appends extension content to an element.
    """

    def __init__(
        self, spelling: Spelling, *, is_1_2: bool, append_field: Callable[[_Element, Field], None]
    ) -> None:
        self._spelling = spelling
        self._is_1_2 = is_1_2
        self._append_field = append_field

    def write(self, event: Event) -> _Element:
        """Write one event as an element."""
        root = etree.Element(_tag(event))
        self._head(root, event)
        body = etree.Element("body")
        self._body(body, event)
        layer = etree.Element("extension")
        is_layered = self._is_1_2 and not isinstance(event, TransformationEvent)
        for child in list(body):
            (layer if is_layered and child.tag in _LAYERED_1_2 else root).append(child)
        if len(layer):
            root.append(layer)
        for field in event.extensions:
            self._append_field(root, field)
        return root

    def _head(self, root: _Element, event: Event) -> None:
        _text(root, "eventTime", event.event_time.text)
        if event.record_time is not None:
            _text(root, "recordTime", event.record_time.text)
        _text(root, "eventTimeZoneOffset", event.event_time_zone_offset)
        parent = root
        if self._is_1_2 and (event.event_id or event.error_declaration):
            parent = etree.SubElement(root, "baseExtension")
        if event.event_id:
            _text(parent, "eventID", event.event_id)
        if event.error_declaration is not None:
            self._error_declaration(parent, event.error_declaration)
        if len(event.certification_info) > 1:
            raise reject(ProblemCode.VERSION, "XML has room for one certificate only")
        for uri in event.certification_info:
            _text(root, "certificationInfo", uri)

    def _error_declaration(self, parent: _Element, declaration: ErrorDeclaration) -> None:
        element = etree.SubElement(parent, "errorDeclaration")
        _text(element, "declarationTime", declaration.declaration_time.text)
        if declaration.reason:
            _text(element, "reason", urn(Kind.ERROR_REASON, declaration.reason))
        if declaration.corrective_event_ids:
            listed = etree.SubElement(element, "correctiveEventIDs")
            for uri in declaration.corrective_event_ids:
                _text(listed, "correctiveEventID", uri)
        for field in declaration.extensions:
            self._append_field(element, field)

    def _body(self, body: _Element, event: Event) -> None:
        """Write what follows the head, in the order of the schema."""
        if isinstance(event, ObjectEvent):
            self._epcs(body, "epcList", event.epcs, is_needed=self._is_1_2 or not event.quantities)
            _text(body, "action", event.action)
            self._reasons(body, event)
            self._transactions(body, event.biz_transactions)
            self._quantities(body, "quantityList", event.quantities)
        elif isinstance(event, AggregationEvent | AssociationEvent):
            self._identifier(body, "parentID", event.parent_id)
            self._epcs(body, "childEPCs", event.child_epcs, is_needed=self._is_1_2)
            if isinstance(event, AssociationEvent):
                self._quantities(body, "childQuantityList", event.child_quantities)
            _text(body, "action", event.action)
            self._reasons(body, event)
            self._transactions(body, event.biz_transactions)
            if isinstance(event, AggregationEvent):
                self._quantities(body, "childQuantityList", event.child_quantities)
        elif isinstance(event, TransactionEvent):
            self._transactions(body, event.biz_transactions)
            self._identifier(body, "parentID", event.parent_id)
            self._epcs(body, "epcList", event.epcs, is_needed=self._is_1_2 or not event.quantities)
            _text(body, "action", event.action)
            self._reasons(body, event)
            self._quantities(body, "quantityList", event.quantities)
        elif isinstance(event, TransformationEvent):
            self._epcs(body, "inputEPCList", event.input_epcs)
            self._quantities(body, "inputQuantityList", event.input_quantities)
            self._epcs(body, "outputEPCList", event.output_epcs)
            self._quantities(body, "outputQuantityList", event.output_quantities)
            self._identifier(body, "transformationID", event.transformation_id)
            self._reasons(body, event)
            self._transactions(body, event.biz_transactions)
        self._tail(body, event)

    def _reasons(self, body: _Element, event: Event) -> None:
        if event.biz_step:
            _text(body, "bizStep", urn(Kind.BUSINESS_STEP, event.biz_step))
        if event.disposition:
            _text(body, "disposition", urn(Kind.DISPOSITION, event.disposition))
        self._place(body, "readPoint", event.read_point)
        self._place(body, "bizLocation", event.biz_location)

    def _tail(self, body: _Element, event: Event) -> None:
        self._parties(body, "source", event.sources)
        self._parties(body, "destination", event.destinations)
        if event.sensor_elements:
            listed = etree.SubElement(body, "sensorElementList")
            for sensor in event.sensor_elements:
                self._sensor(listed, sensor)
        if event.persistent_disposition is not None:
            _persistent(body, event.persistent_disposition)
        if isinstance(event, ObjectEvent | TransformationEvent) and event.ilmd:
            ilmd = etree.SubElement(body, "ilmd")
            for field in event.ilmd:
                self._append_field(ilmd, field)

    def _identifier(self, body: _Element, name: str, identifier: Identifier | None) -> None:
        if identifier is not None:
            _text(body, name, self._spelling.write(identifier))

    def _epcs(
        self, body: _Element, name: str, identifiers: tuple[Identifier, ...], *, is_needed: bool = False
    ) -> None:
        """Write a list of identifiers; an empty one says that no objects are named, and 1.2 always wants it."""
        if identifiers or is_needed:
            listed = etree.SubElement(body, name)
            for identifier in identifiers:
                _text(listed, "epc", self._spelling.write(identifier))

    def _quantities(self, body: _Element, name: str, quantities: tuple[Quantity, ...]) -> None:
        if quantities:
            listed = etree.SubElement(body, name)
            for quantity in quantities:
                element = etree.SubElement(listed, "quantityElement")
                _text(element, "epcClass", self._spelling.write(quantity.epc_class))
                if quantity.quantity is not None:
                    _text(element, "quantity", _number(quantity.quantity))
                if quantity.uom:
                    _text(element, "uom", quantity.uom)

    def _place(self, body: _Element, name: str, place: Place | None) -> None:
        if place is not None:
            element = etree.SubElement(body, name)
            _text(element, "id", self._spelling.write(place.id))
            for field in place.extensions:
                self._append_field(element, field)

    def _transactions(self, body: _Element, transactions: tuple[Transaction, ...]) -> None:
        if transactions:
            listed = etree.SubElement(body, "bizTransactionList")
            for item in transactions:
                element = _text(listed, "bizTransaction", self._spelling.write(item.id))
                if item.type:
                    element.set("type", urn(Kind.TRANSACTION_TYPE, item.type))

    def _parties(self, body: _Element, name: str, parties: tuple[Party, ...]) -> None:
        if parties:
            listed = etree.SubElement(body, f"{name}List")
            for party in parties:
                element = _text(listed, name, self._spelling.write(party.id))
                element.set("type", urn(Kind.PARTY_TYPE, party.type))

    def _sensor(self, listed: _Element, sensor: SensorElement) -> None:
        element = etree.SubElement(listed, "sensorElement")
        if sensor.metadata is not None:
            metadata = etree.SubElement(element, "sensorMetadata")
            self._attributes(metadata, sensor.metadata, METADATA_FIELDS, sensor.metadata.extensions)
        for report in sensor.reports:
            written = etree.SubElement(element, "sensorReport")
            self._attributes(written, report, REPORT_FIELDS, report.extensions)
        for field in sensor.extensions:
            self._append_field(element, field)

    def _attributes(
        self,
        element: _Element,
        value: msgspec.Struct,
        fields: dict[str, tuple[str, Callable[..., object]]],
        extensions: tuple[Field, ...],
    ) -> None:
        """Write sensor values, which XML keeps in attributes."""
        for name, (attribute, _) in fields.items():
            found = getattr(value, attribute)
            if isinstance(found, Identifier):
                element.set(name, self._spelling.write(found))
            elif isinstance(found, Instant):
                element.set(name, found.text)
            elif isinstance(found, bool):
                element.set(name, "true" if found else "false")
            elif isinstance(found, int | Decimal):
                element.set(name, _number(found))
            elif found:
                kind = _WORDS.get(attribute)
                element.set(name, web_uri(kind, found) if kind else found)
        for field in extensions:
            if not field.namespace or not isinstance(field.content, str):
                raise reject(ProblemCode.SYNTAX, "XML keeps extensions of sensor values as texts only")
            element.set(f"{{{field.namespace}}}{field.name}", field.content)


def _tag(event: Event) -> str:
    if not isinstance(event, ExtendedEvent):
        return event.event_type
    end = max(event.type.rfind(sign) for sign in "/#:") + 1
    return f"{{{event.type[:end]}}}{event.type[end:]}"


def _text(parent: _Element, name: str, text: str) -> _Element:
    element = etree.SubElement(parent, name)
    element.text = text
    return element


def _number(number: int | Decimal) -> str:
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def _persistent(body: _Element, persistent: PersistentDisposition) -> None:
    element = etree.SubElement(body, "persistentDisposition")
    for word in persistent.unset:
        _text(element, "unset", urn(Kind.DISPOSITION, word))
    for word in persistent.set:
        _text(element, "set", urn(Kind.DISPOSITION, word))
