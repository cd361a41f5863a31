import json
from typing import Any

import pytest

from careledger.standards.epcis.document import DocumentKind
from careledger.standards.epcis.errors import DocumentRejected, ProblemCode, Severity
from careledger.standards.epcis.ilmd import ITEM_EXPIRATION_DATE, LOT_NUMBER, master_data_text
from careledger.standards.epcis.limits import Limits
from careledger.standards.epcis.model import (
    AggregationEvent,
    ExtendedEvent,
    Field,
    Identifier,
    Node,
    ObjectEvent,
    TransformationEvent,
)
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import (
    CONTEXT,
    aggregation_event,
    association_event,
    changed,
    document,
    object_event,
    problems_of,
    read_event,
    sensor_event,
    transaction_event,
    transformation_event,
)

JSON = "application/ld+json"


def test_an_object_event() -> None:
    event = read_event(object_event(eventID="urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"))
    assert isinstance(event, ObjectEvent)
    assert event.event_type == "ObjectEvent"
    assert event.epcs == (
        Identifier(
            text="urn:epc:id:sgtin:4012345.011111.A1",
            canonical="https://id.gs1.org/01/04012345111118/21/A1",
        ),
    )
    assert (event.action, event.biz_step, event.disposition) == ("OBSERVE", "shipping", "in_transit")
    assert event.read_point is not None
    assert event.read_point.id.canonical == "https://id.gs1.org/414/4012345000016"
    assert event.event_time.epoch_us == 1772618430000000


def test_all_types_and_their_parts() -> None:
    read = parse_document(
        document(
            aggregation_event(),
            association_event(),
            transaction_event(),
            transformation_event(),
            sensor_event(),
            {
                "type": "example:Inspection",
                "eventTime": "2026-03-04T10:00:00Z",
                "eventTimeZoneOffset": "+00:00",
                "epcList": ["anything"],
                "example:depth": 3,
            },
        ),
        JSON,
    )
    assert read.is_valid
    assert [event.event_type for event in read.events] == [
        "AggregationEvent",
        "AssociationEvent",
        "TransactionEvent",
        "TransformationEvent",
        "ObjectEvent",
        "https://ns.example.com/care/Inspection",
    ]
    aggregation, _, _, transformation, sensor, own = read.events
    assert isinstance(aggregation, AggregationEvent)
    assert aggregation.parent_id is not None
    assert len(aggregation.child_epcs) == 2
    assert isinstance(transformation, TransformationEvent)
    assert transformation.input_quantities[0].quantity == 12
    assert master_data_text(transformation, LOT_NUMBER) == "L1"
    assert master_data_text(transformation, ITEM_EXPIRATION_DATE) == "2028-02-29"
    assert master_data_text(aggregation, LOT_NUMBER) is None
    report = sensor.sensor_elements[0].reports[0]
    assert (report.type, str(report.value), report.uom) == ("Temperature", "5.1", "CEL")
    assert isinstance(own, ExtendedEvent)
    assert [(field.namespace, field.name) for field in own.extensions] == [
        ("", "epcList"),
        ("https://ns.example.com/care/", "depth"),
    ]


def test_extensions_are_kept_whole() -> None:
    content = {"example:a": ["1", 2, {"example:b": None}], "example:c": True, "plain": "x", "#text": "t"}
    event = read_event(object_event(**{"example:field": content}))
    namespace = "https://ns.example.com/care/"
    assert event.extensions == (
        Field(
            namespace=namespace,
            name="field",
            content=Node(
                text="t",
                children=(
                    Field(
                        namespace=namespace,
                        name="a",
                        content=(
                            "1",
                            2,
                            Node(children=(Field(namespace=namespace, name="b", content=None),)),
                        ),
                    ),
                    Field(namespace=namespace, name="c", content=True),
                    Field(namespace="", name="plain", content="x"),
                ),
            ),
        ),
    )


def test_a_single_event_with_its_context() -> None:
    event = {"@context": CONTEXT, **object_event()}
    read = parse_document(json.dumps(event).encode())
    assert read.kind is DocumentKind.EVENT
    assert len(read.events) == 1
    with pytest.raises(DocumentRejected) as caught:
        parse_document(json.dumps(object_event()).encode())
    assert caught.value.problems[0].pointer == "/@context"


