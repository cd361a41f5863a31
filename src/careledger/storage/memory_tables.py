"""Tables held in memory: the store port for simulations and property tests.

Snapshots are isolated from later writes. Nothing is durable.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from careledger.state.store import KEY_BYTES_MAX, LEDGER_TABLES, StorageFailed, WriteBatch


def _check_key(key: bytes) -> None:
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a key must have 1 to {KEY_BYTES_MAX} bytes, not {len(key)}")


class _Table:
    """Values and their keys in order; frozen while a snapshot shows it."""

    __slots__ = ("keys", "values")

    def __init__(self, values: dict[bytes, bytes], keys: list[bytes]) -> None:
        self.values = values
        self.keys = keys

    def changed(self, changes: dict[bytes, bytes | None], appends: list[tuple[bytes, bytes]]) -> _Table:
        """Return a copy with the changes applied.

        Raises:
            ValueError: A key has no valid length, or an append is out of order.
        """
        values = dict(self.values)
        added: list[bytes] = []
        for key, value in changes.items():
            _check_key(key)
            if value is None:
                values.pop(key, None)
            else:
                if key not in values:
                    added.append(key)
                values[key] = value
        keys = self.keys + added
        if len(keys) != len(values):
            keys = [key for key in keys if key in values]
        keys.sort()
        for key, value in appends:
            _check_key(key)
            if keys and key <= keys[-1]:
                raise ValueError("an appended key must lie behind every key of its table")
            keys.append(key)
            values[key] = value
        return _Table(values, keys)


class MemoryReader:
    """All tables at one snapshot."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, _Table]) -> None:
        self._tables = tables

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""
        return self._tables[table].values.get(key)

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are present."""
        values = self._tables[table].values
        return {key: values[key] for key in keys if key in values}

    def scan(
        self, table: str, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""
        shown = self._tables[table]
        first = bisect_left(shown.keys, start)
        last = len(shown.keys) if end is None else bisect_left(shown.keys, end, lo=first)
        positions = range(last - 1, first - 1, -1) if reverse else range(first, last)
        return ((key, shown.values[key]) for key in map(shown.keys.__getitem__, positions))

    def count(self, table: str) -> int:
        """Return the number of keys in the table."""
        return len(self._tables[table].keys)


class MemoryTables:
    """A store in memory with a fixed list of tables."""

    def __init__(self, tables: Sequence[str] = LEDGER_TABLES) -> None:
        self._tables: dict[str, _Table] | None = {name: _Table({}, []) for name in tables}

    @contextmanager
    def snapshot(self) -> Iterator[MemoryReader]:
        """Open a read snapshot: it sees every batch written before and none after."""
        shown = dict(self._opened())
        try:
            yield MemoryReader(shown)
        finally:
            # A reader used after its block must fail here as it does with a durable store.
            shown.clear()

    def write(self, batch: WriteBatch) -> None:
        """Apply the batch, all or nothing.

        Raises:
            ValueError: Unknown table, bad key, or an append out of order; nothing was written.
            StorageFailed: The store was closed.
        """
        tables = self._opened()
        changed: dict[str, _Table] = {}
        for name in (*batch.changes, *(name for name in batch.appends if name not in batch.changes)):
            if name not in tables:
                raise ValueError(f"the store has no table {name!r}")
            changed[name] = tables[name].changed(batch.changes.get(name, {}), batch.appends.get(name, []))
        tables.update(changed)

    def close(self) -> None:
        """Close the store; later calls fail."""
        self._tables = None

    def _opened(self) -> dict[str, _Table]:
        if self._tables is None:
            raise StorageFailed("the store is closed")
        return self._tables
