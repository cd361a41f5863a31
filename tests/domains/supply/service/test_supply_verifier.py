"""A scan at the counter: from what the scanner sends to what the pharmacist reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from careledger.domains.supply.service.secrets import compute_pack_secret
from careledger.domains.supply.service.stock import Stock
from careledger.domains.supply.service.verification import Outcome
from careledger.domains.supply.service.verifier import ScanAnswer, Verifier
from careledger.ledger.view import LedgerView
from careledger.primitives.signing import public_key_of
from careledger.standards.gs1.causes import Cause
from careledger.standards.gs1.dates import write_date
from careledger.storage.sqlite import Database
from domains.supply.supply_ledger import PRODUCT, MadeLot, Registry, SupplyLedger, seed
from kit.ledgers import CHAIN_ID, START_MS

# The last day of use is the last of its month, so that a label may say day 00.
EXPIRES = dt.date(2027, 9, 30)
LOT = MadeLot(serials=("SZ01", "SN02", "SN03"), lot="L-42", expires_on=(EXPIRES - dt.date(1970, 1, 1)).days)
GS = "\x1d"


class Counter:
    """A pharmacy that was handed the lot."""

    def __init__(self, path: Path, registry: Registry) -> None:
        self.database = Database(path / "stock.db", bytes(32), readers=1)
        self.stock = Stock(self.database)
        self.ledger = SupplyLedger()
        self.now_ms = START_MS
        self.verifier = Verifier(
            stock=self.stock,
            view=LedgerView(
                self.ledger.tables, self.ledger.nodes, clock_ms=lambda: self.now_ms, wait=lambda: None
            ),
            chain_id=CHAIN_ID,
            keys=registry,
            owners=registry,
            own_keys=lambda keys: frozenset({public_key_of(seed("pharmacy"))} & {*keys}),
            clock_ms=lambda: self.now_ms,
        )
        self.plan(LOT)
        assert self.ledger.sends(LOT.commission("pharmacy"), "issuer", "pharmacy") == ""

    def plan(self, lot: MadeLot) -> None:
        self.stock.plan_lot(
            terms=lot.terms,
            issuer=lot.issuer,
            secret=lot.secret,
            certificate=lot.certificate,
            serials=lot.serials,
        )

    def scan(self, serial: str = "SN02", *, lot: str = "L-42", expiry: str = "") -> ScanAnswer:
        expiry = expiry or write_date(EXPIRES)
        return self.verifier.verify_scan(f"]d201{PRODUCT.digits}17{expiry}10{lot}{GS}21{serial}")


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    made = Counter(tmp_path, Registry())
    yield made
    made.database.close()


def outcome(found: ScanAnswer) -> Outcome | None:
    return None if found.answer is None else found.answer.outcome


def test_a_good_scan_of_a_good_pack(counter: Counter) -> None:
    found = counter.scan()
    assert (outcome(found), found.findings, found.is_repaired) == (Outcome.OK, (), False)


def test_day_00_is_the_last_day_of_the_month(counter: Counter) -> None:
    assert outcome(counter.scan(expiry=write_date(EXPIRES)[:4] + "00")) is Outcome.OK


@pytest.mark.parametrize(
    ("lot", "expiry", "expected"),
    [
        ("L-43", "", Outcome.LABEL_DIFFERS),
        ("L-42", "280930", Outcome.LABEL_DIFFERS),
    ],
)
def test_a_label_that_says_something_else(counter: Counter, lot: str, expiry: str, expected: Outcome) -> None:
    assert outcome(counter.scan(lot=lot, expiry=expiry)) is expected


def test_a_pack_nobody_handed_over_cannot_be_verified(counter: Counter) -> None:
    found = counter.scan("XX99")
    assert outcome(found) is Outcome.CANNOT_VERIFY
    assert found.answer is not None
    assert "fake" not in found.answer.text


def test_a_wrong_keyboard_is_named_where_the_other_reading_is_known(counter: Counter) -> None:
    found = counter.scan("SY01")
    assert outcome(found) is Outcome.CANNOT_VERIFY
    assert Cause.SWAPPED_Y_Z in {finding.cause for finding in found.findings}


def test_a_lost_separator_is_repaired_and_a_person_agrees(counter: Counter) -> None:
    whole = f"01{PRODUCT.digits}17{write_date(EXPIRES)}10L-42<GS>21SN02"
    found = counter.verifier.verify_scan(whole)
    assert (outcome(found), found.is_repaired) == (Outcome.OK, True)


@pytest.mark.parametrize("raw", ["", "hello", f"01{PRODUCT.digits}", "01" + "9" * 14 + "21A"])
def test_scans_that_name_no_pack(counter: Counter, raw: str) -> None:
    found = counter.verifier.verify_scan(raw)
    assert (found.label, found.answer) == (None, None)
    assert found.findings


def test_time_passes(counter: Counter) -> None:
    counter.now_ms = (LOT.expires_on + 1) * 86_400_000
    assert outcome(counter.scan()) is Outcome.EXPIRED


def test_papers_that_do_not_hold(tmp_path: Path) -> None:
    made = Counter(tmp_path, Registry(owner=2))
    assert outcome(made.scan()) is Outcome.CERTIFICATE_INVALID
    made.database.close()


def test_a_second_lot_with_the_same_number_does_not_hide_the_genuine_one(counter: Counter) -> None:
    crook = replace(LOT, secret=compute_pack_secret(bytes(32), "x"), issuer_name="crook")
    counter.stock.plan_lot(
        terms=crook.terms,
        issuer=crook.issuer,
        secret=crook.secret,
        certificate=b"\x80",
        serials=crook.serials,
    )
    assert outcome(counter.scan()) is Outcome.OK
