"""Reading rows: the one seam where SQLite's loosely typed values become the schema's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from careledger.storage.sqlite import Connection


def fetch_all(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows; their types are those of the schema."""
    return cast("list[tuple[Any, ...]]", connection.execute(sql, values).fetchall())


def fetch_one(connection: Connection, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """First row, or None."""
    return cast("tuple[Any, ...] | None", connection.execute(sql, values).fetchone())
