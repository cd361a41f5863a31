"""Entries that were shown, opened and checked one by one against the ledger; what a whole read comes to.

Owns the check of a single entry: that what was opened leads to the commitment on the ledger, under the tag it
stands at. Whether entries are complete is `verifying`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.audit_events import EXCHANGE_SYSTEM, access_commitment
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.grants import GrantedScope
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.errors import PROOF_FAILED
from careledger.domains.records.service.exchange.heads import (
    SINGLES,
    SignedHead,
    singles_content,
    singles_name,
)
from careledger.domains.records.service.exchange.messages import (
    ERASED,
    RECORD,
    TAKEN,
    VOID,
    WITHHELD,
    AccessStatement,
    Item,
    Single,
)
from careledger.domains.records.service.exchange.release import single_key_info
from careledger.domains.records.service.package import (
    Method,
    Package,
    PackageBroken,
    build_leaf,
    decode_package,
)
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID, ChainID, Commitment, Tag
from careledger.sdk.context import StateReader
from careledger.standards.fhir.issues import FhirError
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.vault.errors import OpeningInvalid, VaultError
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, RecordKey
from careledger.vault.leaves import leaf_commitment
from careledger.vault.sealing import open_sealed
from careledger.vault.streams import verify_void
from careledger.vault.wrapping import WrapContext, open_granted_key, unwrap_record_key


@dataclass(frozen=True, slots=True)
class EntryOnLedger:
    """What the own view has under a tag."""

    commitment: bytes
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEntry:
    """One record version that leads to its commitment on the ledger."""

    custodian: Member
    compartment: Compartment
    tag: bytes
    commitment: bytes
    height: int
    """Block of the commitment: unaltered since then."""
    resource_type: str
    resource_id: str
    version: int
    method: Method
    updated_ms: int
    served: bytes
    """FHIR JSON as the custodian serves it; empty for a deletion."""
    submitted: bytes
    """The bytes as they were submitted there."""
    value: JsonObject | None = field(repr=False)
    """The resource; None for a deletion."""

    def __repr__(self) -> str:
        """Show nothing of the content."""
        return f"<VerifiedEntry of {self.custodian.slug}: not shown>"


Opened = VerifiedEntry | int
"""A verified record, or the kind of an entry that has no content to open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """What stands about one compartment."""

    compartment: Compartment
    head: SignedHead
    total: int
    """Entries: visible ones of earlier epochs, and positions 1 to n."""


@dataclass(slots=True)
class VerifiedRead:
    """All of a read, every part of it verified."""

    custodian: Member
    cell: CellID
    granted: GrantedScope | None = None
    """None for what was opened in an emergency."""
    entries: list[VerifiedEntry] = field(default_factory=list)
    streams: list[StreamReport] = field(default_factory=list)
    singles_head: SignedHead | None = None
    voids: int = 0
    """Positions that never held a record."""
    unexplained: int = 0
    """Positions whose commitment the custodian cannot open."""
    withheld: int = 0
    """Records that are there and not given: notes of psychotherapy."""
    erased: int = 0
    """Records whose content the custodian says was erased."""
    accesses: list[AccessStatement] = field(default_factory=list)
    """The custodian's entries about these disclosures."""
    verified_ms: int = 0
    """Block time of the view that it was verified by."""

    def add(self, opened: list[Opened]) -> None:
        """Take entries over."""
        for one in opened:
            if isinstance(one, VerifiedEntry):
                self.entries.append(one)
            elif one == VOID:
                self.voids += 1
            elif one == TAKEN:
                self.unexplained += 1
            elif one == WITHHELD:
                self.withheld += 1
            else:
                self.erased += 1


def find_entry(store: StateReader, organisation: int, of: bytes) -> EntryOnLedger | None:
    """Record entry of an organisation, if the view has it."""
    raw = keeper.RECORD_ENTRIES.get(store, (organisation, of))
    return None if raw is None else EntryOnLedger(raw[1:33], int.from_bytes(raw[33:41], "big"))


def open_item(
    item: Item,
    of: bytes,
    on_ledger: EntryOnLedger,
    disclosure: CompartmentKey,
    *,
    custodian: Member,
    chain: ChainID,
    compartment: Compartment,
    epoch: int,
    at: str,
) -> Opened:
    """Open one entry of a whole compartment and check it.

    Raises:
        Rejected: PROOF_FAILED, it does not lead to its commitment.
    """
    if item.kind == VOID:
        try:
            verify_void(Commitment(on_ledger.commitment), Tag(of), item.key)
        except (OpeningInvalid, ValueError):
            raise Rejected(PROOF_FAILED, "not a void position", at=at) from None
        return VOID
    if item.kind in (TAKEN, WITHHELD, ERASED):
        return item.kind
    if item.kind != RECORD:
        raise Rejected(PROOF_FAILED, "an unknown kind of entry", at=at)
    context = WrapContext(
        item.id.encode(), item.version, compartment.label, epoch, Commitment(on_ledger.commitment)
    )
    try:
        key = unwrap_record_key(item.key, disclosure, context)
    except (VaultError, ValueError):
        raise Rejected(PROOF_FAILED, "the key does not unwrap", at=at) from None
    return _open(
        (item.type, item.id, item.version, item.sealed),
        key,
        of,
        on_ledger,
        custodian=custodian,
        chain=chain,
        compartment=compartment,
        at=at,
    )


