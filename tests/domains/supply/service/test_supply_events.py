"""The EPCIS repository: capture in whole documents, corrections, and queries that mean what they mean in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careledger.domains.supply.service.errors import (
    CAPTURE_TOO_LARGE,
    EVENT_UNKNOWN,
    JOB_UNKNOWN,
    PAGE_INVALID,
    QUERY_TOO_LARGE,
)
from careledger.domains.supply.service.events import search as search_module
from careledger.domains.supply.service.events.capture import EventCapture, instant_of
from careledger.domains.supply.service.events.compiling import compile_predicate
from careledger.domains.supply.service.events.search import EventSearch
from careledger.domains.supply.service.events.stored_form import (
    read_stored,
    read_stored_vocabulary,
    write_stored,
)
from careledger.primitives.errors import Code, InvariantViolated, Rejected
from careledger.standards.epcis.capture_job import CaptureJob, ErrorBehaviour
from careledger.standards.epcis.corrections import effective_id
from careledger.standards.epcis.errors import DocumentRejected
from careledger.standards.epcis.model import Event
from careledger.standards.epcis.query import MasterData, matches, order_key
from careledger.standards.epcis.query_model import Predicate
from careledger.standards.epcis.query_parameters import parse_query
from careledger.standards.epcis.reading import parse_document
from careledger.storage.sqlite import Database
from standards.epcis.epcis_documents import (
    EXAMPLE,
    GLN,
    aggregation_event,
    document,
    object_event,
    sensor_event,
    transaction_event,
    transformation_event,
    xml_document,
    xml_object_event,
)

NOW_MS = 1_795_000_000_000
EPC = "urn:epc:id:sgtin:4012345.011111."


class Repository:
    """Both sides of a repository over one database."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path / "events.db", bytes(32), readers=1)
        self.numbers = itertools.count(1)
        self.now_ms = NOW_MS
        self.writing = EventCapture(
            self.database, clock_ms=lambda: self.now_ms, new_job_id=lambda: f"job-{next(self.numbers)}"
        )
        self.reading = EventSearch(self.database)

    def capture(self, *events: dict[str, Any], proceed: bool = False) -> CaptureJob:
        behaviour = ErrorBehaviour.PROCEED if proceed else ErrorBehaviour.ROLLBACK
        return self.writing.capture(document(*events), behaviour=behaviour)

    def ask(self, query: dict[str, Any] | None = None, **paging: Any) -> list[str]:
        page = self.reading.query(parse_query(query or {}), **paging)
        return [effective_id(event) for event in page.events]

    def pages(self, predicate: Predicate, per_page: int) -> list[Event]:
        found: list[Event] = []
        token = ""
        while True:
            page = self.reading.query(predicate, per_page=per_page, token=token)
            assert len(page.events) <= per_page
            found += page.events
            token = page.next_token
            if not token:
                return found


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path)
    yield made
    made.database.close()


def event(number: int, **changes: Any) -> dict[str, Any]:
    return object_event(eventID=f"urn:x:y:{number}", epcList=[f"{EPC}A{number}"], **changes)


def check_rejected(code: Code, act: Any) -> None:
    with pytest.raises(Rejected) as caught:
        act()
    assert caught.value.code == code


# -- Capture ---------------------------------------------------------------------------------------------


def test_a_document_is_captured_and_its_job_says_so(repository: Repository) -> None:
    job = repository.capture(event(1), event(2))
    assert (job.success, job.running, job.errors) == (True, False, ())
    assert repository.writing.job(job.capture_id) == job
    assert repository.ask() == ["urn:x:y:1", "urn:x:y:2"]
    found = repository.reading.event("urn:x:y:1")[0]
    assert found.record_time == instant_of(NOW_MS * 1_000)
    assert (found.biz_step, found.disposition) == ("shipping", "in_transit")


def test_unknown_jobs_and_events(repository: Repository) -> None:
    check_rejected(JOB_UNKNOWN, lambda: repository.writing.job("job-9"))
    check_rejected(EVENT_UNKNOWN, lambda: repository.reading.event("urn:x:y:9"))


