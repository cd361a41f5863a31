"""Documents: events with what surrounds them.

Owns the result of reading a document: its kind, header, master data, and for every event either the event or
what is wrong with it, so that a caller may store the good ones (`proceed`) or none (`rollback`).
"""

from __future__ import annotations

import enum

import msgspec

from careledger.standards.epcis.errors import Problem
from careledger.standards.epcis.model import Event, Field, MasterDataVocabulary
from careledger.standards.epcis.timestamps import Instant


class DocumentKind(enum.StrEnum):
    """Kinds of EPCIS documents."""

    EPCIS = "EPCISDocument"
    QUERY = "EPCISQueryDocument"
    MASTER_DATA = "EPCISMasterDataDocument"

    EVENT = "Event"
    """A single event on its own, with its context (`POST /events`)."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent what to whom; the Standard Business Document Header in XML, three members in JSON."""

    sender: str = ""
    receiver: str = ""
    instance_identifier: str = ""

    content: tuple[Field, ...] = ()
    """The whole Standard Business Document Header, or other header content, as captured."""


class EventResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event of a document."""

    number: int
    """Position in the document, counted from 0."""

    event: Event | None
    """None when there are errors."""

    problems: tuple[Problem, ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One document, read."""

    kind: DocumentKind
    schema_version: str
    creation_date: Instant | None = None
    id: str = ""
    header: Header = Header()
    masterdata: tuple[MasterDataVocabulary, ...] = ()
    results: tuple[EventResult, ...] = ()

    namespaces: dict[str, str] = {}
    """Prefixes declared, for writing the document again."""

    query_name: str = ""
    subscription_id: str = ""

    extensions: tuple[Field, ...] = ()
    """Content of other namespaces at document level."""

    problems: tuple[Problem, ...] = ()
    """Remarks on the document itself; errors raise instead."""

    problems_omitted: int = 0
    """Problems beyond the limit, counted but not kept."""

    @property
    def events(self) -> tuple[Event, ...]:
        """The events without errors, in order."""
        return tuple(result.event for result in self.results if result.event is not None)

    @property
    def failures(self) -> tuple[EventResult, ...]:
        """The events with errors, in order."""
        return tuple(result for result in self.results if result.event is None)

    @property
    def is_valid(self) -> bool:
        """Whether every event is without errors."""
        return all(result.event is not None for result in self.results)
