"""Numbered codes of the FHIR façade (code space `records-api`, number 121)."""

from careledger.primitives.errors import Category, CodeSpace

API_CODES = CodeSpace("records-api", 121)

TYPE_NOT_SERVED = API_CODES.define(
    1, "TYPE_NOT_SERVED", Category.NOT_FOUND, "This site serves no resources of that type."
)
CONDITION_MISSING = API_CODES.define(
    2, "CONDITION_MISSING", Category.PRECONDITION, "A conditional interaction needs search criteria."
)
CONDITION_WITHOUT_MATCH = API_CODES.define(
    3, "CONDITION_WITHOUT_MATCH", Category.PRECONDITION, "No resource matches a conditional reference."
)
REFERENCE_CONDITIONAL = API_CODES.define(
    4,
    "REFERENCE_CONDITIONAL",
    Category.INVALID,
    "References by search are resolved only in transactions.",
)
OUTSIDE_CONTEXT = API_CODES.define(
    5,
    "OUTSIDE_CONTEXT",
    Category.FORBIDDEN,
    "The access token allows writing only what belongs to its patient and matches its scopes.",
)
ID_MISMATCH = API_CODES.define(
    6, "ID_MISMATCH", Category.INVALID, "The resource's type or id is not that of the address."
)
PATCH_FIXED = API_CODES.define(
    7,
    "PATCH_FIXED",
    Category.UNPROCESSABLE,
    "A patch changes neither the type, the id nor the server's metadata.",
)
PAGE_REFUSED = API_CODES.define(
    8, "PAGE_REFUSED", Category.INVALID, "The page link is damaged or belongs to another search or requester."
)
PAGE_EXPIRED = API_CODES.define(
    9, "PAGE_EXPIRED", Category.GONE, "The page link is too old; begin the search anew."
)
OPERATION_INPUT = API_CODES.define(
    10, "OPERATION_INPUT", Category.INVALID, "The operation's parameters are missing or malformed."
)
BUNDLE_ENTRY_FORBIDDEN = API_CODES.define(
    11, "BUNDLE_ENTRY_FORBIDDEN", Category.INVALID, "The entry asks for what a bundle cannot carry."
)
WRITE_CONTENDED = API_CODES.define(
    12, "WRITE_CONTENDED", Category.CONFLICT, "The resource kept changing while the patch was applied."
)
PROOF_PENDING = API_CODES.define(
    13, "PROOF_PENDING", Category.UNAVAILABLE, "The version is not yet on the ledger; there is no proof yet."
)
EXISTS_ALREADY = API_CODES.define(
    14, "EXISTS_ALREADY", Category.PRECONDITION, "The resource exists, and the request asks that it must not."
)
HISTORY_PARAMETER = API_CODES.define(
    15, "HISTORY_PARAMETER", Category.INVALID, "A parameter of the history is malformed."
)
