"""What must hold between the packs that go into a repackaging and those that come out."""

from __future__ import annotations

from collections.abc import Sequence

from careledger.domains.supply.chain.errors import (
    EXPIRY_EXTENDED,
    MARKET_CHANGED,
    MASS_UNBALANCED,
    QUANTITY,
)
from careledger.domains.supply.chain.types import Pack, PackState, Terms, compute_lot_commitment
from careledger.sdk.errors import Rejected


def check_outputs(inputs: Sequence[Terms], outputs: Sequence[Terms]) -> None:
    """Check that no new pack lives longer than, or is sold elsewhere than, everything that went in.

    Raises:
        Rejected: QUANTITY, EXPIRY_EXTENDED or MARKET_CHANGED, naming the new pack's position.
    """
    expires_on = min(terms.expires_on for terms in inputs)
    market = inputs[0].market
    if any(terms.market != market for terms in inputs):
        raise Rejected(MARKET_CHANGED, at="inputs")
    for position, terms in enumerate(outputs):
        at = f"outputs[{position}]"
        if terms.units == 0:
            raise Rejected(QUANTITY, at=at)
        if terms.expires_on > expires_on:
            raise Rejected(EXPIRY_EXTENDED, at=at)
        if terms.market != market:
            raise Rejected(MARKET_CHANGED, at=at)


def check_balance(units_in: int, outputs: Sequence[Terms], waste_units: int) -> None:
    """Check that what went in came out, to the unit.

    Raises:
        Rejected: MASS_UNBALANCED.
    """
    if units_in != sum(terms.units for terms in outputs) + waste_units:
        raise Rejected(MASS_UNBALANCED)


def compute_outputs(
    issuer: bytes, holder: bytes, outputs: Sequence[tuple[bytes, bytes, Terms]], transformation: bytes
) -> dict[bytes, Pack]:
    """New packs by their identifiers, from (tag, terms in fixed form, terms)."""
    return {
        issuer + tag: Pack(
            PackState.ACTIVE, compute_lot_commitment(raw_terms), holder, False, b"", None, transformation
        )
        for tag, raw_terms, _ in outputs
    }
