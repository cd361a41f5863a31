"""The engine's requests about snapshots: what is on offer here, and the restoring of a peer's.

Owns the order of a restoring as the engine drives it. What a snapshot is and how it is checked belongs to
`careledger.ledger.snapshots`; nothing that a peer sends counts before it is checked against the application
hash that the engine's light client has verified.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

import structlog

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.abci_server import Answer, encode_response
from careledger.consensus.cometbft.parts import NodeParts
from careledger.consensus.cometbft.snapshot_files import SnapshotShelf
from careledger.consensus.cometbft.snapshot_taker import SnapshotTaker
from careledger.ledger.port import ApplyChunkResult, OfferSnapshotResult
from careledger.ledger.restoring import SnapshotRestore
from careledger.ledger.snapshots import FORMAT, SnapshotInvalid, check_manifest

_log = structlog.get_logger(__name__)


class SnapshotRequests:
    """Answers requests about snapshots."""

    def __init__(self, parts: NodeParts, shelf: SnapshotShelf, taker: SnapshotTaker | None) -> None:
        self._parts = parts
        self._shelf = shelf
        self._taker = taker
        self._restore: SnapshotRestore | None = None
        self._chunks = 0
        self._is_restored = False

    async def after_commit(self, height: int) -> None:
        """Take a snapshot if one is due."""
        if self._taker is not None:
            await self._taker.after_commit(height)

    def take_restored(self) -> bool:
        """Say, once, that a restoring has been finished."""
        is_restored, self._is_restored = self._is_restored, False
        return is_restored

    def list_snapshots(self, request: wire.EmptyRequest) -> Answer:
        """Say which snapshots are here."""
        del request
        offers = [
            wire.SnapshotOffer(
                height=each.height,
                format=each.format,
                chunks=each.chunks,
                hash=each.hash,
                metadata=each.metadata,
            )
            for each in self._shelf.offers()
        ]
        answer = wire.ListSnapshotsResponse(snapshots=offers)
        return encode_response(wire.Response(list_snapshots=answer))

    def load_snapshot_chunk(self, request: wire.LoadChunkRequest) -> Answer:
        """Give one part; nothing where the snapshot is no longer kept."""
        chunk = self._shelf.load(request.height, request.format, request.chunk)
        answer = wire.LoadChunkResponse(chunk=chunk or b"")
        return encode_response(wire.Response(load_snapshot_chunk=answer))

    def offer_snapshot(self, request: wire.OfferRequest, *, is_empty: bool) -> Answer:
        """Check an offered snapshot's manifest and begin to restore it, or say why not."""
        return encode_response(
            wire.Response(offer_snapshot=wire.OfferResponse(result=self._offered(request, is_empty=is_empty)))
        )

    def _offered(self, request: wire.OfferRequest, *, is_empty: bool) -> OfferSnapshotResult:
        offer = request.snapshot
        if not is_empty:
            return OfferSnapshotResult.ABORT
        if offer.format != FORMAT:
            return OfferSnapshotResult.REJECT_FORMAT
        try:
            manifest = check_manifest(
                offer.metadata,
                snapshot_hash=offer.hash,
                height=offer.height,
                chunks=offer.chunks,
                app_hash=request.app_hash,
                chain_id=self._parts.chain_id,
                buckets_log2=self._parts.nodes.buckets_log2,
            )
        except SnapshotInvalid as error:
            _log.warning("snapshot refused", height=offer.height, reason=str(error))
            return OfferSnapshotResult.REJECT
        self._restore = SnapshotRestore(self._parts.tables, self._parts.nodes, manifest)
        self._chunks = offer.chunks
        _log.info("snapshot accepted", height=offer.height, chunks=offer.chunks)
        return OfferSnapshotResult.ACCEPT

    async def apply_snapshot_chunk(self, request: wire.ApplyChunkRequest, disk: Executor) -> Answer:
        """Apply one part; after the last one check the whole, beside the loop."""
        return encode_response(wire.Response(apply_snapshot_chunk=await self._applied(request, disk)))

    async def _applied(self, request: wire.ApplyChunkRequest, disk: Executor) -> wire.ApplyChunkResponse:
        restore = self._restore
        if restore is None:
            return wire.ApplyChunkResponse(result=ApplyChunkResult.ABORT)
        if request.index != restore.applied:
            # Parts come in order; one that was applied before is simply taken note of.
            is_known = request.index < restore.applied
            return wire.ApplyChunkResponse(
                result=ApplyChunkResult.ACCEPT if is_known else ApplyChunkResult.RETRY_SNAPSHOT
            )
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(disk, restore.apply, request.chunk)
        except SnapshotInvalid as error:
            _log.warning("part refused", index=request.index, reason=str(error))
            return wire.ApplyChunkResponse(
                result=ApplyChunkResult.RETRY,
                refetch_chunks=[request.index],
                reject_senders=[request.sender] if request.sender else [],
            )
        if restore.applied < self._chunks:
            return wire.ApplyChunkResponse(result=ApplyChunkResult.ACCEPT)
        self._restore = None
        try:
            await loop.run_in_executor(disk, restore.finish)
        except SnapshotInvalid as error:
            _log.warning("snapshot refused", reason=str(error))
            return wire.ApplyChunkResponse(result=ApplyChunkResult.REJECT_SNAPSHOT)
        self._is_restored = True
        return wire.ApplyChunkResponse(result=ApplyChunkResult.ACCEPT)
