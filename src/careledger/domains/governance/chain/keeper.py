"""The only reader and writer of the governance module's keys, and what the ledger and others may ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from careledger.domains.governance.chain.errors import (
    ACTIVATION_NOT_AHEAD,
    ACTIVATION_NOT_NEWER,
    LAST_VALIDATOR,
    PROPOSAL_UNKNOWN,
    PROPOSALS_TOO_MANY,
    VALIDATOR_UNKNOWN,
    VALIDATORS_TOO_MANY,
)
from careledger.domains.governance.chain.messages import NUMBER_MAX
from careledger.domains.governance.chain.types import (
    PROPOSALS_OPEN_MAX,
    SCHEMA,
    VALIDATORS_MAX,
    Action,
    Counter,
    Limits,
    ModuleActivation,
    Proposal,
    ProposalStatus,
    Validator,
    ValidatorChanged,
    WitnessPolicy,
)
from careledger.sdk.collections import Item, KeySet, Map, RawMap, fixed_key, text_key, u32_key, u64_key
from careledger.sdk.context import Context, StateReader, StateStore
from careledger.sdk.errors import Rejected
from careledger.sdk.module import ValidatorUpdate

MODULE_NUMBER = 2

APPROVAL = b"\x01"
DISAPPROVAL = b"\x00"


def _activation_key(pair: tuple[str, int]) -> bytes:
    return text_key(pair[0]) + u64_key(pair[1])


def _vote_key(pair: tuple[int, int]) -> bytes:
    return u64_key(pair[0]) + u32_key(pair[1])


def _deadline_key(pair: tuple[int, int]) -> bytes:
    return u64_key(pair[0]) + u64_key(pair[1])


LIMITS: Item[Limits] = Item(MODULE_NUMBER, 1, "governance.limits", Limits)
SCHEDULE: Map[tuple[str, int], ModuleActivation] = Map(
    MODULE_NUMBER, 2, "governance.schedule", _activation_key, ModuleActivation
)
"""(module, activation height) -> activation."""
VALIDATORS: Map[bytes, Validator] = Map(MODULE_NUMBER, 3, "governance.validators", fixed_key, Validator)
WITNESSES: Item[WitnessPolicy] = Item(MODULE_NUMBER, 4, "governance.witnesses", WitnessPolicy)
PROPOSALS: Map[int, Proposal] = Map(MODULE_NUMBER, 5, "governance.proposals", u64_key, Proposal)
VOTES: RawMap[tuple[int, int]] = RawMap(MODULE_NUMBER, 6, "governance.votes", _vote_key)
"""(proposal, organisation) -> 0x01 for approval, 0x00 for disapproval."""
DEADLINES: KeySet[tuple[int, int]] = KeySet(MODULE_NUMBER, 7, "governance.deadlines", _deadline_key)
"""(deadline, proposal) of every open proposal."""
COUNTER: Item[Counter] = Item(MODULE_NUMBER, 8, "governance.counter", Counter)
POWER_CHANGES: RawMap[bytes] = RawMap(MODULE_NUMBER, 9, "governance.power_changes", fixed_key)
"""Validator -> power (4) that this block has yet to hand to consensus; empty between blocks."""


def limits(store: StateReader) -> Limits:
    """The ledger's parameters."""
    return LIMITS.require(store)


def recovery_delay_ms(store: StateReader) -> int:
    """How long the recovery of a consent cell waits, in milliseconds."""
    return limits(store).recovery_delay_ms


def schedule(store: StateReader) -> Iterator[ModuleActivation]:
    """All activations, by module's name length, name and height."""
    for _, activation in SCHEDULE.scan(store):
        yield activation


def active_versions(store: StateReader, height: int) -> Mapping[str, int]:
    """Active version of each module at a height; a module that is not there is not active."""
    active: dict[str, int] = {}
    for activation in schedule(store):
        # Activations of one module come in ascending order of height, so the last one that counts stays.
        if activation.activation_height <= height:
            active[activation.name] = activation.version
    return active


def validator_set(store: StateReader) -> tuple[Validator, ...]:
    """The validator set in order of public keys."""
    return tuple(validator for _, validator in VALIDATORS.scan(store))


def validators(store: StateReader) -> tuple[ValidatorUpdate, ...]:
    """The validator set as consensus takes it at genesis."""
    return tuple(ValidatorUpdate(each.public_key, each.power) for each in validator_set(store))


def validator(store: StateReader, public_key: bytes) -> Validator | None:
    """One validator, or None."""
    return VALIDATORS.get(store, public_key)


def witnesses(store: StateReader) -> WitnessPolicy:
    """Whose cosignatures a checkpoint needs."""
    return WITNESSES.require(store)


def proposal(store: StateReader, proposal_id: int) -> Proposal | None:
    """One proposal, or None."""
    return PROPOSALS.get(store, proposal_id) if 1 <= proposal_id <= NUMBER_MAX else None


def require_proposal(store: StateReader, proposal_id: int) -> Proposal:
    """One proposal.

    Raises:
        Rejected: PROPOSAL_UNKNOWN.
    """
    found = proposal(store, proposal_id)
    if found is None:
        raise Rejected(PROPOSAL_UNKNOWN)
    return found


def open_proposals(store: StateReader) -> Iterator[Proposal]:
    """All open proposals in order of their deadlines."""
    for key, _ in DEADLINES.scan_raw(store):
        yield require_proposal(store, int.from_bytes(key[8:], "big"))


