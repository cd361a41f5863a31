"""Cells at their custodian: which opening stands, which grants are stopped, and whose cell it is.

A custodian serves only by an opening that leads to the cell's commitment on the ledger. It is given openings
before the update commits, and keeps them until a later one stands. A stop is a word of the patient that counts
at once, whatever the ledger says; it is in memory before it is on disk, and on disk before it is confirmed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.types import Cell
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent import schema
from careledger.domains.records.service.consent.cells import (
    CellContents,
    CellOpening,
    compute_commitment,
    decode_opening,
    read_contents,
)
from careledger.domains.records.service.consent.commands import EVERYTHING
from careledger.domains.records.service.consent.errors import OPENING_INVALID
from careledger.domains.records.service.consent.grants import GrantedScope, verify_grant
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.schema import ENTRY_MANIFEST
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID, PublicKey
from careledger.storage.sqlite import Connection
from careledger.vault.streams import manifest_hash

OPENINGS_CACHED: Final = 256

_BY_CELL: Final = (
    "SELECT row, patient_id, cell, identity, recipient, agent FROM subject WHERE cell = ? AND row <> 0"
)
_BY_PATIENT: Final = (
    "SELECT row, patient_id, cell, identity, recipient, agent FROM subject WHERE patient_id = ?"
)
_MANIFEST: Final = (
    "SELECT entry.sealed FROM stream JOIN entry ON entry.stream = stream.row "
    "WHERE stream.subject = ? AND stream.compartment = ? AND stream.epoch = ? AND entry.position = 0 "
    f"AND entry.kind = {ENTRY_MANIFEST}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSubject:
    """The patient behind a cell, as this custodian knows them."""

    row: int
    patient_id: str
    cell: CellID
    identity: PublicKey
    """The wallet's public identity key."""
    recipient: bytes
    """The wallet's public HPKE key."""
    agent: str
    """Organisation that keeps the wallet."""


@dataclass(frozen=True, slots=True)
class ServedCell:
    """An opening that was checked."""

    opening: CellOpening
    contents: CellContents
    grants: dict[int, GrantedScope]
    """By slot."""


