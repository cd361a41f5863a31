"""What each message of the governance module does, and what is due at the end of a block.

One organisation has one vote, and the deciding vote executes the action in its own transaction: if the action is
no longer possible, that vote is rejected and the proposal stays open until it lapses.
"""

from __future__ import annotations

from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.errors import (
    ALREADY_VOTED,
    LAST_MEMBER,
    LAST_VALIDATOR,
    PROPOSAL_CLOSED,
    PROPOSAL_LAPSED,
    VALIDATOR_KEY,
)
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.rules.ranges import apply_changes
from careledger.domains.governance.chain.rules.threshold import is_passed
from careledger.domains.governance.chain.types import (
    LAPSED_PER_BLOCK_MAX,
    Action,
    ActivateModule,
    AdmitOrganisation,
    ChangeValidator,
    Membership,
    ModuleActivation,
    ModuleScheduled,
    Outcome,
    ParametersChanged,
    Proposal,
    ProposalExecuted,
    ProposalLapsed,
    ProposalOpened,
    ProposalStatus,
    RemoveOrganisation,
    SetParameters,
    SetWitnesses,
    Validator,
    VoteCast,
    WitnessesChanged,
)
from careledger.primitives.codec import encode
from careledger.sdk.context import Context
from careledger.sdk.errors import Rejected
from careledger.sdk.module import ValidatorUpdate


def propose(membership: Membership, context: Context, message: Propose) -> bytes:
    """Put an action to the vote; the proposer approves it."""
    # CHECKS
    membership.require_admins(context, message.organisation)
    _check_possible(membership, context, message.action)
    # EFFECTS
    proposal = keeper.open_proposal(context, message.organisation, message.action)
    # EVENTS
    context.emit(ProposalOpened(proposal.id, message.organisation, proposal.deadline_ms))
    return _cast(membership, context, proposal, message.organisation, is_approval=True)


def vote(membership: Membership, context: Context, message: Vote) -> bytes:
    """Cast one organisation's vote, and execute the action if that decides it."""
    # CHECKS
    membership.require_admins(context, message.organisation)
    proposal = keeper.require_proposal(context.store, message.proposal)
    if proposal.status is not ProposalStatus.OPEN:
        raise Rejected(PROPOSAL_CLOSED if proposal.status is ProposalStatus.EXECUTED else PROPOSAL_LAPSED)
    if context.time_ms >= proposal.deadline_ms:
        raise Rejected(PROPOSAL_LAPSED)
    if keeper.has_voted(context.store, proposal.id, message.organisation):
        raise Rejected(ALREADY_VOTED)
    # EFFECTS, EVENTS
    return _cast(membership, context, proposal, message.organisation, is_approval=message.is_approval)


def end_block(membership: Membership, context: Context) -> tuple[ValidatorUpdate, ...]:
    """Close what has lapsed, drop validators with a revoked key, and hand over changes of the set."""
    for proposal in keeper.lapsed_proposals(context.store, context.time_ms, LAPSED_PER_BLOCK_MAX):
        keeper.close_proposal(context, proposal, ProposalStatus.LAPSED)
        context.emit(ProposalLapsed(proposal.id))
    _drop_validators(membership, context)
    return tuple(
        ValidatorUpdate(public_key, power) for public_key, power in keeper.take_power_changes(context.store)
    )


def _cast(
    membership: Membership, context: Context, proposal: Proposal, organisation: int, *, is_approval: bool
) -> bytes:
    keeper.write_vote(context.store, proposal.id, organisation, is_approval=is_approval)
    context.emit(VoteCast(proposal.id, organisation, is_approval))
    members = membership.members(context.store)
    limits = keeper.limits(context.store)
    if not is_approval or not is_passed(
        approvals=keeper.count_approvals(context.store, proposal.id, members),
        members=len(members),
        numerator=limits.threshold_numerator,
        denominator=limits.threshold_denominator,
    ):
        return encode(Outcome(proposal.id, is_executed=False, organisation=0))
    _check_possible(membership, context, proposal.action)
    admitted = _execute(membership, context, proposal.action)
    keeper.close_proposal(context, proposal, ProposalStatus.EXECUTED)
    context.emit(ProposalExecuted(proposal.id))
    return encode(Outcome(proposal.id, is_executed=True, organisation=admitted))


def _check_possible(membership: Membership, context: Context, action: Action) -> None:
    store = context.store
    if isinstance(action, AdmitOrganisation):
        membership.check_candidate(context, action.candidate)
    elif isinstance(action, RemoveOrganisation):
        membership.require_member(store, action.organisation)
        if len(membership.members(store)) == 1:
            raise Rejected(LAST_MEMBER)
        if all(each.organisation == action.organisation for each in keeper.validator_set(store)):
            raise Rejected(LAST_VALIDATOR)
    elif isinstance(action, SetParameters):
        apply_changes(keeper.limits(store), action.changes)
    elif isinstance(action, ActivateModule):
        keeper.check_activation(context, action.name, action.version, action.activation_height)
    elif isinstance(action, ChangeValidator):
        keeper.check_validator_change(store, action.public_key, action.power)
        if action.power and not membership.is_validator_key(
            store, action.organisation, action.public_key, context.height
        ):
            raise Rejected(VALIDATOR_KEY)


def _execute(membership: Membership, context: Context, action: Action) -> int:
    store = context.store
    if isinstance(action, AdmitOrganisation):
        return membership.admit(context, action.candidate)
    if isinstance(action, RemoveOrganisation):
        membership.remove(context, action.organisation)
        for each in keeper.validator_set(store):
            if each.organisation == action.organisation:
                keeper.change_validator(context, Validator(each.public_key, 0, each.organisation))
    elif isinstance(action, SetParameters):
        keeper.write_limits(store, apply_changes(keeper.limits(store), action.changes))
        context.emit(ParametersChanged(action.changes))
    elif isinstance(action, ActivateModule):
        keeper.write_activation(
            store, ModuleActivation(action.name, action.version, action.activation_height)
        )
        context.emit(ModuleScheduled(action.name, action.version, action.activation_height))
    elif isinstance(action, ChangeValidator):
        keeper.change_validator(context, Validator(action.public_key, action.power, action.organisation))
    elif isinstance(action, SetWitnesses):
        keeper.write_witnesses(store, action.policy)
        context.emit(WitnessesChanged(action.policy.quorum, len(action.policy.witnesses)))
    return 0


def _drop_validators(membership: Membership, context: Context) -> None:
    # A stolen key must not wait for a vote; but a ledger without any validator could never vote again.
    current = keeper.validator_set(context.store)
    revoked = [each for each in current if membership.is_revoked(context.store, each.public_key)]
    if len(revoked) == len(current):
        return
    for each in revoked:
        keeper.change_validator(context, Validator(each.public_key, 0, each.organisation))
