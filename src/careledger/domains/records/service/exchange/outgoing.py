"""Messages that must reach another organisation, however long it is away: notices, and news of grants.

A message is durable in the same transaction as what it is about, and is sent at once; if the other side cannot be
reached, it is sent again, less and less often. What the other side refuses for good is dropped and logged by
its code. Messages can arrive twice, and must do no harm then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected, Unavailable
from careledger.storage.sqlite import Connection

RETRY_MS: Final = (1_000, 5_000, 30_000, 300_000, 3_600_000)
PAGE: Final = 64

_LOG = logging.getLogger(__name__)

Deliver = Callable[[Member, str, bytes], Awaitable[object]]
"""Sends a body to a path of a member, or hands it over at this very site."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: int
    recipient: str
    path: str
    body: bytes
    attempts: int


class OutgoingQueue:
    """Sends one site's messages."""

    def __init__(
        self, site: SiteContext, writer: RecordWriter, directory: Directory, deliver: Deliver
    ) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory
        self._deliver = deliver
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send what is waiting."""
        self._wake.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is waiting goes out at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def insert(self, connection: Connection, recipient: str, path: str, body: bytes) -> None:
        """Queue a message inside the caller's transaction; call `wake` once that is committed."""
        connection.execute(
            "INSERT INTO outgoing (recipient, path, body, next_ms, attempts) VALUES (?, ?, ?, ?, 0)",
            (recipient, path, body, self._site.clock_ms()),
        )

    def wake(self) -> None:
        """Send what was queued just now."""
        self._wake.set()

    async def put(self, recipient: str, path: str, body: bytes) -> None:
        """Queue a message; durable on return."""
        await self._writer.in_transaction(lambda connection: self.insert(connection, recipient, path, body))
        self.wake()

    @property
    def waiting(self) -> int:
        """How many messages have not arrived yet."""
        with self._site.database.snapshot() as connection:
            return int(fetch_all(connection, "SELECT count(*) FROM outgoing")[0][0])

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            await self._send_due()
            try:
                await asyncio.wait_for(self._wake.wait(), RETRY_MS[0] / 1_000)
            except TimeoutError:
                continue

    async def _send_due(self) -> None:
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT row, recipient, path, body, attempts FROM outgoing WHERE next_ms <= ? "
                "ORDER BY row LIMIT ?",
                (self._site.clock_ms(), PAGE),
            )
        for row in rows:
            await self._send(_Waiting(*row))

    async def _send(self, message: _Waiting) -> None:
        member = self._directory.by_slug(message.recipient)
        try:
            if member is None:
                await self._postpone(message)
                return
            await self._deliver(member, message.path, message.body)
        except Unavailable:
            await self._postpone(message)
            return
        except Rejected as refusal:
            _LOG.warning("message refused for good", extra={"code": refusal.code.name, "path": message.path})
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "DELETE FROM outgoing WHERE row = ?", (message.row,)
            ).fetchall()
        )

    async def _postpone(self, message: _Waiting) -> None:
        pause_ms = RETRY_MS[min(message.attempts, len(RETRY_MS) - 1)]
        next_ms = self._site.clock_ms() + pause_ms
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "UPDATE outgoing SET next_ms = ?, attempts = attempts + 1 WHERE row = ?",
                (next_ms, message.row),
            ).fetchall()
        )
