"""Numbered codes of consents, cells and grants (off the ledger; module number 131)."""

from careledger.primitives.errors import Category, CodeSpace

CONSENT_CODES = CodeSpace("consent", 131)

NOT_GRANTED = CONSENT_CODES.define(
    1, "NOT_GRANTED", Category.FORBIDDEN, "No grant that is in force allows this; nothing more is said."
)
GRANT_INVALID = CONSENT_CODES.define(
    2, "GRANT_INVALID", Category.INVALID, "The grant is malformed, not signed by the wallet, or for others."
)
OPENING_INVALID = CONSENT_CODES.define(
    3, "OPENING_INVALID", Category.INVALID, "The opening does not lead to the commitment."
)
CELL_FULL = CONSENT_CODES.define(
    4, "CELL_FULL", Category.CONFLICT, "The cell holds as many grants as it can; end one first."
)
GRANT_UNKNOWN = CONSENT_CODES.define(5, "GRANT_UNKNOWN", Category.NOT_FOUND, "The cell has no such grant.")
COMMAND_INVALID = CONSENT_CODES.define(
    6, "COMMAND_INVALID", Category.FORBIDDEN, "The command is not signed by the wallet, or not for this cell."
)
COMMAND_STALE = CONSENT_CODES.define(
    7, "COMMAND_STALE", Category.CONFLICT, "A later command for this cell was received before."
)
EPOCH_MISMATCH = CONSENT_CODES.define(
    8, "EPOCH_MISMATCH", Category.CONFLICT, "The epoch is not the one that follows, or was opened otherwise."
)
EPOCH_NOT_READY = CONSENT_CODES.define(
    9, "EPOCH_NOT_READY", Category.UNAVAILABLE, "Entries of the ending epoch are not yet on the ledger."
)
MANIFEST_INVALID = CONSENT_CODES.define(
    10, "MANIFEST_INVALID", Category.INVALID, "The manifest does not state what the custodian prepared."
)
RECIPIENT_MISSING = CONSENT_CODES.define(
    11, "RECIPIENT_MISSING", Category.UNPROCESSABLE, "The consent permits, and names no organisation."
)
CELL_UNKNOWN_HERE = CONSENT_CODES.define(
    12, "CELL_UNKNOWN_HERE", Category.NOT_FOUND, "This site keeps no record under that cell."
)
PART_2_INCOMPLETE = CONSENT_CODES.define(
    13,
    "PART_2_INCOMPLETE",
    Category.UNPROCESSABLE,
    "A consent to disclose substance use records names recipient, purpose and an end (42 CFR 2.31).",
)
