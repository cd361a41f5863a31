"""A small real network for tests: genesis with several validators, homes on 127.0.0.x, nodes as pairs.

Also the composition root of these tests: how a replica's files are opened, in the test or in a spawned process.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from careledger.consensus.client import LedgerClient
from careledger.consensus.cometbft.config import (
    EngineConfig,
    Peer,
    StateSync,
    engine_genesis,
    write_config,
    write_engine_genesis,
)
from careledger.consensus.cometbft.header import Validator as CometValidator
from careledger.consensus.cometbft.install import EngineUnavailable, engine_status
from careledger.consensus.cometbft.keys import EngineKeys, write_keys
from careledger.consensus.cometbft.node import NodeOptions, clock_ms
from careledger.consensus.cometbft.parts import NodeParts
from careledger.consensus.cometbft.paths import NodePaths
from careledger.consensus.cometbft.rpc import EngineRpc
from careledger.consensus.cometbft.supervisor import Pair, PairOptions
from careledger.domains.governance.chain import genesis as governance_genesis
from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import (
    DEFAULT_LIMITS,
    ChangeValidator,
    Limits,
    ModuleActivation,
    Outcome,
    Validator,
    Witness,
)
from careledger.domains.identity.chain import genesis as identity_genesis
from careledger.domains.identity.chain.types import Role, Usage
from careledger.domains.records.chain import genesis as records_genesis
from careledger.ledger.application import Application
from careledger.ledger.genesis import GenesisDocument, ModuleGenesis, read_genesis, write_genesis
from careledger.ledger.meta import TABLES
from careledger.ledger.verification import CachingVerifier, SignatureCache
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode
from careledger.primitives.errors import Unavailable
from careledger.primitives.signing import public_key_of
from careledger.site.wiring import build_governance, build_modules, witness_keys
from careledger.state.rebuild import open_tree
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
from kit.ledgers import BUCKETS_LOG2, CHAIN_ID, ORGANISATIONS, WITNESS_SEED, commit_access, seed_of, signed

SLUGS = (*ORGANISATIONS, "insurer")
KEYS = 12
"""Validator keys that organisations have registered; more than there are nodes."""


def keys_of(number: int) -> EngineKeys:
    """Keys of one node; never used outside tests."""
    return EngineKeys(
        sha256(f"validator/{number}".encode()).digest(), sha256(f"node/{number}".encode()).digest()
    )


def organisation_of(number: int) -> int:
    """Organisation that runs node i."""
    return number % len(SLUGS) + 1


def network_genesis(
    validators: int = 4, *, time_ms: int, limits: Limits = DEFAULT_LIMITS, buckets_log2: int = BUCKETS_LOG2
) -> bytes:
    """Genesis of the modules with four organisations and so many validators of equal power."""
    organisations = [
        identity_genesis.GenesisOrganisation(
            id=number,
            slug=slug,
            roles=(Role.HOSPITAL,),
            keys=(
                identity_genesis.GenesisKey(
                    public_key=public_key_of(seed_of(slug)),
                    usages=int(Usage.LEDGER | Usage.EXCHANGE | Usage.ADMIN | Usage.RECORDS),
                ),
                *(
                    identity_genesis.GenesisKey(
                        public_key=keys_of(each).validator_key, usages=int(Usage.VALIDATOR)
                    )
                    for each in range(KEYS)
                    if organisation_of(each) == number
                ),
            ),
        )
        for number, slug in enumerate(SLUGS, start=1)
    ]
    names = ("identity", "governance", "records")
    states: dict[str, object] = {
        "identity": identity_genesis.genesis_document(organisations),
        "governance": governance_genesis.genesis_document(
            modules=[ModuleActivation(name, 1, 0) for name in names],
            validators=[
                Validator(keys_of(number).validator_key, 1, organisation_of(number))
                for number in range(validators)
            ],
            limits=limits,
            witnesses=[Witness("regulator", public_key_of(WITNESS_SEED))],
            witness_quorum=1,
        ),
        "records": records_genesis.genesis_document(),
    }
    return write_genesis(
        GenesisDocument(
            chain_id=CHAIN_ID,
            genesis_time_ms=time_ms,
            buckets_log2=buckets_log2,
            modules=tuple(ModuleGenesis(name, 1, states[name]) for name in names),
            seen={},
        )
    )


def open_parts(paths: NodePaths) -> NodeParts:
    """Open a replica's files as their only writer; a disk may be as good as full."""
    # Kept for tests to read; a node in service writes to the standard error that it was given.
    descriptor = os.open(paths.root / "application.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if (paths.root / "full").exists():
        size = (paths.tables / "data.mdb").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    document = read_genesis(paths.genesis.read_bytes())
    tables = LmdbTables.open(paths.tables, tables=TABLES)
    nodes = NodeFile.open(paths.nodes, buckets_log2=document.buckets_log2)
    cache = SignatureCache()

    def open_application() -> Application:
        with tables.snapshot() as reader:
            tree = open_tree(reader, nodes)
        return Application(
            tables=tables,
            tree=tree,
            modules=build_modules(),
            governance=build_governance(),
            verifier=CachingVerifier(cache),
        )

    def close() -> None:
        nodes.close()
        tables.close()

    return NodeParts(
        chain_id=document.chain_id,
        tables=tables,
        nodes=nodes,
        cache=cache,
        governance=build_governance(),
        witnesses=witness_keys,
        open_application=open_application,
        close=close,
    )


def open_view(paths: NodePaths) -> LedgerView:
    """Open a replica's files for reading, beside the process that writes them."""
    document = read_genesis(paths.genesis.read_bytes())
    tables = LmdbTables.open_read_only(paths.tables, tables=TABLES)
    nodes = NodeFile.open_read_only(paths.nodes, buckets_log2=document.buckets_log2)
    return LedgerView(tables, nodes, clock_ms=clock_ms, wait=lambda: None)


def engine_binary(version: str | None = None) -> Path:
    """Find the installed engine, or skip the test."""
    try:
        return (engine_status(version) if version else engine_status()).path
    except EngineUnavailable as error:
        pytest.skip(str(error))


def access(number: int, slug: str = "hospital-a", *, expires_at_ms: int | None = None) -> bytes:
    """The smallest transaction there is, valid for a minute."""
    expiry = clock_ms() + 60_000 if expires_at_ms is None else expires_at_ms
    return signed(commit_access(slug, number), slug, expires_at_ms=expiry)


async def change_validator(client: LedgerClient, public_key: bytes, power: int, organisation: int) -> int:
    """Have three of four organisations vote for a change of the validator set; returns the deciding height."""
    expires_at_ms = clock_ms() + 60_000
    action = ChangeValidator(public_key, power, organisation)
    raw = signed(Propose(1, action), SLUGS[0], module="governance", expires_at_ms=expires_at_ms)
    receipt = await client.submit(raw)
    assert receipt.is_success, receipt.rejection()
    proposal = decode(receipt.data, Outcome).proposal
    for voter in (2, 3):
        raw = signed(
            Vote(voter, proposal, is_approval=True),
            SLUGS[voter - 1],
            module="governance",
            expires_at_ms=expires_at_ms,
        )
        receipt = await client.submit(raw)
    assert decode(receipt.data, Outcome).is_executed
    return receipt.height


async def until(is_so: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110 - files and other processes set no event
            await asyncio.sleep(0.02)


_networks = itertools.count()


@dataclass
class TestNode:
    """One node of a test network."""

    __test__ = False

    number: int
    paths: NodePaths
    keys: EngineKeys
    config: EngineConfig
    log: io.StringIO = field(default_factory=io.StringIO)
    pair: Pair | None = None
    running: asyncio.Task[None] | None = None

    def client(self) -> LedgerClient:
        """A client of its own."""
        return LedgerClient(self.paths.socket)

    def stderr(self) -> str:
        """What the application's process wrote, and the engine's lines."""
        file = self.paths.root / "application.log"
        return (file.read_text() if file.exists() else "") + self.log.getvalue()

    def rpc(self) -> EngineRpc:
        """A connection to its engine."""
        return EngineRpc(self.paths.rpc_socket)


class TestNetwork:
    """Several nodes on 127.0.0.x, each a supervised pair."""

    __test__ = False

    def __init__(
        self,
        root: Path,
        *,
        validators: int = 4,
        extra: int = 0,
        version: str | None = None,
        binary: Path | None = None,
        heartbeat_ms: int = 2_000,
        snapshot_interval: int = 0,
        addresses: Sequence[tuple[str, int]] = (),
        address_of: Callable[[int, int], tuple[str, int]] | None = None,
        overrides: Mapping[str, Mapping[str, object]] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        buckets_log2: int = BUCKETS_LOG2,
    ) -> None:
        """Write the homes.

        Args:
            root: folder of the network; short, since sockets lie below it.
            validators: nodes that sign.
            extra: nodes that only follow.
            version: version of the engine, if not the usual.
            binary: what to run instead of the installed engine.
            heartbeat_ms: time between empty blocks.
            snapshot_interval: heights between snapshots; 0 for none.
            addresses: where each node listens, as `layout` gives them.
            address_of: where node i finds node j, if not at its own address.
            overrides: of the engine's configuration.
            limits: of the ledger.
            buckets_log2: size of the state tree.
        """
        self.binary = binary or engine_binary(version)
        self.validators = validators
        self.snapshot_interval = snapshot_interval
        self.addresses = list(addresses) or self.layout(validators + extra)
        time_ms = clock_ms() - 1_000
        self.genesis = network_genesis(validators, time_ms=time_ms, limits=limits, buckets_log2=buckets_log2)
        self._engine_genesis = engine_genesis(
            chain_id=CHAIN_ID, genesis_time_ms=time_ms, app_state=self.genesis
        )
        keys = [keys_of(number) for number in range(validators + extra)]
        self.nodes: list[TestNode] = []
        for number, own in enumerate(keys):
            paths = NodePaths(root / f"n{number}")
            peers = []
            for other, their in enumerate(keys):
                if other != number:
                    host, port = address_of(number, other) if address_of else self.addresses[other]
                    peers.append(Peer(node_id=their.node_id, host=host, port=port))
            config = EngineConfig(
                moniker=f"n{number}",
                proxy_app=f"unix://{paths.abci_socket}",
                rpc_laddr=f"unix://{paths.rpc_socket}",
                p2p_host=self.addresses[number][0],
                p2p_port=self.addresses[number][1],
                peers=tuple(peers),
                heartbeat_ms=heartbeat_ms,
                log_level="error",
                overrides=overrides or {},
            )
            self.nodes.append(TestNode(number, paths, own, config))
        for node in self.nodes:
            self.write_home(node)

    @staticmethod
    def layout(count: int) -> list[tuple[str, int]]:
        """Addresses for so many nodes: one of 127.0.0.0/8 each, with a free port."""
        base = 1 + (os.getpid() + next(_networks)) % 200
        addresses = []
        for number in range(count):
            host = f"127.{base}.0.{number + 1}"
            with socket.socket() as probe:
                probe.bind((host, 0))
                addresses.append((host, probe.getsockname()[1]))
        return addresses

    @property
    def known_validators(self) -> tuple[CometValidator, ...]:
        """The validator set of genesis, as a verifier pins it."""
        return tuple(CometValidator(node.keys.validator_key, 1) for node in self.nodes[: self.validators])

    def write_home(self, node: TestNode) -> None:
        """Write configuration, keys and genesis of one node."""
        node.paths.root.mkdir(parents=True, exist_ok=True)
        node.paths.genesis.write_bytes(self.genesis)
        write_keys(node.paths.engine_home, node.keys)
        write_config(node.paths.engine_home, node.config)
        write_engine_genesis(node.paths.engine_home, self._engine_genesis)

    def sync_from(self, node: TestNode, servers: Sequence[str], height: int, trust_hash: bytes) -> None:
        """Have a node without blocks start from a snapshot."""
        sync = StateSync(
            rpc_servers=tuple(servers), trust_height=height, trust_hash=trust_hash, discovery_ms=5_000
        )
        node.config = replace(node.config, state_sync=sync)
        write_config(node.paths.engine_home, node.config)

    def start(
        self,
        number: int,
        *,
        engine: Mapping[str, str] | None = None,
        application: Mapping[str, str] | None = None,
        pause_s: float = 0.3,
        clock_offset_ms: int = 0,
    ) -> Pair:
        """Start one node's pair; its log is kept."""
        node = self.nodes[number]
        node.pair = Pair(
            PairOptions(
                binary=self.binary,
                paths=node.paths,
                node=NodeOptions(
                    name=f"n{number}",
                    validator_key=node.keys.validator_key,
                    snapshot_interval=self.snapshot_interval,
                    clock_offset_ms=clock_offset_ms,
                ),
                open_parts=open_parts,
                engine_environment=engine or {},
                application_environment=application or {},
                pause_s=pause_s,
                pause_max_s=2.0,
                grace_s=5.0,
            ),
            log=node.log,
        )
        node.running = asyncio.get_running_loop().create_task(node.pair.run())
        return node.pair

    async def stop(self, number: int) -> None:
        """Stop one node's pair and wait for its end."""
        node = self.nodes[number]
        if node.pair is not None and node.running is not None:
            node.pair.tell()
            await node.running
            node.pair = None

    @asynccontextmanager
    async def running(self, *numbers: int) -> AsyncIterator[None]:
        """Run these nodes, or all; at the end all that run are stopped."""
        try:
            for number in numbers or range(len(self.nodes)):
                self.start(number)
            yield
        finally:
            await asyncio.gather(*(self.stop(node.number) for node in self.nodes))

    async def reach(self, height: int, *numbers: int, timeout_s: float = 60.0) -> None:
        """Wait until these nodes, or all, have committed a height."""
        async with asyncio.timeout(timeout_s):
            for number in numbers or range(len(self.nodes)):
                client = self.nodes[number].client()
                try:
                    while True:
                        try:
                            if (await client.status()).height >= height:
                                break
                        except Unavailable:
                            pass
                        await asyncio.sleep(0.1)
                finally:
                    await client.close()

    async def height(self, number: int) -> int:
        """Height of one node's application."""
        client = self.nodes[number].client()
        try:
            return (await client.status()).height
        finally:
            await client.close()