def broken(number: int) -> dict[str, Any]:
    return event(number, action="EXPLODE")


def test_rollback_keeps_nothing_and_says_why(repository: Repository) -> None:
    job = repository.capture(event(1), broken(2), event(3))
    assert not job.success
    assert [error.status for error in job.errors] == [400]
    assert "/eventList/1/" in job.errors[0].detail
    assert repository.ask() == []
    assert repository.writing.job(job.capture_id) == job


def test_proceed_keeps_the_good_events_and_says_what_is_wrong_with_the_others(repository: Repository) -> None:
    job = repository.capture(event(1), broken(2), event(3), proceed=True)
    assert not job.success
    assert len(job.errors) == 1
    assert repository.ask() == ["urn:x:y:1", "urn:x:y:3"]


def test_an_identical_event_is_a_conflict(repository: Repository) -> None:
    repository.capture(event(1))
    job = repository.capture(event(2), event(1))
    assert [error.status for error in job.errors] == [409]
    assert job.errors[0].type == "urn:careledger:error:event-known"
    assert job.errors[0].detail == "event 1"
    assert repository.ask() == ["urn:x:y:1"]
    repository.capture(event(2), event(1), proceed=True)
    assert repository.ask() == ["urn:x:y:1", "urn:x:y:2"]


def test_an_event_twice_in_one_document_is_a_conflict(repository: Repository) -> None:
    assert [error.status for error in repository.capture(event(1), event(1)).errors] == [409]
    assert repository.ask() == []


@pytest.mark.parametrize(
    "same",
    [
        {"recordTime": "2026-03-04T12:00:00Z"},
        {"bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"},
        {"epcList": ["https://id.gs1.org/01/04012345111118/21/A1"]},
        {"eventID": "urn:x:y:another"},
    ],
)
def test_other_spellings_of_an_event_are_the_same_event(repository: Repository, same: dict[str, Any]) -> None:
    repository.capture(event(1))
    job = repository.capture({**event(1), **same})
    assert [error.type for error in job.errors] == ["urn:careledger:error:event-known"]


def test_an_identifier_names_one_event(repository: Repository) -> None:
    repository.capture(event(1))
    job = repository.capture(event(1, disposition="recalled"))
    assert [error.type for error in job.errors] == ["urn:careledger:error:event-id-taken"]


DECLARED = {"errorDeclaration": {"declarationTime": "2026-03-05T10:00:00Z", "reason": "did_not_occur"}}


def test_an_event_is_corrected_by_declaration(repository: Repository) -> None:
    repository.capture(event(1))
    assert repository.capture(event(1, **DECLARED), event(2)).success
    found = repository.reading.event("urn:x:y:1")
    assert [each.error_declaration is not None for each in found] == [False, True]
    assert repository.ask({"EXISTS_errorDeclaration": True}) == ["urn:x:y:1"]
    # Said again it is the same; said otherwise, or taken back, it is a conflict.
    assert repository.capture(event(1, **DECLARED)).errors[0].type.endswith("event-known")
    other = {"errorDeclaration": {"declarationTime": "2026-03-06T10:00:00Z"}}
    assert repository.capture(event(1, **other)).errors[0].type.endswith("event-id-taken")
    assert repository.capture(event(1)).errors[0].type.endswith("event-known")


def test_a_declaration_may_come_first(repository: Repository) -> None:
    assert repository.capture(event(1, **DECLARED)).success
    assert repository.capture(event(1)).errors[0].type.endswith("event-id-taken")


def test_documents_over_the_announced_limit_are_refused(repository: Repository) -> None:
    data = document(event(1), event(2), event(3))
    check_rejected(CAPTURE_TOO_LARGE, lambda: repository.writing.capture(data, events_max=2))
    assert repository.ask() == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"<!DOCTYPE x><x/>", b"\xff\xfe", b'{"a":1,"a":2}'])
