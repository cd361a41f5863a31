"""The state machine behind the application port.

`finalize_block` computes and keeps the result in memory; `commit` persists state, tree, history, receipts
and position in one atomic batch. Until then nothing of the block exists, so an engine may drop it and start
again. What is on disk is always exactly one height.

Replicated and pure: no clock, no I/O of its own. Signatures are checked by the `Verifier` it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from careledger import __version__
from careledger.ledger.errors import DUPLICATE
from careledger.ledger.execution import (
    ActiveModules,
    BlockExecution,
    Limits,
    Prepared,
    check_expiry,
    prepare,
    select_active,
)
from careledger.ledger.genesis import read_genesis, write_genesis_state
from careledger.ledger.meta import (
    POSITION_KEY,
    Position,
    decode_position,
)
from careledger.ledger.migration import run_migrations
from careledger.ledger.persistence import (
    add_genesis,
    build_block_batch,
    build_position_batch,
    move_position,
)
from careledger.ledger.port import (
    CheckTxResponse,
    CommitResponse,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    InitChainRequest,
    InitChainResponse,
    TxResult,
)
from careledger.ledger.seen import SeenBlock, minute_of, seen_key
from careledger.ledger.verification import Verifier
from careledger.primitives.codec import encode
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.sdk.context import StateReader
from careledger.sdk.module import Module, ValidatorUpdate
from careledger.state.overlay import Overlay
from careledger.state.store import (
    META,
    SEEN,
    Reader,
    Tables,
    TableView,
    WriteBatch,
)
from careledger.state.tree import BucketTree, TreeUpdate

APP_VERSION = 1
_PREPARED_MAX = 100_000


class Governance(Protocol):
    """What the application asks the governance module."""

    def active_versions(self, store: StateReader, height: int) -> Mapping[str, int]:
        """Module name -> version active at the height."""

    def limits(self, store: StateReader) -> Limits:
        """Limits in force."""

    def validators(self, store: StateReader) -> tuple[ValidatorUpdate, ...]:
        """The validator set."""


@dataclass(slots=True)
class _Pending:
    """A computed block that is not yet persistent."""

    position: Position
    batch: WriteBatch
    tree_update: TreeUpdate | None
    receipts: tuple[bytes, ...]
    """Encoded receipts, in the block's order."""


