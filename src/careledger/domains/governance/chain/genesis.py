"""Genesis of the governance module: parameters, active modules, validators, witnesses, proposals and votes.

The document is plain lists, dictionaries, numbers, texts and bytes (a proposal stands as the bytes of its
canonical encoding), and importing what was exported gives the same keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.errors import GENESIS_INVALID
from careledger.domains.governance.chain.messages import (
    NUMBER_MAX,
    check_module,
    check_organisation,
    check_validator,
    check_witnesses,
)
from careledger.domains.governance.chain.rules.ranges import check_limits
from careledger.domains.governance.chain.types import (
    DEFAULT_LIMITS,
    Counter,
    Limits,
    ModuleActivation,
    Proposal,
    Validator,
    Witness,
    WitnessPolicy,
)
from careledger.primitives.codec import CodecError, decode, encode
from careledger.sdk.context import StateStore, View
from careledger.sdk.errors import Rejected

_PLAIN_TYPES = (bytes,)


class GenesisModule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One activation of a module."""

    name: str
    version: int
    activation_height: int = 0


class GenesisValidator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One validator."""

    public_key: bytes
    power: int
    organisation: int


class GenesisWitness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One who cosigns checkpoints."""

    name: str
    public_key: bytes


class GenesisVote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vote on a proposal."""

    organisation: int
    is_approval: bool


class GenesisProposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One proposal with its votes."""

    encoded: bytes
    """Canonical encoding of the `Proposal`."""
    votes: tuple[GenesisVote, ...] = ()


class GenesisDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole module."""

    limits: dict[str, int]
    modules: tuple[GenesisModule, ...]
    validators: tuple[GenesisValidator, ...]
    witnesses: tuple[GenesisWitness, ...] = ()
    witness_quorum: int = 0
    proposals: tuple[GenesisProposal, ...] = ()
    next_proposal: int = 1


def genesis_document(
    *,
    modules: Sequence[ModuleActivation],
    validators: Sequence[Validator],
    limits: Limits = DEFAULT_LIMITS,
    witnesses: Sequence[Witness] = (),
    witness_quorum: int = 0,
) -> dict[str, Any]:
    """Document of a new ledger.

    Raises:
        Rejected: A part of it is wrong.
    """
    return _plain(
        _document(
            limits=limits,
            modules=modules,
            validators=validators,
            policy=WitnessPolicy(witness_quorum, tuple(sorted(witnesses, key=lambda each: each.name))),
            proposals=(),
            next_proposal=1,
        )
    )


def export_genesis(view: View) -> dict[str, Any]:
    """Document of the state as it stands between blocks."""
    proposals = [
        GenesisProposal(
            encoded=encode(found),
            votes=tuple(
                GenesisVote(organisation=organisation, is_approval=is_approval)
                for organisation, is_approval in keeper.votes(view.store, found.id)
            ),
        )
        for _, found in keeper.PROPOSALS.scan(view.store)
    ]
    return _plain(
        _document(
            limits=keeper.limits(view.store),
            modules=tuple(keeper.schedule(view.store)),
            validators=keeper.validator_set(view.store),
            policy=keeper.witnesses(view.store),
            proposals=proposals,
            next_proposal=keeper.COUNTER.require(view.store).next_id,
        )
    )


def import_genesis(store: StateStore, document: Any) -> None:
    """Write the state of a document into an empty store.

    Raises:
        msgspec.ValidationError: It is not such a document.
        Rejected: A part of it is wrong.
    """
    read = msgspec.convert(document, GenesisDocument, builtin_types=_PLAIN_TYPES)
    _check(read)
    keeper.write_limits(store, Limits(**read.limits))
    for module in read.modules:
        keeper.write_activation(
            store, ModuleActivation(module.name, module.version, module.activation_height)
        )
    for each in read.validators:
        keeper.write_validator(store, Validator(each.public_key, each.power, each.organisation))
    keeper.write_witnesses(store, _policy(read))
    keeper.COUNTER.set(store, Counter(read.next_proposal))
    for position, proposal in enumerate(read.proposals):
        decoded = _decode_proposal(proposal.encoded, f"proposals[{position}]")
        keeper.write_proposal(store, decoded)
        for vote in proposal.votes:
            keeper.write_vote(store, decoded.id, vote.organisation, is_approval=vote.is_approval)


def _document(
    *,
    limits: Limits,
    modules: Sequence[ModuleActivation],
    validators: Sequence[Validator],
    policy: WitnessPolicy,
    proposals: Sequence[GenesisProposal],
    next_proposal: int,
) -> GenesisDocument:
    document = GenesisDocument(
        limits=msgspec.structs.asdict(limits),
        modules=tuple(
            GenesisModule(name=each.name, version=each.version, activation_height=each.activation_height)
            for each in modules
        ),
        validators=tuple(
            GenesisValidator(public_key=each.public_key, power=each.power, organisation=each.organisation)
            for each in validators
        ),
        witnesses=tuple(
            GenesisWitness(name=each.name, public_key=each.public_key) for each in policy.witnesses
        ),
        witness_quorum=policy.quorum,
        proposals=tuple(proposals),
        next_proposal=next_proposal,
    )
    _check(document)
    return document


def _check(document: GenesisDocument) -> None:
    if sorted(document.limits) != sorted(Limits.__struct_fields__):
        raise Rejected(GENESIS_INVALID, at="limits")
    check_limits(Limits(**document.limits))
    for module in document.modules:
        check_module(module.name, module.version, module.activation_height)
    for each in document.validators:
        check_validator(each.public_key, each.power, each.organisation)
    keys = {each.public_key: each.power for each in document.validators}
    if not keys or len(keys) != len(document.validators) or 0 in keys.values():
        raise Rejected(GENESIS_INVALID, at="validators")
    check_witnesses(_policy(document))
    for proposal in document.proposals:
        for vote in proposal.votes:
            check_organisation(vote.organisation)
    if not 1 <= document.next_proposal <= NUMBER_MAX:
        raise Rejected(GENESIS_INVALID, at="next_proposal")


def _policy(document: GenesisDocument) -> WitnessPolicy:
    witnesses = tuple(Witness(each.name, each.public_key) for each in document.witnesses)
    return WitnessPolicy(document.witness_quorum, witnesses)


def _decode_proposal(encoded: bytes, at: str) -> Proposal:
    try:
        return decode(encoded, Proposal)
    except CodecError:
        raise Rejected(GENESIS_INVALID, at=at) from None


def _plain(document: GenesisDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document, builtin_types=_PLAIN_TYPES)
    return plain
