"""Searching: from a query and a scope to one page of results.

Owns the statements of a search. All of one search reads one snapshot of the database, and every page after the
first reads the rows as they were when the first was made, so that pages neither repeat nor lose entries while
others write. The scope is part of every statement, before LIMIT and before counting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

import apsw

from careledger.domains.records.service.index.conditions import Conditions
from careledger.domains.records.service.index.drivers import MANY, Driver, DriverFinder
from careledger.domains.records.service.index.inclusion import ENTRY_COLUMNS, Inclusion, to_entry
from careledger.domains.records.service.index.page_links import (
    PageLinkExpired,
    PageLinkRefused,
    PageLinks,
    Position,
)
from careledger.domains.records.service.index.results import Page, SearchPage
from careledger.domains.records.service.index.schema import type_names, type_numbers
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.index.sorting import LAST_UPDATED, Order, compile_keys
from careledger.domains.records.service.index.statement import (
    ALWAYS,
    NEVER,
    Bound,
    Sql,
    all_of,
    among,
    any_of,
    join,
    sql,
)
from careledger.domains.records.service.index.visibility import find_entities, in_compartments
from careledger.standards.fhir.search.compartment import PATIENT
from careledger.standards.fhir.search.query import Branch, Issue, Query, SearchRejected, SortKey
from careledger.storage.sqlite import Connection

BUDGET_MS: Final = 10_000
"""How long a search may take."""
_STEPS_BETWEEN_CHECKS: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock, a millisecond or so."""
_BINDINGS_MAX: Final = 30_000
"""SQLite binds at most 32,766 values."""
_DEFAULT_KEYS: Final = (SortKey(LAST_UPDATED, is_descending=False),)


@contextmanager
def read_transaction(connection: Connection) -> Iterator[None]:
    """Hold one snapshot for several statements; inside a transaction of the caller's, that one is it."""
    is_inside = connection.in_transaction
    if is_inside:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


@dataclass(frozen=True, slots=True)
class _Part:
    """One branch of a search, compiled."""

    source: Sql
    """What stands after FROM, conditions included."""
    keys: Sql
    """Sort keys as columns."""


@contextmanager
def time_limit(connection: Connection, budget_ms: int) -> Iterator[None]:
    """Stop statements of this connection that run beyond a time.

    Raises:
        SearchRejected: The time is over.
    """
    end = time.monotonic() + budget_ms / 1_000
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_CHECKS)
    try:
        yield
    except apsw.InterruptError as error:
        raise SearchRejected(Issue.TOO_COSTLY, "the search takes too long") from error
    finally:
        connection.set_progress_handler(None)


