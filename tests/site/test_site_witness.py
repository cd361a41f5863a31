"""A witness never agrees to two stories, keeps evidence of the second, and survives any crash in between."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.ledger.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    parse_note,
    sign_checkpoint,
    verify_cosignatures,
)
from careledger.ledger.history import (
    EMPTY_FRONTIER,
    Frontier,
    HistoryLeaf,
    append_leaf,
    consistency_proof,
    subtree_hash,
    verify_consistency,
)
from careledger.ledger.split_view import Contradiction, read_split_view, verify_split_view
from careledger.primitives.errors import Unavailable
from careledger.primitives.signing import public_key_of
from careledger.site.witness import (
    GrowthAnswer,
    Round,
    SplitViewFound,
    Witness,
    WitnessRefuses,
    run_witness,
    witness_once,
)
from careledger.site.witness_state import WitnessState, WitnessStateBroken
from kit.ledgers import CHAIN_ID, SEQUENCER_SEED, WITNESS_SEED

SEQUENCER = public_key_of(SEQUENCER_SEED)
WITNESSES = {"regulator": public_key_of(WITNESS_SEED)}


@dataclass
class FakeLedger:
    """One history as a sequencer would tell it; `fork_at` gives later leaves another state only."""

    fork_at: int = 1_000_000
    seed: bytes = SEQUENCER_SEED
    chain_id: str = CHAIN_ID
    frontiers: list[Frontier] = field(default_factory=lambda: [EMPTY_FRONTIER])
    table: dict[bytes, bytes] = field(default_factory=dict)
    shown: int = 0
    height: int = 0
    cosigned: list[str] = field(default_factory=list)
    lies_about_growth: bool = False

    def grow(self, count: int) -> "FakeLedger":
        for _ in range(count):
            index = len(self.frontiers) - 1
            state_root = index.to_bytes(4, "big") + bytes([index >= self.fork_at]) + bytes(27)
            frontier, puts = append_leaf(
                self.frontiers[-1], HistoryLeaf(index, index * 1_000, state_root, bytes(32))
            )
            self.frontiers.append(frontier)
            self.table.update(puts)
        self.shown = len(self.frontiers) - 1
        self.height = max(self.height + 1, self.shown)
        return self

    def note(self, size: int | None = None, height: int | None = None) -> str:
        size = self.shown if size is None else size
        height = self.height if height is None else height
        statement = Checkpoint(self.chain_id, size, self.frontiers[size].root(), height, height * 1_000)
        return sign_checkpoint(statement, f"{self.chain_id}/sequencer", self.seed).note()

    async def checkpoint(self) -> str:
        return self.note()

    async def growth(self, first: int, second: int) -> GrowthAnswer:
        proof = consistency_proof(self.table.get, first, second)
        root = subtree_hash(self.table.get, 0, first)
        return GrowthAnswer(root, () if self.lies_about_growth else proof)

    async def add_cosignature(self, note: str) -> None:
        self.cosigned.append(note)


def new_witness(folder: Path, *, fresh: bool = True) -> Witness:
    path = folder / "witness.state"
    make = WitnessState.create if fresh else WitnessState.open
    state = make(path, name="regulator", chain_id=CHAIN_ID)
    return Witness(state, sequencer=SEQUENCER, seed=WITNESS_SEED, clock_ms=lambda: 1_795_000_000_000)


def once(witness: Witness, ledger: FakeLedger) -> SignedCheckpoint:
    agreed = asyncio.run(witness_once(witness, ledger))
    assert agreed is not None
    return agreed


def last_of(witness: Witness) -> SignedCheckpoint:
    assert witness.last is not None
    return witness.last


# -- Agreeing --------------------------------------------------------------------------------------------


def test_growth_is_agreed_to_and_the_cosignature_stands(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(1)
    for step in (0, 1, 2, 5, 8, 1):
        ledger.grow(step)
        cosigned = once(witness, ledger)
        assert cosigned.checkpoint.size == ledger.shown
        assert verify_cosignatures(parse_note(ledger.cosigned[-1]), WITNESSES) == {"regulator": 1_795_000_000}
        assert last_of(witness).checkpoint == cosigned.checkpoint


def test_blocks_without_transactions_are_agreed_to_with_their_time(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(3)
    once(witness, ledger)
    ledger.height += 7
    assert once(witness, ledger).checkpoint.height == ledger.height


def test_the_same_checkpoint_may_be_cosigned_again(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(3)
    assert once(witness, ledger).note() == once(witness, ledger).note()


def test_lines_of_others_are_neither_kept_nor_passed_on(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(3)
    signed = witness.read(ledger.note() + "\N{EM DASH} stranger AAAAAAAA\n")
    assert [one.name for one in signed.signatures] == [f"{CHAIN_ID}/sequencer"]


# -- Refusing --------------------------------------------------------------------------------------------


def refused(witness: Witness, ledger: FakeLedger, text: str) -> None:
    before = witness.last
    cosigned = len(ledger.cosigned)
    with pytest.raises(WitnessRefuses, match=text) as caught:
        once(witness, ledger)
    assert not isinstance(caught.value, SplitViewFound)
    assert witness.last == before
    assert len(ledger.cosigned) == cosigned


class Mumbling(FakeLedger):
    async def checkpoint(self) -> str:
        return "nothing"


def test_what_is_not_this_sequencers_is_refused(tmp_path: Path) -> None:
    witness = new_witness(tmp_path)
    refused(witness, FakeLedger(seed=bytes(32)).grow(2), "does not hold")
    refused(witness, FakeLedger(chain_id="other-chain").grow(2), "another ledger")
    refused(witness, Mumbling().grow(2), "does not hold")


def test_a_smaller_tree_is_never_cosigned(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(9)
    once(witness, ledger)
    ledger.shown, ledger.height = 5, 5
    refused(witness, ledger, "older")


def test_growth_that_is_not_shown_is_refused_without_accusing_anybody(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(5)
    once(witness, ledger)
    ledger.grow(2).lies_about_growth = True
    refused(witness, ledger, "not shown")
    assert list(tmp_path.glob("split-view-*")) == []
    ledger.lies_about_growth = False
    once(witness, ledger)


def contradicted(witness: Witness, ledger: FakeLedger, folder: Path, expected: Contradiction) -> None:
    before = witness.last
    with pytest.raises(SplitViewFound) as caught:
        once(witness, ledger)
    assert caught.value.contradiction is expected
    assert witness.last == before
    assert ledger.cosigned == []
    evidence = read_split_view(caught.value.path.read_bytes())
    assert verify_split_view(evidence, chain_id=CHAIN_ID, sequencer=SEQUENCER) is expected
    assert caught.value.path.parent == folder


def test_two_histories_are_told_apart_and_kept_as_evidence(tmp_path: Path) -> None:
    witness = new_witness(tmp_path)
    once(witness, FakeLedger().grow(9))
    contradicted(witness, FakeLedger(fork_at=3).grow(14), tmp_path, Contradiction.FORKED)


def test_two_states_over_one_history_are_two_histories(tmp_path: Path) -> None:
    """Every transaction and receipt is the same; only the last block's state root differs."""
    witness = new_witness(tmp_path)
    once(witness, FakeLedger().grow(9))
    contradicted(witness, FakeLedger(fork_at=8).grow(9), tmp_path, Contradiction.TWO_ROOTS)


