"""The only reader and writer of the records module's keys.

An organisation's number stands before every tag: tags are visible before they are committed, and in a
namespace shared by all, anyone could copy one and spoil the batch it belongs to.
"""

from __future__ import annotations

from careledger.domains.records.chain.errors import CELL_EXISTS, CELL_UNKNOWN, TAG_TAKEN
from careledger.domains.records.chain.messages import cut_digests
from careledger.domains.records.chain.types import (
    CELL_CONTENTS_BYTES,
    ENTRY_SCHEMA,
    FIRST_VERSION,
    Cell,
    Entry,
    compute_cell_id,
    pack_cell,
    unpack_cell,
    unpack_entry,
)
from careledger.sdk.collections import RawMap, fixed_key, u32_key, u64_key
from careledger.sdk.context import StateReader, StateStore
from careledger.sdk.errors import Rejected

MODULE_NUMBER = 3


def _entry_key(pair: tuple[int, bytes]) -> bytes:
    return u32_key(pair[0]) + pair[1]


RECORD_ENTRIES: RawMap[tuple[int, bytes]] = RawMap(MODULE_NUMBER, 1, "records.record_entries", _entry_key)
"""(organisation, tag) -> packed entry."""
ACCESS_ENTRIES: RawMap[tuple[int, bytes]] = RawMap(MODULE_NUMBER, 2, "records.access_entries", _entry_key)
"""(organisation, tag) -> packed entry."""
CELLS: RawMap[bytes] = RawMap(MODULE_NUMBER, 3, "records.cells", fixed_key)
"""Cell identifier -> packed cell."""

EntryMap = RawMap[tuple[int, bytes]]
Pairs = list[tuple[bytes, bytes]]


def record_entry(store: StateReader, organisation: int, tag: bytes) -> Entry | None:
    """Record entry of an organisation under a tag of 32 bytes, or None."""
    raw = RECORD_ENTRIES.get(store, (organisation, tag))
    return None if raw is None else unpack_entry(organisation, tag, raw)


def access_entry(store: StateReader, organisation: int, tag: bytes) -> Entry | None:
    """Access entry of an organisation under a tag of 32 bytes, or None."""
    raw = ACCESS_ENTRIES.get(store, (organisation, tag))
    return None if raw is None else unpack_entry(organisation, tag, raw)


def cell(store: StateReader, cell_id: bytes) -> Cell | None:
    """Cell by its identifier of 32 bytes, or None."""
    raw = CELLS.get(store, cell_id)
    return None if raw is None else unpack_cell(raw)


def require_cell(store: StateReader, cell_id: bytes) -> Cell:
    """Cell by its identifier of 32 bytes.

    Raises:
        Rejected: CELL_UNKNOWN.
    """
    found = cell(store, cell_id)
    if found is None:
        raise Rejected(CELL_UNKNOWN)
    return found


def fresh_entries(
    store: StateReader, entries: EntryMap, organisation: int, tags: bytes, commitments: bytes, height: int
) -> Pairs:
    """State pairs of those entries of a checked batch that are not there yet.

    An entry that is there with the same commitment is skipped: a batch sent twice succeeds twice.

    Raises:
        Rejected: TAG_TAKEN, naming the position in the batch and never the tag.
    """
    # Runs for every record version of every organisation: no call and no structure per entry but one read.
    get = store.get
    prefix = entries.prefix + u32_key(organisation)
    suffix = u64_key(height)
    fresh: Pairs = []
    append = fresh.append
    for tag, commitment in zip(cut_digests(tags), cut_digests(commitments), strict=True):
        key = prefix + tag
        raw = get(key)
        if raw is None:
            append((key, ENTRY_SCHEMA + commitment + suffix))
        elif raw[1:33] != commitment:
            position = cut_digests(tags).index(tag)
            raise Rejected(TAG_TAKEN, at=f"tags[{position}]")
    return fresh


def write_entries(store: StateStore, fresh: Pairs) -> None:
    """Write the pairs of `fresh_entries`."""
    store.set_many(fresh)


def fresh_cells(store: StateReader, chain_id: str, custodian: int, cells: bytes) -> dict[bytes, Cell]:
    """New cells of a checked message, by identifier, in the message's order.

    Raises:
        Rejected: CELL_EXISTS, naming the position in the message.
    """
    fresh: dict[bytes, Cell] = {}
    for start in range(0, len(cells), CELL_CONTENTS_BYTES):
        contents = cells[start : start + CELL_CONTENTS_BYTES]
        cell_id = compute_cell_id(chain_id, custodian, contents)
        if cell_id in fresh or CELLS.has(store, cell_id):
            raise Rejected(CELL_EXISTS, at=f"cells[{start // CELL_CONTENTS_BYTES}]")
        fresh[cell_id] = Cell(custodian, FIRST_VERSION, contents[:32], contents[32:64], contents[64:96], None)
    return fresh


def write_cell(store: StateStore, cell_id: bytes, value: Cell) -> None:
    """Write one cell."""
    CELLS.set(store, cell_id, pack_cell(value))


def write_cells(store: StateStore, cells: dict[bytes, Cell]) -> None:
    """Write many cells."""
    store.set_many([(CELLS.key(cell_id), pack_cell(value)) for cell_id, value in cells.items()])
