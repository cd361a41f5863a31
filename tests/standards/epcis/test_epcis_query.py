import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.epcis.errors import DocumentRejected, ProblemCode
from careledger.standards.epcis.query import MasterData, matches, order_key
from careledger.standards.epcis.query_model import Operator, Subject
from careledger.standards.epcis.query_parameters import (
    FIXED,
    parse_query,
    parse_query_body,
    parse_query_string,
)
from careledger.standards.epcis.query_patterns import matches_pattern, parse_pattern
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import (
    CONTEXT,
    EXAMPLE,
    aggregation_event,
    association_event,
    document,
    object_event,
    read_event,
    sensor_event,
    transaction_event,
    transformation_event,
)

NAMESPACES = {"example": EXAMPLE}
SENSOR = sensor_event(
    {
        "type": "Temperature",
        "value": 5.1,
        "uom": "CEL",
        "minValue": 2,
        "maxValue": 8.5,
        "meanValue": 5,
        "sDev": 0.5,
        "percValue": 4,
        "percRank": 50,
        "booleanValue": True,
        "stringValue": "warm",
        "hexBinaryValue": "00ff",
        "uriValue": "https://example.com/v",
        "microorganism": "https://example.com/m",
        "chemicalSubstance": "https://example.com/c",
        "dataProcessingMethod": "https://example.com/d",
        "bizRules": "https://example.com/r",
        "time": "2026-03-04T10:30:00Z",
        "example:probe": "7",
    }
)
SENSOR["sensorElementList"][0]["example:element"] = {"example:inner": "9"}
SENSOR["sensorElementList"][0]["sensorMetadata"]["example:meta"] = "2026-03-04T10:00:00Z"
EVENTS = {
    "object": object_event(
        eventID="urn:x:y:1",
        recordTime="2026-03-04T12:00:00Z",
        action="ADD",
        bizLocation={"id": "urn:epc:id:sgln:4012345.00001.7", "example:zone": {"example:rack": "4"}},
        readPoint={"id": "urn:epc:id:sgln:4012345.00001.0", "example:gate": "3"},
        persistentDisposition={"set": ["recalled"], "unset": ["expired"]},
        quantityList=[{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 12.5, "uom": "KGM"}],
        bizTransactionList=[{"type": "po", "bizTransaction": "urn:x:y:po1"}],
        sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00001"}],
        destinationList=[{"type": "location", "destination": "urn:epc:id:sgln:4012345.00002.0"}],
        ilmd={"cbvmda:lotNumber": "L1", "example:batch": {"example:line": 7}},
        **{
            "example:field": "abc",
            "example:number": "12.50",
            "example:nested": {"example:deep": ["x", {"example:deep": 5}]},
        },
    ),
    "aggregation": aggregation_event(),
    "association": association_event(),
    "transaction": transaction_event(disposition="https://example.com/own"),
    "transformation": transformation_event(transformationID="urn:x:y:t1"),
    "sensor": SENSOR,
    "declared": object_event(
        epcList=["https://id.gs1.org/00/340123451111111111"],
        errorDeclaration={
            "declarationTime": "2026-03-05T10:00:00Z",
            "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:x:y:2"],
            "example:who": {"example:role": "qa"},
        },
    ),
}
READ = {name: read_event(members) for name, members in EVENTS.items()}
VOCABULARY = {
    "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
    "vocabularyElementList": [
        {"id": "urn:epc:id:sgln:4012345.00001.0", "children": ["urn:epc:id:sgln:4012345.00001.6"]},
        {
            "id": "urn:epc:id:sgln:4012345.00001.6",
            "children": ["urn:epc:id:sgln:4012345.00001.7", "urn:epc:id:sgln:4012345.00001.0"],
        },
        {
            "id": "urn:epc:id:sgln:4012345.00001.7",
            "attributes": [{"id": "cbvmda:site", "attribute": "S7"}, {"id": "cbvmda:sst", "attribute": 201}],
        },
    ],
}
MASTER = MasterData(
    parse_document(document(epcisHeader={"epcisMasterData": {"vocabularyList": [VOCABULARY]}})).masterdata
)


def found(parameters: dict[str, Any]) -> set[str]:
    predicate = parse_query(parameters, NAMESPACES)
    return {name for name, event in READ.items() if matches(event, predicate, MASTER)}


