"""Read-only questions to the governance module at a height."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.errors import QUERY_INVALID
from careledger.domains.governance.chain.types import (
    Limits,
    ModuleActivation,
    Proposal,
    Validator,
    WitnessPolicy,
)
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.sdk.context import View
from careledger.sdk.errors import Rejected
from careledger.sdk.module import Query

W = TypeVar("W", bound=Wire)


class Nothing(Wire, frozen=True):
    """Request of queries without a parameter."""


class ProposalByID(Wire, frozen=True):
    """Request of `proposal`."""

    proposal: int


class CastVote(Wire, frozen=True):
    """One vote on a proposal."""

    organisation: int
    is_approval: bool


class ProposalState(Wire, frozen=True):
    """A proposal with its votes, past members' included."""

    proposal: Proposal
    votes: tuple[CastVote, ...]


class OpenProposals(Wire, frozen=True):
    """All open proposals in order of their deadlines."""

    proposals: tuple[Proposal, ...]


class Schedule(Wire, frozen=True):
    """All activations of modules, past and to come."""

    activations: tuple[ModuleActivation, ...]


class Validators(Wire, frozen=True):
    """The validator set in order of public keys."""

    validators: tuple[Validator, ...]


def limits(view: View, request: bytes) -> Limits:
    """The ledger's parameters."""
    _read(request, Nothing)
    return keeper.limits(view.store)


def schedule(view: View, request: bytes) -> Schedule:
    """All activations of modules."""
    _read(request, Nothing)
    return Schedule(tuple(keeper.schedule(view.store)))


def validators(view: View, request: bytes) -> Validators:
    """The validator set."""
    _read(request, Nothing)
    return Validators(keeper.validator_set(view.store))


def witnesses(view: View, request: bytes) -> WitnessPolicy:
    """The witness policy."""
    _read(request, Nothing)
    return keeper.witnesses(view.store)


def proposal(view: View, request: bytes) -> ProposalState:
    """One proposal with its votes."""
    found = keeper.require_proposal(view.store, _read(request, ProposalByID).proposal)
    cast = tuple(CastVote(*each) for each in keeper.votes(view.store, found.id))
    return ProposalState(found, cast)


def open_proposals(view: View, request: bytes) -> OpenProposals:
    """All open proposals; members times their limit bounds the answer."""
    _read(request, Nothing)
    return OpenProposals(tuple(keeper.open_proposals(view.store)))


def _read(request: bytes, kind: type[W]) -> W:
    try:
        return decode(request, kind)
    except CodecError:
        raise Rejected(QUERY_INVALID) from None


QUERIES: Mapping[str, Query] = {
    "limits": limits,
    "schedule": schedule,
    "validators": validators,
    "witnesses": witnesses,
    "proposal": proposal,
    "open_proposals": open_proposals,
}