def test_what_is_no_document_is_refused_with_its_place(repository: Repository, data: bytes) -> None:
    with pytest.raises(DocumentRejected):
        repository.writing.capture(data)
    assert repository.ask() == []


def test_captured_events_survive_a_restart(tmp_path: Path) -> None:
    first = Repository(tmp_path)
    job = first.capture(event(1))
    first.database.close()
    second = Repository(tmp_path)
    assert second.ask() == ["urn:x:y:1"]
    assert second.writing.job(job.capture_id) == job
    second.database.close()


# -- Queries ---------------------------------------------------------------------------------------------

WAREHOUSE = "urn:epc:id:sgln:4012345.00009.0"
MASTER = {
    "epcisHeader": {
        "epcisMasterData": {
            "vocabularyList": [
                {
                    "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
                    "vocabularyElementList": [{"id": WAREHOUSE, "attributes": [], "children": [GLN]}],
                }
            ]
        }
    }
}


def story() -> list[dict[str, Any]]:
    """Events that differ in everything that queries look at."""
    steps = ("commissioning", "packing", "shipping", "receiving", "dispensing")
    found = [
        event(
            number,
            eventTime=f"2026-03-{1 + number % 9:02}T10:00:00Z",
            bizStep=steps[number % 5],
            action=("ADD", "OBSERVE", "DELETE")[number % 3],
            bizLocation={"id": (GLN, WAREHOUSE)[number % 2]},
            readPoint={"id": f"urn:epc:id:sgln:4012345.00001.{number % 4}"},
            quantityList=[
                {"epcClass": f"urn:epc:class:lgtin:4012345.02222{number % 3}.L1", "quantity": number}
            ],
        )
        for number in range(24)
    ]
    found += [aggregation_event(eventID="urn:x:y:agg", childEPCs=[f"{EPC}A1", f"{EPC}A2"])]
    found += [transaction_event(eventID="urn:x:y:tra", disposition="https://example.com/own")]
    found += [transformation_event(eventID="urn:x:y:for")]
    found += [event(3, **story_declared())]
    return found


def story_declared() -> dict[str, Any]:
    number = 3
    return {
        "eventTime": f"2026-03-{1 + number % 9:02}T10:00:00Z",
        "bizStep": "receiving",
        "action": "ADD",
        "bizLocation": {"id": WAREHOUSE},
        "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.3"},
        "quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022220.L1", "quantity": 3}],
        **DECLARED,
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    made = Repository(tmp_path_factory.mktemp("events"))
    whole = json.loads(document(*story()))
    data = json.dumps({**whole, **MASTER}).encode()
    job = made.writing.capture(data)
    assert job.success, job.errors
    yield made
    made.database.close()


CONDITIONS: list[tuple[str, list[Any]]] = [
    ("eventType", [["ObjectEvent"], ["AggregationEvent", "TransformationEvent"]]),
    ("GE_eventTime", ["2026-03-04T10:00:00Z", "2026-03-04T11:00:00+01:00"]),
    ("LT_eventTime", ["2026-03-06T00:00:00Z"]),
    ("GE_recordTime", [instant_of(NOW_MS * 1_000).text, "2030-01-01T00:00:00Z"]),
    ("EQ_action", [["ADD"], ["OBSERVE", "DELETE"]]),
    ("EQ_bizStep", [["shipping"], ["https://ref.gs1.org/cbv/BizStep-packing", "receiving"]]),
    ("EQ_disposition", [["in_transit"], ["https://example.com/own"]]),
    ("EQ_readPoint", [[GLN], ["https://id.gs1.org/414/4012345000016/254/3"]]),
    ("EQ_bizLocation", [[WAREHOUSE], [GLN, WAREHOUSE]]),
    ("WD_bizLocation", [[WAREHOUSE], [GLN]]),
    ("WD_readPoint", [[WAREHOUSE]]),
    ("EQ_eventID", [["urn:x:y:3"], ["urn:x:y:agg", "urn:x:y:none"]]),
    (
        "MATCH_epc",
        [[f"{EPC}A1"], ["urn:epc:idpat:sgtin:4012345.011111.*"], ["urn:epc:idpat:sgtin:4012345.*.*"]],
    ),
    ("MATCH_anyEPC", [[f"{EPC}A2"], ["https://id.gs1.org/01/04012345111118/21/A1"]]),
    ("MATCH_parentID", [["urn:epc:id:sscc:4012345.3111111111"], ["urn:epc:idpat:sscc:4012345.*"]]),
    ("MATCH_epcClass", [["urn:epc:class:lgtin:4012345.022221.L1"], ["urn:epc:class:lgtin:4012345.022222.*"]]),
    ("MATCH_anyEPCClass", [["urn:epc:class:lgtin:4012345.022222.L1"]]),
    ("MATCH_inputEPCClass", [["urn:epc:class:lgtin:4012345.022222.L1"]]),
    ("GE_quantity", [12]),
    ("EXISTS_errorDeclaration", [True, False]),
    ("EQ_transformationID", [["urn:x:y:t"]]),
]


