"""Synthea's 17 bundles through the HTTP face: nothing lost, nothing altered, everything proved."""

from __future__ import annotations

import asyncio
import bz2
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from careledger.consensus.client import LedgerClient
from careledger.domains.records.api.entry_bytes import slice_entries
from careledger.domains.records.chain.keeper import RECORD_ENTRIES
from careledger.domains.records.chain.types import unpack_entry
from careledger.domains.records.service.package import build_leaf, decode_package
from careledger.ledger.checkpoint import parse_note
from careledger.ledger.light import SoloAuthenticator, verify_state
from careledger.primitives.signing import public_key_of
from careledger.standards.fhir.bundle import link_resource, read_requests
from careledger.standards.fhir.bundle_requests import Entry
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.vault.leaves import leaf_commitment
from careledger.vault.streams import tag
from domains.records.api.fhir_kit import FhirStack, running_stack
from kit.ledgers import CHAIN_ID, SEQUENCER_SEED

pytestmark = pytest.mark.slow

COUNTS = {
    "Observation": 6480,
    "Claim": 1111,
    "DiagnosticReport": 1063,
    "Encounter": 564,
    "DocumentReference": 564,
    "ExplanationOfBenefit": 564,
    "MedicationRequest": 547,
    "Patient": 15,
}
"""Per type as the folder's own description states them."""
RESOURCES = 13_169
CHANGED = 12_289
"""Resources whose id, meta or references a server must change beyond stamping them, as the folder's users count."""


@dataclass
class Sent:
    """One resource as it was sent, and what became of it."""

    entry: Entry
    raw: bytes
    identity: str
    """`Type/id` here."""
    version: int
    links: dict[str, str]
    is_new: bool


@dataclass
class Loaded:
    """All bundles, after they were sent."""

    stack: FhirStack
    sent: list[Sent] = field(default_factory=list)
    seconds: float = 0.0


async def send_bundle(loaded: Loaded, raw: bytes) -> None:
    """Send one bundle and note what became of its entries."""
    started = time.perf_counter()
    answer = await loaded.stack.caller().post("", raw)
    loaded.seconds += time.perf_counter() - started
    assert answer.status_code == 200, answer.text[:500]
    requests = read_requests(read_resource(raw))
    slices = slice_entries(raw)
    results = read_resource(answer.content)["entry"]
    assert isinstance(results, list)
    assert len(results) == len(requests.entries)
    assigned: dict[int, str] = {}
    placed: list[tuple[Entry, str, int, bool]] = []
    for entry, result in zip(requests.entries, results, strict=True):
        response = result["response"]
        assert response["status"] in ("201 Created", "200 OK"), response
        identity, _, version = str(response["location"]).partition("/_history/")
        assigned[entry.index] = identity
        placed.append((entry, identity, int(version), response["status"] == "201 Created"))
    links = requests.compute_links(assigned) if requests.kind == "transaction" else None
    for entry, identity, number, is_new in placed:
        mapping = dict(links.of_entry(entry)) if links is not None else {}
        loaded.sent.append(Sent(entry, slices[entry.index], identity, number, mapping, is_new))


async def check_counts(loaded: Loaded) -> None:
    """Counts per type, by search, are those of what was sent."""
    created = Counter(one.identity.partition("/")[0] for one in loaded.sent if one.is_new)
    assert len(loaded.sent) == RESOURCES
    assert {name: created[name] for name in COUNTS} == COUNTS
    caller = loaded.stack.caller()
    for name, expected in created.items():
        found = read_resource((await caller.get(f"{name}?_summary=count")).content)
        assert found["total"] == expected, name


async def resolve_conditional(loaded: Loaded) -> dict[str, str]:
    """What each reference by search must have been replaced with, found by searching once more."""
    caller = loaded.stack.caller()
    texts = {text for one in loaded.sent for text in one.entry.reference_texts if "?" in text}
    found: dict[str, str] = {}
    for text in sorted(texts):
        bundle = read_resource((await caller.get(text)).content)
        entries = bundle["entry"]
        assert isinstance(entries, list)
        assert len(entries) == 1, text
        resource = entries[0]["resource"]
        found[text] = f"{resource['resourceType']}/{resource['id']}"
    return found


