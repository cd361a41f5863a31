"""The state tree: from a block's changes to a new root, in two steps.

`compute` reads and calculates: new root, changed bucket contents, changed nodes and the undo layer, changing
nothing. The caller adds all of it to the write batch of the block (`TreeUpdate.add_to`), and after that
batch is durable calls `install`, which writes the node file and stamps it. One update at a time: it is
installed, or dropped with its batch, before the next is computed. If the process dies between batch and
stamp, the stamp does not match the record of versions, and the nodes are rebuilt on opening
(`careledger.state.rebuild`).

Work goes level by level over sorted node numbers, with one list of 64-byte pairs per level and no object per
node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from careledger.primitives.errors import InvariantViolated
from careledger.state.buckets import (
    EMPTY,
    EMPTY_PAIR,
    HASH_BYTES,
    INNER_TAG,
    bucket_hash,
    bucket_key,
    with_entry,
)
from careledger.state.nodes import NodeBuffer, Nodes, Stamp, pair_of
from careledger.state.store import BUCKETS, META, STATE, UNDO, Reader, Tables, WriteBatch
from careledger.state.undo import (
    GROUP_LOG2,
    UNDO_HEIGHTS_MAX,
    VERSIONS_KEY,
    Version,
    Versions,
    encode_layer,
    layer_keys,
    read_versions,
)

HEIGHT_MAX: Final = 2**63 - 1

Level = tuple[list[int], list[bytes]]
"""Parents in ascending order, and the new 64 bytes below each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeUpdate:
    """What one block changes, before any of it is written."""

    height: int
    """Height of the block."""
    root: bytes
    """State root after the block; the previous one when nothing changed."""
    values: dict[bytes, bytes | None]
    """Changes of the table `state`, without those that change nothing."""
    buckets: dict[bytes, bytes | None]
    """Changes of the table `buckets`."""
    undo: dict[bytes, bytes | None]
    """Changes of the table `undo`: the new layer, and the removal of one that is too old."""
    versions: Versions | None
    """The new record of versions; None when nothing changed."""
    levels: Sequence[Level]
    """Changed nodes from the lowest level up; the last level is the root's, under parent 0."""

    @property
    def is_empty(self) -> bool:
        """Whether the block leaves the state as it was; then nothing is written for it."""
        return self.versions is None

    def add_to(self, batch: WriteBatch) -> None:
        """Put values, buckets, undo layer and record of versions into the block's write batch."""
        if self.versions is None:
            return
        batch.update(STATE, self.values)
        batch.update(BUCKETS, self.buckets)
        batch.update(UNDO, self.undo)
        batch.put(META, VERSIONS_KEY, self.versions.encode())


