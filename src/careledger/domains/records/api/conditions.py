"""Conditional interactions: what a search in a request's header or address means, decided inside the transaction.

The criteria are understood before the write begins, so that a malformed one costs nothing; what they find is asked on
the writer's own connection, after everything that was written before. So of two conditional creates at once exactly
one creates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.errors import CONDITION_MISSING
from careledger.domains.records.api.ports import AlsoWrite
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.changes import Change, WriteResult
from careledger.domains.records.service.errors import CONDITION_AMBIGUOUS, QUEUE_FULL
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Entry, Page
from careledger.domains.records.service.index.scope import Scope
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.search.query import Query
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.storage.sqlite import Connection

_TWO: Final = Page(count=2)
Decision = Callable[[Connection], Sequence[Change]]


def read_criteria(site: FhirSite, resource_type: str, text: str) -> Query:
    """Return the criteria of a conditional interaction.

    Raises:
        SearchRejected: They are malformed or not offered; unknown parameters are always refused here.
        Rejected: CONDITION_MISSING, they say nothing, which would mean every resource of the type.
    """
    text = text.removeprefix(f"{resource_type}?").removeprefix("?")
    query = parse_search(
        resource_type,
        parse_query_string(text),
        now_ms=site.clock_ms(),
        own_base=site.searches.own_base,
    )
    if not query.branches[0].conditions:
        raise Rejected(CONDITION_MISSING)
    return query


def find_one(index: Index, query: Query, scope: Scope) -> Entry | None:
    """Return the one resource that criteria mean, or None.

    Raises:
        Rejected: CONDITION_AMBIGUOUS.
    """
    matches = index.search(query, scope, _TWO).matches
    if len(matches) > 1:
        raise Rejected(CONDITION_AMBIGUOUS)
    return matches[0] if matches else None


def is_allowed(index: Index, access: Access, letter: str, resource_type: str, resource_id: str) -> bool:
    """Whether a resource that a search found may be changed as well."""
    scope = access.require(letter, resource_type)
    return bool(index.find_visible(resource_type, (resource_id,), scope, with_deleted=True))


class _Guard:
    """Keeps a failure inside a decision from being taken for a failure of the storage."""

    def __init__(self, decide: Decision) -> None:
        self._decide = decide
        self.fault: Exception | None = None

    def __call__(self, connection: Connection) -> Sequence[Change]:
        """Decide."""
        try:
            return self._decide(connection)
        except Rejected:
            raise
        except Exception as fault:
            self.fault = fault
            raise Rejected(QUEUE_FULL) from fault


async def write_decided(site: FhirSite, decide: Decision, also: AlsoWrite) -> WriteResult:
    """Write what is decided inside the transaction.

    The write path takes any exception but a refusal for its own end. A fault in a decision is this request's alone:
    the request is refused inside, and the fault itself is raised here.

    Raises:
        Rejected: The decision, or what was decided, is refused; nothing was written.
        Exception: Whatever else the decision raised.
    """
    guard = _Guard(decide)
    try:
        return await site.writer.write(condition=guard, also=also)
    except Rejected:
        if guard.fault is not None:
            raise guard.fault from None
        raise
