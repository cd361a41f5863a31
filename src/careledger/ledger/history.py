"""The history: an append-only RFC 9162 log with one leaf for each block that carries transactions.

Leaf = {height, time_ms, state_root, receipts_root}; index 0 is the genesis. The application hash is a digest
of the log's size and root, so whoever cosigns a root cosigns every state before it.

Kept in the table `history`: `0x00 | index` the leaf's bytes, `0x01 | level | index` the hash of each complete
subtree. Reading and proving need a reader only; nothing here writes to a store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from careledger.primitives.codec import Wire, decode, encode
from careledger.primitives.hashing import EMPTY_ROOT, labelled, leaf_hash, node_hash

HISTORY_TABLE = "history"

_APP_HASH_LABEL = "careledger/app-hash/1"

NodeReader = Callable[[bytes], bytes | None]
"""Reads one value of the table `history`."""


class HistoryLeaf(Wire, frozen=True):
    """What one block added."""

    height: int
    """Height of the block; 0 for genesis."""
    time_ms: int
    """Block time."""
    state_root: bytes
    """Root of the state after the block."""
    receipts_root: bytes
    """Root over the block's receipts."""


def compute_app_hash(size: int, root: bytes) -> bytes:
    """Application hash of a history with that many leaves and that root."""
    return labelled(_APP_HASH_LABEL, size.to_bytes(8, "big"), root)


def leaf_key(index: int) -> bytes:
    """Table key of a leaf's bytes."""
    return b"\x00" + index.to_bytes(8, "big")


def node_key(level: int, index: int) -> bytes:
    """Table key of the hash of the complete subtree over leaves [index << level, (index + 1) << level)."""
    return bytes((1, level)) + index.to_bytes(8, "big")


class Frontier(Wire, frozen=True):
    """What is needed to go on appending: the complete subtrees from left to right."""

    size: int
    """Number of leaves."""
    peaks: tuple[bytes, ...]
    """Hash of each complete subtree, largest first; one for each bit set in size."""

    def root(self) -> bytes:
        """Root over all leaves."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def app_hash(self) -> bytes:
        """Application hash of this history."""
        return compute_app_hash(self.size, self.root())


EMPTY_FRONTIER = Frontier(0, ())


def append_leaf(frontier: Frontier, leaf: HistoryLeaf) -> tuple[Frontier, dict[bytes, bytes]]:
    """Append one leaf; returns the new frontier and what to put into the table."""
    raw = encode(leaf)
    index = frontier.size
    node = leaf_hash(raw)
    puts = {leaf_key(index): raw, node_key(0, index): node}
    peaks = list(frontier.peaks)
    level, rest = 0, index
    while rest & 1:
        node = node_hash(peaks.pop(), node)
        level += 1
        rest >>= 1
        puts[node_key(level, rest)] = node
    return Frontier(index + 1, (*peaks, node)), puts


def read_leaf(read: NodeReader, index: int) -> HistoryLeaf | None:
    """Leaf at an index, if it is there."""
    raw = read(leaf_key(index))
    return None if raw is None else decode(raw, HistoryLeaf)


def subtree_hash(read: NodeReader, start: int, end: int) -> bytes:
    """Hash over the leaves [start, end), where start is a multiple of the next power of two.

    Raises:
        KeyError: The history does not hold these leaves.
    """
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        node = read(node_key(level, start >> level))
        if node is None:
            raise KeyError("the history does not hold that subtree")
        return node
    split = 1 << (count - 1).bit_length() - 1
    return node_hash(subtree_hash(read, start, start + split), subtree_hash(read, start + split, end))


def inclusion_proof(read: NodeReader, index: int, size: int) -> tuple[bytes, ...]:
    """Path of a leaf in the tree of the first `size` leaves, RFC 9162 §2.1.3.1."""
    if not 0 <= index < size:
        raise IndexError("no such leaf")

    def path(start: int, end: int) -> list[bytes]:
        count = end - start
        if count == 1:
            return []
        split = start + (1 << (count - 1).bit_length() - 1)
        if index < split:
            return [*path(start, split), subtree_hash(read, split, end)]
        return [*path(split, end), subtree_hash(read, start, split)]

    return tuple(path(0, size))


def consistency_proof(read: NodeReader, first: int, second: int) -> tuple[bytes, ...]:
    """Proof that the first tree is a prefix of the second, RFC 9162 §2.1.4.1."""
    if not 0 < first <= second:
        raise IndexError("the sizes do not fit")

    def proof(old: int, start: int, end: int, *, complete: bool) -> list[bytes]:
        count = end - start
        if old == count:
            return [] if complete else [subtree_hash(read, start, end)]
        split = 1 << (count - 1).bit_length() - 1
        if old <= split:
            return [
                *proof(old, start, start + split, complete=complete),
                subtree_hash(read, start + split, end),
            ]
        return [
            *proof(old - split, start + split, end, complete=False),
            subtree_hash(read, start, start + split),
        ]

    return tuple(proof(first, 0, second, complete=True))


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree only grew, RFC 9162 §2.1.4.2.

    Raises:
        ValueError: It did not, or the proof does not show it.
    """
    if first > second or first < 1:
        raise ValueError("a tree cannot shrink")
    if first == second:
        if proof or first_root != second_root:
            raise ValueError("trees of one size differ")
        return
    nodes = list(proof)
    if first & (first - 1) == 0:
        nodes.insert(0, first_root)
    if not nodes:
        raise ValueError("the consistency proof is empty")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if sn == 0:
            raise ValueError("the consistency proof is too long")
        if fn & 1 or fn == sn:
            old, new = node_hash(node, old), node_hash(node, new)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, node)
        fn >>= 1
        sn >>= 1
    if sn or old != first_root or new != second_root:
        raise ValueError("the consistency proof does not lead to both roots")
