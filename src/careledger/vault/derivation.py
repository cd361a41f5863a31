"""HKDF-SHA256 with labels: how one secret becomes many that say nothing about each other.

Owns the encoding of labels and parts into HKDF's `info`. Does not decide which keys exist; wallets, stores
and files do.

Source: RFC 5869. Parents are uniformly random 32-byte keys, so by §3.3 the extract step is left out except
where two secrets are joined or where a root is bound to its format.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from careledger.primitives.hashing import label_prefix

EXPAND_BYTES_MAX = 255 * 32
"""RFC 5869 §2.3: L <= 255 * HashLen."""

_PART_LENGTH_BYTES = 2
_HASH = SHA256()


def hkdf_extract(salt: bytes, key_material: bytes) -> bytes:
    """RFC 5869 §2.2 with SHA-256: 32 bytes from any key material."""
    return HKDF.extract(_HASH, salt, key_material)


def hkdf_expand(key: bytes, info: bytes, size_bytes: int = 32) -> bytes:
    """RFC 5869 §2.3 with SHA-256.

    Raises:
        ValueError: More than 8,160 bytes are asked for.
    """
    return HKDFExpand(_HASH, size_bytes, info).derive(key)


def derivation_info(label: str, *parts: bytes) -> bytes:
    """Encode a label and parts so that no two different lists give the same bytes.

    The label stands with its length (1 byte) before it, then each part with its length (2 bytes, big-endian).

    Raises:
        OverflowError: A part is longer than 65,535 bytes.
    """
    pieces = [label_prefix(label)]
    for part in parts:
        pieces.append(len(part).to_bytes(_PART_LENGTH_BYTES, "big"))
        pieces.append(part)
    return b"".join(pieces)


def derive(parent: bytes, label: str, *parts: bytes, size_bytes: int = 32) -> bytes:
    """Derive a key from a uniformly random parent under a label and parts."""
    return hkdf_expand(parent, derivation_info(label, *parts), size_bytes)
