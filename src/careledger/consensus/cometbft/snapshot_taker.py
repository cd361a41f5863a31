"""Taking snapshots beside the running node: a process of its own with low priority.

A snapshot shows one height, so the process must have its view of the store open before the next block is
written; the commit of a height at which one is due waits for that, a moment, and for nothing else. The process
reads the store as any gateway does. If it dies, the next due height starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from careledger.consensus.cometbft.snapshot_files import SnapshotShelf
from careledger.ledger.meta import POSITION_KEY, TABLES, decode_position
from careledger.state.store import META, Reader
from careledger.storage.lmdb_tables import LmdbTables

OPEN_WAIT_S = 2.0
_NICENESS = 10

_log = structlog.get_logger(__name__)


def _height_of(reader: Reader) -> int:
    raw = reader.get(META, POSITION_KEY)
    return decode_position(raw).height if raw else -1


def serve_snapshots(tables_path: str, folder: str, connection: Connection) -> None:
    """Run the process: a message is a height; answers are `open` or `late`, then `done` or an error's name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    shelf = SnapshotShelf(Path(folder))
    tables = LmdbTables.open_read_only(Path(tables_path), tables=TABLES)
    with contextlib.suppress(EOFError, BrokenPipeError):
        connection.send("ready")
        while True:
            height = connection.recv()
            with tables.snapshot() as reader:
                if _height_of(reader) != height:
                    connection.send("late")
                    continue
                connection.send("open")
                try:
                    shelf.write(reader)
                except OSError as error:
                    connection.send(type(error).__name__)
                else:
                    connection.send("done")
    tables.close()


class SnapshotTaker:
    """Has a snapshot taken at every height that is a multiple of the interval."""

    def __init__(self, tables_path: Path, folder: Path, interval: int) -> None:
        """Prepare; nothing runs before the first due height.

        Args:
            tables_path: folder of the LMDB environment.
            folder: where snapshots are kept.
            interval: heights between snapshots, the same on all nodes so that they offer the same ones;
                0 takes none.
        """
        self._tables_path = tables_path
        self._folder = folder
        self._interval = interval
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._height = 0
        self.is_busy = False
        """Whether one is being taken."""

    async def prepare(self) -> None:
        """Start the process ahead of the first due height, where any is due at all."""
        if self._interval:
            await self._start()

    async def after_commit(self, height: int) -> None:
        """Begin a snapshot if one is due at this height; returns once its view is open."""
        if not self._interval or height % self._interval or self.is_busy:
            return
        if self._process is None or not self._process.is_alive():
            await self._start()
        connection = self._connection
        if connection is None:
            return
        try:
            connection.send(height)
            self.is_busy, self._height = True, height
            async with asyncio.timeout(OPEN_WAIT_S):
                said = await self._heard.get()
        except (TimeoutError, OSError) as error:
            _log.warning("snapshot not taken", height=height, reason=type(error).__name__)
            await self.close()
            return
        if said != "open":
            self.is_busy = False
            _log.warning("snapshot not taken", height=height, reason=said)

    async def close(self) -> None:
        """End the process; a snapshot under way is dropped."""
        connection, process = self._connection, self._process
        self._connection = self._process = None
        self.is_busy = False
        if connection is not None:
            asyncio.get_running_loop().remove_reader(connection.fileno())
            connection.close()
        if process is not None:
            process.terminate()
            await asyncio.to_thread(process.join, 5)

    async def _start(self) -> None:
        await self.close()
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve_snapshots,
            args=(str(self._tables_path), str(self._folder), theirs),
            daemon=True,
            name="careledger-snapshots",
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        self._heard = asyncio.Queue()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)

    def _hear(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            while connection.poll():
                said = connection.recv()
                if said == "ready":
                    continue
                if said in {"open", "late"}:
                    self._heard.put_nowait(said)
                else:
                    self.is_busy = False
                    _log.info("snapshot", height=self._height, outcome=said)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(connection.fileno())
            self.is_busy = False
            self._heard.put_nowait("the process is gone")