def votes(store: StateReader, proposal_id: int) -> Iterator[tuple[int, bool]]:
    """(organisation, whether it approves) of every vote, past members included."""
    for key, raw in VOTES.scan_raw(store, u64_key(proposal_id)):
        yield int.from_bytes(key[8:], "big"), raw == APPROVAL


def has_voted(store: StateReader, proposal_id: int, organisation: int) -> bool:
    """Whether the organisation has voted on the proposal."""
    return VOTES.has(store, (proposal_id, organisation))


def count_approvals(store: StateReader, proposal_id: int, members: tuple[int, ...]) -> int:
    """Approvals by present members."""
    return sum(1 for member in members if VOTES.get(store, (proposal_id, member)) == APPROVAL)


def write_limits(store: StateStore, value: Limits) -> None:
    """Write the ledger's parameters."""
    LIMITS.set(store, value)


def write_witnesses(store: StateStore, value: WitnessPolicy) -> None:
    """Write the witness policy."""
    WITNESSES.set(store, value)


def open_proposal(context: Context, proposer: int, action: Action) -> Proposal:
    """Write a new proposal that can be voted on from now.

    Raises:
        Rejected: PROPOSALS_TOO_MANY.
    """
    store = context.store
    if sum(1 for each in open_proposals(store) if each.proposer == proposer) >= PROPOSALS_OPEN_MAX:
        raise Rejected(PROPOSALS_TOO_MANY)
    proposal_id = COUNTER.require(store).next_id
    COUNTER.set(store, Counter(proposal_id + 1))
    value = Proposal(
        schema=SCHEMA,
        id=proposal_id,
        proposer=proposer,
        action=action,
        status=ProposalStatus.OPEN,
        opened_at_height=context.height,
        deadline_ms=context.time_ms + limits(store).proposal_lifetime_ms,
        closed_at_height=0,
    )
    write_proposal(store, value)
    return value


def close_proposal(context: Context, value: Proposal, status: ProposalStatus) -> None:
    """End the voting on a proposal."""
    write_proposal(
        context.store, msgspec.structs.replace(value, status=status, closed_at_height=context.height)
    )


def write_proposal(store: StateStore, value: Proposal) -> None:
    """Write a proposal, and list its deadline exactly while it is open."""
    PROPOSALS.set(store, value.id, value)
    if value.status is ProposalStatus.OPEN:
        DEADLINES.add(store, (value.deadline_ms, value.id))
    else:
        DEADLINES.delete(store, (value.deadline_ms, value.id))


def write_vote(store: StateStore, proposal_id: int, organisation: int, *, is_approval: bool) -> None:
    """Write one organisation's vote."""
    VOTES.set(store, (proposal_id, organisation), APPROVAL if is_approval else DISAPPROVAL)


def lapsed_proposals(store: StateReader, time_ms: int, count_max: int) -> list[Proposal]:
    """Open proposals whose time is over, earliest deadline first, at most so many."""
    lapsed: list[Proposal] = []
    for value in open_proposals(store):
        if value.deadline_ms > time_ms or len(lapsed) == count_max:
            break
        lapsed.append(value)
    return lapsed


def check_activation(context: Context, name: str, version: int, activation_height: int) -> None:
    """Check that the activation lies ahead and is newer than all of the module so far.

    Raises:
        Rejected: ACTIVATION_NOT_AHEAD or ACTIVATION_NOT_NEWER.
    """
    if activation_height <= context.height:
        raise Rejected(ACTIVATION_NOT_AHEAD)
    for _, earlier in SCHEDULE.scan(context.store, text_key(name)):
        if earlier.activation_height >= activation_height:
            raise Rejected(ACTIVATION_NOT_AHEAD)
        if earlier.version >= version:
            raise Rejected(ACTIVATION_NOT_NEWER)


def write_activation(store: StateStore, value: ModuleActivation) -> None:
    """Schedule a version of a module."""
    SCHEDULE.set(store, (value.name, value.activation_height), value)


def write_validator(store: StateStore, value: Validator) -> None:
    """Write one validator."""
    VALIDATORS.set(store, value.public_key, value)


def check_validator_change(store: StateReader, public_key: bytes, power: int) -> None:
    """Check that the set allows the change.

    Raises:
        Rejected: VALIDATOR_UNKNOWN, LAST_VALIDATOR or VALIDATORS_TOO_MANY.
    """
    current = validator_set(store)
    is_there = any(each.public_key == public_key for each in current)
    if power == 0 and not is_there:
        raise Rejected(VALIDATOR_UNKNOWN)
    if power == 0 and len(current) == 1:
        raise Rejected(LAST_VALIDATOR)
    if power and not is_there and len(current) >= VALIDATORS_MAX:
        raise Rejected(VALIDATORS_TOO_MANY)


def change_validator(context: Context, value: Validator) -> None:
    """Apply a checked change; power 0 removes. Consensus is told at the end of the block."""
    if value.power:
        write_validator(context.store, value)
    else:
        VALIDATORS.delete(context.store, value.public_key)
    POWER_CHANGES.set(context.store, value.public_key, u32_key(value.power))
    context.emit(ValidatorChanged(value.public_key, value.power, value.organisation))


def take_power_changes(store: StateStore) -> list[tuple[bytes, int]]:
    """(public key, power) of this block's changes in order of keys; none are left afterwards."""
    changes = [(key, int.from_bytes(raw, "big")) for key, raw in POWER_CHANGES.scan_raw(store)]
    for key, _ in changes:
        POWER_CHANGES.delete(store, key)
    return changes
