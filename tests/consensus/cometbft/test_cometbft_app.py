"""The application behind the engine's requests: every kind of request, on a real ledger in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from careledger.consensus.cometbft import abci_app
from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.abci_app import AbciApplication
from careledger.consensus.cometbft.abci_snapshots import SnapshotRequests
from careledger.consensus.cometbft.parts import Misbehaviour
from careledger.consensus.cometbft.snapshot_files import KEPT, SnapshotShelf
from careledger.consensus.workers import VerifierPool
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import SetParameters
from careledger.ledger.application import Application
from careledger.ledger.meta import Position, decode_position
from careledger.ledger.port import ApplyChunkResult, FinalizeBlockRequest, OfferSnapshotResult
from careledger.ledger.transaction import Transaction, build_transaction, decode_transaction
from careledger.ledger.verification import has_valid_signatures
from careledger.primitives.codec import decode
from careledger.primitives.errors import InvariantViolated
from careledger.primitives.signing import public_key_of
from careledger.sdk.messages import Message
from careledger.sdk.module import ValidatorUpdate
from careledger.state.store import BODIES
from consensus.cometbft.abci_kit import Listener, Node, Replica, time_of
from kit.ledgers import (
    CHAIN_ID,
    SEQUENCER_SEED,
    START_MS,
    commit_access,
    commit_records,
    genesis_bytes,
    seed_of,
    signed,
)


def running(folder: Path, act: Callable[[Node], Awaitable[None]], *, is_begun: bool = True) -> None:
    async def go() -> None:
        node = Node(Replica(folder))
        try:
            if is_begun:
                await node.begin()
            await act(node)
        finally:
            node.close()

    asyncio.run(go())


def good(number: int = 1, slug: str = "hospital-a") -> bytes:
    return signed(commit_access(slug, number), slug)


def badly_signed(raw: bytes) -> bytes:
    return raw[:-1] + bytes((raw[-1] ^ 1,))


# -- Start ---------------------------------------------------------------------------------------------------


def test_genesis_gives_the_hash_and_the_validators(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        info = await node.ask(info=wire.InfoRequest())
        assert (info.last_block_height, info.last_block_app_hash) == (0, b"")
        begun = await node.begin()
        assert begun.app_hash == node.position.app_hash
        assert [(each.public_key.ed25519, each.power) for each in begun.validators] == [
            (public_key_of(SEQUENCER_SEED), 1)
        ]
        info = await node.ask(info=wire.InfoRequest())
        assert (info.last_block_height, info.last_block_app_hash) == (0, begun.app_hash)
        assert info.app_version == 1
        assert len(node.listener.applications) == 1

    running(tmp_path, act, is_begun=False)


def test_genesis_a_second_time_says_the_same(tmp_path: Path) -> None:
    """Killed between genesis and the first block, the engine begins anew."""

    async def go() -> None:
        replica = Replica(tmp_path)
        first, second = Node(replica), None
        begun = await first.begin()
        first.close()
        second = Node(replica)
        assert len(second.listener.applications) == 1
        assert await second.begin() == begun
        await second.block(good())
        with pytest.raises(InvariantViolated, match="beyond its genesis"):
            await second.begin()
        second.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    "request_",
    [
        wire.InitChainRequest(
            time=time_of(START_MS), chain_id="other", initial_height=1, app_state=genesis_bytes()
        ),
        wire.InitChainRequest(
            time=time_of(START_MS + 1), chain_id=CHAIN_ID, initial_height=1, app_state=genesis_bytes()
        ),
        wire.InitChainRequest(time=time_of(START_MS), chain_id=CHAIN_ID, initial_height=1, app_state=b"{}"),
    ],
)
def test_another_ledgers_genesis_is_refused(tmp_path: Path, request_: wire.InitChainRequest) -> None:
    async def act(node: Node) -> None:
        with pytest.raises(ValueError, match="genesis"):
            await node.ask(init_chain=request_)

    running(tmp_path, act, is_begun=False)


# -- Before a block ------------------------------------------------------------------------------------------


def test_checks_refuse_with_the_ledgers_codes(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        raw = good()
        expired = signed(commit_access("hospital-a", 2), "hospital-a", expires_at_ms=START_MS)
        too_far = signed(commit_access("hospital-a", 3), "hospital-a", expires_at_ms=START_MS + 900_000)
        other = signed(commit_access("hospital-a", 4), "hospital-a", chain_id="other")
        assert await node.check(raw) == ""
        assert await node.check(badly_signed(raw)) == "BAD_SIGNATURE"
        assert await node.check(expired) == "EXPIRED"
        assert await node.check(too_far) == "EXPIRY_TOO_FAR"
        assert await node.check(other) == "WRONG_CHAIN"
        assert await node.check(b"junk") == "MALFORMED"
        await node.block(raw)
        assert await node.check(raw) == "DUPLICATE"
        assert [slug for _, slug in node.listener.refusals] == [
            "BAD_SIGNATURE",
            "EXPIRED",
            "EXPIRY_TOO_FAR",
            "WRONG_CHAIN",
            "MALFORMED",
            "DUPLICATE",
        ]

    running(tmp_path, act)


def test_a_signature_is_checked_once_from_the_pool_to_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked_in_block: list[bytes] = []

    def counting(transaction: Transaction) -> bool:
        checked_in_block.append(transaction.raw)
        return has_valid_signatures(transaction)

    monkeypatch.setattr("careledger.ledger.verification.has_valid_signatures", counting)

    async def act(node: Node) -> None:
        known, unknown = good(1), good(2)
        await node.check(known)
        await node.check(known)
        assert node.workers.checked == [known]
        await node.ask(process_proposal=wire.ProcessRequest(txs=[known, unknown]))
        assert node.workers.checked == [known, unknown], "what the proposal brought is checked ahead"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answer = await node.block(known, unknown, good(3))
        assert [result.code for result in answer.tx_results] == [0, 0, 0]
        assert checked_in_block == [good(3)], "only what nobody had seen before"

    running(tmp_path, act)


def test_a_badly_signed_twin_fails_whatever_was_checked_before(tmp_path: Path) -> None:
    """Caches differ between nodes; outcomes must not."""
    raw = good()
    twin = badly_signed(raw)
    assert decode_transaction(raw).tx_id == decode_transaction(twin).tx_id

    async def outcome(folder: Path, *seen: bytes) -> tuple[list[int], bytes]:
        node = Node(Replica(folder))
        await node.begin()
        for each in seen:
            await node.check(each)
        answer = await node.block(twin, raw, twin)
        node.close()
        return [result.code for result in answer.tx_results], answer.app_hash

    async def go() -> None:
        outcomes = [
            await outcome(tmp_path / str(number), *seen)
            for number, seen in enumerate([(), (raw,), (twin,), (raw, twin), (twin, raw)])
        ]
        assert outcomes == [outcomes[0]] * 5
        assert outcomes[0][0] == [6, 0, 6]

    asyncio.run(go())


def test_a_proposal_takes_what_fits_in_order(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        txs = [good(number) for number in range(6)]
        size = len(txs[0])
        answer = await node.ask(prepare_proposal=wire.PrepareRequest(txs=txs, bytes_max=3 * size + 1))
        assert list(answer.txs) == txs[:3]
        answer = await node.ask(prepare_proposal=wire.PrepareRequest(txs=txs, bytes_max=1 << 20))
        assert list(answer.txs) == txs

    running(tmp_path, act)


def test_any_block_of_well_formed_transactions_is_accepted(tmp_path: Path) -> None:
    """Whether they will succeed is not looked at: expired, seen before, badly signed, all the same."""

    async def act(node: Node) -> None:
        raw = good()
        await node.block(raw)
        expired = signed(commit_access("hospital-a", 2), "hospital-a", expires_at_ms=START_MS + 1)
        doomed = signed(commit_access("hospital-b", 3), "practice")
        for txs, status in [
            ((), 1),
            ((raw,), 1),
            ((expired, badly_signed(good(5)), doomed, raw, raw), 1),
            ((b"junk",), 2),
            ((good(6), b""), 2),
            ((signed(commit_access("hospital-a", 7), "hospital-a", chain_id="other"),), 2),
        ]:
            answer = await node.ask(process_proposal=wire.ProcessRequest(txs=txs))
            assert answer.status == status, txs

    running(tmp_path, act)


def admin(message: Message, slug: str) -> bytes:
    return signed(message, slug, module="governance")


def with_permit() -> bytes:
    """A transaction that is well-formed until permits are forbidden."""
    return build_transaction(
        chain_id=CHAIN_ID,
        module="records",
        message=commit_access("hospital-a", 5),
        expires_at_ms=START_MS + 300_000,
        seeds=[seed_of("hospital-a")],
        permit=b"x",
    )


async def forbid_permits(node: Node) -> None:
    """Vote for it."""
    await node.block(
        admin(Propose(1, SetParameters((("permit_bytes_max", 0),))), "hospital-a"),
        admin(Vote(2, 1, is_approval=True), "hospital-b"),
        admin(Vote(3, 1, is_approval=True), "practice"),
    )
    assert node.app.application.limits.permit_bytes_max == 0


def test_a_vote_that_narrows_what_is_well_formed_does_not_stop_the_chain(tmp_path: Path) -> None:
    """What waits in the pool since before is left out by every proposer, so no proposal is refused for it."""

    async def act(node: Node) -> None:
        large, small = with_permit(), good(1)
        assert await node.check(large) == ""
        assert await node.check(small) == ""
        await forbid_permits(node)
        refused = await node.ask(process_proposal=wire.ProcessRequest(txs=[large, small]))
        assert refused.status == 2, "otherwise this shows nothing"
        proposal = await node.ask(prepare_proposal=wire.PrepareRequest(txs=[large, small], bytes_max=1 << 20))
        assert list(proposal.txs) == [small]
        accepted = await node.ask(process_proposal=wire.ProcessRequest(txs=proposal.txs))
        assert accepted.status == 1

    running(tmp_path, act)


def test_outcomes_after_a_change_of_limits_do_not_depend_on_what_was_seen_before(tmp_path: Path) -> None:
    async def outcome(folder: Path, *, is_seen: bool) -> tuple[list[int], bytes]:
        node = Node(Replica(folder))
        await node.begin()
        large = with_permit()
        if is_seen:
            assert await node.check(large) == ""
        await forbid_permits(node)
        answer = await node.block(large)
        node.close()
        return [result.code for result in answer.tx_results], answer.app_hash

    async def go() -> None:
        seen, unseen = [await outcome(tmp_path / str(flag), is_seen=flag) for flag in (True, False)]
        assert seen == unseen
        assert seen[0] == [2]

    asyncio.run(go())


def test_vote_extensions_are_not_used(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        assert (await node.ask(extend_vote=wire.ExtendRequest())).extension == b""
        for extension, status in ((b"", 1), (b"x", 2)):
            answer = await node.ask(verify_vote_extension=wire.VerifyExtensionRequest(extension=extension))
            assert answer.status == status

    running(tmp_path, act)


# -- Blocks --------------------------------------------------------------------------------------------------


def test_a_block_is_there_after_commit_and_not_before(tmp_path: Path) -> None:
    async def go() -> None:
        replica = Replica(tmp_path)
        node = Node(replica)
        await node.begin()
        raw = good()
        answer = await node.finalize(raw)
        assert node.position.height == 0
        node.close()
        # Killed before commit: the engine decides the same block again.
        node = Node(replica)
        assert node.position.height == 0
        assert (await node.block(raw)).app_hash == answer.app_hash
        assert node.position.app_hash == answer.app_hash
        node.close()
        node = Node(replica)
        info = await node.ask(info=wire.InfoRequest())
        assert (info.last_block_height, info.last_block_app_hash) == (1, answer.app_hash)
        node.close()

    asyncio.run(go())


def test_the_listener_goes_along_in_the_same_batch(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        raw, wrong = good(), b"junk"
        await node.block(raw, wrong)
        ((request, receipts),) = node.listener.blocks
        assert request.txs == (raw, wrong)
        assert (request.height, request.time_ms) == (1, START_MS + 1_000), "nanoseconds are rounded down"
        assert len(receipts) == 2
        with node.replica.tables.snapshot() as reader:
            assert reader.get(BODIES, (1).to_bytes(8, "big")) == b"rows of this node"

    running(tmp_path, act)


def test_results_carry_code_data_and_operations(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        doomed = signed(commit_access("hospital-b", 3), "practice")
        answer = await node.block(signed(commit_records("hospital-a", 0), "hospital-a"), doomed, b"junk")
        assert [result.code > 0 for result in answer.tx_results] == [False, True, True]
        assert [result.gas_used for result in answer.tx_results] == [8, 1, 0]
        assert answer.tx_results[1].log

    running(tmp_path, act)


def test_empty_blocks_leave_the_application_hash(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        before = (await node.block(good())).app_hash
        for number in range(5):
            assert (await node.block(time_ms=START_MS + 20_000 * (number + 1))).app_hash == before
        assert node.position.height == 6
        assert node.position.time_ms == START_MS + 100_000

    running(tmp_path, act)


def test_a_stale_transaction_is_rejected_when_its_block_is_finalized(tmp_path: Path) -> None:
    """Which is why the pool need not check it again."""

    async def act(node: Node) -> None:
        raw = good()
        assert await node.check(raw) == ""
        answer = await node.block(raw, time_ms=START_MS + 300_000)
        assert answer.tx_results[0].code == 4
        assert node.app.application.position.frontier.size == 2

    running(tmp_path, act)


def test_evidence_against_validators_is_passed_on(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        validator = wire.NamedPower(address=b"a" * 20, power=1)
        found = wire.Misbehaviour(kind=1, validator=validator, height=3, time=time_of(START_MS))
        await node.finalize(misbehaviour=[found])
        assert node.listener.accusations == [Misbehaviour(1, b"a" * 20, 3, START_MS)]

    running(tmp_path, act)


def test_a_validator_that_the_engine_never_had_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine would halt; a validator voted in and out within one block leaves such a change."""
    known, stranger = public_key_of(SEQUENCER_SEED), bytes(31) + b"\x01"
    finalize = Application.finalize_block

    def with_updates(self: Application, request: FinalizeBlockRequest) -> Any:
        updates = (ValidatorUpdate(stranger, 0), ValidatorUpdate(known, 0), ValidatorUpdate(stranger, 5))
        return replace(finalize(self, request), validator_updates=updates)

    monkeypatch.setattr(Application, "finalize_block", with_updates)

    async def act(node: Node) -> None:
        answer = await node.finalize(good())
        changes = [(each.public_key.ed25519, each.power) for each in answer.validator_updates]
        assert changes == [(known, 0), (stranger, 5)]

    running(tmp_path, act)


