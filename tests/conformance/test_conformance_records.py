"""The real Synthea bundles through a running installation: counts, exact bytes, served FHIR, and proof of each."""

from __future__ import annotations

import asyncio
import bz2
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from careledger.domains.records.service.tamper import scan
from careledger.gateway.network import RunningNetwork, running_network
from careledger.ledger.evidence_check import verify_evidence
from careledger.ledger.genesis import read_genesis
from careledger.ledger.trust import trust_of_genesis
from careledger.site.config import Settings
from careledger.site.ledger_process import LedgerPaths, clock_ms
from careledger.site.setup import create_network, parse_organisation
from careledger.standards.fhir.references import list_reference_texts
from kit.sites import CHEAP

PORT = 18_640
EXPECTED = {
    "Observation": 6_480,
    "Claim": 1_111,
    "DiagnosticReport": 1_063,
    "Encounter": 564,
    "DocumentReference": 564,
    "ExplanationOfBenefit": 564,
    "MedicationRequest": 547,
    "Patient": 15,
}


class Entry(msgspec.Struct):
    resource: msgspec.Raw


class Bundle(msgspec.Struct):
    entry: list[Entry]


def bundles(folder: Path) -> Iterator[bytes]:
    files = sorted(folder.glob("*.json.bz2"), key=lambda path: (not path.name.startswith("0-"), path.name))
    assert len(files) == 17
    for path in files:
        yield bz2.decompress(path.read_bytes())


def exact(raw: bytes) -> Any:
    return json.loads(raw, parse_float=str, parse_int=str)


def without_references(value: Any) -> Any:
    """The value with every reference, and the links that follow them, blanked."""
    if isinstance(value, dict):
        return {
            name: "*" if name == "reference" and isinstance(item, str) else without_references(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_references(item) for item in value]
    return "*" if isinstance(value, str) and value.startswith("urn:uuid:") else value


def is_same_but_for_id_meta_and_references(served: bytes, submitted: bytes) -> bool:
    left, right = exact(served), exact(submitted)
    for value in (left, right):
        value.pop("id", None)
        value.pop("meta", None)
    return bool(without_references(left) == without_references(right))


async def load(
    network: RunningNetwork, client: httpx.AsyncClient, folder: Path
) -> list[tuple[str, str, bytes]]:
    site = network.site("hospital-a")
    loaded = []
    for raw in bundles(folder):
        token = site.issuer.issue(
            subject="import", client_id="conformance", role="integration", scopes="system/*.cruds"
        ).token
        answer = await client.post(
            f"{site.url}/fhir",
            content=raw,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"},
            timeout=300,
        )
        assert answer.status_code == 200, answer.text[:500]
        slices = msgspec.json.decode(raw, type=Bundle).entry
        for entry, part in zip(answer.json()["entry"], slices, strict=True):
            status, location = entry["response"]["status"], entry["response"]["location"]
            assert status.startswith(("200", "201")), entry
            kind, name = location.split("/_history")[0].split("/")[-2:]
            loaded.append((kind, name, bytes(part.resource)))
    return loaded


@pytest.mark.slow
def test_every_synthea_resource_is_kept_found_served_and_proved(data_dir: Path, tmp_path: Path) -> None:
    config = create_network(
        tmp_path / "network",
        chain_id="conformance",
        organisations=[
            parse_organisation("hospital-a:hospital", PORT),
            parse_organisation("regulator:regulator", PORT + 1),
        ],
        passphrase="conformance",
        genesis_time_ms=clock_ms() - 1_000,
        parameters=CHEAP,
    )
    settings = Settings.model_validate(
        {"heartbeat_ms": 1_000, "restricted_delay_ms_min": 0, "restricted_delay_ms_max": 10}
    )

    async def go() -> None:
        async with (
            running_network(config, settings, "conformance", witness_interval_ms=500) as network,
            httpx.AsyncClient() as client,
        ):
            site = network.site("hospital-a")
            loaded = await load(network, client, data_dir / "fhir" / "synthea")
            await site.writer.flush()
            assert len(loaded) == 13_169
            # Counts by search.
            counts = Counter(kind for kind, _, _ in loaded)
            assert {kind: counts[kind] for kind in EXPECTED} == EXPECTED
            token = site.issuer.issue(
                subject="auditor", client_id="conformance", role="integration", scopes="system/*.rs"
            ).token
            headers = {"Authorization": f"Bearer {token}"}
            for kind, count in counts.items():
                answer = await client.get(f"{site.url}/fhir/{kind}?_summary=count", headers=headers)
                assert answer.json()["total"] == count, kind
            # Submitted bytes, served FHIR, commitments.
            for kind, name, submitted in loaded:
                stored = site.store.read(kind, name)
                package = site.store.open(stored)
                assert package.submitted == submitted, (kind, name)
                assert is_same_but_for_id_meta_and_references(package.served, submitted), (kind, name)
                assert not any(
                    text.startswith("urn:uuid:") for text in list_reference_texts(json.loads(package.served))
                )
                assert stored.is_committed, (kind, name)
            assert list(scan(site.context)) == []
            # Over HTTP, and as evidence files, for some of each type.
            trust = trust_of_genesis(read_genesis(LedgerPaths(config.ledger_root).genesis.read_bytes()))
            for kind in counts:
                _, name, submitted = next(one for one in loaded if one[0] == kind)
                answer = await client.get(f"{site.url}/fhir/{kind}/{name}/$submitted", headers=headers)
                assert answer.content == submitted
                verdict = verify_evidence(await site.proofs.evidence(kind, name, 1), trust)
                assert verdict.committed is not None

    asyncio.run(go())
