"""Four real validators, and what may happen to them. Afterwards: one hash everywhere, every answer kept.

Needs the installed engine; skipped without it. Each test ends all that it started.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from careledger.consensus.cometbft.config import write_config
from careledger.consensus.cometbft.keys import EngineKeys
from careledger.consensus.cometbft.light import CometAuthenticator, read_quorum_proof
from careledger.consensus.cometbft.paths import NodePaths
from careledger.ledger.checkpoint import parse_note
from careledger.ledger.light import verify_receipt
from careledger.ledger.meta import POSITION_KEY, TABLES, decode_position
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.errors import Rejected, Unavailable
from careledger.state.nodes import root_of
from careledger.state.rebuild import StateDamaged, rebuild_from_values
from careledger.state.store import META, STATE, WriteBatch
from careledger.state.undo import Version
from careledger.storage.faults import FAULT_POINTS
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
from consensus.cometbft.links import Links
from consensus.cometbft.network_kit import (
    SLUGS,
    TestNetwork,
    access,
    change_validator,
    keys_of,
    open_view,
    organisation_of,
    until,
)
from kit.ledgers import BUCKETS_LOG2

pytestmark = pytest.mark.slow

numbers = itertools.count(1)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, since sockets lie below it."""
    made = Path(tempfile.mkdtemp(prefix="cl-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def run(act: Callable[[], Awaitable[None]], *, limit_s: float = 150) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(limit_s):
            await act()

    asyncio.run(bounded())


class Load:
    """Clients that go on submitting to some nodes, whatever happens to those."""

    def __init__(self, network: TestNetwork, nodes: Sequence[int], clients: int = 3) -> None:
        self.answered: list[bytes] = []
        self._tasks = [
            asyncio.create_task(self._client(network, node)) for node in nodes for _ in range(clients)
        ]

    async def _client(self, network: TestNetwork, node: int) -> None:
        client = network.nodes[node].client()
        try:
            while True:
                raw = access(
                    next(numbers),
                    SLUGS[node % 3],
                )
                await self._submit(client, raw)
                await asyncio.sleep(0.01)
        finally:
            await client.close()

    async def _submit(self, client: object, raw: bytes) -> None:
        while True:
            try:
                receipt = await client.submit(raw)  # type: ignore[attr-defined]
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            except Rejected as rejection:
                # Processed, though the answer was lost; or too old after a long fault.
                if rejection.code.slug == "DUPLICATE":
                    self.answered.append(raw)
                return
            assert receipt.is_success, receipt.rejection()
            self.answered.append(raw)
            return

    async def stop(self) -> list[bytes]:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        return self.answered


async def more(load: Load, count: int, *, timeout_s: float = 60.0) -> None:
    """Wait for so many further answers."""
    target = len(load.answered) + count
    await until(lambda: len(load.answered) >= target, timeout_s=timeout_s)


async def settled(network: TestNetwork, answered: list[bytes], *nodes: int) -> None:
    """Check that these nodes, or all, come to one hash, and have every answered transaction."""
    asked = nodes or tuple(range(len(network.nodes)))
    clients = [network.nodes[number].client() for number in asked]
    async with asyncio.timeout(90):
        while True:
            try:
                found = [await client.status() for client in clients]
            except Unavailable:
                await asyncio.sleep(0.2)
                continue
            if len({(each.history_size, each.app_hash) for each in found}) == 1:
                break
            by_size = {each.history_size: each.app_hash for each in found}
            assert all(by_size[each.history_size] == each.app_hash for each in found), "a fork"
            await asyncio.sleep(0.2)
    for client in clients:
        await client.close()
    assert answered
    for number in asked:
        view = open_view(network.nodes[number].paths)
        missing = [
            raw
            for raw in answered
            if (receipt := view.receipt(decode_transaction(raw).tx_id)) is None or not receipt.is_success
        ]
        assert missing == [], f"node {number} lost {len(missing)} of {len(answered)} answered transactions"


@asynccontextmanager
async def four(folder: Path, **options: object) -> AsyncIterator[TestNetwork]:
    network = TestNetwork(folder, **options)  # type: ignore[arg-type]  # handed through
    async with network.running():
        await network.reach(2)
        yield network


def pid_of(network: TestNetwork, number: int, part: str) -> int:
    pair = network.nodes[number].pair
    assert pair is not None
    pid = pair.engine_pid if part == "engine" else pair.application_pid
    assert pid is not None
    return pid


# -- Agreement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, "v0.39.4"])
def test_four_validators_agree_and_evidence_verifies_offline(folder: Path, version: str | None) -> None:
    async def act() -> None:
        async with four(folder, version=version) as network:
            load = Load(network, range(4))
            await more(load, 100)
            answered = await load.stop()
            await settled(network, answered)
            await asyncio.sleep(1)
            authenticator = CometAuthenticator(chain_id="test-chain", validators=network.known_validators)
            for node in network.nodes:
                client = node.client()
                note = await client.checkpoint()
                await client.close()
                size = parse_note(note).checkpoint.size
                view = open_view(node.paths)
                for raw in answered[::20]:
                    evidence = view.prove_receipt(decode_transaction(raw).tx_id, note.encode(), size)
                    trusted, _, receipt = verify_receipt(evidence, authenticator)
                    assert receipt.is_success
                    assert len(trusted.vouchers) >= 3

    run(act)


# -- Kills and stops ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dying", ["engine", "application", "both"])
def test_a_validator_is_killed_under_load(folder: Path, dying: str) -> None:
    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(4))
            await more(load, 60)
            for part in ("engine", "application"):
                if dying in {part, "both"}:
                    os.kill(pid_of(network, 3, part), signal.SIGKILL)
            await more(load, 60)
            await network.reach(3, 3)
            await more(load, 60)
            pair = network.nodes[3].pair
            assert pair is not None
            assert pair.starts >= 2
            await settled(network, await load.stop())

    run(act)


def test_all_validators_are_killed_at_once(folder: Path) -> None:
    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(4))
            await more(load, 60)
            for number in range(4):
                os.kill(pid_of(network, number, ("engine", "application")[number % 2]), signal.SIGKILL)
            await more(load, 60)
            await settled(network, await load.stop())

    run(act)


