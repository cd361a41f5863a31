"""The application port behind the engine's requests: one method for each kind of request.

Owns the translation between wire types and the port, the remembering of signature results from a check to the
block, and the restoring of snapshots. The rules of the port hold here as well: a decided block is computed by
`finalize_block` and made durable by `commit` alone, so the application is never ahead of what it answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.abci_server import Answer, Handler, encode_response
from careledger.consensus.cometbft.abci_snapshots import SnapshotRequests
from careledger.consensus.cometbft.parts import BlockListener, Misbehaviour, NodeParts
from careledger.consensus.workers import VerifierPool
from careledger.ledger.application import Application
from careledger.ledger.errors import BAD_SIGNATURE, NOT_FOUND, UNKNOWN_QUERY
from careledger.ledger.port import FinalizeBlockRequest, FinalizeBlockResponse, InitChainRequest
from careledger.ledger.restoring import discard_restore
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import encode
from careledger.primitives.errors import Code, InvariantViolated, Rejected
from careledger.primitives.hashing import sha256
from careledger.sdk.module import ValidatorUpdate
from careledger.state.store import STATE, TableView

_ACCEPT, _REJECT = 1, 2
ACCEPTED: Answer = encode_response(wire.Response(check_tx=wire.TxResult(code=0)))
NANOSECONDS_PER_MS = 1_000_000


class AbciApplication:
    """Answers the engine with one application."""

    def __init__(
        self,
        parts: NodeParts,
        *,
        workers: VerifierPool,
        listener: BlockListener,
        snapshots: SnapshotRequests,
        clock_ms: Callable[[], int],
        disk: Executor | None = None,
    ) -> None:
        """Open the application; what an interrupted restoring left behind is removed first.

        Args:
            parts: the replica.
            workers: check signatures.
            listener: goes along with the blocks.
            snapshots: answers about snapshots.
            clock_ms: the local clock, for admission.
            disk: runs what waits for the disk; a thread of its own unless given.
        """
        self._parts = parts
        self._workers = workers
        self._listener = listener
        self._snapshots = snapshots
        self._clock_ms = clock_ms
        self._disk = disk or ThreadPoolExecutor(1, thread_name_prefix="ledger-commit")
        self._decided: FinalizeBlockRequest | None = None
        self._waiting: dict[bytes, None] = {}
        discard_restore(parts.tables)
        self._application = parts.open_application()
        if self._application.is_initialised:
            listener.opened(self._application)

    @property
    def application(self) -> Application:
        """The application as it is now."""
        return self._application

    def handlers(self) -> dict[str, Handler]:
        """Handlers by the name of the request's kind."""
        return {
            "info": self.info,
            "init_chain": self.init_chain,
            "query": self.query,
            "check_tx": self.check_tx,
            "prepare_proposal": self.prepare_proposal,
            "process_proposal": self.process_proposal,
            "extend_vote": self.extend_vote,
            "verify_vote_extension": self.verify_vote_extension,
            "finalize_block": self.finalize_block,
            "commit": self.commit,
            "list_snapshots": self._snapshots.list_snapshots,
            "load_snapshot_chunk": self._snapshots.load_snapshot_chunk,
            "offer_snapshot": self.offer_snapshot,
            "apply_snapshot_chunk": self.apply_snapshot_chunk,
        }

    def close(self) -> None:
        """Wait for the commit under way and release the disk thread."""
        self._disk.shutdown(wait=True)

    # -- Start -----------------------------------------------------------------------------------------

    def info(self, request: wire.InfoRequest) -> Answer:
        """Say which block was committed last."""
        del request
        info = self._application.info()
        return encode_response(
            wire.Response(
                info=wire.InfoResponse(
                    data=info.data,
                    version=info.version,
                    app_version=info.app_version,
                    last_block_height=info.last_block_height,
                    last_block_app_hash=info.last_block_app_hash,
                )
            )
        )

    def init_chain(self, request: wire.InitChainRequest) -> Answer:
        """Apply genesis; the second time, after a kill between it and the first block, say the same again.

        Raises:
            ValueError: The engine's genesis is not that of the ledger.
            InvariantViolated: The ledger is beyond its genesis.
        """
        application = self._application
        if not application.is_initialised:
            application.init_chain(
                InitChainRequest(
                    chain_id=request.chain_id,
                    time_ms=_time_ms(request.time),
                    initial_height=request.initial_height,
                    validators=_validators_of(request.validators),
                    app_state=request.app_state,
                )
            )
            self._listener.opened(application)
        position = application.position
        if position.height != request.initial_height - 1:
            raise InvariantViolated("the engine begins anew with a ledger that is beyond its genesis")
        if position.chain_id != request.chain_id or position.time_ms != _time_ms(request.time):
            raise ValueError("the engine's genesis is not that of the ledger")
        validators = self._validators() or _validators_of(request.validators)
        answer = wire.InitChainResponse(validators=_changes(validators), app_hash=position.app_hash)
        return encode_response(wire.Response(init_chain=answer))

    def _validators(self) -> tuple[ValidatorUpdate, ...]:
        with self._parts.tables.snapshot() as reader:
            return self._parts.governance.validators(TableView(reader))

    # -- Before a block --------------------------------------------------------------------------------

    def check_tx(self, request: wire.CheckRequest) -> Answer | asyncio.Future[Answer]:
        """Say whether a transaction may wait in the pool; its signatures are checked beside the loop."""
        raw = request.tx
        try:
            prepared = self._application.prepare_transaction(raw, now_ms=self._clock_ms())
        except Rejected as rejection:
            return self._refuse(raw, rejection)
        self._waiting[raw] = None
        transaction = prepared.transaction
        known = self._parts.cache.get(transaction.raw_hash)
        if known is not None:
            return ACCEPTED if known else self._refuse(raw, Rejected(BAD_SIGNATURE))
        check = self._workers.verify(transaction)
        answer: asyncio.Future[Answer] = check.get_loop().create_future()
        check.add_done_callback(lambda done: self._checked(done, raw, transaction.raw_hash, answer))
        return answer

    def _checked(
        self, check: asyncio.Future[bool], raw: bytes, raw_hash: bytes, answer: asyncio.Future[Answer]
    ) -> None:
        if answer.cancelled():
            return
        if check.cancelled():
            answer.cancel()
        elif (error := check.exception()) is not None:
            answer.set_exception(error)
        else:
            self._parts.cache.put(raw_hash, check.result())
            answer.set_result(ACCEPTED if check.result() else self._refuse(raw, Rejected(BAD_SIGNATURE)))

    def _refuse(self, raw: bytes, rejection: Rejected) -> Answer:
        self._waiting.pop(raw, None)
        self._application.forget_prepared(raw)
        self._listener.refused(raw, rejection)
        code = rejection.code
        result = wire.TxResult(code=code.number, codespace=code.module, log=code.slug)
        return encode_response(wire.Response(check_tx=result))

    def prepare_proposal(self, request: wire.PrepareRequest) -> Answer:
        """Choose what goes into a block.

        A transaction that was well-formed when it came may be so no more after a vote has taken effect; it is
        left out, since every validator would refuse the block that carries it.
        """
        application = self._application
        well_formed = [raw for raw in request.txs if application.process_proposal((raw,))]
        chosen = application.prepare_proposal(well_formed, bytes_max=request.bytes_max)
        return encode_response(wire.Response(prepare_proposal=wire.PrepareResponse(txs=chosen)))

    def process_proposal(self, request: wire.ProcessRequest) -> Answer:
        """Accept any block that contains only well-formed transactions."""
        txs = tuple(request.txs)
        is_accepted = self._application.process_proposal(txs)
        if is_accepted:
            self._check_ahead(txs)
        status = _ACCEPT if is_accepted else _REJECT
        return encode_response(wire.Response(process_proposal=wire.ProcessResponse(status=status)))

    def _check_ahead(self, txs: tuple[bytes, ...]) -> None:
        """Have signatures checked that came with the proposal first, while the votes are under way."""
        cache = self._parts.cache
        for raw in txs:
            raw_hash = sha256(raw)
            if cache.get(raw_hash) is None:
                check = self._workers.verify(decode_transaction(raw))
                check.add_done_callback(partial(self._checked_ahead, raw_hash))

    def _checked_ahead(self, raw_hash: bytes, check: asyncio.Future[bool]) -> None:
        # A check that failed here is made again, and reported, when the block is computed.
        if not check.cancelled() and check.exception() is None:
            self._parts.cache.put(raw_hash, check.result())

    def extend_vote(self, request: wire.ExtendRequest) -> Answer:
        """Add nothing: vote extensions are not enabled."""
        del request
        return encode_response(wire.Response(extend_vote=wire.ExtendResponse()))

    def verify_vote_extension(self, request: wire.VerifyExtensionRequest) -> Answer:
        """Accept nothing but an empty extension."""
        status = _REJECT if request.extension else _ACCEPT
        return encode_response(
            wire.Response(verify_vote_extension=wire.VerifyExtensionResponse(status=status))
        )

    # -- A block ---------------------------------------------------------------------------------------

    def finalize_block(self, request: wire.FinalizeRequest) -> Answer:
        """Compute a decided block; nothing of it is durable before `commit`."""
        if request.misbehaviour:
            self._listener.accused(
                [
                    Misbehaviour(each.kind, each.validator.address, each.height, _time_ms(each.time))
                    for each in request.misbehaviour
                ]
            )
        decided = FinalizeBlockRequest(
            height=request.height,
            time_ms=_time_ms(request.time),
            txs=tuple(request.txs),
            block_hash=request.hash,
            proposer=request.proposer,
        )
        response = self._application.finalize_block(decided)
        self._decided = decided
        return encode_response(wire.Response(finalize_block=self._finalized(response)))

    def _finalized(self, response: FinalizeBlockResponse) -> wire.FinalizeResponse:
        updates = response.validator_updates
        if any(update.power == 0 for update in updates):
            # The engine halts when told to remove a validator that it never had, such as one that was voted
            # in and out within one block.
            known = [validator.public_key for validator in self._validators()]
            updates = tuple(update for update in updates if update.power or update.public_key in known)
        result = wire.TxResult
        return wire.FinalizeResponse(
            tx_results=[
                result(
                    code=each.code,
                    data=each.data,
                    log=each.log,
                    gas_used=each.gas_used,
                    codespace=each.codespace,
                )
                for each in response.tx_results
            ],
            validator_updates=_changes(updates),
            app_hash=response.app_hash,
        )

    def commit(self, request: wire.EmptyRequest) -> asyncio.Future[Answer]:
        """Make the computed block durable; meanwhile the loop goes on checking transactions."""
        del request
        return asyncio.get_running_loop().create_task(self._commit())

    async def _commit(self) -> Answer:
        decided, application = self._decided, self._application
        if decided is None:
            raise InvariantViolated("there is no decided block to commit")
        receipts = application.pending_receipts()
        rows = self._listener.rows(decided)
        limits = application.limits
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._disk, application.commit, rows)
        self._decided = None
        for raw in decided.txs:
            self._waiting.pop(raw, None)
            self._parts.cache.forget(sha256(raw))
        if not decided.txs:
            # An activation can fall due at a height without transactions; a replica that goes on must then run
            # the same versions as one that starts there. `Application.commit` looks only after transactions.
            application._refresh()  # noqa: SLF001 - the application has no public way to look again
        if application.limits != limits:
            # What was well-formed under other limits must be looked at again, on this node as on those that
            # have never seen it; otherwise they would come to different outcomes.
            for raw in self._waiting:
                application.forget_prepared(raw)
        self._listener.committed(decided, receipts)
        await self._snapshots.after_commit(decided.height)
        return encode_response(
            wire.Response(commit=wire.CommitResponse(retain_height=response.retain_height))
        )

    # -- Snapshots -------------------------------------------------------------------------------------

    def offer_snapshot(self, request: wire.OfferRequest) -> Answer:
        """Take or refuse a snapshot that a peer has."""
        return self._snapshots.offer_snapshot(request, is_empty=not self._application.is_initialised)

    def apply_snapshot_chunk(self, request: wire.ApplyChunkRequest) -> asyncio.Future[Answer]:
        """Apply one part; the last one opens the application anew over what was restored."""
        return asyncio.get_running_loop().create_task(self._apply(request))

    async def _apply(self, request: wire.ApplyChunkRequest) -> Answer:
        answer = await self._snapshots.apply_snapshot_chunk(request, self._disk)
        if self._snapshots.take_restored():
            self._application = self._parts.open_application()
            self._listener.opened(self._application)
        return answer

    # -- Queries ---------------------------------------------------------------------------------------

    def query(self, request: wire.QueryRequest) -> Answer:
        """Answer `/state` with the value under a key, and `/position` with where the ledger stands."""
        if not self._application.is_initialised:
            return _query_refused(NOT_FOUND)
        position = self._application.position
        if request.path == "/position":
            value = encode(position)
        elif request.path == "/state":
            with self._parts.tables.snapshot() as reader:
                found = reader.get(STATE, request.data) if request.data else None
            if found is None:
                return _query_refused(NOT_FOUND)
            value = found
        else:
            return _query_refused(UNKNOWN_QUERY)
        answer = wire.QueryResponse(code=0, key=request.data, value=value, height=position.height)
        return encode_response(wire.Response(query=answer))


def _query_refused(code: Code) -> Answer:
    answer = wire.QueryResponse(code=code.number, codespace=code.module, log=code.slug)
    return encode_response(wire.Response(query=answer))


def _time_ms(time: wire.Time) -> int:
    """Milliseconds of a wire time, rounded down: the same on every node."""
    return time.seconds * 1_000 + time.nanos // NANOSECONDS_PER_MS


def _changes(updates: Iterable[ValidatorUpdate]) -> list[wire.ValidatorChange]:
    return [
        wire.ValidatorChange(public_key=wire.PublicKey(ed25519=update.public_key), power=update.power)
        for update in updates
    ]


def _validators_of(changes: Iterable[wire.ValidatorChange]) -> tuple[ValidatorUpdate, ...]:
    return tuple(ValidatorUpdate(change.public_key.ed25519, change.power) for change in changes)
