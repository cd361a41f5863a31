"""What dispensing makes of a pack, and what undoing it makes of it again."""

from __future__ import annotations

import msgspec

from careledger.domains.supply.chain.errors import (
    QUANTITY,
    REMAINING_CHANGED,
    UNDO_STATE,
    UNDO_SUPPLIED,
    UNDO_TOO_LATE,
)
from careledger.domains.supply.chain.rules.markets import profile_of
from careledger.domains.supply.chain.types import Pack, PackState, PackUse, Terms
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.errors import Rejected

_replace = msgspec.structs.replace


def remaining_units(pack: Pack, terms: Terms) -> int:
    """Units left in a pack; its size was unknown until its terms were opened."""
    return terms.units if pack.use is None or pack.use.units == 0 else pack.use.remaining


def compute_dispensed(
    pack: Pack, terms: Terms, *, expected: int, units: int, is_supplied: bool, now_ms: int, at: str
) -> Pack:
    """Pack after some of its units were dispensed, if it holds what is expected.

    Raises:
        Rejected: MARKET_UNKNOWN, REMAINING_CHANGED or QUANTITY.
    """
    profile = profile_of(terms.market)
    remaining = remaining_units(pack, terms)
    if remaining != expected:
        raise Rejected(REMAINING_CHANGED, at=at)
    if not 1 <= units <= remaining:
        raise Rejected(QUANTITY, at=at)
    left = remaining - units
    state = PackState.OPENED
    if left == 0 or profile.first_supply_ends:
        state = PackState.SUPPLIED if is_supplied else PackState.DISPENSED
    use = PackUse(terms.units, left, 0 if is_supplied else units, now_ms)
    return _replace(pack, state=state, use=use, offer=b"")


def compute_supplied(pack: Pack) -> Pack:
    """Pack after its last dispensing reached the public: nothing undoes it any more."""
    state = PackState.SUPPLIED if pack.state is PackState.DISPENSED else pack.state
    use = None if pack.use is None else _replace(pack.use, last_units=0)
    return _replace(pack, state=state, use=use)


def compute_undone(pack: Pack, terms: Terms, *, now_ms: int, at: str) -> Pack:
    """Pack as it was before it was last dispensed, exported or sampled, if its market lets that be undone.

    Raises:
        Rejected: MARKET_UNKNOWN, UNDO_SUPPLIED, UNDO_STATE or UNDO_TOO_LATE.
    """
    profile = profile_of(terms.market)
    use = pack.use
    if pack.state is PackState.SUPPLIED:
        raise Rejected(UNDO_SUPPLIED, at=at)
    if use is None or pack.state not in profile.undoable:
        raise Rejected(UNDO_STATE, at=at)
    if pack.state is PackState.OPENED and use.last_units == 0:
        # What was dispensed before is with the public, or was undone already.
        raise Rejected(UNDO_SUPPLIED, at=at)
    if now_ms - use.changed_at_ms > profile.undo_days_max * DAY_MS:
        raise Rejected(UNDO_TOO_LATE, at=at)
    remaining = remaining_units(pack, terms) + use.last_units
    if remaining == terms.units:
        return _replace(pack, state=PackState.ACTIVE, use=None)
    return _replace(pack, state=PackState.OPENED, use=PackUse(terms.units, remaining, 0, now_ms))
