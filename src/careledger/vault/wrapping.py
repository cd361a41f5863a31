"""Keys sealed by keys: record keys under a compartment key, and keys handed to people and organisations.

Owns both wrapped forms and what each is bound to. Does not decide who receives a key: HPKE's base mode does
not authenticate the sender, so a wrap proves nothing until the grant that carries it is signed.

Record key under compartment key, 61 bytes, made for every record version, so made fast:

    version 1 | random nonce (12) | AES-256-GCM(compartment key, record key, AAD) (48)
    AAD = "careledger/record-wrap/v1" | record | version | compartment | epoch | leaf

AES-GCM alone does not commit to the compartment key. That is harmless here: the leaf, which is bound, commits
to the blob's hash, and the blob commits to its record key.

A key to a recipient, 1,170 bytes: 1 | kind | HPKE(MLKEM768-X25519, HKDF-SHA256,
ChaCha20-Poly1305) with `info` over everything in `GrantInfo`, the recipient's key and the kind.

Source: RFC 9180 §6.1 single-shot base mode; draft-ietf-hpke-pq §4; NIST SP 800-38D §8.2.2 (random nonces: at
most 2^32 wraps under one compartment key).
"""

from __future__ import annotations

import os
import struct
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from careledger.primitives.codec import Wire, encode
from careledger.primitives.hashing import label_prefix
from careledger.primitives.identifiers import CellID, ChainID, Commitment, is_chain_id
from careledger.vault.derivation import derivation_info
from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import CompartmentKey, IndexKey, RecordKey, SecretKey

WRAPPED_RECORD_KEY_BYTES: Final = 61
GRANTED_KEY_BYTES: Final = 1170

_VERSION = b"\x01"
_NONCE_BYTES = 12
_DIGEST_BYTES = 32
_RECORD_LABEL = label_prefix("careledger/record-wrap/v1")
_GRANT_LABEL = "careledger/key-grant/v1"
_CONTEXT_NUMBERS = struct.Struct(">II")
_UINT32_MAX = 2**32 - 1
_TEXT_BYTES_MAX = 64

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class WrapContext(Wire, frozen=True):
    """The record version whose key is wrapped; every field must be the same again to unwrap."""

    record: bytes
    """The custodian's identifier of the record, 1 to 64 bytes."""
    version: int
    """Version of the record, 0 to 2^32-1."""
    compartment: str
    """Name of the compartment, 1 to 64 bytes of UTF-8."""
    epoch: int
    """Epoch of the compartment key, 0 to 2^32-1."""
    leaf: Commitment
    """The version's commitment, 32 bytes."""


def _associated_data(context: WrapContext) -> bytes:
    compartment = context.compartment.encode()
    if not 1 <= len(context.record) <= _TEXT_BYTES_MAX or not 1 <= len(compartment) <= _TEXT_BYTES_MAX:
        raise ValueError("record and compartment are 1 to 64 bytes")
    if len(context.leaf) != _DIGEST_BYTES:
        raise ValueError("leaf is not 32 bytes")
    if not (0 <= context.version <= _UINT32_MAX and 0 <= context.epoch <= _UINT32_MAX):
        raise ValueError("version and epoch are 0 to 2^32-1")
    return b"".join(
        (
            _RECORD_LABEL,
            bytes((len(context.record), len(compartment))),
            context.record,
            compartment,
            _CONTEXT_NUMBERS.pack(context.version, context.epoch),
            context.leaf,
        )
    )


