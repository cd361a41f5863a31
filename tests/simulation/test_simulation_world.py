"""Thousands of schedules: equal hashes everywhere, whatever is killed when; and faults put in on purpose are found.

A failing seed is played again with `play(seed, tmp_path, steps=...)`; what happened is in the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import ActivateModule
from careledger.ledger.port import FinalizeBlockRequest, FinalizeBlockResponse
from careledger.ledger.transaction import Transaction
from careledger.ledger.verification import CachingVerifier
from careledger.primitives.errors import InvariantViolated
from careledger.sdk.messages import Message
from careledger.state.nodes import Stamp
from careledger.state.store import META, WriteBatch
from consensus.cometbft.abci_kit import InlineExecutor, Node, Replica
from kit.ledgers import commit_access, signed
from simulation.world import (
    Diverged,
    Fuse,
    MortalNodes,
    MortalTables,
    Sabotage,
    World,
    check,
    modules_of,
    play,
)

SEEDS = 60
STEPS = 130
SEEDS_SLOW = 2_000
STEPS_SLOW = 180


@pytest.fixture(autouse=True)
def quiet() -> Any:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def test_schedules(tmp_path: Path) -> None:
    seen: set[str] = set()
    for seed in range(SEEDS):
        seen |= happenings(play(seed, tmp_path, steps=STEPS))
    assert seen >= {
        "killed",
        "killed within a commit",
        "started from a snapshot",
        "validators changed",
        "release 2",
    }


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_schedules(tmp_path: Path, part: int) -> None:
    for seed in range(part, SEEDS_SLOW, 10):
        play(1_000_000 + seed, tmp_path, steps=STEPS_SLOW)


def test_one_seed_gives_one_story(tmp_path: Path) -> None:
    first, second = (play(7, tmp_path / name, steps=150) for name in ("a", "b"))
    assert first.told == second.told
    assert first.hashes == second.hashes
    assert len(first.hashes) > 5


def test_an_activation_that_falls_due_in_silence_is_the_same_for_whoever_goes_on_and_whoever_comes_up(
    tmp_path: Path,
) -> None:
    def signed_by(slug: str, message: Message) -> bytes:
        return signed(message, slug, module="governance")

    async def go() -> None:
        replicas = [Replica(tmp_path / str(number), modules=modules_of(2)) for number in range(2)]
        nodes = [Node(replica, disk=InlineExecutor()) for replica in replicas]
        votes = (
            signed_by("hospital-a", Propose(1, ActivateModule("records", 2, 4))),
            signed_by("hospital-b", Vote(2, 1, is_approval=True)),
            signed_by("practice", Vote(3, 1, is_approval=True)),
        )
        for node in nodes:
            await node.begin()
            await node.block(*votes, signed(commit_access("practice", 1), "practice"))
            for _ in range(3):
                await node.block()
        nodes[1] = Node(replicas[1], disk=InlineExecutor())
        answers = [await node.block(signed(commit_access("practice", 2), "practice")) for node in nodes]
        assert answers[0] == answers[1]
        for node in nodes:
            versions = {module.name: module.version for module in node.app.application.active.modules}
            assert versions["records"] == 2

    asyncio.run(go())


def happenings(world: World) -> set[str]:
    told = "; ".join(world.told)
    found = {
        "killed": "killed at" in told,
        "killed within a commit": "killed within" in told,
        "started from a snapshot": "starts from the snapshot" in told,
        "validators changed": any(updates for _, _, updates in world.outcomes),
        "release 2": any(
            module.name == "records" and module.version == 2
            for module in world.members[0].replica.parts().open_application().active.modules
        ),
    }
    return {name for name, is_so in found.items() if is_so}


# -- Faults put in on purpose ----------------------------------------------------------------------------------


class TornTables(MortalTables):
    """Writes the position first and the rest afterwards: not atomic."""

    def write(self, batch: WriteBatch) -> None:
        if META in batch.changes and len(batch.changes) > 1:
            first, rest = WriteBatch(), WriteBatch()
            first.changes = {META: batch.changes[META]}
            rest.changes = {name: rows for name, rows in batch.changes.items() if name != META}
            super().write(first)
            super().write(rest)
        else:
            super().write(batch)


class LateTables(MortalTables):
    """Says that it has written, and writes with the next batch."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self._late = WriteBatch()

    def write(self, batch: WriteBatch) -> None:
        super().write(self._late)
        self._late = batch


class TwinVerifier(CachingVerifier):
    """Remembers results by the transaction's id, which a badly signed twin shares."""

    def verify(self, transactions: Sequence[Transaction]) -> list[bool]:
        results = []
        for transaction in transactions:
            known = self.cache.get(transaction.tx_id)
            result = check(transaction) if known is None else known
            self.cache.put(transaction.tx_id, result)
            results.append(result)
        return results


def time_in_the_hash(node: Node, number: int) -> None:
    """One replica puts the block time into its application hash."""
    if number == 1:
        application = node.app.application
        finalize = application.finalize_block

        def finalize_block(request: FinalizeBlockRequest) -> FinalizeBlockResponse:
            response = finalize(request)
            return type(response)(
                tx_results=response.tx_results,
                app_hash=response.app_hash[:-1] + bytes((request.time_ms % 256,)),
            )

        application.finalize_block = finalize_block  # type: ignore[method-assign]  # the sabotage


def impatient(node: Node, number: int) -> None:
    """One replica judges a proposal by whether its transactions would succeed."""
    if number == 2:
        application = node.app.application
        accept = application.process_proposal

        def process_proposal(txs: Sequence[bytes]) -> bool:
            return accept(txs) and all(not application.check_tx(raw, now_ms=node.now_ms).code for raw in txs)

        application.process_proposal = process_proposal  # type: ignore[method-assign]  # the sabotage


class HastyNodes(MortalNodes):
    """Stamps the nodes as those of the new state before they are written."""

    def write_pairs(self, parents: Sequence[int], pairs: Sequence[bytes]) -> None:
        self._pending = (*getattr(self, "_pending", ()), (parents, pairs))

    def set_stamp(self, stamp: Stamp) -> None:
        super().set_stamp(stamp)
        for parents, pairs in getattr(self, "_pending", ()):
            super().write_pairs(parents, pairs)
        self._pending = ()


@pytest.mark.parametrize(
    ("name", "sabotage"),
    [
        ("writes that are not atomic", Sabotage(tables=TornTables)),
        ("writes that are not durable", Sabotage(tables=LateTables)),
        ("results remembered by id", Sabotage(verifier=TwinVerifier)),
        ("time in the hash", Sabotage(prepare=time_in_the_hash)),
        ("an impatient judge", Sabotage(prepare=impatient)),
        ("nodes stamped too early", Sabotage(nodes=HastyNodes)),
    ],
)
def test_a_fault_put_in_on_purpose_is_found(tmp_path: Path, name: str, sabotage: Sabotage) -> None:
    for seed in range(60):
        try:
            play(seed, tmp_path, steps=STEPS, sabotage=sabotage)
        except (Diverged, InvariantViolated):
            return  # the world noticed, or a replica did and stopped
    pytest.fail(f"{name} went unnoticed")
