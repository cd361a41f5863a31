import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.epcis.corrections import (
    Relation,
    declares_error_in,
    effective_id,
    has_true_hash_id,
    relate,
)
from careledger.standards.epcis.errors import Severity
from careledger.standards.epcis.event_hash import event_digest, event_hash, pre_hash
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import (
    EXAMPLE,
    aggregation_event,
    association_event,
    document,
    object_event,
    read_event,
    sensor_event,
    transaction_event,
    transformation_event,
    xml_document,
    xml_object_event,
)

NS = "{https://ns.example.com/care/}"
HEAD = "eventType=ObjectEventeventTime=2026-03-04T10:00:30.000ZeventTimeZoneOffset=+01:00"
TAIL = (
    "epcListepc=https://id.gs1.org/01/04012345111118/21/A1action=OBSERVE"
    "bizStep=https://ref.gs1.org/cbv/BizStep-shippingdisposition=https://ref.gs1.org/cbv/Disp-in_transit"
    "readPointid=https://id.gs1.org/414/4012345000016"
)

AGGREGATION = (
    "eventType=AggregationEventeventTime=2026-03-04T10:00:00.000ZeventTimeZoneOffset=+00:00"
    "parentID=https://id.gs1.org/00/340123451111111111"
    "childEPCsepc=https://id.gs1.org/01/04012345111118/21/A1epc=https://id.gs1.org/01/04012345111118/21/A2"
    "action=ADDbizStep=https://ref.gs1.org/cbv/BizStep-packing"
)
TRANSFORMATION = (
    "eventType=TransformationEventeventTime=2026-03-04T10:00:00.000ZeventTimeZoneOffset=+00:00"
    "inputQuantityListquantityElementepcClass=https://id.gs1.org/01/04012345222227/10/L1quantity=12uom=KGM"
    "outputEPCListepc=https://id.gs1.org/01/04012345333336/21/B1"
    "transformationID=https://id.gs1.org/253/4012345000092T1bizStep=https://ref.gs1.org/cbv/BizStep-commissioning"
)
# The order and spelling follow the published vectors; they are reproduced in tests/conformance.
TABLE: list[tuple[dict[str, Any], str]] = [
    (object_event(), HEAD + TAIL),
    (object_event(recordTime="2026-03-04T10:00:31Z", eventID="urn:x:y:1"), HEAD + TAIL),
    (object_event(errorDeclaration={"declarationTime": "2026-03-05T10:00:00Z"}), HEAD + TAIL),
    (object_event(**{"rdfs:comment": "not part of it"}), HEAD + TAIL),
    (
        object_event(certificationInfo=["https://example.com/c/2", "https://example.com/c/1"]),
        HEAD + "certificationInfo=https://example.com/c/1certificationInfo=https://example.com/c/2" + TAIL,
    ),
    (
        object_event(readPoint={"id": "geo:47.5,11.1", "example:b": "2", "example:a": "1"}),
        HEAD + TAIL.replace("https://id.gs1.org/414/4012345000016", "geo:47.5,11.1") + f"{NS}a=1{NS}b=2",
    ),
    (
        object_event(
            **{
                "example:z": ["b", "a", {"example:y": 1.50, "example:x": [True, None]}],
                "example:n": "0012",
                "example:m": "12.50",
                "example:u": "urn:epc:id:giai:4012345.ABC",
                "example:w": "urn:epcglobal:cbv:bizstep:packing",
                "example:t": "  trimmed  ",
                "example:e": {},
            }
        ),
        HEAD
        + TAIL
        + f"{NS}e{NS}m=12.5{NS}n=0012{NS}t=trimmed{NS}u=https://id.gs1.org/8004/4012345ABC"
        + f"{NS}w=https://ref.gs1.org/cbv/BizStep-packing"
        + f"{NS}z=a{NS}z=b{NS}z{NS}x{NS}x=true{NS}y=1.5",
    ),
    (
        object_event(
            action="ADD",
            ilmd={"example:x": "1", "cbvmda:lotNumber": "L1"},
            sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00001"}],
            destinationList=[
                {"type": "location", "destination": "urn:x:y:2"},
                {"type": "https://example.com/own", "destination": "urn:x:y:1"},
            ],
            bizTransactionList=[
                {"bizTransaction": "urn:x:y:3"},
                {"type": "po", "bizTransaction": "urn:x:y:4"},
            ],
        ),
        HEAD
        + TAIL.replace("OBSERVE", "ADD")
        + "bizTransactionListbizTransaction=urn:x:y:3type=https://ref.gs1.org/cbv/BTT-pobizTransaction=urn:x:y:4"
        + "destinationListtype=https://example.com/owndestination=urn:x:y:1"
        + "type=https://ref.gs1.org/cbv/SDT-locationdestination=urn:x:y:2"
        + f"ilmd{NS}x=1{{urn:epcglobal:cbv:mda}}lotNumber=L1"
        + "sourceListtype=https://ref.gs1.org/cbv/SDT-owning_partysource=https://id.gs1.org/417/4012345000016",
    ),
    (aggregation_event(), AGGREGATION),
    (
        transformation_event(ilmd=None, transformationID="urn:epc:id:gdti:4012345.00009.T1"),
        TRANSFORMATION,
    ),
    (
        sensor_event(
            {
                "type": "Temperature",
                "value": 5.10,
                "uom": "CEL",
                "time": "2026-03-04T11:00:00+01:00",
                "sDev": 0,
                "booleanValue": False,
                "component": "x",
                "exception": "ALARM_CONDITION",
                "stringValue": "26.0",
                "hexBinaryValue": "00ff",
                "example:cv": "1",
            },
            {"type": "example:own", "maxValue": 1e-7, "minValue": -1e3},
        ),
        HEAD
        + TAIL.replace("shipping", "sensor_reporting")
        + "sensorElementListsensorElementsensorMetadatastartTime=2026-03-04T10:00:00.000Z"
        "endTime=2026-03-04T11:00:00.000ZdeviceID=https://id.gs1.org/8004/4012345SENSOR7"
        "sensorReporttype=https://gs1.org/voc/Temperatureexception=https://gs1.org/voc/ALARM_CONDITION"
        "time=2026-03-04T10:00:00.000Zvalue=5.1component=https://ref.gs1.org/cbv/Comp-xstringValue=26"
        f"booleanValue=falsehexBinaryValue=00ffsDev=0uom=CEL{NS}cv=1"
        "sensorReporttype=https://ns.example.com/care/ownminValue=-1000maxValue=0.0000001",
    ),
]


