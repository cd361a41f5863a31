"""From admission to the engine's pool and back: every way in which a submission can end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from careledger.consensus.admission import Admission
from careledger.consensus.cometbft import submissions as module
from careledger.consensus.cometbft.rpc import EngineUnreachable
from careledger.consensus.cometbft.submissions import Submissions
from careledger.consensus.errors import EngineStopped
from careledger.ledger.errors import DUPLICATE, MALFORMED
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.receipt import Receipt
from careledger.ledger.transaction import Transaction
from careledger.ledger.verification import SignatureCache, has_valid_signatures
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected, Unavailable
from kit.ledgers import START_MS, TestLedger, commit_access, signed


class Workers:
    """Stands for the worker process."""

    checked = 0

    def verify(self, transaction: Transaction) -> asyncio.Future[bool]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        loop.call_soon(future.set_result, has_valid_signatures(transaction))
        return future


@dataclass
class Engine:
    """Stands for the engine's RPC: takes, or says why not."""

    batches: list[list[bytes]] = field(default_factory=list)
    refusals: dict[bytes, str] = field(default_factory=dict)
    unreachable: int = 0

    async def broadcast(self, txs: Sequence[bytes]) -> list[str]:
        if self.unreachable:
            self.unreachable -= 1
            raise EngineUnreachable("gone")
        self.batches.append(list(txs))
        return [self.refusals.get(raw, "") for raw in txs]

    @property
    def taken(self) -> list[bytes]:
        return [raw for batch in self.batches for raw in batch]


class Scene:
    """A ledger, its admission, and a stand-in for the engine."""

    def __init__(self) -> None:
        self.ledger = TestLedger()
        self.now_ms = START_MS
        self.engine = Engine()
        application = self.ledger.application
        self.admission = Admission(
            application,
            Workers(),  # type: ignore[arg-type]  # stands for the pool
            SignatureCache(),
            clock_ms=lambda: self.now_ms,
        )
        self.submissions = Submissions(
            application=application,
            admission=self.admission,
            tables=self.ledger.tables,
            rpc=self.engine,
            clock_ms=lambda: self.now_ms,
        )

    def block(self, *txs: bytes, later_ms: int = 1_000, is_told: bool = True) -> None:
        application = self.ledger.application
        position = application.position
        application.finalize_block(
            FinalizeBlockRequest(height=position.height + 1, time_ms=position.time_ms + later_ms, txs=txs)
        )
        receipts = application.pending_receipts()
        application.commit()
        if is_told:
            self.submissions.committed(txs, receipts)

    async def taken(self, *txs: bytes) -> None:
        """Wait until the engine has them."""
        for _ in range(1_000):
            if set(txs) <= set(self.engine.taken):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the engine was not handed the transactions")


def played(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def go() -> None:
        scene = Scene()
        scene.submissions.start()
        async with asyncio.timeout(20):
            await act(scene)
        await scene.submissions.close()

    asyncio.run(go())


def good(number: int = 1) -> bytes:
    return signed(commit_access("hospital-a", number), "hospital-a")


def receipt_of(future: asyncio.Future[bytes]) -> Receipt:
    return decode(future.result(), Receipt)


def test_a_receipt_comes_with_the_block_that_is_durable_here() -> None:
    async def act(scene: Scene) -> None:
        txs = [good(number) for number in range(5)]
        futures = [scene.admission.enqueue(raw) for raw in txs]
        await scene.taken(*txs)
        assert len(scene.engine.batches) == 1, "those that came together go together"
        assert not any(future.done() for future in futures)
        scene.block(*txs[:3], good(99))
        assert [future.done() for future in futures] == [True, True, True, False, False]
        scene.block(*txs[3:])
        assert [receipt_of(future).height for future in futures] == [1, 1, 1, 2, 2]

    played(act)


def test_an_unreachable_engine_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_MS", 1)

    async def act(scene: Scene) -> None:
        scene.engine.unreachable = 5
        future = scene.admission.enqueue(good())
        await scene.taken(good())
        scene.block(good())
        assert receipt_of(future).is_success

    played(act)


@pytest.mark.parametrize(
    ("refusal", "error", "slug"),
    [
        ("mempool is full: number of txs 5000", Unavailable, "QUEUE_FULL"),
        ("Tx too large. Max size is 5, but got 6", Rejected, "TOO_LARGE"),
        ("something else", Unavailable, "UNREACHABLE"),
    ],
)
def test_a_refusal_of_the_engine_is_told(refusal: str, error: type[Exception], slug: str) -> None:
    async def act(scene: Scene) -> None:
        scene.engine.refusals[good()] = refusal
        future = scene.admission.enqueue(good())
        with pytest.raises(error, match=slug):
            await future

    played(act)


def test_what_the_pool_has_already_is_waited_for() -> None:
    async def act(scene: Scene) -> None:
        scene.engine.refusals[good()] = "tx already exists in cache"
        future = scene.admission.enqueue(good())
        await scene.taken(good())
        await asyncio.sleep(0.01)
        assert not future.done()
        scene.block(good())
        assert receipt_of(future).is_success

    played(act)


def test_what_was_in_a_block_meanwhile_is_answered_with_its_receipt() -> None:
    """Committed between admission and the hand-over, and the pool still remembers it."""

    async def act(scene: Scene) -> None:
        scene.engine.refusals[good()] = "tx already exists in cache"
        future = scene.admission.enqueue(good())
        scene.block(good(), is_told=False)
        assert receipt_of_bytes(await future).is_success

    def receipt_of_bytes(raw: bytes) -> Receipt:
        return decode(raw, Receipt)

    played(act)


def test_what_the_pool_was_told_not_to_take_is_answered() -> None:
    async def act(scene: Scene) -> None:
        futures = {number: scene.admission.enqueue(good(number)) for number in (1, 2)}
        await scene.taken(good(1), good(2))
        scene.block(good(1), is_told=False)
        scene.submissions.refused(good(1), Rejected(DUPLICATE))
        assert receipt_of(futures[1]).is_success, "processed before: its receipt answers"
        scene.submissions.refused(good(2), Rejected(MALFORMED))
        with pytest.raises(Rejected, match="MALFORMED"):
            futures[2].result()
        scene.submissions.refused(good(3), Rejected(MALFORMED))

    played(act)


def test_what_no_block_carries_is_handed_over_again_until_it_has_expired() -> None:
    async def act(scene: Scene) -> None:
        future = scene.admission.enqueue(good())
        await scene.taken(good())
        scene.now_ms += module.LOOK_AGAIN_MS + 1
        scene.block()
        for _ in range(1_000):
            if len(scene.engine.taken) == 2:
                break
            await asyncio.sleep(0.001)
        assert scene.engine.taken == [good(), good()]
        assert not future.done()
        scene.now_ms += 400_000
        scene.block(later_ms=400_000)
        with pytest.raises(Rejected, match="EXPIRED"):
            future.result()

    played(act)


def test_whoever_waits_when_the_node_ends_is_told() -> None:
    async def act(scene: Scene) -> None:
        future = scene.admission.enqueue(good())
        await scene.taken(good())
        await scene.submissions.close()
        with pytest.raises(EngineStopped):
            future.result()
        with pytest.raises(Unavailable, match="STOPPING"):
            scene.admission.enqueue(good(2))

    played(act)
