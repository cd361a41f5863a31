"""Undo layers: what is needed to see the state as it was before each of the last heights that changed it.

Owns the record of versions in the table `meta` and the layers in the table `undo`. A layer of height h
holds, for every key that h changed, its value before; and the old hashes of the changed nodes in the upper
part of the tree. It does not decide what is asked of them: `careledger.state.at_height` does.

What a layer leaves out was chosen by measuring blocks of 5,000 changed keys among 1,000,000 on LMDB. Old
values and their index take 0.5 MB, and nobody can recompute them. Old bucket contents would add 0.5 MB (3 MB
among 10,000,000 keys) but follow from the old values, so they are left out. Old nodes of all levels would
take 2.7 MB and 2 us per changed key; kept down to groups of 2^8 buckets they take 0.26 MB, and reading at an
old height recomputes one such group, in about a millisecond. Either is small beside the 40 MB of pages that
such a block writes.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Final, NamedTuple

from careledger.primitives.errors import InvariantViolated
from careledger.state.buckets import HASH_BYTES
from careledger.state.nodes import PAIR_BYTES
from careledger.state.store import META, UNDO, Reader

UNDO_HEIGHTS_MAX: Final = 64
"""Heights that changed the state and can be undone."""
GROUP_LOG2: Final = 8
"""Levels at the bottom of the tree whose old nodes are recomputed from values instead of being kept."""

VERSIONS_KEY: Final = b"state.versions"
"""Key in the table `meta` under which the record of versions stands."""

_VERSION_BYTES: Final = 8 + HASH_BYTES
_INDEX_ENTRY_BYTES: Final = 8 + 4 + 4 + 1

_VALUE_INDEX: Final = b"\x01"
_VALUE_DATA: Final = b"\x02"
_NODE_INDEX: Final = b"\x03"
_NODE_DATA: Final = b"\x04"
_SECTIONS: Final = (_VALUE_INDEX, _VALUE_DATA, _NODE_INDEX, _NODE_DATA)


class Version(NamedTuple):
    """A state the store can show."""

    height: int
    """Height that produced it."""
    root: bytes
    """Its state root, 32 bytes."""


class Versions(NamedTuple):
    """The record in `meta`: the current state and those before it that can still be shown."""

    buckets_log2: int
    """Binary logarithm of the number of buckets."""
    known: tuple[Version, ...]
    """Oldest first; the last is the current state. All but the oldest have an undo layer."""

    @property
    def current(self) -> Version:
        """The state the tables hold."""
        return self.known[-1]

    def encode(self) -> bytes:
        """Return the record: the logarithm (1 byte), then height (8 bytes, big-endian) and root of each."""
        return bytes((self.buckets_log2,)) + b"".join(
            version.height.to_bytes(8, "big") + version.root for version in self.known
        )

    @classmethod
    def decode(cls, raw: bytes) -> Versions:
        """Read the record.

        Raises:
            InvariantViolated: It has no valid length.
        """
        if len(raw) <= 1 or (len(raw) - 1) % _VERSION_BYTES:
            raise InvariantViolated("the record of state versions is damaged")
        return cls(
            raw[0],
            tuple(
                Version(int.from_bytes(raw[at : at + 8], "big"), raw[at + 8 : at + _VERSION_BYTES])
                for at in range(1, len(raw), _VERSION_BYTES)
            ),
        )


def read_versions(reader: Reader) -> Versions | None:
    """Return the record of versions, or None when no state was ever written."""
    raw = reader.get(META, VERSIONS_KEY)
    return None if raw is None else Versions.decode(raw)


def layer_keys(height: int) -> tuple[bytes, ...]:
    """Return the keys in the table `undo` that make up the layer of a height."""
    prefix = height.to_bytes(8, "big")
    return tuple(prefix + section for section in _SECTIONS)


def _little_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(raw: memoryview, code: str) -> Sequence[int]:
    if sys.byteorder == "little":
        return raw.cast(code)  # type: ignore[call-overload,no-any-return]  # the code is one of two literals
    swapped = array(code, raw.tobytes())
    swapped.byteswap()
    return swapped


def encode_layer(
    height: int,
    key_prefixes: Iterable[int],
    keys: Sequence[bytes],
    old_values: Sequence[bytes | None],
    parents: Iterable[int],
    old_pairs: Iterable[bytes],
) -> dict[bytes, bytes]:
    """Return the records of one layer, by their keys in the table `undo`.

    Args:
        height: the height that is about to change the state.
        key_prefixes: first 8 bytes of each changed key's SHA-256 as a number, ascending.
        keys: the changed keys, in the same order.
        old_values: their values before, None for an absent key.
        parents: ascending numbers of the nodes whose children's old hashes are kept.
        old_pairs: those hashes, 64 bytes for each parent.
    """
    olds = [old or b"" for old in old_values]
    index = (
        _little_endian(array("Q", key_prefixes))
        + _little_endian(array("I", accumulate(map(len, keys))))
        + _little_endian(array("I", accumulate(map(len, olds))))
        + bytes([old is not None for old in old_values])
    )
    data = b"".join(keys) + b"".join(olds)
    records = (index, data, _little_endian(array("I", parents)), b"".join(old_pairs))
    return dict(zip(layer_keys(height), records, strict=True))


class UndoLayer:
    """One layer, read section by section as needed; valid as long as its reader."""

    __slots__ = (
        "_data",
        "_key_ends",
        "_keys_size",
        "_node_data",
        "_old_ends",
        "_parents",
        "_prefix",
        "_prefixes",
        "_present",
        "_reader",
    )

    def __init__(self, reader: Reader, height: int) -> None:
        self._reader = reader
        self._prefix = height.to_bytes(8, "big")
        index = memoryview(self._section(_VALUE_INDEX))
        count = len(index) // _INDEX_ENTRY_BYTES
        self._prefixes = _numbers(index[: 8 * count], "Q")
        self._key_ends = _numbers(index[8 * count : 12 * count], "I")
        self._old_ends = _numbers(index[12 * count : 16 * count], "I")
        self._present = index[16 * count :]
        self._keys_size = self._key_ends[-1] if count else 0
        self._parents: Sequence[int] | None = None
        self._data: bytes | None = None
        self._node_data: bytes | None = None

    def _section(self, section: bytes) -> bytes:
        raw = self._reader.get(UNDO, self._prefix + section)
        if raw is None:
            raise InvariantViolated("an undo layer named by the record of versions is missing")
        return raw

    def _values(self) -> bytes:
        if self._data is None:
            self._data = self._section(_VALUE_DATA)
        return self._data

    def _key(self, position: int) -> bytes:
        start = self._key_ends[position - 1] if position else 0
        return self._values()[start : self._key_ends[position]]

    def _old(self, position: int) -> bytes | None:
        if not self._present[position]:
            return None
        start = self._old_ends[position - 1] if position else 0
        return self._values()[self._keys_size + start : self._keys_size + self._old_ends[position]]

    def find(self, key: bytes, key_prefix: int) -> tuple[bytes | None] | None:
        """Return the key's old value in a tuple of one, or None when this height did not change the key."""
        position = bisect_left(self._prefixes, key_prefix)
        while position < len(self._prefixes) and self._prefixes[position] == key_prefix:
            if self._key(position) == key:
                return (self._old(position),)
            position += 1
        return None

    def changed(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes | None]]:
        """Return key and old value of changed keys with start <= key < end, in no order of keys."""
        data = self._values()
        begin = 0
        for position, stop in enumerate(self._key_ends):
            key = data[begin:stop]
            begin = stop
            if key >= start and (end is None or key < end):
                yield key, self._old(position)

    def within(self, first_prefix: int, last_prefix: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Return key and old value of changed keys with a hash prefix within these bounds, both inclusive."""
        for position in range(bisect_left(self._prefixes, first_prefix), len(self._prefixes)):
            if self._prefixes[position] > last_prefix:
                return
            yield self._key(position), self._old(position)

    def old_pair(self, parent: int) -> bytes | None:
        """Return the old hashes of a node's children, or None when this height did not change them."""
        if self._parents is None:
            self._parents = _numbers(memoryview(self._section(_NODE_INDEX)), "I")
        position = bisect_left(self._parents, parent)
        if position == len(self._parents) or self._parents[position] != parent:
            return None
        if self._node_data is None:
            self._node_data = self._section(_NODE_DATA)
        return self._node_data[position * PAIR_BYTES : (position + 1) * PAIR_BYTES]


def key_prefix_of(key: bytes) -> int:
    """Return the number by which a layer's keys are sorted: the first 8 bytes of SHA-256(key)."""
    return int.from_bytes(sha256(key).digest()[:8], "big")
