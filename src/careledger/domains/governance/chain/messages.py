"""Signed requests of the governance module, and the stateless checks of actions."""

from __future__ import annotations

import re
from itertools import pairwise

from careledger.domains.governance.chain.errors import (
    CANDIDATE_TOO_LARGE,
    MODULE_NAME_INVALID,
    ORGANISATION_OUT_OF_RANGE,
    PARAMETERS_UNSORTED,
    VALIDATOR_KEY,
    VALIDATOR_POWER,
    WITNESSES_INVALID,
)
from careledger.domains.governance.chain.types import (
    CANDIDATE_BYTES_MAX,
    POWER_MAX,
    WITNESSES_MAX,
    Action,
    ActivateModule,
    AdmitOrganisation,
    ChangeValidator,
    RemoveOrganisation,
    SetParameters,
    SetWitnesses,
    WitnessPolicy,
)
from careledger.primitives.identifiers import ORGANISATION_ID_MAX
from careledger.primitives.signing import PUBLIC_KEY_BYTES
from careledger.sdk.errors import Rejected
from careledger.sdk.messages import Message

NUMBER_MAX = 2**63 - 1

_MODULE_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}\Z")
# C2SP signed-note: a key's name has no spaces and no plus sign.
_WITNESS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,79}\Z")


class Propose(Message, frozen=True):
    """Put an action to the vote; it counts as the proposer's approval. Signed by its admins."""

    organisation: int
    action: Action

    def check(self) -> None:
        """Check numbers and lengths."""
        check_organisation(self.organisation)
        check_action(self.action)


class Vote(Message, frozen=True):
    """Approve or disapprove once. Signed by the organisation's admins."""

    organisation: int
    proposal: int
    is_approval: bool

    def check(self) -> None:
        """Check numbers."""
        check_organisation(self.organisation)


def check_organisation(organisation: int) -> None:
    """Check that the number can be an organisation's.

    Raises:
        Rejected: ORGANISATION_OUT_OF_RANGE.
    """
    if not 1 <= organisation <= ORGANISATION_ID_MAX:
        raise Rejected(ORGANISATION_OUT_OF_RANGE)


def check_module(name: str, version: int, activation_height: int) -> None:
    """Check a module's name, and that the numbers are some.

    Raises:
        Rejected: MODULE_NAME_INVALID.
    """
    if (
        _MODULE_NAME.match(name) is None
        or not 1 <= version <= 0xFFFF
        or not 0 <= activation_height <= NUMBER_MAX
    ):
        raise Rejected(MODULE_NAME_INVALID)


def check_validator(public_key: bytes, power: int, organisation: int) -> None:
    """Check a validator's numbers; power 0 removes.

    Raises:
        Rejected: VALIDATOR_KEY, VALIDATOR_POWER or ORGANISATION_OUT_OF_RANGE.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise Rejected(VALIDATOR_KEY)
    if not 0 <= power <= POWER_MAX:
        raise Rejected(VALIDATOR_POWER)
    check_organisation(organisation)


def check_witnesses(policy: WitnessPolicy) -> None:
    """Check that names ascend, keys differ, and the quorum can be reached.

    Raises:
        Rejected: WITNESSES_INVALID.
    """
    witnesses = policy.witnesses
    names = [witness.name for witness in witnesses]
    keys = {witness.public_key: witness.name for witness in witnesses}
    if (
        len(witnesses) > WITNESSES_MAX
        or not min(1, len(witnesses)) <= policy.quorum <= len(witnesses)
        or any(_WITNESS_NAME.match(name) is None for name in names)
        or any(left >= right for left, right in pairwise(names))
        or any(len(key) != PUBLIC_KEY_BYTES for key in keys)
        or len(keys) != len(witnesses)
    ):
        raise Rejected(WITNESSES_INVALID)


def check_action(action: Action) -> None:
    """Check whatever of an action needs no state.

    Raises:
        Rejected: The code of the first part that is wrong.
    """
    if isinstance(action, AdmitOrganisation):
        if len(action.candidate) > CANDIDATE_BYTES_MAX:
            raise Rejected(CANDIDATE_TOO_LARGE)
    elif isinstance(action, RemoveOrganisation):
        check_organisation(action.organisation)
    elif isinstance(action, SetParameters):
        names = [name for name, _ in action.changes]
        if not names or any(left >= right for left, right in pairwise(names)):
            raise Rejected(PARAMETERS_UNSORTED)
    elif isinstance(action, ActivateModule):
        check_module(action.name, action.version, action.activation_height)
    elif isinstance(action, ChangeValidator):
        check_validator(action.public_key, action.power, action.organisation)
    elif isinstance(action, SetWitnesses):
        check_witnesses(action.policy)
