"""On whose word the agent acts: the patient, somebody the patient delegated to, or two people of the staff.

    delegation = envelope of [1, chain, from key, to key, actions, compartments, not before, expires, depth, nonce]

The first is signed by the wallet's identity key, a second by the key the first names, and there is no third. A
delegation ends by itself, and none reaches further than the one before it: fewer actions, fewer compartments, a
shorter time. So a minor's own compartment stays closed to parents who were not given it.

No single member of the staff can act for a patient: it takes two, and the patient is told.

Owns the format and the rules. Who is logged in as whom is the site's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from careledger.domains.records.service.agent.errors import DELEGATION_INVALID, DUAL_CONTROL
from careledger.domains.records.service.compartments import Compartment
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import ChainID, PublicKey
from careledger.primitives.signing import public_key_of
from careledger.vault.envelope import sign_envelope, verify_envelope
from careledger.vault.errors import EnvelopeInvalid
from careledger.vault.keys import SigningSeed

DELEGATION_PAYLOAD_TYPE: Final = "careledger/delegation/v1"
REQUEST_PAYLOAD_TYPE: Final = "careledger/delegated-request/v1"
DEPTH_MAX: Final = 2
"""How many delegations may follow one another."""
REQUEST_AGE_MS_MAX: Final = 300_000


class Act(StrEnum):
    """What may be done with a wallet."""

    GRANT = "grant"
    REVOKE = "revoke"
    LOOK = "look"
    """See who looked, and notices."""
    RECOVER = "recover"
    """Only ever the patient or the staff; not delegated."""


DELEGABLE: Final = frozenset({Act.GRANT, Act.REVOKE, Act.LOOK})


class Delegation(Wire, frozen=True):
    """Payload of a delegation's envelope."""

    version: int
    """1."""
    chain_id: str
    from_key: bytes
    """Who delegates, 32 bytes; signs."""
    to_key: bytes
    """Who may act, 32 bytes."""
    actions: tuple[str, ...]
    """`Act` values."""
    compartments: tuple[int, ...]
    """Ascending."""
    not_before_ms: int
    expires_at_ms: int
    """Always set."""
    depth: int
    """How many more may follow: 1 or 0."""
    nonce: bytes
    """16 bytes; names the delegation where it is ended early."""


class DelegatedRequest(Wire, frozen=True):
    """What a delegate signs for each act."""

    version: int
    """1."""
    chain_id: str
    action: str
    patient: bytes
    """The wallet's identity key."""
    issued_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPatient:
    """The patient, logged in at the agent."""

    name: str
    """How the notice calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByStaff:
    """Members of the agent's staff, each logged in by themselves."""

    people: tuple[str, ...]
    """At least two different people."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDelegate:
    """Somebody the patient, or a delegate of the patient, delegated to."""

    delegations: tuple[bytes, ...]
    """Envelopes, the patient's first; one or two."""
    request: bytes
    """Envelope of a `DelegatedRequest`, signed by the last delegate's key."""


Authority = ByPatient | ByStaff | ByDelegate


def sign_delegation(
    seed: SigningSeed,
    *,
    chain: ChainID,
    to_key: PublicKey,
    actions: Collection[Act],
    compartments: Collection[Compartment],
    not_before_ms: int,
    expires_at_ms: int,
    depth: int = 0,
) -> bytes:
    """Delegate, with the wallet's identity seed or with a delegate's own.

    Raises:
        ValueError: No end, an act that is not delegated, or more depth than there may be.
    """
    if not not_before_ms < expires_at_ms or not 0 <= depth < DEPTH_MAX or not set(actions) <= DELEGABLE:
        raise ValueError("a delegation ends, is of acts that can be delegated, and has a depth of 0 or 1")
    delegation = Delegation(
        1,
        chain,
        public_key_of(seed.reveal()),
        to_key,
        tuple(sorted(actions)),
        tuple(sorted(compartments)),
        not_before_ms,
        expires_at_ms,
        depth,
        os.urandom(16),
    )
    return sign_envelope(DELEGATION_PAYLOAD_TYPE, encode(delegation), seed)