def wrap_record_key(record_key: RecordKey, compartment_key: CompartmentKey, context: WrapContext) -> bytes:
    """Wrap the key of one record version; 61 bytes.

    Raises:
        ValueError: The context is out of bounds.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return _wrap_with_nonce(record_key, compartment_key, context, nonce)


def _wrap_with_nonce(
    record_key: RecordKey, compartment_key: CompartmentKey, context: WrapContext, nonce: bytes
) -> bytes:
    cipher = AESGCM(compartment_key.reveal())
    return _VERSION + nonce + cipher.encrypt(nonce, record_key.reveal(), _associated_data(context))


def unwrap_record_key(wrapped: bytes, compartment_key: CompartmentKey, context: WrapContext) -> RecordKey:
    """Unwrap the key of one record version.

    Raises:
        WrapBroken: Another key, another context, or changed bytes.
        ValueError: The context is out of bounds.
    """
    if len(wrapped) != WRAPPED_RECORD_KEY_BYTES or not wrapped.startswith(_VERSION):
        raise WrapBroken("not a wrapped record key of a known version")
    cipher = AESGCM(compartment_key.reveal())
    try:
        return RecordKey(
            cipher.decrypt(
                wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :], _associated_data(context)
            )
        )
    except InvalidTag:
        raise WrapBroken("the record key does not unwrap under this key and context") from None


class GrantInfo(Wire, frozen=True):
    """What a key handed to somebody is bound to; a different `GrantInfo` does not open it."""

    chain: ChainID
    """The ledger on which the cell stands."""
    cell: CellID
    """The consent cell, 32 bytes."""
    subject: str
    """What the key opens: a compartment's name, or one record version; 1 to 64 bytes of UTF-8."""
    purpose: str
    """Purpose of use the grant names, 1 to 64 bytes of UTF-8."""
    epoch: int
    """Epoch of the key, 0 to 2^32-1."""
    expires_at_ms: int
    """End of the grant in milliseconds since 1970; 0 for none."""
    policy_hash: bytes
    """Digest of the policy the grant enforces, 32 bytes."""


_KINDS: dict[type[SecretKey], int] = {CompartmentKey: 1, IndexKey: 2, RecordKey: 3}
"""Kinds of keys that may be handed over. A record key alone: narrow grants and break-glass."""

K = TypeVar("K", bound=CompartmentKey | IndexKey | RecordKey)


def _hpke_info(info: GrantInfo, recipient: RecipientKey, kind: int) -> bytes:
    if not is_chain_id(info.chain):
        raise ValueError("chain is not the name of a ledger")
    if len(info.cell) != _DIGEST_BYTES or len(info.policy_hash) != _DIGEST_BYTES:
        raise ValueError("cell and policy_hash are 32 bytes")
    for text in (info.subject, info.purpose):
        if not 1 <= len(text.encode()) <= _TEXT_BYTES_MAX:
            raise ValueError("subject and purpose are 1 to 64 bytes each")
    if not 0 <= info.epoch <= _UINT32_MAX or not 0 <= info.expires_at_ms < 2**63:
        raise ValueError("epoch or expires_at_ms is out of range")
    return derivation_info(_GRANT_LABEL, bytes((kind,)), recipient.digest, encode(info))


def grant_key(key: CompartmentKey | IndexKey | RecordKey, recipient: RecipientKey, info: GrantInfo) -> bytes:
    """Seal a key to a recipient; 1,170 bytes.

    Raises:
        ValueError: `info` is out of bounds, or the recipient's X25519 key is of low order.
    """
    kind = _KINDS[type(key)]
    bound = _hpke_info(info, recipient, kind)
    return _VERSION + bytes((kind,)) + _SUITE.encrypt(key.reveal(), recipient.handle, bound)


def open_granted_key(granted: bytes, opening_key: OpeningKey, info: GrantInfo, kind: type[K]) -> K:
    """Open a key sealed to this recipient.

    Raises:
        WrapBroken: Sealed to somebody else, under a different `info`, another kind of key, or changed.
        ValueError: `info` is out of bounds.
    """
    number = _KINDS[kind]
    if len(granted) != GRANTED_KEY_BYTES or granted[:2] != _VERSION + bytes((number,)):
        raise WrapBroken(f"not a granted {kind.__name__} of a known version")
    bound = _hpke_info(info, opening_key.recipient, number)
    try:
        return kind(_SUITE.decrypt(granted[2:], opening_key.handle, bound))
    except InvalidTag:
        raise WrapBroken(f"the granted {kind.__name__} does not open under this key and info") from None