def test_a_rollback_is_told_apart_from_an_old_checkpoint(tmp_path: Path) -> None:
    witness = new_witness(tmp_path)
    once(witness, FakeLedger().grow(9))
    ledger = FakeLedger().grow(5)
    ledger.height = 12
    contradicted(witness, ledger, tmp_path, Contradiction.TAKEN_BACK)


@settings(max_examples=25)
@given(steps=st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=12))
def test_whatever_it_is_shown_all_that_it_agreed_to_is_one_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]]
) -> None:
    witness = new_witness(tmp_path_factory.mktemp("witness"))
    stories = {False: FakeLedger().grow(2), True: FakeLedger(fork_at=4).grow(2)}
    agreed: list[tuple[Checkpoint, FakeLedger]] = []
    for more, is_forked in steps:
        for story in stories.values():
            story.grow(more)
        try:
            agreed.append((once(witness, stories[is_forked]).checkpoint, stories[is_forked]))
        except WitnessRefuses:
            continue
    for (old, _), (new, story) in pairwise(agreed):
        proof = consistency_proof(story.table.get, old.size, new.size)
        verify_consistency(old.size, old.root, new.size, new.root, proof)


# -- The state -------------------------------------------------------------------------------------------


def test_a_state_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(4)
    once(witness, ledger)
    witness._state.close()
    again = new_witness(tmp_path, fresh=False)
    assert again.last == witness.last
    ledger.shown, ledger.height = 2, 2
    refused(again, ledger, "older")