def test_there_is_no_commit_without_a_block(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        with pytest.raises(InvariantViolated):
            await node.ask(commit=wire.EmptyRequest())
        with pytest.raises(InvariantViolated):
            await node.ask(finalize_block=wire.FinalizeRequest(height=7))

    running(tmp_path, act)


# -- Silence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heartbeat_ms", "is_accepted"), [(20_000, True), (None, False)])
def test_after_an_hour_of_silence(tmp_path: Path, heartbeat_ms: int | None, *, is_accepted: bool) -> None:
    """The engine dates a block by the votes for the one before: without a heartbeat, an hour too early."""

    async def act(node: Node) -> None:
        hour = 3_600_000
        voted_ms = START_MS
        if heartbeat_ms is not None:
            for at in range(heartbeat_ms, hour, heartbeat_ms):
                await node.block(time_ms=voted_ms)
                voted_ms = START_MS + at
        node.now_ms = START_MS + hour
        raw = signed(commit_access("hospital-a", 1), "hospital-a", expires_at_ms=node.now_ms + 300_000)
        assert await node.check(raw) == "", "admission goes by the local clock"
        answer = await node.block(raw, time_ms=voted_ms)
        assert (answer.tx_results[0].code == 0) is is_accepted

    running(tmp_path, act)


# -- Queries -------------------------------------------------------------------------------------------------


def test_queries(tmp_path: Path) -> None:
    async def act(node: Node) -> None:
        assert (await node.ask(query=wire.QueryRequest(path="/position"))).log == "NOT_FOUND"
        await node.begin()
        batch = commit_records("hospital-a", 0)
        await node.block(signed(batch, "hospital-a"))
        answer = await node.ask(query=wire.QueryRequest(path="/position"))
        assert decode_position(answer.value) == node.position == decode(answer.value, Position)
        key = bytes((3, 1)) + (1).to_bytes(4, "big") + batch.tags[:32]
        answer = await node.ask(query=wire.QueryRequest(path="/state", data=key))
        assert (answer.code, answer.height) == (0, 1)
        assert batch.commitments[:32] in answer.value
        for data in (b"", b"absent", bytes(1_000)):
            assert (await node.ask(query=wire.QueryRequest(path="/state", data=data))).log == "NOT_FOUND"
        assert (await node.ask(query=wire.QueryRequest(path="/other"))).log == "UNKNOWN_QUERY"

    running(tmp_path, act, is_begun=False)


# -- Snapshots -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _source(folder: Path) -> Any:
    node = Node(Replica(folder))
    await node.begin()
    for number in range(4):
        await node.block(signed(commit_records("hospital-a", 8 * number), "hospital-a"))
    with node.replica.tables.snapshot() as reader:
        node.shelf.write(reader)
    try:
        yield node
    finally:
        node.close()


async def _offer(source: Node, target: Node, app_hash: bytes | None = None) -> tuple[Any, int]:
    (offer,) = (await source.ask(list_snapshots=wire.EmptyRequest())).snapshots
    trusted = source.position.app_hash if app_hash is None else app_hash
    answer = await target.ask(offer_snapshot=wire.OfferRequest(snapshot=offer, app_hash=trusted))
    return offer, answer.result


async def _chunk(source: Node, offer: Any, number: int) -> bytes:
    answer = await source.ask(
        load_snapshot_chunk=wire.LoadChunkRequest(height=offer.height, format=offer.format, chunk=number)
    )
    return bytes(answer.chunk)


def test_a_node_starts_from_a_peers_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.ledger.snapshots.CHUNK_BYTES", 600)

    async def go() -> None:
        async with _source(tmp_path / "source") as source:
            target = Node(Replica(tmp_path / "target"))
            offer, result = await _offer(source, target)
            assert result == OfferSnapshotResult.ACCEPT
            assert offer.chunks > 3
            for number in range(offer.chunks):
                chunk = await _chunk(source, offer, number)
                wrong = await target.ask(
                    apply_snapshot_chunk=wire.ApplyChunkRequest(index=number, chunk=b"x", sender="liar")
                )
                assert wrong.result == ApplyChunkResult.RETRY
                assert list(wrong.refetch_chunks) == [number]
                assert list(wrong.reject_senders) == ["liar"]
                assert target.listener.applications == []
                answer = await target.ask(
                    apply_snapshot_chunk=wire.ApplyChunkRequest(index=number, chunk=chunk, sender="peer")
                )
                assert answer.result == ApplyChunkResult.ACCEPT
            info = await target.ask(info=wire.InfoRequest())
            assert (info.last_block_height, info.last_block_app_hash) == (4, source.position.app_hash)
            assert len(target.listener.applications) == 1
            raw = good(77)
            later = [await node.block(raw, time_ms=START_MS + 9_000) for node in (source, target)]
            assert later[0] == later[1]
            _, again = await _offer(source, target)
            assert again == OfferSnapshotResult.ABORT, "it has a ledger now"
            target.close()

    asyncio.run(go())


def test_offers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    async def go() -> None:
        async with _source(tmp_path / "source") as source:
            target = Node(Replica(tmp_path / "target"))
            offer, result = await _offer(source, target, bytes(32))
            assert result == OfferSnapshotResult.REJECT
            other = wire.SnapshotOffer()
            other.CopyFrom(offer)
            other.format = 2
            answer = await target.ask(
                offer_snapshot=wire.OfferRequest(snapshot=other, app_hash=source.position.app_hash)
            )
            assert answer.result == OfferSnapshotResult.REJECT_FORMAT
            answer = await target.ask(apply_snapshot_chunk=wire.ApplyChunkRequest(index=0, chunk=b"x"))
            assert answer.result == ApplyChunkResult.ABORT
            await target.begin()
            target.close()

    asyncio.run(go())


def test_a_part_twice_is_taken_note_of_and_a_gap_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careledger.ledger.snapshots.CHUNK_BYTES", 600)

    async def go() -> None:
        async with _source(tmp_path / "source") as source:
            target = Node(Replica(tmp_path / "target"))
            offer, _ = await _offer(source, target)
            chunk = await _chunk(source, offer, 0)
            for index, result in (
                (0, ApplyChunkResult.ACCEPT),
                (0, ApplyChunkResult.ACCEPT),
                (2, ApplyChunkResult.RETRY_SNAPSHOT),
            ):
                answer = await target.ask(
                    apply_snapshot_chunk=wire.ApplyChunkRequest(index=index, chunk=chunk)
                )
                assert answer.result == result
            target.close()
            # Killed half-way: what was restored is gone with the next start.
            again = Node(target.replica)
            assert not again.app.application.is_initialised
            await again.begin()
            again.close()

    asyncio.run(go())


def test_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    async def go() -> None:
        async with _source(tmp_path) as node:
            for number in range(3):
                await node.block(good(number))
                with node.replica.tables.snapshot() as reader:
                    assert node.shelf.write(reader) == 5 + number
                    assert node.shelf.write(reader) == 5 + number, "the same height again changes nothing"
            heights = [offer.height for offer in node.shelf.offers()]
            assert heights == [7, 6]
            assert len(heights) == KEPT
            assert node.shelf.load(4, 1, 0) is None
            assert await _chunk(node, wire.SnapshotOffer(height=4, format=1), 0) == b""
            assert node.shelf.load(7, 1, 0)
            assert node.shelf.load(7, 1, 99) is None

    asyncio.run(go())


def test_the_real_workers_fit(tmp_path: Path) -> None:
    async def go() -> None:
        workers = VerifierPool()
        await workers.start()
        replica = Replica(tmp_path)
        parts = replica.parts()
        listener = Listener()
        app = AbciApplication(
            parts,
            workers=workers,
            listener=listener,
            snapshots=SnapshotRequests(parts, SnapshotShelf(tmp_path), None),
            clock_ms=lambda: START_MS,
        )
        parts.open_application()
        app.init_chain(
            wire.InitChainRequest(
                time=time_of(START_MS), chain_id=CHAIN_ID, initial_height=1, app_state=genesis_bytes()
            )
        )
        answers = [app.check_tx(wire.CheckRequest(tx=raw)) for raw in (good(1), badly_signed(good(2)))]
        read = [answer if isinstance(answer, bytes) else await answer for answer in answers]
        assert read[0] == abci_app.ACCEPTED
        assert b"BAD_SIGNATURE" in read[1]
        app.close()
        await workers.close()

    asyncio.run(go())
