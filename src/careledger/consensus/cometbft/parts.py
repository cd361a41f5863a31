"""What a node is made of and told about: the replica it is given, and who listens to its blocks.

The composition root opens the files and wires the modules; nothing in this folder knows a domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from careledger.ledger.application import Application, Governance
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.verification import SignatureCache
from careledger.primitives.errors import Rejected
from careledger.sdk.context import StateReader
from careledger.state.nodes import Nodes
from careledger.state.store import Tables, WriteBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """One replica, opened by its only writer."""

    chain_id: str
    """The ledger, from the genesis document."""
    tables: Tables
    nodes: Nodes
    cache: SignatureCache
    """Shared with the verifier of the application."""
    governance: Governance
    witnesses: Callable[[StateReader], Mapping[str, bytes]]
    """Known witnesses: name -> Ed25519 key."""
    open_application: Callable[[], Application]
    """Opens the application over the tables as they are; again after a snapshot was restored."""
    close: Callable[[], None]
    """Closes the files."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What consensus holds against a validator, with proof in a block."""

    kind: int
    """1: it signed twice in one round; 2: it took part in an attack on light clients."""
    validator: bytes
    """Its address, 20 bytes."""
    height: int
    """Where it happened."""
    time_ms: int
    """Block time there."""


class BlockListener(Protocol):
    """Whoever goes along with the blocks of this node."""

    def opened(self, application: Application) -> None:
        """Take the application: after genesis, on start, and anew after a restored snapshot."""

    def refused(self, raw: bytes, rejection: Rejected) -> None:
        """Learn that the engine's pool was told not to take these bytes."""

    def accused(self, found: Sequence[Misbehaviour]) -> None:
        """Learn of evidence against validators in a decided block."""

    def rows(self, request: FinalizeBlockRequest) -> WriteBatch:
        """Give rows to be written in the same atomic batch as the block."""

    def committed(self, request: FinalizeBlockRequest, receipts: tuple[bytes, ...]) -> None:
        """Learn that the block is durable here; receipts stand in the order of its transactions."""
