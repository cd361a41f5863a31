"""Numbered codes of the supply module (module number 4). A number is never reused."""

from __future__ import annotations

from careledger.sdk.errors import Category, CodeSpace

SUPPLY_CODES = CodeSpace("supply", 4)

FIELD_LENGTH = SUPPLY_CODES.define(
    1, "FIELD_LENGTH", Category.INVALID, "A field does not have the length that is fixed for it."
)
BATCH_SIZE = SUPPLY_CODES.define(
    2, "BATCH_SIZE", Category.INVALID, "A message names nothing, or more than its limit, or a broken item."
)
BATCH_UNEVEN = SUPPLY_CODES.define(
    3, "BATCH_UNEVEN", Category.INVALID, "There is exactly one lot commitment for each pack."
)
ITEMS_NOT_ASCENDING = SUPPLY_CODES.define(
    4, "ITEMS_NOT_ASCENDING", Category.INVALID, "Items stand in strictly ascending order."
)
KEY_NOT_SIGNED = SUPPLY_CODES.define(
    5,
    "KEY_NOT_SIGNED",
    Category.UNAUTHENTICATED,
    "The key named in the message did not sign the transaction.",
)
PACK_EXISTS = SUPPLY_CODES.define(
    6, "PACK_EXISTS", Category.CONFLICT, "A pack was commissioned before, with another lot commitment."
)
PACK_UNKNOWN = SUPPLY_CODES.define(
    7, "PACK_UNKNOWN", Category.NOT_FOUND, "No such pack was ever commissioned by this issuer key."
)
CONTAINER_EXISTS = SUPPLY_CODES.define(
    8, "CONTAINER_EXISTS", Category.CONFLICT, "The container was created before."
)
CONTAINER_UNKNOWN = SUPPLY_CODES.define(
    9, "CONTAINER_UNKNOWN", Category.NOT_FOUND, "There is no such container."
)
CONTAINER_LEVEL = SUPPLY_CODES.define(
    10,
    "CONTAINER_LEVEL",
    Category.INVALID,
    "Levels are 1 to 6, and a container holds containers of lower levels only.",
)
ITEM_PACKED = SUPPLY_CODES.define(
    11, "ITEM_PACKED", Category.CONFLICT, "The item is inside a container and must be taken out first."
)
NOT_HOLDER = SUPPLY_CODES.define(
    12, "NOT_HOLDER", Category.FORBIDDEN, "The key that holds the item did not sign the transaction."
)
ITEM_OFFERED = SUPPLY_CODES.define(
    13, "ITEM_OFFERED", Category.CONFLICT, "The item is part of a handover that is still open."
)
PACK_INACTIVE = SUPPLY_CODES.define(
    14, "PACK_INACTIVE", Category.CONFLICT, "The pack's state does not allow this."
)
ALREADY_DISPENSED = SUPPLY_CODES.define(
    15, "ALREADY_DISPENSED", Category.CONFLICT, "The pack has been dispensed before."
)
NOT_INSIDE = SUPPLY_CODES.define(
    16, "NOT_INSIDE", Category.CONFLICT, "The item is not directly inside this container."
)
OFFER_EXISTS = SUPPLY_CODES.define(
    17, "OFFER_EXISTS", Category.CONFLICT, "The same keys have an offer with this deadline already."
)
OFFER_UNKNOWN = SUPPLY_CODES.define(
    18,
    "OFFER_UNKNOWN",
    Category.NOT_FOUND,
    "There is no such offer, or it was accepted, cancelled, replaced.",
)
OFFER_LAPSED = SUPPLY_CODES.define(
    19, "OFFER_LAPSED", Category.GONE, "The offer's deadline has passed; the goods stayed with the sender."
)
OFFER_DEADLINE = SUPPLY_CODES.define(
    20, "OFFER_DEADLINE", Category.INVALID, "A deadline lies ahead, by at most 60 days."
)
OPENING_WRONG = SUPPLY_CODES.define(
    21,
    "OPENING_WRONG",
    Category.CONFLICT,
    "Lot, expiry, market or size are not those the pack was commissioned with.",
)
LOT_RECALLED = SUPPLY_CODES.define(22, "LOT_RECALLED", Category.CONFLICT, "The pack's lot is recalled.")
LOT_WITHDRAWN = SUPPLY_CODES.define(
    23, "LOT_WITHDRAWN", Category.CONFLICT, "The pack's lot is withdrawn from the market."
)
EXPIRED = SUPPLY_CODES.define(24, "EXPIRED", Category.CONFLICT, "The pack's last day of use has passed.")
REMAINING_CHANGED = SUPPLY_CODES.define(
    25,
    "REMAINING_CHANGED",
    Category.PRECONDITION,
    "The pack holds another quantity than the request expects.",
)
QUANTITY = SUPPLY_CODES.define(
    26, "QUANTITY", Category.INVALID, "A quantity is at least 1 and at most what is left in the pack."
)
MARKET_UNKNOWN = SUPPLY_CODES.define(
    27, "MARKET_UNKNOWN", Category.INVALID, "The market's number has no profile."
)
UNDO_STATE = SUPPLY_CODES.define(
    28, "UNDO_STATE", Category.CONFLICT, "What was done to the pack can never be undone in its market."
)
UNDO_SUPPLIED = SUPPLY_CODES.define(
    29, "UNDO_SUPPLIED", Category.CONFLICT, "What has been supplied to the public stays supplied."
)
UNDO_ELSEWHERE = SUPPLY_CODES.define(
    30, "UNDO_ELSEWHERE", Category.FORBIDDEN, "Only the place that did it can undo it."
)
UNDO_TOO_LATE = SUPPLY_CODES.define(
    31, "UNDO_TOO_LATE", Category.CONFLICT, "The time in which it could be undone is over."
)
REASON_UNKNOWN = SUPPLY_CODES.define(
    32, "REASON_UNKNOWN", Category.INVALID, "The reason is not one for which packs leave the chain."
)
CONTAINER_INACTIVE = SUPPLY_CODES.define(
    33, "CONTAINER_INACTIVE", Category.CONFLICT, "The container has left the chain with all it holds."
)
ITEM_TWICE = SUPPLY_CODES.define(
    34, "ITEM_TWICE", Category.INVALID, "An item stands in more than one group of the message."
)
MASS_UNBALANCED = SUPPLY_CODES.define(
    35,
    "MASS_UNBALANCED",
    Category.CONFLICT,
    "What goes into new packs and to waste is not what was in the old ones.",
)
EXPIRY_EXTENDED = SUPPLY_CODES.define(
    36, "EXPIRY_EXTENDED", Category.CONFLICT, "A new pack would be usable longer than what was put into it."
)
MARKET_CHANGED = SUPPLY_CODES.define(
    37,
    "MARKET_CHANGED",
    Category.CONFLICT,
    "A new pack would be for another market than what was put into it.",
)
LINEAGE_TOO_WIDE = SUPPLY_CODES.define(
    38, "LINEAGE_TOO_WIDE", Category.INVALID, "New packs would descend from more than 64 lots."
)
NOT_RETURNED = SUPPLY_CODES.define(
    39, "NOT_RETURNED", Category.CONFLICT, "Only a returned pack can be put back into stock."
)
LOT_UNKNOWN = SUPPLY_CODES.define(
    40, "LOT_UNKNOWN", Category.NOT_FOUND, "The lot is neither recalled nor withdrawn, or does not exist."
)
QUERY_INVALID = SUPPLY_CODES.define(
    41, "QUERY_INVALID", Category.INVALID, "The bytes are not this query's request."
)
GENESIS_INVALID = SUPPLY_CODES.define(
    42, "GENESIS_INVALID", Category.INVALID, "The document does not describe a state of this module."
)
OFFER_ITEMS = SUPPLY_CODES.define(
    43, "OFFER_ITEMS", Category.CONFLICT, "The offer has another number of items than the request says."
)
TRANSFORMATION_UNKNOWN = SUPPLY_CODES.define(
    44, "TRANSFORMATION_UNKNOWN", Category.NOT_FOUND, "There is no such transformation."
)
