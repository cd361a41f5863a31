"""Port of the ordered store: named tables, read at a snapshot, written in one atomic batch.

Owns the table names of the ledger's store, the protocols an adapter fulfils and the write batch. It
performs no
I/O: the adapters are `careledger.storage.lmdb_tables` (durable) and `careledger.storage.memory_tables`
(simulations and property tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

STATE: Final = "state"
"""Key -> value of the replicated state; what the state root commits to."""
BUCKETS: Final = "buckets"
"""Bucket index -> its entries, see `careledger.state.tree`."""
UNDO: Final = "undo"
"""Undo layers of the last heights that changed the state, see `careledger.state.undo`."""
META: Final = "meta"
"""Small records about the store as a whole; names starting with `state.` belong to this package."""
SEEN: Final = "seen"
"""Transactions seen and not yet expired."""
RECEIPTS: Final = "receipts"
"""Receipts by transaction and by height."""
EVENTS: Final = "events"
"""Ledger events by height and position."""
HISTORY: Final = "history"
"""Nodes and leaves of the history log."""
HEADERS: Final = "headers"
"""Headers and commits by height."""
BODIES: Final = "bodies"
"""Exact transaction bytes by height."""

LEDGER_TABLES: Final = (STATE, BUCKETS, UNDO, META, SEEN, RECEIPTS, EVENTS, HISTORY, HEADERS, BODIES)
"""All tables of the ledger's store; an adapter accepts any fixed list at opening."""

KEY_BYTES_MAX: Final = 480
"""Longest key of any table, below LMDB's limit of 511 bytes."""


class StorageFailed(Exception):  # noqa: N818 - named like Rejected and Unavailable, of which it is the fatal kin
    """The disk or the store refused: what was not yet acknowledged must not be, and the process stops."""


class SnapshotLost(Exception):  # noqa: N818 - see StorageFailed
    """A read snapshot became invalid because the store's map grew; take a new one and read again."""


class OrderedView(Protocol):
    """An ordered map, read only: one table at a snapshot, an overlay, the state at a height."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""

    def has(self, key: bytes) -> bool:
        """Say whether there is a value under the key."""

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""


class Reader(Protocol):
    """All tables at one snapshot; valid only inside the `with` block that gave it."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are present; fastest when the keys come in order."""

    def scan(
        self, table: str, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""

    def count(self, table: str) -> int:
        """Return the number of keys in the table."""


class WriteBatch:
    """What one atomic write changes, table by table; the last word about a key wins.

    An adapter applies a table's changes in key order, since neighbouring keys share pages.
    """

    __slots__ = ("appends", "changes")

    def __init__(self) -> None:
        self.changes: dict[str, dict[bytes, bytes | None]] = {}
        """Per table: key to new value, or to None for a deletion."""
        self.appends: dict[str, list[tuple[bytes, bytes]]] = {}
        """Per table: pairs in ascending order, all behind every key the table has or is given in
        `changes`."""

    def _table(self, table: str) -> dict[bytes, bytes | None]:
        changes = self.changes.get(table)
        if changes is None:
            changes = self.changes[table] = {}
        return changes

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Write one value."""
        self._table(table)[key] = value

    def delete(self, table: str, key: bytes) -> None:
        """Remove a key; an absent key stays absent."""
        self._table(table)[key] = None

    def update(
        self, table: str, changes: Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        """Write many values, or delete where the value is None."""
        self._table(table).update(changes)

    def append(self, table: str, key: bytes, value: bytes) -> None:
        """Write a pair whose key lies behind every key of the table; faster than `put` for logs.

        The adapter raises ValueError, and writes nothing, when that is not so.
        """
        self.appends.setdefault(table, []).append((key, value))

    def __bool__(self) -> bool:
        return any(self.changes.values()) or any(self.appends.values())


class Tables(Protocol):
    """An opened store with a fixed list of tables."""

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Open a read snapshot: it sees every batch written before and none after.

        Keep it short and never hold it across an `await`: pages it can see are not reused.
        """

    def write(self, batch: WriteBatch) -> None:
        """Apply the batch in one atomic transaction that is durable when this returns.

        Raises:
            StorageFailed: The batch was not made durable; fatal for the process.
            ValueError: Unknown table, a key that is empty or longer than `KEY_BYTES_MAX`, or an append that
                is out of order; nothing was written.
        """

    def close(self) -> None:
        """Close the store; later calls fail."""


class TableView:
    """One table of a snapshot as an `OrderedView`, such as the parent of the block's overlay."""

    __slots__ = ("_reader", "_table")

    def __init__(self, reader: Reader, table: str = STATE) -> None:
        self._reader = reader
        self._table = table

    def get(self, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""
        return self._reader.get(self._table, key)

    def has(self, key: bytes) -> bool:
        """Say whether there is a value under the key."""
        return self._reader.get(self._table, key) is not None

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""
        return self._reader.scan(self._table, start, end, reverse=reverse)
