"""Thousands of schedules: equal hashes everywhere, whatever is killed when; and faults put in on purpose are found.

A failing seed is played again with `play(seed, tmp_path, steps=...)`; what happened is in the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from careledger.ledger.port import FinalizeBlockRequest, FinalizeBlockResponse
from careledger.ledger.transaction import Transaction
from careledger.ledger.verification import CachingVerifier
from careledger.primitives.errors import InvariantViolated
from careledger.state.nodes import Stamp
from careledger.state.store import META, WriteBatch
from consensus.cometbft.abci_kit import Node
from simulation.world import Diverged, Fuse, MortalNodes, MortalTables, Sabotage, World, check, play

SEEDS = 80
STEPS = 130
SEEDS_SLOW = 3_000
STEPS_SLOW = 220


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
