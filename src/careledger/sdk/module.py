"""The manifest of a domain's replicated part.

A module is a value: its messages with their handlers, queries, genesis, invariants and error codes. Discovery
is not activation: genesis or a governance vote names the active modules and versions, and the application
looks the active version up at each height.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from careledger.primitives.codec import Wire
from careledger.primitives.errors import CodeSpace
from careledger.sdk.context import Context, StateStore, View
from careledger.sdk.messages import Message

M = TypeVar("M", bound=Message)

MIGRATED_KEYS_PER_BLOCK_MAX = 10_000


@dataclass(frozen=True, slots=True)
class HandlerBinding:
    """One message with its handler. The only seam where the message's type is erased."""

    message: type[Message]
    """Structure of the payload; its class name is the message's name."""
    handle: Callable[[Context, Any], bytes]
    """Checks, applies and announces the message; returns the receipt's data."""


def bind(message: type[M], handle: Callable[[Context, M], bytes]) -> HandlerBinding:
    """Bind a message to its handler; the type checker holds the two together."""
    return HandlerBinding(message, handle)


Query = Callable[[View, bytes], Wire]
"""Answers an encoded request from a read-only view."""

Invariant = Callable[[View], list[str]]
"""Checks the whole state and says in plain sentences what is wrong; an empty list is good."""


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """A change of the validator set, as ABCI 2.0 has it."""

    public_key: bytes
    """Ed25519 key of the validator."""
    power: int
    """Voting power; 0 removes."""


class EndBlock(Protocol):
    """What a module does after the transactions of a block that carries any."""

    def __call__(self, context: Context) -> tuple[ValidatorUpdate, ...]:
        """Apply what is due and return changes of the validator set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One version of one domain's replicated part."""

    name: str
    """The domain's name."""
    number: int
    """1 to 254, first byte of every state key and of every code; never reused. 0 is the ledger itself."""
    version: int
    """1, 2, …: chosen by activation height."""
    codes: CodeSpace
    """Numbered errors."""
    handlers: tuple[HandlerBinding, ...]
    """Messages this version understands."""
    export_genesis: Callable[[View], object]
    """Plain lists and dictionaries that `import_genesis` turns back into the same state."""
    import_genesis: Callable[[StateStore, Any], None]
    """Write the state of an exported document into an empty store."""
    queries: Mapping[str, Query] = field(default_factory=dict)
    """Read-only questions by name."""
    invariants: Mapping[str, Invariant] = field(default_factory=dict)
    """Whole-state predicates, run in tests and by the doctor, never in consensus."""
    end_block: EndBlock | None = None
    """Run after the transactions of each block that carries any."""
    migrate: Callable[[StateStore, bytes, int], bytes | None] | None = None
    """From the version before: (store, cursor, keys at most) -> next cursor, or None when done."""

    def binding(self, message_name: str) -> HandlerBinding | None:
        """Binding of a message by its name."""
        for candidate in self.handlers:
            if candidate.message.__name__ == message_name:
                return candidate
        return None
