"""MLKEM768-X25519 key pairs: how they are made, written down and read back.

Owns the encoding of public and secret keys for HPKE. What is sealed to them is in `wrapping`.

A secret key is its 32-byte seed; SHAKE256 expands it to the ML-KEM seed (64 bytes) and the X25519 scalar
(32 bytes). A public key is the ML-KEM-768 encapsulation key (1,184 bytes) and the X25519 key (32 bytes).

Source: draft-ietf-hpke-pq §4 (KEM id 0x647a) and draft-irtf-cfrg-concrete-hybrid-kems; FIPS 203; RFC 7748.
"""

from __future__ import annotations

from hashlib import sha256, shake_256
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from careledger.vault.keys import KEMSeed

PUBLIC_KEY_BYTES: Final = 1216

_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_EXPANDED_BYTES = 96


class RecipientKey:
    """Public key to which secrets are sealed. Reading one costs about 22 us: keep the object."""

    __slots__ = ("_digest", "_handle", "_raw")

    def __init__(self, raw: bytes) -> None:
        """Read a public key of 1,216 bytes.

        Raises:
            ValueError: Wrong length, or not an encapsulation key by FIPS 203 §7.2.
        """
        if len(raw) != PUBLIC_KEY_BYTES:
            raise ValueError("an MLKEM768-X25519 public key is 1,216 bytes")
        self._raw = bytes(raw)
        self._digest = sha256(self._raw).digest()
        try:
            self._handle = MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(self._raw[:_MLKEM_PUBLIC_BYTES]),
                X25519PublicKey.from_public_bytes(self._raw[_MLKEM_PUBLIC_BYTES:]),
            )
        except ValueError:
            raise ValueError("not an ML-KEM-768 encapsulation key") from None

    @property
    def raw(self) -> bytes:
        """The key as it is published, 1,216 bytes."""
        return self._raw

    @property
    def digest(self) -> bytes:
        """SHA-256 of the published bytes; names the key where 1,216 bytes are too many."""
        return self._digest

    @property
    def handle(self) -> MLKEM768X25519PublicKey:
        """The library's object."""
        return self._handle

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecipientKey):
            return NotImplemented
        return self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"RecipientKey({self._digest.hex()[:16]})"


class OpeningKey:
    """Secret key that opens what was sealed to its public key. Making one costs about 200 us: keep it."""

    __slots__ = ("_handle", "_recipient")

    def __init__(self, seed: KEMSeed) -> None:
        expanded = shake_256(seed.reveal()).digest(_EXPANDED_BYTES)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
        self._handle = MLKEM768X25519PrivateKey(mlkem, x25519)
        self._recipient = RecipientKey(
            mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )

    @property
    def recipient(self) -> RecipientKey:
        """The public key to publish."""
        return self._recipient

    @property
    def handle(self) -> MLKEM768X25519PrivateKey:
        """The library's object."""
        return self._handle

    def __repr__(self) -> str:
        return f"<OpeningKey of {self._recipient!r}: not shown>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            TypeError: Always.
        """
        raise TypeError("an OpeningKey is neither pickled nor copied")
