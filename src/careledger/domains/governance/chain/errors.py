"""Numbered codes of the governance module (module number 2). A number is never reused."""

from __future__ import annotations

from careledger.sdk.errors import Category, CodeSpace

GOVERNANCE_CODES = CodeSpace("governance", 2)

PROPOSAL_UNKNOWN = GOVERNANCE_CODES.define(
    1, "PROPOSAL_UNKNOWN", Category.NOT_FOUND, "There is no such proposal."
)
PROPOSAL_CLOSED = GOVERNANCE_CODES.define(
    2, "PROPOSAL_CLOSED", Category.CONFLICT, "The proposal has already been decided."
)
PROPOSAL_LAPSED = GOVERNANCE_CODES.define(
    3, "PROPOSAL_LAPSED", Category.GONE, "The time to vote on the proposal is over."
)
ALREADY_VOTED = GOVERNANCE_CODES.define(
    4, "ALREADY_VOTED", Category.CONFLICT, "The organisation has voted on the proposal."
)
PROPOSALS_TOO_MANY = GOVERNANCE_CODES.define(
    5, "PROPOSALS_TOO_MANY", Category.LIMITED, "The organisation has as many open proposals as allowed."
)
PARAMETER_UNKNOWN = GOVERNANCE_CODES.define(
    6, "PARAMETER_UNKNOWN", Category.INVALID, "There is no parameter of that name."
)
PARAMETER_OUT_OF_RANGE = GOVERNANCE_CODES.define(
    7, "PARAMETER_OUT_OF_RANGE", Category.INVALID, "A parameter would leave the range it may have."
)
ACTIVATION_NOT_AHEAD = GOVERNANCE_CODES.define(
    8,
    "ACTIVATION_NOT_AHEAD",
    Category.UNPROCESSABLE,
    "A module is activated at a later height than this one and than its activations so far.",
)
ACTIVATION_NOT_NEWER = GOVERNANCE_CODES.define(
    9,
    "ACTIVATION_NOT_NEWER",
    Category.UNPROCESSABLE,
    "A module is activated at a newer version than its activations so far.",
)
MODULE_NAME_INVALID = GOVERNANCE_CODES.define(
    10, "MODULE_NAME_INVALID", Category.INVALID, "The text cannot be a module's name."
)
VALIDATOR_KEY = GOVERNANCE_CODES.define(
    11,
    "VALIDATOR_KEY",
    Category.UNPROCESSABLE,
    "The key is not a valid key for consensus of a member organisation.",
)
VALIDATOR_POWER = GOVERNANCE_CODES.define(
    12, "VALIDATOR_POWER", Category.INVALID, "A validator's power is 0, which removes it, to 1,000,000."
)
VALIDATOR_UNKNOWN = GOVERNANCE_CODES.define(
    13, "VALIDATOR_UNKNOWN", Category.NOT_FOUND, "The key is not a validator."
)
LAST_VALIDATOR = GOVERNANCE_CODES.define(
    14, "LAST_VALIDATOR", Category.CONFLICT, "The ledger would be left without a validator."
)
VALIDATORS_TOO_MANY = GOVERNANCE_CODES.define(
    15, "VALIDATORS_TOO_MANY", Category.LIMITED, "There are as many validators as allowed."
)
WITNESSES_INVALID = GOVERNANCE_CODES.define(
    16,
    "WITNESSES_INVALID",
    Category.INVALID,
    "Witnesses have distinct names and keys, and a quorum they can reach.",
)
LAST_MEMBER = GOVERNANCE_CODES.define(
    17, "LAST_MEMBER", Category.CONFLICT, "The ledger would be left without a member."
)
CANDIDATE_TOO_LARGE = GOVERNANCE_CODES.define(
    18, "CANDIDATE_TOO_LARGE", Category.TOO_LARGE, "The description of the candidate is too large."
)
ORGANISATION_OUT_OF_RANGE = GOVERNANCE_CODES.define(
    19, "ORGANISATION_OUT_OF_RANGE", Category.INVALID, "An organisation's number is 1 to 2^32-1."
)
PARAMETERS_UNSORTED = GOVERNANCE_CODES.define(
    20,
    "PARAMETERS_UNSORTED",
    Category.INVALID,
    "Changes of parameters name each once, in alphabetical order, and at least one.",
)
QUERY_INVALID = GOVERNANCE_CODES.define(
    21, "QUERY_INVALID", Category.INVALID, "The bytes are not this query's request."
)
GENESIS_INVALID = GOVERNANCE_CODES.define(
    22, "GENESIS_INVALID", Category.INVALID, "The document does not describe a state of this module."
)
