"""The ordered store on LMDB: durable tables of the ledger process, readable from other processes.

Owns one LMDB environment per store. A batch is one LMDB transaction, synced (data and meta page) before
`write` returns; any refusal of the disk is `StorageFailed` and the store then refuses all further writes,
since what the kernel kept of the failed one is unknown. One process writes, guarded by a lock on
`writer.lock`; any number read.

The map is virtual address space, not memory or disk: it starts large and doubles when full, the batch being
applied again. Growing it invalidates the snapshots open in this process, which then raise `SnapshotLost`.

Reader slots belong to transactions rather than threads (py-lmdb always sets MDB_NOTLS), so asyncio
processes may hold several snapshots in one thread; slots of killed processes are reclaimed by the writer.
An environment must not be opened twice in one process (LMDB's own rule, which py-lmdb enforces) nor used
across a fork.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import lmdb

from careledger.state.store import KEY_BYTES_MAX, LEDGER_TABLES, SnapshotLost, StorageFailed, WriteBatch
from careledger.storage.faults import declare, fault_point

MAP_BYTES: Final = 64 << 30
"""Address space mapped at first, 64 GiB; nothing of it is allocated before it is written."""
READERS_MAX: Final = 1024
"""Snapshots open at the same time, in all processes together."""
_READER_CHECK_WRITES: Final = 64
"""Batches between two looks for reader slots of dead processes, whose old snapshots would hold pages for
ever."""

BEFORE_WRITE: Final = declare("lmdb.before_write")
BEFORE_COMMIT: Final = declare("lmdb.before_commit")
AFTER_COMMIT: Final = declare("lmdb.after_commit")

_Database = lmdb._Database  # noqa: SLF001 - py-lmdb names the type of a table's handle only there


class LmdbReader:
    """All tables at one LMDB read transaction."""

    __slots__ = ("_databases", "_get", "_transaction")

    def __init__(self, transaction: lmdb.Transaction[bytes], databases: dict[str, _Database]) -> None:
        self._transaction = transaction
        self._get = transaction.get
        self._databases = databases

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value under the key, or None."""
        try:
            return self._get(key, None, self._databases[table])
        except lmdb.BadValsizeError:
            return None  # no key of that length can have been written
        except lmdb.Error as error:
            raise _read_failure(error) from error

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are present; fastest when the keys come in order."""
        try:
            with self._transaction.cursor(self._databases[table]) as cursor:
                return dict(cursor.getmulti(keys))
        except lmdb.Error as error:
            raise _read_failure(error) from error

    def scan(
        self, table: str, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return pairs with start <= key < end in key order or its reverse; without end, to the last key."""
        try:
            with self._transaction.cursor(self._databases[table]) as cursor:
                if reverse:
                    yield from _descending(cursor, start, end)
                else:
                    yield from _ascending(cursor, start, end)
        except lmdb.Error as error:
            raise _read_failure(error) from error

    def count(self, table: str) -> int:
        """Return the number of keys in the table."""
        try:
            return self._transaction.stat(self._databases[table])["entries"]
        except lmdb.Error as error:
            raise _read_failure(error) from error


