"""What the ledger must block by itself: each attack as a crook would try it, and the sentence that answers it.

The numbers are those of the design's list of what must be caught.
"""

from __future__ import annotations

import pytest

from careledger.domains.supply.chain import errors as codes
from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.types import Market, PackState
from careledger.primitives.errors import Code, Rejected
from careledger.sdk.messages import Message
from domains.identity.chain_network import digest
from domains.supply.supply_network import (
    TODAY,
    Made,
    SupplyNetwork,
    box,
    check_rejected,
    commission,
    create,
    dispense,
    fill,
    join,
    key,
    lot_tag,
    make,
    opened,
    stocked,
)


def refused(network: SupplyNetwork, code: Code, message: Message, *names: str, saying: str) -> None:
    """Fail unless the message is refused with the code, and the code says this in plain words."""
    rejection = check_rejected(network, code, lambda n: n.run(message, *names))
    assert saying in str(rejection)


# -- 1. Clone --------------------------------------------------------------------------------------------


def test_1_a_pack_cannot_be_commissioned_a_second_time() -> None:
    pack = make("genuine")
    network = stocked(pack)
    clone = Made(pack.id, make("other lot", lot="fresh").terms)
    refused(network, codes.PACK_EXISTS, commission(clone), "maker", saying="A pack was commissioned before")


def test_1_a_clone_commissioned_by_a_crook_is_another_pack() -> None:
    """Without the maker's key the crook's pack has another identity, and the genuine one stays as it is."""
    pack = make("genuine")
    network = stocked(pack)
    clone = make("genuine", issuer="crook")
    network.run(commission(clone, issuer="crook", holder="crook"), "crook")
    assert clone.id != pack.id
    assert network.holder(pack) == key("pharmacy")
    refused(network, codes.NOT_HOLDER, dispense(pack), "crook", saying="key that holds the item did not sign")


def test_1_of_two_packs_with_one_code_only_one_is_dispensed() -> None:
    """The clone's label is read at the pharmacy that holds the genuine pack: whichever comes second loses."""
    pack = make("genuine", market=Market.EU)
    network = stocked(pack)
    network.run(dispense(pack, supplied=True), "pharmacy")
    refused(network, codes.ALREADY_DISPENSED, dispense(pack), "pharmacy", saying="dispensed before")
    refused(network, codes.ALREADY_DISPENSED, dispense(pack), "other pharmacy", saying="dispensed before")


# -- 2. Never commissioned, wrong lot, wrong expiry --------------------------------------------------------


def test_2_a_pack_that_was_never_commissioned_is_unknown() -> None:
    network = stocked(make("genuine"))
    refused(network, codes.PACK_UNKNOWN, dispense(make("invented")), "pharmacy", saying="ever commissioned")


@pytest.mark.parametrize(
    "printed", [make("genuine", lot="unrecalled"), make("genuine", expires_on=TODAY + 4_000)]
)
def test_2_another_lot_or_expiry_on_the_label_does_not_open_the_commitment(printed: Made) -> None:
    network = stocked(make("genuine"))
    refused(network, codes.OPENING_WRONG, dispense(printed), "pharmacy", saying="Lot, expiry, market or size")


# -- 3. Shipped by a non-holder ----------------------------------------------------------------------------


def test_3_only_the_holder_ships() -> None:
    pack = make("genuine")
    network = stocked(pack)
    message = m.OfferItems(key("thief"), key("fence"), network.time_ms + 1_000, False, pack.id, b"")
    refused(network, codes.NOT_HOLDER, message, "thief", saying="key that holds the item did not sign")


def test_3_a_former_holder_ships_no_more() -> None:
    pack = make("genuine")
    network = stocked(pack)
    network.hand_over(pack, sender="pharmacy", receiver="branch")
    message = m.OfferItems(key("pharmacy"), key("fence"), network.time_ms + 1_000, False, pack.id, b"")
    refused(network, codes.NOT_HOLDER, message, "pharmacy", saying="key that holds the item did not sign")


