"""Sensor elements of an event.

Owns how metadata and reports are read, and the few rules on what goes together: a report says what it measures,
its unit fits the kind of measurement where that is known, a period does not end before it starts.
"""

from __future__ import annotations

from typing import cast

from careledger.standards.epcis import cbv
from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.model import SensorElement, SensorMetadata, SensorReport
from careledger.standards.epcis.scope import Scope
from careledger.standards.epcis.values import (
    Reader,
    construct,
    read_boolean,
    read_hex,
    read_identifier,
    read_instant,
    read_list,
    read_members,
    read_number,
    read_text,
    word_reader,
)
from careledger.standards.epcis.vocabulary import Kind

METADATA_FIELDS: dict[str, tuple[str, Reader]] = {
    "time": ("time", read_instant),
    "startTime": ("start_time", read_instant),
    "endTime": ("end_time", read_instant),
    "deviceID": ("device_id", read_identifier),
    "deviceMetadata": ("device_metadata", read_identifier),
    "rawData": ("raw_data", read_identifier),
    "dataProcessingMethod": ("data_processing_method", read_identifier),
    "bizRules": ("biz_rules", read_identifier),
}
REPORT_FIELDS: dict[str, tuple[str, Reader]] = {
    "type": ("type", word_reader(Kind.MEASUREMENT)),
    "exception": ("exception", word_reader(Kind.ALERT)),
    "deviceID": ("device_id", read_identifier),
    "deviceMetadata": ("device_metadata", read_identifier),
    "rawData": ("raw_data", read_identifier),
    "dataProcessingMethod": ("data_processing_method", read_identifier),
    "bizRules": ("biz_rules", read_identifier),
    "time": ("time", read_instant),
    "microorganism": ("microorganism", read_identifier),
    "chemicalSubstance": ("chemical_substance", read_identifier),
    "value": ("value", read_number),
    "component": ("component", word_reader(Kind.COMPONENT)),
    "stringValue": ("string_value", read_text),
    "booleanValue": ("boolean_value", read_boolean),
    "hexBinaryValue": ("hex_binary_value", read_hex),
    "uriValue": ("uri_value", read_identifier),
    "minValue": ("min_value", read_number),
    "maxValue": ("max_value", read_number),
    "meanValue": ("mean_value", read_number),
    "sDev": ("s_dev", read_number),
    "percRank": ("perc_rank", read_number),
    "percValue": ("perc_value", read_number),
    "uom": ("uom", read_text),
    "coordinateReferenceSystem": ("coordinate_reference_system", read_identifier),
}


def _read_metadata(value: object, scope: Scope, at: str) -> SensorMetadata:
    attributes, extensions = read_members(value, METADATA_FIELDS, scope, at)
    metadata = construct(SensorMetadata, attributes, extensions)
    start, end = metadata.start_time, metadata.end_time
    if start is not None and end is not None and end.epoch_us < start.epoch_us:
        scope.warn(ProblemCode.TIME, f"{at}/endTime", "the period ends before it starts")
    return metadata


def _read_report(value: object, scope: Scope, at: str) -> SensorReport:
    attributes, extensions = read_members(value, REPORT_FIELDS, scope, at)
    report = construct(SensorReport, attributes, extensions)
    if "type" not in attributes:
        message = "the kind of measurement is missing"
        if scope.is_json or not report.exception:
            scope.report(ProblemCode.MISSING_FIELD, f"{at}/type", message)
        else:
            scope.warn(ProblemCode.MISSING_FIELD, f"{at}/type", message)
    units = cbv.UNITS.get(report.type)
    if units is not None and report.uom and report.uom not in units:
        scope.warn(ProblemCode.UNIT, f"{at}/uom", "an unusual unit for this kind of measurement")
    return report


def _read_reports(value: object, scope: Scope, at: str) -> tuple[SensorReport, ...]:
    reports = cast("tuple[SensorReport, ...]", read_list(value, _read_report, scope, at))
    if not reports:
        scope.report(ProblemCode.EMPTY, at, "at least one report is expected")
    return reports


_ELEMENT_FIELDS: dict[str, tuple[str, Reader]] = {
    "sensorMetadata": ("metadata", _read_metadata),
    "sensorReport": ("reports", _read_reports),
}


def _read_element(value: object, scope: Scope, at: str) -> SensorElement:
    attributes, extensions = read_members(value, _ELEMENT_FIELDS, scope, at)
    if "reports" not in attributes:
        scope.report(ProblemCode.MISSING_FIELD, f"{at}/sensorReport", "at least one report is expected")
        attributes["reports"] = ()
    return construct(SensorElement, attributes, extensions)


def read_sensor_elements(value: object, scope: Scope, at: str) -> tuple[SensorElement, ...]:
    """Read the sensor elements of an event."""
    return cast("tuple[SensorElement, ...]", read_list(value, _read_element, scope, at))
