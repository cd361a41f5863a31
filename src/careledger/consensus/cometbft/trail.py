"""The trail of headers: what a node keeps so that evidence made on it can be checked by anybody, for ever.

After each block the engine is asked for its header and commit; they are written with the next block's batch, so
they cost no sync of their own, and what is missing after a kill is asked for again (the engine keeps every block).
From the newest one comes the checkpoint that evidence stands on. A change of the validator set is kept with the
header that hands over.

Owns the table `headers` on a network, and the record of changes. Trusts the engine's JSON no further than the
votes in it: a header without a quorum is not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from careledger.consensus.cometbft.engine_json import (
    AnswerUnusable,
    Json,
    read_signed_header,
    read_validators,
)
from careledger.consensus.cometbft.header import HeaderInvalid, SignedHeader, Validator, verify_commit
from careledger.consensus.cometbft.light import ValidatorChange, build_checkpoint
from careledger.consensus.cometbft.rpc import EngineRefused, EngineUnreachable
from careledger.ledger.checkpoint import SignedCheckpoint, parse_note
from careledger.ledger.meta import Position, height_key
from careledger.primitives.codec import decode_list, encode
from careledger.state.store import HEADERS, META, Tables, WriteBatch

_CHANGES_KEY = b"comet.validator_changes"
_CHECKPOINT_KEY = b"comet.checkpoint"
_ROOTS_MAX = 256
_UNWRITTEN_MAX = 1_000
_RETRY_S = 0.2
_PAGE = 100

_log = structlog.get_logger(__name__)


class Rpc(Protocol):
    """Calls to the engine."""

    async def call(self, method: str, **parameters: object) -> Json:
        """Make one call.

        Raises:
            EngineUnreachable: There was no answer.
            EngineRefused: The answer is an error.
        """


class HeaderTrail:
    """Follows one engine's headers."""

    def __init__(self, tables: Tables, rpc: Rpc) -> None:
        self._tables = tables
        self._rpc = rpc
        self._roots: dict[int, tuple[int, bytes]] = {}
        self._unwritten: dict[int, SignedHeader] = {}
        self._committed = asyncio.Event()
        self._height = 0
        self._validators: dict[bytes, tuple[Validator, ...]] = {}
        self._changes: list[ValidatorChange] = []
        self._new_changes = False
        self._checkpoint: SignedCheckpoint | None = None
        self._next = 1
        self._task: asyncio.Task[None] | None = None
        self.listeners: list[Callable[[SignedCheckpoint], None]] = []
        """Told of every new checkpoint."""

    @property
    def checkpoint(self) -> SignedCheckpoint | None:
        """Newest checkpoint that validators vouch for; it covers the block before the newest header."""
        return self._checkpoint

    @property
    def changes(self) -> tuple[ValidatorChange, ...]:
        """Changes of the validator set that this node has seen."""
        return tuple(self._changes)

    def open(self, position: Position) -> None:
        """Read what was kept, and begin to follow; called again after a restored snapshot."""
        with self._tables.snapshot() as reader:
            raw = reader.get(META, _CHANGES_KEY)
            self._changes = decode_list(raw, ValidatorChange) if raw else []
            note = reader.get(META, _CHECKPOINT_KEY)
            self._checkpoint = parse_note(note.decode()) if note else None
            newest = next(reader.scan(HEADERS, b"", None, reverse=True), None)
        self._next = int.from_bytes(newest[0], "big") + 1 if newest else 1
        self._note(position)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def committed(self, position: Position) -> None:
        """Go on to the header of a block that is durable here."""
        self._note(position)

    def rows(self) -> WriteBatch:
        """Headers that are not yet written, to go with the next block."""
        batch = WriteBatch()
        for height, signed in self._unwritten.items():
            batch.put(HEADERS, height_key(height), encode(signed))
        self._unwritten.clear()
        if self._new_changes:
            batch.put(META, _CHANGES_KEY, encode(self._changes))
            self._new_changes = False
        if self._checkpoint is not None:
            batch.put(META, _CHECKPOINT_KEY, self._checkpoint.note().encode())
        return batch

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _note(self, position: Position) -> None:
        self._roots[position.height] = (position.frontier.size, position.frontier.root())
        while len(self._roots) > _ROOTS_MAX:
            del self._roots[next(iter(self._roots))]
        self._height = position.height
        self._committed.set()

    async def _follow(self) -> None:
        while True:
            await self._committed.wait()
            self._committed.clear()
            while self._next <= self._height and len(self._unwritten) < _UNWRITTEN_MAX:
                try:
                    await self._fetch(self._next)
                except EngineUnreachable:
                    await asyncio.sleep(_RETRY_S)
                except EngineRefused:
                    await self._skip()
                except (AnswerUnusable, HeaderInvalid, ValueError) as error:
                    _log.error("header not kept", height=self._next, reason=str(error))
                    self._next += 1
                else:
                    self._next += 1

    async def _fetch(self, height: int) -> None:
        signed = read_signed_header(await self._rpc.call("commit", height=str(height)))
        header = signed.header
        validators = await self._known_validators(header.validators_hash, height)
        verify_commit(signed, header.chain_id, validators)
        if header.next_validators_hash != header.validators_hash:
            after = await self._known_validators(header.next_validators_hash, height + 1)
            self._changes.append(ValidatorChange(signed, after))
            self._new_changes = True
        self._unwritten[height] = signed
        root = self._roots.get(height - 1)
        if root is None:
            return
        self._checkpoint = build_checkpoint(
            size=root[0], root=root[1], signed=signed, changes=tuple(self._changes)
        )
        for listener in self.listeners:
            listener(self._checkpoint)

    async def _known_validators(self, set_hash: bytes, height: int) -> tuple[Validator, ...]:
        known = self._validators.get(set_hash)
        if known is not None:
            return known
        found: list[Validator] = []
        total, page = 1, 1
        while len(found) < total:
            answer = await self._rpc.call(
                "validators", height=str(height), page=str(page), per_page=str(_PAGE)
            )
            some, total = read_validators(answer)
            if not some:
                raise AnswerUnusable("a page of validators is empty")
            found += some
            page += 1
        self._validators[set_hash] = tuple(found)
        return self._validators[set_hash]

    async def _skip(self) -> None:
        """Pass over heights that the engine does not have, such as those before a restored snapshot."""
        try:
            status = await self._rpc.call("status")
            earliest = int(status["sync_info"]["earliest_block_height"])
        except (EngineUnreachable, EngineRefused, KeyError, TypeError, ValueError):
            earliest = 0
        if earliest > self._next:
            self._next = earliest
        else:
            await asyncio.sleep(_RETRY_S)
