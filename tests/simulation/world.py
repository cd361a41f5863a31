"""A seeded world of replicas: real applications in memory, a scheduler, kills at every write, replays, snapshots.

The world plays the engine towards several applications, by the rules of the engine: blocks are decided once and
stored before they are executed; an application that comes up says where it stands and is given what it missed; it
must never be ahead of the stored blocks nor come to another hash. Everything that happens follows from the seed.

What a kill leaves is what a process leaves: tables as last written, nodes as far as they came, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import (
    Action,
    ActivateModule,
    ChangeValidator,
    Outcome,
    SetParameters,
)
from careledger.domains.records.chain import keeper as records_keeper
from careledger.ledger.meta import TABLES
from careledger.ledger.port import ApplyChunkResult, OfferSnapshotResult
from careledger.ledger.snapshots import SnapshotBuilder, encode_manifest
from careledger.ledger.transaction import Transaction, build_transaction
from careledger.ledger.verification import CachingVerifier, SignatureCache, Verifier, has_valid_signatures
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import sha256
from careledger.sdk.context import StateStore, View
from careledger.sdk.messages import Message
from careledger.sdk.module import Module
from careledger.site.wiring import build_modules
from careledger.state.nodes import NodeBuffer, Stamp
from careledger.state.rebuild import damaged_buckets
from careledger.state.store import TableView, WriteBatch
from careledger.storage.memory_tables import MemoryReader, MemoryTables
from careledger.storage.node_file import NodeFile
from consensus.cometbft.abci_kit import InlineExecutor, Node, Replica
from consensus.cometbft.network_kit import SLUGS, keys_of, network_genesis, organisation_of
from kit.ledgers import BUCKETS_LOG2, CHAIN_ID, START_MS, commit_access, commit_records, seed_of

NEWEST_RELEASE = 2
_SPARE_KEYS = range(4, 10)


class Killed(Exception):  # noqa: N818 - the process is gone
    """Where a process was killed."""


class Diverged(AssertionError):  # noqa: N818 - says what happened
    """Something that must hold does not."""


# -- What survives ---------------------------------------------------------------------------------------------


class Fuse:
    """Kills at the n-th passage, if it is lit."""

    def __init__(self) -> None:
        self.left: int | None = None

    def pass_(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Killed


class MortalTables:
    """Tables whose every write is a place to die, before and after."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._tables = MemoryTables(TABLES)

    def snapshot(self) -> contextlib.AbstractContextManager[MemoryReader]:
        return self._tables.snapshot()

    def write(self, batch: WriteBatch) -> None:
        self._fuse.pass_()
        self._tables.write(batch)
        self._fuse.pass_()

    def close(self) -> None:
        """Nothing is closed: it survives."""


