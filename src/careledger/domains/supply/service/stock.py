"""What a site knows of packs: its own lots with their secrets, and the packs it was given.

A maker's lot is planned once, durably, and commissioned by a job of several transactions that goes on where it
stopped: messages are made anew from the lot's secret, and one that reached the ledger twice changes nothing. What is
handed over with goods are the packs' own secrets and the lot's certificate; what was received that way stands beside.

The database is encrypted at rest; secrets of lots never leave it. Which one-time keys hold the packs is not kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from careledger.domains.supply.chain.messages import ITEMS_MAX, CommissionPacks
from careledger.domains.supply.service.certificates import CertifiedLot
from careledger.domains.supply.service.errors import (
    HANDOVER_INVALID,
    LOT_KNOWN,
    LOT_UNKNOWN,
    PACK_UNKNOWN,
)
from careledger.domains.supply.service.rows import fetch_all, fetch_one
from careledger.domains.supply.service.secrets import (
    SECRET_BYTES,
    LotTerms,
    PackKnowledge,
    compute_lot_tag,
    compute_pack_secret,
    compute_pack_tag,
    derive_packs,
)
from careledger.primitives.codec import CodecError, Wire, decode_list, encode
from careledger.primitives.errors import Rejected
from careledger.standards.gs1 import GTIN, SGTIN, GS1Error
from careledger.storage.sqlite import Connection, Database

COMPONENT: Final = "supply.stock"
HANDOVER_PACKS_MAX: Final = 20_000

MIGRATIONS: Final = (
    """
    CREATE TABLE supply_lot (
        row INTEGER PRIMARY KEY,
        issuer BLOB NOT NULL,
        lot_tag BLOB NOT NULL,
        gtin TEXT NOT NULL,
        lot TEXT NOT NULL,
        expires_on INTEGER NOT NULL,
        market INTEGER NOT NULL,
        units INTEGER NOT NULL,
        certificate BLOB NOT NULL,
        secret BLOB,                   -- only of the site's own lots
        commissioned INTEGER NOT NULL, -- packs, in the order of their positions, whose commissioning is durable
        UNIQUE (issuer, lot_tag)
    );
    CREATE TABLE supply_pack (
        gtin TEXT NOT NULL,
        serial TEXT NOT NULL,
        lot INTEGER NOT NULL,
        position INTEGER NOT NULL,     -- in an own lot; 0 where it was given
        secret BLOB,                   -- where it was given; own ones follow from the lot's
        PRIMARY KEY (gtin, serial, lot)
    ) WITHOUT ROWID;
    CREATE INDEX supply_pack_by_lot ON supply_pack (lot, position);
    """,
)
_LOT_COLUMNS = "issuer, lot_tag, gtin, lot, expires_on, market, units"


class HandedPack(Wire, frozen=True):
    """One pack's secret as it travels."""

    serial: str
    secret: bytes
    """32 bytes."""


class HandedLot(Wire, frozen=True):
    """Packs of one lot as they travel with the goods."""

    certificate: bytes
    packs: tuple[HandedPack, ...]


class KnownPack(msgspec.Struct, frozen=True, kw_only=True):
    """A pack the site can find on the ledger."""

    knowledge: PackKnowledge
    certificate: bytes
    """Of its lot; verified before it is believed."""


