"""Transactions: exact bytes, who signed them, and what they ask for.

Envelope = [content bytes, signatures]. The signatures stand over the labelled digest of the content bytes as
they are, so nothing is ever encoded again to check one. The content names its signers: a twin with a
signature stripped or added is another transaction, and cannot use up the seen-set's entry of the first.

Does not check signatures (`verification.py`) and knows no module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from careledger.ledger.errors import MALFORMED
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import label_prefix, labelled, sha256
from careledger.primitives.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, public_key_of, sign
from careledger.sdk.messages import Message

ENVELOPE_VERSION = 1
SIGNERS_MAX = 255

_ID_LABEL = "careledger/transaction/1"
_SIGN_PREFIX = label_prefix("careledger/sign-transaction/1")


class Content(Wire, frozen=True):
    """Everything of a transaction that is signed."""

    version: int
    """1."""
    chain_id: str
    """The ledger it is for."""
    expires_at_ms: int
    """Block time from which it is no longer accepted."""
    permit: bytes
    """Empty today; room for blind per-organisation quotas."""
    module: str
    """Module that understands the message."""
    message: str
    """Name of the message."""
    payload: bytes
    """Canonical encoding of the message."""
    signers: tuple[bytes, ...]
    """Ed25519 public keys in strictly ascending order, at least one."""


class Envelope(Wire, frozen=True):
    """A transaction as it travels."""

    content: bytes
    """Canonical encoding of a `Content`."""
    signatures: bytes
    """One 64-byte Ed25519 signature for each signer, in the signers' order."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A decoded transaction together with the bytes it came in."""

    raw: bytes
    """The exact envelope bytes."""
    raw_hash: bytes
    """SHA-256 of all envelope bytes: the key of every cache of verification results."""
    tx_id: bytes
    """Labelled digest of the content bytes."""
    content: Content
    """What was signed."""
    signatures: bytes
    """As in the envelope."""


def compute_tx_id(content: bytes) -> bytes:
    """Digest that names a transaction and that its signatures stand over."""
    return labelled(_ID_LABEL, content)


def signing_bytes(tx_id: bytes) -> bytes:
    """Bytes that a signer signs."""
    return _SIGN_PREFIX + tx_id


def decode_transaction(raw: bytes) -> Transaction:
    """Decode envelope bytes.

    Raises:
        Rejected: MALFORMED, unless the bytes are the canonical form of a transaction.
    """
    try:
        envelope = decode(raw, Envelope)
        content = decode(envelope.content, Content)
    except CodecError as error:
        raise Rejected(MALFORMED, str(error)) from None
    signers = content.signers
    if content.version != ENVELOPE_VERSION:
        raise Rejected(MALFORMED, "the envelope's version is unknown")
    if not 1 <= len(signers) <= SIGNERS_MAX or len(envelope.signatures) != SIGNATURE_BYTES * len(signers):
        raise Rejected(MALFORMED, "there is not exactly one signature for each signer")
    previous = b""
    for signer in signers:
        if len(signer) != PUBLIC_KEY_BYTES or signer <= previous:
            raise Rejected(MALFORMED, "the signers are not distinct keys in ascending order")
        previous = signer
    if content.expires_at_ms < 0:
        raise Rejected(MALFORMED, "the expiry is negative")
    return Transaction(raw, sha256(raw), compute_tx_id(envelope.content), content, envelope.signatures)


def build_transaction(
    *,
    chain_id: str,
    module: str,
    message: Message,
    expires_at_ms: int,
    seeds: Sequence[bytes],
    permit: bytes = b"",
) -> bytes:
    """Encode and sign a transaction with one or more Ed25519 seeds (32 bytes each)."""
    keyed = sorted((public_key_of(seed), seed) for seed in set(seeds))
    content = encode(
        Content(
            version=ENVELOPE_VERSION,
            chain_id=chain_id,
            expires_at_ms=expires_at_ms,
            permit=permit,
            module=module,
            message=type(message).__name__,
            payload=encode(message),
            signers=tuple(key for key, _ in keyed),
        )
    )
    to_sign = signing_bytes(compute_tx_id(content))
    return encode(Envelope(content, b"".join(sign(seed, to_sign) for _, seed in keyed)))
