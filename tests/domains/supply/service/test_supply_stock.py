"""A lot from plan to ledger, secrets that travel with goods, and what a product is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from careledger.domains.supply.chain import keeper
from careledger.domains.supply.service.certificates import CertifiedLot, verify_certificate
from careledger.domains.supply.service.errors import (
    CERTIFICATE_INVALID,
    HANDOVER_INVALID,
    LOT_KNOWN,
    LOT_UNKNOWN,
    PACK_UNKNOWN,
    PRODUCT_CONFLICT,
    PRODUCT_UNKNOWN,
)
from careledger.domains.supply.service.products import Product, ProductMaster
from careledger.domains.supply.service.stock import HandedLot, Stock
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode_list, encode
from careledger.primitives.errors import Code, Rejected
from careledger.primitives.signing import public_key_of
from careledger.standards.gs1 import GTIN, SGTIN
from careledger.storage.sqlite import Database
from domains.supply.supply_ledger import PRODUCT, MadeLot, Registry, SupplyLedger, seed
from kit.ledgers import CHAIN_ID, START_MS

LOT = MadeLot(serials=tuple(f"SN{number:04}" for number in range(25)))
HOLDER = public_key_of(seed("line"))


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[list[Database]]:
    opened = [Database(tmp_path / f"{name}.db", bytes(32), readers=1) for name in ("maker", "pharmacy")]
    yield opened
    for each in opened:
        each.close()


def plan(stock: Stock, lot: MadeLot = LOT, **changes: Any) -> int:
    wanted: dict[str, Any] = {
        "terms": lot.terms,
        "issuer": lot.issuer,
        "secret": lot.secret,
        "certificate": lot.certificate,
        "serials": lot.serials,
    }
    return stock.plan_lot(**(wanted | changes))


def verify(raw: bytes) -> CertifiedLot:
    registry = Registry()
    return verify_certificate(raw, chain_id=CHAIN_ID, keys=registry, owners=registry)


def check_rejected(code: Code, act: Any) -> None:
    with pytest.raises(Rejected) as caught:
        act()
    assert caught.value.code == code


def sgtin(serial: str) -> SGTIN:
    return SGTIN(gtin=PRODUCT, serial=serial)


# -- Commissioning ---------------------------------------------------------------------------------------


def test_a_lot_is_commissioned_step_by_step_and_goes_on_after_a_crash(databases: list[Database]) -> None:
    ledger = SupplyLedger()
    stock = Stock(databases[0])
    lot = plan(stock)
    seen: list[tuple[int, int]] = []
    while (step := stock.next_commissioning(lot, HOLDER, packs_max=10)) is not None:
        assert ledger.sends(step.message, "issuer", "line") == ""
        if len(seen) == 1:
            # The receipt was durable, the note of it was not: the same packs are sent again.
            stock = Stock(databases[0])
            again = stock.next_commissioning(lot, HOLDER, packs_max=10)
            assert again == step
            ledger.block(later_ms=1_000)
            assert ledger.sends(step.message, "issuer", "line") == ""
        stock.mark_commissioned(lot, step)
        progress = stock.mark_commissioned(lot, step)
        seen.append((progress.commissioned, progress.planned))
    assert seen == [(10, 25), (20, 25), (25, 25)]
    view = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    with view.at_head() as state:
        for serial in LOT.serials:
            (known,) = stock.find(sgtin(serial))
            assert known.knowledge == LOT.knowledge(serial)
            assert keeper.pack(state.store, known.knowledge.pack_id) is not None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, LOT_KNOWN),
        ({"secret": bytes(32)}, LOT_KNOWN),
        ({"serials": ()}, HANDOVER_INVALID),
        ({"serials": ("A", "A")}, HANDOVER_INVALID),
        ({"serials": ("A" * 21,)}, HANDOVER_INVALID),
        ({"serials": ("é",)}, HANDOVER_INVALID),
    ],
)
def test_lots_that_cannot_be_planned(databases: list[Database], changes: dict[str, Any], code: Code) -> None:
    stock = Stock(databases[0])
    plan(stock)
    check_rejected(code, lambda: plan(stock, **changes))


def test_lots_that_are_not_there(databases: list[Database]) -> None:
    stock = Stock(databases[0])
    check_rejected(LOT_UNKNOWN, lambda: stock.next_commissioning(9, HOLDER))
    check_rejected(LOT_UNKNOWN, lambda: stock.progress(9))
    check_rejected(PACK_UNKNOWN, lambda: stock.hand_over([sgtin("SN0001")]))


# -- Secrets that travel with the goods --------------------------------------------------------------------


def handed(databases: list[Database], *serials: str) -> tuple[Stock, bytes]:
    maker = Stock(databases[0])
    plan(maker)
    return Stock(databases[1]), maker.hand_over([sgtin(serial) for serial in serials])


def on_ledger(pack_id: bytes) -> bool:
    return pack_id in {LOT.knowledge(serial).pack_id for serial in LOT.serials}


def test_a_partner_knows_the_packs_it_was_given_and_no_others(databases: list[Database]) -> None:
    pharmacy, raw = handed(databases, "SN0003", "SN0004")
    assert LOT.secret not in raw
    assert pharmacy.receive(raw, verify=verify, is_on_ledger=on_ledger) == 2
    assert pharmacy.receive(raw, verify=verify, is_on_ledger=on_ledger) == 0
    (known,) = pharmacy.find(sgtin("SN0003"))
    assert known.knowledge == LOT.knowledge("SN0003")
    assert verify(known.certificate).terms == LOT.terms
    assert pharmacy.find(sgtin("SN0005")) == ()
    # What was received can be handed on as it came.
    assert pharmacy.hand_over([sgtin("SN0003"), sgtin("SN0004")]) == raw


def test_each_site_knows_its_own_packs_of_a_recalled_lot(databases: list[Database]) -> None:
    pharmacy, raw = handed(databases, "SN0003", "SN0004")
    pharmacy.receive(raw, verify=verify, is_on_ledger=on_ledger)
    assert pharmacy.affected(LOT.issuer, LOT.terms.lot_tag) == (sgtin("SN0003"), sgtin("SN0004"))
    assert pharmacy.affected(LOT.issuer, bytes(32)) == ()


def test_handovers_that_cannot_be_used(databases: list[Database]) -> None:
    pharmacy, raw = handed(databases, "SN0003", "SN0004")
    (lot,) = decode_list(raw, HandedLot)
    first, second = lot.packs

    def receive(changed: bytes) -> None:
        pharmacy.receive(changed, verify=verify, is_on_ledger=on_ledger)

    def packs(*changed: Any) -> bytes:
        return encode([msgspec.structs.replace(lot, packs=changed)])

    for broken in (
        b"",
        b"\xff",
        encode([]),
        packs(),
        packs(msgspec.structs.replace(first, secret=bytes(31))),
        packs(first, first),
        packs(msgspec.structs.replace(first, serial="")),
        packs(first, msgspec.structs.replace(second, secret=bytes(32))),
        packs(first, msgspec.structs.replace(second, serial=first.serial + "X")),
    ):
        check_rejected(HANDOVER_INVALID, lambda raw=broken: receive(raw))
    forged = encode([msgspec.structs.replace(lot, certificate=b"\x80")])
    check_rejected(CERTIFICATE_INVALID, lambda: receive(forged))
    assert pharmacy.find(sgtin("SN0003")) == ()


def test_two_lots_that_release_the_same_number_are_both_found(databases: list[Database]) -> None:
    stock = Stock(databases[0])
    plan(stock)
    plan(stock, replace(LOT, secret=bytes(32), issuer_name="other"))
    assert len(stock.find(sgtin("SN0001"))) == 2


# -- Products ----------------------------------------------------------------------------------------------


ITEM = Product(
    gtin=GTIN(digits="00312345678906"),
    owner=1,
    name="Examplinol",
    strength="20 mg",
    units=30,
    market=1,
    ndc_11="12345067890",
)


def test_products(databases: list[Database]) -> None:
    master = ProductMaster(databases[0])
    check_rejected(PRODUCT_UNKNOWN, lambda: master.product(ITEM.gtin))
    master.add(ITEM)
    master.add(ITEM)
    assert master.product(ITEM.gtin) == ITEM
    assert master.products_of_ndc(ITEM.ndc_11) == (ITEM,)
    assert master.products_of_ndc("") == ()
    assert (master.owner_of(ITEM.gtin), master.owner_of(PRODUCT)) == (1, None)
    larger = msgspec.structs.replace(ITEM, units=90)
    check_rejected(PRODUCT_CONFLICT, lambda: master.add(larger))
    master.replace(larger)
    assert master.product(ITEM.gtin).units == 90
    stolen = msgspec.structs.replace(ITEM, owner=2)
    check_rejected(PRODUCT_CONFLICT, lambda: master.replace(stolen))
