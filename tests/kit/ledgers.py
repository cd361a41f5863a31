"""A ledger of the real modules with a few organisations, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from careledger.domains.governance.chain import genesis as governance_genesis
from careledger.domains.governance.chain.types import (
    DEFAULT_LIMITS,
    Limits,
    ModuleActivation,
    Validator,
    Witness,
)
from careledger.domains.identity.chain import genesis as identity_genesis
from careledger.domains.identity.chain.types import Role, Usage
from careledger.domains.records.chain import genesis as records_genesis
from careledger.domains.records.chain.messages import CommitAccess, CommitRecords
from careledger.ledger.application import Application
from careledger.ledger.genesis import GenesisDocument, ModuleGenesis, write_genesis
from careledger.ledger.meta import TABLES
from careledger.ledger.port import FinalizeBlockRequest, FinalizeBlockResponse, InitChainRequest
from careledger.ledger.transaction import build_transaction
from careledger.ledger.verification import CachingVerifier, Verifier
from careledger.ledger.view import LedgerView
from careledger.primitives.signing import public_key_of
from careledger.sdk.messages import Message
from careledger.site.wiring import build_governance, build_modules
from careledger.state.rebuild import open_tree
from careledger.state.store import Tables
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile

CHAIN_ID = "test-chain"
START_MS = 1_795_000_000_000
BUCKETS_LOG2 = 8
ORGANISATIONS = ("hospital-a", "hospital-b", "practice")
SEQUENCER_SEED = sha256(b"sequencer").digest()
WITNESS_SEED = sha256(b"witness").digest()


def seed_of(slug: str, use: str = "ledger") -> bytes:
    """Seed of a test key; never used outside tests."""
    return sha256(f"{slug}/{use}".encode()).digest()


def genesis_bytes(*, limits: Limits = DEFAULT_LIMITS, buckets_log2: int = BUCKETS_LOG2) -> bytes:
    """Genesis with three organisations, each with one key for everything, and one witness."""
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
            ),
        )
        for number, slug in enumerate(ORGANISATIONS, start=1)
    ]
    names = ("identity", "governance", "records")
    states: dict[str, object] = {
        "identity": identity_genesis.genesis_document(organisations),
        "governance": governance_genesis.genesis_document(
            modules=[ModuleActivation(name, 1, 0) for name in names],
            validators=[Validator(public_key_of(SEQUENCER_SEED), 1, 1)],
            limits=limits,
            witnesses=[Witness("regulator", public_key_of(WITNESS_SEED))],
            witness_quorum=1,
        ),
        "records": records_genesis.genesis_document(),
    }
    document = GenesisDocument(
        chain_id=CHAIN_ID,
        genesis_time_ms=START_MS,
        buckets_log2=buckets_log2,
        modules=tuple(ModuleGenesis(name, 1, states[name]) for name in names),
        seen={},
    )
    return write_genesis(document)


def commit_records(slug: str, first: int, count: int = 8, *, salt: str = "") -> CommitRecords:
    """A batch of made-up tags and commitments."""
    tags = sorted(sha256(f"tag/{slug}/{number}".encode()).digest() for number in range(first, first + count))
    return CommitRecords(
        ORGANISATIONS.index(slug) + 1,
        b"".join(tags),
        b"".join(sha256(tag + salt.encode()).digest() for tag in tags),
    )


def commit_access(slug: str, number: int) -> CommitAccess:
    """One made-up access entry: the smallest transaction there is."""
    tag = sha256(f"access/{slug}/{number}".encode()).digest()
    return CommitAccess(ORGANISATIONS.index(slug) + 1, tag, sha256(tag).digest())


def signed(
    message: Message,
    *slugs: str,
    module: str = "records",
    expires_at_ms: int = START_MS + 300_000,
    chain_id: str = CHAIN_ID,
) -> bytes:
    """A transaction signed by these organisations."""
    return build_transaction(
        chain_id=chain_id,
        module=module,
        message=message,
        expires_at_ms=expires_at_ms,
        seeds=[seed_of(slug) for slug in slugs],
    )


@dataclass
class TestLedger:
    """An application driven by hand, block by block."""

    __test__ = False

    tables: Tables = field(default_factory=lambda: MemoryTables(TABLES))
    nodes: NodeFile = field(default_factory=lambda: NodeFile.in_memory(buckets_log2=BUCKETS_LOG2))
    verifier: Verifier = field(default_factory=CachingVerifier)
    genesis: bytes = field(default_factory=genesis_bytes)

    def __post_init__(self) -> None:
        self.application = self.open()
        if not self.application.is_initialised:
            self.application.init_chain(
                InitChainRequest(
                    chain_id=CHAIN_ID,
                    time_ms=START_MS,
                    initial_height=1,
                    validators=(),
                    app_state=self.genesis,
                )
            )

    def open(self) -> Application:
        """Open the application over the tables as they are."""
        with self.tables.snapshot() as reader:
            tree = open_tree(reader, self.nodes)
        return Application(
            tables=self.tables,
            tree=tree,
            modules=build_modules(),
            governance=build_governance(),
            verifier=self.verifier,
        )

    def block(self, *txs: bytes, later_ms: int = 1_000) -> FinalizeBlockResponse:
        """Finalize and commit one block."""
        position = self.application.position
        response = self.application.finalize_block(
            FinalizeBlockRequest(height=position.height + 1, time_ms=position.time_ms + later_ms, txs=txs)
        )
        self.application.commit()
        return response

    def slugs(self, *txs: bytes, later_ms: int = 1_000) -> list[str]:
        """Outcome of each transaction of a block, by the code's slug; empty for success."""
        self.block(*txs, later_ms=later_ms)
        return [self.last_slug(index) for index in range(len(txs))]

    def last_slug(self, index: int) -> str:
        """Slug of one receipt of the last block."""
        view = LedgerView(self.tables, self.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
        receipts = view.block_receipts(self.application.position.height)
        code = receipts[index].rejection()
        return code.slug if code else ""
