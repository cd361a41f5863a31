"""Verification of a pack: from a label to one plain sentence, with what it rests on.

A pack is never called fake. Without its secret nothing can be said about it, and the sentence says just that; with
it, what the ledger and the maker's certificate say is told as it is, and what to do about it.

Does not scan (`standards.gs1`), does not look up who is behind a key, and discloses no trading partner.
"""

from __future__ import annotations

import enum

import msgspec

from careledger.domains.supply.chain.rules.dispensing import remaining_units
from careledger.domains.supply.chain.types import (
    PackState,
    compute_lot_commitment,
    unpack_terms,
)
from careledger.domains.supply.service.certificates import CertifiedLot
from careledger.domains.supply.service.custody import Custody
from careledger.domains.supply.service.secrets import PackKnowledge
from careledger.standards.gs1.keys import SGTIN


class Outcome(enum.StrEnum):
    """What a verification found; stable, so that programs may branch on it."""

    OK = "ok"
    CANNOT_VERIFY = "cannot-verify"
    NOT_COMMISSIONED = "not-commissioned"
    CERTIFICATE_INVALID = "certificate-invalid"
    LABEL_DIFFERS = "label-differs"
    RECALLED = "recalled"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    USED_UP = "used-up"
    OPENED = "opened"
    LEFT_CHAIN = "left-chain"
    RETURNED = "returned"
    REPACKAGED = "repackaged"
    IN_CONTAINER = "in-container"
    HELD_ELSEWHERE = "held-elsewhere"


_TEXTS = {
    Outcome.OK: "This pack is on the ledger as its maker released it, and you hold it. It may be dispensed.",
    Outcome.CANNOT_VERIFY: "This pack cannot be verified: nobody who knows it has answered. That says nothing about "
    "the pack itself. Try again, or ask the supplier.",
    Outcome.NOT_COMMISSIONED: "The maker's ledger entry for this pack does not exist: it was never released under "
    "this number. Do not dispense it; keep it apart and report it.",
    Outcome.CERTIFICATE_INVALID: "The papers that came with this pack do not hold: nothing shows that its maker "
    "released it. Do not dispense it; keep it apart and report it.",
    Outcome.LABEL_DIFFERS: "The lot or the expiry date on the label is not what the maker released this pack with. Do "
    "not dispense it; keep it apart and report it.",
    Outcome.RECALLED: "This pack's lot is recalled. Do not dispense it; send it back as the recall says.",
    Outcome.WITHDRAWN: "This pack's lot is withdrawn from the market. Do not dispense it.",
    Outcome.EXPIRED: "This pack's last day of use has passed. Do not dispense it.",
    Outcome.USED_UP: "A pack with this number has been dispensed before. Do not dispense it; if yours is full, keep it "
    "apart and report it.",
    Outcome.OPENED: "This pack was opened and dispensed in part, and you hold it. What is left may be dispensed.",
    Outcome.LEFT_CHAIN: "This pack was taken out of the supply chain. Do not dispense it; keep it apart and report it.",
    Outcome.RETURNED: "This pack was returned and has not been put back into stock. Restock it before dispensing it.",
    Outcome.REPACKAGED: "The contents of this pack went into other packs. Do not dispense it; keep it apart and report "
    "it.",
    Outcome.IN_CONTAINER: "This pack is recorded inside a container. Open the container in the records first.",
    Outcome.HELD_ELSEWHERE: "This pack is genuine in the ledger's records, but somebody else holds it. Do not dispense "
    "it; if it lies before you, keep it apart and report it.",
}

_USED = (PackState.DISPENSED, PackState.SUPPLIED)
_LEFT_WORDS = {
    PackState.EXPORTED: "exported",
    PackState.SAMPLED: "taken as a sample",
    PackState.DESTROYED: "destroyed",
    PackState.STOLEN: "reported stolen",
    PackState.DECOMMISSIONED: "decommissioned",
}


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from a pack."""

    sgtin: SGTIN
    lot: str = ""
    """As printed; empty where it was not read."""
    expires_on: int | None = None
    """Last day of use, days since 1970-01-01; None where it was not read."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one verification."""

    outcome: Outcome
    text: str
    """For a person, in plain words."""
    remaining: int | None = None
    """Units left in the pack, once its maker's terms are known to be true."""

    @property
    def is_dispensable(self) -> bool:
        """Whether the holder may dispense it now."""
        return self.outcome in (Outcome.OK, Outcome.OPENED)


def cannot_verify() -> Answer:
    """Answer for a pack whose secret nobody gave."""
    return _answer(Outcome.CANNOT_VERIFY)


def certificate_invalid() -> Answer:
    """Answer for a pack whose certificate did not hold."""
    return _answer(Outcome.CERTIFICATE_INVALID)


def verify_pack(
    label: Label,
    known: PackKnowledge,
    certified: CertifiedLot,
    custody: Custody | None,
    *,
    held_keys: frozenset[bytes],
    today: int,
) -> Answer:
    """Judge a pack; the first thing that is wrong decides, gravest first.

    1. The knowledge is of the pack on the label, and of the lot that its maker certified.
    2. The label says the same lot and expiry as the maker.
    3. The ledger has the pack, with exactly these terms.
    4. Recall and withdrawal, then what has become of it and of the containers around it, then expiry.
    5. It is in nobody's container and in these hands.

    Args:
        label: what was read.
        known: the pack's own secret and terms.
        certified: from `verify_certificate`.
        custody: from the ledger, read or proved; None where the pack is not there.
        held_keys: one-time keys of who asks.
        today: days since 1970-01-01.
    """
    # 1
    if known.issuer != certified.issuer or known.terms != certified.terms or known.sgtin != label.sgtin:
        return _answer(Outcome.CERTIFICATE_INVALID)
    # 2
    if (label.lot and label.lot != certified.lot) or label.expires_on not in (None, certified.expires_on):
        return _answer(Outcome.LABEL_DIFFERS)
    # 3
    if custody is None:
        return _answer(Outcome.NOT_COMMISSIONED)
    pack = custody.pack
    if compute_lot_commitment(known.raw_terms) != pack.lot_commitment:
        return _answer(Outcome.LABEL_DIFFERS)
    # 4
    if custody.is_recalled:
        return _answer(Outcome.RECALLED)
    if custody.is_withdrawn:
        return _answer(Outcome.WITHDRAWN)
    left = custody.lost_with or pack.state
    if left in _LEFT_WORDS:
        return msgspec.structs.replace(
            _answer(Outcome.LEFT_CHAIN),
            text=f"This pack was {_LEFT_WORDS[left]}. Do not dispense it; keep it apart and report it.",
        )
    if pack.state in _USED:
        return _answer(Outcome.USED_UP)
    if pack.state is PackState.REPACKAGED:
        return _answer(Outcome.REPACKAGED)
    if today > certified.expires_on:
        return _answer(Outcome.EXPIRED)
    # 5
    if custody.holder not in held_keys:
        return _answer(Outcome.HELD_ELSEWHERE)
    if pack.is_packed:
        return _answer(Outcome.IN_CONTAINER)
    if pack.state is PackState.RETURNED:
        return _answer(Outcome.RETURNED)
    outcome = Outcome.OPENED if pack.state is PackState.OPENED else Outcome.OK
    remaining = remaining_units(pack, unpack_terms(known.raw_terms))
    return msgspec.structs.replace(_answer(outcome), remaining=remaining)


def _answer(outcome: Outcome) -> Answer:
    return Answer(outcome=outcome, text=_TEXTS[outcome])