def test_3_what_was_offered_to_one_cannot_be_taken_by_another() -> None:
    pack = make("genuine")
    network = stocked(pack)
    offer = network.offer(pack, sender="pharmacy", receiver="branch")
    refused(network, codes.KEY_NOT_SIGNED, m.AcceptOffer(offer, 1), "thief", saying="did not sign")


# -- 5. Double dispense ------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", list(Market))
def test_5_of_200_simultaneous_dispenses_exactly_one_wins(market: Market) -> None:
    pack = make("wanted", market=market)
    network = stocked(pack)
    outcomes: list[Code | None] = []
    for _ in range(200):
        try:
            network.run(dispense(pack), "pharmacy")
            outcomes.append(None)
        except Rejected as rejection:
            outcomes.append(rejection.code)
    assert outcomes.count(None) == 1
    assert outcomes.count(codes.ALREADY_DISPENSED) == 199
    network.check()


def test_5_of_200_simultaneous_prescriptions_from_one_bottle_exactly_one_wins() -> None:
    pack = make("bottle")
    network = stocked(pack)
    outcomes: list[Code | None] = []
    for _ in range(200):
        try:
            network.run(dispense(pack, units=10, supplied=True), "pharmacy")
            outcomes.append(None)
        except Rejected as rejection:
            outcomes.append(rejection.code)
    assert outcomes.count(None) == 1
    assert outcomes.count(codes.REMAINING_CHANGED) == 199


def test_5_a_bottle_never_gives_more_than_it_held() -> None:
    pack = make("bottle")
    network = stocked(pack)
    network.run(dispense(pack, units=25, supplied=True), "pharmacy")
    refused(
        network,
        codes.QUANTITY,
        dispense(pack, units=6, expected=5),
        "pharmacy",
        saying="at most what is left",
    )


# -- 6. Expired, recalled, decommissioned --------------------------------------------------------------------


def test_6_the_last_day_of_use_is_the_last() -> None:
    network = stocked(pack := make("old", expires_on=TODAY + 2))
    network.later(days=2)
    network.run(dispense(pack, units=1), "pharmacy")
    network.later(days=1)
    refused(
        network,
        codes.EXPIRED,
        dispense(pack, units=1, expected=29),
        "pharmacy",
        saying="last day of use has passed",
    )


def test_6_a_recall_of_a_whole_lot_is_one_operation_and_reaches_every_holder() -> None:
    packs = [make(number) for number in range(100)]
    network = SupplyNetwork()
    network.run(commission(*packs), "maker")
    for number, each in enumerate(packs):
        network.hand_over(each, receiver=f"pharmacy {number}")
    recall = m.RecallLots(key("maker"), lot_tag())
    assert recall.operations() == 1
    network.run(recall, "maker")
    for number, each in enumerate(packs):
        refused(
            network,
            codes.LOT_RECALLED,
            dispense(each),
            f"pharmacy {number}",
            saying="The pack's lot is recalled",
        )


def test_6_a_crook_cannot_recall_another_makers_lot_by_copying_its_tag() -> None:
    network = stocked(pack := make("genuine"))
    network.run(m.RecallLots(key("crook"), lot_tag()), "crook")
    network.run(dispense(pack), "pharmacy")


@pytest.mark.parametrize("reason", ["stolen", "destroyed", "sampled", "exported", "decommissioned"])
def test_6_what_left_the_chain_is_not_dispensed(reason: str) -> None:
    network = stocked(pack := make("gone"))
    network.run(m.Decommission(PackState[reason.upper()], pack.id, b""), "pharmacy")
    refused(network, codes.PACK_INACTIVE, dispense(pack), "pharmacy", saying=reason)