def test_an_event_may_bring_prefixes_of_its_own() -> None:
    event = object_event(**{"@context": [CONTEXT, {"own": "https://own.example/"}], "own:x": "1"})
    assert read_event(event).extensions[0].namespace == "https://own.example/"
    other = object_event(**{"own:x": "1"})
    read = parse_document(document(event, other))
    assert [p.code for p in read.results[1].problems] == [ProblemCode.UNDECLARED_PREFIX]


def test_header_and_master_data() -> None:
    vocabulary = {
        "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
        "vocabularyElementList": [
            {
                "id": "urn:epc:id:sgln:4012345.00001.0",
                "attributes": [
                    {"id": "cbvmda:site", "attribute": "4012345000016"},
                    {"id": "https://ns.example.com/care/floor", "attribute": 2},
                ],
                "children": ["urn:epc:id:sgln:4012345.00001.7"],
            }
        ],
    }
    read = parse_document(
        document(
            sender="urn:epc:id:sgln:4012345.00001.0",
            receiver="urn:epc:id:sgln:4012345.00002.0",
            instanceIdentifier="77",
            epcisHeader={"epcisMasterData": {"vocabularyList": [vocabulary]}, "example:note": "n"},
            id="https://id.example.org/document1",
            **{"example:top": {"example:x": "1"}},
        )
    )
    assert read.header.instance_identifier == "77"
    assert read.header.content[0].name == "note"
    assert read.id == "https://id.example.org/document1"
    assert read.extensions[0].name == "top"
    (element,) = read.masterdata[0].elements
    assert [field.name for field in element.attributes] == [
        "urn:epcglobal:cbv:mda:site",
        "https://ns.example.com/care/floor",
    ]
    assert element.children[0].canonical == "https://id.gs1.org/414/4012345000016/254/7"


def test_query_results() -> None:
    body = {
        "queryResults": {
            "queryName": "SimpleEventQuery",
            "subscriptionID": "s-1",
            "resultsBody": {"eventList": [object_event()]},
        }
    }
    read = parse_document(document(type="EPCISQueryDocument", epcisBody=body, creationDate=None))
    assert (read.kind, read.query_name, read.subscription_id) == (
        DocumentKind.QUERY,
        "SimpleEventQuery",
        "s-1",
    )
    assert len(read.events) == 1


def test_good_events_survive_bad_ones() -> None:
    read = parse_document(
        document(object_event(), object_event(action="MOVE"), object_event(eventTime="now"))
    )
    assert len(read.events) == 1
    assert [failure.number for failure in read.failures] == [1, 2]
    assert not read.is_valid
    assert [(p.code, p.pointer) for failure in read.failures for p in failure.problems] == [
        (ProblemCode.ACTION, "/epcisBody/eventList/1/action"),
        (ProblemCode.TIME, "/epcisBody/eventList/2/eventTime"),
    ]