def everything(repository: Repository) -> list[Event]:
    found = repository.pages(Predicate(), 1_000)
    assert len(found) == 28
    return found


SINGLE = [{name: value} for name, values in CONDITIONS for value in values]


@pytest.mark.parametrize("query", SINGLE, ids=str)
def test_sql_means_what_memory_means(filled: Repository, query: dict[str, Any]) -> None:
    predicate = parse_query(query)
    masterdata = filled.reading.master_data()
    expected = [each for each in everything(filled) if matches(each, predicate, masterdata)]
    assert filled.pages(predicate, 5) == expected


def test_most_conditions_find_something_and_leave_something_out(filled: Repository) -> None:
    counts = [len(filled.pages(parse_query(query), 100)) for query in SINGLE]
    assert sum(0 < count < 28 for count in counts) >= len(counts) - 6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(st.sampled_from(CONDITIONS), max_size=3, unique_by=lambda pair: pair[0]),
    luck=st.randoms(use_true_random=False),
    order=st.sampled_from(["", "eventTime", "recordTime", "bizLocation"]),
    direction=st.sampled_from(["ASC", "DESC"]),
    per_page=st.sampled_from([1, 3, 7, 100]),
)
def test_combined_queries_mean_what_memory_means(
    filled: Repository,
    chosen: list[tuple[str, list[Any]]],
    luck: Any,
    order: str,
    direction: str,
    per_page: int,
) -> None:
    query: dict[str, Any] = {name: luck.choice(values) for name, values in chosen}
    if order in ("eventTime", "recordTime"):
        query |= {"orderBy": order, "orderDirection": direction}
    predicate = parse_query(query)
    masterdata = filled.reading.master_data()
    expected = [each for each in everything(filled) if matches(each, predicate, masterdata)]
    found = filled.pages(predicate, per_page)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    clause = predicate.order_by
    if clause is not None:
        keys = [order_key(each, clause) for each in found]
        assert keys == sorted(keys, reverse=predicate.is_descending)
    else:
        assert found == expected


def test_what_is_compiled_needs_no_second_look(filled: Repository) -> None:
    masterdata = MasterData()
    compiled = compile_predicate(
        parse_query({"MATCH_anyEPC": [f"{EPC}A1"], "EQ_action": ["ADD"]}), masterdata
    )
    assert compiled.residual == ()
    assert len(compile_predicate(parse_query({"GE_quantity": 12}), masterdata).residual) == 1


def test_values_are_bound_and_never_part_of_the_statement(filled: Repository) -> None:
    hostile = "urn:x:'OR'1'='1"
    compiled = compile_predicate(parse_query({"EQ_bizLocation": [hostile]}), MasterData())
    assert hostile not in compiled.where
    assert filled.ask({"EQ_eventID": [hostile]}) == []


# -- Pages -----------------------------------------------------------------------------------------------


