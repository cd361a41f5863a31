"""Numbered codes of the protocol between sites (off the ledger; module number 132)."""

from careledger.primitives.errors import Category, CodeSpace

EXCHANGE_CODES = CodeSpace("exchange", 132)

SIGNATURE_REFUSED = EXCHANGE_CODES.define(
    1, "SIGNATURE_REFUSED", Category.UNAUTHENTICATED, "The request's signature does not count here."
)
NOT_READY = EXCHANGE_CODES.define(
    2, "NOT_READY", Category.UNAVAILABLE, "The site cannot tell yet whether a request is repeated."
)
MESSAGE_INVALID = EXCHANGE_CODES.define(
    3, "MESSAGE_INVALID", Category.INVALID, "The body is not the message that belongs here."
)
LEDGER_SLOW = EXCHANGE_CODES.define(
    4, "LEDGER_SLOW", Category.UNAVAILABLE, "The access entry is not on the ledger; nothing was disclosed."
)
PEER_UNKNOWN = EXCHANGE_CODES.define(
    5, "PEER_UNKNOWN", Category.NOT_FOUND, "The ledger knows no such member, or no address of it."
)
PEER_UNREACHABLE = EXCHANGE_CODES.define(
    6, "PEER_UNREACHABLE", Category.UNAVAILABLE, "The other site cannot be reached, or not in time."
)
ADDRESS_REFUSED = EXCHANGE_CODES.define(
    7, "ADDRESS_REFUSED", Category.FORBIDDEN, "The other site's address leads where no site is."
)
ANSWER_INVALID = EXCHANGE_CODES.define(
    8, "ANSWER_INVALID", Category.INVALID, "The other site's answer is malformed, too long or not signed."
)
PROOF_FAILED = EXCHANGE_CODES.define(
    9, "PROOF_FAILED", Category.INVALID, "What the other site showed does not stand against the ledger."
)
VIEW_BEHIND = EXCHANGE_CODES.define(
    10, "VIEW_BEHIND", Category.UNAVAILABLE, "The local view has not reached the height that is spoken of."
)
CODE_UNKNOWN = EXCHANGE_CODES.define(
    11, "CODE_UNKNOWN", Category.NOT_FOUND, "The enrolment code is unknown, used or expired."
)
NOT_THE_AGENT = EXCHANGE_CODES.define(
    12, "NOT_THE_AGENT", Category.FORBIDDEN, "Only the agent that keeps the patient's wallet may ask this."
)
TOO_OFTEN = EXCHANGE_CODES.define(
    13, "TOO_OFTEN", Category.LIMITED, "More requests of this kind than are allowed; wait and try again."
)
REASON_MISSING = EXCHANGE_CODES.define(
    14, "REASON_MISSING", Category.UNPROCESSABLE, "Breaking the glass needs a reason in words and who asks."
)
NOTHING_TO_OPEN = EXCHANGE_CODES.define(
    15, "NOTHING_TO_OPEN", Category.NOT_FOUND, "Nothing can be opened; nothing more is said."
)
