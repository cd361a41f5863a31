"""What a custodian hands out: entries of whole compartments, and single records, read against the ledger.

Everything is read from one snapshot of the database and one of the ledger. An entry counts only if the ledger
has it: what is pending is not disclosed, and what differs from the ledger stops the answer. Record keys leave
under the epoch's disclosure key, or sealed one by one to who asks; the keys they have at rest never leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.epochs import EpochKeys
from careledger.domains.records.service.consent.facts import is_psychotherapy_note
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.errors import VIEW_BEHIND
from careledger.domains.records.service.exchange.messages import (
    ERASED,
    RECORD,
    TAKEN,
    VOID,
    WITHHELD,
    Item,
    Single,
)
from careledger.domains.records.service.package import Package, decode_package
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.schema import ENTRY_MANIFEST, ENTRY_RECORD, ENTRY_VOID
from careledger.domains.records.service.versions import seal_context
from careledger.primitives.errors import InvariantViolated, Unavailable
from careledger.primitives.identifiers import CellID, ChainID, Commitment
from careledger.sdk.context import StateReader
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.storage.sqlite import Connection
from careledger.vault.kem import RecipientKey
from careledger.vault.keys import CompartmentKey, RecordKey
from careledger.vault.sealing import open_sealed
from careledger.vault.streams import tag
from careledger.vault.wrapping import GrantInfo, WrapContext, grant_key, unwrap_record_key, wrap_record_key

_ENTRIES: Final = (
    "SELECT stream, position, kind, commitment, type, id, version, sealed, secret FROM entry "
    "WHERE stream = ? ORDER BY position"
)


@dataclass(frozen=True, slots=True)
class Held:
    """One entry that is on the ledger, as it lies here."""

    keys: EpochKeys
    position: int
    tag: bytes
    commitment: bytes
    kind: int
    resource_type: str
    resource_id: str
    version: int
    sealed: bytes | None
    secret: bytes | None


@dataclass(frozen=True, slots=True)
class HeldStream:
    """A compartment as of one state of the ledger."""

    compartment: Compartment
    epoch: int
    manifest: bytes
    """Envelope."""
    manifest_salt: bytes
    entries: tuple[Held, ...]
    """Visible ones of earlier epochs, then positions 1 to n."""
    n: int
    """Last position of the epoch's stream that is on the ledger."""


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record in the clear, for who decides about it."""

    held: Held
    key: RecordKey
    package: Package
    value: JsonObject | None
    """The resource as served; None for a deletion."""


def read_stream(
    connection: Connection,
    store: StateReader,
    site: SiteContext,
    compartment: Compartment,
    epoch: int,
    keys: Sequence[EpochKeys],
    visible: Sequence[tuple[bytes, bytes]],
) -> HeldStream:
    """Read a compartment as its epoch's manifest has it.

    Args:
        connection: snapshot of the database.
        store: the ledger's state.
        site: this site.
        compartment: which part of the record.
        epoch: the epoch whose manifest stands in the cell.
        keys: of all epochs.
        visible: pairs of earlier epochs that the manifest lists.

    Raises:
        InvariantViolated: The database and the ledger differ: nothing of it is handed out.
        Unavailable: VIEW_BEHIND, the epoch's manifest is not on the ledger yet.
    """
    wanted = {commitment: of for of, commitment in visible}
    earlier: dict[bytes, Held] = {}
    current: list[Held] = []
    manifest: tuple[bytes, bytes] | None = None
    for held in keys:
        if held.epoch > epoch:
            continue
        for row in fetch_all(connection, _ENTRIES, (held.stream,)):
            if held.epoch < epoch:
                if row[3] in wanted:
                    earlier[row[3]] = _held(held, row)
                continue
            entry = _held(held, row)
            if not _is_on_ledger(store, site.organisation, entry):
                break  # the first that is pending ends what may be told
            if entry.kind == ENTRY_MANIFEST:
                manifest = (entry.sealed or b"", entry.secret or b"")
            current.append(entry)
    if manifest is None:
        raise Unavailable(VIEW_BEHIND, "an epoch is beginning; try again")
    if len(earlier) != len(wanted):
        raise InvariantViolated("a stream's manifest and its entries do not agree")
    ordered = [earlier[commitment] for _, commitment in visible]
    for entry in ordered:
        if not _is_on_ledger(store, site.organisation, entry):
            raise InvariantViolated("a visible entry is not on the ledger")
    return HeldStream(compartment, epoch, *manifest, (*ordered, *current[1:]), len(current) - 1)


def read_current(
    connection: Connection,
    store: StateReader,
    site: SiteContext,
    compartment: Compartment,
    keys: Sequence[EpochKeys],
) -> list[OpenedRecord]:
    """Current versions of a compartment's records that are on the ledger and not deleted, by position.

    Raises:
        InvariantViolated: The database and the ledger differ.
    """
    latest: dict[tuple[str, str], Held] = {}
    for held in keys:
        for row in fetch_all(connection, _ENTRIES, (held.stream,)):
            entry = _held(held, row)
            if entry.kind != ENTRY_RECORD or not _is_on_ledger(store, site.organisation, entry):
                continue
            name = (entry.resource_type, entry.resource_id)
            if name not in latest or latest[name].version < entry.version:
                latest[name] = entry
    opened = [
        open_record(site, compartment, entry)
        for entry in latest.values()
        if entry.sealed is not None and entry.secret is not None
    ]
    return [one for one in opened if one.value is not None]


def to_item(site: SiteContext, stream: HeldStream, entry: Held, disclosure: CompartmentKey) -> Item:
    """One entry of a whole compartment, its key under the disclosure key."""
    if entry.kind == ENTRY_VOID:
        return Item(VOID, "", "", 0, b"", entry.secret or b"")
    if entry.kind != ENTRY_RECORD:
        return Item(TAKEN, "", "", 0, b"", b"")
    if entry.sealed is None or entry.secret is None:
        return Item(ERASED, entry.resource_type, entry.resource_id, entry.version, b"", b"")
    key = unwrap(stream.compartment, entry)
    if stream.compartment is Compartment.MENTAL_HEALTH:
        opened = open_record(site, stream.compartment, entry)
        if opened.value is not None and is_psychotherapy_note(opened.value):
            return Item(WITHHELD, entry.resource_type, entry.resource_id, entry.version, entry.sealed, b"")
    context = WrapContext(
        entry.resource_id.encode(),
        entry.version,
        stream.compartment.label,
        stream.epoch,
        Commitment(entry.commitment),
    )
    wrapped = wrap_record_key(key, disclosure, context)
    return Item(RECORD, entry.resource_type, entry.resource_id, entry.version, entry.sealed, wrapped)


def to_single(
    compartment: Compartment,
    opened: OpenedRecord,
    recipient: RecipientKey,
    info: Callable[[Held], GrantInfo],
) -> Single:
    """One record by itself, its key sealed to who asks; notes of psychotherapy without their key."""
    entry = opened.held
    is_closed = opened.value is not None and is_psychotherapy_note(opened.value)
    return Single(
        int(compartment),
        entry.keys.epoch,
        entry.tag,
        entry.resource_type,
        entry.resource_id,
        entry.version,
        entry.sealed or b"",
        b"" if is_closed else grant_key(opened.key, recipient, info(entry)),
    )


def single_key_info(
    chain: ChainID, cell: CellID, tag_of: bytes, purpose: str, epoch: int, expires_at_ms: int, basis: bytes
) -> GrantInfo:
    """What a single record's key is bound to; the tag names the record, the basis the grant or emergency."""
    return GrantInfo(chain, cell, tag_of.hex(), purpose, epoch, expires_at_ms, basis)


