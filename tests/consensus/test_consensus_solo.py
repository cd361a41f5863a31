"""The embedded engine with its worker process and socket, over real files."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from careledger.consensus.client import LedgerClient
from careledger.consensus.solo.header import SignedHeader, SoloHeader, compute_header_hash, verify_header
from careledger.domains.records.chain.messages import CommitRecords
from careledger.ledger.checkpoint import parse_note, sign_checkpoint
from careledger.ledger.light import (
    EvidenceInvalid,
    SoloAuthenticator,
    verify_receipt,
    verify_state,
)
from careledger.ledger.transaction import decode_transaction
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.signing import public_key_of
from careledger.site.ledger_process import (
    LedgerHandle,
    LedgerOptions,
    LedgerPaths,
    LedgerProcess,
    clock_ms,
    open_view,
    start_ledger,
)
from kit.ledgers import (
    CHAIN_ID,
    SEQUENCER_SEED,
    START_MS,
    commit_access,
    commit_records,
    genesis_bytes,
    signed,
)

OPTIONS = LedgerOptions(heartbeat_ms=150, allow_pause=True)


def prepared(folder: Path) -> LedgerPaths:
    paths = LedgerPaths(folder)
    genesis = genesis_bytes().replace(str(START_MS).encode(), str(clock_ms() - 1_000).encode())
    paths.genesis.write_bytes(genesis)
    return paths


@asynccontextmanager
async def running(
    paths: LedgerPaths, options: LedgerOptions = OPTIONS
) -> AsyncIterator[tuple[LedgerClient, LedgerView]]:
    process = LedgerProcess(paths, SEQUENCER_SEED, options)
    await process.start()
    client = LedgerClient(paths.socket)
    try:
        yield client, process.view()
    finally:
        await client.close()
        await process.stop()


def soon() -> int:
    return clock_ms() + 60_000


def access(number: int, slug: str = "hospital-a") -> bytes:
    return signed(commit_access(slug, number), slug, expires_at_ms=soon())


def test_many_at_once_each_get_their_durable_receipt_and_are_there_after_a_restart(tmp_path: Path) -> None:
    paths = prepared(tmp_path)
    txs = [access(number) for number in range(300)]

    async def first() -> int:
        async with running(paths) as (client, _view):
            receipts = await asyncio.gather(*(client.submit(raw) for raw in txs))
            assert [receipt.tx_id for receipt in receipts] == [decode_transaction(raw).tx_id for raw in txs]
            assert all(receipt.is_success for receipt in receipts)
            assert (await client.status()).signatures_checked == 300
            return (await client.status()).height

    async def second() -> None:
        async with running(paths) as (client, view):
            with pytest.raises(Rejected) as caught:
                await client.submit(txs[0])
            assert caught.value.code.slug == "DUPLICATE"
            assert all(view.receipt(decode_transaction(raw).tx_id) for raw in txs)

    height = asyncio.run(first())
    assert height < 150, "blocks are shared"
    asyncio.run(second())


def test_refusals_come_back_with_their_codes(tmp_path: Path) -> None:
    async def go() -> None:
        async with running(prepared(tmp_path)) as (client, _):
            good = access(1)
            bad = bytearray(good)
            bad[-1] ^= 1
            results = await asyncio.gather(
                client.submit(b"junk"),
                client.submit(bytes(bad)),
                client.submit(good),
                client.submit(good),
                client.submit(signed(commit_access("hospital-a", 2), "practice", expires_at_ms=soon())),
                return_exceptions=True,
            )
            assert [type(result).__name__ for result in results] == [
                "Rejected",
                "Rejected",
                "Receipt",
                "Receipt",
                "Receipt",
            ]
            assert isinstance(results[1], Rejected)
            assert results[1].code.slug == "BAD_SIGNATURE"
            assert results[2] == results[3], "the same bytes at once share one receipt"

    asyncio.run(go())


def test_heartbeats_move_time_and_leave_the_application_hash(tmp_path: Path) -> None:
    async def go() -> None:
        paths = prepared(tmp_path)
        async with running(paths) as (client, view):
            await client.submit(access(1))
            before = await client.status()
            await asyncio.sleep(0.6)
            after = await client.status()
            assert after.height >= before.height + 2
            assert after.app_hash == before.app_hash
            headers = [decode(view.block(h).header, SignedHeader) for h in range(1, after.height + 1)]
            previous = b""
            for signed_header in headers:
                verify_header(signed_header, public_key_of(SEQUENCER_SEED))
                assert decode(signed_header.header, SoloHeader).previous_hash == previous
                previous = compute_header_hash(signed_header.header)

    asyncio.run(go())


def test_a_paused_ledger_answers_when_it_goes_on_and_its_view_grows_stale(tmp_path: Path) -> None:
    async def go() -> None:
        paths = prepared(tmp_path)
        async with running(paths) as (client, view):
            await client.submit(access(1))
            await client.pause()
            waiting = asyncio.create_task(client.submit(access(2)))
            await asyncio.sleep(0.4)
            assert not waiting.done()
            view.require_fresh()
            view._clock_ms = lambda: clock_ms() + 61_000
            with pytest.raises(Unavailable) as caught:
                view.require_fresh()
            assert caught.value.code.slug == "STALE_VIEW"
            await client.resume()
            assert (await waiting).is_success

    asyncio.run(go())


def test_evidence_from_a_running_ledger_verifies_and_every_change_of_it_does_not(tmp_path: Path) -> None:
    async def go() -> None:
        paths = prepared(tmp_path)
        async with running(paths) as (client, view):
            batch = commit_records("hospital-a", 0)
            raw = signed(batch, "hospital-a", expires_at_ms=soon())
            await client.submit(raw)
            await client.submit(access(7))
            note = await client.checkpoint()
            check(batch, raw, note, view)

    def check(batch: CommitRecords, raw: bytes, note: str, view: LedgerView) -> None:
        size = parse_note(note).checkpoint.size
        authenticator = SoloAuthenticator(
            chain_id=CHAIN_ID, sequencer=public_key_of(SEQUENCER_SEED), witnesses={}, quorum=0
        )
        receipt = view.prove_receipt(decode_transaction(raw).tx_id, note.encode(), size)
        trusted, leaf, proved = verify_receipt(receipt, authenticator)
        assert proved.is_success
        assert trusted.vouchers == (f"{CHAIN_ID}/sequencer",)
        assert leaf.height == proved.height
        present = bytes((3, 1)) + (1).to_bytes(4, "big") + batch.tags[:32]
        absent = bytes((3, 1)) + (2).to_bytes(4, "big") + batch.tags[:32]
        assert view.prove_state(present, note.encode(), size).value is not None
        verify_state(view.prove_state(present, note.encode(), size), authenticator, buckets_log2=8)
        evidence = view.prove_state(absent, note.encode(), size)
        assert evidence.value is None
        verify_state(evidence, authenticator, buckets_log2=8)
        lies = [
            msgspec.structs.replace(evidence, value=b"x"),
            msgspec.structs.replace(evidence, key=present),
            msgspec.structs.replace(evidence, leaf=view.leaf_proof(0, size)),
            msgspec.structs.replace(evidence, root=note.replace("time_ms 1", "time_ms 2").encode()),
        ]
        for lie in lies:
            with pytest.raises(EvidenceInvalid):
                verify_state(lie, authenticator, buckets_log2=8)
        stranger = sign_checkpoint(parse_note(note).checkpoint, f"{CHAIN_ID}/sequencer", bytes(32))
        with pytest.raises(EvidenceInvalid):
            verify_state(
                msgspec.structs.replace(evidence, root=stranger.note().encode()),
                authenticator,
                buckets_log2=8,
            )

    asyncio.run(go())


def test_a_full_pool_pushes_back(tmp_path: Path) -> None:
    async def go() -> None:
        paths = prepared(tmp_path)
        process = LedgerProcess(paths, SEQUENCER_SEED, OPTIONS)
        process._admission._transactions_max = 5
        await process.start()
        process.engine.pause()
        futures = [process._admission.enqueue(access(number)) for number in range(5)]
        with pytest.raises(Unavailable) as caught:
            process._admission.enqueue(access(6))
        assert caught.value.code.slug == "QUEUE_FULL"
        process.engine.resume()
        await asyncio.gather(*futures)
        await process._admission.submit(access(6))
        await process.stop()

    asyncio.run(go())


def test_a_signature_worker_that_dies_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    async def go() -> None:
        process = LedgerProcess(prepared(tmp_path), SEQUENCER_SEED, OPTIONS)
        await process.start()
        worker = process._workers._process
        assert worker is not None
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        futures = [process._admission.enqueue(access(number)) for number in range(20)]
        await asyncio.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)
        receipts = await asyncio.wait_for(asyncio.gather(*futures), 30)
        assert len(receipts) == 20
        await process.stop()

    asyncio.run(go())


def _spawn(paths: LedgerPaths, options: LedgerOptions = OPTIONS) -> LedgerHandle:
    return start_ledger(paths.root, SEQUENCER_SEED, options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_answered_survives_the_end_of_the_process(tmp_path: Path, number: int) -> None:
    paths = prepared(tmp_path)
    answered: list[bytes] = []

    async def load() -> None:
        client = LedgerClient(paths.socket)

        async def one(start: int) -> None:
            for step in range(10_000):
                raw = access(start * 10_000 + step)
                try:
                    receipt = await client.submit(raw)
                except Unavailable:
                    return
                assert receipt.is_success
                answered.append(raw)

        workers = [asyncio.create_task(one(start)) for start in range(16)]
        await asyncio.sleep(0.7)
        os.kill(process.pid, number)
        await asyncio.wait_for(asyncio.gather(*workers), 20)
        await client.close()

    process = _spawn(paths)
    asyncio.run(load())
    assert process.wait(15) == (0 if number == signal.SIGTERM else -number)
    assert len(answered) > 10
    again = _spawn(paths)
    view = open_view(paths)
    assert all(view.receipt(decode_transaction(raw).tx_id) is not None for raw in answered)
    assert again.stop() == 0
    assert not paths.socket.exists()


def test_a_folder_deeper_than_a_socket_path_may_be_long_is_served(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)

    async def go() -> None:
        async with running(prepared(folder)) as (client, _):
            assert (await client.submit(access(1))).is_success

    asyncio.run(go())


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
runpy.run_module("careledger.site.ledger_process", run_name="__main__")
"""