EPC = "urn:epc:id:sgtin:4012345.011111.A1"
LINK = "https://id.gs1.org/01/04012345111118/21/A1"
QUANTITY = {"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 1}
PARTY = {"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00001"}

# What is wrong with an event: the event, the code, the place in it.
ERRORS: list[tuple[Any, ProblemCode, str]] = [
    (7, ProblemCode.WRONG_TYPE, ""),
    (object_event(type=None), ProblemCode.MISSING_FIELD, "/type"),
    (object_event(type="objectEvent"), ProblemCode.EVENT_TYPE, "/type"),
    (object_event(type="QuantityEvent"), ProblemCode.EVENT_TYPE, "/type"),
    (object_event(eventTime=None), ProblemCode.MISSING_FIELD, "/eventTime"),
    (object_event(eventTime="2026-03-04T11:00:30"), ProblemCode.TIME_ZONE, "/eventTime"),
    (object_event(eventTime="4 March"), ProblemCode.TIME, "/eventTime"),
    (object_event(eventTime=1772618430), ProblemCode.TIME, "/eventTime"),
    (object_event(recordTime="soon"), ProblemCode.TIME, "/recordTime"),
    (object_event(eventTimeZoneOffset=None), ProblemCode.MISSING_FIELD, "/eventTimeZoneOffset"),
    (object_event(eventTimeZoneOffset="CET"), ProblemCode.TIME_ZONE, "/eventTimeZoneOffset"),
    (object_event(eventID="event 1"), ProblemCode.NOT_A_URI, "/eventID"),
    (object_event(eventID=1), ProblemCode.WRONG_TYPE, "/eventID"),
    (object_event(eventID="urn:x:" + "a" * 3000), ProblemCode.TOO_LARGE, "/eventID"),
    (object_event(action=None), ProblemCode.MISSING_FIELD, "/action"),
    (object_event(action="add"), ProblemCode.ACTION, "/action"),
    (object_event(bizStep="recieving"), ProblemCode.VOCABULARY, "/bizStep"),
    (object_event(bizStep="urn:epcglobal:cbv:bizstep:recieving"), ProblemCode.VOCABULARY, "/bizStep"),
    (object_event(disposition="https://ns.gs1.org/cbv/Disp-x"), ProblemCode.VOCABULARY, "/disposition"),
    (object_event(bizStep=["shipping"]), ProblemCode.WRONG_TYPE, "/bizStep"),
    (object_event(epcList=None), ProblemCode.MISSING_FIELD, "/epcList"),
    (object_event(epcList="x"), ProblemCode.WRONG_TYPE, "/epcList"),
    (object_event(epcList=[EPC, 5]), ProblemCode.WRONG_TYPE, "/epcList/1"),
    (object_event(epcList=[EPC, "A1"]), ProblemCode.NOT_A_URI, "/epcList/1"),
    (object_event(epcList=[EPC, LINK]), ProblemCode.DUPLICATE_IDENTIFIER, "/epcList/1"),
    (object_event(epcList=["urn:epc:id:sgtin:4012345.0111.A1"]), ProblemCode.IDENTIFIER, "/epcList/0"),
    (
        object_event(epcList=["https://id.gs1.org/01/04012345111119/21/A"]),
        ProblemCode.IDENTIFIER,
        "/epcList/0",
    ),
    (object_event(quantityList=[{"quantity": 1}]), ProblemCode.MISSING_FIELD, "/quantityList/0/epcClass"),
    (
        object_event(quantityList=[{**QUANTITY, "quantity": "1"}]),
        ProblemCode.NUMBER,
        "/quantityList/0/quantity",
    ),
    (
        object_event(quantityList=[{**QUANTITY, "quantity": -1}]),
        ProblemCode.NUMBER,
        "/quantityList/0/quantity",
    ),
    (
        object_event(quantityList=[{**QUANTITY, "quantity": True}]),
        ProblemCode.NUMBER,
        "/quantityList/0/quantity",
    ),
    (object_event(quantityList=[{**QUANTITY, "uom": "kg"}]), ProblemCode.UNIT, "/quantityList/0/uom"),
    (object_event(quantityList=[{**QUANTITY, "lot": "1"}]), ProblemCode.UNKNOWN_FIELD, "/quantityList/0/lot"),
    (
        object_event(quantityList=[{**QUANTITY, "example:lot": "1"}]),
        ProblemCode.UNKNOWN_FIELD,
        "/quantityList/0/lot",
    ),
    (object_event(quantityList=[7]), ProblemCode.WRONG_TYPE, "/quantityList/0"),
    (object_event(readPoint="urn:epc:id:sgln:4012345.00001.0"), ProblemCode.WRONG_TYPE, "/readPoint"),
    (object_event(readPoint={}), ProblemCode.MISSING_FIELD, "/readPoint/id"),
    (object_event(readPoint={"id": "dock 4"}), ProblemCode.NOT_A_URI, "/readPoint/id"),
    (object_event(readPoint={"id": 4}), ProblemCode.WRONG_TYPE, "/readPoint/id"),
    (
        object_event(bizTransactionList=[{"type": "po"}]),
        ProblemCode.MISSING_FIELD,
        "/bizTransactionList/0/bizTransaction",
    ),
    (
        object_event(bizTransactionList=[{"type": "order", "bizTransaction": "urn:x:1"}]),
        ProblemCode.VOCABULARY,
        "/bizTransactionList/0/type",
    ),
    (object_event(sourceList=[{"type": "owning_party"}]), ProblemCode.MISSING_FIELD, "/sourceList/0/source"),
    (object_event(sourceList=[{"source": "urn:x:1"}]), ProblemCode.MISSING_FIELD, "/sourceList/0/type"),
    (object_event(sourceList={"a": 1}), ProblemCode.WRONG_TYPE, "/sourceList"),
    (object_event(sourceList=[{**PARTY, "x": 1}]), ProblemCode.UNKNOWN_FIELD, "/sourceList/0/x"),
    (object_event(persistentDisposition={}), ProblemCode.EMPTY, "/persistentDisposition"),
    (object_event(persistentDisposition={"set": []}), ProblemCode.EMPTY, "/persistentDisposition/set"),
    (
        object_event(persistentDisposition={"set": ["recalled", "recalled"]}),
        ProblemCode.DUPLICATE_IDENTIFIER,
        "/persistentDisposition/set",
    ),
    (object_event(errorDeclaration={}), ProblemCode.MISSING_FIELD, "/errorDeclaration/declarationTime"),
    (
        object_event(errorDeclaration={"declarationTime": "2026-03-05T10:00:00Z", "reason": "oops"}),
        ProblemCode.VOCABULARY,
        "/errorDeclaration/reason",
    ),
    (
        object_event(
            errorDeclaration={"declarationTime": "2026-03-05T10:00:00Z", "correctiveEventIDs": ["x"]}
        ),
        ProblemCode.NOT_A_URI,
        "/errorDeclaration/correctiveEventIDs/0",
    ),
    (object_event(certificationInfo=["x"]), ProblemCode.NOT_A_URI, "/certificationInfo/0"),
    (object_event(ilmd={"cbvmda:lotNumber": "L1"}), ProblemCode.ACTION_RULE, "/ilmd"),
    (object_event(ilmd={"lotNumber": "L1"}, action="ADD"), ProblemCode.UNKNOWN_FIELD, "/ilmd/lotNumber"),
    (object_event(lot="L1"), ProblemCode.UNKNOWN_FIELD, "/lot"),
    (object_event(**{"other:lot": "L1"}), ProblemCode.UNDECLARED_PREFIX, "/other:lot"),
    (object_event(**{"a/b~c": "L1"}), ProblemCode.UNKNOWN_FIELD, "/a~1b~0c"),
    (object_event(parentID="urn:x:1"), ProblemCode.UNKNOWN_FIELD, "/parentID"),
    (aggregation_event(childEPCs=None), ProblemCode.MISSING_FIELD, "/childEPCs"),
    (aggregation_event(childEPCs=[]), ProblemCode.MISSING_FIELD, "/childEPCs"),
    (association_event(parentID=None), ProblemCode.MISSING_FIELD, "/parentID"),
    (transaction_event(bizTransactionList=None), ProblemCode.MISSING_FIELD, "/bizTransactionList"),
    (transaction_event(bizTransactionList=[]), ProblemCode.MISSING_FIELD, "/bizTransactionList"),
    (transaction_event(epcList=None), ProblemCode.MISSING_FIELD, "/epcList"),
    (transformation_event(inputQuantityList=None), ProblemCode.MISSING_FIELD, "/inputEPCList"),
    (transformation_event(outputEPCList=None), ProblemCode.MISSING_FIELD, "/outputEPCList"),
    (transformation_event(action="ADD"), ProblemCode.UNKNOWN_FIELD, "/action"),
    (object_event(sensorElementList=[{}]), ProblemCode.MISSING_FIELD, "/sensorElementList/0/sensorReport"),
    (
        object_event(sensorElementList=[{"sensorReport": []}]),
        ProblemCode.EMPTY,
        "/sensorElementList/0/sensorReport",
    ),
    (sensor_event({"value": 3}), ProblemCode.MISSING_FIELD, "/sensorElementList/0/sensorReport/0/type"),
    (
        sensor_event({"type": "Temprature"}),
        ProblemCode.VOCABULARY,
        "/sensorElementList/0/sensorReport/0/type",
    ),
    (
        sensor_event({"type": "Temperature", "value": "warm"}),
        ProblemCode.NUMBER,
        "/sensorElementList/0/sensorReport/0/value",
    ),
    (
        sensor_event({"type": "Temperature", "booleanValue": "true"}),
        ProblemCode.WRONG_TYPE,
        "/sensorElementList/0/sensorReport/0/booleanValue",
    ),
    (
        sensor_event({"type": "Temperature", "hexBinaryValue": "xyz"}),
        ProblemCode.WRONG_TYPE,
        "/sensorElementList/0/sensorReport/0/hexBinaryValue",
    ),
    (
        sensor_event({"type": "Temperature", "reading": 1}),
        ProblemCode.UNKNOWN_FIELD,
        "/sensorElementList/0/sensorReport/0/reading",
    ),
]


@pytest.mark.parametrize(("event", "code", "place"), ERRORS)
def test_errors_are_located(event: Any, code: ProblemCode, place: str) -> None:
    (result,) = parse_document(document(event), JSON).results
    assert result.event is None
    errors = [(p.code, p.pointer) for p in result.problems if p.is_error]
    assert (code, "/epcisBody/eventList/0" + place) in errors
    assert len(errors) == 1, errors


WARNINGS = [
    (object_event(bizStep="urn:epcglobal:cbv:bizstep:shipping"), ProblemCode.VOCABULARY_FORM, "/bizStep"),
    (
        object_event(epcList=["urn:epc:class:lgtin:4012345.011111.L"]),
        ProblemCode.CLASS_AS_INSTANCE,
        "/epcList/0",
    ),
    (
        object_event(epcList=["https://id.gs1.org/01/04012345111118"]),
        ProblemCode.CLASS_AS_INSTANCE,
        "/epcList/0",
    ),
    (object_event(epcList=[]), ProblemCode.EMPTY, "/epcList"),
    (aggregation_event(parentID=None), ProblemCode.MISSING_FIELD, "/parentID"),
    (
        sensor_event({"type": "Temperature", "value": 5, "uom": "KGM"}),
        ProblemCode.UNIT,
        "/sensorElementList/0/sensorReport/0/uom",
    ),
    (
        object_event(
            sensorElementList=[
                {
                    "sensorMetadata": {
                        "startTime": "2026-03-04T10:00:00Z",
                        "endTime": "2026-03-04T09:00:00Z",
                    },
                    "sensorReport": [{"type": "Temperature", "value": 5}],
                }
            ]
        ),
        ProblemCode.TIME,
        "/sensorElementList/0/sensorMetadata/endTime",
    ),
]


@pytest.mark.parametrize(("event", "code", "place"), WARNINGS)
def test_remarks_do_not_bar_the_event(event: Any, code: ProblemCode, place: str) -> None:
    (result,) = parse_document(document(event), JSON).results
    assert result.event is not None
    assert [(p.code, p.pointer, p.severity) for p in result.problems] == [
        (code, "/epcisBody/eventList/0" + place, Severity.WARNING)
    ]


ACCEPTED = [
    object_event(epcList=None, quantityList=[QUANTITY]),
    object_event(epcList=None, sensorElementList=[{"sensorReport": [{"type": "Temperature"}]}]),
    object_event(bizStep="https://vocabulary.example/quarantining"),
    object_event(disposition="example:quarantined"),
    object_event(epcList=["https://example.com/objects/7", "urn:x:y:1"]),
    object_event(certificationInfo=["https://example.com/c/1", "https://example.com/c/2"]),
    object_event(**{"https://ns.example.com/care/x": "1"}),
    object_event(**{"rdfs:comment": "why"}),
    aggregation_event(action="DELETE", childEPCs=None),
    aggregation_event(action="OBSERVE", parentID=None),
    transaction_event(action="DELETE", epcList=None),
    transformation_event(outputEPCList=None, transformationID="urn:epc:id:gdti:4012345.00009.T1"),
]


@pytest.mark.parametrize("event", ACCEPTED)
def test_accepted(event: Any) -> None:
    assert problems_of(event) == ()


def test_curies_of_the_document_are_expanded() -> None:
    event = read_event(object_event(disposition="example:quarantined", readPoint={"id": "example:dock4"}))
    assert event.disposition == "https://ns.example.com/care/quarantined"
    assert event.read_point is not None
    assert event.read_point.id.text == "https://ns.example.com/care/dock4"


AROUND = [
    ({"@context": None}, ProblemCode.CONTEXT, "/@context"),
    ({"@context": "https://evil.example/context.jsonld"}, ProblemCode.CONTEXT, "/@context"),
    ({"@context": [CONTEXT, "https://evil.example/c.jsonld"]}, ProblemCode.CONTEXT, "/@context/1"),
    (
        {"@context": [CONTEXT, {"eventTime": {"@id": "https://evil.example/t"}}]},
        ProblemCode.CONTEXT,
        "/@context/1/eventTime",
    ),
    ({"@context": [CONTEXT, {"@vocab": "https://evil.example/"}]}, ProblemCode.CONTEXT, "/@context/1/@vocab"),
    (
        {"@context": [CONTEXT, {"@import": "https://evil.example/"}]},
        ProblemCode.CONTEXT,
        "/@context/1/@import",
    ),
    ({"@context": [CONTEXT, {"x": "not a uri"}]}, ProblemCode.CONTEXT, "/@context/1/x"),
    ({"@context": [CONTEXT, 7]}, ProblemCode.CONTEXT, "/@context/1"),
    ({"@context": [CONTEXT] * 65}, ProblemCode.TOO_MANY, "/@context"),
    ({"@context": {f"p{n}": "urn:x:y:" for n in range(65)}}, ProblemCode.TOO_MANY, "/@context"),
    ({"schemaVersion": None}, ProblemCode.VERSION, "/schemaVersion"),
    ({"schemaVersion": "1.2"}, ProblemCode.VERSION, "/schemaVersion"),
    ({"schemaVersion": 2}, ProblemCode.VERSION, "/schemaVersion"),
    ({"creationDate": None}, ProblemCode.MISSING_FIELD, "/creationDate"),
    ({"creationDate": "2026-03-04"}, ProblemCode.TIME, "/creationDate"),
    ({"epcisBody": None}, ProblemCode.MISSING_FIELD, "/epcisBody"),
    ({"epcisBody": []}, ProblemCode.MISSING_FIELD, "/epcisBody"),
    ({"epcisBody": {}}, ProblemCode.MISSING_FIELD, "/epcisBody/eventList"),
    ({"epcisBody": {"eventList": {}}}, ProblemCode.MISSING_FIELD, "/epcisBody/eventList"),
    ({"note": "x"}, ProblemCode.UNKNOWN_FIELD, "/note"),
    ({"other:note": "x"}, ProblemCode.UNDECLARED_PREFIX, "/other:note"),
    ({"id": "document 1"}, ProblemCode.NOT_A_URI, "/id"),
    ({"sender": 7}, ProblemCode.WRONG_TYPE, "/sender"),
    ({"epcisHeader": 7}, ProblemCode.WRONG_TYPE, "/epcisHeader"),
    ({"epcisHeader": {"x": 7}}, ProblemCode.UNKNOWN_FIELD, "/epcisHeader/x"),
    ({"epcisHeader": {"epcisMasterData": 7}}, ProblemCode.WRONG_TYPE, "/epcisHeader/epcisMasterData"),
    (
        {"epcisHeader": {"epcisMasterData": {"vocabularyList": 7}}},
        ProblemCode.WRONG_TYPE,
        "/epcisHeader/epcisMasterData/vocabularyList",
    ),
    (
        {"epcisHeader": {"epcisMasterData": {"vocabularyList": [7]}}},
        ProblemCode.WRONG_TYPE,
        "/epcisHeader/epcisMasterData/vocabularyList/0",
    ),
    ({"type": "EPCISQueryDocument"}, ProblemCode.MISSING_FIELD, "/epcisBody/queryResults"),
    ({"type": "Invoice", "@context": None}, ProblemCode.CONTEXT, "/@context"),
    ({"type": None}, ProblemCode.NOT_EPCIS, "/type"),
]


@pytest.mark.parametrize(("changes", "code", "place"), AROUND)
def test_errors_around_the_events_bar_the_document(
    changes: dict[str, Any], code: ProblemCode, place: str
) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(document(object_event(), **changes), JSON)
    assert (code, place) in [(p.code, p.pointer) for p in caught.value.problems]


def test_protected_prefixes_keep_their_meaning() -> None:
    read = parse_document(
        document(
            object_event(action="ADD", ilmd={"cbvmda:lotNumber": "L"}),
            **{"@context": [CONTEXT, {"cbvmda": "https://x.example/"}]},
        )
    )
    assert [p.code for p in read.problems] == [ProblemCode.CONTEXT]
    assert master_data_text(read.events[0], LOT_NUMBER) == "L"


def test_a_missing_epcis_context_is_remarked_on() -> None:
    read = parse_document(
        document(object_event(), **{"@context": {"example": "https://ns.example.com/care/"}})
    )
    assert [p.severity for p in read.problems] == [Severity.WARNING]


LIMITED = Limits(
    document_bytes_max=4000, events_max=2, list_items_max=3, depth_max=3, text_chars_max=50, problems_max=5
)


def test_limits_on_the_document() -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(document(object_event(**{"example:x": "y" * 4000})), JSON, limits=LIMITED)
    assert caught.value.problems[0].code is ProblemCode.TOO_LARGE
    with pytest.raises(DocumentRejected) as caught:
        parse_document(document(*[object_event()] * 3), JSON, limits=LIMITED)
    assert caught.value.problems[0].code is ProblemCode.TOO_MANY


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (object_event(epcList=[f"urn:x:y:{n}" for n in range(4)]), ProblemCode.TOO_MANY),
        (object_event(bizTransactionList=[{"bizTransaction": "urn:x:y"}] * 4), ProblemCode.TOO_MANY),
        (object_event(**{"example:x": "y" * 51}), ProblemCode.TOO_LARGE),
        (object_event(**{"example:x": {"a": {"a": {"a": {"a": 1}}}}}), ProblemCode.TOO_DEEP),
        (object_event(**{"example:x": [[[[["a"]]]]]}), ProblemCode.TOO_DEEP),
        (sensor_event({"type": "Temperature", "stringValue": "y" * 51}), ProblemCode.TOO_LARGE),
    ],
)
def test_limits_inside_an_event(event: Any, code: ProblemCode) -> None:
    (result,) = parse_document(document(event), JSON, limits=LIMITED).results
    assert [p.code for p in result.problems if p.is_error] == [code]