def test_only_one_process_holds_a_state(tmp_path: Path) -> None:
    witness = new_witness(tmp_path)
    with pytest.raises(WitnessStateBroken, match="another process"):
        new_witness(tmp_path, fresh=False)
    witness._state.close()
    new_witness(tmp_path, fresh=False)._state.close()
    with pytest.raises(WitnessStateBroken, match="already"):
        new_witness(tmp_path)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b""), "not the state"),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read"),
        (lambda path: path.write_bytes(b"x" * 100_000), "cannot be read"),
        (lambda path: path.write_text(path.read_text().replace("witness/1", "witness/2")), "not the state"),
        (lambda path: path.write_text(path.read_text().replace("regulator", "someone")), "of someone"),
        (lambda path: path.write_text(path.read_text()[:-1]), "damaged"),
    ],
)
def test_a_state_that_is_lost_or_damaged_stops_the_witness(
    tmp_path: Path, damage: Callable[[Path], object], text: str
) -> None:
    witness = new_witness(tmp_path)
    once(witness, FakeLedger().grow(4))
    witness._state.close()
    damage(tmp_path / "witness.state")
    with pytest.raises(WitnessStateBroken, match=text):
        new_witness(tmp_path, fresh=False)


def test_what_cannot_be_made_durable_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(4)

    def refuse(descriptor: int) -> None:
        raise OSError(5, "no more disk")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no more disk"):
        once(witness, ledger)
    assert ledger.cosigned == []


CRASH = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_site_witness import FakeLedger, new_witness, once
folder = Path(sys.argv[1])
witness = new_witness(folder, fresh=False)
ledger = FakeLedger().grow(7)
once(witness, ledger)
(folder / "signed").write_text(ledger.cosigned[-1])
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "remembers"),
    [
        ("witness.before_persist", False),
        ("vault.private_files.before_rename", False),
        ("vault.private_files.after_rename", True),
        ("witness.after_persist", True),
        ("witness.after_cosign", True),
    ],
)
def test_a_crash_between_remembering_and_signing_recovers(
    tmp_path: Path, point: str, *, remembers: bool
) -> None:
    first = new_witness(tmp_path)
    once(first, FakeLedger().grow(4))
    first._state.close()
    here = Path(__file__).resolve().parent
    ended = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path), str(here)],
        env={
            **os.environ,
            "CARELEDGER_FAULT": point,
            "PYTHONPATH": os.pathsep.join([str(here.parent), *sys.path]),
        },
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not (tmp_path / "signed").exists()
    again = new_witness(tmp_path, fresh=False)
    assert (last_of(again).checkpoint.size == 7) is remembers
    once(again, FakeLedger().grow(7))
    assert last_of(again).checkpoint.size == 7
    fork = FakeLedger(fork_at=5).grow(7)
    with pytest.raises(SplitViewFound):
        once(again, fork)
    assert fork.cosigned == []


# -- Running ---------------------------------------------------------------------------------------------


def test_it_goes_on_through_outages_and_stops_at_a_contradiction(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(3)
    rounds: list[Round] = []

    class Flaky(FakeLedger):
        async def checkpoint(self) -> str:
            if len(rounds) == 1:
                from careledger.ledger.errors import UNREACHABLE

                raise Unavailable(UNREACHABLE)
            if len(rounds) == 4:
                return FakeLedger(fork_at=1).grow(9).note()
            return ledger.grow(1).note()

        async def growth(self, first: int, second: int) -> GrowthAnswer:
            source = FakeLedger(fork_at=1).grow(9) if len(rounds) == 4 else ledger
            return await FakeLedger.growth(source, first, second)

    async def go() -> None:
        with pytest.raises(SplitViewFound):
            await run_witness(witness, Flaky(), report=rounds.append, stop=asyncio.Event(), interval_ms=1)

    asyncio.run(go())
    assert [bool(one.problem) for one in rounds] == [False, True, False, False]


def test_it_stops_when_told(tmp_path: Path) -> None:
    witness, ledger = new_witness(tmp_path), FakeLedger().grow(3)

    async def go() -> None:
        stop = asyncio.Event()

        def stop_now(_: Round) -> None:
            stop.set()

        await asyncio.wait_for(run_witness(witness, ledger, report=stop_now, stop=stop), 5)

    asyncio.run(go())
    assert len(ledger.cosigned) == 1


def test_an_idle_ledger_gathers_one_cosignature(tmp_path: Path) -> None:
    witness = new_witness(tmp_path)
    rounds: list[Round] = []

    class Idle(FakeLedger):
        asked = 0

        async def checkpoint(self) -> str:
            self.asked += 1
            if self.asked == 5:
                self.grow(1)
            if self.asked == 9:
                stop.set()
            return self.note()

    stop = asyncio.Event()
    ledger = Idle()
    ledger.grow(3)
    asyncio.run(run_witness(witness, ledger, report=rounds.append, stop=stop, interval_ms=1))
    assert [one.agreed.checkpoint.size for one in rounds if one.agreed] == [3, 4]
    assert len(ledger.cosigned) == 2
