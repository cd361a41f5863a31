"""Ed25519, checked strictly by one library (libsodium, through PyNaCl).

libsodium rejects public keys and R values of small order, non-canonical encodings and S >= L. Since libraries
disagree on these edge cases, no other library may check a signature on the consensus path.

Source: RFC 8032 §5.1; the edge cases are those of "Taming the many EdDSAs" (2020).
"""

from __future__ import annotations

from functools import lru_cache

from nacl.bindings import (
    crypto_sign as _crypto_sign,
)
from nacl.bindings import (
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError, CryptoError

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


class SignatureInvalid(Exception):  # noqa: N818 - verification raises the outcome's name
    """A signature that does not stand."""


@lru_cache(maxsize=1024)
def _secret_key(seed: bytes) -> bytes:
    return bytes(crypto_sign_seed_keypair(seed)[1])


def public_key_of(seed: bytes) -> bytes:
    """Public key (32 bytes) of a seed (32 bytes)."""
    return bytes(crypto_sign_seed_keypair(seed)[0])


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign a message; 64 bytes, deterministic (RFC 8032 §5.1.6)."""
    return bytes(_crypto_sign(message, _secret_key(seed))[:SIGNATURE_BYTES])


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check one signature.

    Raises:
        SignatureInvalid: Wrong lengths, a non-canonical or low-order input, or the wrong signature.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid("a key or signature has the wrong length")
    try:
        crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, CryptoError, ValueError):
        raise SignatureInvalid("the signature does not stand") from None
