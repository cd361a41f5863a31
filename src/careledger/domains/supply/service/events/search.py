"""Queries over captured events, page by page.

Pages are stable: a query sees the events that were there when its first page was given, and each of them once,
whatever is captured meanwhile. The token says where to go on and belongs to its query alone; it grants nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final

import msgspec

from careledger.domains.supply.service.errors import EVENT_UNKNOWN, PAGE_INVALID, QUERY_TOO_LARGE
from careledger.domains.supply.service.events.capture import instant_of
from careledger.domains.supply.service.events.compiling import Compiled, compile_predicate
from careledger.domains.supply.service.events.schema import (
    COMPONENT,
    MIGRATIONS,
)
from careledger.domains.supply.service.events.stored_form import read_stored, read_stored_vocabulary
from careledger.domains.supply.service.rows import fetch_all, fetch_one
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import labelled
from careledger.standards.epcis.model import Event
from careledger.standards.epcis.query import MasterData, matches, order_key
from careledger.standards.epcis.query_model import Predicate, Subject
from careledger.storage.sqlite import Connection, Database

PAGE_EVENTS_DEFAULT: Final = 30
PAGE_EVENTS_MAX: Final = 1_000
SORTED_EVENTS_MAX: Final = 10_000
"""Matches of a query that is ordered by something no index holds."""
_CHUNK_ROWS: Final = 500
_TOKEN_BYTES_MAX: Final = 256
_TIMES = {Subject.EVENT_TIME: "event_us", Subject.RECORD_TIME: "record_us"}


class PageToken(Wire, frozen=True):
    """Where a query goes on."""

    query: bytes
    """Digest of the query it belongs to."""
    upper_row: int
    """Newest event of the first page's moment."""
    last_key: int
    """Time of the last event given, where the order is by time; else 0."""
    last_row: int
    """Row of the last event given, or the number of events given where they were sorted."""
    given: int
    """Events given so far."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a query's answer."""

    events: tuple[Event, ...]
    next_token: str = ""
    """Empty on the last page."""


class EventSearch:
    """The reading side of the repository."""

    def __init__(self, database: Database) -> None:
        """Bring the tables up to date."""
        self._database = database
        database.migrate(COMPONENT, MIGRATIONS)

    def event(self, event_id: str) -> tuple[Event, ...]:
        """Events under an identifier: the event, and its error declaration where there is one.

        Raises:
            Rejected: EVENT_UNKNOWN.
        """
        with self._database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT document, record_us FROM epcis_event WHERE effective_id = ? ORDER BY row",
                (event_id,),
            )
        if not rows:
            raise Rejected(EVENT_UNKNOWN)
        return tuple(_read(document, record_us) for document, record_us in rows)

    def master_data(self) -> MasterData:
        """Master data of all captured documents."""
        with self._database.snapshot() as connection:
            return _master_data(connection)

    def query(self, predicate: Predicate, *, per_page: int = PAGE_EVENTS_DEFAULT, token: str = "") -> Page:
        """Give one page of the events that meet a predicate.

        Args:
            predicate: from `query_parameters`.
            per_page: most events of the page, 1 to `PAGE_EVENTS_MAX`.
            token: of the page before; empty for the first.

        Raises:
            Rejected: PAGE_INVALID or QUERY_TOO_LARGE.
        """
        if not 1 <= per_page <= PAGE_EVENTS_MAX:
            raise Rejected(PAGE_INVALID)
        query = labelled("careledger/epcis-query/1", msgspec.msgpack.encode(predicate))
        with self._database.snapshot() as connection:
            masterdata = _master_data(connection)
            compiled = compile_predicate(predicate, masterdata)
            at = _read_token(token, query) if token else PageToken(query, _newest(connection), 0, 0, 0)
            finder = _Finder(connection, predicate, compiled, masterdata)
            if not token and predicate.max_event_count is not None:
                finder.check_count(at, predicate.max_event_count)
            left = per_page
            if predicate.event_count_limit is not None:
                left = min(left, predicate.event_count_limit - at.given)
            found = list(finder.after(at, left + 1)) if left > 0 else []
        events = tuple(event for event, _, _ in found[:left])
        is_last = len(found) <= left or at.given + left == predicate.event_count_limit
        if is_last:
            return Page(events=events)
        _, last_key, last_row = found[left - 1]
        next_at = PageToken(query, at.upper_row, last_key, last_row, at.given + left)
        return Page(events=events, next_token=urlsafe_b64encode(encode(next_at)).rstrip(b"=").decode())