@pytest.mark.parametrize(("members", "expected"), TABLE)
def test_pre_hash(members: dict[str, Any], expected: str) -> None:
    assert pre_hash(read_event(members)) == expected


def test_event_hash_is_a_named_information_uri() -> None:
    event = read_event(object_event())
    assert event_hash(event) == f"ni:///sha-256;{event_digest(event).hex()}?ver=CBV2.0"
    assert len(event_digest(event)) == 32


EVERYTHING = object_event(
    action="ADD",
    epcList=[f"urn:epc:id:sgtin:4012345.011111.A{n}" for n in range(4)],
    quantityList=[{"epcClass": f"urn:epc:class:lgtin:4012345.022222.L{n}", "quantity": n} for n in range(3)],
    bizTransactionList=[{"type": t, "bizTransaction": "urn:x:y:1"} for t in ("po", "inv", "desadv")],
    sourceList=[{"type": t, "source": "urn:x:y:1"} for t in ("location", "owning_party")],
    destinationList=[{"type": t, "destination": "urn:x:y:1"} for t in ("location", "owning_party")],
    persistentDisposition={"set": ["recalled", "damaged"], "unset": ["expired", "stolen"]},
    sensorElementList=[
        {"sensorReport": [{"type": "Temperature", "value": n}, {"type": "Speed", "value": n}]}
        for n in range(2)
    ],
    ilmd={"cbvmda:lotNumber": "L1", "example:a": ["1", "2"]},
    **{"example:x": {"example:a": "1", "example:b": ["2", "3"]}, "example:y": "2"},
)


