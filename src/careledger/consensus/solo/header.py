"""Headers of the embedded engine: one sequencer signs each block's place in the chain."""

from __future__ import annotations

from careledger.primitives.codec import Wire, encode
from careledger.primitives.hashing import label_prefix, labelled
from careledger.primitives.signing import sign, verify_signature

_HASH_LABEL = "careledger/solo-header/1"
_SIGN_PREFIX = label_prefix("careledger/sign-solo-header/1")


class SoloHeader(Wire, frozen=True):
    """One block's header."""

    version: int
    """1."""
    chain_id: str
    """The ledger."""
    height: int
    """Height of the block."""
    time_ms: int
    """Block time."""
    previous_hash: bytes
    """Hash of the header before; empty for the first."""
    transactions_root: bytes
    """RFC 9162 root over the block's transactions."""
    history_size: int
    """Leaves of the history after this block."""
    app_hash: bytes
    """Application hash after this block."""
    sequencer: bytes
    """Ed25519 key that signs."""


class SignedHeader(Wire, frozen=True):
    """A header's exact bytes and the sequencer's signature over their digest."""

    header: bytes
    signature: bytes


def compute_header_hash(header: bytes) -> bytes:
    """Hash of a header's bytes."""
    return labelled(_HASH_LABEL, header)


def sign_header(header: SoloHeader, seed: bytes) -> SignedHeader:
    """Sign a header."""
    raw = encode(header)
    return SignedHeader(raw, sign(seed, _SIGN_PREFIX + compute_header_hash(raw)))


def verify_header(signed: SignedHeader, sequencer: bytes) -> None:
    """Check the sequencer's signature.

    Raises:
        SignatureInvalid: It does not stand.
    """
    verify_signature(sequencer, _SIGN_PREFIX + compute_header_hash(signed.header), signed.signature)