class Search:
    """One search, inside a read transaction."""

    def __init__(
        self, connection: Connection, links: PageLinks, query: Query, scope: Scope, page: Page
    ) -> None:
        """Prepare a search.

        Raises:
            PageLinkRefused: The page link is not of this search and scope.
            PageLinkExpired: The page link is too old.
        """
        self._connection = connection
        self._links = links
        self._query = query
        self._scope = scope
        self._page = page
        self._identity = repr((query.canonical, query.compartment_patient)).encode()
        self._scope_digest = scope.digest()
        self._position = self._open_link()
        snapshot_row = None if page.link is None else self._position.snapshot_row
        self._conditions = Conditions(connection, scope, snapshot_row)
        self._order = Order(query.sorts or _DEFAULT_KEYS, self._position.is_backwards)

    def _open_link(self) -> Position:
        """Return where the page begins; for the first page, the snapshot is the state as it is."""
        rows = self._connection.execute("SELECT row, purged FROM idx_counter").fetchall()
        last, purged = cast("tuple[int, int]", rows[0]) if rows else (0, 0)
        if self._page.link is None:
            return Position(last, 0, is_backwards=False)
        position = self._links.open(self._page.link, self._identity, self._scope_digest)
        if position.snapshot_row > last:
            raise PageLinkRefused("page link refused")
        if position.snapshot_row < purged:
            raise PageLinkExpired("page link expired")
        return position

    def run(self) -> SearchPage:
        """Return the page."""
        parts = [part for branch in self._find_branches() if (part := self._compile(branch)) is not None]
        total = sum(self._count(part) for part in parts) if self._page.with_total else None
        if self._page.count == 0:
            return SearchPage(matches=(), total=total)
        rows = self._select(parts)
        has_more = len(rows) > self._page.count
        rows = rows[: self._page.count]
        if self._position.is_backwards:
            rows.reverse()
        matches = tuple(to_entry(row) for row in rows)
        inclusion = Inclusion(self._connection, self._conditions, self._scope)
        includes, is_cut = inclusion.find(matches, self._query.includes)
        is_later = self._page.link is not None
        has_next = has_more or self._position.is_backwards
        has_previous = has_more if self._position.is_backwards else is_later
        return SearchPage(
            matches=matches,
            includes=includes,
            total=total,
            next_link=self._seal(matches[-1].row, is_backwards=False) if matches and has_next else None,
            previous_link=self._seal(matches[0].row, is_backwards=True) if matches and has_previous else None,
            is_cut=is_cut,
        )

    def _seal(self, row: int, *, is_backwards: bool) -> str:
        """Return the link to the page beyond a row."""
        position = Position(self._position.snapshot_row, row, is_backwards)
        return self._links.seal(position, self._identity, self._scope_digest)

    def _find_branches(self) -> list[Branch]:
        """Return the branches of types that the index holds."""
        query = "SELECT 1 FROM idx_resource WHERE type = ? LIMIT 1"
        return [
            branch
            for branch in self._query.branches
            if self._connection.execute(query, (type_numbers()[branch.resource_type],)).fetchall()
        ]

    def _compile(self, branch: Branch) -> _Part | None:
        """Compile a branch, or return None where it can have no result."""
        conditions = self._conditions
        patients = conditions.visibility.patients
        if branch.resource_type in self._scope.shared_types:
            patients = None
        visible = conditions.visibility.visible("r", branch.resource_type)
        compartment = ALWAYS
        if self._query.compartment_patient:
            found = find_entities(self._connection, PATIENT, (self._query.compartment_patient,))
            if not found:
                return None
            compartment = any_of((among("r.patient", found), in_compartments("r", found)))
            patients = found
        if visible == NEVER:
            return None
        compiled = [
            (condition, conditions.compile(condition, branch.resource_type, "r"))
            for condition in branch.conditions
        ]
        if any(piece == NEVER for _, piece in compiled):
            return None
        driver = self._choose_driver(branch, patients)
        fulfilled = None if driver is None else driver.fulfils
        tests = [piece for condition, piece in compiled if condition is not fulfilled]
        if driver is None:
            source = Sql("idx_resource r INDEXED BY idx_resource_type WHERE ")
        else:
            # CROSS JOIN makes SQLite begin with the driver's rows, whatever it believes about other indexes.
            source = sql(
                "(SELECT DISTINCT row FROM ({})) d CROSS JOIN idx_resource r WHERE r.row = d.row AND ",
                driver.rows,
            )
        where = all_of((visible, compartment, *tests))
        keys = compile_keys(conditions, branch.resource_type, self._order, "r")
        return _Part(sql("{}{}", source, where), keys)

    def _choose_driver(self, branch: Branch, patients: tuple[int, ...] | None) -> Driver | None:
        """Return the driver of a branch, or None to walk its type in the order of updates.

        Walking is better when no condition narrows the search, and a page of it in that order is wanted.
        """
        driver = DriverFinder(self._connection, self._conditions).find(branch, patients)
        is_walkable = self._order.is_default and not self._page.with_total
        if driver is not None and driver.count >= MANY and is_walkable:
            return None
        return driver

    def _count(self, part: _Part) -> int:
        """Return how many resources a branch finds."""
        query = sql("SELECT count(*) FROM {}", part.source)
        return cast("int", self._ask(query)[0][0])

    def _ask(self, statement: Sql) -> list[tuple[Bound, ...]]:
        """Return all rows of a statement.

        Raises:
            SearchRejected: It binds more than SQLite can.
        """
        if len(statement.bindings) > _BINDINGS_MAX:
            raise SearchRejected(Issue.TOO_COSTLY, "too many values")
        rows = self._connection.execute(statement.text, statement.bindings).fetchall()
        return cast("list[tuple[Bound, ...]]", rows)

    def _select(self, parts: list[_Part]) -> list[tuple[Bound, ...]]:
        """Return the rows of the page and one more if there is one, in the page's direction."""
        if not parts:
            return []
        beyond = ALWAYS if self._page.link is None else self._beyond_edge()
        columns = ", ".join(f"r.{name} AS {name}" for name in ENTRY_COLUMNS)
        selects = [
            sql(
                f"SELECT * FROM (SELECT {columns}, {{}} FROM {{}}) WHERE {{}} ORDER BY {{}} LIMIT ?",
                part.keys,
                part.source,
                beyond,
                self._order.clause(),
                self._page.count + 1,
            )
            for part in parts
        ]
        statement = selects[0]
        if len(selects) > 1:
            union = join(" UNION ALL ", (sql("SELECT * FROM ({})", select) for select in selects))
            statement = sql(
                "SELECT * FROM ({}) ORDER BY {} LIMIT ?", union, self._order.clause(), self._page.count + 1
            )
        return [row[: len(ENTRY_COLUMNS)] for row in self._ask(statement)]

    def _beyond_edge(self) -> Sql:
        """Return the condition of being beyond the row that the page link names."""
        edge = self._position.edge_row
        found = self._connection.execute("SELECT type FROM idx_resource WHERE row = ?", (edge,)).fetchall()
        if not found:
            raise PageLinkExpired("page link expired")
        keys = compile_keys(self._conditions, type_names()[cast("int", found[0][0])], self._order, "r")
        query = sql("SELECT {} FROM idx_resource r WHERE r.row = ?", keys, edge)
        return self._order.beyond(self._ask(query)[0], edge)


def count_by_type(connection: Connection, scope: Scope) -> dict[str, int]:
    """Return how many resources of each type the scope allows; types without any are left out."""
    conditions = Conditions(connection, scope, None)
    counts = {}
    for name in scope.by_type:
        visible = conditions.visibility.visible("r", name)
        query = sql(
            "SELECT count(*) FROM idx_resource r WHERE r.type = ? AND {}", type_numbers()[name], visible
        )
        count = cast("int", connection.execute(query.text, query.bindings).fetchall()[0][0])
        if count:
            counts[name] = count
    return counts