ALL = set(READ)
AT_PLANT = {"object", "sensor", "declared"}
QUERIES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, ALL),
    ({"@context": [CONTEXT]}, ALL),
    ({"perPage": 30, "nextPageToken": "x"}, ALL),
    ({"eventType": ["AggregationEvent", "AssociationEvent"]}, {"aggregation", "association"}),
    ({"GE_eventTime": "2026-03-04T11:00:30+01:00"}, {"object", "sensor", "declared"}),
    (
        {"LT_eventTime": "2026-03-04T10:00:30Z"},
        {"aggregation", "association", "transaction", "transformation"},
    ),
    ({"GE_recordTime": "2026-03-04T12:00:00Z"}, {"object"}),
    ({"LT_recordTime": "2026-03-04T12:00:00Z"}, set()),
    ({"EQ_action": ["ADD"]}, {"object", "aggregation", "association", "transaction"}),
    ({"EQ_bizStep": ["packing", "urn:epcglobal:cbv:bizstep:installing"]}, {"aggregation", "association"}),
    ({"EQ_disposition": ["https://example.com/own"]}, {"transaction"}),
    ({"EQ_persistentDisposition_set": ["recalled"]}, {"object"}),
    ({"EQ_persistentDisposition_set": ["expired"]}, set()),
    ({"EQ_persistentDisposition_unset": ["expired"]}, {"object"}),
    ({"EQ_readPoint": ["https://id.gs1.org/414/4012345000016"]}, AT_PLANT),
    ({"EQ_bizLocation": ["urn:epc:id:sgln:4012345.00001.7"]}, {"object"}),
    ({"WD_bizLocation": ["urn:epc:id:sgln:4012345.00001.0"]}, {"object"}),
    ({"WD_readPoint": ["urn:epc:id:sgln:4012345.00001.6"]}, AT_PLANT),
    ({"WD_bizLocation": ["urn:epc:id:sgln:4012345.00002.0"]}, set()),
    ({"EQ_transformationID": ["urn:x:y:t1"]}, {"transformation"}),
    ({"EQ_eventID": ["urn:x:y:1"]}, {"object"}),
    ({"MATCH_epc": ["urn:epc:id:sgtin:4012345.011111.A2"]}, {"aggregation"}),
    (
        {"MATCH_epc": ["https://id.gs1.org/01/04012345111118/21/A1"]},
        {"object", "aggregation", "transaction", "sensor"},
    ),
    (
        {"MATCH_epc": ["urn:epc:idpat:sgtin:4012345.011111.*"]},
        {"object", "aggregation", "transaction", "sensor"},
    ),
    ({"MATCH_epc": ["urn:epc:idpat:sgtin:4012345.*.*"]}, {"object", "aggregation", "transaction", "sensor"}),
    ({"MATCH_epc": ["urn:epc:idpat:sscc:4012345.*"]}, {"declared"}),
    ({"MATCH_epc": ["urn:epc:idpat:sgtin:4099999.*.*"]}, set()),
    ({"MATCH_parentID": ["urn:epc:id:sscc:4012345.3111111111"]}, {"aggregation"}),
    ({"MATCH_parentID": ["urn:epc:idpat:grai:4012345.00022.*"]}, {"association"}),
    ({"MATCH_inputEPC": ["urn:epc:idpat:sgtin:4012345.*.*"]}, set()),
    ({"MATCH_outputEPC": ["urn:epc:idpat:sgtin:4012345.033333.*"]}, {"transformation"}),
    ({"MATCH_anyEPC": ["urn:epc:id:sscc:4012345.3111111111"]}, {"aggregation", "declared"}),
    ({"MATCH_epcClass": ["urn:epc:class:lgtin:4012345.022222.L1"]}, {"object"}),
    ({"MATCH_epcClass": ["urn:epc:class:lgtin:4012345.022222.*"]}, {"object"}),
    ({"MATCH_inputEPCClass": ["urn:epc:idpat:sgtin:4012345.022222.*"]}, {"transformation"}),
    ({"MATCH_outputEPCClass": ["urn:epc:idpat:sgtin:4012345.022222.*"]}, set()),
    ({"MATCH_anyEPCClass": ["urn:epc:class:lgtin:4012345.022222.L1"]}, {"object", "transformation"}),
    ({"EQ_quantity": [12.5]}, {"object"}),
    ({"GT_quantity": 12, "LT_quantity": 13}, {"object"}),
    ({"GE_quantity": 12}, {"object", "transformation"}),
    ({"LE_quantity": 12}, {"transformation"}),
    ({"EQ_quantity_KGM": [12]}, {"transformation"}),
    ({"GE_quantity_LTR": 0}, set()),
    ({"EXISTS_errorDeclaration": None}, {"declared"}),
    ({"EXISTS_errorDeclaration": False}, ALL - {"declared"}),
    ({"GE_errorDeclaration_Time": "2026-03-05T10:00:00Z"}, {"declared"}),
    ({"LT_errorDeclarationTime": "2026-03-05T10:00:00Z"}, set()),
    ({"EQ_errorReason": ["incorrect_data"]}, {"declared"}),
    ({"EQ_correctiveEventID": ["urn:x:y:2"]}, {"declared"}),
    ({"EXISTS_sensorElementList": 1}, {"sensor"}),
    ({"GE_time": "2026-03-04T10:30:00Z", "LT_time": "2026-03-04T10:30:01Z"}, {"sensor"}),
    ({"GE_startTime": "2026-03-04T10:00:00Z"}, {"sensor"}),
    ({"LT_startTime": "2026-03-04T10:00:00Z"}, set()),
    ({"LT_endTime": "2026-03-04T11:00:00Z"}, set()),
    ({"GE_endTime": "2026-03-04T11:00:00Z"}, {"sensor"}),
    ({"EQ_type": ["gs1:Temperature"]}, {"sensor"}),
    ({"EQ_deviceID": ["https://id.gs1.org/8004/4012345SENSOR7"]}, {"sensor"}),
    ({"EQ_dataProcessingMethod": ["https://example.com/d"]}, {"sensor"}),
    ({"EQ_microorganism": ["https://example.com/m"]}, {"sensor"}),
    ({"EQ_chemicalSubstance": ["https://example.com/c"]}, {"sensor"}),
    ({"EQ_bizRules": ["https://example.com/r"]}, {"sensor"}),
    ({"EQ_stringValue": ["cold", "warm"]}, {"sensor"}),
    ({"EQ_booleanValue": True}, {"sensor"}),
    ({"EQ_booleanValue": False}, set()),
    ({"EQ_hexBinaryValue": ["00ff"]}, {"sensor"}),
    ({"EQ_uriValue": ["https://example.com/v"]}, {"sensor"}),
    ({"GE_percRank": 50, "LE_percRank": 50}, {"sensor"}),
    ({"GT_percRank": 50}, set()),
    ({"LT_percRank": 50.5}, {"sensor"}),
    ({"EQ_value_CEL": [5.1, 6]}, {"sensor"}),
    ({"GT_value_CEL": 5.1}, set()),
    ({"GE_value_FAH": 0}, set()),
    ({"LT_minValue_CEL": 3, "GT_maxValue_CEL": 8}, {"sensor"}),
    ({"LE_meanValue_CEL": 5, "GE_sDev_CEL": 0.5, "LE_percValue_CEL": 4}, {"sensor"}),
    (
        {"EQ_bizTransaction_po": ["urn:x:y:po1", "urn:epcglobal:cbv:bt:4012345000009:PO1"]},
        {"object", "transaction"},
    ),
    ({"EQ_bizTransaction_inv": ["urn:x:y:po1"]}, set()),
    ({"EQ_bizTransaction_urn:epcglobal:cbv:btt:po": ["urn:x:y:po1"]}, {"object"}),
    ({"EQ_source_owning_party": ["https://id.gs1.org/417/4012345000016"]}, {"object"}),
    ({"EQ_destination_location": ["urn:epc:id:sgln:4012345.00002.0"]}, {"object"}),
    ({"EQ_example:field": ["abc"]}, {"object"}),
    ({f"EQ_{EXAMPLE}field": ["abc"]}, {"object"}),
    ({"EQ_example:number": 12.5}, {"object"}),
    ({"EQ_example:number": ["12.50"]}, {"object"}),
    ({"GT_example:number": 12, "LE_example:number": 12.5}, {"object"}),
    ({"GE_example:field": 1}, set()),
    ({"EXISTS_example:nested": None}, {"object"}),
    ({"EXISTS_example:deep": None}, set()),
    ({"EXISTS_INNER_example:deep": None}, {"object"}),
    ({"EQ_INNER_example:deep": ["x"]}, {"object"}),
    ({"LT_INNER_example:deep": 6}, {"object"}),
    ({"EQ_ILMD_cbvmda:lotNumber": ["L1"]}, {"object", "transformation"}),
    ({"EXISTS_ILMD_example:batch": None}, {"object"}),
    ({"GE_ILMD_cbvmda:itemExpirationDate": "2028-01-01T00:00:00Z"}, set()),
    ({"EQ_INNER_ILMD_example:line": 7}, {"object"}),
    ({"EQ_readPoint_example:gate": ["3"]}, {"object"}),
    ({"EQ_INNER_bizLocation_example:rack": ["4"]}, {"object"}),
    ({"EXISTS_ERROR_DECLARATION_example:who": None}, {"declared"}),
    ({"EQ_INNER_ERROR_DECLARATION_example:role": ["qa"]}, {"declared"}),
    ({"EXISTS_SENSORELEMENT_example:element": None}, {"sensor"}),
    ({"EQ_INNER_SENSORELEMENT_example:inner": 9}, {"sensor"}),
    ({"GE_SENSORMETADATA_example:meta": "2026-03-04T10:00:00Z"}, {"sensor"}),
    ({"EQ_SENSORREPORT_example:probe": ["7"]}, {"sensor"}),
    ({"HASATTR_bizLocation": ["cbvmda:site"]}, {"object"}),
    ({"HASATTR_readPoint": ["cbvmda:site"]}, set()),
    ({"EQ_ATTR_bizLocation_cbvmda:site": ["S7"]}, {"object"}),
    ({"EQ_ATTR_bizLocation_cbvmda:sst": ["201"]}, {"object"}),
    ({"EQ_ATTR_source_cbvmda:site": ["S7"]}, set()),
    ({"HASATTR_bizTransaction": ["cbvmda:site"]}, set()),
    ({"EQ_bizStep": ["shipping"], "EQ_action": ["ADD"]}, {"object"}),
]


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_queries(number: int) -> None:
    parameters, expected = QUERIES[number]
    assert found(parameters) == expected


