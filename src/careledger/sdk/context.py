"""What replicated code sees while it runs: a view of the state, block time, and who signed.

There is no clock, no randomness and no I/O here; time is block time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from careledger.sdk.events import Event


class StateReader(Protocol):
    """Ordered read access to the replicated state."""

    def get(self, key: bytes) -> bytes | None:
        """Value of a key, or None."""

    def has(self, key: bytes) -> bool:
        """Whether the key is present."""

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end, in key order or its reverse; no end means to the last key."""


class StateStore(StateReader, Protocol):
    """Read and write access; what is written is dropped if the transaction is rejected."""

    def set(self, key: bytes, value: bytes) -> None:
        """Write one value."""

    def delete(self, key: bytes) -> None:
        """Remove a key; an absent key is left absent."""

    def set_many(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Write many values."""


class View:
    """Read-only view at one height, for queries and invariants."""

    __slots__ = ("chain_id", "height", "store", "time_ms")

    def __init__(self, *, store: StateReader, chain_id: str, height: int, time_ms: int) -> None:
        self.store = store
        self.chain_id = chain_id
        self.height = height
        self.time_ms = time_ms


class Context:
    """Everything a handler may use. One per transaction; `store` is that transaction's own overlay."""

    __slots__ = ("chain_id", "events", "height", "signers", "store", "time_ms", "tx_id")

    def __init__(
        self,
        *,
        store: StateStore,
        chain_id: str,
        height: int,
        time_ms: int,
        tx_id: bytes,
        signers: tuple[bytes, ...],
    ) -> None:
        self.store = store
        self.chain_id = chain_id
        self.height = height
        self.time_ms = time_ms
        self.tx_id = tx_id
        self.signers = signers
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Announce something; dropped with the rest if the transaction is rejected."""
        self.events.append(event)
