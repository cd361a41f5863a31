"""The ledger process: engine and application, sole writer of its state, behind one Unix socket.

Runs in a process of its own (`python -m careledger.site.ledger_process FOLDER`, seed and options on standard
input), so that gateways never wait for execution and a gateway's end never touches the ledger. Ends when told by
SIGTERM, when its parent is gone, or when a block cannot be made durable.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
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

READY = "ready"
SEED_BYTES = 32


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


async def _serve(process: LedgerProcess) -> int:
    """Run until SIGTERM, until standard input ends (the parent is gone), or until the engine fails."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_reader(sys.stdin.fileno(), told.set)
    await process.start()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    waits = [loop.create_task(told.wait()), loop.create_task(process.engine.stopped.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    loop.remove_reader(sys.stdin.fileno())
    failure = process.engine.failure
    await process.stop()
    if failure is not None:
        sys.stderr.write(f"careledger: the ledger stopped: {type(failure).__name__}: {failure}\n")
        return 1
    return 0


class LedgerHandle:
    """A ledger process that this process has started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, negative for a signal."""
        return self._process.poll()

    def stop(self, timeout_s: float = 30) -> int:
        """Tell it to finish the block under way and end; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self.wait(timeout_s)

    def wait(self, timeout_s: float = 30) -> int:
        """Wait for its end."""
        try:
            return self._process.wait(timeout_s)
        finally:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()


class LedgerDidNotStart(Exception):  # noqa: N818 - what the user is told
    """The ledger process ended before it took transactions; it has said why on standard error."""


def start_ledger(root: Path, seed: bytes, options: LedgerOptions) -> LedgerHandle:
    """Start the ledger process; returns once it takes transactions.

    The sequencer's seed goes through a pipe, so it is in no argument list and no environment. The process ends by
    itself when this one is gone.

    Raises:
        LedgerDidNotStart: It could not.
    """
    command = [sys.executable, "-m", "careledger.site.ledger_process", str(root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    if process.stdin is None or process.stdout is None:
        raise LedgerDidNotStart
    process.stdin.write(seed + msgspec.json.encode(options) + b"\n")
    process.stdin.flush()
    if process.stdout.readline().decode().strip() != READY:
        process.wait()
        raise LedgerDidNotStart(f"exit code {process.returncode}")
    return LedgerHandle(process)


def main() -> int:
    """Run the ledger process over the folder named on the command line."""
    seed = sys.stdin.buffer.read(SEED_BYTES)
    options = msgspec.json.decode(sys.stdin.buffer.readline(), type=LedgerOptions)
    process = LedgerProcess(LedgerPaths(Path(sys.argv[1])), seed, options)
    return uvloop.run(_serve(process))


if __name__ == "__main__":
    sys.exit(main())
