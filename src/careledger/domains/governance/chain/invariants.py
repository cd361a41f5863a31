"""Whole-state predicates of the governance module: for tests and the doctor, never in consensus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.messages import check_witnesses
from careledger.domains.governance.chain.rules.ranges import check_limits
from careledger.domains.governance.chain.types import Membership, ProposalStatus
from careledger.sdk.context import View
from careledger.sdk.errors import Rejected
from careledger.sdk.module import Invariant


def parameters_are_in_range(view: View) -> list[str]:
    """Parameters and witness policy are such as a vote could have set."""
    try:
        check_limits(keeper.limits(view.store))
        check_witnesses(keeper.witnesses(view.store))
    except Rejected as error:
        return [f"parameters could not have been set: {error}"]
    return []


def schedule_ascends(view: View) -> list[str]:
    """Versions of a module ascend with their heights."""
    wrong = []
    latest: dict[str, int] = {}
    for each in keeper.schedule(view.store):
        if each.version <= latest.get(each.name, 0):
            wrong.append(f"{each.name} {each.version} is not newer than what is active before it")
        latest[each.name] = each.version
    return wrong


def validators_can_act(membership: Membership, view: View) -> list[str]:
    """There is a validator, none has a revoked key, and no change waits to be handed over."""
    wrong = []
    current = keeper.validator_set(view.store)
    if not current:
        wrong.append("there is no validator")
    revoked = sum(1 for each in current if membership.is_revoked(view.store, each.public_key))
    # If all are revoked the set stays as it is, since without any validator nobody could vote.
    if 0 < revoked < len(current):
        wrong.append("a validator's key is revoked although another validator's is not")
    if any(True for _ in keeper.POWER_CHANGES.scan_raw(view.store)):
        wrong.append("a change of the validator set was not handed to consensus")
    return wrong


def proposals_are_listed(view: View) -> list[str]:
    """Deadlines are listed for open proposals only; votes belong to proposals; numbers are given once."""
    wrong = []
    listed = {int.from_bytes(key[8:], "big"): True for key, _ in keeper.DEADLINES.scan_raw(view.store)}
    next_id = keeper.COUNTER.require(view.store).next_id
    known = {}
    for _, each in keeper.PROPOSALS.scan(view.store):
        known[each.id] = True
        if (each.status is ProposalStatus.OPEN) is not (each.id in listed):
            wrong.append(f"the deadline of proposal {each.id} is listed wrongly")
        if each.id >= next_id:
            wrong.append(f"proposal {each.id} has a number that is yet to be given")
    if any(proposal_id not in known for proposal_id in listed):
        wrong.append("a deadline belongs to no proposal")
    for key, _ in keeper.VOTES.scan_raw(view.store):
        if int.from_bytes(key[:8], "big") not in known:
            wrong.append("a vote belongs to no proposal")
    return wrong


def invariants(membership: Membership) -> Mapping[str, Invariant]:
    """All invariants of the module."""
    return {
        "parameters_are_in_range": parameters_are_in_range,
        "schedule_ascends": schedule_ascends,
        "validators_can_act": partial(validators_can_act, membership),
        "proposals_are_listed": proposals_are_listed,
    }
