import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.epcis.capture_job import (
    CaptureJob,
    CaptureProblem,
    ErrorBehaviour,
    read_capture_job,
    write_capture_job,
)
from careledger.standards.epcis.errors import DocumentRejected, ProblemCode
from careledger.standards.epcis.event_hash import event_hash
from careledger.standards.epcis.event_writer import EPCFormat, Spelling
from careledger.standards.epcis.json_writer import write_event_json, write_events_json, write_json
from careledger.standards.epcis.reading import parse_document
from careledger.standards.epcis.timestamps import parse_instant
from careledger.standards.epcis.xml_writer import XMLVersion, write_xml
from careledger.standards.gs1.prefixes import CompanyPrefixes
from standards.epcis.epcis_documents import (
    CONTEXT,
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

EVENTS = [
    object_event(
        eventID="urn:x:y:1", certificationInfo="https://example.com/c/1", recordTime="2026-03-04T12:00:00Z"
    ),
    object_event(epcList=[]),
    object_event(epcList=None, quantityList=[{"epcClass": "urn:x:y:1", "quantity": 1.50, "uom": "KGM"}]),
    object_event(errorDeclaration={"declarationTime": "2026-03-05T10:00:00Z", "reason": "did_not_occur"}),
    object_event(
        persistentDisposition={"set": ["recalled"]}, bizLocation={"id": "urn:x:y:9", "example:a": 1}
    ),
    object_event(
        **{"example:a": [1, "b", {"example:c": None}], "example:d": {"@type": "xsd:int", "@value": "1"}}
    ),
    object_event(certificationInfo=["https://example.com/c/1", "https://example.com/c/2"]),
    aggregation_event(),
    aggregation_event(action="DELETE", childEPCs=None),
    association_event(childQuantityList=[{"epcClass": "urn:x:y:1"}]),
    transaction_event(sourceList=[{"type": "location", "source": "urn:x:y:1"}]),
    transaction_event(
        destinationList=[{"type": "location", "destination": "urn:x:y:1"}], action="DELETE", epcList=None
    ),
    transformation_event(),
    sensor_event({"type": "Temperature", "value": 5.10, "time": "2026-03-04T10:00:00Z", "example:x": "1"}),
    {"type": "example:Own", "eventTime": "2026-03-04T10:00:00Z", "eventTimeZoneOffset": "+00:00", "a": 1},
]


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_what_is_written_reads_the_same(number: int) -> None:
    read = parse_document(document(EVENTS[number]))
    written = write_json(read)
    again = parse_document(written)
    assert again.events == read.events
    assert write_json(again) == written


def test_members_come_back_as_they_were() -> None:
    plain = [event for event in EVENTS if event["type"] != "example:Own"]
    written = json.loads(write_json(parse_document(document(*plain))))
    expected = json.loads(document(*plain))["epcisBody"]["eventList"]
    for found, wanted in zip(written["epcisBody"]["eventList"], expected, strict=True):
        assert found == wanted


def test_numbers_keep_their_digits() -> None:
    event = object_event(**{"example:x": 0})
    data = document(event).replace(b'"example:x": 0', b'"example:x": 12345678901234567890.1250')
    assert b"12345678901234567890.1250" in write_json(parse_document(data))


def test_a_document_with_everything_around_it() -> None:
    vocabulary = {
        "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
        "vocabularyElementList": [
            {
                "id": "urn:epc:id:sgln:4012345.00001.0",
                "attributes": [{"id": "urn:epcglobal:cbv:mda:site", "attribute": "1"}],
                "children": ["urn:epc:id:sgln:4012345.00001.7"],
            }
        ],
    }
    data = document(
        object_event(),
        id="https://id.example.org/1",
        sender="urn:x:y:1",
        receiver="urn:x:y:2",
        instanceIdentifier="3",
        epcisHeader={"epcisMasterData": {"vocabularyList": [vocabulary]}, "example:h": "1"},
        **{"example:top": "1"},
    )
    written = json.loads(write_json(parse_document(data)))
    assert written == json.loads(data)


def test_query_results_are_written() -> None:
    results = {
        "subscriptionID": "s",
        "queryName": "q",
        "resultsBody": {
            "eventList": [object_event()],
            "vocabularyList": [{"type": "urn:x:y", "vocabularyElementList": []}],
        },
    }
    data = document(type="EPCISQueryDocument", epcisBody={"queryResults": results})
    assert json.loads(write_json(parse_document(data))) == json.loads(data)


def test_xml_becomes_json_of_version_2() -> None:
    extra = '<other:x xmlns:other="https://other.example/">1</other:x><example:y><z>2</z></example:y>'
    read = parse_document(xml_document(xml_object_event(extra), version="1.2"))
    written = write_json(read)
    members = json.loads(written)
    assert members["schemaVersion"] == "2.0"
    declared = {namespace for entry in members["@context"][1:] for namespace in entry.values()}
    assert "https://other.example/" in declared
    assert not any("cbvmda" in entry for entry in members["@context"][1:])
    (event,) = parse_document(written).events
    assert event_hash(event) == event_hash(read.events[0])


def test_single_events_and_new_documents() -> None:
    event = read_event(object_event(**{"example:x": "1"}))
    alone = json.loads(write_event_json(event, {"example": "https://ns.example.com/care/"}))
    assert alone["@context"] == [CONTEXT, {"example": "https://ns.example.com/care/"}]
    assert parse_document(write_event_json(event)).events == (event,)
    read = parse_document(write_events_json([event, event], creation_date="2026-03-04T12:00:00Z"))
    assert read.events == (event, event)
    assert write_json(parse_document(write_event_json(event))) == write_event_json(
        event, {"ns1": "https://ns.example.com/care/"}
    )


PREFIXES = CompanyPrefixes([("4012345", 7)])


@pytest.mark.parametrize(
    ("captured", "epc_format", "prefixes", "expected"),
    [
        (
            "urn:epc:id:sgtin:4012345.011111.A1",
            EPCFormat.NO_PREFERENCE,
            None,
            "urn:epc:id:sgtin:4012345.011111.A1",
        ),
        (
            "urn:epc:id:sgtin:4012345.011111.A1",
            EPCFormat.DIGITAL_LINK,
            None,
            "https://id.gs1.org/01/04012345111118/21/A1",
        ),
        (
            "https://id.gs1.org/01/04012345111118/21/A1",
            EPCFormat.URN,
            PREFIXES,
            "urn:epc:id:sgtin:4012345.011111.A1",
        ),
        (
            "https://x.example/01/04012345111118/21/A1",
            EPCFormat.URN,
            PREFIXES,
            "urn:epc:id:sgtin:4012345.011111.A1",
        ),
        (
            "https://x.example/01/04012345111118/21/A1",
            EPCFormat.URN,
            None,
            "https://id.gs1.org/01/04012345111118/21/A1",
        ),
        (
            "https://x.example/01/04012345111118/21/A1",
            EPCFormat.NO_PREFERENCE,
            None,
            "https://x.example/01/04012345111118/21/A1",
        ),
        ("https://x.example/things/1", EPCFormat.URN, PREFIXES, "https://x.example/things/1"),
        ("urn:epc:id:gid:1.2.3", EPCFormat.DIGITAL_LINK, None, "urn:epc:id:gid:1.2.3"),
    ],
)
def test_forms_of_identifiers(
    captured: str, epc_format: EPCFormat, prefixes: CompanyPrefixes | None, expected: str
) -> None:
    event = read_event(object_event(epcList=[captured]))
    spelling = Spelling(epc_format=epc_format, company_prefixes=prefixes)
    written = write_event_json(event, spelling=spelling)
    assert json.loads(written)["epcList"] == [expected]
    assert event_hash(parse_document(written).events[0]) == event_hash(event)


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_xml_reads_the_same(number: int) -> None:
    read = parse_document(document(EVENTS[number]))
    if len(read.events[0].certification_info) > 1:
        with pytest.raises(DocumentRejected):
            write_xml(read)
        return
    written = write_xml(read)
    again = parse_document(written, "text/xml")
    assert [event_hash(event) for event in again.events] == [event_hash(event) for event in read.events]
    assert again.events[0].event_id == read.events[0].event_id
    assert again.events[0].error_declaration == read.events[0].error_declaration
    assert write_xml(again) == written


IN_1_2 = [
    object_event(
        eventID="urn:x:y:1",
        errorDeclaration={
            "declarationTime": "2026-03-05T10:00:00Z",
            "reason": "did_not_occur",
            "correctiveEventIDs": ["urn:x:y:2"],
            "example:who": "qa",
        },
        action="ADD",
        ilmd={"cbvmda:lotNumber": "L1"},
        quantityList=[{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 2}],
        sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00001"}],
    ),
    object_event(epcList=None, quantityList=[{"epcClass": "urn:x:y:1"}]),
    aggregation_event(childQuantityList=[{"epcClass": "urn:x:y:1", "quantity": 1.5, "uom": "KGM"}]),
    transaction_event(),
    transformation_event(),
]


def test_version_1_2_for_partners_that_take_nothing_newer() -> None:
    read = parse_document(document(*IN_1_2, sender="urn:x:y:1", receiver="urn:x:y:2", instanceIdentifier="7"))
    spelling = Spelling(epc_format=EPCFormat.URN, company_prefixes=PREFIXES)
    written = write_xml(read, version=XMLVersion.V1_2, spelling=spelling)
    assert b"urn:epcglobal:epcis:xsd:1" in written
    assert b"<baseExtension><eventID>" in written
    assert b"<extension><quantityList>" in written
    assert b"<extension><TransformationEvent>" in written
    again = parse_document(written)
    assert again.is_valid
    assert again.schema_version == "1.2"
    assert [event_hash(event) for event in again.events] == [event_hash(event) for event in read.events]
    assert again.header.sender == "urn:x:y:1"
    assert again.header.instance_identifier == "7"
    assert again.events[0].error_declaration == read.events[0].error_declaration


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (sensor_event(), "/epcisBody/eventList/0/sensorElementList"),
        (association_event(), "/epcisBody/eventList/0/type"),
        (
            object_event(persistentDisposition={"set": ["recalled"]}),
            "/epcisBody/eventList/0/persistentDisposition",
        ),
        (object_event(certificationInfo="urn:x:y"), "/epcisBody/eventList/0/certificationInfo"),
        (EVENTS[-1], "/epcisBody/eventList/0/type"),
    ],
)
def test_what_1_2_cannot_say_is_refused(event: Any, place: str) -> None:
    with pytest.raises(DocumentRejected) as caught:
        write_xml(parse_document(document(event)), version=XMLVersion.V1_2)
    assert caught.value.problems[0].pointer == place


