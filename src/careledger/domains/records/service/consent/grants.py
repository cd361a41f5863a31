"""Grants: what a patient's wallet signs for one recipient, with the keys it hands over.

    grant = [1, "grant", chain, cell, leaf index, from key, to key, purpose, scope hash, not before, expires,
             nonce, sealed keys, signature]
    scope = [1, organisation, compartments, whole compartments, policy]

The signature is over all bytes of the grant before it, as they are stored. Keys are sealed to the recipient by
HPKE, which does not say who sealed them; the grant's signature does. Only whole compartments carry keys: the
index key and the compartment key of the current epoch. A narrower grant carries none.

Owns the two formats and their checks. Does not decide what is granted (`coverage`), nor whether a grant stands in
its cell (`cells`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.errors import GRANT_INVALID
from careledger.domains.records.service.consent.policy import (
    Policy,
    PolicyInvalid,
    decode_policy,
    encode_policy,
)
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import label_prefix, labelled
from careledger.primitives.identifiers import CellID, ChainID, OrganisationID, PublicKey
from careledger.primitives.signing import SignatureInvalid, public_key_of, sign, verify_signature
from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import CompartmentKey, IndexKey, SigningSeed
from careledger.vault.wrapping import GRANTED_KEY_BYTES, GrantInfo, grant_key, open_granted_key

GRANT_VERSION: Final = 1
GRANT_KIND: Final = "grant"
NONCE_BYTES: Final = 32
PURPOSE_CHARACTERS_MAX: Final = 64
GRANT_BYTES_MAX: Final = 64 * 1024

_SIGN_PREFIX: Final = label_prefix("careledger/grant/1")
_SCOPE_LABEL: Final = "careledger/grant-scope/1"
_SIGNATURE_TAIL_BYTES: Final = 66
"""A byte string of 64 bytes with its head: the last element of the array."""
_DIGEST_BYTES: Final = 32


class SealedKeys(Wire, frozen=True):
    """Both keys of one whole compartment, sealed to the recipient."""

    compartment: int
    epoch: int
    index_key: bytes
    """1,170 bytes."""
    compartment_key: bytes
    """1,170 bytes."""


class Grant(Wire, frozen=True):
    """A permission to one recipient for one purpose."""

    version: int
    """1."""
    kind: str
    """`grant`."""
    chain_id: str
    """The ledger on which the cell stands."""
    cell: bytes
    """The consent cell, 32 bytes."""
    leaf_index: int
    """Slot of the cell that holds it."""
    from_key: bytes
    """The wallet's identity key, which signs."""
    to_key: bytes
    """SHA-256 of the recipient's HPKE key."""
    purpose: str
    """Code of v3-ActReason, or `*`."""
    scope_hash: bytes
    """Digest of the scope's bytes, which travel beside the grant."""
    not_before_ms: int
    """First block time at which it holds; 0 for from the start."""
    expires_at_ms: int
    """Block time from which it no longer holds; 0 for no end."""
    nonce: bytes
    """32 random bytes; names the grant."""
    sealed_keys: tuple[SealedKeys, ...]
    """Ascending by compartment; those of the scope's whole compartments, all of them."""
    signature: bytes
    """Ed25519 over everything before it."""


class Scope(Wire, frozen=True):
    """What a grant is for, in full."""

    version: int
    """1."""
    organisation: int
    """The recipient's number on the ledger."""
    compartments: tuple[int, ...]
    """Compartments of which something may be permitted, ascending."""
    whole: tuple[int, ...]
    """Compartments whose keys are handed over, ascending."""
    policy: bytes
    """Canonical bytes of the policy, narrowed to the recipient."""