def test_every_fixed_parameter_is_exercised() -> None:
    asked = {name for parameters, _ in QUERIES for name in parameters}
    asked |= {"GE_errorDeclaration_Time", "LT_errorDeclaration_Time"}
    assert set(FIXED) <= asked


REFUSED: list[dict[str, Any]] = [
    {"EQ_color": ["red"]},
    {"eventtype": ["ObjectEvent"]},
    {"eventType": ["objectEvent"]},
    {"eventType": []},
    {"EQ_action": ["add"]},
    {"EQ_bizStep": ["recieving"]},
    {"EQ_bizStep": ["urn:epcglobal:cbv:bizstep:recieving"]},
    {"EQ_bizStep": [{"a": 1}]},
    {"GE_eventTime": "2026-03-04"},
    {"GE_eventTime": ["2026-03-04T10:00:00Z", "2026-03-05T10:00:00Z"]},
    {"EQ_readPoint": ["dock 4"]},
    {"MATCH_epc": ["A1"]},
    {"MATCH_epc": ["urn:epc:idpat:sgtin:4012345.0111.*"]},
    {"GT_quantity": "much"},
    {"EQ_value_celsius": [5]},
    {"EQ_bizTransaction_order": ["urn:x:y"]},
    {"EQ_other:field": ["abc"]},
    {"EQ_field": ["abc"]},
    {"GT_example:field": "abc"},
    {"EQ_booleanValue": "maybe"},
    {"orderBy": "colour"},
    {"orderBy": ["eventTime", "recordTime"], "orderDirection": "UP"},
    {"orderDirection": "UP"},
    {"eventCountLimit": 0},
    {"eventCountLimit": "ten"},
    {"eventCountLimit": 10, "maxEventCount": 10},
    {"EQ_eventID": [f"urn:x:y:{n}" for n in range(1001)]},
    {f"EXISTS_example:f{n}": None for n in range(300)},
    {"@context": "https://evil.example/context.jsonld"},
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_wrong_parameters_are_reported(number: int) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_query(REFUSED[number], NAMESPACES)
    for problem in caught.value.problems:
        assert problem.code in (ProblemCode.QUERY_PARAMETER, ProblemCode.TOO_MANY, ProblemCode.CONTEXT)
        assert "recieving" not in problem.message


def test_bodies_that_are_no_queries() -> None:
    for body in (b"[]", b"{", b'{"EQ_action": ["ADD"], "EQ_action": ["ADD"]}', b'{"EQ_quantity": [NaN]}'):
        with pytest.raises(DocumentRejected):
            parse_query_body(body)
    with pytest.raises(DocumentRejected):
        parse_query({"EQ_quantity": [float("nan")]})


def test_every_wrong_parameter_is_named() -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_query({"EQ_colour": ["x"], "EQ_action": ["x"], "GE_eventTime": "x", "EQ_bizStep": ["packing"]})
    assert [p.pointer for p in caught.value.problems] == ["/EQ_colour", "/EQ_action", "/GE_eventTime"]


def test_order_and_limits() -> None:
    predicate = parse_query({"orderBy": "eventTime", "orderDirection": "ASC", "eventCountLimit": 5})
    assert (predicate.is_descending, predicate.event_count_limit, predicate.max_event_count) == (
        False,
        5,
        None,
    )
    assert predicate.order_by is not None
    keys = [order_key(event, predicate.order_by) for event in READ.values()]
    assert keys == sorted(keys, key=lambda key: key)[: len(keys)] or len(set(keys)) == 2
    by_number = parse_query({"orderBy": "example:number", "maxEventCount": 7}, NAMESPACES)
    assert by_number.is_descending
    assert by_number.max_event_count == 7
    assert by_number.order_by is not None
    assert order_key(READ["object"], by_number.order_by) == (1, Decimal("12.50"), "")
    assert order_key(READ["sensor"], by_number.order_by) == (0, Decimal(0), "")
    by_text = parse_query({"orderBy": "example:field"}, NAMESPACES)
    assert by_text.order_by is not None
    assert order_key(READ["object"], by_text.order_by) == (2, Decimal(0), "abc")


def test_query_strings() -> None:
    pairs = [
        ("EQ_bizStep", "packing|installing"),
        ("EQ_action", "ADD"),
        ("EQ_action", "DELETE"),
        ("perPage", "10"),
        ("orderBy", "eventTime"),
    ]
    predicate = parse_query_string(pairs)
    assert {name for name, event in READ.items() if matches(event, predicate)} == {
        "aggregation",
        "association",
    }
    assert predicate.clauses[1].values == ("ADD", "DELETE")
    assert parse_query_string([("EXISTS_errorDeclaration", "false")]).clauses[0].values == (False,)
    with pytest.raises(DocumentRejected):
        parse_query_string([("GE_eventTime", "2026-03-04T10:00:00Z|2026-03-05T10:00:00Z")])


def test_clauses_can_be_compiled() -> None:
    body = b'{"EQ_quantity_KGM": [1.5], "EXISTS_INNER_ILMD_example:x": null}'
    predicate = parse_query_body(body, NAMESPACES)
    assert predicate == parse_query(json.loads(body), NAMESPACES)
    quantity, exists = predicate.clauses
    assert (quantity.operator, quantity.subject, quantity.qualifier) == (Operator.EQ, Subject.QUANTITY, "KGM")
    assert (exists.operator, exists.subject, exists.is_inner) == (Operator.EXISTS, Subject.ILMD, True)
    assert exists.namespaces == (EXAMPLE, EXAMPLE + "#")


serials = st.text("ABC123", min_size=1, max_size=6)


@given(serials, serials)
def test_exact_patterns_match_exactly(one: str, other: str) -> None:
    pattern = parse_pattern(f"urn:epc:id:sgtin:4012345.011111.{one}")
    assert pattern is not None
    assert matches_pattern(pattern, f"https://id.gs1.org/01/04012345111118/21/{other}") == (one == other)


@pytest.mark.parametrize(
    ("pattern", "canonical", "expected"),
    [
        ("urn:epc:idpat:sgtin:4012345.011111.*", "https://id.gs1.org/01/04012345111118/21/A", True),
        ("urn:epc:idpat:sgtin:4012345.011111.*", "https://id.gs1.org/01/04012345111118/10/L", True),
        ("urn:epc:idpat:sgtin:4012345.011111.*", "https://id.gs1.org/01/04012345111118", True),
        ("urn:epc:idpat:sgtin:4012345.011111.*", "https://id.gs1.org/01/040123451111189", False),
        ("https://id.gs1.org/01/04012345111118", "https://id.gs1.org/01/04012345111118/21/A", True),
        ("urn:epc:idpat:grai:4012345.00022.*", "https://id.gs1.org/8003/0401234500022177", True),
        ("urn:epc:idpat:gdti:4012345.*.*", "https://id.gs1.org/253/4012345000092PO", True),
        ("urn:epc:idpat:sgln:4012345.*.*", "https://id.gs1.org/414/4012345000016/254/1", True),
        ("urn:epc:idpat:sgln:4012346.*.*", "https://id.gs1.org/414/4012345000016/254/1", False),
        ("https://example.com/things/1", "https://example.com/things/1", True),
        ("https://example.com/things/1", "https://example.com/things/12", False),
    ],
)
def test_patterns(pattern: str, canonical: str, expected: bool) -> None:
    parsed = parse_pattern(pattern)
    assert parsed is not None
    assert matches_pattern(parsed, canonical) is expected


def test_master_data_with_cycles_ends() -> None:
    places = MASTER.within("https://id.gs1.org/414/4012345000016")
    assert len(places) == 3
    assert MASTER.within("urn:x:unknown") == frozenset({"urn:x:unknown"})
