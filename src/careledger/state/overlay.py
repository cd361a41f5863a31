"""Nested ordered writes over a read-only view, merged into the parent or dropped as a whole.

A block runs on one overlay over the committed state, each transaction on an overlay over the block's.
Rejecting a transaction is `discard`, accepting it `merge_into_parent`. Not thread-safe; it never writes to
a store: the outermost overlay's `changes` go to `careledger.state.tree` and into one write batch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from careledger.state.store import OrderedView

_INSORT_MAX: Final = 32
"""Up to so many new keys are inserted one by one into the sorted keys; more are appended and sorted."""


class Overlay:
    """Pending writes and deletions above a parent view.

    Reads fall through to the parent, so the parent's own later writes show where this overlay has none.
    """

    __slots__ = ("_parent", "_parent_get", "_sorted", "_writes")

    def __init__(self, parent: OrderedView) -> None:
        self._parent = parent
        self._parent_get = parent.get
        # A key stays in the dictionary until the overlay is emptied, deletions included, so its length
        # alone tells whether the sorted keys are complete.
        self._writes: dict[bytes, bytes | None] = {}
        self._sorted: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""
        writes = self._writes
        if key in writes:
            return writes[key]
        return self._parent_get(key)

    def has(self, key: bytes) -> bool:
        """Say whether there is a value under the key."""
        writes = self._writes
        if key in writes:
            return writes[key] is not None
        return self._parent_get(key) is not None

    def set(self, key: bytes, value: bytes) -> None:
        """Write one value."""
        self._writes[key] = value

    def set_many(self, pairs: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]) -> None:
        """Write many values."""
        self._writes.update(pairs)

    def delete(self, key: bytes) -> None:
        """Remove a key; an absent key is left absent."""
        self._writes[key] = None

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key.

        The scan sees the pending writes as they are at this call: writing while it runs does not disturb
        it.
        """
        below = self._parent.scan(start, end, reverse=reverse)
        if not self._writes:
            return below
        keys = self._sorted_keys()
        first = bisect_left(keys, start)
        last = len(keys) if end is None else bisect_left(keys, end, lo=first)
        if first >= last:
            return below
        writes = self._writes
        own = [(key, writes[key]) for key in keys[first:last]]
        if reverse:
            own.reverse()
        return _merge(own, below, reverse=reverse)

    def changes(self) -> dict[bytes, bytes | None]:
        """Return a copy of the pending writes: key to value, or to None for a deletion."""
        return dict(self._writes)

    def merge_into_parent(self) -> None:
        """Move the pending writes into the parent overlay and be empty again.

        Raises:
            TypeError: The parent is not an overlay; its changes go to the store in a write batch.
        """
        parent = self._parent
        if not isinstance(parent, Overlay):
            raise TypeError("only an overlay over an overlay can be merged")
        parent._writes.update(self._writes)  # noqa: SLF001 - the parent is of this very class
        self.discard()

    def discard(self) -> None:
        """Drop the pending writes and be empty again."""
        self._writes = {}
        self._sorted = []

    def __len__(self) -> int:
        """Return the number of keys pending, deletions included."""
        return len(self._writes)

    def _sorted_keys(self) -> list[bytes]:
        keys = self._sorted
        missing = len(self._writes) - len(keys)
        if missing > _INSORT_MAX:
            # A fresh list, because a scan under way may hold a slice position of none; sort is linear on
            # runs.
            keys = sorted(self._writes)
            self._sorted = keys
        elif missing:
            # Dictionaries keep insertion order: the keys not yet sorted are the last ones.
            for key in islice(reversed(self._writes), missing):
                insort(keys, key)
        return keys


def _merge(
    own: list[tuple[bytes, bytes | None]], below: Iterator[tuple[bytes, bytes]], *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Interleave own writes with the parent's pairs; at the same key the own write, or deletion, wins."""
    pending = next(below, None)
    for key, value in own:
        while pending is not None and (pending[0] > key if reverse else pending[0] < key):
            yield pending
            pending = next(below, None)
        if pending is not None and pending[0] == key:
            pending = next(below, None)
        if value is not None:
            yield key, value
    if pending is not None:
        yield pending
        yield from below
