"""The only reader and writer of the identity module's keys, and what other modules may ask of it.

Whoever calls `require_signer` or `require_admins` gets an exception rather than an answer that could be
ignored. A removed organisation has no key in force, so the check of every transaction reads one value only.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

import msgspec

from careledger.domains.identity.chain.errors import (
    ADMINS_LOCKED_OUT,
    ADMINS_TOO_FEW,
    CANDIDATE_MALFORMED,
    KEY_NOT_POSSESSED,
    KEY_NOT_YET_VALID,
    KEY_REVOKED,
    KEY_TAKEN,
    KEY_USAGE,
    KEYS_TOO_MANY,
    NOT_SIGNED,
    ORGANISATION_REMOVED,
    ORGANISATION_UNKNOWN,
    SLUG_TAKEN,
)
from careledger.domains.identity.chain.messages import check_candidate_form
from careledger.domains.identity.chain.types import (
    KEYS_IN_FORCE_MAX,
    SCHEMA,
    Candidate,
    Counter,
    Key,
    KeyRegistered,
    KeyRevoked,
    Organisation,
    OrganisationAdmitted,
    OrganisationRemoved,
    Status,
    Usage,
    pack_key,
    possession_bytes,
    unpack_key,
)
from careledger.primitives.codec import CodecError, decode
from careledger.primitives.identifiers import ORGANISATION_ID_MAX, is_slug
from careledger.primitives.signing import SignatureInvalid, verify_signature
from careledger.sdk.collections import Item, KeySet, Map, RawMap, fixed_key, text_key, u32_key
from careledger.sdk.context import Context, StateReader, StateStore
from careledger.sdk.errors import Code, InvariantViolated, Rejected

MODULE_NUMBER = 1


def _membership_key(pair: tuple[int, bytes]) -> bytes:
    return u32_key(pair[0]) + pair[1]


ORGANISATIONS: Map[int, Organisation] = Map(MODULE_NUMBER, 1, "identity.organisations", u32_key, Organisation)
SLUGS: RawMap[str] = RawMap(MODULE_NUMBER, 2, "identity.slugs", text_key)
"""Short name -> organisation (4)."""
KEYS: RawMap[bytes] = RawMap(MODULE_NUMBER, 3, "identity.keys", fixed_key)
"""Public key -> packed `Key`; revoked ones stay, so that none comes back."""
KEYS_IN_FORCE: KeySet[tuple[int, bytes]] = KeySet(MODULE_NUMBER, 4, "identity.keys_in_force", _membership_key)
"""(organisation, public key) of every key that is not revoked."""
COUNTER: Item[Counter] = Item(MODULE_NUMBER, 5, "identity.counter", Counter)

_KEYS_PREFIX = KEYS.prefix
_unpack_key_record = Struct(">xIHQQ").unpack
_LEDGER = int(Usage.LEDGER)
_ADMIN = int(Usage.ADMIN)


def organisation(store: StateReader, organisation_id: int) -> Organisation | None:
    """Organisation by number, present or past member; None if there never was one."""
    if not 1 <= organisation_id <= ORGANISATION_ID_MAX:
        return None
    return ORGANISATIONS.get(store, organisation_id)


def organisation_by_slug(store: StateReader, slug: str) -> Organisation | None:
    """Organisation by short name, present or past member; None if there never was one."""
    if not is_slug(slug):
        return None
    raw = SLUGS.get(store, slug)
    return None if raw is None else ORGANISATIONS.get(store, int.from_bytes(raw, "big"))


def organisations(store: StateReader) -> Iterator[Organisation]:
    """All organisations, past members included, in order of their numbers."""
    for _, found in ORGANISATIONS.scan(store):
        yield found


def members(store: StateReader) -> tuple[int, ...]:
    """Numbers of all present members, ascending."""
    return tuple(found.id for found in organisations(store) if found.is_active)


def is_member(store: StateReader, organisation_id: int) -> bool:
    """Whether the organisation is a member now."""
    found = organisation(store, organisation_id)
    return found is not None and found.is_active


def key(store: StateReader, public_key: bytes) -> Key | None:
    """Key by public key, in force or revoked; None if it was never registered."""
    raw = KEYS.get(store, public_key)
    return None if raw is None else unpack_key(public_key, raw)


def keys_in_force(store: StateReader, organisation_id: int) -> list[Key]:
    """Keys of the organisation that are not revoked, in order of their bytes."""
    found = []
    for stored, _ in KEYS_IN_FORCE.scan_raw(store, u32_key(organisation_id)):
        held = key(store, stored[4:])
        if held is None:
            raise InvariantViolated("identity.keys_in_force names a key that is not there")
        found.append(held)
    return found


def has_valid_key(
    store: StateReader, organisation_id: int, public_key: bytes, usage: int, height: int
) -> bool:
    """Whether the key belongs to the organisation, has the use and is valid at the height."""
    held = key(store, public_key)
    return (
        held is not None
        and held.organisation == organisation_id
        and held.usages & usage == usage
        and held.is_valid_at(height)
    )


def is_validator_key(store: StateReader, organisation_id: int, public_key: bytes, height: int) -> bool:
    """Whether the key is one of the organisation's keys for consensus, valid at the height."""
    return has_valid_key(store, organisation_id, public_key, int(Usage.VALIDATOR), height)


