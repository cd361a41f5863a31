"""Numbered codes of the record service (off the ledger; module number 103)."""

from careledger.primitives.errors import Category, CodeSpace

SERVICE_CODES = CodeSpace("records-service", 103)

VERSION_CONFLICT = SERVICE_CODES.define(
    1, "VERSION_CONFLICT", Category.PRECONDITION, "The resource has another version than the request expects."
)
RESOURCE_UNKNOWN = SERVICE_CODES.define(
    2, "RESOURCE_UNKNOWN", Category.NOT_FOUND, "There is no such resource."
)
RESOURCE_GONE = SERVICE_CODES.define(3, "RESOURCE_GONE", Category.GONE, "The resource was deleted.")
PATIENT_UNKNOWN = SERVICE_CODES.define(
    4,
    "PATIENT_UNKNOWN",
    Category.UNPROCESSABLE,
    "The resource refers to a patient that is not registered here.",
)
PATIENT_FIXED = SERVICE_CODES.define(
    5, "PATIENT_FIXED", Category.UNPROCESSABLE, "A resource cannot be moved to another patient's record."
)
QUEUE_FULL = SERVICE_CODES.define(
    6, "QUEUE_FULL", Category.UNAVAILABLE, "The site has more waiting writes than it can hold."
)
CONDITION_AMBIGUOUS = SERVICE_CODES.define(
    7, "CONDITION_AMBIGUOUS", Category.PRECONDITION, "More than one resource matches the condition."
)
ERASED = SERVICE_CODES.define(8, "ERASED", Category.GONE, "The content was erased; its commitment remains.")
PATIENT_DELETED = SERVICE_CODES.define(
    9,
    "PATIENT_DELETED",
    Category.CONFLICT,
    "A patient with a record cannot be deleted; erasure has a procedure of its own.",
)
ERASURE_HELD = SERVICE_CODES.define(
    10, "ERASURE_HELD", Category.CONFLICT, "A duty to keep the record stands against its erasure."
)