@pytest.mark.parametrize("part", ["engine", "application"])
def test_a_validator_is_stopped_for_a_while(folder: Path, part: str) -> None:
    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(3))
            await more(load, 30)
            pid = pid_of(network, 3, part)
            os.kill(pid, signal.SIGSTOP)
            try:
                await more(load, 150)
                await asyncio.sleep(10)
            finally:
                os.kill(pid, signal.SIGCONT)
            await more(load, 30)
            await settled(network, await load.stop())

    run(act)


def test_a_validator_that_was_away_for_long_catches_up(folder: Path) -> None:
    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(3))
            await more(load, 30)
            await network.stop(3)
            away = await network.height(0)
            await more(load, 200)
            await network.reach(away + 15, 0)
            network.start(3)
            await network.reach(await network.height(0), 3)
            answered = await load.stop()
            await settled(network, answered)

    run(act)


# -- The network ---------------------------------------------------------------------------------------------------


def test_two_halves_make_no_progress_and_no_fork(folder: Path) -> None:
    async def act() -> None:
        links = Links()
        hosts = TestNetwork.layout(4)
        await links.open(hosts)
        network = TestNetwork(folder, addresses=hosts, address_of=links.address_of)
        async with network.running():
            await network.reach(2)
            load = Load(network, range(4))
            await more(load, 60)
            links.partition((0, 1), (2, 3))
            await asyncio.sleep(1.5)
            before = [await network.height(number) for number in range(4)]
            count = len(load.answered)
            await asyncio.sleep(6)
            after = [await network.height(number) for number in range(4)]
            assert max(after) <= max(before) + 1, "a half went on alone"
            assert len(load.answered) <= count + 12, "answers without a quorum"
            links.heal()
            await more(load, 60, timeout_s=90)
            await settled(network, await load.stop())
        await links.close()

    run(act, limit_s=240)


def test_one_cut_off_and_bad_wires(folder: Path) -> None:
    async def act() -> None:
        links = Links(seed=7)
        hosts = TestNetwork.layout(4)
        await links.open(hosts)
        network = TestNetwork(folder, addresses=hosts, address_of=links.address_of)
        async with network.running():
            await network.reach(2)
            load = Load(network, range(3))
            await more(load, 30)
            links.partition((0, 1, 2), (3,))
            await more(load, 60)
            links.heal()
            links.worsen(delay_s=0.03, loss=0.001)
            await more(load, 60, timeout_s=90)
            links.heal()
            await settled(network, await load.stop())
        await links.close()

    run(act, limit_s=240)


