"""The application's process of a node: the replica, its ABCI server, and the socket for the node's own gateways.

Gateways talk to it exactly as to the embedded ledger process. It is one half of a pair; the other is the engine,
and `careledger.consensus.cometbft.supervisor` holds the two together. Ends when told by SIGTERM, when its parent
is gone, or at the first failure: what a failed step left in memory is not answered from.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import structlog
import uvloop

from careledger.consensus.admission import Admission
from careledger.consensus.cometbft.abci_app import AbciApplication
from careledger.consensus.cometbft.abci_server import AbciServer
from careledger.consensus.cometbft.abci_snapshots import SnapshotRequests
from careledger.consensus.cometbft.header import Validator, ordered
from careledger.consensus.cometbft.logs import configure_logging
from careledger.consensus.cometbft.network_cosignatures import NetworkCosignatures
from careledger.consensus.cometbft.parts import Misbehaviour, NodeParts
from careledger.consensus.cometbft.paths import NodePaths
from careledger.consensus.cometbft.rpc import EngineRpc
from careledger.consensus.cometbft.snapshot_files import SnapshotShelf
from careledger.consensus.cometbft.snapshot_taker import SnapshotTaker
from careledger.consensus.cometbft.submissions import Submissions
from careledger.consensus.cometbft.trail import HeaderTrail
from careledger.consensus.frames import Status
from careledger.consensus.server import LedgerServer
from careledger.consensus.workers import VerifierPool
from careledger.ledger.application import Application
from careledger.ledger.checkpoint import SignedCheckpoint
from careledger.ledger.errors import STALE_VIEW
from careledger.ledger.meta import height_key
from careledger.ledger.port import FinalizeBlockRequest
from careledger.primitives.codec import encode
from careledger.primitives.errors import InvariantViolated, Rejected, Unavailable
from careledger.state.store import BODIES, TableView, WriteBatch

_ACCUSATIONS_MAX = 1_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How a node runs."""

    name: str
    """Name in logs: the organisation's slug."""
    validator_key: bytes
    """Public key of the node's validator; says in its status who it is."""
    snapshot_interval: int = 1_000
    """Heights between snapshots, the same on all nodes; 0 takes none."""
    clock_offset_ms: int = 0
    """Added to the wall clock; other than 0 only where a wrong clock is tried out."""


def clock_ms() -> int:
    """Wall clock, milliseconds since 1970: for admission only; handlers see block time."""
    return time.time_ns() // 1_000_000


