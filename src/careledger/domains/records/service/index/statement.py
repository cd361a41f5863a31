"""Pieces of SQL with their bindings, so that no value ever becomes part of a statement's text.

Owns the composition of statements. A template holds `?` where a value is bound and `{}` where another piece goes;
both are filled in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Bound: TypeAlias = int | str | bytes | None
"""A value that is bound."""

INLINE_MAX: Final = 32
"""Longest list that is bound item by item; a longer one goes as one JSON array."""
_HOLES: Final = re.compile(r"(\?|\{\})")


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement."""

    text: str
    bindings: tuple[Bound, ...] = ()


def sql(template: str, *fillings: Bound | Sql) -> Sql:
    """Fill a template's holes in order.

    Raises:
        ValueError: The fillings do not fit the holes.
    """
    texts: list[str] = []
    bindings: list[Bound] = []
    position = 0
    for part in _HOLES.split(template):
        if part not in {"?", "{}"}:
            texts.append(part)
            continue
        if position == len(fillings):
            raise ValueError("more holes than fillings")
        filling = fillings[position]
        position += 1
        if isinstance(filling, Sql):
            if part == "?":
                raise ValueError("a piece of SQL cannot be bound")
            texts.append(filling.text)
            bindings.extend(filling.bindings)
        else:
            if part == "{}":
                raise ValueError("a value must be bound")
            texts.append("?")
            bindings.append(filling)
    if position != len(fillings):
        raise ValueError("more fillings than holes")
    return Sql("".join(texts), tuple(bindings))


NEVER: Final = Sql("0")
"""A condition that nothing fulfils."""
ALWAYS: Final = Sql("1")
"""A condition that everything fulfils."""


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """Join pieces."""
    items = tuple(parts)
    return Sql(
        separator.join(part.text for part in items),
        tuple(value for part in items for value in part.bindings),
    )


def any_of(parts: Iterable[Sql]) -> Sql:
    """Return the condition that at least one of the conditions holds."""
    items = [part for part in parts if part != NEVER]
    if not items:
        return NEVER
    return items[0] if len(items) == 1 else sql("({})", join(" OR ", items))


def all_of(parts: Iterable[Sql]) -> Sql:
    """Return the condition that all conditions hold."""
    items = [part for part in parts if part != ALWAYS]
    if not items:
        return ALWAYS
    if NEVER in items:
        return NEVER
    return items[0] if len(items) == 1 else sql("({})", join(" AND ", items))


def negate(part: Sql) -> Sql:
    """Return the opposite condition."""
    return ALWAYS if part == NEVER else sql("NOT ({})", part)


def among(column: str, values: Sequence[int] | Sequence[str]) -> Sql:
    """Return the condition that a column has one of the values."""
    if not values:
        return NEVER
    if len(values) == 1:
        return Sql(f"{column} = ?", (values[0],))
    if len(values) <= INLINE_MAX:
        return Sql(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))
    return Sql(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values)),))
