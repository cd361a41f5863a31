"""The test ledger with the supply module active, and a maker's lot on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from careledger.domains.governance.chain import genesis as governance_genesis
from careledger.domains.governance.chain.types import ModuleActivation, Validator, Witness
from careledger.domains.supply import chain as supply_chain
from careledger.domains.supply.chain import genesis as supply_genesis
from careledger.domains.supply.chain.messages import CommissionPacks
from careledger.domains.supply.chain.types import Market
from careledger.domains.supply.service.certificates import certify_lot
from careledger.domains.supply.service.secrets import (
    LotTerms,
    PackKnowledge,
    compute_lot_tag,
    compute_pack_secret,
    derive_packs,
)
from careledger.ledger.application import Application
from careledger.ledger.genesis import ModuleGenesis, read_genesis, write_genesis
from careledger.ledger.transaction import build_transaction
from careledger.primitives.hashing import sha256
from careledger.primitives.signing import public_key_of
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.messages import Message
from careledger.site.wiring import build_governance, build_modules
from careledger.standards.gs1 import GTIN
from careledger.state.rebuild import open_tree
from kit.ledgers import CHAIN_ID, SEQUENCER_SEED, START_MS, WITNESS_SEED, TestLedger, genesis_bytes

MODULES = ("identity", "governance", "records", "supply")
TODAY = START_MS // DAY_MS
MAKER = 1
SUPPLY_SEED = sha256(b"maker/supply")
PRODUCT = GTIN.from_body("0401234511111")


def seed(name: str) -> bytes:
    """Seed of a one-time key by name; never used outside tests."""
    return sha256(b"one-time/" + name.encode())


def supply_genesis_bytes() -> bytes:
    """The usual genesis with the supply module active."""
    document = read_genesis(genesis_bytes())
    states = {each.name: each for each in document.modules}
    states["governance"] = ModuleGenesis(
        "governance",
        1,
        governance_genesis.genesis_document(
            modules=[ModuleActivation(name, 1, 0) for name in MODULES],
            validators=[Validator(public_key_of(SEQUENCER_SEED), 1, 1)],
            witnesses=[Witness("regulator", public_key_of(WITNESS_SEED))],
            witness_quorum=1,
        ),
    )
    states["supply"] = ModuleGenesis("supply", 1, supply_genesis.genesis_document())
    return write_genesis(
        type(document)(
            chain_id=document.chain_id,
            genesis_time_ms=document.genesis_time_ms,
            buckets_log2=document.buckets_log2,
            modules=tuple(states[name] for name in MODULES),
            seen=document.seen,
        )
    )


@dataclass
class SupplyLedger(TestLedger):
    """The test ledger with one module more."""

    genesis: bytes = field(default_factory=supply_genesis_bytes)
    sent: list[bytes] = field(default_factory=list)

    def open(self) -> Application:
        """Open the application over the tables as they are."""
        with self.tables.snapshot() as reader:
            tree = open_tree(reader, self.nodes)
        known = tuple(each for each in build_modules() if each.name != "supply")
        return Application(
            tables=self.tables,
            tree=tree,
            modules=(*known, supply_chain.build()),
            governance=build_governance(),
            verifier=self.verifier,
        )

    def sends(self, message: Message, *names: str) -> str:
        """Put a message into a block of its own; returns the refusal's slug, or nothing."""
        raw = build_transaction(
            chain_id=CHAIN_ID,
            module="supply",
            message=message,
            expires_at_ms=self.application.position.time_ms + 300_000,
            seeds=[seed(name) for name in names],
        )
        self.sent.append(raw)
        return self.slugs(raw)[0]


@dataclass(frozen=True)
class MadeLot:
    """A lot as its maker knows it."""

    secret: bytes = sha256(b"lot secret")
    lot: str = "L-42"
    serials: tuple[str, ...] = tuple(f"SN{number:04}" for number in range(20))
    market: int = Market.US
    expires_on: int = TODAY + 300
    units: int = 30
    issuer_name: str = "issuer"

    @property
    def issuer(self) -> bytes:
        return public_key_of(seed(self.issuer_name))

    @property
    def terms(self) -> LotTerms:
        return LotTerms(
            gtin=PRODUCT,
            lot=self.lot,
            lot_tag=compute_lot_tag(self.secret),
            expires_on=self.expires_on,
            market=self.market,
            units=self.units,
        )

    @property
    def certificate(self) -> bytes:
        return certify_lot(
            chain_id=CHAIN_ID,
            organisation=MAKER,
            supply_seed=SUPPLY_SEED,
            issuer=self.issuer,
            terms=self.terms,
        )

    def commission(self, holder: str) -> CommissionPacks:
        packs = derive_packs(self.secret, self.terms, self.serials)
        return CommissionPacks(
            self.issuer,
            public_key_of(seed(holder)),
            b"".join(tag for tag, _ in packs),
            b"".join(commitment for _, commitment in packs),
        )

    def knowledge(self, serial: str) -> PackKnowledge:
        return PackKnowledge(
            issuer=self.issuer,
            serial=serial,
            secret=compute_pack_secret(self.secret, serial),
            terms=self.terms,
        )


class Registry:
    """Who registered which key, and who owns which product."""

    def __init__(self, *, key: bytes = SUPPLY_SEED, organisation: int = MAKER, owner: int = MAKER) -> None:
        self._keys = {public_key_of(key): organisation}
        self._owner = owner

    def supply_organisation(self, public_key: bytes) -> int | None:
        return self._keys.get(public_key)

    def owner_of(self, gtin: GTIN) -> int | None:
        return self._owner if gtin == PRODUCT else None
