"""The undo matrix: what was done x where x after how many days x what was said of the lot x which market."""

from __future__ import annotations

from itertools import product

import pytest

from careledger.domains.supply.chain import errors as codes
from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.types import Market, PackState
from careledger.primitives.errors import Code
from careledger.primitives.timestamps import DAY_MS
from domains.supply.supply_network import (
    TODAY,
    Made,
    SupplyNetwork,
    check_rejected,
    dispense,
    key,
    lot_tag,
    make,
    opened,
    stocked,
)

DONE = (
    "nothing",
    "dispensed",
    "dispensed in part",
    "supplied",
    "supplied later",
    "supplied in part",
    *("exported", "sampled", "destroyed", "stolen", "decommissioned"),
)
PLACES = ("pharmacy", "branch")
DAYS = (9, 10, 11)
SAID = ("nothing", "recalled", "withdrawn", "expired")


def act(network: SupplyNetwork, done: str, pack: Made) -> None:
    if done == "dispensed":
        network.run(dispense(pack), "pharmacy")
    elif done == "dispensed in part":
        network.run(dispense(pack, units=10), "pharmacy")
    elif done == "supplied":
        network.run(dispense(pack, supplied=True), "pharmacy")
    elif done == "supplied later":
        network.run(dispense(pack), "pharmacy")
        network.run(m.MarkSupplied(pack.id), "pharmacy")
    elif done == "supplied in part":
        network.run(dispense(pack, units=10, supplied=True), "pharmacy")
    elif done != "nothing":
        network.run(m.Decommission(PackState[done.upper()], pack.id, b""), "pharmacy")


def expected(done: str, place: str, days: int, said: str, market: Market) -> Code | None:
    """What the regulation asks for, written as a table and not as the program has it."""
    if place == "branch":
        return codes.UNDO_ELSEWHERE
    refused = {"recalled": codes.LOT_RECALLED, "withdrawn": codes.LOT_WITHDRAWN, "expired": codes.EXPIRED}
    if said in refused:
        return refused[said]
    if done in ("supplied", "supplied later"):
        return codes.UNDO_SUPPLIED
    if done == "supplied in part":
        return codes.UNDO_SUPPLIED
    can_undo = {
        Market.EU: ("dispensed", "dispensed in part", "exported", "sampled"),
        Market.US: ("dispensed", "dispensed in part"),
    }
    if done not in can_undo[market]:
        return codes.UNDO_STATE
    return codes.UNDO_TOO_LATE if days > 10 else None


@pytest.mark.parametrize("market", list(Market))
@pytest.mark.parametrize("done", DONE)
def test_the_undo_matrix(done: str, market: Market) -> None:
    for place, days, said in product(PLACES, DAYS, SAID):
        pack = make("a", market=market, expires_on=TODAY + (days - 1 if said == "expired" else 400))
        network = stocked(pack)
        before = network.pack(pack)
        act(network, done, pack)
        network.later(days=days)
        if said in ("recalled", "withdrawn"):
            kind = m.RecallLots if said == "recalled" else m.WithdrawLots
            network.run(kind(key("maker"), lot_tag()), "maker")
        code = expected(done, place, days, said, market)
        if code is not None:
            check_rejected(network, code, lambda n, p=pack, w=place: n.run(m.Undo(opened(p)), w))  # type: ignore[misc]
        else:
            network.run(m.Undo(opened(pack)), place)
            assert network.pack(pack) == before
        network.check()


def test_ten_days_are_ten_days_to_the_millisecond() -> None:
    for over_ms, code in ((0, None), (1, codes.UNDO_TOO_LATE)):
        pack = make("a")
        network = stocked(pack)
        network.run(dispense(pack), "pharmacy")
        network.later(ms=10 * DAY_MS + over_ms)
        if code is None:
            network.run(m.Undo(opened(pack)), "pharmacy")
        else:
            check_rejected(network, code, lambda n, p=pack: n.run(m.Undo(opened(p)), "pharmacy"))  # type: ignore[misc]


def test_what_was_undone_can_be_dispensed_and_undone_again() -> None:
    pack = make("a")
    network = stocked(pack)
    for _ in range(3):
        network.run(dispense(pack), "pharmacy")
        network.later(days=10)
        network.run(m.Undo(opened(pack)), "pharmacy")
    network.check()
