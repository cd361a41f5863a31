"""Signed envelopes: payload type, the stored payload bytes, and Ed25519 signatures over exactly these.

Owns the envelope's encoding and what is signed. Does not parse payloads, and knows no keys by name.

What is signed is never re-serialised: the payload travels as the bytes it was stored in, and is handed to the
caller only after every signature stands. The type is under the signature, so bytes signed as one kind of
statement cannot be shown as another; the label keeps envelopes apart from everything else that is signed.

    signed = len(label) | "careledger/envelope/v1" | len(type) (8) | type | len(payload) (8) | payload

Source: RFC 8032 for Ed25519; the pre-authentication encoding is in the manner of DSSE v1.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final

from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import label_prefix
from careledger.primitives.identifiers import PublicKey
from careledger.primitives.signing import SignatureInvalid, public_key_of, sign, verify_signature
from careledger.vault.errors import EnvelopeInvalid
from careledger.vault.keys import SigningSeed

SIGNATURES_MAX: Final = 16
TYPE_CHARACTERS_MAX: Final = 128

_LABEL = label_prefix("careledger/envelope/v1")
_LENGTH_BYTES = 8
_VERSION = 1


class EnvelopeSignature(Wire, frozen=True):
    """One signature and the key it stands under."""

    public_key: bytes
    """32 bytes."""
    signature: bytes
    """64 bytes."""


class Envelope(Wire, frozen=True):
    """An envelope, its signatures not yet checked; `verify_envelope` is the way to the payload."""

    version: int
    """1."""
    payload_type: str
    """What the payload states, such as `careledger/manifest/v1`; 1 to 128 printable ASCII characters."""
    payload: bytes
    """The bytes as stored."""
    signatures: tuple[EnvelopeSignature, ...]
    """1 to 16, ascending by public key, each key once."""


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """Bytes that every signature of an envelope is over.

    Raises:
        ValueError: The type is not 1 to 128 printable ASCII characters.
    """
    _check_type(payload_type)
    kind = payload_type.encode("ascii")
    return b"".join(
        (
            _LABEL,
            len(kind).to_bytes(_LENGTH_BYTES, "big"),
            kind,
            len(payload).to_bytes(_LENGTH_BYTES, "big"),
            payload,
        )
    )


def _check_type(payload_type: str) -> None:
    if not 1 <= len(payload_type) <= TYPE_CHARACTERS_MAX or not all("!" <= c <= "~" for c in payload_type):
        raise ValueError("a payload type is 1 to 128 printable ASCII characters without spaces")


def sign_envelope(payload_type: str, payload: bytes, *seeds: SigningSeed) -> bytes:
    """Sign a payload with one or more keys and encode the envelope.

    Raises:
        ValueError: No key, too many, one twice, or an unusable payload type.
    """
    message = signed_bytes(payload_type, payload)
    signatures = [_sign(message, seed) for seed in seeds]
    return _encode(payload_type, payload, signatures)


def add_signature(envelope: bytes, seed: SigningSeed) -> bytes:
    """Sign the same payload with a further key, for signers who do not meet.

    The signatures already there are not checked by this.

    Raises:
        EnvelopeInvalid: Not an envelope.
        ValueError: The key has signed already, or the envelope is full.
    """
    parsed = parse_envelope(envelope)
    message = signed_bytes(parsed.payload_type, parsed.payload)
    return _encode(parsed.payload_type, parsed.payload, [*parsed.signatures, _sign(message, seed)])


def _sign(message: bytes, seed: SigningSeed) -> EnvelopeSignature:
    secret = seed.reveal()
    return EnvelopeSignature(public_key_of(secret), sign(secret, message))


def _encode(payload_type: str, payload: bytes, signatures: list[EnvelopeSignature]) -> bytes:
    if not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise ValueError(f"an envelope has 1 to {SIGNATURES_MAX} signatures")
    ordered = tuple(sorted(signatures, key=lambda item: item.public_key))
    if len({item.public_key for item in ordered}) != len(ordered):
        raise ValueError("a key signs an envelope once")
    return encode(Envelope(_VERSION, payload_type, payload, ordered))


def parse_envelope(raw: bytes) -> Envelope:
    """Read an envelope without checking its signatures, to see its type and who is said to have signed.

    Raises:
        EnvelopeInvalid: Not the canonical encoding of an envelope within bounds.
    """
    try:
        parsed = decode(raw, Envelope)
        _check_type(parsed.payload_type)
    except (CodecError, ValueError) as error:
        raise EnvelopeInvalid(f"not an envelope: {error}") from None
    if parsed.version != _VERSION:
        raise EnvelopeInvalid("an envelope of an unknown version")
    keys = [item.public_key for item in parsed.signatures]
    if not 1 <= len(keys) <= SIGNATURES_MAX:
        raise EnvelopeInvalid(f"an envelope has 1 to {SIGNATURES_MAX} signatures")
    if any(left >= right for left, right in pairwise(keys)):
        raise EnvelopeInvalid("signatures are not in order of their keys, each once")
    return parsed


def verify_envelope(raw: bytes, *, payload_type: str, signers: Collection[PublicKey]) -> bytes:
    """Check an envelope and hand out its payload.

    1. It is the canonical encoding of an envelope.
    2. It is of the expected type.
    3. Exactly the expected keys have signed: none is missing and none is added.
    4. Every signature stands.

    Returns:
        The payload's bytes as they were signed.

    Raises:
        EnvelopeInvalid: One of these does not hold.
    """
    # 1.
    parsed = parse_envelope(raw)
    # 2.
    if parsed.payload_type != payload_type:
        raise EnvelopeInvalid("the envelope is of another type than expected")
    # 3.
    if [item.public_key for item in parsed.signatures] != sorted(set(signers)):
        raise EnvelopeInvalid("the envelope is not signed by exactly the expected keys")
    # 4.
    message = signed_bytes(parsed.payload_type, parsed.payload)
    for index, item in enumerate(parsed.signatures):
        try:
            verify_signature(item.public_key, message, item.signature)
        except SignatureInvalid:
            raise EnvelopeInvalid(f"signatures[{index}] does not stand") from None
    return parsed.payload
