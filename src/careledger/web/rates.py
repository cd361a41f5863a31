"""How often a client may ask: one token bucket per client, in memory, with a bounded number of clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from careledger.primitives.errors import Unavailable
from careledger.web.errors import TOO_MANY_REQUESTS

CLIENTS_MAX: Final = 10_000


class RateLimiter:
    """Allows each client so many requests a second, and as many at once as two seconds' worth."""

    def __init__(self, requests_per_s: int, *, clock_ms: Callable[[], int]) -> None:
        """Build a limiter.

        Args:
            requests_per_s: 0 for no limit.
            clock_ms: current time.
        """
        self._rate = requests_per_s
        self._burst_m = 2_000 * requests_per_s
        self._clock_ms = clock_ms
        self._buckets: dict[str, tuple[int, int]] = {}

    def admit(self, client: str) -> None:
        """Count one request of a client.

        Raises:
            Unavailable: TOO_MANY_REQUESTS.
        """
        if not self._rate:
            return
        now_ms = self._clock_ms()
        left_m, then_ms = self._buckets.get(client, (self._burst_m, now_ms))
        left_m = min(self._burst_m, left_m + max(0, now_ms - then_ms) * self._rate)
        if left_m < 1_000:
            raise Unavailable(TOO_MANY_REQUESTS)
        if client not in self._buckets and len(self._buckets) >= CLIENTS_MAX:
            # Whoever asked longest ago has a full bucket by now, or nearly.
            del self._buckets[next(iter(self._buckets))]
        self._buckets.pop(client, None)
        self._buckets[client] = (left_m - 1_000, now_ms)