class BucketTree:
    """The tree over one node file; `careledger.state.rebuild.open_tree` opens it and repairs the nodes."""

    __slots__ = ("_nodes",)

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    @property
    def nodes(self) -> Nodes:
        """The node file, for proofs."""
        return self._nodes

    @property
    def root(self) -> bytes:
        """State root of what is installed; 32 zero bytes for the empty state."""
        stamp = self._nodes.stamp()
        return EMPTY if stamp is None else stamp.root

    def compute(self, changes: Mapping[bytes, bytes | None], reader: Reader, height: int) -> TreeUpdate:
        """Calculate what the changes do to the tree, without changing anything.

        Args:
            changes: key to new value, or to None for a deletion; writes without effect are left out.
            reader: a snapshot of the store as last written.
            height: height of the block, above that of the last block that changed the state.

        Raises:
            InvariantViolated: The height does not rise, or the node file is not that of the snapshot.
        """
        versions = read_versions(reader)
        self._check(versions, height)
        old = reader.get_many(STATE, sorted(changes))
        # Sorted by key hash: bucket by bucket, and within a bucket in the order of its entries.
        effective = sorted(
            (sha256(key).digest(), key, value) for key, value in changes.items() if old.get(key) != value
        )
        if not effective:
            root = EMPTY if versions is None else versions.current.root
            return TreeUpdate(
                height=height, root=root, values={}, buckets={}, undo={}, versions=None, levels=()
            )
        buckets, leaves, leaf_hashes = self._change_buckets(effective, reader)
        levels = compute_levels(self._nodes.buffer, leaves, leaf_hashes)
        root = levels[-1][1][0][HASH_BYTES:]
        undo: dict[bytes, bytes | None] = {}
        known: tuple[Version, ...] = (Version(height, root),)
        if versions is not None:
            undo.update(self._undo_layer(height, effective, old, levels))
            known = versions.known + known
            if len(known) > UNDO_HEIGHTS_MAX + 1:
                # The oldest version goes, and with it the layer that leads back to it.
                undo.update(dict.fromkeys(layer_keys(known[1].height)))
                known = known[1:]
        return TreeUpdate(
            height=height,
            root=root,
            values={key: value for _, key, value in effective},
            buckets=buckets,
            undo=undo,
            versions=Versions(self._nodes.buckets_log2, known),
            levels=levels,
        )

    def install(self, update: TreeUpdate) -> None:
        """Write the update's nodes and stamp them; call it once the update's batch is durable."""
        if update.is_empty:
            return
        for parents, pairs in update.levels:
            self._nodes.write_pairs(parents, pairs)
        self._nodes.set_stamp(Stamp(update.height, update.root))

    def commit(self, update: TreeUpdate, batch: WriteBatch, tables: Tables) -> None:
        """Add the update to the block's batch, write the batch durably, then install the update.

        Args:
            update: what `compute` returned.
            batch: everything else the block writes: receipts, headers, the ledger's own records.
            tables: the store the update was computed from.

        Raises:
            StorageFailed: The batch was not made durable; the process must stop.
        """
        update.add_to(batch)
        tables.write(batch)
        self.install(update)

    def _check(self, versions: Versions | None, height: int) -> None:
        stamp = self._nodes.stamp()
        stored = None if versions is None else Stamp(*versions.current)
        if stamp != stored:
            raise InvariantViolated("the tree's nodes are not those of the stored state")
        if not (-1 if stored is None else stored.height) < height <= HEIGHT_MAX:
            raise InvariantViolated("the height of a state change must rise")

    def _change_buckets(
        self, effective: list[tuple[bytes, bytes, bytes | None]], reader: Reader
    ) -> tuple[dict[bytes, bytes | None], list[int], list[bytes]]:
        """Return changed bucket contents by table key, the numbers of their nodes, and their new hashes."""
        depth = self._nodes.buckets_log2
        shift = 32 - depth
        indices = [int.from_bytes(key_hash[:4], "big") >> shift for key_hash, _, _ in effective]
        touched = list(dict.fromkeys(indices))
        keys = [bucket_key(index) for index in touched]
        contents = reader.get_many(BUCKETS, keys)
        for index, (key_hash, _, value) in zip(indices, effective, strict=True):
            key = index.to_bytes(4, "big")
            value_hash = None if value is None else sha256(value).digest()
            entries = contents.get(key)
            if entries is not None:
                contents[key] = with_entry(entries, key_hash, value_hash)
            elif value_hash is not None:
                contents[key] = key_hash + value_hash
        first = 1 << depth
        hashes = [bucket_hash(contents.get(key, b""), depth) for key in keys]
        return {key: contents.get(key) or None for key in keys}, [first + index for index in touched], hashes

    def _undo_layer(
        self,
        height: int,
        effective: list[tuple[bytes, bytes, bytes | None]],
        old: dict[bytes, bytes],
        levels: Sequence[Level],
    ) -> dict[bytes, bytes]:
        buffer = self._nodes.buffer
        # Highest level first, without that of the root: so the numbers ascend over all levels.
        kept = levels[GROUP_LOG2:-1]
        parents = [parent for level_parents, _ in reversed(kept) for parent in level_parents]
        return encode_layer(
            height,
            (int.from_bytes(key_hash[:8], "big") for key_hash, _, _ in effective),
            [key for _, key, _ in effective],
            [old.get(key) for _, key, _ in effective],
            parents,
            [pair_of(buffer, parent) for parent in parents],
        )


def compute_levels(buffer: NodeBuffer, nodes: list[int], hashes: list[bytes]) -> list[Level]:
    """Return the new pairs above changed nodes, level by level up to the root.

    Args:
        buffer: hashes before the change; siblings that do not change are taken from it.
        nodes: ascending numbers of the changed nodes, all on one level.
        hashes: their new hashes.

    Returns:
        The levels from the lowest up; the last is ``([0], [32 zero bytes | root])``.
    """
    levels: list[Level] = []
    may_be_empty = True
    while nodes[0] > 1:
        parents: list[int] = []
        pairs: list[bytes] = []
        last = 0
        for node, node_hash in zip(nodes, hashes, strict=True):
            parent = node >> 1
            if parent == last:
                pairs[-1] = pairs[-1][:32] + node_hash
                continue
            last = parent
            parents.append(parent)
            start = parent << 6
            if node & 1:
                pairs.append(buffer[start : start + 32] + node_hash)
            else:
                pairs.append(node_hash + buffer[start + 32 : start + 64])
        # A subtree can only become empty where a child did, so most blocks never look for empty pairs.
        may_be_empty = may_be_empty and EMPTY in hashes
        levels.append((parents, pairs))
        nodes = parents
        hashes = (
            [EMPTY if pair == EMPTY_PAIR else sha256(INNER_TAG + pair).digest() for pair in pairs]
            if may_be_empty
            else [sha256(INNER_TAG + pair).digest() for pair in pairs]
        )
    levels.append(([0], [EMPTY + hashes[0]]))
    return levels
