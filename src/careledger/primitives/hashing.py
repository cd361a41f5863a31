"""SHA-256 with domain separation, and the RFC 9162 tree hash.

A digest under one label can never be mistaken for a digest under another: the label's length and the label
stand before the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256 as _sha256

DIGEST_BYTES = 32

EMPTY_ROOT = _sha256(b"").digest()
"""Root of a tree without leaves, RFC 9162 §2.1.1."""


def sha256(data: bytes) -> bytes:
    """SHA-256 of the data, 32 bytes."""
    return _sha256(data).digest()


def label_prefix(label: str) -> bytes:
    """Bytes that stand before everything hashed or signed under this label."""
    name = label.encode("ascii")
    return bytes([len(name)]) + name


def labelled(label: str, *parts: bytes) -> bytes:
    """SHA-256 over the label and the parts, each with its length before it (8 bytes, big-endian)."""
    digest = _sha256(label_prefix(label))
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf, RFC 9162 §2.1.1."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, RFC 9162 §2.1.1."""
    return _sha256(b"\x01" + left + right).digest()


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, RFC 9162 §2.1.1; the empty tree has the hash of nothing."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    # Pairing level by level and carrying an odd node up gives the same root as the recursive definition.
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Sibling hashes from one leaf up to the root, RFC 9162 §2.1.3.1."""
    if not 0 <= index < len(leaf_hashes):
        raise IndexError("no leaf with that index")
    path: list[bytes] = []
    level = list(leaf_hashes)
    position = index
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
        position >>= 1
    return tuple(path)


def fold_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Root that an inclusion path leads to, RFC 9162 §2.1.3.2.

    Raises:
        ValueError: The index is outside the tree, or the path's length does not fit the tree.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf's index is outside the tree")
    fn, sn, node = index, size - 1, leaf
    for sibling in path:
        if len(sibling) != DIGEST_BYTES:
            raise ValueError("a node of the path is not 32 bytes")
        if sn == 0:
            raise ValueError("the path is too long")
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            node = node_hash(node, sibling)
        fn >>= 1
        sn >>= 1
    if sn:
        raise ValueError("the path is too short")
    return node
