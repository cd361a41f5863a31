"""Proposals and votes: what passes, what each action does, and every way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import pytest

from careledger.domains.governance.chain import errors as codes
from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.genesis import genesis_document, import_genesis
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.queries import (
    CastVote,
    Nothing,
    OpenProposals,
    ProposalByID,
    ProposalState,
    Schedule,
    Validators,
)
from careledger.domains.governance.chain.rules.ranges import RANGES, apply_changes
from careledger.domains.governance.chain.rules.threshold import is_passed
from careledger.domains.governance.chain.types import (
    CANDIDATE_BYTES_MAX,
    DEFAULT_LIMITS,
    LAPSED_PER_BLOCK_MAX,
    POWER_MAX,
    PROPOSALS_OPEN_MAX,
    VALIDATORS_MAX,
    Action,
    ActivateModule,
    AdmitOrganisation,
    ChangeValidator,
    Counter,
    Limits,
    ModuleActivation,
    Outcome,
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
    Witness,
    WitnessPolicy,
)
from careledger.domains.identity.chain import errors as identity_codes
from careledger.domains.identity.chain import keeper as identity
from careledger.domains.identity.chain.messages import RevokeKey
from careledger.primitives.codec import decode
from careledger.primitives.errors import Code, Rejected
from careledger.primitives.signing import public_key_of
from careledger.sdk.module import ValidatorUpdate
from domains.identity.chain_network import (
    Network,
    admin,
    candidate,
    check_rejected,
    digest,
    empty_store,
    ledger,
    seed,
    validator,
)

NO_CHANGE = SetWitnesses(WitnessPolicy(0, ()))
"""An action that is always possible."""


def propose(network: Network, organisation: int, action: Action) -> Outcome:
    return decode(network.run(Propose(organisation, action), admin(organisation)), Outcome)


def vote(network: Network, organisation: int, proposal: int, *, is_approval: bool = True) -> Outcome:
    return decode(network.run(Vote(organisation, proposal, is_approval), admin(organisation)), Outcome)


def decide(network: Network, action: Action, members: int = 4) -> Outcome:
    """Let a proposal pass with the votes of as many members as it needs."""
    outcome = propose(network, 1, action)
    for organisation in range(2, members + 1):
        if outcome.is_executed:
            break
        outcome = vote(network, organisation, outcome.proposal)
    assert outcome.is_executed
    return outcome


def set_limits(network: Network, **changes: int) -> None:
    keeper.write_limits(network.store, msgspec.structs.replace(keeper.limits(network.store), **changes))


# -- Success ---------------------------------------------------------------------------------------------


def test_a_proposal_passes_with_the_vote_that_exceeds_two_thirds() -> None:
    network = Network(4)
    opened = propose(network, 1, NO_CHANGE)
    assert opened == Outcome(1, is_executed=False, organisation=0)
    deadline_ms = network.time_ms + DEFAULT_LIMITS.proposal_lifetime_ms
    assert network.events == [ProposalOpened(1, 1, deadline_ms), VoteCast(1, 1, is_approval=True)]
    assert not vote(network, 2, 1, is_approval=False).is_executed
    assert not vote(network, 3, 1).is_executed
    network.check_round_trip()
    assert vote(network, 4, 1).is_executed
    assert network.events[-1] == ProposalExecuted(1)
    network.check()
    network.check_round_trip()


def test_a_lone_member_decides_with_its_proposal() -> None:
    network = Network()
    assert propose(network, 1, NO_CHANGE).is_executed


@pytest.mark.parametrize(
    ("members", "needed"),
    [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (9, 7), (10, 7), (100, 67)],
)
def test_how_many_approvals_are_more_than_two_thirds(members: int, needed: int) -> None:
    passed = [
        count
        for count in range(members + 1)
        if is_passed(approvals=count, members=members, numerator=2, denominator=3)
    ]
    assert passed == list(range(needed, members + 1))


def test_fewer_than_a_quorum_never_admit() -> None:
    """Threat row 13."""
    network = Network(4)
    propose(network, 1, AdmitOrganisation(candidate("sybil")))
    vote(network, 2, 1)
    check_rejected(network, codes.ALREADY_VOTED, lambda n: vote(n, 1, 1))
    check_rejected(network, codes.ALREADY_VOTED, lambda n: vote(n, 2, 1))
    check_rejected(network, identity_codes.ORGANISATION_UNKNOWN, lambda n: vote(n, 5, 1))
    propose(network, 1, AdmitOrganisation(candidate("sybil")))
    assert identity.members(network.store) == (1, 2, 3, 4)
    outcome = vote(network, 3, 1)
    assert outcome == Outcome(1, is_executed=True, organisation=5)
    assert identity.members(network.store) == (1, 2, 3, 4, 5)
    network.check()
    network.check_round_trip()


def test_votes_need_as_many_admins_as_the_organisation_asks_for() -> None:
    network = Network(2, admins=2, admin_threshold=2)
    check_rejected(
        network,
        identity_codes.ADMINS_TOO_FEW,
        lambda n: n.run(Propose(1, NO_CHANGE), admin(1, 1), ledger(1), admin(2, 1)),
    )
    network.run(Propose(1, NO_CHANGE), admin(1, 1), admin(1, 2))
    check_rejected(network, identity_codes.ADMINS_TOO_FEW, lambda n: n.run(Vote(2, 1, True), admin(2, 1)))
    network.run(Vote(2, 1, is_approval=True), admin(2, 1), admin(2, 2))


def test_the_vote_of_an_organisation_that_left_does_not_count() -> None:
    network = Network(5)
    propose(network, 5, NO_CHANGE)
    decide(network, RemoveOrganisation(5), 5)
    assert not vote(network, 1, 1).is_executed
    assert not vote(network, 2, 1).is_executed
    assert vote(network, 3, 1).is_executed


def test_removal_revokes_keys_and_takes_validators_out() -> None:
    network = Network(4, validators=2)
    decide(network, RemoveOrganisation(2))
    assert network.end_block() == (ValidatorUpdate(public_key_of(validator(2)), 0),)
    assert network.end_block() == ()
    assert [each.organisation for each in keeper.validator_set(network.store)] == [1]
    network.check()
    network.check_round_trip()


def test_parameters_change_by_name_and_proposals_merge() -> None:
    network = Network(4)
    first = propose(network, 1, SetParameters((("recovery_delay_ms", 60_000),)))
    second = propose(network, 1, SetParameters((("permit_bytes_max", 600), ("proposal_lifetime_ms", 90_000))))
    for outcome in (first, second):
        vote(network, 2, outcome.proposal)
        vote(network, 3, outcome.proposal)
    expected = msgspec.structs.replace(
        DEFAULT_LIMITS, recovery_delay_ms=60_000, permit_bytes_max=600, proposal_lifetime_ms=90_000
    )
    assert network.query(network.governance, "limits", Nothing()) == expected
    assert keeper.recovery_delay_ms(network.store) == 60_000
    network.check()


def test_the_threshold_itself_is_a_parameter() -> None:
    network = Network(4)
    decide(network, SetParameters((("threshold_denominator", 4), ("threshold_numerator", 3))))
    for organisation in (2, 3):
        assert not propose(network, 1, NO_CHANGE).is_executed
        assert not vote(network, organisation, 2).is_executed
    assert vote(network, 4, 2).is_executed


def test_modules_become_active_at_their_heights() -> None:
    network = Network(4)
    decide(network, ActivateModule("supply", 1, 10))
    decide(network, ActivateModule("supply", 2, 20))
    base = {"governance": 1, "identity": 1, "records": 1}
    assert keeper.active_versions(network.store, 9) == base
    assert keeper.active_versions(network.store, 10) == base | {"supply": 1}
    assert keeper.active_versions(network.store, 19) == base | {"supply": 1}
    assert keeper.active_versions(network.store, 20) == base | {"supply": 2}
    schedule = network.query(network.governance, "schedule", Nothing())
    assert isinstance(schedule, Schedule)
    assert ModuleActivation("supply", 2, 20) in schedule.activations
    network.check()
    network.check_round_trip()


def test_validators_change_and_consensus_is_told_in_order_of_keys() -> None:
    network = Network(4)
    for organisation in (2, 3):
        key = public_key_of(validator(organisation))
        decide(network, ChangeValidator(key, 5 * organisation, organisation))
    expected = sorted((public_key_of(validator(each)), 5 * each) for each in (2, 3))
    assert network.end_block() == tuple(ValidatorUpdate(*each) for each in expected)
    first = public_key_of(validator(1))
    decide(network, ChangeValidator(first, 0, 1))
    assert network.end_block() == (ValidatorUpdate(first, 0),)
    left = network.query(network.governance, "validators", Nothing())
    assert isinstance(left, Validators)
    assert [(each.public_key, each.power) for each in left.validators] == expected
    assert keeper.validators(network.store) == tuple(ValidatorUpdate(*each) for each in expected)
    network.check()


def test_a_validator_whose_key_is_revoked_leaves_unless_it_is_the_last() -> None:
    network = Network(2, validators=2)
    for organisation in (2, 1):
        network.run(RevokeKey(organisation, public_key_of(validator(organisation))), admin(organisation))
        expected = () if organisation == 1 else (ValidatorUpdate(public_key_of(validator(2)), 0),)
        assert network.end_block() == expected
        network.check()


def test_witnesses_are_replaced_as_a_whole() -> None:
    network = Network(4)
    policy = WitnessPolicy(
        1, (Witness("patients.example", digest("w1")), Witness("regulator.example", digest("w2")))
    )
    decide(network, SetWitnesses(policy))
    assert network.query(network.governance, "witnesses", Nothing()) == policy
    network.check_round_trip()


def test_a_proposal_lapses_by_block_time() -> None:
    network = Network(4)
    propose(network, 1, NO_CHANGE)
    propose(network, 2, NO_CHANGE)
    network.next_block(later_ms=DEFAULT_LIMITS.proposal_lifetime_ms - 1)
    network.end_block()
    assert network.events == []
    network.next_block(later_ms=1)
    check_rejected(network, codes.PROPOSAL_LAPSED, lambda n: vote(n, 3, 1))
    network.end_block()
    assert network.events == [ProposalLapsed(1), ProposalLapsed(2)]
    check_rejected(network, codes.PROPOSAL_LAPSED, lambda n: vote(n, 3, 1))
    found = keeper.require_proposal(network.store, 1)
    assert (found.status, found.closed_at_height) == (ProposalStatus.LAPSED, network.height)
    network.check()
    network.check_round_trip()


def test_lapsing_is_spread_over_blocks() -> None:
    network = Network(1)
    for number in range(1, LAPSED_PER_BLOCK_MAX + 2):
        keeper.write_proposal(
            network.store,
            Proposal(1, number, number + 10, NO_CHANGE, ProposalStatus.OPEN, 1, network.time_ms, 0),
        )
    network.end_block()
    assert len(network.events) == LAPSED_PER_BLOCK_MAX
    network.end_block()
    assert len(network.events) == 1


def test_an_action_that_became_impossible_rejects_the_deciding_vote_only() -> None:
    network = Network(4)
    propose(network, 1, AdmitOrganisation(candidate("rival")))
    propose(network, 2, AdmitOrganisation(candidate("rival")))
    vote(network, 2, 1)
    vote(network, 1, 2)
    assert vote(network, 3, 1).is_executed
    assert not vote(network, 3, 2).is_executed
    check_rejected(network, identity_codes.SLUG_TAKEN, lambda n: vote(n, 4, 2))
    assert not vote(network, 4, 2, is_approval=False).is_executed
    assert identity.members(network.store) == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("action", "meanwhile", "code"),
    [
        (RemoveOrganisation(2), lambda n: decide(n, RemoveOrganisation(1)), codes.LAST_VALIDATOR),
        (
            RemoveOrganisation(4),
            lambda n: decide(n, RemoveOrganisation(4)),
            identity_codes.ORGANISATION_REMOVED,
        ),
        (
            SetParameters((("operations_per_transaction_max", 9_000),)),
            lambda n: decide(n, SetParameters((("operations_per_block_max", 8_000),))),
            codes.PARAMETER_OUT_OF_RANGE,
        ),
        (ActivateModule("supply", 1, 5), lambda n: n.next_block(blocks=4), codes.ACTIVATION_NOT_AHEAD),
        (
            ActivateModule("supply", 1, 9),
            lambda n: decide(n, ActivateModule("supply", 1, 8)),
            codes.ACTIVATION_NOT_NEWER,
        ),
        (
            ChangeValidator(public_key_of(validator(3)), 1, 3),
            lambda n: n.run(RevokeKey(3, public_key_of(validator(3))), admin(3)),
            codes.VALIDATOR_KEY,
        ),
        (
            ChangeValidator(public_key_of(validator(2)), 0, 2),
            lambda n: decide(n, ChangeValidator(public_key_of(validator(1)), 0, 1)),
            codes.LAST_VALIDATOR,
        ),
    ],
)
def test_what_was_possible_is_checked_again_when_it_is_decided(
    action: Action, meanwhile: Callable[[Network], object], code: Code
) -> None:
    network = Network(4, validators=2)
    proposal = propose(network, 2, action).proposal
    vote(network, 3, proposal)
    meanwhile(network)
    check_rejected(network, code, lambda n: vote(n, 4 if identity.is_member(n.store, 4) else 1, proposal))
    network.end_block()
    network.check()


def test_a_closed_proposal_frees_its_place() -> None:
    network = Network(2)
    for _ in range(PROPOSALS_OPEN_MAX):
        propose(network, 1, NO_CHANGE)
    check_rejected(network, codes.PROPOSALS_TOO_MANY, lambda n: propose(n, 1, NO_CHANGE))
    vote(network, 2, 1)
    propose(network, 1, NO_CHANGE)


def test_queries_of_proposals() -> None:
    network = Network(4)
    propose(network, 3, NO_CHANGE)
    vote(network, 2, 1, is_approval=False)
    found = network.query(network.governance, "proposal", ProposalByID(1))
    assert isinstance(found, ProposalState)
    assert found.votes == (CastVote(2, is_approval=False), CastVote(3, is_approval=True))
    listed = network.query(network.governance, "open_proposals", Nothing())
    assert listed == OpenProposals((found.proposal,))


# -- Refusals --------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    name: str
    code: Code
    act: Callable[[Network], object]
    arrange: Callable[[Network], object] = lambda _: None


def proposes(action: Action) -> Callable[[Network], object]:
    return lambda network: propose(network, 1, action)


def fill_validators(network: Network) -> None:
    for number in range(VALIDATORS_MAX - 1):
        keeper.write_validator(network.store, Validator(digest("validator", number), 1, 1))


def only_validators_of_first(network: Network) -> None:
    keeper.write_validator(network.store, Validator(public_key_of(seed("second")), 1, 1))


def propose_too_long_ago(network: Network) -> None:
    propose(network, 1, NO_CHANGE)
    network.next_block(later_ms=DEFAULT_LIMITS.proposal_lifetime_ms)


def remove_all_others(network: Network) -> None:
    for organisation in (2, 3, 4):
        identity.remove(network.context(), organisation)


def delete_validators(network: Network) -> None:
    for key in (FIRST, SECOND):
        keeper.VALIDATORS.delete(network.store, key)


def policy(quorum: int, *names: str, **keys: bytes) -> SetWitnesses:
    return SetWitnesses(
        WitnessPolicy(quorum, tuple(Witness(name, keys.get(name, digest(name))) for name in names))
    )


FIRST = public_key_of(validator(1))
SECOND = public_key_of(validator(2))

REFUSALS = (
    Refusal("unknown proposal", codes.PROPOSAL_UNKNOWN, lambda n: vote(n, 1, 7)),
    Refusal("proposal below zero", codes.PROPOSAL_UNKNOWN, lambda n: vote(n, 1, -1)),
    Refusal("proposal beyond all", codes.PROPOSAL_UNKNOWN, lambda n: vote(n, 1, 2**64 - 1)),
    Refusal(
        "decided proposal",
        codes.PROPOSAL_CLOSED,
        lambda n: vote(n, 4, 1),
        lambda n: decide(n, NO_CHANGE),
    ),
    Refusal(
        "time over",
        codes.PROPOSAL_LAPSED,
        lambda n: vote(n, 2, 1),
        propose_too_long_ago,
    ),
    Refusal("second vote", codes.ALREADY_VOTED, lambda n: vote(n, 1, 1), proposes(NO_CHANGE)),
    Refusal(
        "ninth open proposal",
        codes.PROPOSALS_TOO_MANY,
        proposes(NO_CHANGE),
        lambda n: [propose(n, 1, NO_CHANGE) for _ in range(PROPOSALS_OPEN_MAX)],
    ),
    Refusal("unknown parameter", codes.PARAMETER_UNKNOWN, proposes(SetParameters((("speed", 1),)))),
    Refusal("no parameter", codes.PARAMETERS_UNSORTED, proposes(SetParameters(()))),
    Refusal(
        "a parameter twice",
        codes.PARAMETERS_UNSORTED,
        proposes(SetParameters((("permit_bytes_max", 1), ("permit_bytes_max", 2)))),
    ),
    Refusal(
        "parameter too small",
        codes.PARAMETER_OUT_OF_RANGE,
        proposes(SetParameters((("transaction_bytes_max", 1),))),
    ),
    Refusal(
        "a threshold below a half",
        codes.PARAMETER_OUT_OF_RANGE,
        proposes(SetParameters((("threshold_numerator", 1),))),
    ),
    Refusal(
        "a threshold beyond reach",
        codes.PARAMETER_OUT_OF_RANGE,
        proposes(SetParameters((("threshold_numerator", 3),))),
    ),
    Refusal("activation now", codes.ACTIVATION_NOT_AHEAD, proposes(ActivateModule("supply", 1, 1))),
    Refusal(
        "activation before another",
        codes.ACTIVATION_NOT_AHEAD,
        proposes(ActivateModule("supply", 2, 50)),
        lambda n: decide(n, ActivateModule("supply", 1, 50)),
    ),
    Refusal(
        "activation of what is active", codes.ACTIVATION_NOT_NEWER, proposes(ActivateModule("records", 1, 9))
    ),
    Refusal("module without a name", codes.MODULE_NAME_INVALID, proposes(ActivateModule("", 1, 9))),
    Refusal("version 0", codes.MODULE_NAME_INVALID, proposes(ActivateModule("supply", 0, 9))),
    Refusal("height beyond all", codes.MODULE_NAME_INVALID, proposes(ActivateModule("supply", 1, 2**63))),
    Refusal("validator's key is short", codes.VALIDATOR_KEY, proposes(ChangeValidator(b"short", 1, 1))),
    Refusal("validator's key is another's", codes.VALIDATOR_KEY, proposes(ChangeValidator(SECOND, 1, 3))),
    Refusal(
        "validator's key is for other uses",
        codes.VALIDATOR_KEY,
        proposes(ChangeValidator(public_key_of(ledger(2)), 1, 2)),
    ),
    Refusal(
        "validator's key is revoked",
        codes.VALIDATOR_KEY,
        proposes(ChangeValidator(SECOND, 1, 2)),
        lambda n: n.run(RevokeKey(2, SECOND), admin(2)),
    ),
    Refusal("power below zero", codes.VALIDATOR_POWER, proposes(ChangeValidator(SECOND, -1, 2))),
    Refusal("power beyond all", codes.VALIDATOR_POWER, proposes(ChangeValidator(SECOND, POWER_MAX + 1, 2))),
    Refusal("removing no validator", codes.VALIDATOR_UNKNOWN, proposes(ChangeValidator(SECOND, 0, 2))),
    Refusal(
        "removing the last validator",
        codes.LAST_VALIDATOR,
        proposes(ChangeValidator(public_key_of(validator(1)), 0, 1)),
    ),
    Refusal("removing all validators' organisation", codes.LAST_VALIDATOR, proposes(RemoveOrganisation(1))),
    Refusal(
        "removing the organisation of all two validators",
        codes.LAST_VALIDATOR,
        proposes(RemoveOrganisation(1)),
        only_validators_of_first,
    ),
    Refusal(
        "one validator too many",
        codes.VALIDATORS_TOO_MANY,
        proposes(ChangeValidator(SECOND, 1, 2)),
        fill_validators,
    ),
    Refusal("quorum beyond reach", codes.WITNESSES_INVALID, proposes(policy(2, "a.example"))),
    Refusal("no quorum", codes.WITNESSES_INVALID, proposes(policy(0, "a.example"))),
    Refusal("witness without a name", codes.WITNESSES_INVALID, proposes(policy(1, ""))),
    Refusal("witness named with a plus", codes.WITNESSES_INVALID, proposes(policy(1, "a+b"))),
    Refusal("witnesses out of order", codes.WITNESSES_INVALID, proposes(policy(1, "b", "a"))),
    Refusal("a key twice", codes.WITNESSES_INVALID, proposes(policy(1, "a", "b", a=bytes(32), b=bytes(32)))),
    Refusal("witness's key is short", codes.WITNESSES_INVALID, proposes(policy(1, "a", a=b"short"))),
    Refusal(
        "too many witnesses",
        codes.WITNESSES_INVALID,
        proposes(policy(1, *(f"w{each:02}" for each in range(17)))),
    ),
    Refusal(
        "removing the last member",
        codes.LAST_MEMBER,
        proposes(RemoveOrganisation(1)),
        remove_all_others,
    ),
    Refusal(
        "candidate too large",
        codes.CANDIDATE_TOO_LARGE,
        proposes(AdmitOrganisation(bytes(CANDIDATE_BYTES_MAX + 1))),
    ),
    Refusal(
        "organisation 0 proposes", codes.ORGANISATION_OUT_OF_RANGE, lambda n: n.run(Propose(0, NO_CHANGE))
    ),
    Refusal(
        "organisation 2^32 votes", codes.ORGANISATION_OUT_OF_RANGE, lambda n: n.run(Vote(2**32, 1, True))
    ),
    Refusal("removing organisation -1", codes.ORGANISATION_OUT_OF_RANGE, proposes(RemoveOrganisation(-1))),
    Refusal("query of noise", codes.QUERY_INVALID, lambda n: n.query(n.governance, "limits", b"\xff")),
    Refusal(
        "genesis without a validator",
        codes.GENESIS_INVALID,
        lambda _: genesis_document(modules=(), validators=()),
    ),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_refused(refusal: Refusal) -> None:
    network = Network(4)
    refusal.arrange(network)
    check_rejected(network, refusal.code, refusal.act)


def test_every_code_is_reached() -> None:
    assert {refusal.code for refusal in REFUSALS} == set(codes.GOVERNANCE_CODES.codes())


def test_proposing_and_voting_need_the_organisations_own_admin() -> None:
    network = Network(4)
    check_rejected(
        network, identity_codes.ADMINS_TOO_FEW, lambda n: n.run(Propose(1, NO_CHANGE), admin(2), ledger(1))
    )
    propose(network, 1, NO_CHANGE)
    check_rejected(network, identity_codes.ADMINS_TOO_FEW, lambda n: n.run(Vote(2, 1, True), admin(1)))
    check_rejected(network, identity_codes.CANDIDATE_MALFORMED, proposes(AdmitOrganisation(b"\x80")))
    check_rejected(network, identity_codes.ORGANISATION_UNKNOWN, proposes(RemoveOrganisation(9)))


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_every_parameter_has_a_range_that_holds_the_default_and_both_ends(name: str) -> None:
    least, greatest = RANGES[name]
    assert least <= getattr(DEFAULT_LIMITS, name) <= greatest
    for value in (least - 1, greatest + 1):
        with pytest.raises(Rejected) as caught:
            apply_changes(DEFAULT_LIMITS, [(name, value)])
        assert caught.value.code == codes.PARAMETER_OUT_OF_RANGE
        assert caught.value.at == name


def test_parameters_that_depend_on_each_other_are_checked_together() -> None:
    wrong = (
        (("operations_per_transaction_max", 9_000), ("operations_per_block_max", 8_000)),
        (("transaction_bytes_max", 2_000_000), ("block_bytes_max", 1_500_000)),
    )
    for changes in wrong:
        with pytest.raises(Rejected) as caught:
            apply_changes(DEFAULT_LIMITS, changes)
        assert caught.value.at == changes[0][0]


def test_invariants_find_what_is_wrong() -> None:
    cases: list[tuple[str, Callable[[Network], object]]] = [
        ("parameters_are_in_range", partial(set_limits, permit_bytes_max=-1)),
        (
            "schedule_ascends",
            lambda n: keeper.write_activation(n.store, ModuleActivation("records", 1, 8)),
        ),
        ("validators_can_act", lambda n: n.run(RevokeKey(2, SECOND), admin(2))),
        ("validators_can_act", lambda n: keeper.POWER_CHANGES.set(n.store, SECOND, bytes(4))),
        ("validators_can_act", delete_validators),
        ("proposals_are_listed", lambda n: keeper.DEADLINES.add(n.store, (1, 99))),
        ("proposals_are_listed", lambda n: keeper.DEADLINES.delete(n.store, (open_deadline(n), 1))),
        ("proposals_are_listed", lambda n: keeper.COUNTER.set(n.store, Counter(1))),
        ("proposals_are_listed", lambda n: keeper.write_vote(n.store, 99, 1, is_approval=True)),
    ]
    for name, break_state in cases:
        network = Network(4, validators=2)
        propose(network, 1, NO_CHANGE)
        network.check()
        break_state(network)
        assert network.governance.invariants[name](network.view()), name


def open_deadline(network: Network) -> int:
    return keeper.require_proposal(network.store, 1).deadline_ms


def test_genesis_refuses_what_a_vote_could_not_make() -> None:
    good: dict[str, Any] = genesis_document(
        modules=[ModuleActivation("identity", 1, 0)], validators=[Validator(FIRST, 1, 1)]
    )
    import_genesis(empty_store(), good)
    wrong: tuple[dict[str, Any], ...] = (
        {"limits": good["limits"] | {"speed": 1}},
        {"limits": good["limits"] | {"permit_bytes_max": -1}},
        {"modules": [{"name": "", "version": 1}]},
        {"validators": [{"public_key": FIRST, "power": 0, "organisation": 1}]},
        {"validators": [{"public_key": FIRST, "power": 1, "organisation": 1}] * 2},
        {"validators": []},
        {"witness_quorum": 1},
        {"proposals": [{"encoded": b"\xff", "votes": []}]},
        {"proposals": [{"encoded": b"", "votes": [{"organisation": 0, "is_approval": True}]}]},
        {"next_proposal": 0},
    )
    for changes in wrong:
        with pytest.raises(Rejected):
            import_genesis(empty_store(), good | changes)
    with pytest.raises(msgspec.ValidationError):
        import_genesis(empty_store(), good | {"surplus": 0})
