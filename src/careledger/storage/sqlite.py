"""Adapter to SQLite, encrypted at rest, for a site's own tables (index, outbox, wallets' caches).

Owns the opening of a database file with a raw 32-byte key, the settings durability and confidentiality rest on
(each one is fetched back and compared, since SQLite ignores what it cannot do without a word), one writer
connection and a pool of reader connections, write transactions with fault points around their COMMIT, and
numbered migrations.

Keeps rule 5 of the design: acknowledged means durable. COMMIT returns after the log was synchronised, and any
failure of the disk is `StorageFailed`, after which this object refuses to go on. It knows no table of anybody
else's, and it does not derive or keep keys (`careledger.vault`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Final, cast

import apsw

from careledger.state.store import StorageFailed
from careledger.storage.faults import declare, fault_point

Connection = apsw.Connection
"""What callers run their statements on; see the apsw manual."""

KEY_BYTES: Final = 32
CIPHER: Final = "chacha20"
"""ChaCha20-Poly1305 per page (RFC 8439), SQLite3 Multiple Ciphers' default; also covers the write-ahead log."""
PAGE_BYTES: Final = 4_096
CHECKPOINT_PAGES: Final = 16_000
"""Pages of the log after which a commit copies it back; small logs write hot index pages again and again."""
STATEMENTS_CACHED: Final = 512

BEFORE_COMMIT: Final = declare("sqlite.before_commit")
AFTER_COMMIT: Final = declare("sqlite.after_commit")

_FATAL: Final = (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError)


class WrongKey(StorageFailed):
    """The key does not open the file, or the file is no encrypted database of ours."""


class StorageBusy(Exception):  # noqa: N818 - a passing state, not an error of the program
    """Another process holds the write lock, or all readers are in use, for longer than the caller would wait."""


class SchemaTooNew(StorageFailed):
    """The file was written by a later version of the program."""


def _expect(connection: Connection, pragma: str, wanted: object, got: object) -> None:
    """Compare what a setting answered with what must hold."""
    if got != wanted:
        connection.close()
        raise StorageFailed(f"SQLite answered {got!r} where {pragma} must be {wanted!r}")


