"""Read-only questions to the records module at a height.

Each names one entry or one cell: there is no way to list tags, since a list would help to link them.
"""

from __future__ import annotations

from collections.abc import Mapping

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.errors import CELL_UNKNOWN, ENTRY_UNKNOWN, QUERY_INVALID
from careledger.domains.records.chain.types import CELL_ID_BYTES, TAG_BYTES, Cell, Entry
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.identifiers import ORGANISATION_ID_MAX
from careledger.sdk.context import View
from careledger.sdk.errors import Rejected
from careledger.sdk.module import Query


class EntryRequest(Wire, frozen=True):
    """Request of `record_entry` and of `access_entry`."""

    organisation: int
    tag: bytes
    """32 bytes."""


class CellRequest(Wire, frozen=True):
    """Request of `cell`."""

    cell: bytes
    """32 bytes."""


def record_entry(view: View, request: bytes) -> Entry:
    """One record entry."""
    asked = _read_entry_request(request)
    found = keeper.record_entry(view.store, asked.organisation, asked.tag)
    if found is None:
        raise Rejected(ENTRY_UNKNOWN)
    return found


def access_entry(view: View, request: bytes) -> Entry:
    """One access entry."""
    asked = _read_entry_request(request)
    found = keeper.access_entry(view.store, asked.organisation, asked.tag)
    if found is None:
        raise Rejected(ENTRY_UNKNOWN)
    return found


def cell(view: View, request: bytes) -> Cell:
    """One cell."""
    try:
        asked = decode(request, CellRequest)
    except CodecError:
        raise Rejected(QUERY_INVALID) from None
    if len(asked.cell) != CELL_ID_BYTES:
        raise Rejected(QUERY_INVALID)
    found = keeper.cell(view.store, asked.cell)
    if found is None:
        raise Rejected(CELL_UNKNOWN)
    return found


def _read_entry_request(request: bytes) -> EntryRequest:
    try:
        asked = decode(request, EntryRequest)
    except CodecError:
        raise Rejected(QUERY_INVALID) from None
    if not 1 <= asked.organisation <= ORGANISATION_ID_MAX or len(asked.tag) != TAG_BYTES:
        raise Rejected(QUERY_INVALID)
    return asked


QUERIES: Mapping[str, Query] = {
    "record_entry": record_entry,
    "access_entry": access_entry,
    "cell": cell,
}
