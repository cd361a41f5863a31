"""Breaking the glass: logged first, told at once, reviewed, and an oracle for nobody."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from careledger.domains.records.service.agent.errors import DUAL_CONTROL
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.exchange.emergency import Emergency
from careledger.domains.records.service.exchange.errors import NOTHING_TO_OPEN, REASON_MISSING, TOO_OFTEN
from careledger.domains.records.service.exchange.messages import (
    VERSION,
    BreakGlassRequest,
    Demographics,
    MatchRequest,
)
from careledger.domains.records.service.exchange.mirror import has_mirror
from careledger.domains.records.service.reviews import Verdict
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.standards.fhir.json_types import JsonObject
from domains.records.exchange.exchange_sites import (
    FAST,
    ExchangeSite,
    Network,
    SharedNetwork,
    running_network,
)
from kit.samples import observation, update

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("emergencies"), "hospital-a", "hospital-b", "practice")
    yield network
    network.close()


def person(family: str, number: str) -> Demographics:
    return Demographics(
        family, ("Alex",), "1970-01-02", "other", "", "", "", (("urn:example:number", number),)
    )


def emergency(who: Demographics, **parts: Any) -> Emergency:
    values: dict[str, Any] = {
        "demographics": who,
        "practitioner": f"dr-{os.urandom(4).hex()}",
        "affiliation": "emergency department of hospital-b",
        "reason": "unconscious after an accident",
        "is_bona_fide_emergency": False,
        "nature": "",
        **parts,
    }
    return Emergency(**values)


def labelled(patient_id: str, *codes: str) -> JsonObject:
    return {
        **observation(patient_id),
        "meta": {"security": [{"system": SYSTEM, "code": code} for code in codes]},
    }


async def known(site: ExchangeSite, family: str) -> str:
    """A patient with something in every kind of compartment."""
    who = await site.add_patient(family)
    await site.add(
        observation(who, "1.50"), labelled(who, "HIV"), labelled(who, "ETH"), labelled(who, "PSY", "PSYTHPN")
    )
    return who


def member(site: ExchangeSite) -> Any:
    found = site.directory.by_slug(site.slug)
    assert found is not None
    return found


def test_an_emergency_opens_single_records_and_tells_everybody(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await known(a, "Glass")
        [old] = await a.add(observation(who, "2.50"))
        await a.writer.write([update(observation(who, "3.50"), old)], wait_ms=5_000)
        await a.writer.flush()
        asked = emergency(person("Glass", "Glass"))
        result = await b.sharing.emergency_reader.break_glass(["hospital-a", "practice"], asked)
        assert result.silent == ("practice",)
        [opened] = result.opened
        kinds = sorted(entry.compartment for entry in opened.entries)
        # Substance use needs a bona fide emergency; the note of psychotherapy is there and stays closed.
        assert kinds == [Compartment.NORMAL] * 3 + [Compartment.HIV]
        assert opened.withheld == 1
        assert [entry.version for entry in opened.entries if entry.resource_id == old] == [2]
        await check_told(a, b, who, asked, opened)
        assert c.sharing.reviews.read() == []

    shared.play(story)


async def check_told(a: ExchangeSite, b: ExchangeSite, who: str, asked: Emergency, opened: Any) -> None:
    """Logged on both sides, queued for review on both sides, and the patient was told at once."""
    row = a.sharing.custody.find_patient(who)
    assert row is not None
    await a.sharing.outgoing._send_due()
    [notice] = a.sharing.notices.read(who)
    assert notice.kind == "break-glass"
    assert asked.reason in notice.text
    assert asked.practitioner in notice.text
    events = [msgspec.json.decode(entry.event) for entry in a.recorder.read_log(row.row)]
    assert [event["subtype"][0]["code"] for event in events] == ["match", "break-glass"]
    assert [event["purposeOfEvent"][0]["coding"][0]["code"] for event in events] == ["BTG", "BTG"]
    assert asked.reason in events[1]["outcomeDesc"]
    exchange = bytes.fromhex(events[1]["entity"][-1]["what"]["identifier"]["value"])
    with a.context.view.at_head() as view:
        assert has_mirror(view.store, b.context.organisation, exchange)
    [theirs] = [one for one in a.sharing.reviews.read() if one.patient_id == who]
    assert (theirs.side, theirs.organisation, theirs.part_2) == ("custodian", "hospital-b", False)
    mine = [one for one in b.sharing.reviews.read() if one.organisation == "hospital-a"][-1]
    assert (mine.side, mine.reason) == ("requester", asked.reason)
    with pytest.raises(Rejected) as refusal:
        await b.sharing.reviews.decide(mine.number, Verdict.JUSTIFIED, by=asked.practitioner, remark="fine")
    assert refusal.value.code is DUAL_CONTROL
    await b.sharing.reviews.decide(
        mine.number, Verdict.JUSTIFIED, by="head of department", remark="was right"
    )
    assert mine.number not in {one.number for one in b.sharing.reviews.read()}
    assert opened.granted is None


def test_a_bona_fide_emergency_opens_substance_use_records_with_particulars(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await known(a, "Fide")
        without = emergency(person("Fide", "Fide"), is_bona_fide_emergency=True)
        [opened] = (await b.sharing.emergency_reader.break_glass(["hospital-a"], without)).opened
        assert Compartment.SUBSTANCE_USE not in {entry.compartment for entry in opened.entries}
        asked = emergency(
            person("Fide", "Fide"), is_bona_fide_emergency=True, nature="overdose, no consent possible"
        )
        [opened] = (await b.sharing.emergency_reader.break_glass(["hospital-a"], asked)).opened
        assert Compartment.SUBSTANCE_USE in {entry.compartment for entry in opened.entries}
        assert opened.withheld == 1
        row = a.sharing.custody.find_patient(who)
        assert row is not None
        recorded = msgspec.json.decode(a.recorder.read_log(row.row)[-1].event)
        # 42 CFR 2.51(c): who received it and where they are, who disclosed it, when, and the emergency.
        for particular in (asked.practitioner, asked.affiliation, "hospital-a", asked.nature):
            assert particular in recorded["outcomeDesc"]
        assert recorded["recorded"]
        last = [one for one in a.sharing.reviews.read() if one.patient_id == who][-1]
        assert (last.part_2, last.nature) == (True, asked.nature)

    shared.play(story)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"reason": "short"}, REASON_MISSING),
        ({"reason": " " * 20}, REASON_MISSING),
        ({"practitioner": ""}, REASON_MISSING),
        ({"affiliation": " "}, REASON_MISSING),
        ({"reason": "x" * 1_001}, REASON_MISSING),
    ],
)
def test_without_a_reason_and_a_name_nothing_is_opened(
    shared: SharedNetwork, parts: dict[str, Any], code: object
) -> None:
    async def story(network: Network) -> None:
        b = network["hospital-b"]
        result = await b.sharing.emergency_reader.break_glass(
            ["hospital-a"], emergency(person("Nobody", "Nobody"), **parts)
        )
        assert result.opened == ()
        assert [name for _, name in result.failed] == ["exchange.REASON_MISSING"]

    shared.play(story)


def test_only_a_certain_match_opens_anything(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await known(a, "Certainly")
        reader = b.sharing.emergency_reader
        near = Demographics("Certainly", ("Alex",), "1970-01-03", "other", "", "", "", ())
        result = await reader.break_glass(["hospital-a"], emergency(near))
        assert (result.opened, result.silent) == ((), ("hospital-a",))
        uncertain = [one for one in a.sharing.reviews.read() if one.kind == "match-uncertain"]
        assert uncertain
        assert all(one.patient_id is None for one in uncertain)
        # Two who are certainly meant are none.
        await a.add_patient("Certainly")
        result = await reader.break_glass(["hospital-a"], emergency(person("Certainly", "Certainly")))
        assert result.silent == ("hospital-a",)
        assert a.sharing.notices.read(who) == []

    shared.play(story)


def test_a_match_is_no_oracle(tmp_path: Path) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        await known(a, "Oracle")
        people = {"known": person("Oracle", "Oracle"), "unknown": person("Xyzzy", "Xyzzy")}
        took: dict[str, list[float]] = {name: [] for name in people}
        sizes = set()
        for _ in range(4):
            for name, who in people.items():
                request = MatchRequest(VERSION, who, "dr-x", "hospital-b", os.urandom(32))
                started = time.perf_counter()
                answer = await a.sharing.emergencies.match(member(b), request)
                took[name].append(time.perf_counter() - started)
                sizes.add(len(encode(answer)))
        assert len(sizes) == 1
        medians = [statistics.median(values) for values in took.values()]
        assert abs(medians[0] - medians[1]) < 0.05, took
        # Both left an entry on the ledger.
        logs = [a.recorder.read_log(subject) for subject in (0, 1)]
        assert [len(log) for log in logs] == [4, 4]

    settings = replace(FAST, match_s=0.15)

    async def go() -> None:
        async with running_network(tmp_path, sharing_settings=settings) as network:
            await story(network)

    asyncio.run(asyncio.wait_for(go(), 60))


def test_handles_are_for_who_asked_and_for_four_hours(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await known(a, "Handle")
        match = MatchRequest(VERSION, person("Handle", "Handle"), "dr-h", "ward", os.urandom(32))
        handle = (await a.sharing.emergencies.match(member(b), match)).handle

        def opening(**parts: object) -> BreakGlassRequest:
            request = BreakGlassRequest(
                VERSION,
                handle,
                "dr-h",
                "ward",
                "unconscious after an accident",
                False,
                "",
                os.urandom(32),
                0,
                0,
            )
            return msgspec.structs.replace(request, **parts)

        desk = a.sharing.emergencies
        for requester, request in ((c, opening()), (b, opening(handle=os.urandom(32)))):
            with pytest.raises(Rejected) as refusal:
                await desk.open(member(requester), request)
            assert refusal.value.code is NOTHING_TO_OPEN
        first = await desk.open(member(b), opening())
        again = await desk.open(member(b), opening(practitioner="dr-h2"))
        assert first.session == again.session
        assert first.expires_ms - a.context.clock_ms() <= 4 * 3_600_000
        assert len([one for one in a.sharing.reviews.read() if one.patient_id == who]) == 1
        await a.writer.in_transaction(
            lambda connection: connection.execute("UPDATE emergency SET expires_ms = 1").fetchall()
        )
        with pytest.raises(Rejected) as refusal:
            await desk.open(member(b), opening())
        assert refusal.value.code is NOTHING_TO_OPEN

    shared.play(story)


def test_guessing_is_bounded(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, c = network["hospital-a"], network["practice"]
        desk = a.sharing.emergencies
        quota = desk._matches
        quota._times.clear()
        quota._count_max = 2
        request = MatchRequest(VERSION, person("Guess", "Guess"), "dr-g", "ward", os.urandom(32))
        try:
            await desk.match(member(c), request)
            await desk.match(member(c), request)
            with pytest.raises(Unavailable) as refusal:
                await desk.match(member(c), request)
            assert refusal.value.code is TOO_OFTEN
            # Others are not held up by it.
            await desk.match(member(network["hospital-b"]), request)
        finally:
            quota._count_max = 30

    shared.play(story)


def test_nothing_is_released_before_the_patient_is_told(
    shared: SharedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await known(a, "Before")
        order: list[str] = []
        notify, build = a.sharing.emergencies._notifier.insert, a.sharing.emergencies._build

        def inserted(*arguments: Any) -> None:
            order.append("told")
            notify(*arguments)

        def built(*arguments: Any) -> Any:
            order.append("released")
            with a.context.database.snapshot() as connection:
                rows = connection.execute(
                    "SELECT count(*) FROM review WHERE patient_id = ?", (who,)
                ).fetchall()
            assert rows == [(1,)]
            return build(*arguments)

        monkeypatch.setattr(a.sharing.emergencies._notifier, "insert", inserted)
        monkeypatch.setattr(a.sharing.emergencies, "_build", built)
        await b.sharing.emergency_reader.break_glass(["hospital-a"], emergency(person("Before", "Before")))
        assert order == ["told", "released"]

    shared.play(story)
    monkeypatch.undo()