def _connect(path: Path, key: bytes, *, cache_bytes: int, busy_ms: int, is_reader: bool) -> Connection:
    """Open one connection, unlock it and make sure of every setting."""
    connection = apsw.Connection(str(path), statementcachesize=STATEMENTS_CACHED)
    connection.set_busy_timeout(busy_ms)
    _expect(connection, "cipher", CIPHER, connection.pragma("cipher", CIPHER))
    connection.pragma("key", f"raw:{key.hex()}")
    try:
        connection.pragma("page_size", PAGE_BYTES)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except apsw.NotADBError as error:
        connection.close()
        raise WrongKey("the key does not open this database") from error
    _expect(connection, "cipher", CIPHER, connection.pragma("cipher"))
    _expect(connection, "journal_mode", "wal", connection.pragma("journal_mode", "wal"))
    for pragma, wanted in (
        ("synchronous", 2),  # FULL: the log is synchronised before COMMIT returns
        ("secure_delete", 1),  # what is deleted is overwritten, also in free pages
        ("cache_size", -(cache_bytes // 1_024)),
        ("temp_store", 2),  # memory: no plain text in temporary files
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("wal_autocheckpoint", CHECKPOINT_PAGES),
        ("query_only", int(is_reader)),
    ):
        connection.pragma(pragma, wanted)
        _expect(connection, pragma, wanted, connection.pragma(pragma))
    return connection


def _check_encrypted(path: Path) -> None:
    """Make sure that the file does not begin as a plain SQLite file would."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head or head.startswith(b"SQLite format"):
        raise StorageFailed("the database file is not encrypted")


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable; SQLite does so for its logs, not for the database itself."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Database:
    """One encrypted database file: one writer, several readers, all in this process."""

    def __init__(
        self, path: Path, key: bytes, *, readers: int = 4, cache_bytes: int = 64 << 20, busy_ms: int = 5_000
    ) -> None:
        """Open the file, creating it if there is none.

        Args:
            path: the file; its folder exists and is on a local disk (the log uses shared memory).
            key: 32 raw bytes.
            readers: most snapshots open at once.
            cache_bytes: page cache of the writer; each reader has a quarter of it.
            busy_ms: how long a write waits for other processes' writes, and a read for a free reader.

        Raises:
            WrongKey: The key is not the file's.
            StorageFailed: The disk refuses, or SQLite does not do what is asked of it.
            ValueError: The key is not 32 bytes, or there is no reader.
        """
        if len(key) != KEY_BYTES or readers < 1:
            raise ValueError(f"a key of {KEY_BYTES} bytes and at least one reader are needed")
        self._path = path
        self._key = bytes(key)
        self._cache_bytes = cache_bytes
        self._busy_ms = busy_ms
        self._lock = threading.Lock()
        self._failed: str | None = None
        self._readers: LifoQueue[Connection | None] = LifoQueue()
        for _ in range(readers):
            self._readers.put(None)
        self._reader_count = readers
        with self._guard():
            self._writer = _connect(
                path, self._key, cache_bytes=cache_bytes, busy_ms=busy_ms, is_reader=False
            )
            self._writer.execute(
                "CREATE TABLE IF NOT EXISTS migration (component TEXT NOT NULL, number INTEGER NOT NULL,"
                " PRIMARY KEY (component, number)) WITHOUT ROWID"
            )
            self._writer.pragma("wal_checkpoint", "passive")
        try:
            _check_encrypted(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise StorageFailed("the database file or its folder cannot be synchronised") from error

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn failures of disk or file into StorageFailed, for good, and lock conflicts into StorageBusy."""
        if self._failed is not None:
            raise StorageFailed(self._failed)
        try:
            yield
        except _FATAL as error:
            self._failed = f"SQLite failed: {type(error).__name__} ({getattr(error, 'extendedresult', 0)})"
            raise StorageFailed(self._failed) from error
        except (apsw.BusyError, apsw.LockedError) as error:
            raise StorageBusy("the database is locked by another process") from error

    @contextmanager
    def immediate(self) -> Iterator[Connection]:
        """Run a write transaction: committed when the block ends, rolled back when it raises.

        When this returns, what was written survives the loss of power.

        Raises:
            StorageBusy: Somebody else holds the write lock for too long; nothing was written.
            StorageFailed: The disk refuses; nothing of this transaction may be acknowledged.
        """
        if not self._lock.acquire(timeout=self._busy_ms / 1_000):
            raise StorageBusy("another thread holds the writer")
        try:
            with self._guard():
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    fault_point(BEFORE_COMMIT)
                    self._writer.execute("COMMIT")
                except BaseException:
                    # A full disk rolls back by itself; then there is nothing left to undo.
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
                fault_point(AFTER_COMMIT)
        finally:
            self._lock.release()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Run reads on one unchanging state of the database; the connection refuses to write.

        Raises:
            StorageBusy: All readers are in use.
            StorageFailed: The disk refuses.
        """
        try:
            reader = self._readers.get(timeout=self._busy_ms / 1_000)
        except Empty as error:
            raise StorageBusy("all readers are in use") from error
        try:
            with self._guard():
                if reader is None:
                    reader = _connect(
                        self._path,
                        self._key,
                        cache_bytes=self._cache_bytes // 4,
                        busy_ms=self._busy_ms,
                        is_reader=True,
                    )
                reader.execute("BEGIN")
                try:
                    yield reader
                finally:
                    if reader.in_transaction:
                        reader.execute("ROLLBACK")
        finally:
            self._readers.put(reader)

    def migrate(self, component: str, statements: Sequence[str]) -> int:
        """Bring a component's tables up to date and return how many migrations were applied.

        Args:
            component: who owns the tables.
            statements: migration 1, 2, ... as SQL scripts; the list only ever grows at its end.

        Raises:
            SchemaTooNew: The file has more migrations than the list.
            StorageFailed: The disk refuses.
        """
        with self.immediate() as connection:
            row = connection.execute(
                "SELECT coalesce(max(number), 0) FROM migration WHERE component = ?", (component,)
            ).fetchall()
            present = cast("int", row[0][0])
            if present > len(statements):
                raise SchemaTooNew(
                    f"{component}: the file has schema {present}, this program {len(statements)}"
                )
            for number in range(present + 1, len(statements) + 1):
                connection.execute(statements[number - 1])
                connection.execute("INSERT INTO migration VALUES (?, ?)", (component, number))
            return len(statements) - present

    def checkpoint(self) -> None:
        """Copy the log back into the file and cut it, as far as readers allow.

        Raises:
            StorageFailed: The disk refuses.
        """
        with self._lock, self._guard():
            self._writer.pragma("wal_checkpoint", "truncate")

    def close(self) -> None:
        """Close all connections; snapshots still open end first."""
        for _ in range(self._reader_count):
            reader = self._readers.get()
            if reader is not None:
                reader.close()
        with self._lock:
            self._writer.close()
