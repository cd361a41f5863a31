"""Messages: the signed requests of a module."""

from __future__ import annotations

from careledger.primitives.codec import Wire


class Message(Wire, frozen=True):
    """Base of a module's messages; the class name, imperative, is the message's name on the wire."""

    def check(self) -> None:
        """Check whatever needs no state.

        Raises:
            Rejected: The message can never be valid.
        """

    def operations(self) -> int:
        """How many operations the message carries, for the limits per transaction and per block."""
        return 1
