"""The state as it was at a height: values, scans and proofs, from the current tables and the undo layers.

Owns the rule which heights can be shown and how layers are laid over the current state. A view is read-only,
valid as long as the reader it was made from, and costs nothing until used; a scan at an older height looks
through all keys changed since: some tenths of a second for 64 full blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from careledger.state.buckets import (
    EMPTY,
    HASH_BYTES,
    bucket_hash,
    bucket_index,
    bucket_key,
    inner_hash,
    with_entry,
)
from careledger.state.nodes import NodeBuffer, Nodes, pair_of
from careledger.state.overlay import Overlay
from careledger.state.proofs import Proof, build_proof, fold_proof
from careledger.state.store import BUCKETS, STATE, Reader, TableView
from careledger.state.undo import GROUP_LOG2, UndoLayer, Version, read_versions

_PREFIX_BITS: Final = 64


class HeightPruned(Exception):  # noqa: N818 - named like the code HEIGHT_PRUNED that answers it
    """The height lies before the oldest state that can still be shown."""


class NodesBehind(Exception):  # noqa: N818 - see HeightPruned
    """The nodes are not, or not yet, those of the snapshot: read again, with a new snapshot."""


def reader_at(reader: Reader, height: int) -> StateAt:
    """Return the state as of a height.

    Heights at and above the last that changed the state show the current state: whether a height has been
    reached at all is for the caller to know.

    Raises:
        HeightPruned: The height lies before the oldest state that can still be shown, or before any state.
    """
    versions = read_versions(reader)
    if versions is None:
        raise HeightPruned("no state was written yet")
    known = versions.known
    position = bisect_right([version.height for version in known], height) - 1
    if position < 0:
        raise HeightPruned(f"the oldest height that can be shown is {known[0].height}")
    later = [version.height for version in known[position + 1 :]]
    return StateAt(reader, known[position], later, versions.buckets_log2)


class StateAt:
    """The state as of one height."""

    __slots__ = ("_buckets_log2", "_later", "_layers", "_reader", "version")

    def __init__(self, reader: Reader, version: Version, later: list[int], buckets_log2: int) -> None:
        self.version = version
        """Height that produced this state, and its root."""
        self._reader = reader
        self._later = later
        self._buckets_log2 = buckets_log2
        self._layers: list[UndoLayer] | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""
        layers = self._opened_layers()
        if layers:
            key_prefix = int.from_bytes(sha256(key).digest()[:8], "big")
            # The first change after the height knows the value at the height.
            for layer in layers:
                found = layer.find(key, key_prefix)
                if found is not None:
                    return found[0]
        return self._reader.get(STATE, key)

    def has(self, key: bytes) -> bool:
        """Say whether there is a value under the key."""
        return self.get(key) is not None

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""
        overlay = Overlay(TableView(self._reader))
        for layer in reversed(self._opened_layers()):
            for key, old in layer.changed(start, end):
                if old is None:
                    overlay.delete(key)
                else:
                    overlay.set(key, old)
        return overlay.scan(start, end, reverse=reverse)

    def prove(self, nodes: Nodes, key: bytes) -> tuple[bytes | None, Proof]:
        """Return the value under the key and the proof of it, or None and the proof of absence.

        The proof is folded before it is returned, so nodes that are being written meanwhile do no harm.

        Raises:
            NodesBehind: The nodes do not lead to this state's root.
        """
        key_hash = sha256(key).digest()
        value = self.get(key)
        if self._opened_layers():
            siblings, entries = self._past_path(nodes.buffer, key_hash)
        else:
            index = bucket_index(key_hash, self._buckets_log2)
            entries = self._reader.get(BUCKETS, bucket_key(index)) or b""
            siblings = _siblings(nodes.buffer, (1 << self._buckets_log2) + index)
        proof = build_proof(key_hash, entries, siblings)
        if fold_proof(proof, key, value, self._buckets_log2) != self.version.root:
            raise NodesBehind("the nodes do not lead to the root of this state")
        return value, proof

    def _opened_layers(self) -> list[UndoLayer]:
        """Return the layers of all later changes, earliest first."""
        if self._layers is None:
            self._layers = [UndoLayer(self._reader, height) for height in self._later]
        return self._layers

    def _past_path(self, buffer: NodeBuffer, key_hash: bytes) -> tuple[list[bytes], bytes]:
        """Return the siblings above the key's bucket from the lowest up, and the bucket's entries, of old."""
        group_log2 = min(GROUP_LOG2, self._buckets_log2)
        index = bucket_index(key_hash, self._buckets_log2)
        leaves, entries = self._past_group(buffer, index >> group_log2, group_log2, index)
        siblings: list[bytes] = []
        place = index & ((1 << group_log2) - 1)
        while len(leaves) > 1:
            siblings.append(leaves[place ^ 1])
            leaves = [inner_hash(leaves[at], leaves[at + 1]) for at in range(0, len(leaves), 2)]
            place >>= 1
        node = ((1 << self._buckets_log2) + index) >> group_log2
        while node > 1:
            pair = self._past_pair(buffer, node >> 1)
            siblings.append(pair[:HASH_BYTES] if node & 1 else pair[HASH_BYTES:])
            node >>= 1
        return siblings, entries

    def _past_pair(self, buffer: NodeBuffer, parent: int) -> bytes:
        for layer in self._opened_layers():
            pair = layer.old_pair(parent)
            if pair is not None:
                return pair
        return pair_of(buffer, parent)

    def _past_group(
        self, buffer: NodeBuffer, group: int, group_log2: int, wanted: int
    ) -> tuple[list[bytes], bytes]:
        """Return the hashes of a group of neighbouring buckets, and the entries of one of them, of old."""
        first = group << group_log2
        size = 1 << group_log2
        node = ((1 << self._buckets_log2) + first) * HASH_BYTES
        raw = buffer[node : node + size * HASH_BYTES]
        leaves = [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
        shift = _PREFIX_BITS - self._buckets_log2
        olds: dict[bytes, bytes | None] = {}
        for layer in reversed(self._opened_layers()):
            olds.update(layer.within(first << shift, ((first + size) << shift) - 1))
        changed: dict[int, list[tuple[bytes, bytes | None]]] = {wanted: []}
        for key, old in olds.items():
            key_hash = sha256(key).digest()
            old_hash = None if old is None else sha256(old).digest()
            changed.setdefault(bucket_index(key_hash, self._buckets_log2), []).append((key_hash, old_hash))
        wanted_entries = b""
        for index, changes in changed.items():
            entries = self._reader.get(BUCKETS, bucket_key(index)) or b""
            for key_hash, old_hash in changes:
                entries = with_entry(entries, key_hash, old_hash)
            leaves[index - first] = bucket_hash(entries, self._buckets_log2)
            if index == wanted:
                wanted_entries = entries
        return leaves, wanted_entries


def _siblings(buffer: NodeBuffer, node: int) -> list[bytes]:
    """Return the hashes of the siblings on the way from a node to the root, from the lowest up."""
    siblings: list[bytes] = []
    while node > 1:
        start = (node ^ 1) * HASH_BYTES
        siblings.append(buffer[start : start + HASH_BYTES])
        node >>= 1
    return siblings


def state_root(reader: Reader) -> bytes:
    """Return the current state root: 32 zero bytes before anything was written."""
    versions = read_versions(reader)
    return EMPTY if versions is None else versions.current.root
