"""How often something sensitive may be asked: so many times within a window, per name, in memory.

Unlike a rate per second, this counts over minutes and hours: what it bounds is guessing, not load.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from careledger.domains.records.service.exchange.errors import TOO_OFTEN
from careledger.primitives.errors import Unavailable

NAMES_MAX: Final = 10_000


class Quota:
    """Allows each name so many requests within a window."""

    def __init__(self, count_max: int, window_ms: int, *, clock_ms: Callable[[], int]) -> None:
        self._count_max = count_max
        self._window_ms = window_ms
        self._clock_ms = clock_ms
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def admit(self, name: str) -> None:
        """Count one request.

        Raises:
            Unavailable: TOO_OFTEN; a refused request is not counted.
        """
        now_ms = self._clock_ms()
        times = self._times.setdefault(name, deque())
        self._times.move_to_end(name)
        while times and times[0] <= now_ms - self._window_ms:
            times.popleft()
        if len(times) >= self._count_max:
            raise Unavailable(TOO_OFTEN)
        times.append(now_ms)
        if len(self._times) > NAMES_MAX:
            self._times.popitem(last=False)
