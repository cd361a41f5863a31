"""The ledger core: transactions, batches, proofs, growth, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import uvloop

from bench.harness import Bar, measure, median_ms, percentile, stopwatch
from careledger.consensus.client import LedgerClient
from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.messages import CommitAccess, CommitRecords
from careledger.ledger.checkpoint import parse_note
from careledger.ledger.light import SoloAuthenticator, encode_evidence, verify_state
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.transaction import Transaction, build_transaction
from careledger.primitives.signing import public_key_of
from careledger.sdk.messages import Message
from careledger.site.config import NetworkConfig, read_network
from careledger.site.ledger_process import (
    LedgerOptions,
    LedgerPaths,
    clock_ms,
    open_replica,
    open_view,
    start_ledger,
)
from careledger.site.setup import LEDGER_KEY, SEQUENCER_KEY, create_network, parse_organisation
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters

CHEAP = PassphraseParameters(memory_kib=64, iterations=1, lanes=1)
PASSPHRASE = "bench"
BATCH = 4_096


class TrustingVerifier:
    """Filling a ledger needs no signatures checked."""

    def verify(self, transactions: Sequence[Transaction]) -> list[bool]:
        return [True] * len(transactions)


def new_network(root: Path) -> NetworkConfig:
    """A network folder with two hospitals."""
    return create_network(
        root,
        chain_id="bench",
        organisations=[
            parse_organisation(f"hospital-{one}:hospital", 18_100 + at) for at, one in enumerate("ab")
        ],
        passphrase=PASSPHRASE,
        genesis_time_ms=clock_ms() - 60_000,
        parameters=CHEAP,
    )


def seed(config: NetworkConfig, slug: str, name: str = LEDGER_KEY) -> bytes:
    """A key out of a bench keystore."""
    folder = config.ledger_root if slug == "ledger" else config.site_root(slug)
    keystore = Keystore.open(folder / "keystore.db", PASSPHRASE)
    try:
        return keystore.get(name)
    finally:
        keystore.close()


def signed(message: Message, key: bytes) -> bytes:
    """A transaction that is valid for the next minutes."""
    return build_transaction(
        chain_id="bench", module="records", message=message, expires_at_ms=clock_ms() + 500_000, seeds=[key]
    )


def batch_of(first: int, size: int, organisation: int = 1) -> CommitRecords:
    """A batch of made-up entries."""
    tags = sorted(sha256(b"tag %d" % number).digest() for number in range(first, first + size))
    return CommitRecords(organisation, b"".join(tags), b"".join(sha256(tag).digest() for tag in tags))


def fill(config: NetworkConfig, keys: int) -> None:
    """Bring the state to so many keys, through the state machine, without signature checks."""
    key = seed(config, "hospital-a")
    replica = open_replica(LedgerPaths(config.ledger_root))
    replica.application._verifier = TrustingVerifier()  # noqa: SLF001 - the point of it
    for first in range(0, keys, 4 * BATCH):
        position = replica.application.position
        txs = tuple(
            signed(batch_of(at, min(BATCH, 4096)), key)
            for at in range(first, min(keys, first + 4 * BATCH), BATCH)
        )
        replica.application.finalize_block(
            FinalizeBlockRequest(
                height=position.height + 1, time_ms=max(clock_ms(), position.time_ms + 1), txs=txs
            )
        )
        replica.application.commit()
    replica.close()


def filled(scratch: Path, keys: int = 1_000_000) -> NetworkConfig:
    """A network with so many keys, made once per run."""
    root = scratch / f"filled-{keys}"
    if root.exists():
        return read_network(root)
    config = new_network(root)
    fill(config, keys)
    return config


@contextmanager
def ledger_process(config: NetworkConfig) -> Iterator[int]:
    """The ledger process; yields its process id."""
    handle = start_ledger(config.ledger_root, seed(config, "ledger", SEQUENCER_KEY), LedgerOptions())
    try:
        yield handle.pid
    finally:
        handle.stop()


async def submit_all(paths: LedgerPaths, txs: list[bytes], in_flight: int) -> list[float]:
    """Submit pre-signed transactions with a bounded number in flight; latencies in seconds."""
    client = LedgerClient(paths.socket)
    latencies: list[float] = []
    waiting = iter(txs)

    async def worker() -> None:
        for raw in waiting:
            start = time.perf_counter()
            receipt = await client.submit(raw)
            latencies.append(time.perf_counter() - start)
            if not receipt.is_success:
                raise RuntimeError(f"refused: {receipt.rejection()}")

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    await client.close()
    return latencies


@measure(
    Bar("tx_single_per_s", "1/s", at_least=5_000),
    Bar("commitments_per_s", "1/s", at_least=30_000),
)
def throughput(scratch: Path) -> dict[str, float]:
    """Single-operation transactions with 256 in flight, and batches, over the socket; a million keys."""
    config = filled(scratch)
    paths = LedgerPaths(config.ledger_root)
    key = seed(config, "hospital-b")
    nonce = os.urandom(8)
    singles = [
        signed(CommitAccess(2, tag, sha256(tag).digest()), key)
        for tag in (sha256(nonce + number.to_bytes(4, "big")).digest() for number in range(40_000))
    ]
    first = 10**9 + int.from_bytes(nonce[:4], "big")
    batches = [signed(batch_of(first + number * 512, 512, 2), key) for number in range(800)]
    with ledger_process(config):
        uvloop.run(submit_all(paths, singles[:5_000], 256))
        with stopwatch() as seconds:
            uvloop.run(submit_all(paths, singles[5_000:], 256))
            single = 35_000 / seconds()
        with stopwatch() as seconds:
            uvloop.run(submit_all(paths, batches, 16))
            batched = 800 * 512 / seconds()
    return {"tx_single_per_s": single, "commitments_per_s": batched}


@measure(
    Bar("proof_make_ms", "ms", at_most=0.2),
    Bar("proof_verify_ms", "ms", at_most=1),
    Bar("proof_bytes", "B", at_most=2_048),
)
def proofs(scratch: Path) -> dict[str, float]:
    """State proofs of a million keys, made beside the writer, verified without state."""
    config = filled(scratch)
    with ledger_process(config):
        client = LedgerClient(LedgerPaths(config.ledger_root).socket)
        note = asyncio.run(_checkpoint(client))
    view = open_view(LedgerPaths(config.ledger_root))
    size = parse_note(note).checkpoint.size
    keys = iter(
        keeper.RECORD_ENTRIES.key((1, sha256(b"tag %d" % number).digest())) for number in range(10_000)
    )
    make = median_ms(lambda: view.prove_state(next(keys), note.encode(), size), 2_000)
    evidence = [
        view.prove_state(
            keeper.RECORD_ENTRIES.key((1, sha256(b"tag %d" % number).digest())), note.encode(), size
        )
        for number in range(200)
    ]
    authenticator = SoloAuthenticator(
        chain_id="bench",
        sequencer=public_key_of(seed(config, "ledger", SEQUENCER_KEY)),
        witnesses={},
        quorum=0,
    )
    each = iter(evidence)
    verify = median_ms(lambda: verify_state(next(each), authenticator, buckets_log2=20), 200)
    return {
        "proof_make_ms": make,
        "proof_verify_ms": verify,
        "proof_bytes": max(len(encode_evidence(one)) for one in evidence),
    }


async def _checkpoint(client: LedgerClient) -> str:
    try:
        return await client.checkpoint()
    finally:
        await client.close()


@measure(Bar("state_growth_ratio", "ratio", at_most=1.5))
def growth(scratch: Path) -> dict[str, float]:
    """Cost per single-operation transaction with a million keys against ten thousand, in turn, in one run."""
    small, large = filled(scratch, 10_000), filled(scratch)
    costs: dict[str, list[float]] = {"small": [], "large": []}
    for turn in range(5):
        for name, config in (("small", small), ("large", large)):
            costs[name].append(_cost_per_transaction(config, turn))
    return {"state_growth_ratio": percentile(costs["large"], 0.5) / percentile(costs["small"], 0.5)}


def _cost_per_transaction(config: NetworkConfig, turn: int) -> float:
    key = seed(config, "hospital-a")
    replica = open_replica(LedgerPaths(config.ledger_root))
    replica.application._verifier = TrustingVerifier()  # noqa: SLF001 - signatures cost the same in both
    blocks = [
        tuple(
            signed(CommitAccess(1, tag, tag), key)
            for tag in (sha256(os.urandom(16) + bytes([turn])).digest() for _ in range(250))
        )
        for _ in range(12)
    ]
    gc.collect()
    with stopwatch() as seconds:
        for txs in blocks:
            position = replica.application.position
            replica.application.finalize_block(
                FinalizeBlockRequest(
                    height=position.height + 1, time_ms=max(clock_ms(), position.time_ms + 1), txs=txs
                )
            )
            replica.application.commit()
        cost = seconds() / (12 * 250)
    replica.close()
    return cost


@measure(Bar("idle_rss_mb", "MB", at_most=400))
def memory(scratch: Path) -> dict[str, float]:
    """Anonymous resident memory of the ledger process and its worker, idle after a restart."""
    config = filled(scratch)
    with ledger_process(config) as pid:
        time.sleep(3)
        total = sum(_anonymous_kib(one) for one in [pid, *_children(pid)])
    return {"idle_rss_mb": total / 1_024}


def _children(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            children += [int(child), *_children(int(child))]
    return children


def _anonymous_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0
