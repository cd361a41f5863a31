"""What a search asks for beyond the query, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

INCLUDES_MAX = 1_000
"""Most resources included with one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of the results is wanted."""

    count: int = 50
    """Entries, matches only; 0 asks for the total alone."""
    link: str | None = None
    """`next_link` or `previous_link` of another page of the same search; None for the first."""
    with_total: bool = False
    """Whether to count all matches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a resource."""

    resource_type: str
    resource_id: str
    version: int
    """The version found; on a later page it may have been replaced since the first."""
    last_updated_ms: int
    row: int
    """Number of the version within the index."""
    entity: int
    """Number of the resource within the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """One page of results, all of which the scope allows."""

    matches: tuple[Entry, ...]
    includes: tuple[Entry, ...] = ()
    """Resources included with these matches, each once and none that is a match of this page."""
    total: int | None = None
    """Number of all matches, when asked for."""
    next_link: str | None = None
    previous_link: str | None = None
    is_cut: bool = False
    """Whether more resources would have been included than `INCLUDES_MAX`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """What the index knows of a resource."""

    resource_type: str
    resource_id: str
    version: int
    last_updated_ms: int
    labels: int
    is_deleted: bool
    row: int
    entity: int