# -- Clocks, disks, liars ------------------------------------------------------------------------------------------


def test_a_node_with_a_wrong_clock_takes_part_and_refuses_only_its_own_clients(folder: Path) -> None:
    """Its admission goes by its clock; blocks go by the median of the votes, so expiry holds everywhere."""

    async def act() -> None:
        network = TestNetwork(folder)
        try:
            for number in range(4):
                network.start(number, clock_offset_ms=3_600_000 if number == 3 else 0)
            await network.reach(2)
            load = Load(network, range(3))
            await more(load, 60)
            wrong = network.nodes[3].client()
            with pytest.raises(Rejected, match="EXPIRED"):
                await wrong.submit(access(next(numbers)))
            status = await wrong.status()
            assert abs(status.time_ms - (await network.nodes[0].client().status()).time_ms) < 10_000
            await wrong.close()
            await settled(network, await load.stop())
        finally:
            await asyncio.gather(*(network.stop(number) for number in range(4)))

    run(act)


def test_a_full_disk_stops_one_node_and_no_other(folder: Path) -> None:
    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(3))
            await more(load, 30)
            full = network.nodes[3].paths.root / "full"
            full.touch()
            os.kill(pid_of(network, 3, "application"), signal.SIGKILL)
            pair = network.nodes[3].pair
            assert pair is not None
            await until(lambda: pair.starts >= 3, timeout_s=60)
            await more(load, 60)
            full.unlink()
            await more(load, 30)
            await settled(network, await load.stop())
            log = network.nodes[3].log.getvalue()
            assert "the pair ended" in log

    run(act)


def test_a_node_that_altered_its_past_cannot_take_part(folder: Path) -> None:
    """It forged values, buckets and nodes; its next block has another hash, and its engine halts. Others go on."""

    async def act() -> None:
        async with four(folder) as network:
            load = Load(network, range(3))
            await more(load, 40)
            await network.stop(3)
            paths = network.nodes[3].paths
            tables = LmdbTables.open(paths.tables, tables=TABLES)
            with tables.snapshot() as reader:
                key, value = next(reader.scan(STATE, b"\x03", b"\x04"))
            batch = WriteBatch()
            batch.put(STATE, key, value[:1] + bytes((value[1] ^ 1,)) + value[2:])
            tables.write(batch)
            tables.close()
            _rebuild(paths.root)
            network.start(3)
            await until(lambda: "CONSENSUS FAILURE" in network.nodes[3].stderr(), timeout_s=60)
            assert "wrong Block.Header.AppHash" in network.nodes[3].stderr()
            halted = await network.height(3)
            await more(load, 40)
            assert await network.height(3) == halted
            answered = await load.stop()
            await settled(network, answered, 0, 1, 2)

    run(act)


def _rebuild(root: Path) -> None:
    """Make buckets and nodes fit the forged values, with the ledger's own tools."""
    paths = NodePaths(root)
    tables = LmdbTables.open(paths.tables, tables=TABLES)
    nodes = NodeFile.open(paths.nodes, buckets_log2=BUCKETS_LOG2)
    with tables.snapshot() as reader:
        position = decode_position(reader.get(META, POSITION_KEY) or b"")
    with pytest.raises(StateDamaged):
        rebuild_from_values(tables, nodes, Version(position.state_height, position.state_root))
    rebuild_from_values(tables, nodes, Version(position.state_height, root_of(nodes)))
    nodes.close()
    tables.close()