def _ascending(cursor: lmdb.Cursor[bytes], start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if not (cursor.set_range(start) if start else cursor.first()):
        return
    pairs = cursor.iternext()
    if end is None:
        yield from pairs
        return
    for pair in pairs:
        if pair[0] >= end:
            return
        yield pair


def _descending(cursor: lmdb.Cursor[bytes], start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    # The first key at or behind the end is one too far; without such a key the last one is where to begin.
    if end is not None and cursor.set_range(end):
        if not cursor.prev():
            return
    elif not cursor.last():
        return
    for pair in cursor.iterprev():
        if pair[0] < start:
            return
        yield pair


def _read_failure(error: lmdb.Error) -> Exception:
    """Tell a snapshot that ended, or was lost when the map grew, from a store that cannot be read."""
    if type(error) is lmdb.Error or isinstance(error, lmdb.BadTxnError):
        return SnapshotLost(f"the snapshot is no longer valid: {error}")
    return StorageFailed(f"the store cannot be read: {error}")


class LmdbTables:
    """A store on LMDB, opened with `open` or, in a process that only reads, with `open_read_only`."""

    def __init__(
        self,
        environment: lmdb.Environment,
        databases: dict[str, _Database],
        *,
        writer_lock: int | None,
    ) -> None:
        self._environment = environment
        self._databases = databases
        self._writer_lock = writer_lock
        self._writes_to_reader_check = _READER_CHECK_WRITES
        self._failure: str | None = None

    @classmethod
    def open(cls, path: Path, *, tables: Sequence[str] = LEDGER_TABLES, map_bytes: int = MAP_BYTES) -> Self:
        """Open the store for writing, creating the directory and the tables where missing.

        Raises:
            StorageFailed: It cannot be created or opened, or another process has it open for writing.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            writer_lock = _take_writer_lock(path / "writer.lock")
        except OSError as error:
            raise StorageFailed(f"the store at {path} cannot be opened: {error}") from error
        try:
            environment = _open_environment(path, len(tables), map_bytes, readonly=False)
            environment.reader_check()
            databases = {name: environment.open_db(name.encode("ascii")) for name in tables}
            # LMDB syncs its file but not the directory entry that names it.
            _sync_directory(path)
            _sync_directory(path.parent)
        except (lmdb.Error, OSError) as error:
            os.close(writer_lock)
            raise StorageFailed(f"the store at {path} cannot be opened: {error}") from error
        return cls(environment, databases, writer_lock=writer_lock)

    @classmethod
    def open_read_only(
        cls, path: Path, *, tables: Sequence[str] = LEDGER_TABLES, map_bytes: int = MAP_BYTES
    ) -> Self:
        """Open an existing store for reading, beside the process that writes it.

        Raises:
            StorageFailed: There is no store, or a table is missing.
        """
        try:
            environment = _open_environment(path, len(tables), map_bytes, readonly=True)
            databases = {name: environment.open_db(name.encode("ascii"), create=False) for name in tables}
        except lmdb.Error as error:
            raise StorageFailed(f"the store at {path} cannot be read: {error}") from error
        return cls(environment, databases, writer_lock=None)

    @contextmanager
    def snapshot(self) -> Iterator[LmdbReader]:
        """Open a read snapshot: it sees every batch written before and none after.

        Keep it short and never hold it across an `await`: pages it can see are not reused.

        Raises:
            StorageFailed: The store is closed, or all reader slots are taken.
        """
        transaction = self._begin_read()
        try:
            yield LmdbReader(transaction, self._databases)
        finally:
            transaction.abort()

    def write(self, batch: WriteBatch) -> None:
        """Apply the batch in one atomic transaction that is durable when this returns.

        Raises:
            StorageFailed: The batch was not made durable, the store is read-only, or an earlier write failed.
            ValueError: Unknown table, a key that is empty or longer than `KEY_BYTES_MAX`, or an append that
                is out of order; nothing was written.
        """
        if self._failure is not None:
            raise StorageFailed(f"the store refuses writes since an earlier failure: {self._failure}")
        if self._writer_lock is None:
            raise StorageFailed("the store is open for reading only, or closed")
        self._check(batch)
        self._writes_to_reader_check -= 1
        try:
            if not self._writes_to_reader_check:
                self._writes_to_reader_check = _READER_CHECK_WRITES
                self._environment.reader_check()
            while not self._try_apply(batch):
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        except lmdb.Error as error:
            self._failure = str(error)
            raise StorageFailed(f"the batch was not made durable: {error}") from error

    def copy_to(self, directory: Path) -> None:
        """Write a compact, consistent copy of the store into an empty directory, while it is in use.

        Raises:
            StorageFailed: The copy could not be written.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._environment.copy(str(directory), compact=True)
            _sync_directory(directory)
        except (lmdb.Error, OSError) as error:
            raise StorageFailed(f"the store could not be copied: {error}") from error

    def close(self) -> None:
        """Close the store and give up the writer's lock; snapshots still open are lost."""
        self._environment.close()
        if self._writer_lock is not None:
            os.close(self._writer_lock)
            self._writer_lock = None

    def _begin_read(self) -> lmdb.Transaction[bytes]:
        try:
            return self._environment.begin()
        except lmdb.MapResizedError:
            # The writer's map grew beyond this process's: adopt its size.
            self._environment.set_mapsize(0)
        except lmdb.ReadersFullError:
            self._environment.reader_check()
        except lmdb.Error as error:
            raise StorageFailed(f"the store cannot be read: {error}") from error
        try:
            return self._environment.begin()
        except lmdb.Error as error:
            raise StorageFailed(f"the store cannot be read: {error}") from error

    def _check(self, batch: WriteBatch) -> None:
        for name, keys in (*batch.changes.items(), *_appended_keys(batch)):
            if name not in self._databases:
                raise ValueError(f"the store has no table {name!r}")
            if keys and not (min(map(len, keys)) > 0 and max(map(len, keys)) <= KEY_BYTES_MAX):
                raise ValueError(f"a key of table {name!r} does not have 1 to {KEY_BYTES_MAX} bytes")

    def _try_apply(self, batch: WriteBatch) -> bool:
        """Apply and commit the batch; false, with nothing written, when the map is full."""
        fault_point(BEFORE_WRITE)
        transaction = self._environment.begin(write=True)
        try:
            for name, changes in batch.changes.items():
                _apply(transaction, self._databases[name], changes)
            for name, pairs in batch.appends.items():
                _append(transaction, self._databases[name], pairs)
            fault_point(BEFORE_COMMIT)
            transaction.commit()
        except lmdb.MapFullError:
            transaction.abort()
            return False
        except BaseException:
            transaction.abort()
            raise
        fault_point(AFTER_COMMIT)
        return True


def _appended_keys(batch: WriteBatch) -> Iterator[tuple[str, list[bytes]]]:
    return ((name, [key for key, _ in pairs]) for name, pairs in batch.appends.items())


def _apply(
    transaction: lmdb.Transaction[bytes], database: _Database, changes: dict[bytes, bytes | None]
) -> None:
    puts: list[tuple[bytes, bytes]] = []
    for key in sorted(changes):
        value = changes[key]
        if value is None:
            transaction.delete(key, db=database)
        else:
            puts.append((key, value))
    with transaction.cursor(database) as cursor:
        cursor.putmulti(puts)


def _append(
    transaction: lmdb.Transaction[bytes], database: _Database, pairs: list[tuple[bytes, bytes]]
) -> None:
    with transaction.cursor(database) as cursor:
        # LMDB leaves out, without an error, what does not lie behind the last key.
        _, added = cursor.putmulti(pairs, append=True)
    if added != len(pairs):
        raise ValueError("an appended key must lie behind every key of its table")


def _open_environment(path: Path, tables: int, map_bytes: int, *, readonly: bool) -> lmdb.Environment:
    return lmdb.open(
        str(path),
        map_size=map_bytes,
        readonly=readonly,
        create=not readonly,
        mode=0o600,
        sync=True,
        metasync=True,
        max_dbs=tables,
        max_readers=READERS_MAX,
        max_spare_txns=1,
    )


def _take_writer_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OSError(error.errno, "another process has it open for writing") from error
    return descriptor


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
