"""The application port: requests and responses that mirror ABCI 2.0.

Both engines drive the same application through these, and only these. Names, order of calls and meaning are
those of ABCI 2.0 (CometBFT v0.38); times are integer milliseconds here and become protobuf timestamps at the
server. Vote extensions are not enabled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from careledger.sdk.module import ValidatorUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoResponse:
    """What the engine asks on start, to know what to replay."""

    data: str
    version: str
    app_version: int
    last_block_height: int
    last_block_app_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChainRequest:
    """Genesis."""

    chain_id: str
    time_ms: int
    initial_height: int
    validators: tuple[ValidatorUpdate, ...]
    app_state: bytes
    """The genesis document, JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChainResponse:
    """The first application hash and validator set."""

    validators: tuple[ValidatorUpdate, ...]
    app_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTxResponse:
    """Whether a transaction may wait in the pool; code 0 means yes."""

    code: int
    codespace: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TxResult:
    """Outcome of one transaction of a block; code, data and gas are hashed into the engine's results."""

    code: int
    data: bytes
    gas_wanted: int = 0
    gas_used: int = 0
    codespace: str = ""
    log: str = ""
    """For people; not hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeBlockRequest:
    """A decided block."""

    height: int
    time_ms: int
    txs: tuple[bytes, ...]
    block_hash: bytes = b""
    proposer: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeBlockResponse:
    """What the block did; nothing of it is persistent before `commit`."""

    tx_results: tuple[TxResult, ...]
    app_hash: bytes
    validator_updates: tuple[ValidatorUpdate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResponse:
    """Answer to a commit: blocks below this height are no longer needed; 0 keeps all."""

    retain_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResponse:
    """Answer to a query, with the height it holds for."""

    code: int
    height: int
    key: bytes = b""
    value: bytes = b""
    proof: bytes = b""
    codespace: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot on offer."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes = field(default=b"")


class OfferSnapshotResult(IntEnum):
    """Answers to an offered snapshot, with ABCI's numbers."""

    ACCEPT = 1
    ABORT = 2
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class ApplyChunkResult(IntEnum):
    """Answers to an applied chunk, with ABCI's numbers."""

    ACCEPT = 1
    ABORT = 2
    RETRY = 3
    RETRY_SNAPSHOT = 4
    REJECT_SNAPSHOT = 5
