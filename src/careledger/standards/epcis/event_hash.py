"""The event hash identifier of CBV 2.0 §8.9.

Owns the canonical pre-hash string of an event and its digest. The string is the same whatever syntax, spelling,
order or time zone the event was captured in; record time, event identifier and error declaration do not enter.

Where the published prose and the published vectors of the reference implementation differ, the vectors are
followed:

- `certificationInfo` stands behind the time zone offset (the prose leaves it out);
- business transactions, destinations, instance or lot master data and sources follow the sensor elements, in
  that order, before the user extensions (the prose puts sources before destinations and sensors behind both);
- the type of a transaction, source or destination stands before its identifier.

Numbers keep their digits but for trailing zeros. A value with leading zeros is an identifier, not a number,
and stays as it is.
"""

from __future__ import annotations

import functools
import hashlib
import re
from decimal import Decimal
from typing import Final

from careledger.standards.epcis.model import (
    AggregationEvent,
    AssociationEvent,
    Content,
    Event,
    Field,
    Identifier,
    Node,
    Number,
    ObjectEvent,
    Party,
    Place,
    Quantity,
    Scalar,
    SensorElement,
    SensorMetadata,
    SensorReport,
    TransactionEvent,
    TransformationEvent,
)
from careledger.standards.epcis.scope import XSI_NAMESPACE
from careledger.standards.epcis.timestamps import canonical_instant
from careledger.standards.epcis.vocabulary import VOCABULARIES, Kind
from careledger.standards.gs1.canonical import canonical_uri

VERSION: Final = "CBV2.0"

_COMMENT = ("http://www.w3.org/2000/01/rdf-schema#", "comment")
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_MEANINGFUL = re.compile(r"urn:|https?:")
_STEPS = VOCABULARIES[Kind.BUSINESS_STEP].web_uris
_DISPOSITIONS = VOCABULARIES[Kind.DISPOSITION].web_uris
_TRANSACTION_TYPES = VOCABULARIES[Kind.TRANSACTION_TYPE].web_uris
_PARTY_TYPES = VOCABULARIES[Kind.PARTY_TYPE].web_uris
_MEASUREMENTS = VOCABULARIES[Kind.MEASUREMENT].web_uris
_ALERTS = VOCABULARIES[Kind.ALERT].web_uris
_COMPONENTS = VOCABULARIES[Kind.COMPONENT].web_uris
# URN spellings met in extension content, where the kind of vocabulary is not known.
_WORDS_BY_URN = {
    spelling: vocabulary.web_uris[word]
    for vocabulary in VOCABULARIES.values()
    for spelling, word in vocabulary.spellings.items()
    if spelling.startswith("urn:")
}


def event_hash(event: Event) -> str:
    """Compute the event hash identifier, `ni:///sha-256;<64 hex digits>?ver=CBV2.0`."""
    return f"ni:///sha-256;{hashlib.sha256(pre_hash(event).encode()).hexdigest()}?ver={VERSION}"


def event_digest(event: Event) -> bytes:
    """Compute the 32 bytes inside the event hash identifier."""
    return hashlib.sha256(pre_hash(event).encode()).digest()


def pre_hash(event: Event) -> str:
    """Compute the canonical string that is hashed (CBV 2.0 §8.9.2).

    Steps:
        1. Type, time in UTC with milliseconds, offset, certificates.
        2. What: parents, objects, classes and action, lists sorted.
        3. Why and where: step, disposition, places.
        4. Sensors, each element and each report sorted.
        5. Transactions, destinations, master data, sources.
        6. User extensions, sorted.
    """
    moment = canonical_instant(event.event_time)
    parts = [f"eventType={event.event_type}eventTime={moment}"]
    parts.append(f"eventTimeZoneOffset={event.event_time_zone_offset}")
    if event.certification_info:
        parts += sorted(f"certificationInfo={canonical_uri(uri)}" for uri in event.certification_info)
    _add_objects(event, parts)
    if event.biz_step:
        parts.append(f"bizStep={_STEPS.get(event.biz_step, event.biz_step)}")
    if event.disposition:
        parts.append(f"disposition={_DISPOSITIONS.get(event.disposition, event.disposition)}")
    persistent = event.persistent_disposition
    if persistent is not None:
        parts.append("persistentDisposition")
        parts += sorted(f"set={_DISPOSITIONS.get(word, word)}" for word in persistent.set)
        parts += sorted(f"unset={_DISPOSITIONS.get(word, word)}" for word in persistent.unset)
    if event.read_point is not None:
        parts.append(_place("readPoint", event.read_point))
    if event.biz_location is not None:
        parts.append(_place("bizLocation", event.biz_location))
    if event.sensor_elements:
        parts.append("sensorElementList")
        parts += sorted(map(_sensor_element, event.sensor_elements))
    _add_context(event, parts)
    if event.extensions:
        parts += _fields(event.extensions)
    return "".join(parts)


