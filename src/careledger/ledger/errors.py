"""Numbered codes of the ledger itself (module number 0)."""

from careledger.primitives.errors import Category, CodeSpace

LEDGER_CODES = CodeSpace("ledger", 0)

MALFORMED = LEDGER_CODES.define(
    1, "MALFORMED", Category.INVALID, "The bytes are not a transaction in its canonical form."
)
TOO_LARGE = LEDGER_CODES.define(
    2, "TOO_LARGE", Category.TOO_LARGE, "The transaction is larger than this ledger allows."
)
WRONG_CHAIN = LEDGER_CODES.define(
    3, "WRONG_CHAIN", Category.INVALID, "The transaction is for another ledger."
)
EXPIRED = LEDGER_CODES.define(4, "EXPIRED", Category.GONE, "The transaction has expired.")
EXPIRY_TOO_FAR = LEDGER_CODES.define(
    5, "EXPIRY_TOO_FAR", Category.UNAVAILABLE, "The expiry lies further ahead than this ledger allows."
)
BAD_SIGNATURE = LEDGER_CODES.define(
    6, "BAD_SIGNATURE", Category.UNAUTHENTICATED, "A signature does not stand."
)
DUPLICATE = LEDGER_CODES.define(7, "DUPLICATE", Category.CONFLICT, "The transaction was already processed.")
UNKNOWN_MESSAGE = LEDGER_CODES.define(
    8, "UNKNOWN_MESSAGE", Category.INVALID, "No active module understands this message."
)
TOO_MANY_OPERATIONS = LEDGER_CODES.define(
    9, "TOO_MANY_OPERATIONS", Category.TOO_LARGE, "The message carries more operations than allowed."
)
BLOCK_FULL = LEDGER_CODES.define(
    10, "BLOCK_FULL", Category.UNAVAILABLE, "The block has no room left for the transaction's operations."
)
TOO_MANY_SIGNATURES = LEDGER_CODES.define(
    11, "TOO_MANY_SIGNATURES", Category.TOO_LARGE, "The transaction has more signatures than allowed."
)
QUEUE_FULL = LEDGER_CODES.define(
    12, "QUEUE_FULL", Category.UNAVAILABLE, "The ledger has more waiting transactions than it can hold."
)
HEIGHT_PRUNED = LEDGER_CODES.define(
    13, "HEIGHT_PRUNED", Category.GONE, "The state at that height is no longer kept."
)
HEIGHT_AHEAD = LEDGER_CODES.define(
    14, "HEIGHT_AHEAD", Category.NOT_FOUND, "The ledger has not reached that height."
)
NOT_FOUND = LEDGER_CODES.define(15, "NOT_FOUND", Category.NOT_FOUND, "The ledger knows nothing by that name.")
STALE_VIEW = LEDGER_CODES.define(
    16, "STALE_VIEW", Category.UNAVAILABLE, "The local view of the ledger is too old to decide by."
)
UNREACHABLE = LEDGER_CODES.define(
    17, "UNREACHABLE", Category.UNAVAILABLE, "The ledger process cannot be reached."
)
UNKNOWN_QUERY = LEDGER_CODES.define(
    18, "UNKNOWN_QUERY", Category.NOT_FOUND, "No active module answers this query."
)
STOPPING = LEDGER_CODES.define(19, "STOPPING", Category.UNAVAILABLE, "The ledger is shutting down.")