@dataclass(frozen=True, slots=True)
class GrantedScope:
    """A grant with its scope, both checked."""

    raw: bytes
    """The grant's bytes."""
    scope_raw: bytes
    grant: Grant
    scope: Scope
    policy: Policy

    @property
    def name(self) -> bytes:
        """What stops and logs call the grant; stays when the grant is issued anew for another epoch."""
        return self.grant.nonce

    @property
    def whole(self) -> frozenset[Compartment]:
        """Compartments whose keys it hands over."""
        return frozenset(Compartment(number) for number in self.scope.whole)

    @property
    def compartments(self) -> frozenset[Compartment]:
        """Compartments of which it may permit something."""
        return frozenset(Compartment(number) for number in self.scope.compartments)

    def is_in_force(self, at_ms: int) -> bool:
        """Whether it holds at a block time."""
        grant = self.grant
        return grant.not_before_ms <= at_ms and (grant.expires_at_ms == 0 or at_ms < grant.expires_at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """What a grant is about, apart from its place in a cell and the current keys."""

    organisation: OrganisationID
    recipient: RecipientKey
    purpose: str
    policy: Policy
    compartments: tuple[Compartment, ...]
    whole: tuple[Compartment, ...]
    not_before_ms: int = 0
    expires_at_ms: int = 0


StreamSecrets = tuple[int, IndexKey, CompartmentKey]
"""Epoch and keys of one compartment."""


def new_grant_name() -> bytes:
    """Random name of a new grant."""
    return os.urandom(NONCE_BYTES)


def encode_scope(terms: GrantTerms) -> bytes:
    """Write the scope of a grant."""
    return encode(
        Scope(
            1,
            terms.organisation,
            tuple(sorted(terms.compartments)),
            tuple(sorted(terms.whole)),
            encode_policy(terms.policy),
        )
    )


def scope_hash(scope: bytes) -> bytes:
    """Digest of a scope's bytes, 32 bytes."""
    return labelled(_SCOPE_LABEL, scope)


def issue_grant(
    terms: GrantTerms,
    *,
    chain: ChainID,
    cell: CellID,
    slot: int,
    name: bytes,
    seed: SigningSeed,
    secrets: Mapping[Compartment, StreamSecrets],
) -> tuple[bytes, bytes]:
    """Seal the keys of whole compartments to the recipient and sign.

    Args:
        terms: what is granted.
        chain: the ledger.
        cell: the consent cell.
        slot: its slot in the cell.
        name: the grant's name, kept when it is issued anew.
        seed: the wallet's identity seed.
        secrets: current epoch and keys of every whole compartment.

    Returns:
        The grant's bytes and the scope's.
    """
    scope = encode_scope(terms)
    digest = scope_hash(scope)
    sealed = []
    for compartment in sorted(terms.whole):
        epoch, index_key, compartment_key = secrets[compartment]
        info = GrantInfo(chain, cell, compartment.label, terms.purpose, epoch, terms.expires_at_ms, digest)
        sealed.append(
            SealedKeys(
                int(compartment),
                epoch,
                grant_key(index_key, terms.recipient, info),
                grant_key(compartment_key, terms.recipient, info),
            )
        )
    secret = seed.reveal()
    unsigned = Grant(
        GRANT_VERSION,
        GRANT_KIND,
        chain,
        cell,
        slot,
        public_key_of(secret),
        terms.recipient.digest,
        terms.purpose,
        digest,
        terms.not_before_ms,
        terms.expires_at_ms,
        name,
        tuple(sealed),
        bytes(64),
    )
    body = encode(unsigned)[:-_SIGNATURE_TAIL_BYTES]
    signed = encode(msgspec.structs.replace(unsigned, signature=sign(secret, _SIGN_PREFIX + body)))
    return signed, scope


def verify_grant(
    raw: bytes, scope_raw: bytes, *, chain: str, cell: bytes, identity: PublicKey
) -> GrantedScope:
    """Check a grant and its scope.

    1. The bytes are the canonical form of a grant for this ledger and cell, from this wallet.
    2. The signature stands over the bytes before it.
    3. The scope is the one whose hash was signed, and is well formed.
    4. Keys are there for exactly the whole compartments.

    Raises:
        Rejected: GRANT_INVALID.
    """
    # 1.
    if len(raw) > GRANT_BYTES_MAX:
        raise Rejected(GRANT_INVALID, "too long")
    try:
        grant = decode(raw, Grant)
    except CodecError as error:
        raise Rejected(GRANT_INVALID, str(error)) from None
    if (grant.version, grant.kind) != (GRANT_VERSION, GRANT_KIND):
        raise Rejected(GRANT_INVALID, "an unknown version", at="version")
    if grant.chain_id != chain or grant.cell != cell:
        raise Rejected(GRANT_INVALID, "for another ledger or cell", at="cell")
    if grant.from_key != identity:
        raise Rejected(GRANT_INVALID, "not from the wallet of this cell", at="from_key")
    _check_fields(grant)
    # 2.
    try:
        verify_signature(identity, _SIGN_PREFIX + raw[:-_SIGNATURE_TAIL_BYTES], grant.signature)
    except SignatureInvalid:
        raise Rejected(GRANT_INVALID, "the signature does not stand", at="signature") from None
    # 3.
    if scope_hash(scope_raw) != grant.scope_hash:
        raise Rejected(GRANT_INVALID, "another scope was signed", at="scope_hash")
    scope, policy = _read_scope(scope_raw)
    # 4.
    if tuple(sealed.compartment for sealed in grant.sealed_keys) != scope.whole:
        raise Rejected(GRANT_INVALID, "keys and whole compartments differ", at="sealed_keys")
    return GrantedScope(raw, scope_raw, grant, scope, policy)


def open_grant_keys(
    granted: GrantedScope, opening_key: OpeningKey, compartment: Compartment
) -> tuple[int, IndexKey, CompartmentKey]:
    """Open the keys of one whole compartment; for the recipient.

    Returns:
        Epoch, index key, compartment key.

    Raises:
        Rejected: GRANT_INVALID, no keys for that compartment, or sealed to somebody else or under other terms.
    """
    grant = granted.grant
    for sealed in grant.sealed_keys:
        if sealed.compartment == compartment:
            info = GrantInfo(
                ChainID(grant.chain_id),
                CellID(grant.cell),
                compartment.label,
                grant.purpose,
                sealed.epoch,
                grant.expires_at_ms,
                grant.scope_hash,
            )
            try:
                return (
                    sealed.epoch,
                    open_granted_key(sealed.index_key, opening_key, info, IndexKey),
                    open_granted_key(sealed.compartment_key, opening_key, info, CompartmentKey),
                )
            except (WrapBroken, ValueError):
                raise Rejected(GRANT_INVALID, "the keys do not open", at="sealed_keys") from None
    raise Rejected(GRANT_INVALID, "no keys for that compartment", at="sealed_keys")


def _check_fields(grant: Grant) -> None:
    digests = (grant.from_key, grant.to_key, grant.scope_hash, grant.nonce)
    if any(len(digest) != _DIGEST_BYTES for digest in digests):
        raise Rejected(GRANT_INVALID, "a key, digest or nonce is not 32 bytes")
    if not 1 <= len(grant.purpose) <= PURPOSE_CHARACTERS_MAX or not grant.purpose.isascii():
        raise Rejected(GRANT_INVALID, "not a purpose", at="purpose")
    if not (0 <= grant.not_before_ms < 2**63 and 0 <= grant.expires_at_ms < 2**63):
        raise Rejected(GRANT_INVALID, "a time is out of range")
    for sealed in grant.sealed_keys:
        if {len(sealed.index_key), len(sealed.compartment_key)} != {GRANTED_KEY_BYTES}:
            raise Rejected(GRANT_INVALID, "a sealed key has another length", at="sealed_keys")
        if not 0 <= sealed.epoch < 2**32:
            raise Rejected(GRANT_INVALID, "an epoch is out of range", at="sealed_keys")


def _read_scope(raw: bytes) -> tuple[Scope, Policy]:
    try:
        scope = decode(raw, Scope)
        policy = decode_policy(scope.policy)
    except (CodecError, PolicyInvalid) as error:
        raise Rejected(GRANT_INVALID, str(error), at="scope") from None
    numbers = set(Compartment)
    for named in (scope.compartments, scope.whole):
        if list(named) != sorted(set(named)) or not numbers.issuperset(named):
            raise Rejected(GRANT_INVALID, "compartments are not ascending", at="scope.compartments")
    if scope.version != 1 or not set(scope.whole) <= set(scope.compartments):
        raise Rejected(GRANT_INVALID, "not a scope of a known version", at="scope")
    return scope, policy
