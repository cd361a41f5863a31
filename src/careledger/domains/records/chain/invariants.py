"""Whole-state predicates of the records module: for tests and the doctor, never in consensus."""

from __future__ import annotations

from collections.abc import Mapping

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.types import (
    CELL_ID_BYTES,
    FIRST_VERSION,
    TAG_BYTES,
    pack_cell,
    unpack_cell,
    unpack_entry,
)
from careledger.sdk.context import View
from careledger.sdk.module import Invariant


def entries_are_whole(view: View) -> list[str]:
    """Every entry has an organisation, a full tag and a height that has been reached."""
    wrong = []
    for entries in (keeper.RECORD_ENTRIES, keeper.ACCESS_ENTRIES):
        for position, (key, raw) in enumerate(entries.scan_raw(view.store)):
            if len(key) != 4 + TAG_BYTES or key[:4] == bytes(4):
                wrong.append(f"{entries.name}: key {position} is not (organisation, tag)")
            elif unpack_entry(int.from_bytes(key[:4], "big"), key[4:], raw).height > view.height:
                wrong.append(f"{entries.name}: entry {position} is from a height not reached yet")
    return wrong


def cells_are_whole(view: View) -> list[str]:
    """Every cell has a custodian, a version, and exactly one stored form."""
    wrong = []
    for position, (cell_id, raw) in enumerate(keeper.CELLS.scan_raw(view.store)):
        cell = unpack_cell(raw)
        if len(cell_id) != CELL_ID_BYTES or cell.custodian == 0 or cell.version < FIRST_VERSION:
            wrong.append(f"records.cells: cell {position} is not whole")
        if pack_cell(cell) != raw:
            wrong.append(f"records.cells: cell {position} has a second stored form")
    return wrong


INVARIANTS: Mapping[str, Invariant] = {
    "entries_are_whole": entries_are_whole,
    "cells_are_whole": cells_are_whole,
}