def _add_objects(event: Event, parts: list[str]) -> None:
    """Add what the event is about: identifiers, quantities, action."""
    if isinstance(event, ObjectEvent):
        _add_epcs("epcList", event.epcs, parts)
        _add_quantities("quantityList", event.quantities, parts)
        parts.append(f"action={event.action}")
    elif isinstance(event, AggregationEvent | AssociationEvent):
        _add_identifier("parentID", event.parent_id, parts)
        _add_epcs("childEPCs", event.child_epcs, parts)
        _add_quantities("childQuantityList", event.child_quantities, parts)
        parts.append(f"action={event.action}")
    elif isinstance(event, TransactionEvent):
        _add_identifier("parentID", event.parent_id, parts)
        _add_epcs("epcList", event.epcs, parts)
        _add_quantities("quantityList", event.quantities, parts)
        parts.append(f"action={event.action}")
    elif isinstance(event, TransformationEvent):
        _add_epcs("inputEPCList", event.input_epcs, parts)
        _add_quantities("inputQuantityList", event.input_quantities, parts)
        _add_epcs("outputEPCList", event.output_epcs, parts)
        _add_quantities("outputQuantityList", event.output_quantities, parts)
        _add_identifier("transformationID", event.transformation_id, parts)


def _add_epcs(name: str, identifiers: tuple[Identifier, ...], parts: list[str]) -> None:
    if identifiers:
        canonical = sorted([identifier.canonical for identifier in identifiers])
        parts.append(f"{name}epc={'epc='.join(canonical)}")


def _add_quantities(name: str, quantities: tuple[Quantity, ...], parts: list[str]) -> None:
    if quantities:
        parts.append(name)
        parts += sorted(map(_quantity, quantities))


def _quantity(quantity: Quantity) -> str:
    text = f"quantityElementepcClass={quantity.epc_class.canonical}"
    if quantity.quantity is not None:
        text += f"quantity={_number(quantity.quantity)}"
    return f"{text}uom={quantity.uom}" if quantity.uom else text


def _add_identifier(name: str, identifier: Identifier | None, parts: list[str]) -> None:
    if identifier is not None:
        parts.append(f"{name}={identifier.canonical}")


def _place(name: str, place: Place) -> str:
    text = f"{name}id={place.id.canonical}"
    return text + "".join(_fields(place.extensions)) if place.extensions else text


def _add_context(event: Event, parts: list[str]) -> None:
    """Add transactions, destinations, master data and sources, in the order of their names."""
    if event.biz_transactions:
        parts.append("bizTransactionList")
        parts += sorted(
            [
                _typed(_TRANSACTION_TYPES.get(item.type, item.type), "bizTransaction", item.id)
                for item in event.biz_transactions
            ]
        )
    if event.destinations:
        parts.append("destinationList")
        parts += sorted([_party("destination", party) for party in event.destinations])
    if isinstance(event, ObjectEvent | TransformationEvent) and event.ilmd:
        parts.append("ilmd")
        parts += _fields(event.ilmd)
    if event.sources:
        parts.append("sourceList")
        parts += sorted([_party("source", party) for party in event.sources])


def _party(name: str, party: Party) -> str:
    return _typed(_PARTY_TYPES.get(party.type, party.type), name, party.id)


def _typed(kind: str, name: str, identifier: Identifier) -> str:
    return f"type={kind}{name}={identifier.canonical}" if kind else f"{name}={identifier.canonical}"


def _sensor_element(element: SensorElement) -> str:
    parts = ["sensorElement"]
    if element.metadata is not None:
        parts += _sensor_metadata(element.metadata)
    parts += sorted(map(_sensor_report, element.reports))
    parts += _fields(element.extensions)
    return "".join(parts)


