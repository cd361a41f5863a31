"""Rebuilding the state's root from its values, and naming the values that do not belong.

If the values lead to another root than the one committed to, the buckets say which keys: a bucket holds the hash
of every key and value as they were written. If only the buckets differ, the values are good and the tree can be
rebuilt from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Final

from careledger.ledger.findings import Finding
from careledger.ledger.meta import Position
from careledger.state.buckets import (
    EMPTY,
    ENTRY_BYTES,
    HASH_BYTES,
    bucket_hash,
    bucket_index,
    bucket_key,
    inner_hash,
)
from careledger.state.rebuild import buckets_of_values, damaged_buckets
from careledger.state.store import BUCKETS, STATE, Reader

BUCKETS_SHOWN_MAX: Final = 25
_ENTRY_COLLECTIONS: Final = {b"\x03\x01": "record entry", b"\x03\x02": "access entry"}
_ENTRY_VALUE_BYTES: Final = 41


def check_state(reader: Reader, position: Position) -> Iterator[Finding]:
    """Values lead to the root of the position, and buckets are those of the values."""
    buckets_log2 = position.buckets_log2
    root = fold_root(buckets_of_values(reader, buckets_log2), buckets_log2)
    damaged = list(islice(damaged_buckets(reader, buckets_log2), BUCKETS_SHOWN_MAX))
    if root == position.state_root:
        for number in damaged:
            yield Finding(f"state bucket {number}", "The bucket is not that of its values; rebuild the tree.")
        return
    yield Finding("state", "The values do not lead to the state root that was committed to.")
    yield from _name_keys(reader, damaged, buckets_log2)


def fold_root(buckets: Iterator[tuple[int, bytes]], buckets_log2: int) -> bytes:
    """Root over buckets in ascending order, with memory for one path only."""
    stack: list[tuple[int, int, bytes]] = []
    for index, entries in buckets:
        if stack:
            level, last, _ = stack[-1]
            # Up to just below the node that both are under, everything on the left is complete.
            _lift(stack, (last << level ^ index).bit_length() - 1)
        stack.append((0, index, bucket_hash(entries, buckets_log2)))
    if not stack:
        return EMPTY
    _lift(stack, buckets_log2)
    return stack[0][2]


def _lift(stack: list[tuple[int, int, bytes]], target: int) -> None:
    """Replace the topmost node by its ancestor at a level, counted from the buckets."""
    level, index, node = stack.pop()
    while level < target:
        if not index & 1:
            node = inner_hash(node, EMPTY)
        elif stack and stack[-1][:2] == (level, index - 1):
            node = inner_hash(stack.pop()[2], node)
        else:
            node = inner_hash(EMPTY, node)
        level, index = level + 1, index >> 1
    stack.append((level, index, node))


def _name_keys(reader: Reader, damaged: list[int], buckets_log2: int) -> Iterator[Finding]:
    """Name the keys of damaged buckets whose value is not the one that was written."""
    written: dict[bytes, bytes] = {}
    for number in damaged:
        entries = reader.get(BUCKETS, bucket_key(number)) or b""
        for at in range(0, len(entries), ENTRY_BYTES):
            written[entries[at : at + HASH_BYTES]] = entries[at + HASH_BYTES : at + ENTRY_BYTES]
    wanted = dict.fromkeys(damaged)
    for key, value in reader.scan(STATE, b"", None):
        key_hash = sha256(key).digest()
        if bucket_index(key_hash, buckets_log2) not in wanted:
            continue
        before = written.pop(key_hash, None)
        if before is None:
            yield _finding(key, value, "The value was never written by the ledger.")
        elif before != sha256(value).digest():
            yield _finding(key, value, "The value is not the one that the ledger wrote.")
    for key_hash in written:
        yield Finding(f"state key with hash {key_hash.hex()}", "A value that the ledger wrote is missing.")


def _finding(key: bytes, value: bytes, problem: str) -> Finding:
    kind = _ENTRY_COLLECTIONS.get(key[:2])
    if kind is None or len(key) != 38:
        return Finding(f"state key {key.hex()}", problem)
    height = int.from_bytes(value[33:41], "big") if len(value) == _ENTRY_VALUE_BYTES else None
    return Finding(f"{kind} {key[6:].hex()}", problem, height, str(int.from_bytes(key[2:6], "big")))