class Application:
    """One replica of the ledger."""

    def __init__(
        self,
        *,
        tables: Tables,
        tree: BucketTree,
        modules: Sequence[Module],
        governance: Governance,
        verifier: Verifier,
    ) -> None:
        self._tables = tables
        self._tree = tree
        self._available = {(module.name, module.version): module for module in modules}
        self._governance = governance
        self._verifier = verifier
        self._pending: _Pending | None = None
        self._prepared: dict[bytes, tuple[ActiveModules, Prepared]] = {}
        self._active: ActiveModules | None = None
        self._limits: Limits | None = None
        self._position = self._load_position()
        if self._position is not None:
            self._refresh()

    # -- Info and genesis ------------------------------------------------------------------------------

    @property
    def position(self) -> Position:
        """Where the ledger stands.

        Raises:
            InvariantViolated: There was no genesis yet.
        """
        if self._position is None:
            raise InvariantViolated("the ledger has no genesis yet")
        return self._position

    @property
    def is_initialised(self) -> bool:
        """Whether there was a genesis."""
        return self._position is not None

    @property
    def limits(self) -> Limits:
        """Limits in force after the last block."""
        if self._limits is None:
            raise InvariantViolated("the ledger has no genesis yet")
        return self._limits

    @property
    def active(self) -> ActiveModules:
        """Modules active in the next block."""
        if self._active is None:
            raise InvariantViolated("the ledger has no genesis yet")
        return self._active

    def info(self) -> InfoResponse:
        """Say which block was committed last, so that the engine replays the rest."""
        position = self._position
        return InfoResponse(
            data="careledger",
            version=__version__,
            app_version=APP_VERSION,
            last_block_height=position.height if position else 0,
            last_block_app_hash=position.app_hash if position else b"",
        )

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        """Write the genesis state, durably, as history leaf 0.

        Raises:
            ValueError: The genesis document is malformed, or for another ledger.
            LookupError: It activates a module version that this release does not have.
        """
        document = read_genesis(request.app_state)
        if document.chain_id != request.chain_id:
            raise ValueError("the genesis document is for another ledger")
        batch = WriteBatch()
        with self._tables.snapshot() as reader:
            overlay = Overlay(TableView(reader))
            write_genesis_state(document, overlay, self._available, batch)
            validators = self._governance.validators(overlay)
            update = self._tree.compute(overlay.changes(), reader, 0)
        position = add_genesis(batch, document, update, initial_height=request.initial_height)
        self._tables.write(batch)
        self._tree.install(update)
        self._position = position
        self._refresh()
        return InitChainResponse(validators=validators or request.validators, app_hash=position.app_hash)

    # -- Before a block --------------------------------------------------------------------------------

    def prepare_transaction(self, raw: bytes, *, now_ms: int) -> Prepared:
        """Make the checks of admission, all but the signatures, and keep the result for the block.

        Raises:
            Rejected: The transaction would be refused by any block made now.
        """
        prepared = prepare(raw, active=self.active, chain_id=self.position.chain_id, limits=self.limits)
        content = prepared.transaction.content
        check_expiry(content.expires_at_ms, now_ms=now_ms, limits=self.limits)
        with self._tables.snapshot() as reader:
            if reader.get(SEEN, seen_key(minute_of(content.expires_at_ms), prepared.transaction.tx_id)):
                raise Rejected(DUPLICATE)
        self._prepared[raw] = (self.active, prepared)
        if len(self._prepared) > _PREPARED_MAX:
            # The oldest goes: an engine may never bring it into a block.
            del self._prepared[next(iter(self._prepared))]
        return prepared

    def forget_prepared(self, raw: bytes) -> None:
        """Drop what was kept for a transaction that will not come into a block."""
        self._prepared.pop(raw, None)

    def check_tx(self, raw: bytes, *, now_ms: int) -> CheckTxResponse:
        """Say whether a transaction may wait in the pool, signatures included."""
        try:
            prepared = self.prepare_transaction(raw, now_ms=now_ms)
        except Rejected as rejection:
            return CheckTxResponse(
                code=rejection.code.number, codespace=rejection.code.module, log=str(rejection)
            )
        if not self._verifier.verify([prepared.transaction])[0]:
            self._prepared.pop(raw, None)
            return CheckTxResponse(code=6, codespace="ledger", log="a signature does not stand")
        return CheckTxResponse(code=0)

    def prepare_proposal(self, txs: Sequence[bytes], *, bytes_max: int) -> list[bytes]:
        """Choose, in their order, the transactions that fit into one block."""
        chosen, bytes_left = [], min(bytes_max, self.limits.block_bytes_max)
        operations_left = self.limits.operations_per_block_max
        for raw in txs:
            cached = self._prepared.get(raw)
            operations = cached[1].operations if cached else 1
            if len(raw) > bytes_left or operations > operations_left:
                break
            chosen.append(raw)
            bytes_left -= len(raw)
            operations_left -= operations
        return chosen

    def process_proposal(self, txs: Sequence[bytes]) -> bool:
        """Accept any block that contains only well-formed transactions within the limits.

        Whether they succeed is not looked at: a proposer cannot know, and rejecting costs liveness.
        """
        if sum(len(raw) for raw in txs) > self.limits.block_bytes_max:
            return False
        return not any(isinstance(prepared, Rejected) for prepared in map(self._prepare_again, txs))

    # -- A block ---------------------------------------------------------------------------------------

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        """Compute a decided block; nothing is persistent before `commit`.

        Raises:
            InvariantViolated: The engine and the application are not at the same height.
        """
        before = self.position
        if request.height != before.height + 1:
            raise InvariantViolated(f"block {request.height} follows {before.height}")
        if not request.txs:
            after = move_position(before, height=request.height, time_ms=request.time_ms)
            self._pending = _Pending(after, build_position_batch(after), None, ())
            return FinalizeBlockResponse(tx_results=(), app_hash=after.app_hash)
        with self._tables.snapshot() as reader:
            execution, updates = self._execute(reader, request)
            changes = execution.overlay.changes()
            tree_update = self._tree.compute(changes, reader, request.height)
            encoded = tuple(encode(receipt) for receipt in execution.receipts)
            after, batch = build_block_batch(
                reader,
                before=before,
                request=request,
                execution=execution,
                encoded=encoded,
                tree_update=tree_update,
                limits=self.limits,
            )
        self._pending = _Pending(after, batch, tree_update, encoded)
        return FinalizeBlockResponse(
            tx_results=tuple(
                TxResult(
                    code=receipt.code,
                    data=receipt.data,
                    gas_used=receipt.operations,
                    codespace=str(receipt.module),
                    log=log,
                )
                for receipt, log in zip(execution.receipts, execution.logs, strict=True)
            ),
            app_hash=after.app_hash,
            validator_updates=updates,
        )

    def commit(self, also: WriteBatch | None = None) -> CommitResponse:
        """Persist the finalized block, and the engine's own rows with it, in one atomic batch.

        Raises:
            InvariantViolated: No block was finalized.
            StorageFailed: The disk refused; fatal.
        """
        pending = self._pending
        if pending is None:
            raise InvariantViolated("there is no finalized block to commit")
        batch = pending.batch
        if also is not None:
            for table, changes in also.changes.items():
                batch.update(table, changes)
        self._tables.write(batch)
        if pending.tree_update is not None:
            self._tree.install(pending.tree_update)
        self._pending = None
        self._position = pending.position
        if pending.receipts:
            self._refresh()
        return CommitResponse(retain_height=0)

    def pending_receipts(self) -> tuple[bytes, ...]:
        """Encoded receipts of the finalized block, for the engine's answers after commit."""
        return self._pending.receipts if self._pending else ()

    def pending_position(self) -> Position:
        """Position that `commit` will make durable, for the engine's header."""
        if self._pending is None:
            raise InvariantViolated("there is no finalized block")
        return self._pending.position

    # -- Inside ----------------------------------------------------------------------------------------

    def _execute(
        self, reader: Reader, request: FinalizeBlockRequest
    ) -> tuple[BlockExecution, tuple[ValidatorUpdate, ...]]:
        overlay = Overlay(TableView(reader))
        seen = SeenBlock(overlay, lambda key: reader.get(SEEN, key) is not None)
        execution = BlockExecution(
            overlay=overlay,
            seen=seen,
            active=self.active,
            limits=self.limits,
            chain_id=self.position.chain_id,
            height=request.height,
            time_ms=request.time_ms,
        )
        prepared = [self._prepare_again(raw) for raw in request.txs]
        signed = iter(
            self._verifier.verify([one.transaction for one in prepared if isinstance(one, Prepared)])
        )
        for raw, one in zip(request.txs, prepared, strict=True):
            execution.run(raw, one, is_signed=isinstance(one, Prepared) and next(signed))
            self._prepared.pop(raw, None)
        seen.finish(overlay, request.time_ms)
        run_migrations(overlay, self.active, request.height)
        updates: list[ValidatorUpdate] = []
        for module in self.active.modules:
            if module.end_block is not None:
                updates.extend(module.end_block(execution.block_context()))
        return execution, tuple(updates)

    def _prepare_again(self, raw: bytes) -> Prepared | Rejected:
        cached = self._prepared.get(raw)
        if cached is not None and cached[0] is self._active:
            return cached[1]
        try:
            return prepare(raw, active=self.active, chain_id=self.position.chain_id, limits=self.limits)
        except Rejected as rejection:
            return rejection

    def _load_position(self) -> Position | None:
        with self._tables.snapshot() as reader:
            raw = reader.get(META, POSITION_KEY)
        return None if raw is None else decode_position(raw)

    def _refresh(self) -> None:
        """Read what the next block runs under."""
        height = self.position.height + 1
        with self._tables.snapshot() as reader:
            view = TableView(reader)
            versions = self._governance.active_versions(view, height)
            self._limits = self._governance.limits(view)
        current = self._active
        if current is None or {m.name: m.version for m in current.modules} != dict(versions):
            self._active = select_active(self._available, versions)