def without_server_parts(value: JsonObject) -> JsonObject:
    """A resource without what a server sets."""
    return {name: item for name, item in value.items() if name not in ("id", "meta")}


def check_served(one: Sent, served: bytes, conditional: dict[str, str]) -> bool:
    """Compare what is served with what was sent; whether more than the stamp differs."""
    value = read_resource(served)
    sent = read_resource(one.raw)
    texts = set(one.entry.reference_texts)
    links = one.links | {text: target for text, target in conditional.items() if text in texts}
    linked = link_resource(sent, links)
    assert write_json(without_server_parts(value)) == write_json(without_server_parts(linked))
    meta, before = value["meta"], sent.get("meta", {})
    assert isinstance(meta, dict)
    assert isinstance(before, dict)
    assert {name: item for name, item in meta.items() if name not in ("versionId", "lastUpdated")} == {
        name: item for name, item in before.items() if name not in ("versionId", "lastUpdated")
    }
    return linked is not sent


async def check_bytes(loaded: Loaded) -> int:
    """Every entry is kept byte for byte, and served with nothing changed but what must be."""
    conditional = await resolve_conditional(loaded)
    changed = 0
    caller = loaded.stack.caller()
    for number, one in enumerate(loaded.sent):
        if number % 2_000 == 0:
            caller = loaded.stack.caller()  # tokens are short-lived
        if not one.is_new:
            continue
        submitted = await caller.get(f"{one.identity}/_history/{one.version}/$submitted")
        assert submitted.content == one.raw, one.identity
        served = await caller.get(one.identity)
        assert served.status_code == 200
        assert served.headers["x-careledger-ledger"] == "committed"
        changed += check_served(one, served.content, conditional)
    return changed


async def check_proofs(loaded: Loaded) -> int:
    """Every version's commitment follows from its bytes and is proved to be in the ledger's state."""
    site = loaded.stack.site
    client = site.context.ledger
    assert isinstance(client, LedgerClient)
    note = await client.checkpoint()
    size = parse_note(note).checkpoint.size
    authenticator = SoloAuthenticator(
        chain_id=CHAIN_ID, sequencer=public_key_of(SEQUENCER_SEED), witnesses={}, quorum=0
    )
    proved = 0
    for one in loaded.sent:
        kind, _, resource_id = one.identity.partition("/")
        stored = site.store.vread(kind, resource_id, one.version)
        plaintext = site.store.open_plaintext(stored)
        of = tag(site.store.stream_keys(stored.stream).index_key, stored.position)
        leaf = build_leaf(of, kind, stored.sealed or b"", plaintext, decode_package(plaintext))
        commitment = leaf_commitment(leaf)
        assert commitment == stored.commitment
        key = RECORD_ENTRIES.key((site.context.organisation, of))
        evidence = site.context.view.prove_state(key, note.encode(), size)
        verify_state(evidence, authenticator, buckets_log2=16)
        assert evidence.value is not None
        assert unpack_entry(site.context.organisation, of, evidence.value).commitment == commitment
        proved += one.is_new
    return proved


def test_all_bundles_are_kept_served_and_proved(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((data_dir / "fhir/synthea").glob("*.json.bz2"))
    assert len(paths) == 17
    documents = [bz2.decompress(path.read_bytes()) for path in paths]

    async def act() -> str:
        async with running_stack(tmp_path, buckets_log2=16) as stack:
            loaded = Loaded(stack)
            for document in documents:
                await send_bundle(loaded, document)
            rate = len(loaded.sent) / loaded.seconds
            await stack.site.writer.flush()
            await check_counts(loaded)
            changed = await check_bytes(loaded)
            assert changed == CHANGED
            proved = await check_proofs(loaded)
            assert proved == sum(one.is_new for one in loaded.sent)
            return f"{len(loaded.sent)} resources at {rate:,.0f}/s, {changed} relinked, {proved} proved"

    summary = asyncio.run(act())
    with capsys.disabled():
        print(f"\n{summary}")