def test_6_a_stolen_pallet_takes_everything_in_it_out_of_reach() -> None:
    network = SupplyNetwork()
    network.run(commission(pack := make("inside")), "maker")
    network.run(create("case"), "maker")
    network.run(create("pallet", level=2), "maker")
    network.run(m.PackInto(fill("case", pack).groups + fill("pallet", boxes=["case"]).groups), "maker")
    network.run(m.Decommission(PackState.STOLEN, b"", box("pallet")), "maker")
    refused(network, codes.ITEM_PACKED, dispense(pack), "maker", saying="inside a container")
    refused(
        network,
        codes.CONTAINER_INACTIVE,
        m.Unpack(box("pallet"), b"", box("case")),
        "maker",
        saying="with all it holds",
    )
    refused(
        network, codes.ITEM_PACKED, m.Unpack(box("case"), pack.id, b""), "maker", saying="taken out first"
    )


# -- 7. Aggregation ------------------------------------------------------------------------------------------


def test_7_a_pack_is_in_one_container() -> None:
    network = SupplyNetwork()
    network.run(commission(pack := make("one")), "maker")
    network.run(create("case 1", "case 2"), "maker")
    both = m.PackInto(fill("case 1", pack).groups + fill("case 2", pack).groups)
    refused(network, codes.ITEM_TWICE, both, "maker", saying="more than one group")
    network.run(fill("case 1", pack), "maker")
    refused(network, codes.ITEM_PACKED, fill("case 2", pack), "maker", saying="taken out first")


def test_7_containers_do_not_hold_each_other() -> None:
    network = SupplyNetwork()
    network.run(create("small"), "maker")
    network.run(create("large", level=2), "maker")
    network.run(fill("large", boxes=["small"]), "maker")
    refused(network, codes.ITEM_PACKED, fill("small", boxes=["large"]), "maker", saying="taken out first")
    network.run(m.Unpack(box("large"), b"", box("small")), "maker")
    refused(
        network, codes.CONTAINER_LEVEL, fill("small", boxes=["large"]), "maker", saying="lower levels only"
    )


def test_7_seven_containers_do_not_nest() -> None:
    network = SupplyNetwork()
    for level in range(1, 7):
        network.run(create(f"level {level}", level=level), "maker")
    for level in range(2, 7):
        network.run(fill(f"level {level}", boxes=[f"level {level - 1}"]), "maker")
    network.check()
    refused(network, codes.CONTAINER_LEVEL, create("level 7", level=7), "maker", saying="1 to 6")


def test_7_a_child_does_not_move_while_its_parent_ships() -> None:
    network = SupplyNetwork()
    network.run(commission(pack := make("inside")), "maker")
    network.run(create("case"), "maker")
    network.run(fill("case", pack), "maker")
    network.offer(boxes=[box("case")])
    deadline_ms = network.time_ms + 1_000
    refused(
        network,
        codes.ITEM_PACKED,
        m.OfferItems(key("maker"), key("x"), deadline_ms, False, pack.id, b""),
        "maker",
        saying="inside a container",
    )
    refused(network, codes.ITEM_OFFERED, m.Unpack(box("case"), pack.id, b""), "maker", saying="still open")
    refused(network, codes.ITEM_OFFERED, fill("case", make("more")), "maker", saying="still open")


def test_7_a_filled_case_is_not_filled_again_in_the_message_that_puts_it_onto_a_pallet() -> None:
    network = SupplyNetwork()
    network.run(commission(pack := make("late")), "maker")
    network.run(create("case"), "maker")
    network.run(create("pallet", level=2), "maker")
    message = m.PackInto(fill("pallet", boxes=["case"]).groups + fill("case", pack).groups)
    refused(network, codes.ITEM_PACKED, message, "maker", saying="taken out first")


# -- 10. Repackaging laundering --------------------------------------------------------------------------------


def repackage(inputs: list[Made], outputs: list[Made], *, waste: int = 0) -> m.Repackage:
    packed = b"".join(sorted(each.tag + each.terms for each in outputs))
    return m.Repackage(opened(*inputs), key("packer"), key("pharmacy"), packed, waste)


