"""Opening the tree, and rebuilding what can be derived: nodes from buckets, buckets from values.

Owns the decision whether the node file is that of the store, and the two rebuilds. The first runs on opening
after an unclean end; the second belongs to `careledger doctor` and to restoring a snapshot. Memory stays
bounded: nodes are written subtree by subtree, and buckets are calculated in passes over ranges of the key
hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby, islice
from typing import Final

from careledger.primitives.errors import InvariantViolated
from careledger.state.buckets import (
    EMPTY,
    EMPTY_PAIR,
    HASH_BYTES,
    INNER_TAG,
    bucket_hash,
    bucket_index,
    bucket_key,
)
from careledger.state.nodes import PAIR_BYTES, Nodes, Stamp, root_of
from careledger.state.store import BUCKETS, META, STATE, UNDO, Reader, Tables, WriteBatch
from careledger.state.tree import BucketTree
from careledger.state.undo import VERSIONS_KEY, Version, Versions, read_versions

_SPAN_NODES: Final = 1 << 12
"""Nodes calculated and written at a time."""
_PASS_KEYS_MAX: Final = 1 << 21
"""Keys whose entries are held in memory in one pass over the values: about 300 MB."""
_BATCH_KEYS: Final = 1 << 14
"""Keys written or removed in one batch during a rebuild."""


class StateDamaged(InvariantViolated):
    """What the store holds does not lead to the state root it names."""


def open_tree(reader: Reader, nodes: Nodes) -> BucketTree:
    """Return the tree over the node file, rebuilding the nodes first if they are not those of the store.

    Raises:
        InvariantViolated: The store was made with another number of buckets.
        StateDamaged: The buckets do not lead to the stored state root.
    """
    versions = read_versions(reader)
    if versions is not None and versions.buckets_log2 != nodes.buckets_log2:
        raise InvariantViolated("the store and the node file differ in the number of buckets")
    stored = None if versions is None else Stamp(*versions.current)
    # The stamp of an empty state is none, and so is that of nodes nobody vouches for: look at the root as
    # well.
    if nodes.stamp() != stored or (stored is None and root_of(nodes) != EMPTY):
        rebuild_nodes(reader, nodes)
    return BucketTree(nodes)


def rebuild_nodes(reader: Reader, nodes: Nodes) -> None:
    """Calculate all nodes from the table `buckets` and stamp them.

    Raises:
        StateDamaged: The root differs from the stored one; the nodes are left without a stamp.
    """
    nodes.clear()
    fill_nodes(_stored_buckets(reader), nodes)
    versions = read_versions(reader)
    if root_of(nodes) != (EMPTY if versions is None else versions.current.root):
        raise StateDamaged("the buckets do not lead to the stored state root")
    if versions is not None:
        nodes.set_stamp(Stamp(*versions.current))


def _stored_buckets(reader: Reader) -> Iterator[tuple[int, bytes]]:
    return ((int.from_bytes(key, "big"), entries) for key, entries in reader.scan(BUCKETS, b"", None))


def fill_nodes(buckets: Iterator[tuple[int, bytes]], nodes: Nodes) -> None:
    """Write all nodes above these buckets, which come in ascending order, into cleared nodes."""
    depth = nodes.buckets_log2
    first = 1 << depth
    span_log2 = min(depth, _SPAN_NODES.bit_length() - 1)
    span_nodes = 1 << span_log2
    leaves = bytearray(span_nodes * HASH_BYTES)
    start = 0
    for index, entries in buckets:
        if index >= start + span_nodes:
            nodes.write_span(first + start, bytes(leaves))
            leaves = bytearray(span_nodes * HASH_BYTES)
            start = index >> span_log2 << span_log2
        at = (index - start) * HASH_BYTES
        leaves[at : at + HASH_BYTES] = bucket_hash(entries, depth)
    nodes.write_span(first + start, bytes(leaves))
    for level in range(depth - 1, -1, -1):
        _fill_level(nodes, 1 << level)


def _fill_level(nodes: Nodes, width: int) -> None:
    """Calculate one level, of `width` nodes, from the level below it."""
    buffer = nodes.buffer
    span = min(width, _SPAN_NODES)
    size = span * PAIR_BYTES
    zeros = bytes(size)
    starts = range(0, size, PAIR_BYTES)
    for parent in range(width, 2 * width, span):
        below = buffer[parent * PAIR_BYTES : parent * PAIR_BYTES + size]
        if below == zeros:
            continue
        pairs = [below[at : at + PAIR_BYTES] for at in starts]
        if EMPTY_PAIR in below:
            hashes = [EMPTY if pair == EMPTY_PAIR else sha256(INNER_TAG + pair).digest() for pair in pairs]
        else:
            hashes = [sha256(INNER_TAG + pair).digest() for pair in pairs]
        nodes.write_span(parent, b"".join(hashes))


def buckets_of_values(reader: Reader, buckets_log2: int) -> Iterator[tuple[int, bytes]]:
    """Calculate all buckets from the table `state`, in ascending order, with bounded memory."""
    passes = reader.count(STATE) // _PASS_KEYS_MAX + 1
    buckets_count = 1 << buckets_log2
    for number in range(passes):
        low = buckets_count * number // passes
        high = buckets_count * (number + 1) // passes
        entries: list[bytes] = []
        for key, value in reader.scan(STATE, b"", None):
            key_hash = sha256(key).digest()
            if low <= bucket_index(key_hash, buckets_log2) < high:
                entries.append(key_hash + sha256(value).digest())
        entries.sort()
        for index, group in groupby(entries, lambda entry: bucket_index(entry, buckets_log2)):
            yield index, b"".join(group)


def damaged_buckets(reader: Reader, buckets_log2: int) -> Iterator[int]:
    """Return the numbers of the buckets that are not what the values say, for `careledger doctor`."""
    stored = _stored_buckets(reader)
    pending = next(stored, None)
    for index, entries in buckets_of_values(reader, buckets_log2):
        while pending is not None and pending[0] < index:
            yield pending[0]
            pending = next(stored, None)
        if pending is None or pending[0] > index:
            yield index
            continue
        if pending[1] != entries:
            yield index
        pending = next(stored, None)
    while pending is not None:
        yield pending[0]
        pending = next(stored, None)


def rebuild_from_values(tables: Tables, nodes: Nodes, expected: Version) -> BucketTree:
    """Calculate buckets, nodes and the record of versions from the table `state`.

    For restoring a snapshot whose values are already in the table, and for repair. It may be interrupted and
    called again: the record of versions, which makes the state count, is written last. Undo layers are
    dropped.

    Args:
        tables: the store, which nobody else writes meanwhile.
        nodes: the node file.
        expected: height and state root that the values must lead to.

    Raises:
        StateDamaged: The values lead to another root; the store is left without a record of versions.
        StorageFailed: As for every write.
    """
    forget = WriteBatch()
    forget.delete(META, VERSIONS_KEY)
    tables.write(forget)
    for table in (BUCKETS, UNDO):
        _empty_table(tables, table)
    with tables.snapshot() as reader:
        buckets = buckets_of_values(reader, nodes.buckets_log2)
        while chunk := list(islice(buckets, _BATCH_KEYS)):
            batch = WriteBatch()
            batch.update(BUCKETS, ((bucket_key(index), entries) for index, entries in chunk))
            tables.write(batch)
    nodes.clear()
    with tables.snapshot() as reader:
        fill_nodes(_stored_buckets(reader), nodes)
    if root_of(nodes) != expected.root:
        raise StateDamaged("the values do not lead to the expected state root")
    batch = WriteBatch()
    batch.put(META, VERSIONS_KEY, Versions(nodes.buckets_log2, (expected,)).encode())
    tables.write(batch)
    nodes.set_stamp(Stamp(*expected))
    return BucketTree(nodes)


def _empty_table(tables: Tables, table: str) -> None:
    while True:
        with tables.snapshot() as reader:
            keys = [key for key, _ in islice(reader.scan(table, b"", None), _BATCH_KEYS)]
        if not keys:
            return
        batch = WriteBatch()
        batch.update(table, dict.fromkeys(keys))
        tables.write(batch)
