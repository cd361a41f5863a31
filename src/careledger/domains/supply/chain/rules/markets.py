"""What differs between markets: how a pack is used up, and what can be undone for how long.

EU: Commission Delegated Regulation (EU) 2016/161: a pack is decommissioned when it is first supplied (Art. 25), and
Art. 13 lets the same person revert that at the same place within ten days, unless the pack is expired, recalled,
withdrawn, destroyed or stolen, or was supplied to the public. US: a bottle serves many prescriptions, and one
that is never collected goes back to stock; what left the chain otherwise stays out.
"""

from __future__ import annotations

from dataclasses import dataclass

from careledger.domains.supply.chain.errors import MARKET_UNKNOWN
from careledger.domains.supply.chain.types import Market, PackState
from careledger.sdk.errors import Rejected


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one market."""

    first_supply_ends: bool
    """Whether a pack is used up by its first dispensing, whatever is left in it."""
    undoable: tuple[PackState, ...]
    """States that can be undone."""
    undo_days_max: int
    """For so many days."""


PROFILES = {
    Market.US: Profile(
        first_supply_ends=False, undoable=(PackState.OPENED, PackState.DISPENSED), undo_days_max=10
    ),
    Market.EU: Profile(
        first_supply_ends=True,
        undoable=(PackState.DISPENSED, PackState.EXPORTED, PackState.SAMPLED),
        undo_days_max=10,
    ),
}


def profile_of(market: int) -> Profile:
    """Rules of a market.

    Raises:
        Rejected: MARKET_UNKNOWN.
    """
    for known, profile in PROFILES.items():
        if known == market:
            return profile
    raise Rejected(MARKET_UNKNOWN)