def is_revoked(store: StateReader, public_key: bytes) -> bool:
    """Whether the key was registered once and may no longer sign."""
    held = key(store, public_key)
    return held is not None and held.revoked_at_height != 0


def require_signer(context: Context, organisation_id: int, usage: int) -> bytes:
    """Public key of a signer that is a valid key of the organisation with the use.

    Runs for every transaction: one read, and nothing decoded but five integers.

    Raises:
        Rejected: NOT_SIGNED; or, when a key of the organisation did sign, KEY_REVOKED, KEY_NOT_YET_VALID
            or KEY_USAGE.
    """
    get = context.store.get
    refusal: Code = NOT_SIGNED
    for signer in context.signers:
        raw = get(_KEYS_PREFIX + signer)
        if raw is None:
            continue
        owner, usages, valid_from, revoked_at = _unpack_key_record(raw)
        if owner != organisation_id:
            continue
        if revoked_at:
            refusal = KEY_REVOKED
        elif valid_from > context.height:
            refusal = KEY_NOT_YET_VALID
        elif usages & usage != usage:
            refusal = KEY_USAGE
        else:
            return signer
    raise Rejected(refusal)


def require_ledger_signer(context: Context, organisation_id: int) -> bytes:
    """Public key of a signer that is a valid ledger key of the organisation.

    Raises:
        Rejected: As `require_signer`.
    """
    return require_signer(context, organisation_id, _LEDGER)


def require_member(store: StateReader, organisation_id: int) -> Organisation:
    """The organisation, which must be a member now.

    Raises:
        Rejected: ORGANISATION_UNKNOWN or ORGANISATION_REMOVED.
    """
    found = organisation(store, organisation_id)
    if found is None:
        raise Rejected(ORGANISATION_UNKNOWN)
    if not found.is_active:
        raise Rejected(ORGANISATION_REMOVED)
    return found


def require_admins(context: Context, organisation_id: int) -> Organisation:
    """The organisation, if as many distinct admin keys of it signed as its own rule asks for.

    Raises:
        Rejected: ORGANISATION_UNKNOWN, ORGANISATION_REMOVED, or ADMINS_TOO_FEW.
    """
    found = require_member(context.store, organisation_id)
    signed: list[bytes] = []
    for signer in context.signers:
        if signer not in signed and has_valid_key(
            context.store, organisation_id, signer, _ADMIN, context.height
        ):
            signed.append(signer)
    if len(signed) < found.admin_threshold:
        raise Rejected(ADMINS_TOO_FEW)
    return found


def require_admins_kept(context: Context, organisation_id: int, admin_threshold: int) -> None:
    """Check that the organisation, as it stands in the store, can still satisfy its own rule.

    Raises:
        Rejected: ADMINS_LOCKED_OUT.
    """
    valid = [
        held
        for held in keys_in_force(context.store, organisation_id)
        if held.usages & _ADMIN and held.is_valid_at(context.height)
    ]
    if len(valid) < admin_threshold:
        raise Rejected(ADMINS_LOCKED_OUT)


def add_organisation(store: StateStore, value: Organisation) -> None:
    """Write a new organisation under its number and its short name."""
    ORGANISATIONS.set(store, value.id, value)
    SLUGS.set(store, value.slug, u32_key(value.id))


def update_organisation(store: StateStore, value: Organisation) -> None:
    """Write an organisation anew; number and short name stay."""
    ORGANISATIONS.set(store, value.id, value)


