"""Reading another organisation's records: in order, with proof, refused alike; every tampering is noticed."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.agent.authority import ByPatient
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.errors import NOT_GRANTED
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.consent.grants import open_grant_keys
from careledger.domains.records.service.exchange import disclosing
from careledger.domains.records.service.exchange.answers import Room
from careledger.domains.records.service.exchange.entries import VerifiedRead
from careledger.domains.records.service.exchange.errors import LEDGER_SLOW, PROOF_FAILED
from careledger.domains.records.service.exchange.heads import (
    Head,
    SignedHead,
    sign_head,
    verify_equivocation,
    verify_head,
)
from careledger.domains.records.service.exchange.history import (
    OTHER_INFORMATION,
    PART_2_NOTICE,
    VERIFIED_SYSTEM,
    block_times,
    merge_history,
)
from careledger.domains.records.service.exchange.messages import (
    TAKEN,
    VERSION,
    VOID,
    Item,
    ReadAnswer,
    ReadRequest,
    StreamAnswer,
)
from careledger.domains.records.service.exchange.mirror import has_mirror
from careledger.domains.records.service.exchange.stream_proofs import Reading
from careledger.domains.records.service.exchange.verifying import ReadVerifier
from careledger.domains.records.service.outbox import Batch, build_entries_message, insert_batch
from careledger.domains.records.service.schema import BATCH_RECORDS, ENTRY_VOID
from careledger.domains.records.service.streams import NewEntry
from careledger.ledger.errors import STALE_VIEW
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.identifiers import CellID
from careledger.standards.fhir.json_types import JsonObject
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import parse_envelope
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import SigningSeed
from careledger.vault.streams import new_salt, tag, void_commitment
from domains.records.consent.consent_samples import consent, label, permission, resource_class
from domains.records.exchange.exchange_sites import (
    FAST,
    ExchangeSite,
    Network,
    SharedNetwork,
    kem_seed,
    running_network,
)
from kit.ledgers import seed_of
from kit.samples import create, delete, observation, update

PATIENT = ByPatient(name="the patient")
UNTIL = {"period": {"end": "2030-01-01"}}
Story = Callable[[Network], Awaitable[None]]


def play(folder: Path, story: Story, *slugs: str, **settings: Any) -> None:
    async def go() -> None:
        async with running_network(folder, *slugs, **settings) as network:
            await story(network)

    asyncio.run(asyncio.wait_for(go(), 60))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("reading"), "hospital-a", "hospital-b")
    yield network
    network.close()


def row_of(site: ExchangeSite, patient_id: str) -> int:
    found = site.sharing.custody.find_patient(patient_id)
    assert found is not None
    return found.row


async def allow(site: ExchangeSite, patient_id: str, *exceptions: JsonObject, **root: object) -> list[bytes]:
    policy = read_consent(consent(patient_id, *exceptions, **root), patient=f"Patient/{patient_id}")
    held = await site.sharing.agent.grant(patient_id, site.slug, policy, authority=PATIENT)
    return [grant.name for grant in held]


async def refused(wait: Awaitable[object]) -> Rejected | Unavailable:
    try:
        await wait
    except (Rejected, Unavailable) as refusal:
        return refusal
    pytest.fail("it was answered")


def substance_use(patient_id: str) -> JsonObject:
    meta = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}]}
    return {**observation(patient_id), "meta": meta}


def mental_health(patient_id: str, *labels: str) -> JsonObject:
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        **observation(patient_id),
        "meta": {"security": [{"system": system, "code": code} for code in ("PSY", *labels)]},
    }


# -- what is read --------------------------------------------------------------------------------------------


def test_everything_in_a_compartment_is_read_and_verified(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        ids = await a.add_results(who, 5)
        await a.writer.write([update({**observation(who, "9.00"), "id": ids[0]}, ids[0])], wait_ms=5_000)
        await a.writer.write([delete("Observation", ids[1])], wait_ms=5_000)
        await allow(a, who, permission())
        before = b.context.view.position().height
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who), patient_id=None))
        assert len(result.entries) == 8
        assert [(one.compartment, one.total, one.head.head.n) for one in result.streams] == [
            (Compartment.NORMAL, 8, 8)
        ]
        assert (result.voids, result.unexplained, result.withheld, result.erased) == (0, 0, 0, 0)
        served = {(one.resource_type, one.resource_id, one.version): one for one in result.entries}
        assert served["Patient", who, 1].value["name"][0]["family"] == "Testperson"  # type: ignore[index]
        assert served["Observation", ids[1], 2].value is None
        assert b'"value":9.00' in served["Observation", ids[0], 2].served
        assert served["Observation", ids[2], 1].submitted.startswith(b" ")
        await check_logged(a, b, who, result, before)
        check_bundle(b, result, ids)

    shared.play(story)


async def check_logged(a: ExchangeSite, b: ExchangeSite, who: str, result: VerifiedRead, before: int) -> None:
    """Both sides committed, the custodian before it released anything."""
    statement = result.accesses[0]
    assert before < statement.height <= result.streams[0].head.head.height
    log = a.recorder.read_log(row_of(a, who))
    assert [entry.tag for entry in log] == [statement.tag]
    event = msgspec.json.decode(log[0].event)
    assert (event["subtype"][0]["code"], event["purposeOfEvent"][0]["coding"][0]["code"]) == (
        "disclose",
        "TREAT",
    )
    exchange = bytes.fromhex(event["entity"][-1]["what"]["identifier"]["value"])
    with b.context.view.at_head() as view:
        assert has_mirror(view.store, b.context.organisation, exchange)
        assert not has_mirror(view.store, b.context.organisation, os.urandom(32))
    mirrored = b.sharing.mirror.find(exchange)
    assert mirrored is not None
    assert b"receive" in mirrored.event


def check_bundle(b: ExchangeSite, result: VerifiedRead, ids: list[str]) -> None:
    merged = merge_history([result], now_ms=b.context.clock_ms(), block_time=block_times(b.context.view))
    entries: list[Any] = merged.bundle["entry"]  # type: ignore[assignment]
    shown = [entry for entry in entries if "fullUrl" in entry]
    assert merged.resources == len(shown) == 5
    assert not any(entry["fullUrl"].endswith(ids[1]) for entry in shown)
    for entry in shown:
        meta = entry["resource"]["meta"]
        assert meta["tag"][-1]["system"] == VERIFIED_SYSTEM
        assert meta["tag"][-1]["display"].startswith("Unaltered since 20")
        assert meta["security"][-1]["code"] == "N"
    provenance = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Provenance"]
    assert len(provenance) == 1
    assert len(provenance[0]["target"]) == 5
    words = [issue["diagnostics"] for issue in entries[-1]["resource"]["issue"]]
    assert words[-1] == OTHER_INFORMATION
    assert any("complete as to what this organisation committed in normal" in text for text in words)
    assert any("does not show that they are clinically true" in text for text in words)


def test_a_narrow_grant_releases_single_records_and_never_the_streams_keys(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        ids = await a.add_results(who, 3)
        await allow(a, who, permission(**{"class": [resource_class("Observation")]}))
        _, answer = await ask(a, b, who)
        assert answer.streams == ()
        assert len(answer.singles) == 3
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert sorted(one.resource_id for one in result.entries) == sorted(ids)
        assert result.granted is not None
        assert result.granted.grant.sealed_keys == ()
        for compartment in Compartment:
            with pytest.raises(Rejected):
                open_grant_keys(result.granted, OpeningKey(kem_seed("hospital-b")), compartment)
        # Nothing in the answer is sealed under anything but its own key: no wrapped key, no index key.
        raw = encode(answer)
        with b.context.database.snapshot():
            assert a.context.keystore.get(f"ik/{row_of(a, who)}/normal/0") not in raw

    shared.play(story)


def test_substance_use_records_are_opened_by_name_only(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        [secret] = await a.add(substance_use(who))
        await allow(a, who, permission())
        general = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert {one.compartment for one in general.entries} == {Compartment.NORMAL}
        await allow(a, who, permission("practice", securityLabel=[label("ETH")]), **UNTIL)
        still = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert secret not in {one.resource_id for one in still.entries}
        [name] = await allow(a, who, permission(securityLabel=[label("ETH")]), **UNTIL)
        named = await b.sharing.reader.read(b.question("hospital-a", a.cell(who), grant=name))
        assert [one.resource_id for one in named.entries] == [secret]
        legal = await refused(b.sharing.reader.read(b.question("hospital-a", a.cell(who), purpose="HLEGAL")))
        assert legal.code is NOT_GRANTED

    shared.play(story)


def test_named_substance_use_records_come_with_the_notice(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        [secret] = await a.add(substance_use(who))
        await allow(a, who, permission(securityLabel=[label("ETH")]), **UNTIL)
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert [one.resource_id for one in result.entries] == [secret]
        merged = merge_history([result], now_ms=0, block_time=lambda _: None)
        text = msgspec.json.encode(merged.bundle, enc_hook=str).decode()
        assert PART_2_NOTICE in text
        assert "NORDSCLCD" in text

    shared.play(story)


def test_notes_of_psychotherapy_stay_closed(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        [plain] = await a.add(mental_health(who))
        await a.add(mental_health(who, "PSYTHPN"))
        await allow(a, who, permission(securityLabel=[label("PSY")]))
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert [one.resource_id for one in result.entries] == [plain]
        assert result.withheld == 1

    shared.play(story)


def test_what_is_pending_is_not_disclosed(tmp_path: Path) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission(securityLabel=[label("PSY")]))
        [first] = await a.add(mental_health(who))
        usual = a.context.settings
        delayed = replace(a.context.settings, restricted_delay_ms=(60_000, 60_000))
        a.context.settings = delayed
        await a.writer.write([create(mental_health(who))], wait_ms=0)
        a.context.settings = usual
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert [one.resource_id for one in result.entries] == [first]

    play(tmp_path, story)


def test_long_answers_come_in_pages(shared: SharedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disclosing, "Room", partial(Room, 3_000))

    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await a.add_results(who, 12)
        await allow(a, who, permission())
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert len(result.entries) == 13
        assert len(result.accesses) > 2
        narrow = await a.add_patient("Other")
        await a.add_results(narrow, 4)
        await allow(a, narrow, permission(**{"class": [resource_class("Observation")]}))
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(narrow)))
        assert len(result.entries) == 4
        assert len(result.accesses) > 1

    shared.play(story)


# -- what is refused -----------------------------------------------------------------------------------------


def test_refusals_are_alike_in_words_and_time(tmp_path: Path) -> None:
    settings = replace(FAST, refusal_s=0.1)

    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        granted, stranger, stopped = [await a.add_patient(name) for name in ("One", "Two", "Three")]
        await allow(a, granted, permission())
        names = await allow(a, stopped, permission())
        await a.sharing.custody.stop(a.cell(stopped), tuple(names))
        cases = {
            "unknown cell": (os.urandom(32), "TREAT"),
            "no grant": (a.cell(stranger), "TREAT"),
            "stopped": (a.cell(stopped), "TREAT"),
            "other purpose": (a.cell(granted), "HRESCH"),
        }
        took: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(4):
            for name, (cell, purpose) in cases.items():
                started = time.perf_counter()
                refusal = await refused(
                    a.sharing.disclosures.read(member(b), request_of(b, cell, purpose=purpose))
                )
                took[name].append(time.perf_counter() - started)
                assert (refusal.code, refusal.detail, refusal.at) == (NOT_GRANTED, "", "")
        medians = [statistics.median(values) for values in took.values()]
        assert max(medians) - min(medians) < 0.04, took
        # The custodian's own log says why.
        log = [msgspec.json.decode(entry.event) for entry in a.recorder.read_log(3)]
        assert any(event.get("outcomeDesc") == "stopped by the patient" for event in log)

    play(tmp_path, story, sharing_settings=settings)


def member(site: ExchangeSite) -> Any:
    found = site.directory.by_slug(site.slug)
    assert found is not None
    return found


def request_of(b: ExchangeSite, cell: bytes, **parts: object) -> ReadRequest:
    request = ReadRequest(
        VERSION,
        cell,
        b"",
        "TREAT",
        "Practitioner/dr-b",
        (),
        os.urandom(32),
        b.context.view.position().height,
        (),
    )
    return msgspec.structs.replace(request, **parts)


def test_a_stop_counts_at_once_and_an_opening_that_is_missing_serves_nobody(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        names = await allow(a, who, permission())
        question = b.question("hospital-a", a.cell(who))
        await b.sharing.reader.read(question)
        await a.sharing.custody.stop(a.cell(who), tuple(names))
        assert (await refused(b.sharing.reader.read(question))).code is NOT_GRANTED
        await a.sharing.custody.lift(a.cell(who), tuple(names))
        await b.sharing.reader.read(question)
        # The cell advances, and the custodian is not given the opening.
        a.sharing.custody.forget(a.cell(who))
        await a.writer.in_transaction(lambda connection: connection.execute("DELETE FROM opening").fetchall())
        assert (await refused(b.sharing.reader.read(question))).code is NOT_GRANTED

    shared.play(story)


def test_a_view_older_than_a_minute_refuses(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission())
        real = a.context.view._clock_ms
        a.context.view._clock_ms = lambda: real() + 61_000
        asked = request_of(b, a.cell(who))
        refusal = await refused(a.sharing.disclosures.read(member(b), asked))
        assert isinstance(refusal, Unavailable)
        assert refusal.code is STALE_VIEW
        a.context.view._clock_ms = real
        b.context.view._clock_ms = lambda: real() + 61_000
        assert (
            await refused(b.sharing.reader.read(b.question("hospital-a", a.cell(who))))
        ).code is STALE_VIEW
        b.context.view._clock_ms = real

    shared.play(story)


def test_nothing_is_released_while_the_log_cannot_be_committed(
    shared: SharedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careledger.domains.records.service.audit.DISCLOSURE_WAIT_S", 0.3)

    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission())
        network.process.engine.pause()
        refusal = await refused(a.sharing.disclosures.read(member(b), request_of(b, a.cell(who))))
        assert isinstance(refusal, Unavailable)
        assert refusal.code is LEDGER_SLOW
        # The attempt is in the log all the same, and on the ledger when that is back.
        assert len(a.recorder.read_log(row_of(a, who))) == 1
        network.process.engine.resume()
        await a.writer.flush()
        with a.context.view.at_head() as view:
            assert keeper.access_entry(view.store, 1, a.recorder.read_log(row_of(a, who))[0].tag) is not None

    shared.play(story)


# -- tampering -----------------------------------------------------------------------------------------------


async def ask(a: ExchangeSite, b: ExchangeSite, who: str, **parts: object) -> tuple[Reading, ReadAnswer]:
    """A true answer and what it is judged by."""
    request = request_of(b, a.cell(who), **parts)
    answer = await a.sharing.disclosures.read(member(b), request)
    reading = Reading(
        chain=b.context.chain_id,
        own=member(b),
        custodian=member(a),
        cell=CellID(request.cell),
        grant=request.grant,
        purpose="TREAT",
        exchange_id=request.exchange_id,
        seen_height=request.seen_height,
        opening_key=OpeningKey(kem_seed("hospital-b")),
        directory=b.directory,
    )
    return reading, answer


def judge(b: ExchangeSite, reading: Reading, answer: ReadAnswer) -> VerifiedRead:
    verifier = ReadVerifier(reading)
    verifier.needed_height(answer)
    with b.context.view.at_head() as view:
        verifier.add(view, answer)
    return verifier.finish()


@dataclass
class Lie:
    """What a dishonest custodian has at hand."""

    answer: ReadAnswer
    other: ReadAnswer
    """A true answer about another patient."""
    old: ReadAnswer
    """A true answer of before."""
    narrow: ReadAnswer
    """A true answer to a narrow grant."""

    @property
    def stream(self) -> StreamAnswer:
        return self.answer.streams[0]

    def with_stream(self, **parts: object) -> ReadAnswer:
        return msgspec.structs.replace(self.answer, streams=(msgspec.structs.replace(self.stream, **parts),))

    def with_items(self, *items: Item, **parts: object) -> ReadAnswer:
        return self.with_stream(items=tuple(items), **parts)

    def head(self, seed: SigningSeed | None = None, **parts: object) -> bytes:
        present = decode(parse_envelope(self.stream.head).payload, Head)
        return sign_head(
            msgspec.structs.replace(present, **parts), seed or SigningSeed(seed_of("hospital-a"))
        )

    def changed(self, index: int, **parts: object) -> ReadAnswer:
        items = list(self.stream.items)
        items[index] = msgspec.structs.replace(items[index], **parts)
        return self.with_items(*items)


def flip(raw: bytes, at: int = -1) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


LIES: list[tuple[str, Callable[[Lie], ReadAnswer]]] = [
    ("a position dropped", lambda lie: lie.with_items(*lie.stream.items[:-1])),
    ("the first dropped", lambda lie: lie.with_items(*lie.stream.items[1:])),
    (
        "the last dropped, with a head that says so",
        lambda lie: lie.with_items(
            *lie.stream.items[:-1], total=lie.stream.total - 1, head=lie.head(n=lie.stream.total - 1)
        ),
    ),
    (
        "one in the middle dropped, with a head that says so",
        lambda lie: lie.with_items(
            *lie.stream.items[:1],
            *lie.stream.items[2:],
            total=lie.stream.total - 1,
            head=lie.head(n=lie.stream.total - 1),
        ),
    ),
    ("everything dropped", lambda lie: lie.with_items(total=0, head=lie.head(n=0))),
    (
        "one more claimed",
        lambda lie: lie.with_stream(total=lie.stream.total + 1, head=lie.head(n=lie.stream.total + 1)),
    ),
    (
        "reordered",
        lambda lie: lie.with_items(lie.stream.items[1], lie.stream.items[0], *lie.stream.items[2:]),
    ),
    ("repeated", lambda lie: lie.with_items(*lie.stream.items, lie.stream.items[0])),
    ("one in another's place", lambda lie: lie.with_items(lie.stream.items[1], *lie.stream.items[1:])),
    ("a blob swapped", lambda lie: lie.changed(1, sealed=lie.stream.items[2].sealed)),
    ("a blob's last bit", lambda lie: lie.changed(1, sealed=flip(lie.stream.items[1].sealed))),
    ("a blob's first bit", lambda lie: lie.changed(1, sealed=flip(lie.stream.items[1].sealed, 8))),
    ("a key swapped", lambda lie: lie.changed(1, key=lie.stream.items[2].key)),
    ("a key's bit", lambda lie: lie.changed(1, key=flip(lie.stream.items[1].key))),
    ("another type", lambda lie: lie.changed(1, type="Condition")),
    ("another id", lambda lie: lie.changed(1, id="other")),
    ("another version", lambda lie: lie.changed(1, version=2)),
    ("a record called void", lambda lie: lie.changed(1, kind=VOID, key=bytes(32))),
    ("an unknown kind", lambda lie: lie.changed(1, kind=9)),
    (
        "an entry of another patient",
        lambda lie: lie.with_items(lie.other.streams[0].items[0], *lie.stream.items[1:]),
    ),
    ("another patient's stream", lambda lie: msgspec.structs.replace(lie.answer, streams=lie.other.streams)),
    ("another patient's answer", lambda lie: lie.other),
    ("another patient's manifest", lambda lie: lie.with_stream(manifest=lie.other.streams[0].manifest)),
    ("a manifest's bit", lambda lie: lie.with_stream(manifest=flip(lie.stream.manifest))),
    ("a manifest's salt", lambda lie: lie.with_stream(manifest_salt=bytes(32))),
    ("another epoch", lambda lie: lie.with_stream(epoch=1)),
    ("another compartment", lambda lie: lie.with_stream(compartment=1)),
    ("no compartment", lambda lie: msgspec.structs.replace(lie.answer, streams=())),
    ("a compartment twice", lambda lie: msgspec.structs.replace(lie.answer, streams=lie.answer.streams * 2)),
    ("the wrong leaf", lambda lie: lie.with_stream(manifest_proof=lie.answer.grant_proof)),
    (
        "a leaf's path",
        lambda lie: lie.with_stream(
            manifest_proof=msgspec.structs.replace(
                lie.stream.manifest_proof, path=lie.stream.manifest_proof.path[::-1]
            )
        ),
    ),
    (
        "the grant's leaf of another",
        lambda lie: msgspec.structs.replace(lie.answer, grant_proof=lie.other.grant_proof),
    ),
    (
        "another grant",
        lambda lie: msgspec.structs.replace(lie.answer, grant=lie.other.grant, scope=lie.other.scope),
    ),
    ("another scope", lambda lie: msgspec.structs.replace(lie.answer, scope=lie.narrow.scope)),
    ("an old head", lambda lie: lie.with_stream(head=lie.old.streams[0].head)),
    ("an old answer", lambda lie: lie.old),
    ("a head of another patient", lambda lie: lie.with_stream(head=lie.other.streams[0].head)),
    (
        "a head by another organisation",
        lambda lie: lie.with_stream(head=lie.head(SigningSeed(seed_of("hospital-b")))),
    ),
    ("a head by nobody", lambda lie: lie.with_stream(head=lie.head(SigningSeed(bytes(32))))),
    ("a head of another content", lambda lie: lie.with_stream(head=lie.head(content=bytes(32)))),
    ("a head of another ledger", lambda lie: lie.with_stream(head=lie.head(chain_id="other-chain"))),
    ("a head from a time to come", lambda lie: lie.with_stream(head=lie.head(height=2**62))),
    ("skipped at the start", lambda lie: lie.with_stream(first=1)),
    (
        "no access entry",
        lambda lie: msgspec.structs.replace(
            lie.answer, access=msgspec.structs.replace(lie.answer.access, tag=os.urandom(32))
        ),
    ),
    (
        "the access entry of another exchange",
        lambda lie: msgspec.structs.replace(lie.answer, access=lie.old.access),
    ),
    (
        "an access entry that says something else",
        lambda lie: msgspec.structs.replace(
            lie.answer, access=msgspec.structs.replace(lie.answer.access, event=b"{}")
        ),
    ),
    ("single records beside", lambda lie: msgspec.structs.replace(lie.answer, singles=lie.narrow.singles)),
    ("single records instead", lambda lie: lie.narrow),
]


def test_every_lie_of_a_custodian_is_noticed(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who, other, third = [await a.add_patient(name) for name in ("One", "Two", "Three")]
        for one in (who, other, third):
            await a.add_results(one, 4)
        await allow(a, who, permission())
        await allow(a, other, permission())
        await allow(a, third, permission(**{"class": [resource_class("Observation")]}))
        _, old = await ask(a, b, who)
        await a.add_results(who, 1)
        reading, answer = await ask(a, b, who)
        lie = Lie(answer, (await ask(a, b, other))[1], old, (await ask(a, b, third))[1])
        assert len(judge(b, reading, answer).entries) == 6
        unnoticed = []
        for name, tell in LIES:
            try:
                judge(b, reading, tell(lie))
            except Rejected:
                continue
            unnoticed.append(name)
        assert unnoticed == []
        # A position declared to be somebody else's is not refused, and never passes for nothing.
        assert judge(b, reading, lie.changed(1, kind=TAKEN)).unexplained == 1

    shared.play(story)


def test_single_records_are_checked_one_by_one(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who, other = [await a.add_patient(name) for name in ("One", "Two")]
        for one in (who, other):
            await a.add_results(one, 3)
            await allow(a, one, permission(**{"class": [resource_class("Observation")]}))
        reading, answer = await ask(a, b, who)
        _, foreign = await ask(a, b, other)
        assert len(judge(b, reading, answer).entries) == 3

        def changed(index: int, **parts: object) -> ReadAnswer:
            singles = list(answer.singles)
            singles[index] = msgspec.structs.replace(singles[index], **parts)
            return msgspec.structs.replace(answer, singles=tuple(singles))

        lies = [
            msgspec.structs.replace(answer, singles=answer.singles[1:]),
            msgspec.structs.replace(answer, singles=answer.singles[::-1]),
            msgspec.structs.replace(answer, singles=(*answer.singles[:2], foreign.singles[0])),
            msgspec.structs.replace(answer, singles_head=foreign.singles_head),
            msgspec.structs.replace(answer, singles_head=b""),
            msgspec.structs.replace(answer, singles_total=2),
            changed(0, sealed=answer.singles[1].sealed),
            changed(0, tag=answer.singles[1].tag),
            changed(0, tag=os.urandom(32)),
            changed(0, granted=answer.singles[1].granted),
            changed(0, compartment=1),
            changed(0, epoch=1),
            changed(0, type="Condition"),
        ]
        for number, told in enumerate(lies):
            with pytest.raises(Rejected):
                judge(b, reading, told)
            assert number >= 0

    shared.play(story)


def test_two_stories_about_one_stream_are_evidence(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await a.add_results(who, 2)
        await allow(a, who, permission())
        question = b.question("hospital-a", a.cell(who))
        result = await b.sharing.reader.read(question)
        told = result.streams[0].head.head
        # The custodian tells somebody else that the stream ends elsewhere, at the same height.
        seed = SigningSeed(seed_of("hospital-a"))
        fork = sign_head(msgspec.structs.replace(told, n=told.n - 1), seed)
        [evidence] = await b.sharing.heads.note([read_signed(b, fork)])
        assert [row[2] for row in b.sharing.heads.evidence()] == [evidence]
        # Anybody can check it with the custodian's key alone, and it proves nothing about others.
        first, second = verify_equivocation(
            evidence, chain=b.context.chain_id, custodian=1, directory=a.directory
        )
        assert {first.n, second.n} == {told.n, told.n - 1}
        with pytest.raises(Rejected):
            verify_equivocation(evidence, chain=b.context.chain_id, custodian=2, directory=a.directory)
        # A stream that was longer before: nothing of the answer is handed on.
        longer = sign_head(msgspec.structs.replace(told, n=told.n + 5, height=told.height + 1), seed)
        assert await b.sharing.heads.note([read_signed(b, longer)]) == []
        refusal = await refused(b.sharing.reader.read(question))
        assert (refusal.code, refusal.at) == (PROOF_FAILED, "head")
        assert len(b.sharing.heads.evidence()) == 2

    shared.play(story)


def read_signed(site: ExchangeSite, envelope: bytes) -> SignedHead:
    return verify_head(envelope, chain=site.context.chain_id, custodian=1, directory=site.directory)


def test_void_positions_are_shown_as_void(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission())
        batch = await a.writer.in_transaction(lambda connection: fill_void(a, connection, row_of(a, who)))
        a.writer.follow(batch)
        await a.writer.flush()
        await a.add_results(who, 1)
        result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
        assert (result.voids, len(result.entries), result.streams[0].head.head.n) == (1, 2, 3)

    shared.play(story)


def fill_void(site: ExchangeSite, connection: Connection, subject: int) -> Batch:
    """Give up the next position of a patient's normal stream, as the repair of a batch does."""
    stream = site.writer.registry.stream(connection, subject, Compartment.NORMAL)
    of, salt = tag(stream.index_key, stream.next_position), new_salt()
    void = void_commitment(of, salt)
    message = build_entries_message(site.context, BATCH_RECORDS, [NewEntry(0, of, void)])
    batch = insert_batch(connection, site.context, BATCH_RECORDS, message)
    connection.execute(
        "INSERT INTO entry (stream, position, kind, commitment, batch, secret) VALUES (?, ?, ?, ?, ?, ?)",
        (stream.row, stream.next_position, ENTRY_VOID, void, batch.row, salt),
    )
    stream.next_position += 1
    stream.is_changed = True
    site.writer.registry.save(connection)
    return batch
