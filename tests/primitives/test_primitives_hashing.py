"""RFC 9162 trees against the recursive definition of RFC 9162 §2.1.1 and §2.1.3."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.primitives.hashing import (
    EMPTY_ROOT,
    fold_inclusion,
    inclusion_path,
    labelled,
    leaf_hash,
    node_hash,
    tree_root,
)


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


def test_the_published_roots() -> None:
    # Test vectors of the certificate-transparency project for RFC 6962 trees, which RFC 9162 keeps.
    inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    leaves = [leaf_hash(bytes.fromhex(text)) for text in inputs]
    expected = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in expected.items():
        assert tree_root(leaves[:size]).hex() == root


@given(st.integers(1, 70), st.data())
def test_paths_lead_to_the_root_and_to_no_other(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    root = recursive_root(leaves)
    assert tree_root(leaves) == root
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index)
    assert fold_inclusion(leaves[index], index, size, path) == root
    if size > 1:
        other = (index + 1) % size
        assert fold_inclusion(leaves[other], index, size, path) != root
        with pytest.raises(ValueError, match="path"):
            fold_inclusion(leaves[index], index, size, path[:-1])
        with pytest.raises(ValueError, match="path"):
            fold_inclusion(leaves[index], index, size, (*path, bytes(32)))


def test_labels_and_parts_cannot_run_into_each_other() -> None:
    assert labelled("a", b"bc") != labelled("ab", b"c")
    assert labelled("a", b"b", b"c") != labelled("a", b"bc")
    assert labelled("a") != labelled("a", b"")
