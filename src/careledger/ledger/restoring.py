"""Restoring a snapshot into an empty replica, and giving it back its older history.

Owns the order of steps that leaves a replica either empty or whole, whatever interrupts it: a mark is written
first and goes with the same batch that writes the position. Trusts nothing but the manifest that
`careledger.ledger.snapshots.check_manifest` has checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from careledger.ledger.history import (
    EMPTY_FRONTIER,
    HistoryLeaf,
    append_leaf,
    leaf_key,
    node_key,
    read_leaf,
)
from careledger.ledger.meta import (
    LEAF_INDEX,
    POSITION_KEY,
    Position,
    decode_position,
    encode_position,
    height_key,
)
from careledger.ledger.seen import MINUTE_DIGESTS, compute_minute_digest
from careledger.ledger.snapshots import (
    CHUNK_BYTES_MAX,
    SEEN_ROW,
    STATE_ROW,
    TABLE_OF,
    SnapshotInvalid,
    SnapshotManifest,
    next_minute,
    read_rows,
)
from careledger.primitives.codec import CodecError, decode
from careledger.primitives.errors import InvariantViolated
from careledger.primitives.hashing import leaf_hash, node_hash, sha256
from careledger.state.nodes import Nodes
from careledger.state.rebuild import StateDamaged, rebuild_from_values
from careledger.state.store import (
    BUCKETS,
    HISTORY,
    META,
    SEEN,
    STATE,
    UNDO,
    Reader,
    Tables,
    TableView,
    WriteBatch,
)
from careledger.state.undo import VERSIONS_KEY, Version

_RESTORING_KEY = b"restoring"
_ROWS_PER_BATCH = 16_384


class SnapshotRestore:
    """Fills an empty replica from one snapshot, part by part, each durably.

    Until `finish` has run, the replica counts as empty: whatever interrupts it, `discard_restore` on the next
    opening removes what was written, and the restoring begins anew.
    """

    def __init__(self, tables: Tables, nodes: Nodes, manifest: SnapshotManifest) -> None:
        """Begin; what an earlier attempt left behind is removed.

        Raises:
            InvariantViolated: The replica is not empty.
        """
        with tables.snapshot() as reader:
            if reader.get(META, POSITION_KEY) is not None:
                raise InvariantViolated("a snapshot is restored into an empty replica only")
        batch = WriteBatch()
        batch.put(META, _RESTORING_KEY, height_key(manifest.height))
        tables.write(batch)
        _empty(tables)
        self._tables = tables
        self._nodes = nodes
        self._manifest = manifest
        self._last = (0, b"")
        self._counts = {STATE_ROW: 0, SEEN_ROW: 0}
        self.applied = 0
        """Parts applied so far; the next one has this number."""

    def apply(self, chunk: bytes) -> None:
        """Apply the next part.

        Raises:
            SnapshotInvalid: It is not the part that the manifest names, or is malformed; nothing was written.
            StorageFailed: The disk refused; fatal.
        """
        hashes = self._manifest.chunks
        if self.applied >= len(hashes):
            raise SnapshotInvalid("there are no more parts")
        if len(chunk) > CHUNK_BYTES_MAX or sha256(chunk) != hashes[self.applied]:
            raise SnapshotInvalid("the part is not the one that the manifest names")
        batch, counts, last = WriteBatch(), dict(self._counts), self._last
        for kind, key, value in read_rows(chunk):
            if (kind, key) <= last:
                raise SnapshotInvalid("the rows are not in order")
            last = (kind, key)
            counts[kind] += 1
            batch.put(TABLE_OF[kind], key, value)
        self._tables.write(batch)
        self._counts, self._last = counts, last
        self.applied += 1

    def finish(self) -> Position:
        """Check everything against the trusted application hash, and make the replica count.

        1. All parts were applied, with as many rows as the manifest says.
        2. The seen-set is the one that the state's digests of minutes vouch for.
        3. The pairs lead to the state root of the newest leaf.
        4. Position, frontier and newest leaf are written, in one batch that also ends the restoring.

        Raises:
            SnapshotInvalid: A step failed; the replica is empty again.
            StorageFailed: The disk refused; fatal.
        """
        leaf = self._manifest.newest_leaf()
        try:
            self._check(leaf)
        except SnapshotInvalid:
            discard_restore(self._tables)
            raise
        # 4
        position = self._position(leaf)
        batch = WriteBatch()
        batch.update(HISTORY, _history_rows(self._manifest))
        batch.put(LEAF_INDEX, height_key(leaf.height), height_key(self._manifest.frontier.size - 1))
        batch.put(META, POSITION_KEY, encode_position(position))
        batch.delete(META, _RESTORING_KEY)
        self._tables.write(batch)
        return position

    def _check(self, leaf: HistoryLeaf) -> None:
        """Steps 1 to 3 of `finish`."""
        # 1
        expected = {STATE_ROW: self._manifest.state_count, SEEN_ROW: self._manifest.seen_count}
        if self.applied != len(self._manifest.chunks) or self._counts != expected:
            raise SnapshotInvalid("the snapshot is not complete")
        # 2
        with self._tables.snapshot() as reader:
            _check_seen(reader, self._manifest.seen_count)
        # 3
        try:
            rebuild_from_values(self._tables, self._nodes, Version(leaf.height, leaf.state_root))
        except StateDamaged as error:
            raise SnapshotInvalid(str(error)) from None

    def _position(self, leaf: HistoryLeaf) -> Position:
        manifest = self._manifest
        return Position(
            chain_id=manifest.chain_id,
            height=manifest.height,
            # The time of a block without transactions is in no hash that is known here; the leaf's is, and it
            # is not later. The next block sets it right.
            time_ms=leaf.time_ms,
            state_root=leaf.state_root,
            state_height=leaf.height,
            frontier=manifest.frontier,
            buckets_log2=manifest.buckets_log2,
            pruned_below=manifest.height + 1,
        )


def is_restoring(reader: Reader) -> bool:
    """Whether a restoring was begun and not finished."""
    return reader.get(META, _RESTORING_KEY) is not None


def discard_restore(tables: Tables) -> bool:
    """Remove what an unfinished restoring left behind; run before the tree is opened.

    Returns:
        Whether there was anything.
    """
    with tables.snapshot() as reader:
        if not is_restoring(reader):
            return False
    _empty(tables)
    batch = WriteBatch()
    batch.delete(META, _RESTORING_KEY)
    tables.write(batch)
    return True


def fill_history(tables: Tables, leaves: Callable[[], Iterable[bytes]]) -> int:
    """Add the older history to a restored replica, so that it can prove old leaves as well.

    Args:
        tables: the store of the replica.
        leaves: gives the encoded leaves from the first on, at least as many as the replica's newest one has
            before it; called twice: once to check them against the replica's own history, once to write.

    Returns:
        Number of leaves written.

    Raises:
        SnapshotInvalid: The leaves do not lead to the history that the replica has; nothing was written.
    """
    with tables.snapshot() as reader:
        first = _first_leaf(reader)
        known = {
            key: reader.get(HISTORY, key)
            for key in (node_key(level, index) for level, index in _peaks(first))
        }
    frontier = EMPTY_FRONTIER
    for raw in islice(leaves(), first):
        frontier, _ = append_leaf(frontier, _decoded_leaf(raw))
    if frontier.size != first or list(known.values()) != list(frontier.peaks):
        raise SnapshotInvalid("the leaves are not those of the history")
    frontier, batch = EMPTY_FRONTIER, WriteBatch()
    for raw in islice(leaves(), first):
        leaf = _decoded_leaf(raw)
        batch.put(LEAF_INDEX, height_key(leaf.height), height_key(frontier.size))
        frontier, rows = append_leaf(frontier, leaf)
        batch.update(HISTORY, rows)
        if frontier.size % 4_096 == 0:
            tables.write(batch)
            batch = WriteBatch()
    tables.write(batch)
    return first


def _decoded_leaf(raw: bytes) -> HistoryLeaf:
    try:
        return decode(raw, HistoryLeaf)
    except CodecError as error:
        raise SnapshotInvalid(f"a leaf cannot be read: {error}") from None


def _first_leaf(reader: Reader) -> int:
    """Index of the oldest leaf in a replica's unbroken history up to its newest one."""
    raw = reader.get(META, POSITION_KEY)
    if raw is None:
        raise InvariantViolated("the ledger has no genesis yet")
    index = decode_position(raw).frontier.size - 1
    while index and read_leaf(lambda name: reader.get(HISTORY, name), index - 1) is not None:
        index -= 1
    return index


