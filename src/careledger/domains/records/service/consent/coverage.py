"""What a policy opens as a whole, and for whom: how a decision becomes grants.

A grant of a whole compartment hands over its keys, so it is made only where the policy permits every record of
the compartment, past and future, to everybody at the recipient. Where it tells records or people apart, single
record keys are released per answer, and no key of the stream ever leaves.

Pure; reads no clock and no store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.errors import PART_2_INCOMPLETE, RECIPIENT_MISSING
from careledger.domains.records.service.consent.policy import (
    ActorKind,
    Policy,
    Rule,
    covers_purpose,
    has_data_criteria,
    specificity,
)
from careledger.domains.records.service.consent.vocabulary import ANY_PURPOSE
from careledger.primitives.errors import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGrant:
    """One grant that follows from a policy."""

    organisation: str
    """Short name of the recipient."""
    purpose: str
    """Code of v3-ActReason, or `*`."""
    policy: Policy
    """Only what concerns this recipient: it is shown nothing of the others."""
    whole: tuple[Compartment, ...]
    """Compartments whose keys are handed over."""
    compartments: tuple[Compartment, ...]
    """Compartments of which something is permitted, `whole` included."""
    not_before_ms: int
    """0 for from now on."""
    expires_at_ms: int
    """0 for no end."""


def plan_grants(
    policy: Policy, *, recipients: Iterable[str] = (), never: Iterable[Compartment] = ()
) -> tuple[PlannedGrant, ...]:
    """Grants that a policy asks for, one per recipient and purpose.

    Args:
        policy: the decision.
        recipients: organisations by short name, besides those the permissions name.
        never: compartments that are not shared whatever the policy says, such as restricted ones.

    Raises:
        Rejected: RECIPIENT_MISSING, it permits and nobody is named; PART_2_INCOMPLETE, it shares substance use
            records without purpose or end.
    """
    permits = [rule for rule in (policy.base, *policy.exceptions) if rule.is_permit]
    if not permits:
        return ()
    named = dict.fromkeys(recipients)
    for rule in permits:
        named.update((actor.value, None) for actor in rule.actors if actor.kind == ActorKind.ORGANISATION)
    if not named:
        raise Rejected(RECIPIENT_MISSING)
    barred = frozenset(never)
    planned = []
    for organisation in named:
        own = narrow_policy(policy, organisation)
        for purpose in _purposes(own):
            grant = _plan(own, organisation, purpose, barred)
            if grant is not None:
                planned.append(grant)
    return tuple(planned)


def narrow_policy(policy: Policy, organisation: str) -> Policy:
    """The policy without rules that name other organisations only."""
    kept = tuple(rule for rule in policy.exceptions if _may_be_at(rule, organisation))
    base = policy.base
    if base.actors:
        own = tuple(
            actor
            for actor in base.actors
            if actor.kind != ActorKind.ORGANISATION or actor.value == organisation
        )
        # A base rule for others only permits nothing here, and must not become one for everybody.
        base = msgspec.structs.replace(base, actors=own, is_permit=base.is_permit and bool(own))
    return Policy(policy.version, base, kept)


def is_whole(policy: Policy, organisation: str, purpose: str, compartment: Compartment) -> bool:
    """Whether a policy permits every record of a compartment to everybody at an organisation.

    Rules' own periods count as telling times apart, except the base rule's, which bounds the grant.
    """
    denials, permissions = [], []
    for rule in policy.exceptions:
        if not _may_be_at(rule, organisation) or compartment not in rule.compartments:
            continue
        if not rule.is_permit and _may_be_for(rule, purpose):
            denials.append(specificity(rule))
        elif rule.is_permit and _is_sure(rule, organisation, purpose):
            permissions.append(specificity(rule))
    if permissions and (not denials or max(permissions) > max(denials)):
        return True
    base = policy.base
    return (
        not denials
        and base.is_permit
        and compartment in base.compartments
        and _is_sure(base, organisation, purpose, is_base=True)
    )


def may_open(policy: Policy, organisation: str, purpose: str, compartment: Compartment) -> bool:
    """Whether a policy may permit something of a compartment to somebody at an organisation."""
    return any(
        rule.is_permit
        and compartment in rule.compartments
        and _may_be_at(rule, organisation)
        and _may_be_for(rule, purpose)
        for rule in (policy.base, *policy.exceptions)
    )


def _plan(
    policy: Policy, organisation: str, purpose: str, barred: frozenset[Compartment]
) -> PlannedGrant | None:
    opened = tuple(
        one for one in COMPARTMENTS if one not in barred and may_open(policy, organisation, purpose, one)
    )
    if not opened:
        return None
    if Compartment.SUBSTANCE_USE in opened and (purpose == ANY_PURPOSE or policy.base.until_ms is None):
        raise Rejected(PART_2_INCOMPLETE)
    return PlannedGrant(
        organisation=organisation,
        purpose=purpose,
        policy=policy,
        whole=tuple(one for one in opened if is_whole(policy, organisation, purpose, one)),
        compartments=opened,
        not_before_ms=max(policy.base.from_ms or 0, 0),
        expires_at_ms=max(policy.base.until_ms or 0, 0),
    )


def _purposes(policy: Policy) -> tuple[str, ...]:
    """Purposes that permissions name; `*` where one names none."""
    found: dict[str, None] = {}
    for rule in (policy.base, *policy.exceptions):
        if rule.is_permit:
            if not rule.purposes:
                return (ANY_PURPOSE,)
            found.update(dict.fromkeys(rule.purposes))
    return tuple(found)


def _may_be_at(rule: Rule, organisation: str) -> bool:
    """Whether somebody at the organisation may be meant."""
    return not rule.actors or any(
        actor.kind != ActorKind.ORGANISATION or actor.value == organisation for actor in rule.actors
    )


def _may_be_for(rule: Rule, purpose: str) -> bool:
    return purpose == ANY_PURPOSE or covers_purpose(rule, purpose)


def _is_sure(rule: Rule, organisation: str, purpose: str, *, is_base: bool = False) -> bool:
    """Whether a permission holds for everybody at the organisation and for every record."""
    is_for_all = not rule.actors or any(
        actor.kind == ActorKind.ORGANISATION and actor.value == organisation for actor in rule.actors
    )
    is_for_purpose = not rule.purposes if purpose == ANY_PURPOSE else covers_purpose(rule, purpose)
    is_always = is_base or (rule.from_ms is None and rule.until_ms is None)
    return is_for_all and is_for_purpose and is_always and not has_data_criteria(rule)
