"""One question, one answer: what a person scanned, what it says, and whether it may be dispensed.

Joins the scan's diagnosis, the site's knowledge of packs, the maker's certificate and the ledger. A reading that had
to be repaired is judged as repaired and says so: a person agrees to it before anything is dispensed. A pack that is
not known here cannot be verified here; asking its maker is the caller's next step.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from careledger.domains.supply.service.certificates import (
    CertifiedLot,
    ProductOwners,
    SupplyKeys,
    verify_certificate,
)
from careledger.domains.supply.service.custody import read_custody
from careledger.domains.supply.service.stock import KnownPack, Stock
from careledger.domains.supply.service.verification import (
    Answer,
    Label,
    cannot_verify,
    certificate_invalid,
    verify_pack,
)
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected
from careledger.primitives.timestamps import DAY_MS
from careledger.standards.gs1 import GTIN, SGTIN, GS1Error
from careledger.standards.gs1.causes import Finding
from careledger.standards.gs1.dates import resolve_date
from careledger.standards.gs1.element_string import ElementString
from careledger.standards.gs1.scan import diagnose_scan, misreadings

_EPOCH: Final = dt.date(1970, 1, 1)


class ScanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scan."""

    label: Label | None
    """None where the scan names no single pack; the findings say why."""
    answer: Answer | None
    """None where there is no label."""
    findings: tuple[Finding, ...] = ()
    """What was wrong with the reading, likeliest first."""
    is_repaired: bool = False
    """Whether a person must agree to the reading first."""


class Verifier:
    """Verification at one site."""

    def __init__(
        self,
        *,
        stock: Stock,
        view: LedgerView,
        chain_id: str,
        keys: SupplyKeys,
        owners: ProductOwners,
        own_keys: Callable[[Sequence[bytes]], frozenset[bytes]],
        clock_ms: Callable[[], int],
    ) -> None:
        """Take what verification needs.

        Args:
            stock: packs the site knows.
            view: the site's replica of the ledger.
            chain_id: the ledger.
            keys: registered SUPPLY keys.
            owners: owners of GTINs.
            own_keys: which of some one-time keys are this site's (`OneTimeKeys.own`).
            clock_ms: milliseconds since 1970-01-01.
        """
        self._stock = stock
        self._view = view
        self._chain_id = chain_id
        self._keys = keys
        self._owners = owners
        self._own_keys = own_keys
        self._clock_ms = clock_ms

    def verify_scan(self, raw: str) -> ScanAnswer:
        """Answer a scan as the scanner sent it."""
        scan = diagnose_scan(raw)
        label = None if scan.element_string is None else self._read_label(scan.element_string)
        if label is None or scan.element_string is None:
            return ScanAnswer(label=None, answer=None, findings=scan.findings)
        findings = scan.findings
        if not self._stock.find(label.sgtin):
            findings += tuple(
                other.finding
                for other in misreadings(scan.element_string)
                if self._is_known(other.element_string)
            )
        return ScanAnswer(
            label=label,
            answer=self.verify_label(label),
            findings=findings,
            is_repaired=scan.is_repaired,
        )

    def verify_label(self, label: Label) -> Answer:
        """Answer for a label that was read."""
        known = self._stock.find(label.sgtin)
        if not known:
            return cannot_verify()
        judged = self._first_certified(known)
        if judged is None:
            return certificate_invalid()
        pack, certified = judged
        with self._view.at_head() as view:
            custody = read_custody(view.store, pack.knowledge.pack_id, certified.lot_tag)
        return verify_pack(
            label,
            pack.knowledge,
            certified,
            custody,
            held_keys=self._own_keys(() if custody is None else (custody.holder,)),
            today=self._clock_ms() // DAY_MS,
        )

    def _first_certified(self, known: tuple[KnownPack, ...]) -> tuple[KnownPack, CertifiedLot] | None:
        for pack in known:
            try:
                certified = verify_certificate(
                    pack.certificate, chain_id=self._chain_id, keys=self._keys, owners=self._owners
                )
            except Rejected:
                # One of several that claim the number; if none of them holds, that is the answer.
                continue
            return pack, certified
        return None

    def _is_known(self, string: ElementString) -> bool:
        label = self._read_label(string)
        return label is not None and bool(self._stock.find(label.sgtin))

    def _read_label(self, string: ElementString) -> Label | None:
        gtin, serial, expiry = string.get("01"), string.get("21"), string.get("17")
        if gtin is None or serial is None:
            return None
        year = (_EPOCH + dt.timedelta(days=self._clock_ms() // DAY_MS)).year
        try:
            expires_on = None if expiry is None else (resolve_date(expiry, reference_year=year) - _EPOCH).days
            sgtin = SGTIN(gtin=GTIN(digits=gtin), serial=serial)
        except GS1Error:
            return None
        return Label(sgtin=sgtin, lot=string.get("10") or "", expires_on=expires_on)
