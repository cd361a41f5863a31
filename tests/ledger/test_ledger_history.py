import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.ledger.history import (
    EMPTY_FRONTIER,
    HistoryLeaf,
    append_leaf,
    consistency_proof,
    inclusion_proof,
    read_leaf,
    verify_consistency,
)
from careledger.primitives.codec import encode
from careledger.primitives.hashing import fold_inclusion, leaf_hash, tree_root


def grow(size: int) -> tuple[dict[bytes, bytes], list[bytes], list[bytes]]:
    table: dict[bytes, bytes] = {}
    frontier, roots, leaves = EMPTY_FRONTIER, [EMPTY_FRONTIER.root()], []
    for height in range(size):
        leaf = HistoryLeaf(height, height * 10, bytes([height % 256]) * 32, bytes(32))
        frontier, puts = append_leaf(frontier, leaf)
        table.update(puts)
        leaves.append(leaf_hash(encode(leaf)))
        roots.append(frontier.root())
    return table, leaves, roots


TABLE, LEAVES, ROOTS = grow(130)


def test_the_frontier_has_the_tree_root_at_every_size() -> None:
    for size in range(131):
        assert ROOTS[size] == tree_root(LEAVES[:size])


@given(st.integers(1, 130), st.data())
def test_every_leaf_is_proved_in_every_later_tree(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(TABLE.get, index, size)
    assert fold_inclusion(LEAVES[index], index, size, path) == ROOTS[size]
    leaf = read_leaf(TABLE.get, index)
    assert leaf is not None
    assert leaf.height == index


@given(st.integers(1, 130), st.integers(1, 130))
def test_growth_is_proved_and_nothing_else(one: int, two: int) -> None:
    first, second = sorted((one, two))
    proof = consistency_proof(TABLE.get, first, second)
    verify_consistency(first, ROOTS[first], second, ROOTS[second], proof)
    with pytest.raises(ValueError, match="both roots|differ"):
        verify_consistency(first, bytes(32), second, ROOTS[second], proof)
    with pytest.raises(ValueError, match="both roots|differ"):
        verify_consistency(first, ROOTS[first], second, bytes(32), proof)
    if first != second:
        with pytest.raises(ValueError, match="shrink"):
            verify_consistency(second, ROOTS[second], first, ROOTS[first], proof)
        for position in range(len(proof)):
            broken = (*proof[:position], bytes(32), *proof[position + 1 :])
            with pytest.raises(ValueError, match="both roots"):
                verify_consistency(first, ROOTS[first], second, ROOTS[second], broken)