class MortalNodes:
    """Tree nodes whose every write is a place to die."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._nodes = NodeFile.in_memory(buckets_log2=BUCKETS_LOG2)

    @property
    def buckets_log2(self) -> int:
        return self._nodes.buckets_log2

    @property
    def buffer(self) -> NodeBuffer:
        return self._nodes.buffer

    def write_pairs(self, parents: Sequence[int], pairs: Sequence[bytes]) -> None:
        self._fuse.pass_()
        self._nodes.write_pairs(parents, pairs)

    def write_span(self, first: int, hashes: bytes) -> None:
        self._nodes.write_span(first, hashes)

    def clear(self) -> None:
        self._nodes.clear()

    def stamp(self) -> Stamp | None:
        return self._nodes.stamp()

    def set_stamp(self, stamp: Stamp) -> None:
        self._fuse.pass_()
        self._nodes.set_stamp(stamp)
        self._fuse.pass_()


# -- Releases ----------------------------------------------------------------------------------------------------


def migrate_records(store: StateStore, cursor: bytes, keys_max: int) -> bytes | None:
    """A made-up change of layout: marks entries, three a block, so that it takes several blocks."""
    count = 0
    for key, _ in records_keeper.ACCESS_ENTRIES.scan_raw(store):
        if key <= cursor:
            continue
        store.set(b"\x03\xee" + key, b"moved")
        count += 1
        if count >= min(3, keys_max):
            return key
    return None


@lru_cache(maxsize=4)
def modules_of(release: int) -> tuple[Module, ...]:
    """Module versions that a release can run: the second one has a second version of the records module."""
    modules = build_modules()
    if release == 1:
        return modules
    records = next(module for module in modules if module.name == "records")
    return (*modules, replace(records, version=2, migrate=migrate_records))


_checked: dict[bytes, bool] = {}


def check(transaction: Transaction) -> bool:
    """Check signatures, each only once for the whole test run; the answer depends on the bytes alone."""
    known = _checked.get(transaction.raw)
    if known is None:
        known = _checked[transaction.raw] = has_valid_signatures(transaction)
        if len(_checked) > 50_000:
            _checked.clear()
    return known


class RememberingVerifier(CachingVerifier):
    """As the real one, without checking the same bytes again for every replica of every schedule."""

    def verify(self, transactions: Sequence[Transaction]) -> list[bool]:
        results = []
        for transaction in transactions:
            known = self.cache.get(transaction.raw_hash)
            results.append(check(transaction) if known is None else known)
        return results


# -- Replicas ----------------------------------------------------------------------------------------------------


@dataclass
class Member:
    """One replica and its engine's stored blocks."""

    number: int
    fuse: Fuse
    replica: Replica
    node: Node | None = None
    stored: int = 0
    """Blocks that its engine has."""
    release: int = 1
    pool: list[bytes] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Where its application stands."""
        return self.up.position.height

    @property
    def up(self) -> Node:
        if self.node is None:
            raise AssertionError("the replica is down")
        return self.node

    def kill(self) -> None:
        """End the process."""
        self.fuse.left = None
        self.pool.clear()
        if self.node is not None:
            self.node.close()
            self.node = None


@dataclass(frozen=True)
class Block:
    """One decided block."""

    time_ms: int
    txs: tuple[bytes, ...]


@dataclass
class Sabotage:
    """A fault put in on purpose, to see that the world notices."""

    tables: Callable[[Fuse], Any] = MortalTables
    nodes: Callable[[Fuse], Any] = MortalNodes
    verifier: Callable[[SignatureCache], Verifier] = RememberingVerifier
    prepare: Callable[[Node, int], None] = lambda _node, _number: None
    """Done to every node as it comes up."""


class World:
    """Everything that happens under one seed."""

    def __init__(
        self, seed: int, folder: Path, *, replicas: int = 4, sabotage: Sabotage | None = None
    ) -> None:
        self.random = Random(seed)
        self.folder = folder
        self.sabotage = sabotage or Sabotage()
        self.genesis = network_genesis(4, time_ms=START_MS)
        self.now_ms = START_MS
        self.chain: list[Block] = []
        self.outcomes: list[Any] = []
        """What the first replica to execute a block came to."""
        self.hashes: list[bytes] = []
        """Application hash after each height, genesis first."""
        self.validators = {keys_of(number).validator_key for number in range(4)}
        self.snapshots: dict[int, tuple[bytes, list[bytes], bytes]] = {}
        self.submitted: list[bytes] = []
        self.proposals: list[int] = []
        self.counter = 0
        self.told: list[str] = []
        """What happened, for whoever looks into a failure."""
        self.members = [self._member(number) for number in range(replicas)]

    def _member(self, number: int) -> Member:
        fuse = Fuse()
        replica = Replica(
            self.folder / str(number),
            tables=self.sabotage.tables(fuse),
            nodes=self.sabotage.nodes(fuse),
            modules=modules_of(1),
            verifier=self.sabotage.verifier,
            check=check,
        )
        return Member(number, fuse, replica)

    async def run(self, steps: int) -> None:
        """Let so many things happen, then bring everybody up and compare."""
        for member in self.members:
            await self._start(member)
        actions: dict[Callable[[], Any], int] = {
            self._submit: 30,
            self._decide: 22,
            self._execute: 60,
            self._fetch: 14,
            self._kill: 3,
            self._restart: 8,
            self._take_snapshot: 3,
            self._sync_state: 2,
            self._upgrade: 1,
            self._wait: 6,
        }
        try:
            for _ in range(steps):
                (action,) = self.random.choices(list(actions), list(actions.values()))
                await action()
            await self._settle()
            self._compare()
        finally:
            for member in self.members:
                member.kill()

    # -- Happenings ------------------------------------------------------------------------------------------

    def _live(self) -> list[Member]:
        return [member for member in self.members if member.node is not None]

    def _level(self) -> list[Member]:
        """Replicas that have executed everything."""
        return [member for member in self._live() if member.height == len(self.chain)]

    async def _wait(self) -> None:
        self.now_ms += self.random.choice((500, 5_000, 20_000, 70_000, 400_000))

    async def _submit(self) -> None:
        for raw in self._transactions():
            self.submitted.append(raw)
            for member in self._live():
                if self.random.random() < 0.6:
                    member.up.now_ms = self.now_ms
                    if await member.up.check(raw) == "":
                        member.pool.append(raw)

    def _transactions(self) -> list[bytes]:
        """One idea of a client, good or bad."""
        self.counter += 1
        ideas: dict[Callable[[str], list[bytes]], int] = {
            self._good: 6,
            self._batch: 1,
            self._twins: 2,
            self._again: 1,
            self._unauthorised: 1,
            self._with_permit: 3,
            self._short_lived: 2,
            self._votes: 5 if self.proposals else 0,
            self._proposal: 3,
        }
        (idea,) = self.random.choices(list(ideas), list(ideas.values()))
        return idea(self.random.choice(SLUGS[:3]))

    def _good(self, slug: str) -> list[bytes]:
        return [self._signed(commit_access(slug, self.counter), slug)]

    def _batch(self, slug: str) -> list[bytes]:
        return [self._signed(commit_records(slug, 8 * self.counter), slug)]

    def _twins(self, slug: str) -> list[bytes]:
        raw = self._signed(commit_access(slug, self.counter), slug)
        twin = raw[:-1] + bytes((raw[-1] ^ 1,))
        return self.random.sample([raw, twin], 2)

    def _again(self, slug: str) -> list[bytes]:
        return [self.random.choice(self.submitted)] if self.submitted else self._good(slug)

    def _unauthorised(self, slug: str) -> list[bytes]:
        return [self._signed(commit_access(slug, self.counter), "insurer")]

    def _with_permit(self, slug: str) -> list[bytes]:
        return [self._signed(commit_access(slug, self.counter), slug, permit=b"x" * 20)]

    def _short_lived(self, slug: str) -> list[bytes]:
        lasts_ms = self.random.choice((1, 2_000, 30_000))
        return [self._signed(commit_access(slug, self.counter), slug, lasts_ms=lasts_ms)]

    def _votes(self, slug: str) -> list[bytes]:
        del slug
        proposal = self.random.choice(self.proposals[-2:])
        is_approval = self.random.random() < 0.9
        return [
            self._signed(Vote(voter, proposal, is_approval=is_approval), SLUGS[voter - 1], "governance")
            for voter in self.random.sample(range(1, 5), 3)
        ]

    def _proposal(self, slug: str) -> list[bytes]:
        organisation = SLUGS.index(slug) + 1
        return [self._signed(Propose(organisation, self._action()), slug, "governance")]

    def _action(self) -> Action:
        kind = self.random.randrange(6)
        if kind < 3:
            return SetParameters((("permit_bytes_max", self.random.choice((0, 0, 512))),))
        if kind == 3:
            return ActivateModule("records", 2, len(self.chain) + self.random.randrange(2, 9))
        number = self.random.choice(_SPARE_KEYS)
        power = self.random.choice((0, 1, 1))
        return ChangeValidator(keys_of(number).validator_key, power, organisation_of(number))

    def _signed(
        self,
        message: Message,
        slug: str,
        module: str = "records",
        *,
        lasts_ms: int = 300_000,
        permit: bytes = b"",
    ) -> bytes:
        return build_transaction(
            chain_id=CHAIN_ID,
            module=module,
            message=message,
            expires_at_ms=self.now_ms + lasts_ms,
            seeds=[seed_of(slug)],
            permit=permit,
        )

    async def _decide(self) -> None:
        """Have a block proposed, judged and decided; a faulty proposer may put in what it likes."""
        level = self._level()
        if not level:
            await self._fetch()
            await self._execute()
            return
        proposer = self.random.choice(level)
        txs = list(proposer.pool)
        is_faulty = self.random.random() < 0.25
        if is_faulty and self.submitted:
            txs += self.random.choices(self.submitted[-12:], k=5)
            self.random.shuffle(txs)
            if self.random.random() < 0.2:
                txs.insert(0, b"junk")
        else:
            answer = await proposer.up.ask(
                prepare_proposal=wire.PrepareRequest(
                    txs=txs, bytes_max=self.random.choice((600, 4_000, 1 << 22))
                )
            )
            txs = list(answer.txs)
        verdicts = []
        for member in level:
            answer = await member.up.ask(process_proposal=wire.ProcessRequest(txs=txs))
            verdicts.append(answer.status)
        if len(set(verdicts)) > 1:
            raise Diverged(f"verdicts on a proposal differ: {verdicts}")
        if verdicts[0] != 1:
            if not is_faulty:
                raise Diverged("an honest proposal was refused")
            return
        last_ms = self.chain[-1].time_ms if self.chain else START_MS
        lag_ms = self.random.choice((0, 0, 300, 20_000))
        self.chain.append(Block(max(last_ms + 1, self.now_ms - lag_ms), tuple(txs)))
        self.now_ms += self.random.choice((1, 300, 1_000))
        self.told.append(f"block {len(self.chain)} of {len(txs)} by {proposer.number}")
        for member in self._live():
            if member.stored == len(self.chain) - 1 and self.random.random() < 0.9:
                member.stored += 1

    async def _fetch(self) -> None:
        """Let engines that lag behind get blocks from others."""
        for member in self._live():
            if member.stored < len(self.chain):
                member.stored = min(len(self.chain), member.stored + self.random.randrange(1, 4))

    async def _execute(self) -> None:
        for _ in range(self.random.randrange(1, 4)):
            behind = [member for member in self._live() if member.height < member.stored]
            if behind:
                member = self.random.choice(behind)
                if self.random.random() < 0.1:
                    member.fuse.left = self.random.randrange(14)
                await self._execute_next(member)

    async def _execute_next(self, member: Member) -> None:
        height = member.height + 1
        block = self.chain[height - 1]
        try:
            answer = await member.up.finalize(*block.txs, time_ms=block.time_ms)
            self._note_outcome(member, height, answer)
            if self.random.random() < 0.03:
                self.told.append(f"{member.number} killed before the commit of {height}")
                member.kill()
                return
            await member.up.ask(commit=wire.EmptyRequest())
        except Killed:
            self.told.append(f"{member.number} killed within the commit of {height}")
            member.kill()
            return
        except LookupError:
            # The block is durable, and activates a module version that this release does not have.
            self.told.append(f"{member.number} halts at {height}: its release is too old")
            if member.release == NEWEST_RELEASE:
                raise
            member.kill()
            return
        member.fuse.left = None
        taken = set(block.txs)
        member.pool = [raw for raw in member.pool if raw not in taken]

    def _note_outcome(self, member: Member, height: int, answer: Any) -> None:
        outcome = (
            [(each.code, each.data, each.gas_used, each.codespace) for each in answer.tx_results],
            answer.app_hash,
            [(each.public_key.ed25519, each.power) for each in answer.validator_updates],
        )
        if height <= len(self.outcomes):
            if outcome != self.outcomes[height - 1]:
                raise Diverged(f"replica {member.number} comes to another outcome of block {height}")
            return
        if not self.chain[height - 1].txs and answer.app_hash != self.hashes[-1]:
            raise Diverged(f"the empty block {height} changed the application hash")
        self.outcomes.append(outcome)
        self.hashes.append(answer.app_hash)
        for key, power in outcome[2]:
            if power == 0 and key not in self.validators:
                raise Diverged("the engine is told to remove a validator that it never had")
            if power:
                self.validators.add(key)
            else:
                self.validators.discard(key)
        if not self.validators:
            raise Diverged("there is no validator left")
        for code, data, _, _ in outcome[0]:
            if code == 0 and data:
                with contextlib.suppress(ValueError):
                    self.proposals.append(decode(data, Outcome).proposal)

    async def _kill(self) -> None:
        live = self._live()
        if len(live) > 1:
            member = self.random.choice(live)
            self.told.append(f"{member.number} killed at {member.height}")
            member.kill()

    async def _restart(self) -> None:
        down = [member for member in self.members if member.node is None]
        if down:
            await self._start(self.random.choice(down))

    async def _upgrade(self) -> None:
        """Roll one replica over to the new release."""
        old = [member for member in self.members if member.release < NEWEST_RELEASE]
        if old:
            member = self.random.choice(old)
            member.kill()
            self._renew(member)

    def _renew(self, member: Member) -> None:
        member.release = NEWEST_RELEASE
        member.replica.modules = modules_of(NEWEST_RELEASE)

    def _open(self, member: Member) -> Node:
        return Node(member.replica, self.now_ms, disk=InlineExecutor())

    async def _start(self, member: Member) -> None:
        """Bring a process up, and do what the engine does first."""
        try:
            node = self._open(member)
        except LookupError:
            self.told.append(f"{member.number} cannot start: its release is too old")
            self._renew(member)
            node = self._open(member)
        self.sabotage.prepare(node, member.number)
        member.node = node
        info = await node.ask(info=wire.InfoRequest())
        if info.last_block_height == 0:
            begun = await node.begin(self.genesis)
            if not self.hashes:
                self.hashes.append(begun.app_hash)
            if begun.app_hash != self.hashes[0]:
                raise Diverged("another genesis")
            return
        if info.last_block_height > member.stored:
            raise Diverged(f"replica {member.number} is ahead of its engine's blocks")
        if info.last_block_app_hash != self.hashes[info.last_block_height]:
            raise Diverged(f"replica {member.number} comes up with another hash")

    # -- Snapshots -------------------------------------------------------------------------------------------

    async def _take_snapshot(self) -> None:
        live = [member for member in self._live() if member.height]
        if not live:
            return
        member = self.random.choice(live)
        with member.replica.tables.snapshot() as reader:
            builder = SnapshotBuilder(reader)
            chunks = list(builder.chunks())
            height, metadata = builder.position.height, encode_manifest(builder.manifest())
        taken = (metadata, chunks, sha256(metadata))
        if self.snapshots.setdefault(height, taken) != taken:
            raise Diverged(f"snapshots of height {height} differ")

    async def _sync_state(self) -> None:
        """Replace a replica by an empty one that starts from a snapshot, perhaps killed on the way."""
        heights = [height for height in self.snapshots if height <= len(self.chain) - 2]
        if not heights or len(self._live()) < 2:
            return
        height = max(heights)
        member = self.random.choice(self.members)
        release = member.release
        member.kill()
        fresh = self._member(member.number)
        self.members[member.number] = fresh
        if release == NEWEST_RELEASE:
            self._renew(fresh)
        if self.random.random() < 0.5:
            fresh.fuse.left = self.random.randrange(40)
        self.told.append(f"{member.number} starts from the snapshot of {height}")
        try:
            await self._restore(fresh, height)
        except Killed:
            fresh.kill()
            await self._start(fresh)
            return
        except LookupError:
            fresh.kill()
            self._renew(fresh)
            await self._start(fresh)
        fresh.fuse.left = None
        fresh.stored = max(fresh.stored, fresh.height)

    async def _restore(self, member: Member, height: int) -> None:
        metadata, chunks, snapshot_hash = self.snapshots[height]
        member.stored = height
        node = member.node = self._open(member)
        self.sabotage.prepare(node, member.number)
        offer = wire.SnapshotOffer(
            height=height, format=1, chunks=len(chunks), hash=snapshot_hash, metadata=metadata
        )
        answer = await node.ask(
            offer_snapshot=wire.OfferRequest(snapshot=offer, app_hash=self.hashes[height])
        )
        if answer.result != OfferSnapshotResult.ACCEPT:
            raise Diverged("an honest snapshot was refused")
        for index, chunk in enumerate(chunks):
            answer = await node.ask(apply_snapshot_chunk=wire.ApplyChunkRequest(index=index, chunk=chunk))
            if answer.result != ApplyChunkResult.ACCEPT:
                raise Diverged("a part of an honest snapshot was refused")
        info = await node.ask(info=wire.InfoRequest())
        if (info.last_block_height, info.last_block_app_hash) != (height, self.hashes[height]):
            raise Diverged("a restored replica stands elsewhere than its snapshot")

    # -- The end ---------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        for member in self.members:
            member.fuse.left = None
            for _ in range(3 * len(self.chain) + 10):
                if member.node is None:
                    await self._start(member)
                member.stored = len(self.chain)
                if member.height == len(self.chain):
                    break
                await self._execute_next(member)

    def _compare(self) -> None:
        """Check that every replica stands at the same place, and that the place makes sense."""
        positions = {
            (member.height, member.up.position.app_hash, member.up.position.state_root)
            for member in self.members
        }
        if len(positions) != 1 or next(iter(positions))[:2] != (len(self.chain), self.hashes[-1]):
            raise Diverged(f"replicas stand at {len(positions)} different places")
        for member in self.members:
            with member.replica.tables.snapshot() as reader:
                if list(damaged_buckets(reader, BUCKETS_LOG2)):
                    raise Diverged(f"the buckets of replica {member.number} are not those of its values")
        member = self.members[0]
        with member.replica.tables.snapshot() as reader:
            position = member.up.position
            view = View(
                store=TableView(reader),
                chain_id=position.chain_id,
                height=position.height,
                time_ms=position.time_ms,
            )
            for module in member.up.app.application.active.modules:
                for name, invariant in module.invariants.items():
                    wrong = invariant(view)
                    if wrong:
                        raise Diverged(f"{module.name}.{name}: {wrong}")
        self._compare_answers()

    def _compare_answers(self) -> None:
        """Check that every transaction took effect at most once, whatever was submitted how often."""
        successes: dict[bytes, int] = {}
        for block, (results, _, _) in zip(self.chain, self.outcomes, strict=True):
            for raw, (code, *_) in zip(block.txs, results, strict=True):
                if code == 0:
                    if raw in successes:
                        raise Diverged("one transaction took effect twice")
                    successes[raw] = code


def play(seed: int, folder: Path, *, steps: int = 120, sabotage: Sabotage | None = None) -> World:
    """Play one seed from beginning to end."""
    world = World(seed, folder, sabotage=sabotage)

    async def go() -> None:
        try:
            await world.run(steps)
        except (Diverged, Rejected) as error:
            raise Diverged(f"seed {seed}: {error}; " + "; ".join(world.told[-12:])) from error

    asyncio.run(go())
    return world
