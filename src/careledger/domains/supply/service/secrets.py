"""Pack secrets: how a maker names packs on the ledger so that nobody can enumerate them.

    pack secret  s    = HMAC-SHA256(lot secret, serial)
    pack tag          = HMAC-SHA256(s, GTIN-14 | 0x1D | serial)
    salt of its terms = HMAC-SHA256(s, label "careledger/pack-salt/1")
    lot tag           = HMAC-SHA256(lot secret, label "careledger/lot-tag/1")

What travels with the goods is each pack's own secret, never the lot's: a partner can follow the packs it handled and
no others. A serial is 1 to 20 characters of GS1's set 82, so it can never be mistaken for a label, which starts
with its length as a byte below 0x21. Keeps no secret; the callers' stores do.

Source: RFC 2104; GS1 General Specifications §3 for (01) and (21).
"""

from __future__ import annotations

from collections.abc import Iterable
from hmac import digest

import msgspec

from careledger.domains.supply.chain.types import Terms, compute_lot_commitment, pack_terms
from careledger.primitives.hashing import label_prefix
from careledger.standards.gs1.keys import GTIN, SGTIN

SECRET_BYTES = 32
_SEPARATOR = b"\x1d"
_SALT_LABEL = label_prefix("careledger/pack-salt/1")
_LOT_TAG_LABEL = label_prefix("careledger/lot-tag/1")


class LotTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What all packs of a lot have in common."""

    gtin: GTIN
    lot: str
    """As printed, AI (10)."""
    lot_tag: bytes
    """The lot on the ledger, 32 bytes."""
    expires_on: int
    """Last day of use, days since 1970-01-01 (UTC)."""
    market: int
    """Number of the market's profile."""
    units: int
    """Units in a full pack."""


class PackKnowledge(msgspec.Struct, frozen=True, kw_only=True):
    """What travels with one pack: whoever has it can find the pack on the ledger, and dispense it if it holds it."""

    issuer: bytes
    """One-time key that commissioned the lot."""
    serial: str
    """As printed, AI (21)."""
    secret: bytes
    """The pack's own secret, 32 bytes."""
    terms: LotTerms

    @property
    def sgtin(self) -> SGTIN:
        """The pack as its label names it."""
        return SGTIN(gtin=self.terms.gtin, serial=self.serial)

    @property
    def pack_id(self) -> bytes:
        """The pack on the ledger: issuer key and tag."""
        return self.issuer + compute_pack_tag(self.secret, self.sgtin)

    @property
    def raw_terms(self) -> bytes:
        """What opens the pack's lot commitment."""
        return write_terms(self.terms, self.secret)


def compute_pack_secret(lot_secret: bytes, serial: str) -> bytes:
    """Secret of one pack."""
    return digest(lot_secret, serial.encode("ascii"), "sha256")


def compute_pack_tag(secret: bytes, sgtin: SGTIN) -> bytes:
    """Tag under which the pack stands on the ledger."""
    return digest(
        secret, sgtin.gtin.digits.encode("ascii") + _SEPARATOR + sgtin.serial.encode("ascii"), "sha256"
    )


def compute_pack_salt(secret: bytes) -> bytes:
    """Salt of the pack's terms."""
    return digest(secret, _SALT_LABEL, "sha256")


def compute_lot_tag(lot_secret: bytes) -> bytes:
    """Tag under which the lot is recalled."""
    return digest(lot_secret, _LOT_TAG_LABEL, "sha256")


def write_terms(terms: LotTerms, secret: bytes) -> bytes:
    """Terms of one pack in the form its commitment was made from."""
    return pack_terms(
        Terms(terms.lot_tag, terms.expires_on, terms.market, terms.units, compute_pack_salt(secret))
    )


def derive_packs(lot_secret: bytes, terms: LotTerms, serials: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Tags and lot commitments of many packs of one lot, ascending by tag, as `CommissionPacks` wants them."""
    gtin = terms.gtin.digits.encode("ascii") + _SEPARATOR
    packs = []
    for serial in serials:
        raw = serial.encode("ascii")
        secret = digest(lot_secret, raw, "sha256")
        packs.append(
            (digest(secret, gtin + raw, "sha256"), compute_lot_commitment(write_terms(terms, secret)))
        )
    packs.sort()
    return packs
