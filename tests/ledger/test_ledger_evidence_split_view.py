"""Contradicting checkpoints as evidence that anybody can check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.ledger.checkpoint import Checkpoint, sign_checkpoint
from careledger.ledger.history import (
    EMPTY_FRONTIER,
    Frontier,
    HistoryLeaf,
    append_leaf,
    consistency_proof,
    subtree_hash,
)
from careledger.ledger.split_view import (
    Contradiction,
    SplitView,
    SplitViewInvalid,
    find_contradiction,
    read_split_view,
    verify_split_view,
    write_split_view,
)
from careledger.primitives.signing import public_key_of
from kit.ledgers import CHAIN_ID, SEQUENCER_SEED

KEY = public_key_of(SEQUENCER_SEED)


def history(size: int, fork_at: int = 1_000) -> tuple[Frontier, dict[bytes, bytes]]:
    """A history whose leaves differ from `fork_at` on in their state root only."""
    frontier, table = EMPTY_FRONTIER, dict[bytes, bytes]()
    for index in range(size):
        state_root = bytes([index % 256, index >= fork_at]) + bytes(30)
        frontier, puts = append_leaf(frontier, HistoryLeaf(index, index, state_root, bytes(32)))
        table.update(puts)
    return frontier, table


def checkpoint(size: int, *, fork_at: int = 1_000, height: int = 0, time_ms: int = 0) -> Checkpoint:
    root = history(size, fork_at)[0].root()
    return Checkpoint(CHAIN_ID, size, root, height or size, time_ms or size * 1_000)


def note(of: Checkpoint, seed: bytes = SEQUENCER_SEED, name: str = f"{CHAIN_ID}/sequencer") -> str:
    return sign_checkpoint(of, name, seed).note()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (checkpoint(5), checkpoint(5), None),
        (checkpoint(5), checkpoint(7), None),
        (checkpoint(7), checkpoint(5), None),
        (checkpoint(5), checkpoint(5, height=9, time_ms=9_000), None),
        (checkpoint(5), checkpoint(5, fork_at=4), Contradiction.TWO_ROOTS),
        (checkpoint(5), checkpoint(5, fork_at=4, height=8), Contradiction.TWO_ROOTS),
        (checkpoint(5), checkpoint(6, height=5), Contradiction.TWO_BLOCKS),
        (checkpoint(5), checkpoint(5, time_ms=7), Contradiction.TWO_BLOCKS),
        (checkpoint(5), checkpoint(4, height=9, time_ms=9_000), Contradiction.TAKEN_BACK),
        (checkpoint(5), checkpoint(5, height=9, time_ms=1), Contradiction.TAKEN_BACK),
    ],
)
def test_statements_are_compared(
    first: Checkpoint, second: Checkpoint, expected: Contradiction | None
) -> None:
    assert find_contradiction(first, second) is expected
    assert find_contradiction(second, first) is expected
    evidence = SplitView(1, note(first), note(second), b"", ())
    if expected is None:
        with pytest.raises(SplitViewInvalid):
            verify_split_view(evidence, chain_id=CHAIN_ID, sequencer=KEY)
    else:
        assert verify_split_view(evidence, chain_id=CHAIN_ID, sequencer=KEY) is expected


@given(first=st.integers(1, 40), more=st.integers(1, 40), back=st.integers(1, 40))
def test_a_fork_is_shown_by_the_proof_that_leads_to_it(first: int, more: int, back: int) -> None:
    fork_at = max(0, first - back)
    second = first + more
    _, table = history(second, fork_at)
    proof = consistency_proof(table.get, first, second)
    other_root = subtree_hash(table.get, 0, first)
    notes = note(checkpoint(first)), note(checkpoint(second, fork_at=fork_at))
    evidence = SplitView(1, *notes, other_root, proof)
    assert verify_split_view(evidence, chain_id=CHAIN_ID, sequencer=KEY) is Contradiction.FORKED
    honest = SplitView(1, notes[0], note(checkpoint(second)), checkpoint(first).root, proof)
    with pytest.raises(SplitViewInvalid):
        verify_split_view(honest, chain_id=CHAIN_ID, sequencer=KEY)
    invented = SplitView(1, *notes, bytes(32), proof)
    with pytest.raises(SplitViewInvalid):
        verify_split_view(invented, chain_id=CHAIN_ID, sequencer=KEY)


def test_an_honest_sequencer_cannot_be_accused() -> None:
    lie = checkpoint(5, fork_at=4)
    for first, second in (
        (note(checkpoint(5)), note(lie, bytes(32))),
        (note(checkpoint(5)), note(lie, name="other-chain/sequencer")),
        (note(checkpoint(5)), "not a note"),
        (note(checkpoint(5)), note(checkpoint(5)).replace("\n5\n", "\n6\n", 1)),
    ):
        with pytest.raises(SplitViewInvalid, match="a note does not hold"):
            verify_split_view(SplitView(1, first, second, b"", ()), chain_id=CHAIN_ID, sequencer=KEY)
    good = SplitView(1, note(checkpoint(5)), note(lie), b"", ())
    for chain_id, sequencer in (("other-chain", KEY), (CHAIN_ID, public_key_of(bytes(32)))):
        with pytest.raises(SplitViewInvalid):
            verify_split_view(good, chain_id=chain_id, sequencer=sequencer)


def test_a_file_comes_back_and_others_are_refused() -> None:
    evidence = SplitView(1, note(checkpoint(5)), note(checkpoint(5, fork_at=1)), b"", ())
    raw = write_split_view(evidence, found="by a test")
    assert read_split_view(raw) == evidence
    for other in (
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b" " * 600_000,
        raw.replace(b"split-view/1", b"split-view/2"),
        raw.replace(b'"evidence": "', b'"evidence": "!'),
        b'{"format": "careledger-split-view/1", "evidence": "gA=="}',
        b'{"format": "careledger-split-view/1", "evidence": 5}',
    ):
        with pytest.raises(SplitViewInvalid):
            read_split_view(other)