class Commissioning(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a lot's commissioning."""

    position: int
    """Of its first pack in the lot."""
    message: CommissionPacks


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the commissioning of a lot is."""

    commissioned: int
    planned: int


class Stock:
    """The packs a site knows."""

    def __init__(self, database: Database) -> None:
        """Bring the tables up to date."""
        self._database = database
        database.migrate(COMPONENT, MIGRATIONS)

    def plan_lot(
        self, *, terms: LotTerms, issuer: bytes, secret: bytes, certificate: bytes, serials: Sequence[str]
    ) -> int:
        """Plan an own lot, packs included, and return its number; nothing is on the ledger yet.

        Raises:
            Rejected: LOT_KNOWN; or HANDOVER_INVALID, a serial cannot be printed or stands twice.
        """
        if terms.lot_tag != compute_lot_tag(secret):
            raise Rejected(LOT_KNOWN, "the lot's tag is not of its secret")
        _check_serials(terms.gtin, serials)
        with self._database.immediate() as connection:
            if _find_lot(connection, issuer, terms.lot_tag) is not None:
                raise Rejected(LOT_KNOWN)
            lot = _add_lot(connection, issuer, terms, certificate, secret)
            connection.executemany(
                "INSERT INTO supply_pack VALUES (?, ?, ?, ?, NULL)",
                [(terms.gtin.digits, serial, lot, at) for at, serial in enumerate(serials)],
            )
        return lot

    def next_commissioning(
        self, lot: int, holder: bytes, *, packs_max: int = ITEMS_MAX
    ) -> Commissioning | None:
        """Give the message for the next packs of an own lot, or None when all are commissioned.

        Raises:
            Rejected: LOT_UNKNOWN.
        """
        with self._database.snapshot() as connection:
            row = fetch_one(
                connection,
                f"SELECT {_LOT_COLUMNS}, secret, commissioned FROM supply_lot WHERE row = ? AND secret NOT NULL",
                (lot,),
            )
            if row is None:
                raise Rejected(LOT_UNKNOWN)
            serials = fetch_all(
                connection,
                "SELECT serial FROM supply_pack WHERE lot = ? AND position >= ? ORDER BY position LIMIT ?",
                (lot, row[8], packs_max),
            )
        if not serials:
            return None
        packs = derive_packs(row[7], _terms(row), [serial for (serial,) in serials])
        message = CommissionPacks(
            row[0],
            holder,
            b"".join([tag for tag, _ in packs]),
            b"".join([commitment for _, commitment in packs]),
        )
        return Commissioning(position=row[8], message=message)

    def mark_commissioned(self, lot: int, step: Commissioning) -> Progress:
        """Note that a step is durable on the ledger, and say how far the lot is; noting it twice changes nothing.

        Raises:
            Rejected: LOT_UNKNOWN.
        """
        with self._database.immediate() as connection:
            connection.execute(
                "UPDATE supply_lot SET commissioned = commissioned + ? WHERE row = ? AND commissioned = ?",
                (step.message.operations(), lot, step.position),
            )
        return self.progress(lot)

    def progress(self, lot: int) -> Progress:
        """How far a lot is.

        Raises:
            Rejected: LOT_UNKNOWN.
        """
        with self._database.snapshot() as connection:
            row = fetch_one(
                connection,
                "SELECT commissioned, (SELECT count(*) FROM supply_pack WHERE lot = supply_lot.row) "
                "FROM supply_lot WHERE row = ?",
                (lot,),
            )
        if row is None:
            raise Rejected(LOT_UNKNOWN)
        return Progress(commissioned=row[0], planned=row[1])

    def find(self, sgtin: SGTIN) -> tuple[KnownPack, ...]:
        """Packs known under a label: one, unless somebody released the same number twice."""
        with self._database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT l.issuer, l.lot_tag, l.gtin, l.lot, l.expires_on, l.market, l.units, l.secret, "
                "p.secret, l.certificate FROM supply_pack p JOIN supply_lot l ON l.row = p.lot "
                "WHERE p.gtin = ? AND p.serial = ? ORDER BY p.lot",
                (sgtin.gtin.digits, sgtin.serial),
            )
        return tuple(
            KnownPack(
                knowledge=PackKnowledge(
                    issuer=row[0],
                    serial=sgtin.serial,
                    secret=row[8] or compute_pack_secret(row[7], sgtin.serial),
                    terms=_terms(row),
                ),
                certificate=row[9],
            )
            for row in rows
        )

    def hand_over(self, packs: Iterable[SGTIN]) -> bytes:
        """Secrets and certificates that go with these packs, encoded; the caller seals them for the receiver.

        Raises:
            Rejected: PACK_UNKNOWN.
        """
        lots: dict[bytes, list[HandedPack]] = {}
        for sgtin in packs:
            found = self.find(sgtin)
            if not found:
                raise Rejected(PACK_UNKNOWN)
            for known in found:
                pack = HandedPack(known.knowledge.serial, known.knowledge.secret)
                lots.setdefault(known.certificate, []).append(pack)
        return encode([HandedLot(certificate, tuple(each)) for certificate, each in lots.items()])

    def receive(
        self, raw: bytes, *, verify: Callable[[bytes], CertifiedLot], is_on_ledger: Callable[[bytes], bool]
    ) -> int:
        """Take over what came with goods, all or none, and return how many packs are new.

        Args:
            raw: from `hand_over`.
            verify: checks a certificate; raises Rejected.
            is_on_ledger: whether a pack (issuer key and tag) is on the ledger: a wrong secret, taken over first,
                would stand in the way of the right one.

        Raises:
            Rejected: HANDOVER_INVALID, or what `verify` raises.
        """
        lots = _read_handover(raw)
        certified = [(lot, verify(lot.certificate)) for lot in lots]
        for handed, lot in certified:
            _check_serials(lot.terms.gtin, [pack.serial for pack in handed.packs])
            for pack in handed.packs:
                sgtin = SGTIN(gtin=lot.terms.gtin, serial=pack.serial)
                if not is_on_ledger(lot.issuer + compute_pack_tag(pack.secret, sgtin)):
                    raise Rejected(HANDOVER_INVALID, "a secret is not of any pack on the ledger")
        count = 0
        with self._database.immediate() as connection:
            for handed, lot in certified:
                terms = lot.terms
                row = _find_lot(connection, lot.issuer, lot.lot_tag)
                if row is not None and _terms(row[1]) != terms:
                    raise Rejected(LOT_KNOWN)
                number = row[0] if row else _add_lot(connection, lot.issuer, terms, handed.certificate, None)
                before = connection.total_changes()
                connection.executemany(
                    "INSERT OR IGNORE INTO supply_pack VALUES (?, ?, ?, 0, ?)",
                    [(terms.gtin.digits, pack.serial, number, pack.secret) for pack in handed.packs],
                )
                count += connection.total_changes() - before
        return count

    def affected(self, issuer: bytes, lot_tag: bytes) -> tuple[SGTIN, ...]:
        """Packs of a recalled lot that this site was ever given."""
        with self._database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT p.gtin, p.serial FROM supply_pack p JOIN supply_lot l ON l.row = p.lot "
                "WHERE l.issuer = ? AND l.lot_tag = ? ORDER BY p.gtin, p.serial",
                (issuer, lot_tag),
            )
        return tuple(SGTIN(gtin=GTIN(digits=gtin), serial=serial) for gtin, serial in rows)


def _read_handover(raw: bytes) -> list[HandedLot]:
    try:
        lots = decode_list(raw, HandedLot)
    except CodecError:
        raise Rejected(HANDOVER_INVALID) from None
    packs = [pack for lot in lots for pack in lot.packs]
    if not 1 <= len(packs) <= HANDOVER_PACKS_MAX or any(len(pack.secret) != SECRET_BYTES for pack in packs):
        raise Rejected(HANDOVER_INVALID)
    return lots


def _check_serials(gtin: GTIN, serials: Sequence[str]) -> None:
    if not serials or len(set(serials)) != len(serials):
        raise Rejected(HANDOVER_INVALID, "there is no serial, or one stands twice")
    try:
        for serial in serials:
            SGTIN(gtin=gtin, serial=serial)
    except GS1Error:
        raise Rejected(HANDOVER_INVALID, "a serial cannot be printed") from None


def _find_lot(connection: Connection, issuer: bytes, lot_tag: bytes) -> tuple[int, tuple[Any, ...]] | None:
    row = fetch_one(
        connection,
        f"SELECT row, {_LOT_COLUMNS} FROM supply_lot WHERE issuer = ? AND lot_tag = ?",
        (issuer, lot_tag),
    )
    return None if row is None else (int(row[0]), row[1:])


def _add_lot(
    connection: Connection, issuer: bytes, terms: LotTerms, certificate: bytes, secret: bytes | None
) -> int:
    connection.execute(
        f"INSERT INTO supply_lot ({_LOT_COLUMNS}, certificate, secret, commissioned) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            issuer,
            terms.lot_tag,
            terms.gtin.digits,
            terms.lot,
            terms.expires_on,
            terms.market,
            terms.units,
            certificate,
            secret,
        ),
    )
    return connection.last_insert_rowid()


def _terms(row: Sequence[Any]) -> LotTerms:
    """Terms from a row that starts with `_LOT_COLUMNS`."""
    return LotTerms(
        gtin=GTIN(digits=row[2]),
        lot=row[3],
        lot_tag=row[1],
        expires_on=row[4],
        market=row[5],
        units=row[6],
    )
