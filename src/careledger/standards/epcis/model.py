"""EPCIS events as values.

Owns the typed, immutable form of the five event types and of everything inside them. Identifiers are kept as
captured, beside their canonical form; standard vocabulary is kept as bare words; content of other
namespaces is kept whole. How a document becomes such values is in `building`; nothing here validates.

The values form trees and can never refer back, so the cyclic collector is told to leave them alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import msgspec

from careledger.standards.epcis.timestamps import Instant

Number: TypeAlias = int | Decimal
Scalar: TypeAlias = "str | int | Decimal | bool | None"
Content: TypeAlias = "Scalar | Node | tuple[Content, ...]"
"""Extension content: a value, an element with parts, or a repetition."""


class Field(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One named piece of content outside the EPCIS vocabulary."""

    namespace: str
    """Namespace URI, or nothing for a local name inside another extension."""

    name: str
    content: Content


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Extension content with parts: a JSON object, or an XML element with children or attributes."""

    text: Scalar = None
    attributes: tuple[Field, ...] = ()
    children: tuple[Field, ...] = ()


class Identifier(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An identifier as captured, and the form in which it can be compared."""

    text: str

    canonical: str
    """Constrained canonical Digital Link (CBV 2.0 §8.9), or the text where there is none."""


class Quantity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So much of a class of objects."""

    epc_class: Identifier

    quantity: Number | None = None
    """None when the amount is not known."""

    uom: str = ""
    """UN/ECE Recommendation 20 code; nothing when objects are counted."""


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A read point or business location."""

    id: Identifier
    extensions: tuple[Field, ...] = ()


class Transaction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A business transaction the event belongs to."""

    id: Identifier
    type: str = ""


class Party(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One source or destination."""

    id: Identifier
    type: str


class PersistentDisposition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Conditions that stay until they are unset."""

    set: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


class ErrorDeclaration(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The statement that an earlier event, identical but for this, was wrong."""

    declaration_time: Instant
    reason: str = ""
    corrective_event_ids: tuple[str, ...] = ()
    extensions: tuple[Field, ...] = ()


class SensorMetadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What holds for every report of a sensor element."""

    time: Instant | None = None
    start_time: Instant | None = None
    end_time: Instant | None = None
    device_id: Identifier | None = None
    device_metadata: Identifier | None = None
    raw_data: Identifier | None = None
    data_processing_method: Identifier | None = None
    biz_rules: Identifier | None = None
    extensions: tuple[Field, ...] = ()


class SensorReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One reading of a sensor, or a summary of several."""

    type: str = ""
    exception: str = ""
    device_id: Identifier | None = None
    device_metadata: Identifier | None = None
    raw_data: Identifier | None = None
    data_processing_method: Identifier | None = None
    biz_rules: Identifier | None = None
    time: Instant | None = None
    microorganism: Identifier | None = None
    chemical_substance: Identifier | None = None
    value: Number | None = None
    component: str = ""
    string_value: str | None = None
    boolean_value: bool | None = None
    hex_binary_value: str | None = None
    uri_value: Identifier | None = None
    min_value: Number | None = None
    max_value: Number | None = None
    mean_value: Number | None = None
    s_dev: Number | None = None
    perc_rank: Number | None = None
    perc_value: Number | None = None
    uom: str = ""
    coordinate_reference_system: Identifier | None = None
    extensions: tuple[Field, ...] = ()


class SensorElement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Sensor reports that share their metadata."""

    reports: tuple[SensorReport, ...]
    metadata: SensorMetadata | None = None
    extensions: tuple[Field, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all events have: when, where, why, and what was measured."""

    event_time: Instant
    event_time_zone_offset: str

    record_time: Instant | None = None
    """Set by the repository; never part of the event's identity."""

    event_id: str = ""
    error_declaration: ErrorDeclaration | None = None
    certification_info: tuple[str, ...] = ()
    biz_step: str = ""
    disposition: str = ""
    persistent_disposition: PersistentDisposition | None = None
    read_point: Place | None = None
    biz_location: Place | None = None
    biz_transactions: tuple[Transaction, ...] = ()
    sources: tuple[Party, ...] = ()
    destinations: tuple[Party, ...] = ()
    sensor_elements: tuple[SensorElement, ...] = ()

    extensions: tuple[Field, ...] = ()
    """User extensions at event level."""

    @property
    def event_type(self) -> str:
        """Name of the type, such as `ObjectEvent`, or the URI of a partner's own type."""
        return type(self).__name__


class ObjectEvent(Event, frozen=True, kw_only=True, gc=False):
    """Something happened to objects."""

    action: str
    epcs: tuple[Identifier, ...] = ()
    quantities: tuple[Quantity, ...] = ()

    ilmd: tuple[Field, ...] = ()
    """Instance or lot master data, such as lot number and expiry date."""


class AggregationEvent(Event, frozen=True, kw_only=True, gc=False):
    """Objects were packed into, or taken out of, a parent."""

    action: str
    parent_id: Identifier | None = None
    child_epcs: tuple[Identifier, ...] = ()
    child_quantities: tuple[Quantity, ...] = ()


class TransactionEvent(Event, frozen=True, kw_only=True, gc=False):
    """Objects were tied to, or released from, business transactions."""

    action: str
    parent_id: Identifier | None = None
    epcs: tuple[Identifier, ...] = ()
    quantities: tuple[Quantity, ...] = ()


class TransformationEvent(Event, frozen=True, kw_only=True, gc=False):
    """Inputs were consumed and outputs produced."""

    input_epcs: tuple[Identifier, ...] = ()
    input_quantities: tuple[Quantity, ...] = ()
    output_epcs: tuple[Identifier, ...] = ()
    output_quantities: tuple[Quantity, ...] = ()
    transformation_id: Identifier | None = None
    ilmd: tuple[Field, ...] = ()


class AssociationEvent(Event, frozen=True, kw_only=True, gc=False):
    """Objects were attached to, or detached from, a parent for longer."""

    action: str
    parent_id: Identifier | None = None
    child_epcs: tuple[Identifier, ...] = ()
    child_quantities: tuple[Quantity, ...] = ()


class ExtendedEvent(Event, frozen=True, kw_only=True, gc=False):
    """An event of a partner's own type; all its own fields are extensions."""

    type: str
    """URI of the type."""

    @property
    def event_type(self) -> str:
        """The URI of the type."""
        return self.type


class VocabularyElement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Master data of one identifier."""

    id: Identifier

    attributes: tuple[Field, ...] = ()
    """Attribute URIs as names, without namespace, and their content."""

    children: tuple[Identifier, ...] = ()


class MasterDataVocabulary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Master data of one kind, such as locations."""

    type: str
    elements: tuple[VocabularyElement, ...] = ()