def shuffled(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        source.shuffle(keys)
        return {key: shuffled(value[key], source) for key in keys}
    if isinstance(value, list):
        return source.sample([shuffled(item, source) for item in value], len(value))
    return value


@given(st.integers(0, 2**32))
def test_order_makes_no_difference(seed: int) -> None:
    members = shuffled(EVERYTHING, random.Random(seed))
    assert pre_hash(read_event(members)) == pre_hash(read_event(EVERYTHING))


SPELLINGS = [
    ({"epcList": ["https://id.gs1.de/gtin/4012345111118/21/A1?x=1"]}, {}),
    ({"eventTime": "2026-03-04T10:00:30Z"}, {}),
    ({"eventTime": "2026-03-04T15:30:30.0004+05:30"}, {}),
    ({"bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"}, {}),
    ({"disposition": "example:x"}, {"disposition": "https://ns.example.com/care/x"}),
    ({"example:x": 2.50}, {"example:x": "2.5"}),
    ({"example:x": ["1"]}, {"example:x": "1"}),
    ({"example:x": True}, {"example:x": "true"}),
    ({EXAMPLE + "x": "1"}, {"example:x": "1"}),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spelling_makes_no_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert event_hash(read_event(object_event(**one))) == event_hash(read_event(object_event(**other)))


CHANGES: list[dict[str, Any]] = [
    {},
    {"epcList": ["urn:epc:id:sgtin:4012345.011111.A2"]},
    {"epcList": ["urn:epc:id:sgtin:4012345.011111.a1"]},
    {"epcList": ["urn:epc:id:sgtin:4012345.011111.A1", "urn:epc:id:sgtin:4012345.011111.A2"]},
    {"action": "DELETE"},
    {"eventTime": "2026-03-04T11:00:30.001+01:00"},
    {"eventTimeZoneOffset": "+02:00"},
    {"bizStep": "receiving"},
    {"bizStep": None},
    {"disposition": "damaged"},
    {"readPoint": {"id": "urn:epc:id:sgln:4012345.00001.1"}},
    {"bizLocation": {"id": "urn:epc:id:sgln:4012345.00001.1"}},
    {"quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1"}]},
    {"quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 1}]},
    {"quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 10}]},
    {"quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 1, "uom": "KGM"}]},
    {"example:x": "1"},
    {"example:x": "01"},
    {"example:x": "10"},
    {"example:x": {"example:y": "1"}},
    {"example:x": ["1", "1"]},
]


def test_every_change_of_content_changes_the_hash() -> None:
    events = [read_event(object_event(**change)) for change in CHANGES]
    events += [read_event(make()) for make in (aggregation_event, association_event, transaction_event)]
    for one, other in itertools.combinations(events, 2):
        assert event_hash(one) != event_hash(other)


DECLARATION = {"declarationTime": "2026-03-05T10:00:00Z", "reason": "incorrect_data"}
ID = "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"


@pytest.mark.parametrize(
    ("event", "earlier", "relation"),
    [
        (object_event(eventID=ID), object_event(eventID=ID), Relation.SAME_EVENT),
        (object_event(), object_event(recordTime="2026-03-04T12:00:00Z"), Relation.SAME_EVENT),
        (
            object_event(eventID=ID, errorDeclaration=DECLARATION),
            object_event(eventID=ID),
            Relation.ERROR_DECLARATION,
        ),
        (object_event(errorDeclaration=DECLARATION), object_event(), Relation.ERROR_DECLARATION),
        (
            object_event(eventID=ID, errorDeclaration=DECLARATION),
            object_event(eventID=ID, errorDeclaration=DECLARATION),
            Relation.SAME_EVENT,
        ),
        (
            object_event(eventID=ID, errorDeclaration={**DECLARATION, "reason": "did_not_occur"}),
            object_event(eventID=ID, errorDeclaration=DECLARATION),
            Relation.DECLARATION_CONFLICT,
        ),
        (
            object_event(eventID=ID),
            object_event(eventID=ID, errorDeclaration=DECLARATION),
            Relation.DECLARATION_CONFLICT,
        ),
        (
            object_event(eventID=ID, bizStep="receiving"),
            object_event(eventID=ID),
            Relation.IDENTIFIER_CONFLICT,
        ),
        (object_event(eventID=ID), object_event(), Relation.SAME_CONTENT),
        (object_event(bizStep="receiving"), object_event(), Relation.UNRELATED),
    ],
)
def test_relations(event: dict[str, Any], earlier: dict[str, Any], relation: Relation) -> None:
    assert relate(read_event(event), read_event(earlier)) is relation
    is_declaration = relation is Relation.ERROR_DECLARATION
    assert declares_error_in(read_event(event), read_event(earlier)) is is_declaration


REPEATS = [
    ([object_event(eventID=ID), object_event(eventID="urn:x:y:1")], [True, True], []),
    ([object_event(), object_event()], [True, True], []),
    ([object_event(eventID=ID), object_event(eventID=ID)], [True, True], [(1, Severity.WARNING)]),
    ([object_event(eventID=ID), object_event(eventID=ID, errorDeclaration=DECLARATION)], [True, True], []),
    (
        [object_event(eventID=ID), object_event(eventID=ID, bizStep="receiving")],
        [True, False],
        [(1, Severity.ERROR)],
    ),
    (
        [object_event(eventID=ID, errorDeclaration=DECLARATION), object_event(eventID=ID)],
        [True, False],
        [(1, Severity.ERROR)],
    ),
]


@pytest.mark.parametrize(("events", "kept", "problems"), REPEATS)
def test_identifiers_repeated_in_one_document(
    events: list[dict[str, Any]], kept: list[bool], problems: list[tuple[int, Severity]]
) -> None:
    read = parse_document(document(*events))
    as_xml = "".join(
        xml_object_event().replace("<epcList>", f"<eventID>{event['eventID']}</eventID><epcList>")
        for event in events
        if "eventID" in event
    )
    assert [result.event is not None for result in read.results] == kept
    found = [(result.number, p.severity) for result in read.results for p in result.problems]
    assert found == problems
    for number, _ in problems:
        (problem,) = read.results[number].problems
        assert problem.pointer == f"/epcisBody/eventList/{number}/eventID"
    in_xml = [p for result in parse_document(xml_document(as_xml)).results for p in result.problems]
    assert all(p.xpath.endswith("/ObjectEvent[2]/eventID[1]") for p in in_xml)


def test_identifiers_that_are_hashes() -> None:
    event = read_event(object_event())
    assert effective_id(event) == event_hash(event)
    named = msgspec.structs.replace(event, event_id=event_hash(event))
    assert has_true_hash_id(named) is True
    assert relate(event, named) is Relation.SAME_EVENT
    assert has_true_hash_id(msgspec.structs.replace(named, biz_step="receiving")) is False
    assert has_true_hash_id(event) is None
    newer = event_hash(event).replace("CBV2.0", "CBV2.1")
    assert has_true_hash_id(msgspec.structs.replace(event, event_id=newer)) is None