class Node:
    """Everything that runs in the application's process."""

    def __init__(
        self,
        paths: NodePaths,
        parts: NodeParts,
        options: NodeOptions,
        *,
        clock: Callable[[], int] = clock_ms,
    ) -> None:
        paths.check()
        self._paths = paths
        self._parts = parts
        self._options = options
        self._clock = lambda: clock() + options.clock_offset_ms
        self._workers = VerifierPool()
        self._rpc = EngineRpc(paths.rpc_socket)
        self._trail = HeaderTrail(parts.tables, EngineRpc(paths.rpc_socket))
        self._taker = SnapshotTaker(paths.tables, paths.snapshots, options.snapshot_interval)
        self._abci: AbciApplication | None = None
        self._abci_server: AbciServer | None = None
        self._admission: Admission | None = None
        self._submissions: Submissions | None = None
        self._server: LedgerServer | None = None
        self._opening: asyncio.Task[None] | None = None
        self.accusations: list[Misbehaviour] = []
        """Newest evidence against validators, since this process started."""
        self.failure: BaseException | None = None
        """What ended the node, if it did not end by itself."""
        self.stopped = asyncio.Event()
        """Set when the node can go on no more."""

    @property
    def application(self) -> Application:
        """The application as it is now."""
        if self._abci is None:
            raise InvariantViolated("the node was not started")
        return self._abci.application

    async def start(self) -> None:
        """Open the application and listen for the engine; gateways are let in once there is a ledger."""
        await self._workers.start()
        await self._taker.prepare()
        shelf = SnapshotShelf(self._paths.snapshots)
        self._abci = AbciApplication(
            self._parts,
            workers=self._workers,
            listener=self,
            snapshots=SnapshotRequests(self._parts, shelf, self._taker),
            clock_ms=self._clock,
        )
        self._abci_server = AbciServer(self._paths.abci_socket, self._abci.handlers(), failed=self._failed)
        await self._abci_server.start()
        gc.collect()
        gc.freeze()  # what lives now lives for ever: the collector need not look at it again

    async def stop(self) -> None:
        """Close everything; a commit under way is finished first."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._server is not None:
            await self._server.close()
        if self._submissions is not None:
            await self._submissions.close()
        if self._abci_server is not None:
            await self._abci_server.close()
        await self._trail.close()
        if self._abci is not None:
            self._abci.close()
        await self._taker.close()
        await self._workers.close()
        await self._rpc.close()
        self._parts.close()

    # -- The engine's place towards gateways -----------------------------------------------------------

    def status(self) -> Status:
        """Where the ledger stands."""
        position = self.application.position
        waiting = len(self._admission.pool) if self._admission else 0
        return Status(
            position.chain_id,
            position.height,
            position.time_ms,
            position.app_hash,
            position.frontier.size,
            self._options.validator_key,
            waiting,
            self._workers.checked,
        )

    def checkpoint(self) -> SignedCheckpoint:
        """Newest checkpoint that validators vouch for; it covers all but the newest block.

        Raises:
            Unavailable: STALE_VIEW, the engine has not yet said who signed.
        """
        checkpoint = self._trail.checkpoint
        if checkpoint is None:
            raise Unavailable(STALE_VIEW, "there is no checkpoint yet")
        return checkpoint

    def pause(self) -> None:
        """Refuse: one node does not pause a network."""
        raise Unavailable(STALE_VIEW, "a network takes no pauses")

    def resume(self) -> None:
        """Refuse: one node does not pause a network."""
        raise Unavailable(STALE_VIEW, "a network takes no pauses")

    # -- Going along with the blocks -------------------------------------------------------------------

    def opened(self, application: Application) -> None:
        """Let gateways in."""
        self._admission = Admission(application, self._workers, self._parts.cache, clock_ms=self._clock)
        self._submissions = Submissions(
            application=application,
            admission=self._admission,
            tables=self._parts.tables,
            rpc=self._rpc,
            clock_ms=self._clock,
        )
        self._submissions.start()
        self._trail.open(application.position)
        cosignatures = NetworkCosignatures(
            self._parts.tables,
            chain_id=application.position.chain_id,
            validators=self._validators,
            witnesses=self._witnesses,
        )
        self._server = LedgerServer(
            path=self._paths.socket, admission=self._admission, engine=self, cosignatures=cosignatures
        )
        self._opening = asyncio.get_running_loop().create_task(self._server.start())

    def refused(self, raw: bytes, rejection: Rejected) -> None:
        """Answer whoever waits for these bytes."""
        if self._submissions is not None:
            self._submissions.refused(raw, rejection)

    def accused(self, found: Sequence[Misbehaviour]) -> None:
        """Remember and log evidence against validators."""
        for each in found:
            _log.error(
                "a validator misbehaved", kind=each.kind, validator=each.validator.hex(), height=each.height
            )
        self.accusations = [*self.accusations, *found][-_ACCUSATIONS_MAX:]

    def rows(self, request: FinalizeBlockRequest) -> WriteBatch:
        """Give the headers that are not yet written, and the block's own bytes."""
        batch = self._trail.rows()
        if request.txs:
            batch.put(BODIES, height_key(request.height), encode(list(request.txs)))
        return batch

    def committed(self, request: FinalizeBlockRequest, receipts: tuple[bytes, ...]) -> None:
        """Answer those whose transactions the block carried."""
        if self._submissions is not None:
            self._submissions.committed(request.txs, receipts)
        self._trail.committed(self.application.position)

    # -- Inside ----------------------------------------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        self.stopped.set()

    def _validators(self) -> tuple[Validator, ...]:
        with self._parts.tables.snapshot() as reader:
            found = self._parts.governance.validators(TableView(reader))
        return ordered(Validator(each.public_key, each.power) for each in found)

    def _witnesses(self) -> Mapping[str, bytes]:
        with self._parts.tables.snapshot() as reader:
            return self._parts.witnesses(TableView(reader))


async def _serve(node: Node, ready: Connection | None) -> int:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop.add_reader(parent.sentinel, told.set)
    await node.start()
    if ready is not None:
        ready.send("ready")
        ready.close()
    waits = [loop.create_task(told.wait()), loop.create_task(node.stopped.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if parent is not None:
        loop.remove_reader(parent.sentinel)
    failure = node.failure
    await node.stop()
    if failure is not None:
        _log.error("the application stopped", reason=f"{type(failure).__name__}: {failure}")
        return 1
    return 0


def run_node(
    paths: NodePaths,
    options: NodeOptions,
    open_parts: Callable[[NodePaths], NodeParts],
    ready: Connection | None = None,
) -> None:
    """Run until told to stop; the target of a spawned process. Sends `ready` once the engine may connect."""
    configure_logging(options.name, "application")

    async def main() -> int:
        return await _serve(Node(paths, open_parts(paths), options), ready)

    sys.exit(uvloop.run(main()))