def test_a_validator_that_signs_twice_is_found_out(folder: Path) -> None:
    """Its key runs on two nodes, with a signing state each: the evidence is in a block, and nobody forks."""

    async def act() -> None:
        network = TestNetwork(folder, extra=1)
        liar, twin = network.nodes[3], network.nodes[4]
        twin.keys = EngineKeys(liar.keys.validator_seed, twin.keys.node_seed)
        shutil.rmtree(twin.paths.engine_home)
        network.write_home(twin)
        write_config(twin.paths.engine_home, twin.config)
        async with network.running():
            await network.reach(2)
            load = Load(network, range(5), clients=2)

            def is_found() -> bool:
                return any("misbehaved" in node.stderr() for node in network.nodes[:3])

            await until(is_found, timeout_s=120)
            await more(load, 30)
            await settled(network, await load.stop(), 0, 1, 2)

    run(act, limit_s=240)


# -- Members come and go -------------------------------------------------------------------------------------------


def test_a_new_validator_starts_from_a_snapshot_and_is_voted_in_and_out(folder: Path) -> None:
    async def act() -> None:
        network = TestNetwork(folder, extra=1, snapshot_interval=30, heartbeat_ms=1_000)
        try:
            for number in range(4):
                network.start(number)
            await network.reach(2, 0, 1, 2, 3)
            load = Load(network, range(3))
            await more(load, 60)
            await network.reach(35, 0, 1, 2, 3)
            newcomer = network.nodes[4]
            rpc = network.nodes[0].rpc()
            trusted = await rpc.call("commit", height="3")
            await rpc.close()
            network.sync_from(
                newcomer,
                [f"unix://{node.paths.rpc_socket}" for node in network.nodes[:2]],
                3,
                bytes.fromhex(trusted["signed_header"]["commit"]["block_id"]["hash"]),
            )
            network.start(4)
            await network.reach(await network.height(0), 4)
            assert "snapshot accepted" in newcomer.stderr()
            early = await load.stop()
            load = Load(network, range(5), clients=2)
            await more(load, 40)
            client = network.nodes[0].client()
            key = keys_of(4).validator_key
            height = await change_validator(client, key, 1, organisation_of(4))
            await network.reach(height + 4)
            await asyncio.sleep(1.5)
            note = await client.checkpoint()
            proof = read_quorum_proof(parse_note(note))
            assert len(proof.signed.commit.votes) == 5
            assert len(proof.changes) == 1
            authenticator = CometAuthenticator(chain_id="test-chain", validators=network.known_validators)
            authenticator.authenticate(note.encode())
            height = await change_validator(client, keys_of(3).validator_key, 0, organisation_of(3))
            await network.reach(height + 4)
            await asyncio.sleep(1.5)
            note = await client.checkpoint()
            assert len(read_quorum_proof(parse_note(note)).signed.commit.votes) == 4
            authenticator.authenticate(note.encode())
            await client.close()
            answered = await load.stop()
            await settled(network, answered)
            await settled(network, early, 0, 1, 2, 3)
        finally:
            await asyncio.gather(*(network.stop(number) for number in range(5)))

    run(act, limit_s=240)


# -- Every persistence point -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(12))
def test_the_engine_dies_at_each_of_its_own_points(folder: Path, index: int) -> None:
    """One validator, so that nothing goes on without it."""

    async def act() -> None:
        network = TestNetwork(folder, validators=1, heartbeat_ms=500)
        try:
            network.start(0, engine={"FAIL_TEST_INDEX": str(20 + index)})
            await network.reach(1)
            load = Load(network, [0])
            pair = network.nodes[0].pair
            assert pair is not None
            await until(lambda: pair.starts >= 3, timeout_s=60)
            await network.stop(0)
            network.start(0)
            await more(load, 30)
            await settled(network, await load.stop())
        finally:
            await network.stop(0)

    run(act)


def application_points() -> list[str]:
    return [point for point in FAULT_POINTS if point.startswith(("lmdb.", "nodes."))]


@pytest.mark.parametrize("point", application_points())
def test_the_application_dies_at_each_of_its_own_points(folder: Path, point: str) -> None:
    async def act() -> None:
        network = TestNetwork(folder, validators=1, heartbeat_ms=500)
        try:
            network.start(0, application={"CARELEDGER_FAULT": f"{point}:9"})
            await network.reach(1)
            load = Load(network, [0])
            pair = network.nodes[0].pair
            assert pair is not None
            await until(lambda: pair.starts >= 3, timeout_s=60)
            await network.stop(0)
            network.start(0)
            await more(load, 30)
            await settled(network, await load.stop())
        finally:
            await network.stop(0)

    run(act)