def test_10_what_was_repackaged_is_retired() -> None:
    network = stocked(pack := make("bulk"))
    network.run(repackage([pack], [make("new", issuer="packer")]), "pharmacy", "packer")
    refused(network, codes.PACK_INACTIVE, dispense(pack), "pharmacy", saying="repackaged")
    refused(
        network,
        codes.PACK_INACTIVE,
        repackage([pack], [make("again", issuer="packer")]),
        *("pharmacy", "packer"),
        saying="state does not allow",
    )


def test_10_nothing_is_made_out_of_nothing() -> None:
    network = stocked(pack := make("bulk"))
    network.run(dispense(pack, units=20, supplied=True), "pharmacy")
    refused(
        network,
        codes.MASS_UNBALANCED,
        repackage([pack], [make("new", issuer="packer", units=30)]),
        *("pharmacy", "packer"),
        saying="not what was in the old ones",
    )


def test_10_repackaging_gives_no_new_life() -> None:
    network = stocked(pack := make("bulk", expires_on=TODAY + 5))
    refused(
        network,
        codes.EXPIRY_EXTENDED,
        repackage([pack], [make("new", issuer="packer", expires_on=TODAY + 6)]),
        *("pharmacy", "packer"),
        saying="usable longer",
    )


def test_10_a_recall_follows_the_contents_into_new_packs() -> None:
    network = stocked(pack := make("bulk"))
    network.run(repackage([pack], [new := make("new", issuer="packer", lot="new lot")]), "pharmacy", "packer")
    network.run(m.RecallLots(key("maker"), lot_tag()), "maker")
    refused(network, codes.LOT_RECALLED, dispense(new), "pharmacy", saying="recalled")


# -- 12. Returns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [30, 10])
def test_12_what_was_dispensed_does_not_come_back(units: int) -> None:
    network = stocked(pack := make("used"))
    network.run(dispense(pack, units=units, supplied=True), "pharmacy")
    message = m.OfferItems(key("pharmacy"), key("x"), network.time_ms + 1_000, True, pack.id, b"")
    refused(network, codes.ALREADY_DISPENSED, message, "pharmacy", saying="dispensed before")


def test_12_a_return_is_not_sold_before_it_is_verified() -> None:
    network = stocked(pack := make("back"))
    network.hand_over(pack, sender="pharmacy", receiver="wholesaler", is_return=True)
    refused(network, codes.PACK_INACTIVE, dispense(pack), "wholesaler", saying="returned")
    network.run(create("case", creator="wholesaler"), "wholesaler")
    refused(
        network,
        codes.PACK_INACTIVE,
        fill("case", pack, creator="wholesaler"),
        "wholesaler",
        saying="returned",
    )
    wrong = m.Restock(opened(Made(pack.id, make("back", lot="unrecalled").terms)))
    refused(network, codes.OPENING_WRONG, wrong, "wholesaler", saying="not those the pack was commissioned")


def test_12_a_return_stays_a_return_however_often_it_moves() -> None:
    network = stocked(pack := make("back"))
    network.hand_over(pack, sender="pharmacy", receiver="wholesaler", is_return=True)
    network.hand_over(pack, sender="wholesaler", receiver="branch")
    assert network.pack(pack).state is PackState.RETURNED


# -- A tag that is copied from a pending transaction spoils nothing ----------------------------------------------


def test_a_copied_tag_spoils_nothing() -> None:
    pack = make("genuine")
    network = SupplyNetwork()
    network.run(m.CommissionPacks(key("crook"), key("crook"), pack.tag, digest("anything")), "crook")
    network.run(create("case", creator="crook"), "crook")
    network.run(commission(pack), "maker")
    network.run(create("case"), "maker")
    network.run(fill("case", pack), "maker")
    assert join(pack) == pack.id
    network.check()
