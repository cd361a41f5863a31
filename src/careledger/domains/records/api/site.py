"""What the handlers of one site work with, handed in by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from careledger.domains.records.api.access import AccessPolicy
from careledger.domains.records.api.ports import (
    AccessTrail,
    AlsoWrite,
    ProofSource,
    SharedHistory,
)
from careledger.domains.records.api.routing import RouteTable
from careledger.domains.records.api.searches import SearchReader
from careledger.domains.records.service.changes import Change, Condition, WriteResult
from careledger.domains.records.service.store import RecordStore
from careledger.standards.fhir.json_reader import Limits
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.extract import Extractor
from careledger.web.rates import RateLimiter
from careledger.web.tokens import TokenVerifier

T = TypeVar("T")

HEAVY_BYTES: Final = 65_536
"""Documents from this size on are parsed and checked beside the event loop."""
LARGE_BYTES: Final = 1 << 20
LARGE_AT_ONCE: Final = 8
"""Requests with a body of `LARGE_BYTES` or more that are held in memory at the same time."""


class Writer(Protocol):
    """The write path, as `service.writer.RecordWriter` has it."""

    async def write(
        self,
        changes: Sequence[Change] = (),
        *,
        condition: Condition | None = None,
        also: AlsoWrite | None = None,
        wait_ms: int | None = None,
    ) -> WriteResult:
        """Write changes all or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """How the façade runs."""

    body_bytes_max: int = 16 * 1024 * 1024
    page_count: int = 50
    """Entries of a page when the request does not say."""
    answer_floor_ms: int = 5
    """Least time until an answer that something does not exist, so that its timing tells nothing."""
    document_limits: Limits = field(default_factory=Limits)


@dataclass(slots=True, kw_only=True)
class FhirSite:
    """One site, as the handlers see it."""

    name: str
    """Short name of the organisation."""
    title: str
    """How the site calls itself."""
    base_url: str
    """FHIR base URL without a final slash."""
    writer: Writer
    store: RecordStore
    searches: SearchReader
    extractor: Extractor
    policy: AccessPolicy
    verifier: TokenVerifier
    trail: AccessTrail
    limiter: RateLimiter
    clock_ms: Callable[[], int]
    software_version: str
    table: RouteTable
    """Routes and operations; the same for all sites."""
    proofs: ProofSource | None = None
    shared_history: SharedHistory | None = None
    smart_configuration: JsonObject | None = None
    """What `.well-known/smart-configuration` says; None where there is no token endpoint."""
    settings: ApiSettings = field(default_factory=ApiSettings)
    statement: bytes = b""
    """The CapabilityStatement, once it was asked for."""
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))
    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="fhir-documents")
    )
    """Parses and checks large documents, one at a time."""

    async def beside(self, act: Callable[[], T], *, size_bytes: int) -> T:
        """Run work on a document: at once if it is small, beside the event loop if it is large."""
        if size_bytes < HEAVY_BYTES:
            return act()
        return await asyncio.get_running_loop().run_in_executor(self.thread, act)

    def close(self) -> None:
        """End the threads."""
        self.thread.shutdown(wait=True)
        self.searches.close()