def write_key(store: StateStore, value: Key) -> None:
    """Write a key, and list it among those in force unless it is revoked."""
    KEYS.set(store, value.public_key, pack_key(value))
    if value.revoked_at_height:
        KEYS_IN_FORCE.delete(store, (value.organisation, value.public_key))
    else:
        KEYS_IN_FORCE.add(store, (value.organisation, value.public_key))


def add_key(context: Context, value: Key) -> None:
    """Register a key that was never registered before.

    Raises:
        Rejected: KEY_TAKEN or KEYS_TOO_MANY.
    """
    if KEYS.has(context.store, value.public_key):
        raise Rejected(KEY_TAKEN)
    in_force = sum(1 for _ in KEYS_IN_FORCE.scan_raw(context.store, u32_key(value.organisation)))
    if in_force >= KEYS_IN_FORCE_MAX:
        raise Rejected(KEYS_TOO_MANY)
    write_key(context.store, value)
    context.emit(KeyRegistered(value.organisation, value.public_key, value.usages, value.valid_from_height))


def revoke_key(context: Context, value: Key) -> None:
    """Take a key out of force from this block on, for ever."""
    write_key(context.store, msgspec.structs.replace(value, revoked_at_height=context.height))
    context.emit(KeyRevoked(value.organisation, value.public_key))


def decode_candidate(raw: bytes) -> Candidate:
    """Read a candidate and check whatever of it needs no state.

    Raises:
        Rejected: CANDIDATE_MALFORMED, or the code of the first part that is wrong.
    """
    try:
        candidate = decode(raw, Candidate)
    except CodecError:
        raise Rejected(CANDIDATE_MALFORMED) from None
    check_candidate_form(candidate)
    return candidate


def check_candidate(context: Context, candidate: bytes) -> Candidate:
    """Check that the candidate could be admitted now: nothing taken, every key held, admins enough.

    Raises:
        Rejected: CANDIDATE_MALFORMED, SLUG_TAKEN, KEY_TAKEN, KEY_NOT_POSSESSED, ADMINS_LOCKED_OUT, or the
            code of the first part that is wrong.
    """
    value = decode_candidate(candidate)
    if SLUGS.has(context.store, value.slug):
        raise Rejected(SLUG_TAKEN)
    for position, held in enumerate(value.keys):
        if KEYS.has(context.store, held.public_key):
            raise Rejected(KEY_TAKEN, at=f"keys[{position}]")
        signed = possession_bytes(
            chain_id=context.chain_id, slug=value.slug, public_key=held.public_key, usages=held.usages
        )
        try:
            verify_signature(held.public_key, signed, held.possession)
        except SignatureInvalid:
            raise Rejected(KEY_NOT_POSSESSED, at=f"keys[{position}]") from None
    if sum(1 for held in value.keys if held.usages & _ADMIN) < value.admin_threshold:
        raise Rejected(ADMINS_LOCKED_OUT)
    return value


def admit(context: Context, candidate: bytes) -> int:
    """Make the candidate a member and return its number. Whoever calls has checked that a vote decided so.

    Raises:
        Rejected: As `check_candidate`.
    """
    value = check_candidate(context, candidate)
    counter = COUNTER.require(context.store)
    organisation_id = counter.next_id
    if organisation_id > ORGANISATION_ID_MAX:
        raise InvariantViolated("there are no numbers left for organisations")
    COUNTER.set(context.store, Counter(organisation_id + 1))
    add_organisation(
        context.store,
        Organisation(
            schema=SCHEMA,
            id=organisation_id,
            slug=value.slug,
            status=Status.ACTIVE,
            roles=value.roles,
            endpoints=value.endpoints,
            hpke_public_key=value.hpke_public_key,
            admin_threshold=value.admin_threshold,
            admitted_at_height=context.height,
            removed_at_height=0,
        ),
    )
    context.emit(OrganisationAdmitted(organisation_id, value.slug))
    for held in value.keys:
        add_key(context, Key(held.public_key, organisation_id, held.usages, context.height, 0))
    return organisation_id


def remove(context: Context, organisation_id: int) -> None:
    """End a membership and revoke all keys. Whoever calls has checked that a vote decided so.

    Raises:
        Rejected: ORGANISATION_UNKNOWN or ORGANISATION_REMOVED.
    """
    found = require_member(context.store, organisation_id)
    for held in keys_in_force(context.store, organisation_id):
        revoke_key(context, held)
    update_organisation(
        context.store,
        msgspec.structs.replace(found, status=Status.REMOVED, removed_at_height=context.height),
    )
    context.emit(OrganisationRemoved(organisation_id))
