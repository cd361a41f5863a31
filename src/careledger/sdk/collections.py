"""Typed collections over the ordered state: `Item`, `Map`, `RawMap`, `KeySet`.

A collection's keys start with its module's number and its own number, so no two collections can meet; key
parts are encoded injectively (fixed sizes, or lengths before variable parts), so no two keys can meet either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import InvariantViolated
from careledger.sdk.context import StateReader, StateStore

K = TypeVar("K")
V = TypeVar("V", bound=Wire)


def u32_key(number: int) -> bytes:
    """Key part of an unsigned 32-bit number; keeps order."""
    return number.to_bytes(4, "big")


def u64_key(number: int) -> bytes:
    """Key part of an unsigned 64-bit number; keeps order."""
    return number.to_bytes(8, "big")


def fixed_key(part: bytes) -> bytes:
    """Key part of bytes whose length is always the same for this collection (checked by the message)."""
    return part


def text_key(text: str) -> bytes:
    """Key part of a short text: its length (2 bytes), then UTF-8."""
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def bytes_key(part: bytes) -> bytes:
    """Key part of variable bytes: the length (2 bytes), then the bytes."""
    return len(part).to_bytes(2, "big") + part


def collection_prefix(module_number: int, collection_number: int) -> bytes:
    """Two bytes that start every key of the collection."""
    return bytes((module_number, collection_number))


def prefix_end(prefix: bytes) -> bytes | None:
    """First key after all keys with the prefix; None if there is no such key."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else None


class _Keyed(Generic[K]):
    """What the collections share: a prefix and the encoding of keys."""

    __slots__ = ("_encode_key", "name", "prefix")

    def __init__(
        self, module_number: int, collection_number: int, name: str, encode_key: Callable[[K], bytes]
    ) -> None:
        self.prefix = collection_prefix(module_number, collection_number)
        self.name = name
        self._encode_key = encode_key

    def key(self, key: K) -> bytes:
        """State key."""
        return self.prefix + self._encode_key(key)

    def has(self, store: StateReader, key: K) -> bool:
        """Whether there is a value under the key."""
        return store.has(self.prefix + self._encode_key(key))

    def delete(self, store: StateStore, key: K) -> None:
        """Remove the value under the key."""
        store.delete(self.prefix + self._encode_key(key))

    def scan_raw(
        self, store: StateReader, within: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose encoded key starts with `within`: (key after the collection's prefix, value)."""
        start = self.prefix + within
        cut = len(self.prefix)
        for key, value in store.scan(start, prefix_end(start), reverse=reverse):
            yield key[cut:], value


class Map(_Keyed[K], Generic[K, V]):
    """Structures under keys."""

    __slots__ = ("_kind",)

    def __init__(
        self,
        module_number: int,
        collection_number: int,
        name: str,
        encode_key: Callable[[K], bytes],
        kind: type[V],
    ) -> None:
        super().__init__(module_number, collection_number, name, encode_key)
        self._kind = kind

    def get(self, store: StateReader, key: K) -> V | None:
        """Structure under the key, or None."""
        raw = store.get(self.prefix + self._encode_key(key))
        return None if raw is None else self.decode(raw)

    def set(self, store: StateStore, key: K, value: V) -> None:
        """Write the structure under the key."""
        store.set(self.prefix + self._encode_key(key), encode(value))

    def decode(self, raw: bytes) -> V:
        """Read a stored structure; one that cannot be read is a broken state, not bad input."""
        try:
            return decode(raw, self._kind)
        except CodecError as error:
            raise InvariantViolated(f"state of {self.name} cannot be read: {error}") from error

    def scan(
        self, store: StateReader, within: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, V]]:
        """Pairs of encoded key (without prefix) and structure, in key order."""
        for key, raw in self.scan_raw(store, within, reverse=reverse):
            yield key, self.decode(raw)


class RawMap(_Keyed[K]):
    """Bytes under keys, for small hot values with a layout of their own."""

    __slots__ = ()

    def get(self, store: StateReader, key: K) -> bytes | None:
        """Bytes under the key, or None."""
        return store.get(self.prefix + self._encode_key(key))

    def set(self, store: StateStore, key: K, value: bytes) -> None:
        """Write bytes under the key."""
        store.set(self.prefix + self._encode_key(key), value)


class KeySet(_Keyed[K]):
    """A set of keys."""

    __slots__ = ()

    def add(self, store: StateStore, key: K) -> None:
        """Put the key into the set."""
        store.set(self.prefix + self._encode_key(key), b"\x01")


def _no_key(_: None) -> bytes:
    return b""


class Item(Generic[V]):
    """One structure."""

    __slots__ = ("_map",)

    def __init__(self, module_number: int, collection_number: int, name: str, kind: type[V]) -> None:
        self._map: Map[None, V] = Map(module_number, collection_number, name, _no_key, kind)

    @property
    def prefix(self) -> bytes:
        """State key of the item."""
        return self._map.prefix

    def get(self, store: StateReader) -> V | None:
        """The structure, or None."""
        return self._map.get(store, None)

    def require(self, store: StateReader) -> V:
        """The structure.

        Raises:
            InvariantViolated: It was never written.
        """
        value = self._map.get(store, None)
        if value is None:
            raise InvariantViolated(f"{self._map.name} was never written")
        return value

    def set(self, store: StateStore, value: V) -> None:
        """Write the structure."""
        self._map.set(store, None, value)
