"""Events: what a transaction announces. Never hashed, never read by consensus, kept for a limited time.

An event carries keys, tags and commitments only, like everything on the ledger.
"""

from __future__ import annotations

from careledger.primitives.codec import Wire


class Event(Wire, frozen=True):
    """Base of a module's events; the class name, in the past tense, is the event's name."""


class EmittedEvent(Wire, frozen=True):
    """One event as stored beside its block."""

    tx_index: int
    """Position of the transaction in its block; -1 for events of the block itself."""
    module: str
    """Name of the module that emitted it."""
    name: str
    """Name of the event."""
    payload: bytes
    """Canonical encoding of the event."""