def _sensor_metadata(metadata: SensorMetadata) -> list[str]:
    parts = [
        f"{name}={canonical_instant(moment)}"
        for name, moment in (
            ("time", metadata.time),
            ("startTime", metadata.start_time),
            ("endTime", metadata.end_time),
        )
        if moment is not None
    ]
    _add_identifier("deviceID", metadata.device_id, parts)
    _add_identifier("deviceMetadata", metadata.device_metadata, parts)
    _add_identifier("rawData", metadata.raw_data, parts)
    _add_identifier("dataProcessingMethod", metadata.data_processing_method, parts)
    _add_identifier("bizRules", metadata.biz_rules, parts)
    parts += _fields(metadata.extensions)
    return ["sensorMetadata", *parts] if parts else parts


def _sensor_report(report: SensorReport) -> str:
    parts = ["sensorReport"]
    if report.type:
        parts.append(f"type={_MEASUREMENTS.get(report.type, report.type)}")
    if report.exception:
        parts.append(f"exception={_ALERTS.get(report.exception, report.exception)}")
    _add_identifier("deviceID", report.device_id, parts)
    _add_identifier("deviceMetadata", report.device_metadata, parts)
    _add_identifier("rawData", report.raw_data, parts)
    _add_identifier("dataProcessingMethod", report.data_processing_method, parts)
    if report.time is not None:
        parts.append(f"time={canonical_instant(report.time)}")
    _add_identifier("microorganism", report.microorganism, parts)
    _add_identifier("chemicalSubstance", report.chemical_substance, parts)
    _add_number("value", report.value, parts)
    if report.component:
        parts.append(f"component={_COMPONENTS.get(report.component, report.component)}")
    if report.string_value:
        parts.append(f"stringValue={_text(report.string_value)}")
    if report.boolean_value is not None:
        parts.append(f"booleanValue={'true' if report.boolean_value else 'false'}")
    if report.hex_binary_value:
        parts.append(f"hexBinaryValue={report.hex_binary_value}")
    _add_identifier("uriValue", report.uri_value, parts)
    for name, number in (
        ("minValue", report.min_value),
        ("maxValue", report.max_value),
        ("meanValue", report.mean_value),
        ("sDev", report.s_dev),
        ("percRank", report.perc_rank),
        ("percValue", report.perc_value),
    ):
        _add_number(name, number, parts)
    if report.uom:
        parts.append(f"uom={report.uom}")
    _add_identifier("coordinateReferenceSystem", report.coordinate_reference_system, parts)
    _add_identifier("bizRules", report.biz_rules, parts)
    parts += _fields(report.extensions)
    return "".join(parts)


def _add_number(name: str, number: Number | None, parts: list[str]) -> None:
    if number is not None:
        parts.append(f"{name}={_number(number)}")


def _number(number: Number) -> str:
    """Write a number without exponent and without trailing zeros."""
    if isinstance(number, int):
        return str(number)
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _fields(fields: tuple[Field, ...]) -> list[str]:
    """Write extension fields, sorted; comments and XML typing do not enter."""
    found: list[str] = []
    for field in fields:
        if field.namespace == XSI_NAMESPACE or (field.namespace, field.name) == _COMMENT:
            continue
        name = f"{{{field.namespace}}}{field.name}" if field.namespace else field.name
        _add_content(name, field.content, found)
    found.sort()
    return found


def _add_content(name: str, content: Content, found: list[str]) -> None:
    if isinstance(content, tuple):
        for item in content:
            _add_content(name, item, found)
    elif isinstance(content, Node):
        parts = "".join(_fields(content.attributes + content.children))
        found.append(name + _value(content.text) + parts)
    else:
        found.append(name + _value(content))


def _value(scalar: Scalar) -> str:
    if scalar is None:
        return ""
    if isinstance(scalar, bool):
        return "=true" if scalar else "=false"
    if isinstance(scalar, int | Decimal):
        return f"={_number(scalar)}"
    text = _text(scalar)
    return f"={text}" if text else ""


@functools.lru_cache(maxsize=4096)
def _text(text: str) -> str:
    """Give a text in canonical form: trimmed, numbers without trailing zeros, identifiers and CBV URNs canonical."""
    text = text.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return _number(Decimal(text))
    if not _MEANINGFUL.match(text):
        return text
    return _WORDS_BY_URN.get(text) or canonical_uri(text)
