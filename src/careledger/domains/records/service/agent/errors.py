"""Numbered codes of the custodial agent (off the ledger; module number 133)."""

from careledger.primitives.errors import Category, CodeSpace

AGENT_CODES = CodeSpace("agent", 133)

WALLET_UNKNOWN = AGENT_CODES.define(
    1, "WALLET_UNKNOWN", Category.NOT_FOUND, "This agent keeps no wallet of that patient."
)
NO_CELL_THERE = AGENT_CODES.define(
    2, "NO_CELL_THERE", Category.NOT_FOUND, "The patient is not enrolled at that organisation."
)
CELL_KEY_LOST = AGENT_CODES.define(
    3, "CELL_KEY_LOST", Category.CONFLICT, "The cell follows a key that this wallet does not derive."
)
CELL_MOVED = AGENT_CODES.define(
    4, "CELL_MOVED", Category.CONFLICT, "Somebody else advanced the cell meanwhile; look at it and try again."
)
CONTENTS_LOST = AGENT_CODES.define(
    5,
    "CONTENTS_LOST",
    Category.CONFLICT,
    "Nobody holds the cell's opening any more; it must be written anew.",
)
DUAL_CONTROL = AGENT_CODES.define(
    6, "DUAL_CONTROL", Category.FORBIDDEN, "Without the patient, two different people must decide this."
)
DELEGATION_INVALID = AGENT_CODES.define(
    7, "DELEGATION_INVALID", Category.FORBIDDEN, "The delegation does not reach to this, or not any more."
)
CUSTODIAN_DIFFERS = AGENT_CODES.define(
    8,
    "CUSTODIAN_DIFFERS",
    Category.CONFLICT,
    "What the custodian states is not what the ledger and the wallet say.",
)
ENROLMENT_INVALID = AGENT_CODES.define(
    9, "ENROLMENT_INVALID", Category.INVALID, "What the agent gave for the enrolment does not fit together."
)
SHARES_WRONG = AGENT_CODES.define(
    10, "SHARES_WRONG", Category.INVALID, "The shares do not give this patient's wallet."
)
RECOVERY_NOT_READY = AGENT_CODES.define(
    11, "RECOVERY_NOT_READY", Category.PRECONDITION, "The delay of the recovery is not over yet."
)
ALREADY_ENROLLED = AGENT_CODES.define(
    12, "ALREADY_ENROLLED", Category.CONFLICT, "The patient's wallet already has a cell at that organisation."
)
