"""The search index of one site, seen through one database connection.

Owns the façade over writing and searching. A connection of `careledger.storage.sqlite.Database.immediate` can do
both; one of `snapshot` can search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast

from careledger.domains.records.service.index.conditions import Conditions
from careledger.domains.records.service.index.page_links import PageLinks
from careledger.domains.records.service.index.results import Entry, Page, ResourceState, SearchPage
from careledger.domains.records.service.index.schema import (
    DELETED,
    EVERY_LABEL,
    ROW_TABLES,
    STUB,
    type_numbers,
)
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.index.searcher import (
    BUDGET_MS,
    Search,
    count_by_type,
    read_transaction,
    time_limit,
)
from careledger.domains.records.service.index.statement import among, sql
from careledger.domains.records.service.index.writer import (
    RETENTION_MS,
    IndexedResource,
    IndexWriter,
    Removal,
)
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.query import Query
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.storage.sqlite import Connection

_STATE: Final = "version, updated_ms, labels, state, row, entity"
_MATCHES_WANTED: Final = 2


class Index:
    """Writes to and searches the index."""

    def __init__(
        self,
        connection: Connection,
        link_key: bytes,
        *,
        own_base: str = "",
        extractor: Extractor | None = None,
        retention_ms: int = RETENTION_MS,
    ) -> None:
        """Build on a connection whose database was migrated (`schema.COMPONENT`, `schema.MIGRATIONS`).

        Args:
            connection: where all statements run.
            link_key: 32 secret bytes that seal page links, the same for all processes of the site.
            own_base: this server's base URL with its final slash; references below it are local.
            extractor: shared extractor, to compile each resource type once per process.
            retention_ms: how long a page link lasts at least.
        """
        self._connection = connection
        self._links = PageLinks(link_key)
        self._own_base = own_base
        self._writer = IndexWriter(connection, extractor or Extractor(own_base), retention_ms=retention_ms)

    def put_many(self, items: Sequence[IndexedResource]) -> None:
        """Index new versions inside the caller's open transaction; see `IndexWriter.put_many`."""
        self._writer.put_many(items)

    def remove_many(self, removals: Sequence[Removal]) -> None:
        """Mark resources as deleted inside the caller's open transaction; see `IndexWriter.remove_many`."""
        self._writer.remove_many(removals)

    def erase_many(self, keys: Iterable[tuple[str, str]]) -> int:
        """Take away all trace of resources inside the caller's open transaction; see `IndexWriter.erase_many`."""
        return self._writer.erase_many(keys)

    def purge(self, before_ms: int, *, limit: int) -> int:
        """Take away versions that ended before an instant; see `IndexWriter.purge`."""
        return self._writer.purge(before_ms, limit=limit)

    def reset(self) -> None:
        """Empty the index inside the caller's open transaction, to be built anew."""
        for table in (
            *ROW_TABLES,
            "idx_resource",
            "idx_token",
            "idx_text",
            "idx_several",
            "idx_writer",
            "idx_counter",
        ):
            self._connection.execute(f"DELETE FROM {table}")

    def search(self, query: Query, scope: Scope, page: Page, *, budget_ms: int = BUDGET_MS) -> SearchPage:
        """Return one page of what a query finds and a scope allows.

        Raises:
            SearchRejected: It takes longer than its budget, or spans too much; `Issue.TOO_COSTLY`.
            PageLinkRefused: The page link is damaged, forged, or of another search, scope or consent version.
            PageLinkExpired: The page link is too old; the search must be begun anew.
        """
        with read_transaction(self._connection), time_limit(self._connection, budget_ms):
            return Search(self._connection, self._links, query, scope, page).run()

    def match(self, resource_type: str, query_string: str, scope: Scope, *, now_ms: int) -> tuple[Entry, ...]:
        """Return at most two resources that a conditional reference or interaction may mean.

        Args:
            resource_type: type of the resource meant.
            query_string: search criteria, percent-encoded; unknown parameters are refused.
            scope: what the requester may see; what may not be seen does not match.
            now_ms: current time.

        Raises:
            SearchRejected: The criteria are malformed.
        """
        query = parse_search(
            resource_type, parse_query_string(query_string), now_ms=now_ms, own_base=self._own_base
        )
        return self.search(query, scope, Page(count=_MATCHES_WANTED)).matches

    def lookup(self, resource_type: str, resource_id: str) -> ResourceState | None:
        """Return what is known of a resource, deleted ones included, or None.

        For the site's own use: it asks no scope. `find_visible` does.
        """
        rows = self._connection.execute(
            f"SELECT {_STATE} FROM idx_resource WHERE type = ? AND id = ? AND ended = 0 AND state <> {STUB}",
            (type_numbers()[resource_type], resource_id),
        ).fetchall()
        return _to_state(resource_type, resource_id, rows[0]) if rows else None

    def find_visible(
        self, resource_type: str, ids: Sequence[str], scope: Scope, *, with_deleted: bool = False
    ) -> dict[str, ResourceState]:
        """Return those of the resources that the scope allows, by id.

        Args:
            resource_type: their type.
            ids: their ids; unknown ones are left out.
            scope: what the requester may see.
            with_deleted: whether to return deleted resources too, of which the scope would allow to know.
        """
        if not ids:
            return {}
        with read_transaction(self._connection):
            visibility = Conditions(self._connection, scope, None).visibility
            states = f"r.state <> {STUB}" if with_deleted else f"r.state NOT IN ({STUB}, {DELETED})"
            columns = ", ".join(f"r.{name}" for name in _STATE.split(", "))
            query = sql(
                f"SELECT r.id, {columns} FROM idx_resource r WHERE r.type = ? AND {{}} AND r.ended = 0 AND {states}"
                " AND {}",
                type_numbers()[resource_type],
                among("r.id", tuple(ids)),
                visibility.permits_row("r", resource_type),
            )
            rows = self._connection.execute(query.text, query.bindings).fetchall()
        return {cast("str", row[0]): _to_state(resource_type, cast("str", row[0]), row[1:]) for row in rows}

    def count_by_type(self, scope: Scope) -> dict[str, int]:
        """Return how many resources of each type the scope allows."""
        with read_transaction(self._connection):
            return count_by_type(self._connection, scope)


def _to_state(resource_type: str, resource_id: str, row: Sequence[object]) -> ResourceState:
    """Return the state in a row with the columns of `_STATE`."""
    version, updated_ms, labels, state, number, entity = cast(
        "tuple[int, int, int, int, int, int]", tuple(row)
    )
    return ResourceState(
        resource_type=resource_type,
        resource_id=resource_id,
        version=version,
        last_updated_ms=updated_ms,
        labels=labels & ~EVERY_LABEL,
        is_deleted=state == DELETED,
        row=number,
        entity=entity,
    )
