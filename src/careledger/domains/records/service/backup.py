"""Backups of a site, in two parts with two lives.

`records.db` holds blobs, commitments and positions: sealed, long-lived, and of no use alone. `wraps.sealed` and
`keys.sealed` hold the wrapped record keys and the keystore; they are replaced as a whole, and erasure cuts the
old ones off by changing the epoch key in the escrow file, which is kept elsewhere. So an erased record opens
from no backup, however old, while everything else is restored from any `records.db` and the newest keys.

The search index is in no backup: it is made anew from what opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from careledger.domains.records.service import erasure, schema
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.recovery import RESTORED
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.schema import ENTRY_RECORD
from careledger.primitives.codec import Wire, decode, encode
from careledger.state.store import StorageFailed
from careledger.storage.sqlite import Connection, Database
from careledger.vault.backup import restore_key_backup, rotate_escrow, write_key_backup
from careledger.vault.escrow import create_escrow
from careledger.vault.keys import DataKey
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import DEFAULT_PARAMETERS, PassphraseParameters
from careledger.vault.private_files import replace_file
from careledger.vault.sealing import open_sealed, seal

RECORDS_FILE: Final = "records.db"
WRAPS_FILE: Final = "wraps.sealed"
KEYS_FILE: Final = "keys.sealed"
_WRAPS_KEY: Final = "backup/wraps"
_WRAPS_CONTEXT: Final = b"careledger/backup-wraps/1"
_PAGE: Final = 2_000

_TABLES: Final = ("subject", "stream", "batch", "access", "hold", "erasure")
_ENTRY_COLUMNS: Final = (
    "row, stream, position, kind, commitment, batch, type, id, version, method, updated_ms, sealed, secret"
)


class _Wrap(Wire, frozen=True):
    row: int
    wrapped: bytes


class _Wraps(Wire, frozen=True):
    wraps: tuple[_Wrap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlace:
    """Where a site's backups go."""

    directory: Path
    """For the two parts."""
    escrow: Path
    """Escrow file, on another medium."""
    passphrase: str
    parameters: PassphraseParameters = DEFAULT_PARAMETERS

    def __repr__(self) -> str:
        """Show no passphrase."""
        return f"<BackupPlace {self.directory}>"


def write_backup(site: SiteContext, place: BackupPlace, database_key: bytes) -> int:
    """Write both parts; returns how many entries were copied."""
    place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not place.escrow.exists():
        create_escrow(place.escrow)
    count = _write_records(site, place.directory / RECORDS_FILE, database_key)
    _write_wraps(site, place.directory / WRAPS_FILE)
    write_key_backup(
        site.keystore,
        place.directory / KEYS_FILE,
        place.escrow,
        place.passphrase,
        parameters=place.parameters,
    )
    return count


def cut_backups(site: SiteContext, place: BackupPlace) -> None:
    """After an erasure: keys and wraps written anew, and no earlier copy of them opens any more."""
    if not (place.directory / KEYS_FILE).exists():
        return
    _write_wraps(site, place.directory / WRAPS_FILE)
    rotate_escrow(
        site.keystore,
        place.directory / KEYS_FILE,
        place.escrow,
        place.passphrase,
        parameters=place.parameters,
    )


def restore_stores(
    place: BackupPlace, site_root: Path, *, database_key_name: str, records: Path | None = None
) -> int:
    """Restore keystore and database into an empty folder; returns how many entries there are.

    The index is made, stream positions are derived from the ledger, and erasures are applied when the site is
    opened the next time.

    Args:
        place: the newest keys and wraps.
        site_root: folder to restore into.
        database_key_name: name of the database's key in the keystore.
        records: an older `records.db` to restore from.

    Raises:
        BackupSuperseded, BackupBroken, PassphraseWrong: The keys cannot be restored.
        FileExistsError: The folder holds a site already.
    """
    site_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    keystore = Keystore.create(site_root / "keystore.db", place.passphrase, parameters=place.parameters)
    try:
        restore_key_backup(place.directory / KEYS_FILE, place.escrow, place.passphrase, keystore)
        key = keystore.get(database_key_name)
        wraps = _read_wraps(keystore, place.directory / WRAPS_FILE)
    finally:
        keystore.close()
    source = Database(records or place.directory / RECORDS_FILE, key, readers=1)
    target = Database(site_root / "site.db", key, readers=1)
    try:
        _migrate(target)
        with source.snapshot() as reading, target.immediate() as writing:
            _copy_tables(reading, writing)
            count = 0
            for page in _entry_pages(reading):
                rows = [(*row[:-1], wraps.get(row[0]) if row[3] == ENTRY_RECORD else row[-1]) for row in page]
                # Without a key the blob is noise: it was erased after this backup, and goes here as well.
                _insert_entries(writing, [_without_orphan(row) for row in rows])
                count += len(rows)
            writing.execute("INSERT OR IGNORE INTO mark VALUES (?)", (RESTORED,))
        return count
    finally:
        source.close()
        target.close()


