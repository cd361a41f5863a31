"""The ledger process: engine and application, sole writer of its state, behind one Unix socket.

Runs in a process of its own, so that gateways never wait for execution and a gateway's end never touches the
ledger. Ends when told by SIGTERM, when its parent is gone, or when a block cannot be made durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from careledger.consensus.admission import Admission
from careledger.consensus.cosignatures import CosignatureStore
from careledger.consensus.server import LedgerServer
from careledger.consensus.solo.engine import SoloEngine
from careledger.consensus.workers import VerifierPool
from careledger.ledger.application import Application
from careledger.ledger.genesis import read_genesis
from careledger.ledger.meta import TABLES
from careledger.ledger.port import InitChainRequest
from careledger.ledger.verification import CachingVerifier, SignatureCache
from careledger.ledger.view import LedgerView
from careledger.site.wiring import build_governance, build_modules, witness_keys
from careledger.state.rebuild import open_tree
from careledger.state.store import TableView
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile


def clock_ms() -> int:
    """Wall clock, milliseconds since 1970. The only clock of the ledger process; handlers see block time."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class LedgerPaths:
    """Where one replica keeps its files."""

    root: Path

    @property
    def tables(self) -> Path:
        """Folder of the LMDB environment."""
        return self.root / "tables"

    @property
    def nodes(self) -> Path:
        """Memory-mapped file of the state tree."""
        return self.root / "tree.nodes"

    @property
    def socket(self) -> Path:
        """Unix socket of the ledger process."""
        return self.root / "ledger.sock"

    @property
    def genesis(self) -> Path:
        """The genesis document."""
        return self.root / "genesis.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """How the embedded engine runs."""

    heartbeat_ms: int = 20_000
    group_wait_ms: int = 2
    allow_pause: bool = False
    """Take pauses over the socket: demonstrations and tests."""


@dataclass(slots=True)
class Replica:
    """An application opened over its files."""

    tables: LmdbTables
    nodes: NodeFile
    application: Application
    cache: SignatureCache

    def close(self) -> None:
        """Close the files."""
        self.nodes.close()
        self.tables.close()


def open_replica(paths: LedgerPaths) -> Replica:
    """Open the application as the writer of its files, with genesis applied if there was none yet.

    Raises:
        StorageFailed: The files cannot be opened, or another process writes them.
        ValueError: The genesis document is malformed.
    """
    genesis = paths.genesis.read_bytes()
    document = read_genesis(genesis)
    tables = LmdbTables.open(paths.tables, tables=TABLES)
    nodes = NodeFile.open(paths.nodes, buckets_log2=document.buckets_log2)
    with tables.snapshot() as reader:
        tree = open_tree(reader, nodes)
    cache = SignatureCache()
    application = Application(
        tables=tables,
        tree=tree,
        modules=build_modules(),
        governance=build_governance(),
        verifier=CachingVerifier(cache),
    )
    if not application.is_initialised:
        application.init_chain(
            InitChainRequest(
                chain_id=document.chain_id,
                time_ms=document.genesis_time_ms,
                initial_height=1,
                validators=(),
                app_state=genesis,
            )
        )
    return Replica(tables, nodes, application, cache)


def open_view(paths: LedgerPaths) -> LedgerView:
    """Open a replica's files for reading, beside the process that writes them."""
    document = read_genesis(paths.genesis.read_bytes())
    tables = LmdbTables.open_read_only(paths.tables, tables=TABLES)
    nodes = NodeFile.open_read_only(paths.nodes, buckets_log2=document.buckets_log2)
    return LedgerView(tables, nodes, clock_ms=clock_ms, wait=lambda: time.sleep(0.002))


class LedgerProcess:
    """Everything that runs in the ledger process."""

    def __init__(self, paths: LedgerPaths, seed: bytes, options: LedgerOptions) -> None:
        self.paths = paths
        self._seed = seed
        self._options = options
        self._replica = open_replica(paths)
        replica = self._replica
        self._workers = VerifierPool()
        self._admission = Admission(replica.application, self._workers, replica.cache, clock_ms=clock_ms)
        self.engine = SoloEngine(
            application=replica.application,
            admission=self._admission,
            cache=replica.cache,
            tables=replica.tables,
            seed=seed,
            clock_ms=clock_ms,
            heartbeat_ms=options.heartbeat_ms,
            group_wait_ms=options.group_wait_ms,
        )
        cosignatures = CosignatureStore(
            replica.tables,
            chain_id=replica.application.position.chain_id,
            sequencer=self.engine.public_key,
            witnesses=self._witnesses,
        )
        self._server = LedgerServer(
            path=paths.socket,
            admission=self._admission,
            engine=self.engine,
            cosignatures=cosignatures,
            allow_pause=options.allow_pause,
        )

    def view(self) -> LedgerView:
        """Read access from within this process."""
        replica = self._replica
        return LedgerView(replica.tables, replica.nodes, clock_ms=clock_ms, wait=lambda: time.sleep(0.002))

    async def start(self) -> None:
        """Start the worker, the engine and the socket."""
        await self._workers.start()
        self.engine.start()
        await self._server.start()
        gc.collect()
        gc.freeze()  # what lives now lives for ever: the collector need not look at it again

    async def stop(self) -> None:
        """Finish the block under way and close everything."""
        await self._server.close()
        await self.engine.stop()
        await self._workers.close()
        self._replica.close()

    def _witnesses(self) -> Mapping[str, bytes]:
        with self._replica.tables.snapshot() as reader:
            return witness_keys(TableView(reader))


async def _serve(process: LedgerProcess, ready: Connection | None) -> int:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop.add_reader(parent.sentinel, told.set)
    await process.start()
    if ready is not None:
        ready.send("ready")
        ready.close()
    waits = [loop.create_task(told.wait()), loop.create_task(process.engine.stopped.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if parent is not None:
        loop.remove_reader(parent.sentinel)
    failure = process.engine.failure
    await process.stop()
    if failure is not None:
        print(f"careledger: the ledger stopped: {type(failure).__name__}: {failure}", file=sys.stderr)  # noqa: T201 - last words of the process
        return 1
    return 0


def run_ledger_process(
    root: str, seed: bytes, options: LedgerOptions, ready: Connection | None = None
) -> None:
    """Run until told to stop; the target of a spawned process. Sends `ready` once it takes transactions."""
    with contextlib.suppress(KeyboardInterrupt):
        process = LedgerProcess(LedgerPaths(Path(root)), seed, options)
        sys.exit(uvloop.run(_serve(process, ready)))
