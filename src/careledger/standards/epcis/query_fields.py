"""What a clause of a query looks at in an event.

Owns the way from a subject to the values of one event. How values are compared is in `query`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TypeAlias

from careledger.standards.epcis.model import (
    AggregationEvent,
    AssociationEvent,
    Content,
    Event,
    Field,
    Identifier,
    Node,
    ObjectEvent,
    Quantity,
    Scalar,
    SensorElement,
    SensorReport,
    TransactionEvent,
    TransformationEvent,
)
from careledger.standards.epcis.query_model import Clause, Subject
from careledger.standards.epcis.timestamps import Instant

Found: TypeAlias = "str | bool | int | Decimal | Instant | None"
"""A value of an event, as far as queries can compare it."""


def values_of(event: Event, clause: Clause) -> Iterator[Found]:
    """Give every value of the event that a clause looks at."""
    extension = _EXTENSIONS.get(clause.subject)
    if extension is not None:
        for fields in extension(event):
            yield from _extension_values(fields, clause)
        return
    measured = _MEASURED.get(clause.subject)
    if measured is not None:
        for report in _reports(event):
            if report.uom == clause.qualifier:
                yield getattr(report, measured)
        return
    if clause.subject is Subject.QUANTITY:
        for quantity in _quantities(event):
            if not clause.qualifier or quantity.uom == clause.qualifier:
                yield quantity.quantity
        return
    if clause.subject is Subject.BIZ_TRANSACTION:
        yield from (item.id.canonical for item in event.biz_transactions if item.type == clause.qualifier)
    elif clause.subject is Subject.SOURCE:
        yield from (party.id.canonical for party in event.sources if party.type == clause.qualifier)
    elif clause.subject is Subject.DESTINATION:
        yield from (party.id.canonical for party in event.destinations if party.type == clause.qualifier)
    else:
        yield from (value for value in _SIMPLE[clause.subject](event) if value is not None and value != "")


def _extension_values(fields: tuple[Field, ...], clause: Clause) -> Iterator[Found]:
    for field in fields:
        if not clause.is_inner and field.name == clause.name and field.namespace in clause.namespaces:
            yield from scalars(field.content)
        if clause.is_inner:
            yield from _inner_values(field.content, clause)


def _inner_values(content: Content, clause: Clause) -> Iterator[Found]:
    """Give the values of fields of the sought name at any depth below."""
    if isinstance(content, tuple):
        for item in content:
            yield from _inner_values(item, clause)
    elif isinstance(content, Node):
        for field in content.attributes + content.children:
            if field.name == clause.name and field.namespace in clause.namespaces:
                yield from scalars(field.content)
            yield from _inner_values(field.content, clause)


def scalars(content: Content) -> Iterator[Scalar]:
    """Give the values of extension content, those of its parts excepted."""
    if isinstance(content, tuple):
        for item in content:
            yield from scalars(item)
    elif isinstance(content, Node):
        yield content.text
    else:
        yield content


def identifiers_of_field(event: Event, field: str) -> Iterator[str]:
    """Give the identifiers that a field of the given name holds."""
    subject = {
        "readPoint": Subject.READ_POINT,
        "bizLocation": Subject.BIZ_LOCATION,
        "parentID": Subject.PARENT_ID,
        "epcClass": Subject.ANY_EPC_CLASS,
        "epc": Subject.ANY_EPC,
    }.get(field)
    if subject is not None:
        yield from (str(value) for value in _SIMPLE[subject](event))
        return
    parties = {"source": event.sources, "destination": event.destinations}.get(field, ())
    yield from (party.id.canonical for party in parties)
    if field == "bizTransaction":
        yield from (item.id.canonical for item in event.biz_transactions)


def _quantities(event: Event) -> tuple[Quantity, ...]:
    if isinstance(event, ObjectEvent | TransactionEvent):
        return event.quantities
    if isinstance(event, AggregationEvent | AssociationEvent):
        return event.child_quantities
    if isinstance(event, TransformationEvent):
        return event.input_quantities + event.output_quantities
    return ()


def _epcs(event: Event) -> tuple[Identifier, ...]:
    if isinstance(event, ObjectEvent | TransactionEvent):
        return event.epcs
    if isinstance(event, AggregationEvent | AssociationEvent):
        return event.child_epcs
    return ()


def _parents(event: Event) -> tuple[Identifier, ...]:
    if isinstance(event, AggregationEvent | AssociationEvent | TransactionEvent):
        return () if event.parent_id is None else (event.parent_id,)
    return ()


def _inputs(event: Event) -> tuple[Identifier, ...]:
    return event.input_epcs if isinstance(event, TransformationEvent) else ()


def _outputs(event: Event) -> tuple[Identifier, ...]:
    return event.output_epcs if isinstance(event, TransformationEvent) else ()


def _canonical(
    *readers: Callable[[Event], tuple[Identifier, ...]],
) -> Callable[[Event], Iterator[Found]]:
    def read(event: Event) -> Iterator[Found]:
        for reader in readers:
            for identifier in reader(event):
                yield identifier.canonical

    return read


def _classes(*names: str) -> Callable[[Event], Iterator[Found]]:
    def read(event: Event) -> Iterator[Found]:
        for name in names:
            for quantity in getattr(event, name, ()):
                yield quantity.epc_class.canonical

    return read


def _reports(event: Event) -> Iterator[SensorReport]:
    for element in event.sensor_elements:
        yield from element.reports


def _sensor(name: str) -> Callable[[Event], Iterator[Found]]:
    """Read an attribute of sensor metadata and reports."""

    def read(event: Event) -> Iterator[Found]:
        for element in event.sensor_elements:
            for part in (element.metadata, *element.reports):
                value = getattr(part, name, None)
                yield value.canonical if isinstance(value, Identifier) else value

    return read


def _error(event: Event) -> Iterator[Found]:
    if event.error_declaration is not None:
        yield event.error_declaration.declaration_time


def _sensor_extensions(name: str) -> Callable[[Event], Iterator[tuple[Field, ...]]]:
    def read(event: Event) -> Iterator[tuple[Field, ...]]:
        for element in event.sensor_elements:
            parts: tuple[SensorElement | SensorReport | object, ...] = {
                "element": (element,),
                "metadata": (element.metadata,),
                "report": element.reports,
            }[name]
            for part in parts:
                yield getattr(part, "extensions", ())

    return read


_EXTENSIONS: dict[Subject, Callable[[Event], Iterable[tuple[Field, ...]]]] = {
    Subject.EXTENSION: lambda event: (event.extensions,),
    Subject.ILMD: lambda event: (getattr(event, "ilmd", ()),),
    Subject.EXTENSION_OF_ERROR: lambda event: (getattr(event.error_declaration, "extensions", ()),),
    Subject.EXTENSION_OF_READ_POINT: lambda event: (getattr(event.read_point, "extensions", ()),),
    Subject.EXTENSION_OF_BIZ_LOCATION: lambda event: (getattr(event.biz_location, "extensions", ()),),
    Subject.EXTENSION_OF_SENSOR_ELEMENT: _sensor_extensions("element"),
    Subject.EXTENSION_OF_SENSOR_METADATA: _sensor_extensions("metadata"),
    Subject.EXTENSION_OF_SENSOR_REPORT: _sensor_extensions("report"),
}
_MEASURED: dict[Subject, str] = {
    Subject.VALUE: "value",
    Subject.MIN_VALUE: "min_value",
    Subject.MAX_VALUE: "max_value",
    Subject.MEAN_VALUE: "mean_value",
    Subject.S_DEV: "s_dev",
    Subject.PERC_VALUE: "perc_value",
}
_SIMPLE: dict[Subject, Callable[[Event], Iterable[Found]]] = {
    Subject.EVENT_TYPE: lambda event: (event.event_type,),
    Subject.EVENT_TIME: lambda event: (event.event_time,),
    Subject.RECORD_TIME: lambda event: (event.record_time,),
    Subject.EVENT_ID: lambda event: (event.event_id,),
    Subject.ACTION: lambda event: (getattr(event, "action", None),),
    Subject.BIZ_STEP: lambda event: (event.biz_step,),
    Subject.DISPOSITION: lambda event: (event.disposition,),
    Subject.PERSISTENT_SET: lambda event: getattr(event.persistent_disposition, "set", ()),
    Subject.PERSISTENT_UNSET: lambda event: getattr(event.persistent_disposition, "unset", ()),
    Subject.READ_POINT: lambda event: (event.read_point.id.canonical,) if event.read_point else (),
    Subject.BIZ_LOCATION: lambda event: (event.biz_location.id.canonical,) if event.biz_location else (),
    Subject.TRANSFORMATION_ID: lambda event: (
        getattr(getattr(event, "transformation_id", None), "canonical", None),
    ),
    Subject.EPC: _canonical(_epcs),
    Subject.PARENT_ID: _canonical(_parents),
    Subject.INPUT_EPC: _canonical(_inputs),
    Subject.OUTPUT_EPC: _canonical(_outputs),
    Subject.ANY_EPC: _canonical(_epcs, _parents, _inputs, _outputs),
    Subject.EPC_CLASS: _classes("quantities", "child_quantities"),
    Subject.INPUT_EPC_CLASS: _classes("input_quantities"),
    Subject.OUTPUT_EPC_CLASS: _classes("output_quantities"),
    Subject.ANY_EPC_CLASS: _classes(
        "quantities", "child_quantities", "input_quantities", "output_quantities"
    ),
    Subject.ERROR_DECLARATION: _error,
    Subject.ERROR_DECLARATION_TIME: _error,
    Subject.ERROR_REASON: lambda event: (getattr(event.error_declaration, "reason", None),),
    Subject.CORRECTIVE_EVENT_ID: lambda event: getattr(event.error_declaration, "corrective_event_ids", ()),
    Subject.SENSOR_ELEMENTS: lambda event: (True for _ in event.sensor_elements),
    Subject.TIME: _sensor("time"),
    Subject.START_TIME: _sensor("start_time"),
    Subject.END_TIME: _sensor("end_time"),
    Subject.TYPE: _sensor("type"),
    Subject.DEVICE_ID: _sensor("device_id"),
    Subject.DATA_PROCESSING_METHOD: _sensor("data_processing_method"),
    Subject.MICROORGANISM: _sensor("microorganism"),
    Subject.CHEMICAL_SUBSTANCE: _sensor("chemical_substance"),
    Subject.BIZ_RULES: _sensor("biz_rules"),
    Subject.STRING_VALUE: _sensor("string_value"),
    Subject.BOOLEAN_VALUE: _sensor("boolean_value"),
    Subject.HEX_BINARY_VALUE: _sensor("hex_binary_value"),
    Subject.URI_VALUE: _sensor("uri_value"),
    Subject.PERC_RANK: _sensor("perc_rank"),
}
