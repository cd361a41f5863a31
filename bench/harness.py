"""What every measurement shares: names, units, bars, the table, and the file `bench/latest.json`."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LATEST = Path(__file__).parent / "latest.json"


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure and what it must reach."""

    key: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def text(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A function that measures one or more figures in one run."""

    bars: tuple[Bar, ...]
    run: Callable[[Path], dict[str, float]]


MEASUREMENTS: list[Measurement] = []


def measure(*bars: Bar) -> Callable[[Callable[[Path], dict[str, float]]], Callable[[Path], dict[str, float]]]:
    """Register a function that is given a scratch folder and returns its figures by key."""

    def register(run: Callable[[Path], dict[str, float]]) -> Callable[[Path], dict[str, float]]:
        MEASUREMENTS.append(Measurement(bars, run))
        return run

    return register


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since entry."""
    start = time.perf_counter()
    yield lambda: time.perf_counter() - start


def median_ms(act: Callable[[], object], times: int) -> float:
    """Median duration of a call in milliseconds."""
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations) * 1_000


def percentile(values: list[float], share: float) -> float:
    """Value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """What this runs on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{model}, Python {platform.python_version()}"


def report(results: dict[str, tuple[Bar, float]]) -> None:
    """Print the table and write `bench/latest.json`."""
    print(f"\n{'key':34} {'value':>14} {'unit':8} {'bar':>12}")
    for key, (bar, value) in results.items():
        mark = "" if bar.is_met(value) else "  missed"
        print(f"{key:34} {value:14,.3f} {bar.unit:8} {bar.text():>12}{mark}")
    document = {}
    for key, (bar, value) in results.items():
        entry: dict[str, float | str] = {"value": round(value, 4), "unit": bar.unit}
        if bar.at_least is not None:
            entry["at_least"] = bar.at_least
        if bar.at_most is not None:
            entry["at_most"] = bar.at_most
        document[key] = entry
    LATEST.write_text(json.dumps(document, indent=2) + "\n")
