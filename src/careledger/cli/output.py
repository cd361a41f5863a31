"""Printing: one JSON document for programs, text and tables for people. Nothing else writes to standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_console: Console | None = None

PIPE_WIDTH = 1_000
"""Columns where standard output is no terminal: nothing is cut off or folded for a program."""


def console() -> Console:
    """The terminal, made when first needed; texts are never taken for markup."""
    global _console  # noqa: PLW0603 - there is one terminal
    if _console is None:
        from rich.console import Console

        width = None if sys.stdout.isatty() else PIPE_WIDTH
        _console = Console(highlight=False, markup=False, soft_wrap=True, width=width)
    return _console


def show_json(document: object) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def show_lines(lines: Iterable[str]) -> None:
    """Print lines of text."""
    for line in lines:
        print(line, flush=True)


def show_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        print(f"{name:<{width}}  {value}")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)
