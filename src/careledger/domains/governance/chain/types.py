"""State values, actions and events of the governance module, and what it needs from others."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from careledger.primitives.codec import Wire
from careledger.primitives.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from careledger.sdk.context import Context, StateReader
from careledger.sdk.events import Event

SCHEMA = 1

CANDIDATE_BYTES_MAX = 32_768
POWER_MAX = 1_000_000
PROPOSALS_OPEN_MAX = 8
"""Open proposals of one organisation."""
VALIDATORS_MAX = 100
WITNESSES_MAX = 16
LAPSED_PER_BLOCK_MAX = 100


class Membership(Protocol):
    """What this module needs to know and do about organisations."""

    def members(self, store: StateReader) -> tuple[int, ...]:
        """Numbers of all present members, ascending."""

    def require_admins(self, context: Context, organisation_id: int) -> object:
        """Raise Rejected unless as many admin keys of the member signed as its own rule asks for."""

    def require_member(self, store: StateReader, organisation_id: int) -> object:
        """Raise Rejected unless the organisation is a member now."""

    def is_validator_key(
        self, store: StateReader, organisation_id: int, public_key: bytes, height: int
    ) -> bool:
        """Whether the key is one of the organisation's keys for consensus, valid at the height."""

    def is_revoked(self, store: StateReader, public_key: bytes) -> bool:
        """Whether the key was registered once and may no longer sign."""

    def check_candidate(self, context: Context, candidate: bytes) -> object:
        """Raise Rejected unless the candidate could be admitted now."""

    def admit(self, context: Context, candidate: bytes) -> int:
        """Make the candidate a member and return its number; raises Rejected."""

    def remove(self, context: Context, organisation_id: int) -> None:
        """End a membership; raises Rejected."""


class Limits(Wire, frozen=True):
    """The ledger's parameters, the same for every node, changed by vote only."""

    transaction_bytes_max: int
    """Size of one envelope."""
    operations_per_transaction_max: int
    """Operations of one message."""
    operations_per_block_max: int
    """Operations of all messages of a block."""
    expiry_ahead_ms_max: int
    """How far ahead of block time a transaction may expire."""
    block_bytes_max: int
    """Size of all envelopes of a block."""
    permit_bytes_max: int
    """Size of a transaction's permit."""
    signatures_per_transaction_max: int
    """Signatures of one transaction."""
    receipts_retention_ms: int
    """How long sites keep receipts and events at hand."""
    recovery_delay_ms: int
    """How long the recovery of a consent cell waits."""
    proposal_lifetime_ms: int
    """How long a proposal can be voted on."""
    threshold_numerator: int
    """A proposal passes when more than numerator / denominator of the members approve."""
    threshold_denominator: int
    """See `threshold_numerator`."""


DEFAULT_LIMITS = Limits(
    transaction_bytes_max=524_288,
    operations_per_transaction_max=5_000,
    operations_per_block_max=20_000,
    expiry_ahead_ms_max=10 * MINUTE_MS,
    block_bytes_max=4_194_304,
    permit_bytes_max=512,
    signatures_per_transaction_max=16,
    receipts_retention_ms=90 * DAY_MS,
    recovery_delay_ms=72 * HOUR_MS,
    proposal_lifetime_ms=14 * DAY_MS,
    threshold_numerator=2,
    threshold_denominator=3,
)
"""What a new ledger starts with unless its genesis says otherwise."""


class ModuleActivation(Wire, frozen=True):
    """From this height on, this version of a module is the active one."""

    name: str
    version: int
    """1, 2, …"""
    activation_height: int
    """0 for those of genesis."""


class Validator(Wire, frozen=True):
    """A member of consensus."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    power: int
    """1 to 1,000,000."""
    organisation: int
    """The member that runs it."""


class Witness(Wire, frozen=True):
    """One who cosigns checkpoints."""

    name: str
    """Name of its key in signed notes."""
    public_key: bytes
    """Ed25519, 32 bytes."""


class WitnessPolicy(Wire, frozen=True):
    """Whose cosignatures a checkpoint needs."""

    quorum: int
    """How many of the witnesses must have cosigned; 0 if there are none."""
    witnesses: tuple[Witness, ...]
    """In order of their names."""


class AdmitOrganisation(Wire, frozen=True, tag=1):
    """Admit a member."""

    candidate: bytes
    """Canonical encoding of the identity module's `Candidate`."""


class RemoveOrganisation(Wire, frozen=True, tag=2):
    """End a membership; its keys are revoked and its validators removed."""

    organisation: int


class SetParameters(Wire, frozen=True, tag=3):
    """Change some parameters; the others stay."""

    changes: tuple[tuple[str, int], ...]
    """Names of fields of `Limits` in alphabetical order, each with its new value."""


class ActivateModule(Wire, frozen=True, tag=4):
    """Make a version of a module the active one from a height on."""

    name: str
    version: int
    activation_height: int


class ChangeValidator(Wire, frozen=True, tag=5):
    """Add a validator, change its power, or remove it."""

    public_key: bytes
    power: int
    """0 removes."""
    organisation: int
    """The member that runs it."""


class SetWitnesses(Wire, frozen=True, tag=6):
    """Replace the witness policy."""

    policy: WitnessPolicy


Action = (
    AdmitOrganisation | RemoveOrganisation | SetParameters | ActivateModule | ChangeValidator | SetWitnesses
)


class ProposalStatus(IntEnum):
    """Where a proposal stands."""

    OPEN = 1
    EXECUTED = 2
    LAPSED = 3


class Proposal(Wire, frozen=True):
    """An action put to the vote of the members."""

    schema: int
    """1."""
    id: int
    """1, 2, …"""
    proposer: int
    """Organisation that proposed it."""
    action: Action
    """What is done once it passes."""
    status: ProposalStatus
    """Open, executed or lapsed."""
    opened_at_height: int
    """Block of the proposal."""
    deadline_ms: int
    """Block time from which it can no longer be voted on."""
    closed_at_height: int
    """Block in which it was executed or found lapsed; 0 while open."""


class Counter(Wire, frozen=True):
    """The next proposal's number."""

    next_id: int


class Outcome(Wire, frozen=True):
    """Receipt data of `Propose` and `Vote`."""

    proposal: int
    """Number of the proposal."""
    is_executed: bool
    """Whether this very transaction decided it."""
    organisation: int
    """Number given to an organisation that was admitted; 0 otherwise."""


class ProposalOpened(Event, frozen=True):
    """Members can vote on something."""

    proposal: int
    proposer: int
    deadline_ms: int


class VoteCast(Event, frozen=True):
    """An organisation voted."""

    proposal: int
    organisation: int
    is_approval: bool


class ProposalExecuted(Event, frozen=True):
    """A proposal passed and took effect."""

    proposal: int


class ProposalLapsed(Event, frozen=True):
    """A proposal's time ran out."""

    proposal: int


class ParametersChanged(Event, frozen=True):
    """Parameters have other values."""

    changes: tuple[tuple[str, int], ...]


class ModuleScheduled(Event, frozen=True):
    """A version of a module will be active from a height on."""

    name: str
    version: int
    activation_height: int


class ValidatorChanged(Event, frozen=True):
    """A validator has another power; 0 means it left."""

    public_key: bytes
    power: int
    organisation: int


class WitnessesChanged(Event, frozen=True):
    """Another witness policy is in force."""

    quorum: int
    count: int