def test_further_problems_are_counted() -> None:
    broken = object_event(**{f"x{n}": 1 for n in range(20)})
    read = parse_document(document(broken, object_event(action="x")), JSON, limits=LIMITED)
    assert sum(len(result.problems) for result in read.results) == 5
    assert read.problems_omitted == 16
    # The second event's problems found no room, yet it must not pass as good.
    assert read.events == ()


def test_texts_never_repeat_values() -> None:
    secret = "PATIENT-7781"
    broken = object_event(
        eventTime=secret,
        bizStep=secret,
        epcList=[f"urn:epc:id:sgtin:4012345.0111.{secret}"],
        quantityList=[{"epcClass": secret, "quantity": secret}],
        **{"example:x": {"y": secret}},
    )
    for problem in problems_of(broken):
        assert secret not in problem.message
        assert secret not in problem.pointer
    with pytest.raises(DocumentRejected) as caught:
        parse_document(document(object_event(), schemaVersion=secret, creationDate=secret))
    assert secret not in str(caught.value)


@pytest.mark.parametrize("media_type", ["text/plain", "application/pdf"])
def test_other_media_types(media_type: str) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(document(object_event()), media_type)
    assert caught.value.problems[0].code is ProblemCode.NOT_EPCIS


def test_changes_helper_takes_members_away() -> None:
    assert changed({"a": 1, "b": 2}, {"a": None}) == {"b": 2}
