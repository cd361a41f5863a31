"""What the write path is asked for, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from careledger.domains.records.service.package import Method
from careledger.domains.records.service.streams import SubjectKeys
from careledger.standards.fhir.json_types import JsonObject
from careledger.storage.sqlite import Connection


@dataclass(slots=True, kw_only=True)
class Change:
    """One resource to be created, updated or deleted.

    The value is parsed and valid, and its references are final; ids are given by the caller (random, never
    derived from a person). The write path adds version and time.
    """

    method: Method
    resource_type: str
    resource_id: str
    value: JsonObject | None = None
    """The resource; None for a deletion."""
    submitted: bytes = b""
    """The exact bytes as they came; empty for a deletion."""
    if_match: int | None = None
    """Version that the current one must be."""
    enrolment: SubjectKeys | None = None
    """For a new patient with an agent elsewhere: what that agent gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One version as it was written."""

    resource_type: str
    resource_id: str
    version: int
    updated_ms: int
    method: Method
    served: bytes
    """FHIR JSON as it is served; empty for a deletion."""


@dataclass(slots=True)
class Ticket:
    """Waits for the ledger on behalf of one request."""

    left: int = 0
    """Entries that are not yet committed."""
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """Answer to a write: durable at this site in any case."""

    written: tuple[Written, ...]
    is_committed: bool
    """Whether every entry is also on the ledger; else the answer says `pending`."""
    ticket: Ticket
    """Goes on waiting where the caller wants to."""


Condition = Callable[[Connection], Sequence[Change]]
"""Decides inside the write transaction what is to be written, such as for a conditional create."""


@dataclass(slots=True)
class WriteRequest:
    """One request in the queue: its changes are written all or none."""

    changes: Sequence[Change]
    condition: Condition | None
    answer: asyncio.Future[tuple[tuple[Written, ...], Ticket]]
    also: Callable[[Connection, Sequence[Written]], None] | None = None
    """Further rows of the same transaction, such as the audit entry of the write."""
