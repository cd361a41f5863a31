"""The seen-set: every correctly signed transaction until it expires, rejected ones included.

The ids stand in a table of their own, outside the state tree: `expiry minute (4) | tx_id (32)` -> sequence
number within that minute (4). The state holds one key per minute with a digest that runs over the ids in
their order, so two nodes with different seen-sets have different state roots, and a snapshot can be checked.

Never holds an incorrectly signed transaction: a badly signed twin must not use up the good one's entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from careledger.primitives.hashing import labelled, sha256
from careledger.primitives.timestamps import MINUTE_MS
from careledger.sdk.collections import RawMap, u32_key
from careledger.sdk.context import StateReader, StateStore

DELETIONS_PER_BLOCK_MAX = 10_000
"""Bounds the work that one block can cause; only blocks with transactions delete."""

MINUTE_DIGESTS: RawMap[int] = RawMap(0, 1, "ledger.seen_minutes", u32_key)
"""Minute -> running digest (32) | count (4)."""

_EMPTY = labelled("careledger/seen/1") + bytes(4)


def minute_of(expires_at_ms: int) -> int:
    """Minute that groups transactions with this expiry."""
    return expires_at_ms // MINUTE_MS


def seen_key(minute: int, tx_id: bytes) -> bytes:
    """Table key of one seen transaction."""
    return u32_key(minute) + tx_id


def advance(digest_and_count: bytes, tx_id: bytes) -> bytes:
    """Run the digest over one more id."""
    count = int.from_bytes(digest_and_count[32:], "big")
    return sha256(digest_and_count[:32] + tx_id) + (count + 1).to_bytes(4, "big")


class SeenBlock:
    """The seen-set as one block changes it; nothing is written before `finish`."""

    def __init__(self, store: StateReader, is_in_table: Callable[[bytes], bool]) -> None:
        self._store = store
        self._is_in_table = is_in_table
        self._minutes: dict[int, bytes] = {}
        self.puts: dict[bytes, bytes] = {}

    def has(self, minute: int, tx_id: bytes) -> bool:
        """Whether the transaction was seen, in this block or before."""
        key = seen_key(minute, tx_id)
        return key in self.puts or self._is_in_table(key)

    def add(self, minute: int, tx_id: bytes) -> None:
        """Remember a correctly signed transaction."""
        current = self._minutes.get(minute)
        if current is None:
            current = MINUTE_DIGESTS.get(self._store, minute) or _EMPTY
        self.puts[seen_key(minute, tx_id)] = current[32:]
        self._minutes[minute] = advance(current, tx_id)

    def finish(self, store: StateStore, time_ms: int) -> None:
        """Write the minutes' digests and drop those that no valid transaction can fall into any more."""
        for minute, value in sorted(self._minutes.items()):
            MINUTE_DIGESTS.set(store, minute, value)
        for key in expired_minutes(store, time_ms):
            MINUTE_DIGESTS.delete(store, key)


def expired_minutes(store: StateReader, time_ms: int) -> list[int]:
    """Minutes of the state that ended before this block time."""
    first_kept = minute_of(time_ms)
    expired = []
    for key, _ in MINUTE_DIGESTS.scan_raw(store):
        minute = int.from_bytes(key, "big")
        if minute >= first_kept:
            break
        expired.append(minute)
    return expired


def expired_entries(
    scan: Callable[[bytes, bytes], Iterator[tuple[bytes, bytes]]], time_ms: int
) -> list[bytes]:
    """Table keys that may be deleted in this block, oldest first, at most `DELETIONS_PER_BLOCK_MAX`."""
    keys = []
    for key, _ in scan(b"", u32_key(minute_of(time_ms))):
        keys.append(key)
        if len(keys) >= DELETIONS_PER_BLOCK_MAX:
            break
    return keys


def compute_minute_digest(tx_ids_in_order: list[bytes]) -> bytes:
    """Digest and count of a minute's ids in the order they were seen."""
    value = _EMPTY
    for tx_id in tx_ids_in_order:
        value = advance(value, tx_id)
    return value
