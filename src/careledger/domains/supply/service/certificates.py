"""Issuer certificates: how a lot's one-time key is known to be its maker's.

A maker's registered SUPPLY key certifies, off the ledger, the one-time issuer key that commissioned a lot,
together with everything the lot's packs have in common. The certificate travels with the goods. On the ledger
nothing ties the issuer key to anybody.

Whether the maker owns the GTIN is asked of a directory, which the composition root provides; this module checks what
can be checked with keys.
"""

from __future__ import annotations

from typing import Protocol

from careledger.domains.supply.chain.types import DIGEST_BYTES, KEY_BYTES
from careledger.domains.supply.service.errors import CERTIFICATE_INVALID
from careledger.domains.supply.service.secrets import LotTerms
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import label_prefix
from careledger.primitives.signing import SignatureInvalid, public_key_of, sign, verify_signature
from careledger.standards.gs1 import GTIN, LGTIN, GS1Error

CERTIFICATE_VERSION = 1
CERTIFICATE_BYTES_MAX = 1_024

_SIGN_PREFIX = label_prefix("careledger/issuer-certificate/1")


class SupplyKeys(Protocol):
    """What this module needs to know of registered keys."""

    def supply_organisation(self, public_key: bytes) -> int | None:
        """Organisation whose SUPPLY key this was when it signed lots, or None."""


class ProductOwners(Protocol):
    """What this module needs to know of products."""

    def owner_of(self, gtin: GTIN) -> int | None:
        """Organisation that owns the GTIN, or None where nobody is known to."""


class CertificateContent(Wire, frozen=True):
    """What is signed."""

    version: int
    """1."""
    chain_id: str
    """The ledger the packs are on."""
    organisation: int
    """The maker."""
    supply_key: bytes
    """Its registered key that signs this, 32 bytes."""
    issuer: bytes
    """The one-time key it certifies, 32 bytes."""
    gtin: str
    """14 digits."""
    lot: str
    """As printed, AI (10)."""
    lot_tag: bytes
    """32 bytes."""
    expires_on: int
    """Last day of use, days since 1970-01-01."""
    market: int
    units: int


class Certificate(Wire, frozen=True):
    """A certificate as it travels: exact bytes and the signature over them."""

    content: bytes
    """Canonical encoding of a `CertificateContent`."""
    signature: bytes
    """64 bytes."""


class CertifiedLot(Wire, frozen=True):
    """What a certificate that holds says."""

    organisation: int
    issuer: bytes
    gtin: str
    lot: str
    lot_tag: bytes
    expires_on: int
    market: int
    units: int

    @property
    def terms(self) -> LotTerms:
        """The lot's terms."""
        return LotTerms(
            gtin=GTIN(digits=self.gtin),
            lot=self.lot,
            lot_tag=self.lot_tag,
            expires_on=self.expires_on,
            market=self.market,
            units=self.units,
        )


def certify_lot(
    *, chain_id: str, organisation: int, supply_seed: bytes, issuer: bytes, terms: LotTerms
) -> bytes:
    """Make the certificate of a lot, signed with the maker's SUPPLY seed."""
    content = encode(
        CertificateContent(
            CERTIFICATE_VERSION,
            chain_id,
            organisation,
            public_key_of(supply_seed),
            issuer,
            terms.gtin.digits,
            terms.lot,
            terms.lot_tag,
            terms.expires_on,
            terms.market,
            terms.units,
        )
    )
    return encode(Certificate(content, sign(supply_seed, _SIGN_PREFIX + content)))


def verify_certificate(raw: bytes, *, chain_id: str, keys: SupplyKeys, owners: ProductOwners) -> CertifiedLot:
    """Check a certificate.

    1. It is one, of this version, in canonical form and of bounded size.
    2. The key it names signed exactly these bytes.
    3. That key is registered by the organisation it names, for supply.
    4. The lot is on this ledger, and the GTIN is that organisation's.
    5. What it says can be printed on a pack.

    Raises:
        Rejected: CERTIFICATE_INVALID, with the step that failed.
    """
    # 1
    if len(raw) > CERTIFICATE_BYTES_MAX:
        raise Rejected(CERTIFICATE_INVALID, "it is too long")
    try:
        certificate = decode(raw, Certificate)
        content = decode(certificate.content, CertificateContent)
    except CodecError:
        raise Rejected(CERTIFICATE_INVALID, "it cannot be read") from None
    if content.version != CERTIFICATE_VERSION:
        raise Rejected(CERTIFICATE_INVALID, "its version is unknown")
    # 2
    try:
        verify_signature(content.supply_key, _SIGN_PREFIX + certificate.content, certificate.signature)
    except SignatureInvalid:
        raise Rejected(CERTIFICATE_INVALID, "its signature does not stand") from None
    # 3
    if keys.supply_organisation(content.supply_key) != content.organisation:
        raise Rejected(CERTIFICATE_INVALID, "the key that signed it is not the maker's")
    # 4 and 5
    if content.chain_id != chain_id:
        raise Rejected(CERTIFICATE_INVALID, "it is for another ledger")
    try:
        gtin = LGTIN(gtin=GTIN(digits=content.gtin), lot=content.lot).gtin
    except GS1Error:
        raise Rejected(CERTIFICATE_INVALID, "product or lot cannot be printed on a pack") from None
    if len(content.issuer) != KEY_BYTES or len(content.lot_tag) != DIGEST_BYTES:
        raise Rejected(CERTIFICATE_INVALID, "a key or a tag has the wrong length")
    if not 0 <= content.expires_on < 2**32 or not 1 <= content.units < 2**32:
        raise Rejected(CERTIFICATE_INVALID, "a number is out of range")
    if owners.owner_of(gtin) != content.organisation:
        raise Rejected(CERTIFICATE_INVALID, "the product is not the maker's")
    return CertifiedLot(
        content.organisation,
        content.issuer,
        content.gtin,
        content.lot,
        content.lot_tag,
        content.expires_on,
        content.market,
        content.units,
    )