def _without_orphan(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if row[3] == ENTRY_RECORD and row[-1] is None:
        return (*row[:-2], None, None)
    return row


def _migrate(database: Database) -> None:
    database.migrate(schema.COMPONENT, schema.MIGRATIONS)
    database.migrate(erasure.COMPONENT, erasure.MIGRATIONS)


def _write_records(site: SiteContext, path: Path, database_key: bytes) -> int:
    """Copy everything but the index and the record keys into a database of its own, then put it in place."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in path.parent.glob(unfinished.name + "*"):
        leftover.unlink()
    target = Database(unfinished, database_key, readers=1)
    count = 0
    try:
        _migrate(target)
        with site.database.snapshot() as reading, target.immediate() as writing:
            _copy_tables(reading, writing)
            for page in _entry_pages(reading):
                _insert_entries(
                    writing, [(*row[:-1], None if row[3] == ENTRY_RECORD else row[-1]) for row in page]
                )
                count += len(page)
        target.checkpoint()
    finally:
        target.close()
    for side in ("-wal", "-shm"):
        leftover = unfinished.with_name(unfinished.name + side)
        if leftover.exists():
            leftover.unlink()
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    return count


def _copy_tables(reading: Connection, writing: Connection) -> None:
    for table in _TABLES:
        rows = fetch_all(reading, f"SELECT * FROM {table}")
        if rows:
            places = ", ".join("?" * len(rows[0]))
            writing.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def _entry_pages(reading: Connection) -> Iterator[list[tuple[Any, ...]]]:
    last = 0
    while True:
        page = fetch_all(
            reading,
            f"SELECT {_ENTRY_COLUMNS} FROM entry WHERE row > ? ORDER BY row LIMIT ?",
            (last, _PAGE),
        )
        if not page:
            return
        yield page
        last = page[-1][0]


def _insert_entries(writing: Connection, rows: list[tuple[Any, ...]]) -> None:
    places = ", ".join("?" * 13)
    writing.executemany(f"INSERT INTO entry ({_ENTRY_COLUMNS}) VALUES ({places})", rows)


def _write_wraps(site: SiteContext, path: Path) -> None:
    """Seal all record keys' wraps under a new key, which replaces the one before in the keystore."""
    with site.database.snapshot() as connection:
        rows = fetch_all(
            connection,
            f"SELECT row, secret FROM entry WHERE kind = {ENTRY_RECORD} AND secret IS NOT NULL ORDER BY row",
        )
    key = DataKey.random()
    sealed = seal(
        encode(_Wraps(tuple(_Wrap(row, wrapped) for row, wrapped in rows))), key, context=_WRAPS_CONTEXT
    )
    site.keystore.put(_WRAPS_KEY, key.reveal())
    site.keystore.erase_now()
    replace_file(path, [sealed])


def _read_wraps(keystore: Keystore, path: Path) -> dict[int, bytes]:
    raw = path.read_bytes()
    if not raw:
        raise StorageFailed("the backup's wraps are empty")
    opened = open_sealed(raw, DataKey(keystore.get(_WRAPS_KEY)), context=_WRAPS_CONTEXT)
    return {wrap.row: wrap.wrapped for wrap in decode(opened, _Wraps).wraps}
