"""A node as a pair of processes: started, ended and started again together; nothing answered is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from careledger.consensus.client import LedgerClient
from careledger.consensus.cometbft.header import SignedHeader
from careledger.consensus.cometbft.light import CometAuthenticator
from careledger.consensus.cometbft.node import clock_ms
from careledger.consensus.cometbft.rpc import EngineRpc
from careledger.consensus.cometbft.supervisor import Pair
from careledger.ledger.checkpoint import SignedCheckpoint, cosign, parse_note
from careledger.ledger.light import verify_receipt, verify_state
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.state.store import HEADERS
from consensus.cometbft.network_kit import TestNetwork, access, open_view, until
from kit.ledgers import BUCKETS_LOG2, CHAIN_ID, WITNESS_SEED, commit_records, signed


def stand_in(folder: Path) -> Path:
    """The fake engine as something that can be executed."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "engine"
    here = Path(__file__).parent
    path = ":".join(str(each) for each in (here.parents[2] / "src", here.parents[1]))
    script.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {shlex.quote(sys.executable)} "
        f'{shlex.quote(str(here / "fake_engine.py"))} "$@"\n'
    )
    script.chmod(0o700)
    return script


def network(folder: Path, **options: object) -> TestNetwork:
    return TestNetwork(
        folder,
        validators=1,
        heartbeat_ms=500,
        binary=stand_in(folder / "bin"),
        **options,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def node(folder: Path, **options: object) -> AsyncIterator[tuple[TestNetwork, Pair, LedgerClient]]:
    made = network(folder, **options)
    async with made.running():
        pair = made.nodes[0].pair
        assert pair is not None
        client = made.nodes[0].client()
        await made.reach(1)
        try:
            yield made, pair, client
        finally:
            await client.close()


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await act()

    asyncio.run(bounded())


async def answered(client: LedgerClient, raw: bytes) -> bool:
    """Submit until there is an answer; a duplicate was answered before."""
    while True:
        try:
            return (await client.submit(raw)).is_success
        except Rejected as rejection:
            return rejection.code.slug == "DUPLICATE"
        except Unavailable:
            await asyncio.sleep(0.05)


def test_submissions_checkpoints_and_evidence(tmp_path: Path) -> None:
    async def act() -> None:
        async with node(tmp_path) as (made, _, client):
            batch = commit_records("hospital-a", 0)
            raw = signed(batch, "hospital-a", expires_at_ms=clock_ms() + 60_000)
            receipt, twin = await asyncio.gather(client.submit(raw), client.submit(raw))
            assert receipt == twin
            assert receipt.is_success
            with pytest.raises(Rejected, match="DUPLICATE"):
                await client.submit(raw)
            with pytest.raises(Rejected, match="MALFORMED"):
                await client.submit(b"junk")
            with pytest.raises(Unavailable):
                await client.pause()
            await made.reach(receipt.height + 2)
            await asyncio.sleep(0.2)
            note = await client.checkpoint()
            size = parse_note(note).checkpoint.size
            authenticator = CometAuthenticator(chain_id=CHAIN_ID, validators=made.known_validators)
            view = open_view(made.nodes[0].paths)
            proved = view.prove_receipt(decode_transaction(raw).tx_id, note.encode(), size)
            trusted, leaf, shown = verify_receipt(proved, authenticator)
            assert (shown, leaf.height) == (receipt, receipt.height)
            assert trusted.height >= receipt.height
            key = bytes((3, 1)) + (1).to_bytes(4, "big") + batch.tags[:32]
            state = view.prove_state(key, note.encode(), size)
            assert state.value is not None
            verify_state(state, authenticator, buckets_log2=BUCKETS_LOG2)
            status = await client.status()
            assert status.sequencer == made.nodes[0].keys.validator_key
            assert status.chain_id == CHAIN_ID
            await cosigned(client, note)

    run(act)


async def cosigned(client: LedgerClient, note: str) -> None:
    signed_note = parse_note(note)
    line = cosign(signed_note, "regulator", WITNESS_SEED, time_s=clock_ms() // 1_000)
    lines = (*signed_note.signatures, line)
    with_witness = SignedCheckpoint(signed_note.checkpoint, signed_note.text, lines).note()
    assert await client.cosigned() is None
    for wrong in (note, with_witness.replace("height", "heigth"), "junk"):
        with pytest.raises(Rejected, match="MALFORMED"):
            await client.add_cosignature(wrong)
    await client.add_cosignature(with_witness)
    assert await client.cosigned() == with_witness


@pytest.mark.parametrize(
    "dying",
    [
        "application",
        pytest.param("engine", marks=pytest.mark.slow),
        pytest.param("both", marks=pytest.mark.slow),
    ],
)
def test_either_dying_brings_both_down_and_up_again(tmp_path: Path, dying: str) -> None:
    async def act() -> None:
        async with node(tmp_path) as (made, pair, client):
            done: list[bytes] = []

            async def load(start: int) -> None:
                for number in range(30):
                    raw = access(start * 1_000 + number)
                    assert await answered(client, raw)
                    done.append(raw)

            workers = [asyncio.create_task(load(start)) for start in range(8)]
            await until(lambda: len(done) >= 40)
            engine, application = pair.engine_pid, pair.application_pid
            assert engine
            assert application
            if dying in {"engine", "both"}:
                os.kill(engine, signal.SIGKILL)
            if dying in {"application", "both"}:
                os.kill(application, signal.SIGKILL)
            await asyncio.gather(*workers)
            assert pair.starts == 2
            assert pair.engine_pid != engine
            assert pair.application_pid != application
            view = open_view(made.nodes[0].paths)
            found = [view.receipt(decode_transaction(raw).tx_id) for raw in done]
            assert all(receipt is not None and receipt.is_success for receipt in found)

    run(act)


def test_told_to_end_the_pair_ends_and_loses_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        done: list[bytes] = []
        async with node(tmp_path) as (made, pair, client):

            async def load(start: int) -> None:
                for number in range(10_000):
                    raw = access(start * 100_000 + number)
                    try:
                        receipt = await client.submit(raw)
                    except (Unavailable, Rejected):
                        return
                    assert receipt.is_success
                    done.append(raw)

            workers = [asyncio.create_task(load(start)) for start in range(8)]
            await until(lambda: len(done) >= 40)
            engine, application = pair.engine_pid, pair.application_pid
            await made.stop(0)
            await asyncio.wait_for(asyncio.gather(*workers), 20)
            for pid in (engine, application):
                assert pid is not None
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)
            for path in (made.nodes[0].paths.socket, made.nodes[0].paths.abci_socket):
                assert not path.exists()
        view = open_view(made.nodes[0].paths)
        assert all(view.receipt(decode_transaction(raw).tx_id) is not None for raw in done)

    run(act)


@pytest.mark.slow
def test_an_engine_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    async def act() -> None:
        made = network(tmp_path)
        (made.nodes[0].paths.engine_home / "data" / "deaf").touch()
        async with made.running():
            await made.reach(1)
            pair = made.nodes[0].pair
            assert pair is not None
            engine = pair.engine_pid
        assert engine is not None
        with pytest.raises(ProcessLookupError):
            os.kill(engine, 0)
        assert "did not end when told" in made.nodes[0].log.getvalue()

    run(act)


@pytest.mark.slow
def test_a_pair_that_cannot_start_is_tried_again_and_says_why(tmp_path: Path) -> None:
    async def act() -> None:
        made = network(tmp_path)
        genesis = made.nodes[0].paths.genesis
        whole = genesis.read_bytes()
        genesis.write_bytes(b"{}")
        async with made.running():
            pair = made.nodes[0].pair
            assert pair is not None
            await until(lambda: pair.starts >= 2)
            genesis.write_bytes(whole)
            await made.reach(1)
        lines = [json.loads(line) for line in made.nodes[0].log.getvalue().splitlines()]
        said = [line for line in lines if line["part"] == "supervisor"]
        assert said
        assert "while it was opening its files" in said[0]["reason"]

    run(act)


@pytest.mark.slow
def test_the_joined_log_is_json_line_by_line(tmp_path: Path) -> None:
    async def act() -> None:
        async with node(tmp_path) as (made, _, client):
            await client.submit(access(1))
        lines = [json.loads(line) for line in made.nodes[0].log.getvalue().splitlines()]
        assert {"node", "part", "event", "level"} <= set(lines[0])
        assert lines[0]["event"] == "a stand-in for the engine"
        assert lines[1]["event"] == "a line that is no JSON"
        assert {line["node"] for line in lines} == {"n0"}

    run(act)


@pytest.mark.slow
def test_headers_are_kept_without_gaps_over_restarts(tmp_path: Path) -> None:
    async def act() -> None:
        async with node(tmp_path) as (made, pair, client):
            for round_ in range(3):
                for number in range(5):
                    await answered(client, access(round_ * 100 + number))
                if round_ < 2:
                    pid = pair.application_pid
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
            height = (await client.status()).height
            await made.reach(height + 3)
            view = open_view(made.nodes[0].paths)
            with view.snapshot() as reader:
                rows = list(reader.scan(HEADERS, b"", None))
            heights = [int.from_bytes(key, "big") for key, _ in rows]
            assert heights == list(range(1, heights[-1] + 1))
            assert heights[-1] >= height
            for key, raw in rows:
                assert decode(raw, SignedHeader).header.height == int.from_bytes(key, "big")

    run(act)


@pytest.mark.slow
def test_a_snapshot_is_taken_beside_the_running_node(tmp_path: Path) -> None:
    async def act() -> None:
        async with node(tmp_path, snapshot_interval=4) as (made, _, client):
            for number in range(6):
                await client.submit(access(number))
            await made.reach(9)
            folder = made.nodes[0].paths.snapshots
            await until((folder / "8-1" / "manifest").exists)
            assert (folder / "4-1" / "chunk-00000").stat().st_size > 100

    run(act)


@pytest.mark.slow
def test_the_rpc_says_what_is_wrong(tmp_path: Path) -> None:
    async def act() -> None:
        async with node(tmp_path) as (made, _, _client):
            rpc = EngineRpc(made.nodes[0].paths.rpc_socket)
            assert int((await rpc.call("status"))["sync_info"]["latest_block_height"]) >= 1
            raw = access(1)
            assert await rpc.broadcast([raw, raw, access(2)]) == ["", "tx already exists in cache", ""]
            assert await rpc.broadcast([raw]) == ["tx already exists in cache"]
            await rpc.close()

    run(act)
