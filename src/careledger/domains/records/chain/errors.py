"""Numbered codes of the records module (module number 3). A number is never reused."""

from __future__ import annotations

from careledger.sdk.errors import Category, CodeSpace

RECORDS_CODES = CodeSpace("records", 3)

ORGANISATION_OUT_OF_RANGE = RECORDS_CODES.define(
    1, "ORGANISATION_OUT_OF_RANGE", Category.INVALID, "An organisation's number is 1 to 2^32-1."
)
BATCH_SIZE = RECORDS_CODES.define(
    2, "BATCH_SIZE", Category.INVALID, "A batch is padded to one of the sizes this message allows."
)
BATCH_UNEVEN = RECORDS_CODES.define(
    3, "BATCH_UNEVEN", Category.INVALID, "A batch has exactly one commitment for each tag."
)
TAGS_NOT_ASCENDING = RECORDS_CODES.define(
    4, "TAGS_NOT_ASCENDING", Category.INVALID, "Tags stand in strictly ascending order."
)
TAG_TAKEN = RECORDS_CODES.define(
    5, "TAG_TAKEN", Category.CONFLICT, "The organisation has committed to something else under a tag."
)
FIELD_LENGTH = RECORDS_CODES.define(
    6, "FIELD_LENGTH", Category.INVALID, "A field does not have the length that is fixed for it."
)
CELL_EXISTS = RECORDS_CODES.define(
    7, "CELL_EXISTS", Category.CONFLICT, "A cell with exactly these contents was created before."
)
CELL_UNKNOWN = RECORDS_CODES.define(8, "CELL_UNKNOWN", Category.NOT_FOUND, "There is no such cell.")
VERSION_MISMATCH = RECORDS_CODES.define(
    9, "VERSION_MISMATCH", Category.PRECONDITION, "The update does not follow the cell's current version."
)
KEY_NOT_COMMITTED = RECORDS_CODES.define(
    10, "KEY_NOT_COMMITTED", Category.FORBIDDEN, "The key is not the one the cell committed to."
)
KEY_NOT_SIGNED = RECORDS_CODES.define(
    11,
    "KEY_NOT_SIGNED",
    Category.UNAUTHENTICATED,
    "The key named in the message did not sign the transaction.",
)
RECOVERY_PENDING = RECORDS_CODES.define(
    12, "RECOVERY_PENDING", Category.CONFLICT, "A recovery of the cell has already been started."
)
RECOVERY_ABSENT = RECORDS_CODES.define(
    13, "RECOVERY_ABSENT", Category.CONFLICT, "No recovery of the cell is under way."
)
RECOVERY_TOO_EARLY = RECORDS_CODES.define(
    14, "RECOVERY_TOO_EARLY", Category.PRECONDITION, "The delay of the recovery is not over yet."
)
ENTRY_UNKNOWN = RECORDS_CODES.define(
    15, "ENTRY_UNKNOWN", Category.NOT_FOUND, "The organisation has committed to nothing under that tag."
)
QUERY_INVALID = RECORDS_CODES.define(
    16, "QUERY_INVALID", Category.INVALID, "The bytes are not this query's request."
)
GENESIS_INVALID = RECORDS_CODES.define(
    17, "GENESIS_INVALID", Category.INVALID, "The document does not describe a state of this module."
)
