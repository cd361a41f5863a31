"""Canonical encoding of everything that is signed or hashed: DAG-CBOR.

Decoding accepts the canonical form only: the bytes are decoded, encoded again and compared, then converted
to a frozen `Wire` structure. Wire structures are arrays without optional tails, so one value has one form.
Does not sign, and does not know any message.

Source: RFC 8949 §4.2 and the DAG-CBOR specification of IPLD.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import libipld
import msgspec


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of structures that go over the wire or into state, encoded as arrays.

    A subclass says `frozen=True` again, for the type checker. Fields have no defaults: with one, two
    encodings of the same value would both be accepted.
    """


class CodecError(ValueError):
    """Bytes that are not the canonical encoding of what was expected. Never carries the data itself."""


W = TypeVar("W", bound=Wire)

_BYTES = (bytes,)

_LINK_TAG = b"\xd8\x2a"


_SCALARS = frozenset((int, str, bytes, bool, type(None)))


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list or kind is tuple:
        return [item if type(item) in _SCALARS else _plain(item) for item in value]
    if kind is dict:
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        raise CodecError("floats have no place in signed or hashed data")
    return value


def _head(major: int, number: int) -> bytes:
    """Head of a data item, RFC 8949 §3, in the shortest form."""
    for size_bytes, code in ((0, None), (1, 24), (2, 25), (4, 26), (8, 27)):
        if code is None:
            if number < 24:
                return bytes((major << 5 | number,))
        elif number < 1 << 8 * size_bytes:
            return bytes((major << 5 | code,)) + number.to_bytes(size_bytes, "big")
    raise ValueError("an integer is beyond 64 bits")


def _encode_slowly(value: Any) -> bytes:
    """Encode plain data without looking at what bytes might mean."""
    if value is None or value is True or value is False:
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        raw = value.encode()
        return _head(3, len(raw)) + raw
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join([_encode_slowly(item) for item in value])
    if isinstance(value, dict):
        pairs = sorted((len(key.encode()), key.encode(), key) for key in value)
        parts = [_encode_slowly(key) + _encode_slowly(value[key]) for _, _, key in pairs]
        return _head(5, len(pairs)) + b"".join(parts)
    raise TypeError("a value has no encoding")


def _encode_plain(value: Any) -> bytes:
    encoded = bytes(libipld.encode_dag_cbor(value))
    # libipld takes bytes that happen to look like a content identifier (one digest in 2,450) for a link and
    # writes them under tag 42. There are no links here: bytes are bytes, and a digest has one length. Where the
    # tag is absent, no link was written; where it is there, perhaps by chance, the slow way is sure.
    return _encode_slowly(value) if _LINK_TAG in encoded else encoded


def encode(value: object) -> bytes:
    """Encode a Wire structure, or plain lists, dictionaries, integers, strings, bytes, booleans and None.

    Raises:
        CodecError: The value has a float, an integer beyond 64 bits, or a type without an encoding.
    """
    try:
        return _encode_plain(_plain(msgspec.to_builtins(value, builtin_types=_BYTES)))
    except (ValueError, TypeError) as error:
        raise CodecError(f"no canonical encoding: {error}") from None


def encode_list(items: Sequence[bytes]) -> bytes:
    """Canonical encoding of a list whose items are already encoded."""
    count = len(items)
    if count < 24:
        head = bytes((0x80 | count,))
    elif count < 0x100:
        head = bytes((0x98, count))
    elif count < 0x10000:
        head = b"\x99" + count.to_bytes(2, "big")
    else:
        head = b"\x9a" + count.to_bytes(4, "big")
    return head + b"".join(items)


def decode_plain(raw: bytes) -> Any:
    """Decode canonical bytes into lists, dictionaries and scalars.

    Raises:
        CodecError: The bytes are not canonical DAG-CBOR.
    """
    try:
        value = libipld.decode_dag_cbor(raw)
        again = _encode_plain(value)
    except (ValueError, RecursionError, OverflowError, MemoryError):
        raise CodecError("not DAG-CBOR") from None
    if again != raw:
        raise CodecError("not the canonical encoding")
    return value


def decode(raw: bytes, kind: type[W]) -> W:
    """Decode canonical bytes into one Wire structure.

    Raises:
        CodecError: The bytes are not canonical, or not of that structure. The message names the place.
    """
    value = decode_plain(raw)
    try:
        return msgspec.convert(value, kind, builtin_types=_BYTES)
    except (msgspec.ValidationError, RecursionError) as error:
        # msgspec names types and the path, never the value itself
        raise CodecError(f"not a {kind.__name__}: {error}") from None


def decode_list(raw: bytes, kind: type[W]) -> list[W]:
    """Decode a canonical list of one Wire structure.

    Raises:
        CodecError: The bytes are not canonical, or not a list of that structure.
    """
    value = decode_plain(raw)
    try:
        return msgspec.convert(value, list[kind], builtin_types=_BYTES)  # type: ignore[valid-type]
    except (msgspec.ValidationError, RecursionError) as error:
        raise CodecError(f"not a list of {kind.__name__}: {error}") from None
