"""The whole module on the real application: simultaneous attempts in one block, and what a full dump tells."""

from __future__ import annotations

from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.errors import ALREADY_DISPENSED
from careledger.domains.supply.chain.rules.items import pack_dispensing
from careledger.domains.supply.service.secrets import compute_pack_tag
from careledger.ledger.meta import height_key
from careledger.ledger.transaction import build_transaction
from careledger.ledger.view import LedgerView
from careledger.primitives.hashing import sha256
from careledger.primitives.signing import public_key_of
from careledger.standards.gs1 import SGTIN
from careledger.state.store import EVENTS, RECEIPTS
from domains.supply.supply_ledger import PRODUCT, SUPPLY_SEED, MadeLot, SupplyLedger, seed
from kit.ledgers import CHAIN_ID, START_MS

LOT = MadeLot()
KNOWN = LOT.knowledge(LOT.serials[3])


def stocked() -> SupplyLedger:
    ledger = SupplyLedger()
    assert ledger.sends(LOT.commission("pharmacy"), "issuer", "pharmacy") == ""
    return ledger


def dispensing() -> m.Dispense:
    return m.Dispense(pack_dispensing(KNOWN.pack_id, KNOWN.raw_terms, expected=30, units=30, supplied=False))


def test_of_200_dispenses_in_one_block_exactly_one_wins() -> None:
    ledger = stocked()
    attempts = [
        build_transaction(
            chain_id=CHAIN_ID,
            module="supply",
            message=dispensing(),
            expires_at_ms=START_MS + 300_000 + number,
            seeds=[seed("pharmacy")],
        )
        for number in range(200)
    ]
    slugs = ledger.slugs(*attempts)
    assert slugs.count("") == 1
    assert slugs.count(ALREADY_DISPENSED.slug) == 199


def test_a_badly_signed_dispense_changes_nothing() -> None:
    ledger = stocked()
    raw = bytearray(
        build_transaction(
            chain_id=CHAIN_ID,
            module="supply",
            message=dispensing(),
            expires_at_ms=START_MS + 300_000,
            seeds=[seed("pharmacy")],
        )
    )
    raw[-1] ^= 1
    before = ledger.application.position.state_root
    assert ledger.slugs(bytes(raw)) != [""]
    assert ledger.application.position.state_root == before
    assert ledger.sends(dispensing(), "pharmacy") == ""


def dump(ledger: SupplyLedger) -> bytes:
    """Everything of the supply module that the ledger holds: state, transactions, receipts, events."""
    view = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    with view.at_head() as state:
        parts = [key + value for key, value in state.store.scan(b"\x04", b"\x05")]
    for height in range(1, ledger.application.position.height + 1):
        with view.snapshot() as reader:
            rows = [reader.get(table, height_key(height)) for table in (RECEIPTS, EVENTS)]
        parts += [raw for raw in rows if raw is not None]
    return b"".join([*parts, *ledger.sent])


def test_a_full_dump_names_no_product_lot_serial_maker_or_partner() -> None:
    ledger = stocked()
    assert ledger.sends(dispensing(), "pharmacy") == ""
    whole = dump(ledger)
    assert len(whole) > 4_000
    assert KNOWN.pack_id[32:] in whole
    names = [PRODUCT.digits.encode(), LOT.lot.encode(), public_key_of(SUPPLY_SEED), LOT.secret, KNOWN.secret]
    names += [serial.encode() for serial in LOT.serials]
    assert [name for name in names if name in whole] == []


def test_a_competitor_that_bought_one_pack_identifies_no_other() -> None:
    """It knows all products, all serial numbers there can be, one pack's secret, and the whole ledger."""
    ledger = stocked()
    whole = dump(ledger)
    guesses = [SGTIN(gtin=PRODUCT, serial=serial) for serial in LOT.serials]
    found = [sgtin.serial for sgtin in guesses if compute_pack_tag(KNOWN.secret, sgtin) in whole]
    assert found == [KNOWN.serial]
    plain = [sha256(sgtin.gtin.digits.encode() + b"\x1d" + sgtin.serial.encode()) for sgtin in guesses]
    assert [tag for tag in plain if tag in whole] == []
    # Its own pack says nothing about the lot secret: the tags of other packs do not follow from it.
    others = [LOT.knowledge(serial) for serial in LOT.serials if serial != KNOWN.serial]
    assert all(other.secret not in whole for other in others)