class _Finder:
    """One query on one snapshot."""

    def __init__(
        self, connection: Connection, predicate: Predicate, compiled: Compiled, masterdata: MasterData
    ) -> None:
        self._connection = connection
        self._compiled = compiled
        self._masterdata = masterdata
        self._residual = Predicate(clauses=compiled.residual)
        self._order = predicate.order_by
        self._is_descending = predicate.is_descending and predicate.order_by is not None

    def check_count(self, at: PageToken, count_max: int) -> None:
        """Refuse the query when more events match than it allows."""
        for number, _ in enumerate(self._in_rows(at, "row")):
            if number == count_max:
                raise Rejected(QUERY_TOO_LARGE)

    def after(self, at: PageToken, count: int) -> Iterator[tuple[Event, int, int]]:
        """Give up to `count` events after a position, with their positions."""
        if self._order is not None and self._order.subject not in _TIMES:
            found = self._sorted(at)[at.last_row : at.last_row + count]
            for number, event in enumerate(found, start=at.last_row + 1):
                yield event, 0, number
            return
        column = "row" if self._order is None else _TIMES[self._order.subject]
        for number, found_one in enumerate(self._in_rows(at, column), start=1):
            yield found_one
            if number == count:
                return

    def _sorted(self, at: PageToken) -> list[Event]:
        if self._order is None:
            return []
        start = PageToken(at.query, at.upper_row, 0, 0, 0)
        found = []
        for event, _, _ in self._in_rows(start, "row"):
            found.append(event)
            if len(found) > SORTED_EVENTS_MAX:
                raise Rejected(QUERY_TOO_LARGE)
        order = self._order
        found.sort(key=lambda event: order_key(event, order), reverse=self._is_descending)
        return found

    def _in_rows(self, at: PageToken, column: str) -> Iterator[tuple[Event, int, int]]:
        """Give matching events in the order of (column, row)."""
        is_descending = self._is_descending and column != "row"
        sign, direction = ("<", "DESC") if is_descending else (">", "ASC")
        last_key, last_row, is_first = at.last_key, at.last_row, at.given == 0
        while True:
            # A page that begins anew has no position yet: every event comes after it.
            position = "1" if is_first else f"({column}, row) {sign} (?, ?)"
            values = [*self._compiled.values, at.upper_row, *([] if is_first else [last_key, last_row])]
            rows = fetch_all(
                self._connection,
                f"SELECT document, record_us, {column}, row FROM epcis_event WHERE {self._compiled.where} "
                f"AND row <= ? AND {position} ORDER BY {column} {direction}, row {direction} "
                f"LIMIT {_CHUNK_ROWS}",
                values,
            )
            for document, record_us, key, row in rows:
                event = _read(document, record_us)
                if matches(event, self._residual, self._masterdata):
                    yield event, key, row
            if len(rows) < _CHUNK_ROWS:
                return
            last_key, last_row, is_first = rows[-1][2], rows[-1][3], False


def _read(document: bytes, record_us: int) -> Event:
    return msgspec.structs.replace(read_stored(bytes(document)), record_time=instant_of(record_us))


def _master_data(connection: Connection) -> MasterData:
    rows = fetch_all(connection, "SELECT document FROM epcis_master_data ORDER BY row")
    return MasterData(read_stored_vocabulary(bytes(raw)) for (raw,) in rows)


def _newest(connection: Connection) -> int:
    row = fetch_one(connection, "SELECT coalesce(max(row), 0) FROM epcis_event")
    return 0 if row is None else int(row[0])


def _read_token(token: str, query: bytes) -> PageToken:
    try:
        if len(token) > _TOKEN_BYTES_MAX:
            raise Rejected(PAGE_INVALID)
        found = decode(urlsafe_b64decode(token + "=" * (-len(token) % 4)), PageToken)
    except (ValueError, CodecError):
        raise Rejected(PAGE_INVALID) from None
    if found.query != query or min(found.upper_row, found.last_row, found.given) < 0:
        raise Rejected(PAGE_INVALID)
    return found
