"""Counters, gauges and durations, shown in the text format that Prometheus reads.

Labels are route templates, methods, statuses and the site's own name: never a path, never a value of a request,
so no metric can carry a person's data, and the number of series is bounded by the number of routes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
BUCKETS_US: Final = (
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
)
"""Upper bounds of the durations' buckets, microseconds."""


@dataclass(slots=True)
class _Duration:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_US) + 1))
    sum_us: int = 0


def format_labels(labels: tuple[tuple[str, str], ...]) -> str:
    """Return labels as they stand behind a metric's name."""
    if not labels:
        return ""
    parts = []
    for name, value in labels:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        parts.append(f'{name}="{escaped}"')
    return "{" + ",".join(parts) + "}"


class Metrics:
    """What one site counts."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], _Duration] = {}
        self._counters: dict[str, int] = {}
        self._gauges: dict[str, Callable[[], int]] = {}
        self._help: dict[str, str] = {}
        self.in_flight = 0
        """Requests under way."""

    def count_request(self, method: str, route: str, status: int, duration_us: int) -> None:
        """Note an answered request."""
        key = (method, route, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        duration = self._durations.get((method, route))
        if duration is None:
            duration = self._durations[method, route] = _Duration()
        duration.counts[bisect_left(BUCKETS_US, duration_us)] += 1
        duration.sum_us += duration_us

    def count(self, name: str, text: str, by: int = 1) -> None:
        """Add to a counter.

        Args:
            name: `careledger_…_total`.
            text: one line that says what is counted.
            by: how much to add.
        """
        self._help[name] = text
        self._counters[name] = self._counters.get(name, 0) + by

    def watch(self, name: str, text: str, read: Callable[[], int]) -> None:
        """Show a value that is read when metrics are asked for."""
        self._help[name] = text
        self._gauges[name] = read

    def render(self) -> bytes:
        """Return all metrics as text."""
        return ("\n".join(self._lines()) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        site = ("site", self._site)
        yield "# HELP careledger_http_requests_total Answered requests."
        yield "# TYPE careledger_http_requests_total counter"
        for (method, route, status), count in sorted(self._requests.items()):
            labels = format_labels((site, ("method", method), ("route", route), ("status", str(status))))
            yield f"careledger_http_requests_total{labels} {count}"
        yield "# HELP careledger_http_request_seconds Time from the request's head to the end of its answer."
        yield "# TYPE careledger_http_request_seconds histogram"
        for (method, route), duration in sorted(self._durations.items(), key=lambda item: item[0]):
            yield from self._duration_lines((site, ("method", method), ("route", route)), duration)
        yield "# HELP careledger_http_requests_in_flight Requests under way."
        yield "# TYPE careledger_http_requests_in_flight gauge"
        yield f"careledger_http_requests_in_flight{format_labels((site,))} {self.in_flight}"
        for name, value in sorted(self._counters.items()):
            yield f"# HELP {name} {self._help[name]}"
            yield f"# TYPE {name} counter"
            yield f"{name}{format_labels((site,))} {value}"
        for name, read in sorted(self._gauges.items()):
            yield f"# HELP {name} {self._help[name]}"
            yield f"# TYPE {name} gauge"
            yield f"{name}{format_labels((site,))} {read()}"

    @staticmethod
    def _duration_lines(labels: tuple[tuple[str, str], ...], duration: _Duration) -> Iterator[str]:
        total = 0
        for bound_us, count in zip(BUCKETS_US, duration.counts, strict=False):
            total += count
            bound = f"{bound_us / 1_000_000:g}"
            yield f"careledger_http_request_seconds_bucket{format_labels((*labels, ('le', bound)))} {total}"
        total += duration.counts[-1]
        yield f"careledger_http_request_seconds_bucket{format_labels((*labels, ('le', '+Inf')))} {total}"
        yield f"careledger_http_request_seconds_sum{format_labels(labels)} {duration.sum_us / 1_000_000:.6f}"
        yield f"careledger_http_request_seconds_count{format_labels(labels)} {total}"
