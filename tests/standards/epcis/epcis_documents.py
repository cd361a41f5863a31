"""Small EPCIS documents for the tests, made up here."""

from __future__ import annotations

import json
from typing import Any

from careledger.standards.epcis.errors import Problem
from careledger.standards.epcis.model import Event
from careledger.standards.epcis.reading import parse_document

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
EXAMPLE = "https://ns.example.com/care/"
GLN = "urn:epc:id:sgln:4012345.00001.0"

Members = dict[str, Any]  # test documents are written down freely


def object_event(**changes: Any) -> Members:
    event: Members = {
        "type": "ObjectEvent",
        "eventTime": "2026-03-04T11:00:30.000+01:00",
        "eventTimeZoneOffset": "+01:00",
        "epcList": ["urn:epc:id:sgtin:4012345.011111.A1"],
        "action": "OBSERVE",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "readPoint": {"id": GLN},
    }
    return changed(event, changes)


def aggregation_event(**changes: Any) -> Members:
    event: Members = {
        "type": "AggregationEvent",
        "eventTime": "2026-03-04T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "parentID": "urn:epc:id:sscc:4012345.3111111111",
        "childEPCs": ["urn:epc:id:sgtin:4012345.011111.A1", "urn:epc:id:sgtin:4012345.011111.A2"],
        "action": "ADD",
        "bizStep": "packing",
    }
    return changed(event, changes)


def association_event(**changes: Any) -> Members:
    event: Members = {
        "type": "AssociationEvent",
        "eventTime": "2026-03-04T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "parentID": "urn:epc:id:grai:4012345.00022.1",
        "childEPCs": ["urn:epc:id:giai:4012345.SENSOR7"],
        "action": "ADD",
        "bizStep": "installing",
    }
    return changed(event, changes)


def transaction_event(**changes: Any) -> Members:
    event: Members = {
        "type": "TransactionEvent",
        "eventTime": "2026-03-04T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "bizTransactionList": [
            {"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:PO1"},
        ],
        "epcList": ["urn:epc:id:sgtin:4012345.011111.A1"],
        "action": "ADD",
    }
    return changed(event, changes)


def transformation_event(**changes: Any) -> Members:
    event: Members = {
        "type": "TransformationEvent",
        "eventTime": "2026-03-04T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "inputQuantityList": [
            {"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 12, "uom": "KGM"},
        ],
        "outputEPCList": ["urn:epc:id:sgtin:4012345.033333.B1"],
        "bizStep": "commissioning",
        "ilmd": {"cbvmda:lotNumber": "L1", "cbvmda:itemExpirationDate": "2028-02-29"},
    }
    return changed(event, changes)


def sensor_event(*reports: Members, **changes: Any) -> Members:
    element: Members = {
        "sensorMetadata": {
            "startTime": "2026-03-04T10:00:00Z",
            "endTime": "2026-03-04T11:00:00Z",
            "deviceID": "urn:epc:id:giai:4012345.SENSOR7",
        },
        "sensorReport": list(reports) or [{"type": "Temperature", "value": 5.1, "uom": "CEL"}],
    }
    return object_event(bizStep="sensor_reporting", sensorElementList=[element], **changes)


def changed(members: Members, changes: Members) -> Members:
    """Apply changes; None takes a member away."""
    merged = {**members, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def document(*events: Members, **changes: Any) -> bytes:
    members = {
        "@context": [CONTEXT, {"example": EXAMPLE}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-04T12:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }
    return json.dumps(changed(members, changes)).encode()


def read_event(event: Members) -> Event:
    """Read one event that must be without errors."""
    (result,) = parse_document(document(event)).results
    assert result.event is not None, result.problems
    return result.event


def problems_of(event: Members) -> tuple[Problem, ...]:
    (result,) = parse_document(document(event)).results
    return result.problems


NAMESPACES = (
    'xmlns:epcis="urn:epcglobal:epcis:xsd:{major}" xmlns:cbvmda="urn:epcglobal:cbv:mda" '
    'xmlns:example="https://ns.example.com/care/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:sbdh="http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"'
)


def xml_document(events: str, *, version: str = "2.0", header: str = "", prolog: str = "") -> bytes:
    namespaces = NAMESPACES.format(major=version[0])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{prolog}'
        f'<epcis:EPCISDocument {namespaces} schemaVersion="{version}" creationDate="2026-03-04T12:00:00Z">\n'
        f"{header}<EPCISBody><EventList>\n{events}\n</EventList></EPCISBody></epcis:EPCISDocument>"
    ).encode()


def xml_object_event(extra: str = "", *, action: str = "OBSERVE", epcs: str = "") -> str:
    listed = epcs or "<epc>urn:epc:id:sgtin:4012345.011111.A1</epc>"
    return f"""<ObjectEvent>
<eventTime>2026-03-04T11:00:30.000+01:00</eventTime>
<eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
<epcList>{listed}</epcList>
<action>{action}</action>
<bizStep>urn:epcglobal:cbv:bizstep:shipping</bizStep>
<disposition>urn:epcglobal:cbv:disp:in_transit</disposition>
<readPoint><id>{GLN}</id></readPoint>
{extra}
</ObjectEvent>"""
