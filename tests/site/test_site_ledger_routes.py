"""The ledger over HTTP, from a running network: routes, evidence, and a witness that watches from outside."""

import asyncio
import gc
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from careledger.domains.identity.chain.types import Role
from careledger.domains.records.chain.messages import CommitAccess
from careledger.ledger.checkpoint import parse_note, verify_cosignatures
from careledger.ledger.evidence import read_evidence
from careledger.ledger.evidence_check import EvidenceFailed, Step, verify_evidence
from careledger.ledger.genesis import read_genesis
from careledger.ledger.transaction import build_transaction, decode_transaction
from careledger.ledger.trust import Trust, read_trust, trust_of_genesis
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.hashing import sha256
from careledger.primitives.signing import public_key_of
from careledger.site.config import ConfigurationInvalid, NetworkConfig, Settings
from careledger.site.ledger_process import LedgerOptions, LedgerPaths, clock_ms
from careledger.site.ledger_routes import OPERATIONS, ledger_face
from careledger.site.runtime_ledger import (
    RunningLedger,
    open_or_recover_state,
    read_seed,
    running_ledger,
    start_process,
)
from careledger.site.setup import LEDGER_KEY, SEQUENCER_KEY, WITNESS_KEY, OrganisationPlan, create_network
from careledger.site.witness import Witness, witness_once
from careledger.site.witness_sources import HttpSource
from careledger.site.witness_state import WitnessState
from careledger.vault.passphrase import PassphraseParameters
from careledger.web.edge import Edge
from careledger.web.metrics import Metrics

PASSPHRASE = "correct horse"
QUICK = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
SETTINGS = Settings.model_validate({"heartbeat_ms": 200})


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkConfig:
    return create_network(
        tmp_path_factory.mktemp("routes") / "net",
        chain_id="route-chain",
        organisations=[
            OrganisationPlan(slug="hospital-a", role=Role.HOSPITAL, port=8_101),
            OrganisationPlan(slug="regulator", role=Role.REGULATOR, port=8_102),
        ],
        passphrase=PASSPHRASE,
        genesis_time_ms=clock_ms() - 1_000,
        buckets_log2=8,
        parameters=QUICK,
    )


def pinned(network: NetworkConfig) -> Trust:
    return trust_of_genesis(read_genesis(LedgerPaths(network.ledger_root).genesis.read_bytes()))


def access(network: NetworkConfig, number: int, organisation: int = 1) -> bytes:
    seed = read_seed(network.site_root("hospital-a") / "keystore.db", PASSPHRASE, LEDGER_KEY)
    tag = sha256(f"access {number}".encode())
    return build_transaction(
        chain_id=network.chain_id,
        module="records",
        message=CommitAccess(organisation, tag, sha256(tag)),
        expires_at_ms=clock_ms() + 60_000,
        seeds=[seed],
    )


@asynccontextmanager
async def running(network: NetworkConfig) -> AsyncIterator[tuple[RunningLedger, httpx.AsyncClient]]:
    async with running_ledger(network, SETTINGS, PASSPHRASE, interval_ms=50) as ledger:
        face = ledger_face(ledger.view, ledger.client)
        app = Edge(face.app, metrics=Metrics("hospital-a"), log=None, clock_ms=clock_ms)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.example/ledger") as client:
            yield ledger, client


async def cosigned_at(ledger: RunningLedger, height: int) -> None:
    for _ in range(200):
        note = await ledger.client.cosigned()
        if note is not None and parse_note(note).checkpoint.height >= height:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the witness never cosigned")


def test_routes_evidence_and_refusals(network: NetworkConfig) -> None:
    async def go() -> None:
        async with running(network) as (ledger, http):
            raw = access(network, 1)
            receipt = await ledger.client.submit(raw)
            refused = await ledger.client.submit(access(network, 2, organisation=2))
            assert receipt.is_success
            assert not refused.is_success
            await cosigned_at(ledger, refused.height)
            await check_reading(http, receipt.height, receipt.tx_id.hex(), refused.tx_id.hex())
            await check_proofs(http, network, receipt.tx_id.hex())
            await check_refusals(http)

    asyncio.run(go())