def test_a_full_disk_stops_the_ledger_with_a_clear_message_and_nothing_unwritten_is_acknowledged(
    tmp_path: Path,
) -> None:
    paths = prepared(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(3 << 20)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(SEQUENCER_SEED + msgspec.json.encode(OPTIONS) + b"\n")
    process.stdin.flush()
    answered: list[bytes] = []

    async def load() -> None:
        client = LedgerClient(paths.socket)
        for _ in range(400):
            if paths.socket.exists():
                break
            await asyncio.sleep(0.05)
        try:
            for number in range(2_000):
                message = commit_records("hospital-a", number * 64, 64)
                batch = signed(message, "hospital-a", expires_at_ms=soon())
                assert (await client.submit(batch)).is_success
                answered.append(batch)
            pytest.fail("the disk never filled up")
        except Unavailable:
            return
        finally:
            await client.close()

    asyncio.run(load())
    assert process.stderr is not None
    words = process.stderr.read().decode()
    assert process.wait(15) == 1
    assert "the ledger stopped: StorageFailed" in words
    process.stderr.close()
    process.stdin.close()
    assert answered
    again = _spawn(paths)
    view = open_view(paths)
    assert all(view.receipt(decode_transaction(raw).tx_id) is not None for raw in answered)
    again.stop()
