"""How the story is told: steps with who is concerned and what is at stake, what happened, and what was proved.

A step that does not happen as told ends the story with a failure; nothing is printed that was not checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


class StoryBroken(Exception):  # noqa: N818 - what the audience is told
    """Something did not happen as told."""


@dataclass(slots=True)
class Step:
    """One step of the story."""

    title: str
    happened: list[str] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)
    not_proved: list[str] = field(default_factory=list)


class Stage:
    """Prints the story and keeps what the closing table says."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[Step] = []
        self._current: Step | None = None

    @contextmanager
    def step(self, title: str, *, who: str, stake: str) -> Iterator[Step]:
        """Tell one step; whatever is raised inside breaks the story."""
        step = Step(title)
        self.steps.append(step)
        self._current = step
        self.console.print()
        self.console.print(f"[bold]{len(self.steps)}. {title}[/bold]")
        self.console.print(f"   [dim]{who}[/dim]  {stake}")
        start = time.perf_counter()
        yield step
        self.console.print(f"   [dim]{(time.perf_counter() - start) * 1_000:,.0f} ms[/dim]")
        self._current = None

    def happened(self, text: str) -> None:
        """Say what happened."""
        self._require().happened.append(text)
        self.console.print(f"   [cyan]happened[/cyan]    {text}")

    def proved(self, text: str) -> None:
        """Say what was proved, and checked just now."""
        self._require().proved.append(text)
        self.console.print(f"   [green]proved[/green]      {text}")

    def not_proved(self, text: str) -> None:
        """Say what this does not show."""
        self._require().not_proved.append(text)
        self.console.print(f"   [yellow]not proved[/yellow]  {text}")

    def check(self, holds: object, text: str) -> None:
        """Go on only if something holds.

        Raises:
            StoryBroken: It does not.
        """
        if not holds:
            raise StoryBroken(text)

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator[Progress]:
        """Show a bar over long work; advance task 0."""
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            progress.add_task(text, total=total)
            yield progress

    def close(self) -> None:
        """Print the closing table."""
        table = Table(title="What happened, what was proved, and what was not", show_lines=True)
        for column in ("step", "happened", "proved", "not proved"):
            table.add_column(column)
        for number, step in enumerate(self.steps, start=1):
            table.add_row(
                f"{number}. {step.title}",
                "\n".join(step.happened),
                "\n".join(step.proved),
                "\n".join(step.not_proved),
            )
        self.console.print()
        self.console.print(table)
        self.console.print("All persons and records are synthetic. Nothing left this machine.")

    def _require(self) -> Step:
        if self._current is None:
            raise StoryBroken("the story speaks outside a step")
        return self._current