def unwrap(compartment: Compartment, entry: Held) -> RecordKey:
    """Key of a record as it lies at rest.

    Raises:
        WrapBroken: Not under the key that is held.
    """
    context = WrapContext(
        entry.resource_id.encode(),
        entry.version,
        compartment.label,
        entry.keys.epoch,
        Commitment(entry.commitment),
    )
    return unwrap_record_key(entry.secret or b"", entry.keys.at_rest, context)


def open_record(site: SiteContext, compartment: Compartment, entry: Held) -> OpenedRecord:
    """Open a record that is there.

    Raises:
        WrapBroken: The key does not unwrap.
        SealBroken: The blob was altered.
    """
    key = unwrap(compartment, entry)
    context = seal_context(site, entry.resource_type, entry.resource_id, entry.version)
    package = decode_package(open_sealed(entry.sealed or b"", key, context=context))
    value = read_resource(package.served) if package.served else None
    return OpenedRecord(entry, key, package, value)


def _held(keys: EpochKeys, row: tuple[Any, ...]) -> Held:
    _, position, kind, commitment, rtype, rid, version, sealed, secret = row
    return Held(
        keys,
        position,
        tag(keys.index_key, position),
        commitment,
        kind,
        rtype or "",
        rid or "",
        version or 0,
        sealed,
        secret,
    )


def _is_on_ledger(store: StateReader, organisation: int, entry: Held) -> bool:
    """Whether the ledger has an entry with this commitment.

    Raises:
        InvariantViolated: It has another one: somebody altered the database, or used this site's keys elsewhere.
    """
    raw = keeper.RECORD_ENTRIES.get(store, (organisation, entry.tag))
    if raw is None:
        return False
    if raw[1:33] != entry.commitment:
        raise InvariantViolated("the database and the ledger differ about an entry")
    return True