def sign_delegated_request(
    seed: SigningSeed, *, chain: ChainID, action: Act, patient: PublicKey, issued_ms: int
) -> bytes:
    """What a delegate shows for one act."""
    request = DelegatedRequest(1, chain, action.value, patient, issued_ms)
    return sign_envelope(REQUEST_PAYLOAD_TYPE, encode(request), seed)


def require_authority(
    authority: Authority,
    *,
    chain: ChainID,
    identity: PublicKey,
    action: Act,
    compartments: Collection[Compartment],
    at_ms: int,
    ended: Collection[bytes] = (),
) -> None:
    """Check that somebody may have an act done with a wallet.

    Args:
        authority: on whose word.
        chain: the ledger.
        identity: the wallet's identity key.
        action: what is to be done.
        compartments: what it concerns.
        at_ms: now.
        ended: nonces of delegations that the patient ended early.

    Raises:
        Rejected: DUAL_CONTROL, DELEGATION_INVALID.
    """
    if isinstance(authority, ByPatient):
        return
    if isinstance(authority, ByStaff):
        if len(set(authority.people)) < 2 or not all(authority.people) or not authority.reason.strip():
            raise Rejected(DUAL_CONTROL)
        return
    last = _require_chain(authority.delegations, chain, identity, action, compartments, at_ms, ended)
    _require_request(authority.request, chain, identity, action, last, at_ms)


def describe(authority: Authority) -> str:
    """On whose word, for the notice to the patient."""
    if isinstance(authority, ByPatient):
        return authority.name
    if isinstance(authority, ByStaff):
        return f"{' and '.join(authority.people)} for the patient: {authority.reason}"
    return "a delegate"


def _require_chain(
    envelopes: Sequence[bytes],
    chain: ChainID,
    identity: PublicKey,
    action: Act,
    compartments: Collection[Compartment],
    at_ms: int,
    ended: Collection[bytes],
) -> PublicKey:
    """Key of the last delegate, if every delegation reaches to the act."""
    if not 1 <= len(envelopes) <= DEPTH_MAX:
        raise Rejected(DELEGATION_INVALID, "one delegation, or two")
    signer, before = identity, None
    for index, envelope in enumerate(envelopes):
        at = f"delegations[{index}]"
        delegation = _read(envelope, signer, at)
        reaches = (
            (delegation.version, delegation.chain_id, delegation.from_key) == (1, chain, signer)
            and delegation.not_before_ms <= at_ms < delegation.expires_at_ms
            and action.value in delegation.actions
            and action in DELEGABLE
            and set(compartments) <= set(delegation.compartments)
            and delegation.nonce not in ended
            and len(delegation.to_key) == 32
        )
        if not reaches or (before is not None and not _is_within(delegation, before)):
            raise Rejected(DELEGATION_INVALID, at=at)
        signer, before = PublicKey(delegation.to_key), delegation
    return signer


def _is_within(delegation: Delegation, before: Delegation) -> bool:
    """Whether a delegation reaches no further than the one that it rests on."""
    return (
        before.depth >= 1
        and delegation.depth == 0
        and set(delegation.actions) <= set(before.actions)
        and set(delegation.compartments) <= set(before.compartments)
        and delegation.expires_at_ms <= before.expires_at_ms
    )


def _read(envelope: bytes, signer: PublicKey, at: str) -> Delegation:
    try:
        payload = verify_envelope(envelope, payload_type=DELEGATION_PAYLOAD_TYPE, signers=[signer])
        return decode(payload, Delegation)
    except (EnvelopeInvalid, CodecError) as error:
        raise Rejected(DELEGATION_INVALID, str(error), at=at) from None


def _require_request(
    envelope: bytes, chain: ChainID, identity: PublicKey, action: Act, delegate: PublicKey, at_ms: int
) -> None:
    try:
        payload = verify_envelope(envelope, payload_type=REQUEST_PAYLOAD_TYPE, signers=[delegate])
        request = decode(payload, DelegatedRequest)
    except (EnvelopeInvalid, CodecError) as error:
        raise Rejected(DELEGATION_INVALID, str(error), at="request") from None
    is_this = (request.version, request.chain_id, request.action, request.patient) == (
        1,
        chain,
        action.value,
        identity,
    )
    if not is_this or abs(at_ms - request.issued_ms) > REQUEST_AGE_MS_MAX:
        raise Rejected(DELEGATION_INVALID, "not for this act, or too old", at="request")