class CellCustody:
    """The cells of one custodian."""

    def __init__(self, site: SiteContext, writer: RecordWriter) -> None:
        self._site = site
        self._writer = writer
        self._stops: dict[bytes, set[bytes]] = {}
        self._served: OrderedDict[tuple[bytes, bytes], ServedCell] = OrderedDict()
        self.stops_heard = 0
        """Counts up with every stop: who is building an answer looks again before it goes out."""

    async def start(self) -> None:
        """Bring the tables up to date and read the stops; after the writer's start."""
        self._site.database.migrate(schema.COMPONENT, schema.MIGRATIONS)
        await self._writer.in_transaction(self._read_stops)

    # -- whose ---------------------------------------------------------------------------------------------

    def find(self, cell: bytes) -> CellSubject | None:
        """Patient behind a cell, if this site keeps their record."""
        with self._site.database.snapshot() as connection:
            return _subject(fetch_one(connection, _BY_CELL, (cell,)))

    def find_patient(self, patient_id: str) -> CellSubject | None:
        """Cell of a patient of this site."""
        with self._site.database.snapshot() as connection:
            return _subject(fetch_one(connection, _BY_PATIENT, (patient_id,)))

    def cell_on_ledger(self, cell: bytes) -> Cell | None:
        """The cell as the local view has it."""
        with self._site.view.at_head() as view:
            return keeper.cell(view.store, cell)

    # -- stops ---------------------------------------------------------------------------------------------

    def is_stopped(self, cell: bytes, name: bytes) -> bool:
        """Whether a grant is stopped here, by itself or with all others."""
        stops = self._stops.get(cell)
        return stops is not None and (EVERYTHING in stops or name in stops)

    async def stop(self, cell: bytes, names: tuple[bytes, ...]) -> None:
        """Stop grants at once; durable on return. In memory it stays stopped even if that fails."""
        self._stops.setdefault(cell, set()).update(names)
        self.stops_heard += 1
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> None:
            connection.executemany(
                "INSERT OR IGNORE INTO stop VALUES (?, ?, ?)", [(cell, name, now_ms) for name in names]
            )

        await self._writer.in_transaction(write)

    async def lift(self, cell: bytes, names: tuple[bytes, ...]) -> None:
        """Take stops back: first on disk, then in memory."""

        def write(connection: Connection) -> None:
            connection.executemany(
                "DELETE FROM stop WHERE cell = ? AND name = ?", [(cell, name) for name in names]
            )

        await self._writer.in_transaction(write)
        self._stops.get(cell, set()).difference_update(names)

    # -- openings ------------------------------------------------------------------------------------------

    def check_opening(self, subject: CellSubject, raw: bytes) -> ServedCell:
        """Check that an opening is one this site could serve by.

        1. It opens this cell.
        2. Every compartment's slot names a manifest that this site holds.
        3. Every grant is signed by the cell's wallet, for this cell and its slot.

        Raises:
            Rejected: OPENING_INVALID, or GRANT_INVALID.
        """
        # 1.
        opening = decode_opening(raw)
        if opening.cell != subject.cell:
            raise Rejected(OPENING_INVALID, "of another cell")
        contents = read_contents(opening)
        # 2.
        with self._site.database.snapshot() as connection:
            for compartment in COMPARTMENTS:
                found = contents.manifests.get(compartment)
                if found is None or found[1] != self._manifest(
                    connection, subject.row, compartment, found[0]
                ):
                    raise Rejected(
                        OPENING_INVALID, "not this site's manifest", at=f"slots[{compartment.value}]"
                    )
        # 3.
        grants = {slot: self._check_grant(subject, slot, *held) for slot, held in contents.grants.items()}
        return ServedCell(opening, contents, grants)

    async def keep_opening(self, subject: CellSubject, raw: bytes) -> tuple[ServedCell, bool]:
        """Check an opening and keep it until its commitment stands; durable on return.

        Returns:
            What it says, and whether it was new.

        Raises:
            Rejected: As `check_opening`, or it is for a version that the cell has passed.
        """
        served = self.check_opening(subject, raw)
        commitment = compute_commitment(served.opening)
        on_ledger = self.cell_on_ledger(subject.cell)
        version = served.opening.cell_version
        stands = on_ledger is not None and on_ledger.commitment == commitment
        if on_ledger is None or (version != on_ledger.version + 1 and not stands):
            raise Rejected(OPENING_INVALID, "not of the version that follows")
        current = on_ledger.commitment
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> bool:
            known = fetch_one(
                connection,
                "SELECT 1 FROM opening WHERE cell = ? AND commitment = ?",
                (subject.cell, commitment),
            )
            # What stands now and what may stand next are kept; openings of other versions are of no use.
            connection.execute(
                "DELETE FROM opening WHERE cell = ? AND commitment <> ? AND version < ?",
                (subject.cell, current, version - 1),
            )
            connection.execute(
                "INSERT OR REPLACE INTO opening VALUES (?, ?, ?, ?, ?)",
                (subject.cell, commitment, version, raw, now_ms),
            )
            return known is None

        is_new = await self._writer.in_transaction(write)
        self._remember(subject.cell, commitment, served)
        return served, is_new

    def served_cell(self, subject: CellSubject, commitment: bytes) -> ServedCell | None:
        """Opening of exactly this commitment, if it was ever given and can be served by."""
        found = self._served.get((subject.cell, commitment))
        if found is not None:
            return found
        raw = self.stored_opening(subject.cell, commitment)
        if raw is None:
            return None
        try:
            served = self.check_opening(subject, raw)
        except Rejected:
            return None  # the wallet's identity has changed since, or a manifest is gone: it serves nobody
        self._remember(subject.cell, commitment, served)
        return served

    def stored_opening(self, cell: bytes, commitment: bytes) -> bytes | None:
        """Bytes of an opening as they were given."""
        with self._site.database.snapshot() as connection:
            row = fetch_one(
                connection, "SELECT raw FROM opening WHERE cell = ? AND commitment = ?", (cell, commitment)
            )
        return None if row is None else bytes(row[0])

    def forget(self, cell: bytes) -> None:
        """Drop checked openings of a cell: what they were checked against has changed."""
        for key in [key for key in self._served if key[0] == cell]:
            del self._served[key]

    # -- details -------------------------------------------------------------------------------------------

    def _check_grant(self, subject: CellSubject, slot: int, raw: bytes, scope: bytes) -> GrantedScope:
        granted = verify_grant(
            raw, scope, chain=self._site.chain_id, cell=subject.cell, identity=subject.identity
        )
        if granted.grant.leaf_index != slot:
            raise Rejected(OPENING_INVALID, "a grant of another slot", at=f"slots[{slot}]")
        return granted

    @staticmethod
    def _manifest(connection: Connection, subject: int, compartment: Compartment, epoch: int) -> bytes | None:
        row = fetch_one(connection, _MANIFEST, (subject, compartment, epoch))
        return None if row is None or row[0] is None else manifest_hash(row[0])

    def _remember(self, cell: bytes, commitment: bytes, served: ServedCell) -> None:
        self._served[cell, commitment] = served
        self._served.move_to_end((cell, commitment))
        if len(self._served) > OPENINGS_CACHED:
            self._served.popitem(last=False)

    def _read_stops(self, connection: Connection) -> None:
        for cell, name in fetch_all(connection, "SELECT cell, name FROM stop"):
            self._stops.setdefault(cell, set()).add(name)


def _subject(row: tuple[object, ...] | None) -> CellSubject | None:
    if row is None:
        return None
    number, patient_id, cell, identity, recipient, agent = row
    if not (
        isinstance(number, int)
        and isinstance(patient_id, str)
        and isinstance(cell, bytes)
        and isinstance(identity, bytes)
        and isinstance(recipient, bytes)
        and isinstance(agent, str)
    ):
        return None
    return CellSubject(
        row=number,
        patient_id=patient_id,
        cell=CellID(cell),
        identity=PublicKey(identity),
        recipient=recipient,
        agent=agent,
    )
