"""Votes against a plain model: whatever is proposed and voted, only a quorum of members decides."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from careledger.domains.governance.chain import errors as codes
from careledger.domains.governance.chain import keeper
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import (
    PROPOSALS_OPEN_MAX,
    Action,
    AdmitOrganisation,
    ChangeValidator,
    Outcome,
    ProposalStatus,
    RemoveOrganisation,
    SetParameters,
)
from careledger.domains.identity.chain import errors as identity_codes
from careledger.domains.identity.chain import keeper as identity
from careledger.primitives.codec import decode
from careledger.primitives.errors import Code
from careledger.primitives.signing import public_key_of
from domains.identity.chain_network import Network, admin, candidate, check_rejected, seed, validator

LIFETIME_MS = 100_000


@dataclass
class Ballot:
    """A proposal in the model."""

    kind: str
    subject: int
    deadline_ms: int
    votes: dict[int, bool] = field(default_factory=dict)
    proposer: int = 0
    status: ProposalStatus = ProposalStatus.OPEN


class Votes(RuleBasedStateMachine):
    """Organisations come and go by vote; the model counts by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(1)
        self.ballots: dict[int, Ballot] = {}
        self.members: list[int] = []
        self.validators: list[int] = []
        self.admitted: dict[int, int] = {}
        """Organisation -> number of the candidate it was."""
        self.candidates = 0
        self.recovery_delay_ms = 0

    @initialize(founders=st.integers(1, 6))
    def found(self, founders: int) -> None:
        self.network = Network(founders, validators=min(2, founders))
        self.members = list(range(1, founders + 1))
        self.validators = self.members[:2]
        limits = keeper.limits(self.network.store)
        self.recovery_delay_ms = limits.recovery_delay_ms
        outcome = self._propose(1, SetParameters((("proposal_lifetime_ms", LIFETIME_MS),)))
        for organisation in self.members[1:]:
            if outcome.is_executed:
                break
            outcome = decode(
                self.network.run(Vote(organisation, 1, is_approval=True), self._admin(organisation)), Outcome
            )
        assert outcome.is_executed

    def _admin(self, organisation: int) -> bytes:
        number = self.admitted.get(organisation)
        return admin(organisation) if number is None else seed("candidate", f"candidate-{number}")

    def _propose(self, organisation: int, action: Action) -> Outcome:
        return decode(self.network.run(Propose(organisation, action), self._admin(organisation)), Outcome)

    def _is_passed(self, ballot: Ballot) -> bool:
        approvals = [member for member in self.members if ballot.votes.get(member)]
        return 3 * len(approvals) > 2 * len(self.members)

    def _impossible(self, ballot: Ballot) -> Code | None:
        if ballot.kind == "admit" and ballot.subject in self.admitted.values():
            return identity_codes.SLUG_TAKEN
        if ballot.kind == "remove":
            if ballot.subject not in self.members:
                return identity_codes.ORGANISATION_REMOVED
            if len(self.members) == 1:
                return codes.LAST_MEMBER
            if set(self.validators) <= {ballot.subject}:
                return codes.LAST_VALIDATOR
        if ballot.kind == "validator" and ballot.subject not in self.members:
            return codes.VALIDATOR_KEY
        return None

    def _apply(self, ballot: Ballot, outcome: Outcome) -> None:
        ballot.status = ProposalStatus.EXECUTED
        if ballot.kind == "admit":
            self.admitted[outcome.organisation] = ballot.subject
            self.members.append(outcome.organisation)
        elif ballot.kind == "remove":
            self.members.remove(ballot.subject)
            self.validators = [each for each in self.validators if each != ballot.subject]
        elif ballot.kind == "validator":
            self.validators = sorted({*self.validators, ballot.subject})
        elif ballot.kind == "parameter":
            self.recovery_delay_ms = ballot.subject

    @rule(data=st.data(), kind=st.sampled_from(["admit", "admit", "remove", "validator", "parameter"]))
    def propose(self, data: st.DataObject, kind: str) -> None:
        proposer = data.draw(st.sampled_from(self.members))
        founders = [member for member in self.members if member not in self.admitted]
        if kind == "validator" and not founders:
            return
        action: Action
        if kind == "admit":
            subject = self.candidates = self.candidates + data.draw(st.integers(0, 1))
            action = AdmitOrganisation(candidate(f"candidate-{subject}"))
        elif kind == "remove":
            subject = data.draw(st.sampled_from(self.members))
            action = RemoveOrganisation(subject)
        elif kind == "validator":
            subject = data.draw(st.sampled_from(founders))
            action = ChangeValidator(public_key_of(validator(subject)), 3, subject)
        else:
            subject = data.draw(st.integers(1_000, 9_000))
            action = SetParameters((("recovery_delay_ms", subject),))
        ballot = Ballot(kind, subject, self.network.time_ms + LIFETIME_MS, {proposer: True}, proposer)
        held = [
            each
            for each in self.ballots.values()
            if each.proposer == proposer and each.status is ProposalStatus.OPEN
        ]
        expected = self._impossible(ballot) or (
            codes.PROPOSALS_TOO_MANY if len(held) >= PROPOSALS_OPEN_MAX else None
        )
        if expected is not None:
            check_rejected(self.network, expected, lambda _: self._propose(proposer, action))
            return
        outcome = self._propose(proposer, action)
        self.ballots[outcome.proposal] = ballot
        assert outcome.is_executed is self._is_passed(ballot)
        if outcome.is_executed:
            self._apply(ballot, outcome)

    @precondition(lambda self: self.ballots)
    @rule(data=st.data(), is_approval=st.sampled_from([True, True, True, False]))
    def vote(self, data: st.DataObject, is_approval: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.ballots)))
        voter = data.draw(st.sampled_from(self.members))
        ballot = self.ballots[number]
        expected = None
        if ballot.status is ProposalStatus.EXECUTED:
            expected = codes.PROPOSAL_CLOSED
        elif ballot.status is ProposalStatus.LAPSED or self.network.time_ms >= ballot.deadline_ms:
            expected = codes.PROPOSAL_LAPSED
        elif voter in ballot.votes:
            expected = codes.ALREADY_VOTED
        is_deciding = False
        if expected is None:
            ballot.votes[voter] = is_approval
            is_deciding = is_approval and self._is_passed(ballot)
            if is_deciding:
                expected = self._impossible(ballot)
            if expected is not None:
                del ballot.votes[voter]
        message = Vote(voter, number, is_approval)
        if expected is not None:
            check_rejected(self.network, expected, lambda n: n.run(message, self._admin(voter)))
            return
        outcome = decode(self.network.run(message, self._admin(voter)), Outcome)
        assert outcome.is_executed is is_deciding
        if is_deciding:
            self._apply(ballot, outcome)

    @precondition(lambda self: self.ballots)
    @rule(data=st.data())
    def a_stranger_votes(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.ballots)))
        voter = data.draw(st.sampled_from(self.members))
        stranger = seed("stranger")
        check_rejected(
            self.network, identity_codes.ADMINS_TOO_FEW, lambda n: n.run(Vote(voter, number, True), stranger)
        )

    @rule(later_ms=st.sampled_from([1_000, LIFETIME_MS // 3, LIFETIME_MS]))
    def block_ends(self, later_ms: int) -> None:
        updates = self.network.end_block()
        assert [each.public_key for each in updates] == sorted({each.public_key for each in updates})
        for ballot in self.ballots.values():
            if ballot.status is ProposalStatus.OPEN and self.network.time_ms >= ballot.deadline_ms:
                ballot.status = ProposalStatus.LAPSED
        self.network.next_block(later_ms=later_ms)

    @invariant()
    def state_is_the_model(self) -> None:
        store = self.network.store
        assert list(identity.members(store)) == sorted(self.members)
        if self.members:
            assert sorted(each.organisation for each in keeper.validator_set(store)) == self.validators
            assert keeper.recovery_delay_ms(store) == self.recovery_delay_ms
        for number, ballot in self.ballots.items():
            found = keeper.require_proposal(store, number)
            assert found.status is ballot.status
            assert dict(keeper.votes(store, number)) == ballot.votes

    def teardown(self) -> None:
        self.network.end_block()
        self.network.check()
        self.network.check_round_trip()


TestVotes = Votes.TestCase
TestVotes.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