async def check_reading(http: httpx.AsyncClient, height: int, good: str, bad: str) -> None:
    status = (await http.get("/v1/status")).json()
    assert status["height"] >= height
    assert status["chain_id"] == "route-chain"
    block = (await http.get(f"/v1/block/{height}")).json()
    assert good in [one["tx_id"] for one in block["transactions"]]
    assert "tags" not in json.dumps(block)
    assert sha256(b"access 1").hex() not in json.dumps(block)
    shown = (await http.get(f"/v1/tx/{good}")).json()
    assert (shown["outcome"], shown["message"]) == ("success", "records.CommitAccess")
    assert (await http.get(f"/v1/tx/{bad}")).json()["outcome"] == "identity.NOT_SIGNED"
    note = (await http.get("/v1/checkpoint")).text
    assert parse_note(note).checkpoint.chain_id == "route-chain"


async def check_proofs(http: httpx.AsyncClient, network: NetworkConfig, tx_id: str) -> None:
    trust = pinned(network)
    assert read_trust((await http.get("/v1/trust")).content) == trust
    tag = sha256(b"access 1").hex()
    for query in (
        f"access={tag}&organisation=1",
        f"access={tag}&organisation=2",
        f"record={tag}&organisation=1",
        "key=0205",
    ):
        answer = await http.get(f"/v1/proof/state?{query}")
        verdict = verify_evidence(read_evidence(answer.content), trust)
        assert list(verdict.cosigned_s) == ["regulator"]
    answer = await http.get(f"/v1/proof/receipt?tx={tx_id}")
    evidence = read_evidence(answer.content)
    assert verify_evidence(evidence, trust).receipt is not None
    assert len(answer.content) < 10_000
    answer = await http.get(f"/v1/proof/state?access={tag}&organisation=1&cosigned=false")
    with pytest.raises(EvidenceFailed) as caught:
        verify_evidence(read_evidence(answer.content), trust)
    assert caught.value.step is Step.CHECKPOINT


async def check_refusals(http: httpx.AsyncClient) -> None:
    rows = [
        ("/v1/nothing", 404),
        ("/v1/block/0x1", 400),
        ("/v1/block/999999", 404),
        ("/v1/block/" + "9" * 40, 400),
        ("/v1/tx/00", 400),
        ("/v1/tx/" + "00" * 32, 404),
        ("/v1/tx/" + "zz" * 32, 400),
        ("/v1/consistency?first=0&second=1", 400),
        ("/v1/consistency?first=2&second=1", 400),
        ("/v1/consistency?first=1&second=100000", 404),
        ("/v1/consistency", 400),
        ("/v1/proof/state", 400),
        ("/v1/proof/state?record=" + "00" * 32, 400),
        ("/v1/proof/state?record=" + "00" * 32 + "&organisation=0", 400),
        ("/v1/proof/state?cell=" + "00" * 32, 404),
        ("/v1/proof/state?key=" + "00" * 500, 400),
        ("/v1/proof/receipt?tx=" + "00" * 32, 404),
    ]
    for path, status in rows:
        answer = await http.get(path)
        assert answer.status_code == status, path
        assert answer.json()["code"].partition(".")[0] in ("web", "ledger")
    for body, status in (
        (b"nothing", 400),
        (b"\xff", 400),
        (b"x" * 70_000, 413),
        (b"", 400),
    ):
        assert (await http.post("/v1/cosigned", content=body)).status_code == status


