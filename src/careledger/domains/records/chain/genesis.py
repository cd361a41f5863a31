"""Genesis of the records module: entries and cells of a state that moves to a new ledger.

The document is plain lists, dictionaries, numbers, texts and bytes, and importing what was exported gives the same keys
and values. A new ledger starts with none of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.errors import GENESIS_INVALID
from careledger.domains.records.chain.types import (
    CELL_ID_BYTES,
    COMMITMENT_BYTES,
    FIRST_VERSION,
    TAG_BYTES,
    Cell,
    PendingRecovery,
    pack_entry,
    unpack_cell,
    unpack_entry,
)
from careledger.primitives.identifiers import ORGANISATION_ID_MAX
from careledger.sdk.context import StateStore, View
from careledger.sdk.errors import Rejected

_PLAIN_TYPES = (bytes,)


class GenesisEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record entry or an access entry of the document."""

    organisation: int
    tag: bytes
    commitment: bytes
    height: int


class GenesisRecovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recovery under way."""

    next_key_commitment: bytes
    recovery_commitment: bytes
    ready_at_ms: int


class GenesisCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell of the document."""

    cell: bytes
    custodian: int
    version: int
    commitment: bytes
    next_key_commitment: bytes
    recovery_commitment: bytes
    pending: GenesisRecovery | None = None


class GenesisDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole module."""

    record_entries: tuple[GenesisEntry, ...] = ()
    access_entries: tuple[GenesisEntry, ...] = ()
    cells: tuple[GenesisCell, ...] = ()


def genesis_document() -> dict[str, Any]:
    """Document of a new ledger: no entries and no cells."""
    return _plain(GenesisDocument())


def export_genesis(view: View) -> dict[str, Any]:
    """Document of the state as it stands."""
    cells = []
    for cell_id, raw in keeper.CELLS.scan_raw(view.store):
        found = unpack_cell(raw)
        pending = found.pending
        cells.append(
            GenesisCell(
                cell=cell_id,
                custodian=found.custodian,
                version=found.version,
                commitment=found.commitment,
                next_key_commitment=found.next_key_commitment,
                recovery_commitment=found.recovery_commitment,
                pending=None
                if pending is None
                else GenesisRecovery(
                    next_key_commitment=pending.next_key_commitment,
                    recovery_commitment=pending.recovery_commitment,
                    ready_at_ms=pending.ready_at_ms,
                ),
            )
        )
    return _plain(
        GenesisDocument(
            record_entries=_export_entries(view, keeper.RECORD_ENTRIES),
            access_entries=_export_entries(view, keeper.ACCESS_ENTRIES),
            cells=tuple(cells),
        )
    )


def import_genesis(store: StateStore, document: Any) -> None:
    """Write the state of a document into an empty store.

    Raises:
        msgspec.ValidationError: It is not such a document.
        Rejected: GENESIS_INVALID, naming the position.
    """
    read = msgspec.convert(document, GenesisDocument, builtin_types=_PLAIN_TYPES)
    _import_entries(store, keeper.RECORD_ENTRIES, read.record_entries, "record_entries")
    _import_entries(store, keeper.ACCESS_ENTRIES, read.access_entries, "access_entries")
    for position, each in enumerate(read.cells):
        _check_cell(each, f"cells[{position}]")
        pending = each.pending
        keeper.write_cell(
            store,
            each.cell,
            Cell(
                custodian=each.custodian,
                version=each.version,
                commitment=each.commitment,
                next_key_commitment=each.next_key_commitment,
                recovery_commitment=each.recovery_commitment,
                pending=None
                if pending is None
                else PendingRecovery(
                    pending.next_key_commitment, pending.recovery_commitment, pending.ready_at_ms
                ),
            ),
        )


def _export_entries(view: View, entries: keeper.EntryMap) -> tuple[GenesisEntry, ...]:
    exported = []
    for key, raw in entries.scan_raw(view.store):
        found = unpack_entry(int.from_bytes(key[:4], "big"), key[4:], raw)
        exported.append(
            GenesisEntry(
                organisation=found.organisation,
                tag=found.tag,
                commitment=found.commitment,
                height=found.height,
            )
        )
    return tuple(exported)


def _import_entries(
    store: StateStore, entries: keeper.EntryMap, document: Sequence[GenesisEntry], at: str
) -> None:
    pairs = []
    for position, each in enumerate(document):
        if (
            not _is_organisation(each.organisation)
            or not _is_number(each.height)
            or (len(each.tag), len(each.commitment)) != (TAG_BYTES, COMMITMENT_BYTES)
        ):
            raise Rejected(GENESIS_INVALID, at=f"{at}[{position}]")
        pairs.append((entries.key((each.organisation, each.tag)), pack_entry(each.commitment, each.height)))
    store.set_many(pairs)


def _check_cell(cell: GenesisCell, at: str) -> None:
    digests = [cell.commitment, cell.next_key_commitment, cell.recovery_commitment]
    if cell.pending is not None:
        digests += [cell.pending.next_key_commitment, cell.pending.recovery_commitment]
    if (
        len(cell.cell) != CELL_ID_BYTES
        or not _is_organisation(cell.custodian)
        or not (_is_number(cell.version) and cell.version >= FIRST_VERSION)
        or any(len(digest) != COMMITMENT_BYTES for digest in digests)
        or (cell.pending is not None and not _is_number(cell.pending.ready_at_ms))
    ):
        raise Rejected(GENESIS_INVALID, at=at)


def _is_organisation(number: int) -> bool:
    return 1 <= number <= ORGANISATION_ID_MAX


def _is_number(number: int) -> bool:
    return 0 <= number < 2**63


def _plain(document: GenesisDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document, builtin_types=_PLAIN_TYPES)
    return plain
