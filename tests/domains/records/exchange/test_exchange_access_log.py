"""Who looked: coalesced, durable before an answer, on the ledger, gathered from everywhere, with gaps named."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from careledger.domains.records.chain import keeper
from careledger.domains.records.service import audit
from careledger.domains.records.service.access_log import (
    LOOK_AHEAD,
    AccessReport,
    GapKind,
    LogSource,
    verify_log,
)
from careledger.domains.records.service.agent.authority import ByPatient
from careledger.domains.records.service.audit_events import (
    RESOURCES_MAX,
    Access,
    Action,
    Reader,
    ReaderKind,
    access_commitment,
    build_event,
)
from careledger.domains.records.service.consent.commands import LogItem
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.outbox import build_entries_message
from careledger.domains.records.service.schema import BATCH_ACCESS
from careledger.domains.records.service.streams import NewEntry
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.validate import validate_resource
from careledger.vault.keys import IndexKey
from careledger.vault.streams import tag
from domains.records.consent.consent_samples import consent, permission
from domains.records.exchange.exchange_sites import ExchangeSite, Network, SharedNetwork
from kit.samples import create, patient

DOCTOR = Reader(identifier="dr-a", organisation="hospital-a", role="clinician", client="chart")
MACHINE = Reader(identifier="export-job", organisation="hospital-a", kind=ReaderKind.MACHINE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("looks"), "hospital-a", "hospital-b")
    yield network
    network.close()


def look(patient_id: str | None, *resources: str, reader: Reader = DOCTOR, **parts: Any) -> Access:
    values: dict[str, Any] = {"action": Action.READ, "resources": resources, **parts}
    return Access(patient_id=patient_id, reader=reader, **values)


def row_of(site: ExchangeSite, patient_id: str) -> int:
    found = site.sharing.custody.find_patient(patient_id)
    assert found is not None
    return found.row


def entries(site: ExchangeSite, patient_id: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(entry.event) for entry in site.recorder.read_log(row_of(site, patient_id))]


def named(event: dict[str, Any]) -> list[str]:
    return [one["what"]["reference"] for one in event["entity"] if "reference" in one.get("what", {})]


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("patient_id", ["p", None])
def test_events_are_valid_fhir(action: Action, patient_id: str | None) -> None:
    access = look(
        patient_id,
        "Observation/1",
        action=action,
        query="name=x",
        request_id="r",
        exchange_id="ab" * 32,
        description="because",
    )
    event = read_resource(build_event(access, site="hospital-a", at_ms=1_795_000_000_000, count=3))
    validate_resource(event)


def test_looks_within_a_second_are_one_entry_and_all_resources_are_named(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        await asyncio.gather(*(a.recorder.record(look(who, f"Observation/{n % 5}")) for n in range(40)))
        await a.recorder.record(look(who, "Observation/1", reader=MACHINE))
        await a.recorder.record(look(who, action=Action.QUERY, query="code=718-7"))
        assert len(entries(a, who)) == 3
        await a.recorder.flush()
        log = entries(a, who)
        assert len(log) == 4
        first, rest = log[0], log[3]
        assert sorted(named(first) + named(rest)) == sorted(
            [f"Patient/{who}"] * 2 + [f"Observation/{n}" for n in range(5)]
        )
        assert rest["entity"][-1]["detail"][0]["valueString"] == "40"
        kinds = [event["agent"][0]["type"]["coding"][0]["code"] for event in log]
        assert kinds == ["humanuser", "dataprocessor", "humanuser", "humanuser"]

    shared.play(story)


def test_a_refusal_is_always_an_entry_of_its_own(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        for _ in range(3):
            await a.recorder.record(look(who, is_failure=True))
        assert len(entries(a, who)) == 3

    shared.play(story)


def test_what_is_logged_is_on_the_ledger_soon(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        await a.recorder.record(look(who, "Observation/1"))
        [entry] = a.recorder.read_log(row_of(a, who))
        height = await a.recorder.wait_on_ledger(1, entry.tag)
        assert height > 0
        with a.context.view.at_head() as view:
            found = keeper.access_entry(view.store, 1, entry.tag)
        assert found is not None
        assert found.commitment == access_commitment(entry.tag, entry.salt, entry.event)

    shared.play(story)


def test_looks_at_what_belongs_to_nobody_or_is_unknown_are_logged_too(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        before = len(a.recorder.read_log(0))
        await a.recorder.record(look(None, "Organization/1"))
        await a.recorder.record(look("no-such-patient", "Observation/1"))
        log = [msgspec.json.decode(entry.event) for entry in a.recorder.read_log(0)[before:]]
        assert [named(event)[0] for event in log] == ["Organization/1", "Patient/no-such-patient"]
        assert a.writer.failure is None

    shared.play(story)


def test_writes_log_inside_their_own_transaction(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        change = create(patient("Inside"))

        def also(connection: Any, written: Any) -> None:
            a.recorder.insert(connection, [look(change.resource_id, action=Action.CREATE)])

        await a.writer.write([change], also=also)
        assert [event["action"] for event in entries(a, change.resource_id)] == ["C"]

    shared.play(story)


def test_a_long_span_writes_what_it_saw_before_it_forgets(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        for number in range(RESOURCES_MAX + 10):
            await a.recorder.record(look(who, f"Observation/{number}"))
        await a.recorder.flush()
        seen = [name for event in entries(a, who) for name in named(event) if name != f"Patient/{who}"]
        assert sorted(seen) == sorted(f"Observation/{number}" for number in range(RESOURCES_MAX + 10))

    shared.play(story)


# -- who looked ----------------------------------------------------------------------------------------------


def test_the_patient_sees_every_look_everywhere(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        code = await a.sharing.enrolments.make_code(who)
        change = create(patient("There"))
        change.enrolment = await b.sharing.newcomers.redeem(code.text)
        await b.writer.write([change], wait_ms=5_000)
        await b.writer.flush()
        there = change.resource_id
        policy = read_consent(consent(who, permission()), patient=f"Patient/{who}")
        await a.sharing.agent.grant(who, "hospital-a", policy, authority=ByPatient(name="me"))
        await a.recorder.record(look(who, f"Patient/{who}", reader=MACHINE))
        await b.recorder.record(
            look(there, f"Patient/{there}", reader=Reader(identifier="dr-b", organisation="hospital-b"))
        )
        await b.sharing.reader.read(b.question("hospital-a", a.cell(who), patient_id=there))
        await a.recorder.flush()
        await b.recorder.flush()
        report = await a.sharing.access_log.who_looked(who)
        assert report.gaps == []
        seen = [(one.custodian, one.event["subtype"][0]["code"]) for one in report.looks]  # type: ignore[index]
        assert sorted(seen) == [
            ("hospital-a", "disclose"),
            ("hospital-a", "read"),
            ("hospital-b", "read"),
            ("hospital-b", "receive"),
        ]
        assert all(one.height > 0 for one in report.looks)
        await check_dishonest(a, b, who, there)

    shared.play(story)


async def check_dishonest(a: ExchangeSite, b: ExchangeSite, who: str, there: str) -> None:
    """What a custodian hides, alters or cannot be asked for is named."""
    row = row_of(b, there)

    async def run(sql: str, *values: object) -> None:
        await b.writer.in_transaction(lambda connection: connection.execute(sql, values).fetchall())

    await run("UPDATE access SET event = ? WHERE subject = ? AND position = 0", b"{}", row)
    await run("DELETE FROM access WHERE subject = ? AND position = 1", row)
    report = await a.sharing.access_log.who_looked(who)
    assert [(gap.custodian, gap.kind, gap.position) for gap in report.gaps] == [
        ("hospital-b", GapKind.ALTERED, 0),
        ("hospital-b", GapKind.HIDDEN, 1),
    ]
    await run("UPDATE subject SET agent = 'practice' WHERE row = ?", row)
    report = await a.sharing.access_log.who_looked(who)
    assert [(gap.kind, gap.position) for gap in report.gaps] == [(GapKind.UNREACHABLE, 2)]
    await run("UPDATE subject SET agent = 'hospital-a' WHERE row = ?", row)


def test_a_requester_that_logs_nothing_is_named(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        foreign = Reader(identifier="dr-b", organisation="hospital-b")
        await a.recorder.commit(
            look(who, action=Action.DISCLOSE, reader=foreign, exchange_id=os.urandom(32).hex())
        )
        report = await a.sharing.access_log.who_looked(who)
        assert [(gap.kind, gap.position) for gap in report.gaps] == [(GapKind.NO_MIRROR, 0)]

    shared.play(story)


KEY = IndexKey(bytes(range(32)))


async def committed(network: Network, *positions: int) -> dict[int, LogItem]:
    """Entries of a made-up log at these positions, on the ledger."""
    a = network["hospital-a"]
    items, pairs = {}, []
    for position in positions:
        salt, event = os.urandom(32), build_event(look("p"), site="hospital-a", at_ms=1)
        items[position] = LogItem(position, salt, event)
        of = tag(KEY, position)
        pairs.append(NewEntry(0, of, access_commitment(of, salt, event)))
    message = build_entries_message(a.context, BATCH_ACCESS, pairs)
    ticket = await a.writer.send(BATCH_ACCESS, message)
    await ticket.done.wait()
    return items


def verify(network: Network, *items: LogItem) -> AccessReport:
    a = network["hospital-a"]
    source = LogSource(custodian="hospital-a", organisation=1, key=KEY, items=items)
    with a.context.view.at_head() as view:
        return verify_log(view, source, lambda _: 1)


def test_missing_positions_are_looked_past_and_named(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        far = LOOK_AHEAD + 2
        items = await committed(network, 0, 2, far)
        report = verify(network, items[0], items[2], items[far])
        assert [one.position for one in report.looks] == [0, 2, far]
        assert [gap.position for gap in report.gaps] == [1, *range(3, far)]
        assert {gap.kind for gap in report.gaps} == {GapKind.MISSING}
        # What is not on the ledger yet is shown as such, and is no gap.
        pending = replace_item(items[0], far + 1)
        report = verify(network, *items.values(), pending)
        assert (report.looks[-1].position, report.looks[-1].height) == (far + 1, 0)
        # Nothing shown: everything the ledger has is hidden.
        report = verify(network)
        assert [(gap.kind, gap.position) for gap in report.gaps if gap.kind is GapKind.HIDDEN] == [
            (GapKind.HIDDEN, 0),
            (GapKind.HIDDEN, 2),
            (GapKind.HIDDEN, far),
        ]

    shared.play(story)


def replace_item(item: LogItem, position: int) -> LogItem:
    return msgspec.structs.replace(item, position=position)


@pytest.mark.slow
def test_four_thousand_audited_looks_a_second(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        people = [await a.add_patient() for _ in range(16)]

        async def client(number: int) -> None:
            reader = replace(DOCTOR, identifier=f"dr-{number}")
            for turn in range(400):
                await a.recorder.record(look(people[number % 16], f"Observation/{turn % 20}", reader=reader))

        started = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(64)))
        rate = 64 * 400 / (time.perf_counter() - started)
        assert rate >= 4_000, rate

    shared.play(story)


def test_a_log_that_cannot_be_written_stops_the_answer(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        from careledger.domains.records.service.errors import QUEUE_FULL
        from careledger.primitives.errors import Unavailable

        a = network["hospital-a"]
        who = await a.add_patient()
        a.writer.failure = OSError("the disk is gone")
        try:
            with pytest.raises(Unavailable) as refusal:
                await a.recorder.record(look(who, "Observation/1"))
            assert refusal.value.code is QUEUE_FULL
            with pytest.raises(Unavailable):
                await a.recorder.record(look(who, "Observation/2"))
        finally:
            a.writer.failure = None
        await a.recorder.record(look(who, "Observation/3"))
        assert [named(event)[-1] for event in entries(a, who)] == ["Observation/3"]
        assert audit.COALESCE_MS == 1_000

    shared.play(story)