def open_single(
    single: Single,
    on_ledger: EntryOnLedger,
    opening_key: OpeningKey,
    *,
    custodian: Member,
    chain: ChainID,
    cell: CellID,
    compartment: Compartment,
    purpose: str,
    expires_at_ms: int,
    basis: bytes,
    at: str,
) -> Opened:
    """Open a record that was released by itself and check it.

    Raises:
        Rejected: PROOF_FAILED.
    """
    if not single.granted:
        return WITHHELD
    info = single_key_info(chain, cell, single.tag, purpose, single.epoch, expires_at_ms, basis)
    try:
        key = open_granted_key(single.granted, opening_key, info, RecordKey)
    except (VaultError, ValueError):
        raise Rejected(PROOF_FAILED, "the key does not open", at=at) from None
    return _open(
        (single.type, single.id, single.version, single.sealed),
        key,
        single.tag,
        on_ledger,
        custodian=custodian,
        chain=chain,
        compartment=compartment,
        at=at,
    )


def check_access(
    store: StateReader, organisation: int, access: AccessStatement, exchange_id: bytes, seen_height: int
) -> None:
    """Check that the custodian committed an entry about this disclosure, and that it says so.

    Raises:
        Rejected: PROOF_FAILED.
    """
    entry = keeper.access_entry(store, organisation, access.tag) if len(access.tag) == 32 else None
    if (
        entry is None
        or entry.commitment != access_commitment(access.tag, access.salt, access.event)
        or entry.height != access.height
        or entry.height < seen_height
    ):
        raise Rejected(PROOF_FAILED, "the custodian's access entry is not on the ledger", at="access")
    if exchange_id.hex() not in read_exchanges(access.event):
        raise Rejected(PROOF_FAILED, "the access entry is about something else", at="access")


def read_exchanges(event: bytes) -> list[str]:
    """Names of exchanges that an AuditEvent is about."""
    try:
        value = msgspec.json.decode(event)
    except msgspec.DecodeError:
        return []
    entities = value.get("entity", []) if isinstance(value, dict) else []
    found = []
    for entity in entities if isinstance(entities, list) else []:
        what = entity.get("what") if isinstance(entity, dict) else None
        identifier = what.get("identifier") if isinstance(what, dict) else None
        if isinstance(identifier, dict) and identifier.get("system") == EXCHANGE_SYSTEM:
            found.append(str(identifier.get("value")))
    return found


def check_singles_head(signed: SignedHead, cell: bytes, basis: bytes, tags: list[bytes]) -> None:
    """Check that a head speaks of exactly these single records.

    Raises:
        Rejected: PROOF_FAILED.
    """
    head = signed.head
    if (
        head.kind != SINGLES
        or head.stream != singles_name(cell, basis)
        or head.n != len(tags)
        or head.content != singles_content(tags)
    ):
        raise Rejected(PROOF_FAILED, "the head speaks of other records", at="singles_head")


def _open(
    named: tuple[str, str, int, bytes],
    key: RecordKey,
    of: bytes,
    on_ledger: EntryOnLedger,
    *,
    custodian: Member,
    chain: ChainID,
    compartment: Compartment,
    at: str,
) -> VerifiedEntry:
    """Unseal a record, compute its leaf anew, and compare it with the ledger."""
    rtype, rid, version, sealed = named
    context = f"{chain}/{custodian.organisation}/{rtype}/{rid}/{version}".encode()
    try:
        plaintext = open_sealed(sealed, key, context=context)
        package = decode_package(plaintext)
    except (VaultError, PackageBroken):
        raise Rejected(PROOF_FAILED, "the blob does not open", at=at) from None
    leaf = build_leaf(Tag(of), rtype, sealed, plaintext, package)
    if leaf_commitment(leaf) != on_ledger.commitment:
        raise Rejected(PROOF_FAILED, "what was shown does not lead to the commitment", at=at)
    if package.compartment is not compartment or package.version != version:
        raise Rejected(PROOF_FAILED, "of another compartment or version", at=at)
    return VerifiedEntry(
        custodian=custodian,
        compartment=compartment,
        tag=of,
        commitment=on_ledger.commitment,
        height=on_ledger.height,
        resource_type=rtype,
        resource_id=rid,
        version=version,
        method=package.method,
        updated_ms=package.updated_ms,
        served=package.served,
        submitted=package.submitted,
        value=_read_value(package, rtype, rid, at),
    )


def _read_value(package: Package, rtype: str, rid: str, at: str) -> JsonObject | None:
    if not package.served:
        if package.method is not Method.DELETE:
            raise Rejected(PROOF_FAILED, "a version without content", at=at)
        return None
    try:
        value = read_resource(package.served)
    except FhirError:
        raise Rejected(PROOF_FAILED, "the content is no resource", at=at) from None
    if (value.get("resourceType"), value.get("id")) != (rtype, rid):
        raise Rejected(PROOF_FAILED, "the content has another name", at=at)
    return value