@pytest.mark.parametrize(
    "event",
    [
        object_event(**{"example:a b": "1"}),
        object_event(**{"example:a": "\x01"}),
        object_event(**{"example:a": {"<b>": "1"}}),
        sensor_event({"type": "Temperature", "example:x": {"y": 1}}),
    ],
)
def test_what_xml_cannot_hold_is_refused(event: Any) -> None:
    read = parse_document(document(event))
    assert read.is_valid
    with pytest.raises(DocumentRejected) as caught:
        write_xml(read)
    assert caught.value.problems[0].code is ProblemCode.SYNTAX


def test_xml_needs_a_date_and_escapes() -> None:
    alone = parse_document(json.dumps({"@context": CONTEXT, **object_event()}).encode())
    with pytest.raises(DocumentRejected):
        write_xml(alone)
    event = object_event(**{"example:a": "<x>&amp;]]>"})
    (again,) = parse_document(write_xml(parse_document(document(event)))).events
    assert again.extensions[0].content == "<x>&amp;]]>"


serials = st.text("ABCabc019-_.", min_size=1, max_size=20)
plain_values = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(max_size=8)
    | st.decimals(-1000, 1000, places=3).map(float)
)
extension_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(max_size=8)
    | st.decimals(-1000, 1000, places=3).map(float),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["example:a", "example:b", "plain"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(
    st.lists(serials, max_size=4, unique=True),
    extension_values,
    st.sampled_from(["ADD", "OBSERVE", "DELETE"]),
)
def test_round_trip_of_any_object_event(some: list[str], extension: Any, action: str) -> None:
    members = object_event(
        epcList=[f"urn:epc:id:sgtin:4012345.011111.{serial}" for serial in some],
        action=action,
        **{"example:field": extension if extension is not None else "none"},
    )
    read = parse_document(document(members))
    assert read.is_valid
    again = parse_document(write_json(read))
    assert again.events == read.events
    assert event_hash(again.events[0]) == event_hash(read.events[0])


JOB = CaptureJob(
    capture_id="f3755dab-1d90-46a5-b837-01032b232cf0",
    running=False,
    success=False,
    error_behaviour=ErrorBehaviour.PROCEED,
    created_at=parse_instant("2026-03-04T12:00:00Z"),
    finished_at=parse_instant("2026-03-04T12:00:01Z"),
    errors=(
        CaptureProblem(type="https://example.com/p", title="t", status=400, detail="d", instance="urn:x:y"),
        CaptureProblem(type="https://example.com/p", title="t"),
    ),
    error_file="https://example.com/e",
)


def test_capture_jobs() -> None:
    assert read_capture_job(write_capture_job(JOB), "application/json") == JOB
    running = CaptureJob(capture_id="1", running=True, success=True)
    assert read_capture_job(write_capture_job(running)) == running


def test_capture_jobs_in_xml() -> None:
    xml = """<e:EPCISCaptureJob xmlns:e="urn:epcglobal:epcis:xsd:2" running="false" success="false"
        captureID="f3755dab-1d90-46a5-b837-01032b232cf0"><captureErrorBehaviour>proceed</captureErrorBehaviour>
        <createdAt>2026-03-04T12:00:00Z</createdAt><finishedAt>2026-03-04T12:00:01Z</finishedAt>
        <errors><error><type>https://example.com/p</type><title>t</title><status>400</status><detail>d</detail>
        <instance>urn:x:y</instance></error><error><type>https://example.com/p</type><title>t</title></error></errors>
        <errorFile>https://example.com/e</errorFile></e:EPCISCaptureJob>"""
    assert read_capture_job(xml.encode()) == JOB


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"captureID": None}, ProblemCode.NOT_EPCIS),
        ({"running": "no"}, ProblemCode.WRONG_TYPE),
        ({"captureErrorBehaviour": "stop"}, ProblemCode.WRONG_TYPE),
        ({"createdAt": "now"}, ProblemCode.TIME),
        ({"errors": {}}, ProblemCode.WRONG_TYPE),
        ({"errors": [{"type": 1}]}, ProblemCode.WRONG_TYPE),
        ({"errors": [{"type": "a", "title": "b", "status": "c"}]}, ProblemCode.WRONG_TYPE),
    ],
)
def test_capture_jobs_that_are_wrong(changes: dict[str, Any], code: ProblemCode) -> None:
    members = {**json.loads(write_capture_job(JOB)), **changes}
    data = json.dumps({key: value for key, value in members.items() if value is not None}).encode()
    with pytest.raises(DocumentRejected) as caught:
        read_capture_job(data)
    assert caught.value.problems[0].code is code


def test_a_document_is_not_a_capture_job() -> None:
    with pytest.raises(DocumentRejected):
        read_capture_job(xml_document(xml_object_event()))


def test_output_is_json_for_other_parsers() -> None:
    schema = {
        "type": "object",
        "required": ["@context", "type", "schemaVersion", "creationDate", "epcisBody"],
    }
    written = json.loads(write_json(parse_document(document(*EVENTS))))
    assert jsonschema_rs.validator_for(schema).is_valid(written)
