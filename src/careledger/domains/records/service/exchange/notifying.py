"""Telling a patient's agent what happened at a custodian: durable first, and sent at once."""

from __future__ import annotations

import os
from typing import Final

from careledger.domains.records.service.consent.custody import CellSubject
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.messages import VERSION, Notice
from careledger.domains.records.service.exchange.outgoing import OutgoingQueue
from careledger.primitives.codec import encode
from careledger.storage.sqlite import Connection

NOTICES_PATH: Final = "/notices"


class AgentNotifier:
    """Sends notices of one custodian."""

    def __init__(self, site: SiteContext, outgoing: OutgoingQueue) -> None:
        self._site = site
        self._outgoing = outgoing

    async def notify(self, subject: CellSubject, kind: str, text: str) -> None:
        """Queue a notice; durable on return."""
        await self._outgoing.put(subject.agent, NOTICES_PATH, self._build(subject, kind, text))

    def insert(self, connection: Connection, subject: CellSubject, kind: str, text: str) -> None:
        """Queue a notice inside the caller's transaction; `wake` sends it once that is committed."""
        self._outgoing.insert(connection, subject.agent, NOTICES_PATH, self._build(subject, kind, text))

    def wake(self) -> None:
        """Send what was queued just now."""
        self._outgoing.wake()

    def _build(self, subject: CellSubject, kind: str, text: str) -> bytes:
        return encode(Notice(VERSION, subject.cell, kind, self._site.clock_ms(), text, os.urandom(16)))
