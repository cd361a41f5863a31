"""A node's application in memory, asked as the engine asks; what survives its process is kept apart from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.abci_app import AbciApplication
from careledger.consensus.cometbft.abci_server import Answer
from careledger.consensus.cometbft.abci_snapshots import SnapshotRequests
from careledger.consensus.cometbft.framing import MessageReader
from careledger.consensus.cometbft.parts import Misbehaviour, NodeParts
from careledger.consensus.cometbft.snapshot_files import SnapshotShelf
from careledger.ledger.application import Application
from careledger.ledger.meta import TABLES, Position
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.transaction import Transaction
from careledger.ledger.verification import CachingVerifier, SignatureCache, Verifier, has_valid_signatures
from careledger.primitives.errors import Rejected
from careledger.sdk.module import Module
from careledger.site.wiring import build_governance, build_modules, witness_keys
from careledger.state.nodes import Nodes
from careledger.state.rebuild import open_tree
from careledger.state.store import BODIES, Tables, WriteBatch
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile
from kit.ledgers import BUCKETS_LOG2, CHAIN_ID, START_MS, genesis_bytes

T = TypeVar("T")


class Workers:
    """Stands for the worker process: counts, and answers in the next turn of the loop."""

    def __init__(self, check: Callable[[Transaction], bool] = has_valid_signatures) -> None:
        self._check = check
        self.checked: list[bytes] = []

    def verify(self, transaction: Transaction) -> asyncio.Future[bool]:
        """As the pool's."""
        self.checked.append(transaction.raw)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        loop.call_soon(future.set_result, self._check(transaction))
        return future


@dataclass
class Listener:
    """Writes down what it is told."""

    applications: list[Application] = field(default_factory=list)
    refusals: list[tuple[bytes, str]] = field(default_factory=list)
    accusations: list[Misbehaviour] = field(default_factory=list)
    blocks: list[tuple[FinalizeBlockRequest, tuple[bytes, ...]]] = field(default_factory=list)

    def opened(self, application: Application) -> None:
        self.applications.append(application)

    def refused(self, raw: bytes, rejection: Rejected) -> None:
        self.refusals.append((raw, rejection.code.slug))

    def accused(self, found: Sequence[Misbehaviour]) -> None:
        self.accusations += found

    def rows(self, request: FinalizeBlockRequest) -> WriteBatch:
        batch = WriteBatch()
        batch.put(BODIES, request.height.to_bytes(8, "big"), b"rows of this node")
        return batch

    def committed(self, request: FinalizeBlockRequest, receipts: tuple[bytes, ...]) -> None:
        self.blocks.append((request, receipts))


@dataclass
class Replica:
    """What survives of a node when its process does not."""

    folder: Path
    tables: Tables = field(default_factory=lambda: MemoryTables(TABLES))
    nodes: Nodes = field(default_factory=lambda: NodeFile.in_memory(buckets_log2=BUCKETS_LOG2))
    modules: tuple[Module, ...] = field(default_factory=build_modules)
    verifier: Callable[[SignatureCache], Verifier] = CachingVerifier
    check: Callable[[Transaction], bool] = has_valid_signatures

    def parts(self) -> NodeParts:
        """As the composition root opens them."""
        cache = SignatureCache()

        def open_application() -> Application:
            with self.tables.snapshot() as reader:
                tree = open_tree(reader, self.nodes)
            return Application(
                tables=self.tables,
                tree=tree,
                modules=self.modules,
                governance=build_governance(),
                verifier=self.verifier(cache),
            )

        return NodeParts(
            chain_id=CHAIN_ID,
            tables=self.tables,
            nodes=self.nodes,
            cache=cache,
            governance=build_governance(),
            witnesses=witness_keys,
            open_application=open_application,
            close=lambda: None,
        )


class InlineExecutor(Executor):
    """Does at once, in the same thread, what a disk thread would do."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on
            done.set_exception(error)
        return done


class Node:
    """One process's life of a node, asked as the engine asks."""

    def __init__(self, replica: Replica, now_ms: int = START_MS, *, disk: Executor | None = None) -> None:
        self.replica = replica
        self.now_ms = now_ms
        self.workers = Workers(replica.check)
        self.listener = Listener()
        self.parts = replica.parts()
        self.shelf = SnapshotShelf(replica.folder / "snapshots")
        self.app = AbciApplication(
            self.parts,
            workers=self.workers,  # type: ignore[arg-type]  # stands for the pool
            listener=self.listener,
            snapshots=SnapshotRequests(self.parts, self.shelf, None),
            clock_ms=lambda: self.now_ms,
            disk=disk,
        )
        self._handlers = self.app.handlers()

    async def ask(self, **kinds: Any) -> Any:
        """Ask one request and return the answer's own message."""
        ((kind, request),) = kinds.items()
        answer: Answer | asyncio.Future[Answer] = self._handlers[kind](request)
        raw = answer if isinstance(answer, bytes) else await answer
        (message,) = MessageReader().feed(raw)
        response = wire.Response.FromString(message)
        assert response.WhichOneof("kind") == kind
        return getattr(response, kind)

    async def begin(self, app_state: bytes | None = None) -> Any:
        return await self.ask(
            init_chain=wire.InitChainRequest(
                time=time_of(START_MS),
                chain_id=CHAIN_ID,
                initial_height=1,
                app_state=app_state or genesis_bytes(),
            )
        )

    async def block(self, *txs: bytes, time_ms: int | None = None) -> Any:
        """Finalize and commit one block."""
        answer = await self.finalize(*txs, time_ms=time_ms)
        await self.ask(commit=wire.EmptyRequest())
        return answer

    async def finalize(self, *txs: bytes, time_ms: int | None = None, **more: Any) -> Any:
        height = self.position.height + 1
        time = time_of(time_ms or START_MS + height * 1_000)
        return await self.ask(
            finalize_block=wire.FinalizeRequest(txs=txs, height=height, time=time, hash=b"block", **more)
        )

    async def check(self, raw: bytes) -> str:
        """Slug of the refusal, or nothing."""
        result = await self.ask(check_tx=wire.CheckRequest(tx=raw))
        assert bool(result.code) == bool(result.codespace)
        return str(result.log)

    @property
    def position(self) -> Position:
        return self.app.application.position

    def close(self) -> None:
        self.app.close()


def time_of(time_ms: int, nanos: int = 999_999) -> wire.Time:
    seconds, rest_ms = divmod(time_ms, 1_000)
    return wire.Time(seconds=seconds, nanos=rest_ms * 1_000_000 + nanos)
