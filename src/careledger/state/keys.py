"""State keys: a collection's prefix and typed parts, encoded injectively and in order.

Owns the encoding of keys (see `docs/formats/state.md`). Two rules hold for every `KeySchema`, and the tests
state them as properties: different part tuples give different keys, and keys sort as their tuples do
(numbers by value, bytes and texts lexicographically, a shorter one before what it begins). So a scan over a
leading part meets exactly the keys that share it. It does not know what any collection holds.

    PACKS = KeySchema(4, 1, Fixed(32), U64)
    key = PACKS.encode(tag, version)
    start, end = PACKS.bounds(tag)
"""

from __future__ import annotations

from typing import Final, Protocol

from careledger.state.store import KEY_BYTES_MAX

Part = int | bytes | str
"""What a key is made of."""

_TERMINATOR: Final = b"\x00\x00"
"""Ends a part of variable length; a zero byte within the part is followed by 0xFF, so it sorts above this."""


class KeyInvalid(ValueError):  # noqa: N818 - named like the other refusals of this package
    """A part that its schema does not admit, or bytes that are no key of the schema. Never shows the data."""


class PartCodec(Protocol):
    """Encoding of one typed part."""

    def encode(self, part: Part) -> bytes:
        """Return the part's bytes; KeyInvalid if the part is not of this type."""

    def decode(self, key: bytes, offset: int) -> tuple[Part, int]:
        """Return the part at the offset and the offset behind it; KeyInvalid if there is none."""


class Unsigned:
    """An unsigned integer of a fixed width, big-endian."""

    __slots__ = ("_size_bytes",)

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def encode(self, part: Part) -> bytes:
        """Return the number's bytes; KeyInvalid unless it is an integer that fits."""
        if type(part) is not int:
            raise KeyInvalid("a key part must be an integer")
        try:
            return part.to_bytes(self._size_bytes, "big")
        except OverflowError:
            raise KeyInvalid(f"a key part must fit {self._size_bytes} unsigned bytes") from None

    def decode(self, key: bytes, offset: int) -> tuple[int, int]:
        """Return the number at the offset and the offset behind it."""
        end = offset + self._size_bytes
        if end > len(key):
            raise KeyInvalid("the key ends within a number")
        return int.from_bytes(key[offset:end], "big"), end


class Fixed:
    """Bytes of a fixed length."""

    __slots__ = ("_size_bytes",)

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def encode(self, part: Part) -> bytes:
        """Return the bytes themselves; KeyInvalid if their number is not the fixed one."""
        if type(part) is not bytes or len(part) != self._size_bytes:
            raise KeyInvalid(f"a key part must be exactly {self._size_bytes} bytes")
        return part

    def decode(self, key: bytes, offset: int) -> tuple[bytes, int]:
        """Return the bytes at the offset and the offset behind them."""
        end = offset + self._size_bytes
        if end > len(key):
            raise KeyInvalid("the key ends within a part of fixed length")
        return key[offset:end], end


class Variable:
    """Bytes of any length: zero bytes escaped as 00 FF, the end marked by 00 00."""

    __slots__ = ()

    def encode(self, part: Part) -> bytes:
        """Return the escaped and terminated bytes; KeyInvalid unless the part is bytes."""
        if type(part) is not bytes:
            raise KeyInvalid("a key part must be bytes")
        return part.replace(b"\x00", b"\x00\xff") + _TERMINATOR

    def decode(self, key: bytes, offset: int) -> tuple[bytes, int]:
        """Return the bytes at the offset, without escapes, and the offset behind the terminator."""
        position = offset
        while True:
            zero = key.find(b"\x00", position)
            follower = key[zero + 1 : zero + 2]
            if zero < 0 or follower not in (b"\x00", b"\xff") or not follower:
                raise KeyInvalid("the key has a part of variable length without an end")
            if follower == b"\x00":
                return key[offset:zero].replace(b"\x00\xff", b"\x00"), zero + 2
            position = zero + 2


class Text:
    """A text, as the variable bytes of its UTF-8; order is that of code points."""

    __slots__ = ()

    def encode(self, part: Part) -> bytes:
        """Return the escaped and terminated UTF-8; KeyInvalid unless it is a text without surrogates."""
        if type(part) is not str:
            raise KeyInvalid("a key part must be a text")
        try:
            return VARIABLE.encode(part.encode())
        except UnicodeEncodeError:
            raise KeyInvalid("a key part must not hold surrogates") from None

    def decode(self, key: bytes, offset: int) -> tuple[str, int]:
        """Return the text at the offset and the offset behind it."""
        raw, end = VARIABLE.decode(key, offset)
        try:
            return raw.decode(), end
        except UnicodeDecodeError:
            raise KeyInvalid("the key has a text that is not UTF-8") from None


U8: Final = Unsigned(1)
U16: Final = Unsigned(2)
U32: Final = Unsigned(4)
U64: Final = Unsigned(8)
VARIABLE: Final = Variable()
TEXT: Final = Text()


class KeySchema:
    """Keys of one collection: module number, collection number (1 byte each), then the typed parts."""

    __slots__ = ("_codecs", "_encoders", "prefix")

    def __init__(self, module_number: int, collection_number: int, *codecs: PartCodec) -> None:
        self.prefix = U8.encode(module_number) + U8.encode(collection_number)
        """The two bytes that start every key of the collection."""
        self._codecs = codecs
        self._encoders = tuple(codec.encode for codec in codecs)

    def encode(self, *parts: Part) -> bytes:
        """Return the key of exactly these parts.

        Raises:
            KeyInvalid: The parts are not those of the schema, or the key would exceed `KEY_BYTES_MAX`.
        """
        if len(parts) != len(self._encoders):
            raise KeyInvalid(f"a key of this collection has {len(self._encoders)} parts, not {len(parts)}")
        return self._join(parts)

    def decode(self, key: bytes) -> tuple[Part, ...]:
        """Return the parts of a key.

        Raises:
            KeyInvalid: The bytes are not a key of this collection.
        """
        if not key.startswith(self.prefix):
            raise KeyInvalid("the key belongs to another collection")
        parts: list[Part] = []
        offset = len(self.prefix)
        for codec in self._codecs:
            part, offset = codec.decode(key, offset)
            parts.append(part)
        if offset != len(key):
            raise KeyInvalid("the key goes on behind its last part")
        return tuple(parts)

    def bounds(self, *leading: Part) -> tuple[bytes, bytes | None]:
        """Return start and end of the scan that meets all keys which begin with these parts, and no others.

        Raises:
            KeyInvalid: The parts are not the leading ones of the schema.
        """
        if len(leading) > len(self._encoders):
            raise KeyInvalid(f"a key of this collection has {len(self._encoders)} parts, not {len(leading)}")
        start = self._join(leading)
        return start, prefix_end(start)

    def _join(self, parts: tuple[Part, ...]) -> bytes:
        key = self.prefix
        for encode, part in zip(self._encoders, parts, strict=False):
            key += encode(part)
        if len(key) > KEY_BYTES_MAX:
            raise KeyInvalid(f"a key must have at most {KEY_BYTES_MAX} bytes, not {len(key)}")
        return key


def prefix_end(prefix: bytes) -> bytes | None:
    """Return the first key behind all keys that begin with the prefix; None when there is no such key."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else None