def _peaks(size: int) -> list[tuple[int, int]]:
    """(level, index) of the complete subtrees over the first leaves, largest first."""
    places, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            places.append((level, start >> level))
            start += 1 << level
    return places


def _history_rows(manifest: SnapshotManifest) -> dict[bytes, bytes]:
    """Rows of the table `history` that prove the newest leaf and let later ones be appended and proved."""
    size = manifest.frontier.size
    rows = {
        node_key(level, index): peak
        for (level, index), peak in zip(_peaks(size), manifest.frontier.peaks, strict=True)
    }
    # The siblings on the way from the last leaf to the root are the complete subtrees over what is before it.
    before = reversed(_peaks(size - 1))
    rows.update(
        (node_key(level, index), sibling)
        for (level, index), sibling in zip(before, manifest.leaf.path, strict=True)
    )
    # The subtrees that the last leaf completed.
    level, index, node = 0, size - 1, leaf_hash(manifest.leaf.leaf)
    rows[leaf_key(index)] = manifest.leaf.leaf
    rows[node_key(level, index)] = node
    for sibling in manifest.leaf.path:
        if not index & 1:
            break
        level, index, node = level + 1, index >> 1, node_hash(sibling, node)
        rows[node_key(level, index)] = node
    return rows


def _check_seen(reader: Reader, seen_count: int) -> None:
    found = 0
    for minute, digest in MINUTE_DIGESTS.scan_raw(TableView(reader)):
        rows = sorted((value, key[4:]) for key, value in reader.scan(SEEN, minute, next_minute(minute)))
        numbers = [value for value, _ in rows]
        if numbers != [number.to_bytes(4, "big") for number in range(len(rows))]:
            raise SnapshotInvalid("the seen-set of a minute has gaps")
        if compute_minute_digest([tx_id for _, tx_id in rows]) != digest:
            raise SnapshotInvalid("the seen-set is not the one that the state vouches for")
        found += len(rows)
    if found != seen_count:
        raise SnapshotInvalid("the seen-set has entries that nothing vouches for")


def _empty(tables: Tables) -> None:
    for table in (STATE, BUCKETS, UNDO, SEEN, HISTORY, LEAF_INDEX):
        while True:
            with tables.snapshot() as reader:
                keys = [key for key, _ in islice(reader.scan(table, b"", None), _ROWS_PER_BATCH)]
            if not keys:
                break
            batch = WriteBatch()
            batch.update(table, dict.fromkeys(keys))
            tables.write(batch)
    batch = WriteBatch()
    batch.delete(META, VERSIONS_KEY)
    tables.write(batch)