def test_a_witness_outside_follows_over_http(network: NetworkConfig, tmp_path: Path) -> None:
    """The regulator's own key is used, from a machine of its own: the gateway is not believed, only checked."""
    seed = read_seed(network.site_root("regulator") / "keystore.db", PASSPHRASE, WITNESS_KEY)
    trust = pinned(network)

    async def go() -> None:
        async with running(network) as (ledger, _):
            face = ledger_face(ledger.view, ledger.client)
            gateway = Edge(face.app, metrics=Metrics("hospital-a"), log=None, clock_ms=clock_ms)
            transport = httpx.ASGITransport(app=gateway)
            http = httpx.AsyncClient(transport=transport, base_url="http://site.example")
            state = WitnessState.create(tmp_path / "outside", name="regulator", chain_id=network.chain_id)
            witness = Witness(state, sequencer=trust.sequencer, seed=seed, clock_ms=clock_ms)
            for number in (10, 11, 12):
                await ledger.client.submit(access(network, number))
                agreed = await witness_once(witness, HttpSource(http))
                assert agreed is not None
                note = await ledger.client.cosigned()
                assert note is not None
                assert verify_cosignatures(parse_note(note), trust.witness_keys)
                assert agreed.checkpoint.size >= number - 8
            stranger_state = WitnessState.create(
                tmp_path / "stranger", name="stranger", chain_id=network.chain_id
            )
            stranger = Witness(stranger_state, sequencer=trust.sequencer, seed=bytes(32), clock_ms=clock_ms)
            with pytest.raises(Rejected, match="may not know this witness"):
                await witness_once(stranger, HttpSource(http))
            await http.aclose()

    asyncio.run(go())


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(302, headers={"location": "http://elsewhere.example/"}),
        httpx.Response(200, content=b"x" * 100_000),
        httpx.Response(200, content=b"{}"),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, json={"first": 1, "second": 2, "first_root": "zz", "proof": []}),
        httpx.Response(200, json={"first": 1, "second": 2, "first_root": "00", "proof": ["00"] * 200}),
    ],
)
def test_whatever_a_gateway_answers_costs_an_error_only(answer: httpx.Response) -> None:
    async def go() -> None:
        transport = httpx.MockTransport(lambda _: answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as client:
            with pytest.raises(Unavailable):
                await HttpSource(client).growth(1, 2)

    asyncio.run(go())


# The pipes of a process that did not start are closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_ledger_process_on_one_folder_does_not_start(
    network: NetworkConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    async def go() -> None:
        async with running(network) as (ledger, _):
            seed = read_seed(network.ledger_root / "keystore.db", PASSPHRASE, SEQUENCER_KEY)
            with pytest.raises(ConfigurationInvalid, match="did not start"):
                await start_process(LedgerPaths(network.ledger_root), seed, LedgerOptions())
            assert ledger.exit_code is None
            os.kill(ledger.process.pid, signal.SIGKILL)
            await asyncio.wait_for(ledger.ended.wait(), 10)

    asyncio.run(go())
    gc.collect()
    assert "another process has it open" in capfd.readouterr().err


def test_a_lost_state_of_a_hosted_witness_begins_where_it_cosigned_last(
    network: NetworkConfig, tmp_path: Path
) -> None:
    seed = read_seed(network.site_root("regulator") / "keystore.db", PASSPHRASE, WITNESS_KEY)

    async def go() -> None:
        async with running(network) as (ledger, _):
            await cosigned_at(ledger, 1)
            note = await ledger.client.cosigned()
            assert note is not None
            state = await open_or_recover_state(
                tmp_path / "lost",
                ledger.client,
                name="regulator",
                chain_id=network.chain_id,
                key=public_key_of(seed),
            )
            assert state.last is not None
            assert state.last.checkpoint.height >= parse_note(note).checkpoint.height
            stranger = await open_or_recover_state(
                tmp_path / "stranger",
                ledger.client,
                name="stranger",
                chain_id=network.chain_id,
                key=public_key_of(bytes(32)),
            )
            assert stranger.last is None

    asyncio.run(go())


def test_every_route_is_described() -> None:
    face = ledger_face(None, None)  # type: ignore[arg-type]
    served = {
        (method, route.path.removeprefix("/ledger"))
        for route in face.app.routes  # type: ignore[attr-defined]
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert served == {(operation.method, operation.path) for operation in OPERATIONS}


def test_a_transactions_bytes_are_what_was_signed(network: NetworkConfig) -> None:
    assert decode_transaction(access(network, 99)).content.message == "CommitAccess"
