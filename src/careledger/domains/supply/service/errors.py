"""Numbered codes of the supply service (off the ledger; module number 104)."""

from __future__ import annotations

from careledger.primitives.errors import Category, CodeSpace

SERVICE_CODES = CodeSpace("supply-service", 104)

CERTIFICATE_INVALID = SERVICE_CODES.define(
    1, "CERTIFICATE_INVALID", Category.UNPROCESSABLE, "The lot's certificate does not hold."
)
PROOF_INVALID = SERVICE_CODES.define(
    2, "PROOF_INVALID", Category.UNPROCESSABLE, "The custody proof does not hold."
)
PRODUCT_CONFLICT = SERVICE_CODES.define(
    3, "PRODUCT_CONFLICT", Category.CONFLICT, "The product is known with other data."
)
CAPTURE_TOO_LARGE = SERVICE_CODES.define(
    4, "CAPTURE_TOO_LARGE", Category.TOO_LARGE, "The document holds more events than one capture may."
)
EVENT_KNOWN = SERVICE_CODES.define(5, "EVENT_KNOWN", Category.CONFLICT, "The same event was captured before.")
EVENT_ID_TAKEN = SERVICE_CODES.define(
    6, "EVENT_ID_TAKEN", Category.CONFLICT, "Another event was captured under this event identifier."
)
JOB_UNKNOWN = SERVICE_CODES.define(7, "JOB_UNKNOWN", Category.NOT_FOUND, "There is no such capture job.")
EVENT_UNKNOWN = SERVICE_CODES.define(8, "EVENT_UNKNOWN", Category.NOT_FOUND, "There is no such event.")
PAGE_INVALID = SERVICE_CODES.define(
    9,
    "PAGE_INVALID",
    Category.INVALID,
    "The page token is not one this query gave, or the page is too large.",
)
QUERY_TOO_LARGE = SERVICE_CODES.define(
    10, "QUERY_TOO_LARGE", Category.TOO_LARGE, "More events match than the query allows."
)
PRODUCT_UNKNOWN = SERVICE_CODES.define(
    11, "PRODUCT_UNKNOWN", Category.NOT_FOUND, "The product is not in the product master."
)
LOT_KNOWN = SERVICE_CODES.define(
    12, "LOT_KNOWN", Category.CONFLICT, "The lot is known with other data, or was planned before."
)
LOT_UNKNOWN = SERVICE_CODES.define(13, "LOT_UNKNOWN", Category.NOT_FOUND, "The site does not know this lot.")
PACK_UNKNOWN = SERVICE_CODES.define(
    14, "PACK_UNKNOWN", Category.NOT_FOUND, "The site was never given this pack's secret."
)
HANDOVER_INVALID = SERVICE_CODES.define(
    15, "HANDOVER_INVALID", Category.UNPROCESSABLE, "The secrets that came with the goods cannot be used."
)
KEY_UNKNOWN = SERVICE_CODES.define(
    16, "KEY_UNKNOWN", Category.NOT_FOUND, "The one-time key is not one of this site's."
)
