"""Numbered codes of the identity module (module number 1). A number is never reused."""

from __future__ import annotations

from careledger.sdk.errors import Category, CodeSpace

IDENTITY_CODES = CodeSpace("identity", 1)

ORGANISATION_UNKNOWN = IDENTITY_CODES.define(
    1, "ORGANISATION_UNKNOWN", Category.NOT_FOUND, "No organisation has that number or short name."
)
ORGANISATION_REMOVED = IDENTITY_CODES.define(
    2, "ORGANISATION_REMOVED", Category.GONE, "The organisation is no longer a member."
)
NOT_SIGNED = IDENTITY_CODES.define(
    3, "NOT_SIGNED", Category.UNAUTHENTICATED, "No key of the organisation signed the transaction."
)
KEY_REVOKED = IDENTITY_CODES.define(
    4, "KEY_REVOKED", Category.FORBIDDEN, "The key that signed has been revoked."
)
KEY_NOT_YET_VALID = IDENTITY_CODES.define(
    5, "KEY_NOT_YET_VALID", Category.FORBIDDEN, "The key that signed is not valid yet."
)
KEY_USAGE = IDENTITY_CODES.define(
    6, "KEY_USAGE", Category.FORBIDDEN, "The key that signed is not meant for this use."
)
ADMINS_TOO_FEW = IDENTITY_CODES.define(
    7,
    "ADMINS_TOO_FEW",
    Category.FORBIDDEN,
    "Fewer admin keys signed than the organisation's own rule asks for.",
)
KEY_TAKEN = IDENTITY_CODES.define(
    8, "KEY_TAKEN", Category.CONFLICT, "The public key is registered, or was once."
)
KEY_UNKNOWN = IDENTITY_CODES.define(
    9, "KEY_UNKNOWN", Category.NOT_FOUND, "The organisation has no such key in force."
)
KEY_NOT_POSSESSED = IDENTITY_CODES.define(
    10, "KEY_NOT_POSSESSED", Category.UNAUTHENTICATED, "The new key did not sign that it is held."
)
ADMINS_LOCKED_OUT = IDENTITY_CODES.define(
    11,
    "ADMINS_LOCKED_OUT",
    Category.CONFLICT,
    "The organisation would keep fewer valid admin keys than its own rule asks for.",
)
SLUG_TAKEN = IDENTITY_CODES.define(
    12, "SLUG_TAKEN", Category.CONFLICT, "The short name belongs to another organisation, or did once."
)
SLUG_INVALID = IDENTITY_CODES.define(
    13, "SLUG_INVALID", Category.INVALID, "A short name is 2 to 40 of a-z, 0-9 and -, starting with a letter."
)
ENDPOINT_INVALID = IDENTITY_CODES.define(
    14, "ENDPOINT_INVALID", Category.INVALID, "An endpoint is not a plain http or https address."
)
KEY_INVALID = IDENTITY_CODES.define(
    15, "KEY_INVALID", Category.INVALID, "A public key is not 32 bytes long, or stands there twice."
)
USAGES_INVALID = IDENTITY_CODES.define(
    16, "USAGES_INVALID", Category.INVALID, "A key needs at least one use, and only known ones."
)
THRESHOLD_INVALID = IDENTITY_CODES.define(
    17, "THRESHOLD_INVALID", Category.INVALID, "The number of admin keys asked for is 1 to 3."
)
HPKE_KEY_INVALID = IDENTITY_CODES.define(
    18, "HPKE_KEY_INVALID", Category.INVALID, "The key for wraps is longer than allowed."
)
ROLES_INVALID = IDENTITY_CODES.define(
    19, "ROLES_INVALID", Category.INVALID, "Roles are distinct, in ascending order, and at least one."
)
KEYS_TOO_MANY = IDENTITY_CODES.define(
    20, "KEYS_TOO_MANY", Category.LIMITED, "The organisation has as many keys in force as allowed."
)
VALID_FROM_INVALID = IDENTITY_CODES.define(
    21, "VALID_FROM_INVALID", Category.INVALID, "A key becomes valid now or at a height not far ahead."
)
ORGANISATION_OUT_OF_RANGE = IDENTITY_CODES.define(
    22, "ORGANISATION_OUT_OF_RANGE", Category.INVALID, "An organisation's number is 1 to 2^32-1."
)
CANDIDATE_MALFORMED = IDENTITY_CODES.define(
    23, "CANDIDATE_MALFORMED", Category.INVALID, "The bytes do not describe a candidate for membership."
)
QUERY_INVALID = IDENTITY_CODES.define(
    24, "QUERY_INVALID", Category.INVALID, "The bytes are not this query's request."
)