def test_pages_are_stable_while_events_come_in(repository: Repository) -> None:
    repository.capture(*(event(number) for number in range(7)))
    predicate = parse_query({"orderBy": "eventTime", "orderDirection": "DESC"})
    first = repository.reading.query(predicate, per_page=3)
    repository.capture(event(100), event(101, eventTime="2020-01-01T00:00:00Z"))
    seen = list(first.events)
    token = first.next_token
    while token:
        page = repository.reading.query(predicate, per_page=3, token=token)
        seen += page.events
        token = page.next_token
    assert len(seen) == 7
    assert {effective_id(each) for each in seen} == {f"urn:x:y:{number}" for number in range(7)}


@pytest.mark.parametrize("token", ["x", "!!!", "AA", "a" * 300, "é"])
def test_tokens_that_nobody_gave(repository: Repository, token: str) -> None:
    check_rejected(PAGE_INVALID, lambda: repository.ask(token=token))


def test_a_token_belongs_to_its_query(repository: Repository) -> None:
    repository.capture(*(event(number) for number in range(3)))
    token = repository.reading.query(Predicate(), per_page=1).next_token
    check_rejected(PAGE_INVALID, lambda: repository.ask({"EQ_action": ["OBSERVE"]}, token=token))


@pytest.mark.parametrize("per_page", [0, 1_001])
def test_pages_have_bounds(repository: Repository, per_page: int) -> None:
    check_rejected(PAGE_INVALID, lambda: repository.ask(per_page=per_page))


@pytest.mark.parametrize("per_page", [1, 2, 5])
def test_the_count_limit_holds_over_all_pages(repository: Repository, per_page: int) -> None:
    repository.capture(*(event(number) for number in range(6)))
    predicate = parse_query({"eventCountLimit": 4, "orderBy": "eventTime"})
    assert len(repository.pages(predicate, per_page)) == 4


def test_a_query_may_refuse_too_many(repository: Repository) -> None:
    repository.capture(*(event(number) for number in range(6)))
    assert len(repository.ask({"maxEventCount": 6})) == 6
    check_rejected(QUERY_TOO_LARGE, lambda: repository.ask({"maxEventCount": 5}))


def test_scans_go_on_beyond_one_chunk(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_CHUNK_ROWS", 2)
    repository.capture(*(event(number, action=("ADD", "OBSERVE")[number % 2]) for number in range(9)))
    quantities = parse_query({"EQ_action": ["ADD"], "orderBy": "eventTime"})
    assert len(repository.pages(quantities, 2)) == 5


def test_an_order_that_no_index_holds(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.capture(*(event(number, **{"example:number": str(number * 7 % 10)}) for number in range(10)))
    query = {"@context": [{"example": EXAMPLE}], "orderBy": "example:number", "orderDirection": "ASC"}
    found = [effective_id(each) for each in repository.pages(parse_query(query), 3)]
    assert found == [f"urn:x:y:{number}" for number in sorted(range(10), key=lambda number: number * 7 % 10)]
    monkeypatch.setattr(search_module, "SORTED_EVENTS_MAX", 9)
    check_rejected(QUERY_TOO_LARGE, lambda: repository.ask(query))


def test_events_are_kept_as_they_were_read(repository: Repository) -> None:
    xml = xml_document(xml_object_event(extra='<e:n xmlns:e="urn:x:e" a="1">1.50<e:m/></e:n>'))
    whole = parse_document(xml).events
    assert repository.writing.capture(xml).success
    found = repository.reading.query(Predicate()).events
    assert [msgspec.structs.replace(each, record_time=None) for each in found] == list(whole)
    for each in everything_else():
        assert read_stored(write_stored(each)) == each


def everything_else() -> tuple[Event, ...]:
    return parse_document(document(*story(), sensor_event({"type": "Temperature", "value": 5.10}))).events


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x91\x63", b"\x92\x01\xa1x", b"\x92\x02\x01", b"\xc1"])
def test_a_stored_event_that_cannot_be_read_is_a_broken_store(raw: bytes) -> None:
    with pytest.raises(InvariantViolated):
        read_stored(raw)
    with pytest.raises(InvariantViolated):
        read_stored_vocabulary(raw)
