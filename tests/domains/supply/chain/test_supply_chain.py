"""Packs, containers, handovers and lots: what each message does, and every way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
import pytest

from careledger.domains.supply import chain
from careledger.domains.supply.chain import errors as codes
from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain import types
from careledger.domains.supply.chain.genesis import genesis_document, import_genesis
from careledger.domains.supply.chain.queries import ItemRequest
from careledger.domains.supply.chain.types import (
    LEAVING,
    Market,
    Pack,
    PackState,
    PackUse,
    Terms,
    compute_lot_commitment,
    pack_container,
    pack_pack,
    pack_terms,
    unpack_container,
    unpack_pack,
)
from careledger.primitives.errors import Code, InvariantViolated, Rejected
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.events import Event
from domains.identity.chain_network import digest, empty_store
from domains.supply.supply_network import (
    TODAY,
    ZEROS,
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

A, B, C = make("a"), make("b"), make("c")
EU = make("eu", market=Market.EU)

# -- What each message does ------------------------------------------------------------------------------


def test_packs_come_into_being_in_their_holders_hands() -> None:
    network = SupplyNetwork()
    network.run(commission(A, B, holder="line"), "maker", "line")
    assert network.events == [types.PacksCommissioned(key("maker"), 2)]
    found = network.pack(A)
    assert found == Pack(
        PackState.ACTIVE, compute_lot_commitment(A.terms), key("line"), False, b"", None, b""
    )
    assert len(pack_pack(found)) == 67
    network.check()


def test_a_commissioning_sent_again_changes_nothing() -> None:
    network = stocked(A, B)
    network.run(dispense(A), "pharmacy")
    before = network.pairs()
    network.run(commission(A, B, holder="pharmacy"), "maker", "pharmacy")
    assert network.pairs() == before
    assert network.events == [types.PacksCommissioned(key("maker"), 0)]


def test_a_pallet_of_cases_moves_in_one_operation() -> None:
    network = SupplyNetwork()
    packs = [make(number) for number in range(200)]
    network.run(commission(*packs), "maker")
    network.run(create("case 1", "case 2", level=2), "maker")
    network.run(create("pallet", level=4), "maker")
    groups = (
        *fill("case 1", *packs[:100]).groups,
        *fill("case 2", *packs[100:]).groups,
        *fill("pallet", boxes=["case 1", "case 2"]).groups,
    )
    message = m.PackInto(groups)
    assert message.operations() == 205
    network.run(message, "maker")
    network.check()
    offer = network.offer(boxes=[box("pallet")])
    network.run(m.AcceptOffer(offer, 1), "wholesaler")
    assert {network.holder(each) for each in packs} == {key("wholesaler")}
    network.check()
    # The wholesaler opens the pallet and ships one case; the other stays.
    network.run(m.Unpack(box("pallet"), b"", box("case 1")), "wholesaler")
    network.hand_over(boxes=[box("case 1")], sender="wholesaler", receiver="pharmacy")
    assert {network.holder(each) for each in packs[:100]} == {key("pharmacy")}
    assert {network.holder(each) for each in packs[100:]} == {key("wholesaler")}
    network.run(m.Unpack(box("case 1"), packs[0].id, b""), "pharmacy")
    assert network.container(box("case 1")).children == 99
    assert network.container(box("case 1")).seal == ZEROS
    network.run(dispense(packs[0]), "pharmacy")
    network.check()


def test_a_handover_has_two_sides() -> None:
    network = SupplyNetwork()
    network.run(commission(A), "maker")
    offer = network.offer(A)
    assert network.holder(A) == key("maker")
    network.run(m.AcceptOffer(offer, 1), "wholesaler")
    assert network.events == [types.OfferAccepted(offer)]
    assert network.holder(A) == key("wholesaler")
    network.check()


@pytest.mark.parametrize("who", ["maker", "wholesaler"])
def test_either_side_can_end_a_handover(who: str) -> None:
    network = SupplyNetwork()
    network.run(commission(A), "maker")
    before = network.pairs()
    offer = network.offer(A)
    network.run(m.CancelOffer(offer, 1), who)
    assert network.pairs() == before


def test_an_accept_that_never_comes_costs_nothing() -> None:
    network = SupplyNetwork()
    network.run(commission(A, B), "maker")
    first = network.offer(A, B, days=1)
    network.later(days=1)
    second = network.offer(A, receiver="other", days=3)
    network.check()
    check_rejected(network, codes.OFFER_LAPSED, lambda n: n.run(m.AcceptOffer(first, 2), "wholesaler"))
    network.run(m.CancelOffer(first, 2), "maker")
    assert network.pack(A).offer == second
    assert network.pack(B).offer == b""
    network.run(m.AcceptOffer(second, 1), "other")
    network.check()


def test_lapsed_offers_are_cleared_away() -> None:
    network = SupplyNetwork()
    packs = [make(number) for number in range(120)]
    network.run(commission(*packs), "maker")
    for number, each in enumerate(packs):
        network.offer(each, receiver=f"receiver {number}", days=1)
    network.later(days=1)
    network.end_block()
    assert len(network.module.export_genesis(network.view_of(network.store))["offers"]) == 120  # type: ignore[index]
    network.later(days=1)
    network.end_block()
    assert len(network.module.export_genesis(network.view_of(network.store))["offers"]) == 20  # type: ignore[index]
    network.check()
    network.end_block()
    network.check()
    network.hand_over(packs[0])
    assert network.holder(packs[0]) == key("pharmacy")


def test_a_bottle_serves_many_prescriptions_until_it_is_empty() -> None:
    network = stocked(A)
    for remaining in (30, 20, 10):
        network.run(dispense(A, units=10, expected=remaining, supplied=True), "pharmacy")
        network.later(days=2)
        network.check()
    assert network.pack(A).state is PackState.SUPPLIED
    check_rejected(
        network, codes.ALREADY_DISPENSED, lambda n: n.run(dispense(A, units=1, expected=0), "pharmacy")
    )


def test_in_the_eu_the_first_supply_ends_a_pack() -> None:
    network = stocked(EU)
    network.run(dispense(EU, units=10), "pharmacy")
    assert network.pack(EU).state is PackState.DISPENSED
    check_rejected(
        network, codes.ALREADY_DISPENSED, lambda n: n.run(dispense(EU, units=10, expected=20), "pharmacy")
    )
    network.check()


def test_only_the_last_dispensing_is_undone_and_only_once() -> None:
    network = stocked(A)
    network.run(dispense(A, units=10), "pharmacy")
    network.later(days=1)
    network.run(dispense(A, units=5, expected=20), "pharmacy")
    network.run(m.Undo(opened(A)), "pharmacy")
    assert network.pack(A).use == PackUse(30, 20, 0, network.time_ms)
    check_rejected(network, codes.UNDO_SUPPLIED, lambda n: n.run(m.Undo(opened(A)), "pharmacy"))
    network.check()


def test_undoing_everything_leaves_the_pack_as_it_was() -> None:
    network = stocked(A)
    before = network.pairs()
    network.run(dispense(A), "pharmacy")
    network.run(m.Undo(opened(A)), "pharmacy")
    assert network.pairs() == before


@pytest.mark.parametrize("reason", LEAVING)
def test_packs_and_containers_leave_the_chain(reason: PackState) -> None:
    network = SupplyNetwork()
    network.run(commission(A, B), "maker")
    network.run(create("case"), "maker")
    network.run(fill("case", A), "maker")
    network.run(m.Decommission(reason, B.id, box("case")), "maker")
    network.check()
    assert network.pack(B).state is reason
    assert network.container(box("case")).state is reason
    check_rejected(network, codes.PACK_INACTIVE, lambda n: n.run(dispense(B), "maker"))
    check_rejected(network, codes.ITEM_PACKED, lambda n: n.run(dispense(A), "maker"))
    check_rejected(
        network, codes.CONTAINER_INACTIVE, lambda n: n.run(m.Unpack(box("case"), A.id, b""), "maker")
    )


def test_an_exported_open_bottle_stays_open_when_undone() -> None:
    network = stocked(A, EU)
    network.run(m.Decommission(PackState.EXPORTED, EU.id, b""), "pharmacy")
    network.run(m.Undo(opened(EU)), "pharmacy")
    assert network.pack(EU).use is None
    network.check()


def test_repackaging_keeps_mass_and_lineage() -> None:
    network = stocked(A, B)
    network.run(dispense(A, units=10, supplied=True), "pharmacy")
    outputs = [make(f"small {number}", issuer="packer", lot="new", units=15) for number in range(3)]
    message = repackage([A, B], outputs, waste=5)
    made = network.run(message, "pharmacy", "packer")
    network.check()
    assert {network.pack(each).state for each in (A, B)} == {PackState.REPACKAGED}
    found = network.query("transformation", ItemRequest(made))
    assert isinstance(found, types.Transformation)
    assert found.lots == key("maker") + lot_tag()
    assert found.inputs == join(A, B)
    # A second generation descends from both lots.
    tiny = make("tiny", issuer="packer 2", units=15)
    network.run(repackage([outputs[0]], [tiny], issuer="packer 2"), "pharmacy", "packer 2")
    again = network.query("transformation", ItemRequest(network.pack(tiny).transformation))
    assert isinstance(again, types.Transformation)
    assert set(m.cut(again.lots, 64)) == {key("maker") + lot_tag(), key("packer") + lot_tag("new")}
    network.check()
    # Recalling the first lot reaches the second generation.
    network.run(m.RecallLots(key("maker"), lot_tag()), "maker")
    check_rejected(
        network, codes.LOT_RECALLED, lambda n: n.run(dispense(tiny, units=15, expected=15), "pharmacy")
    )


def test_a_returned_pack_is_used_again_only_after_restocking() -> None:
    network = stocked(A)
    network.hand_over(A, sender="pharmacy", receiver="wholesaler", is_return=True)
    assert network.pack(A).state is PackState.RETURNED
    check_rejected(network, codes.PACK_INACTIVE, lambda n: n.run(dispense(A), "wholesaler"))
    network.run(m.Restock(opened(A)), "wholesaler")
    assert network.pack(A).state is PackState.ACTIVE
    network.hand_over(A, sender="wholesaler", receiver="pharmacy")
    network.run(dispense(A), "pharmacy")
    network.check()


def test_flags_of_a_lot_add_up_and_stay() -> None:
    network = stocked(A)
    network.run(m.WithdrawLots(key("maker"), lot_tag()), "maker")
    first_ms = network.time_ms
    network.later(days=1)
    network.run(m.RecallLots(key("maker"), lot_tag()), "maker")
    network.run(m.RecallLots(key("maker"), lot_tag()), "maker")
    assert network.query("lot", ItemRequest(key("maker") + lot_tag())) == types.Lot(3, first_ms)
    network.check()


def test_queries() -> None:
    network = stocked(A)
    assert network.query("pack", ItemRequest(A.id)) == network.pack(A)
    network.run(create("case"), "maker")
    assert network.query("container", ItemRequest(box("case"))) == network.container(box("case"))
    offer = network.offer(A, sender="pharmacy")
    found = network.query("offer", ItemRequest(offer))
    assert isinstance(found, types.Offer)
    assert (found.from_key, found.packs) == (key("pharmacy"), A.id)


# -- Refusals --------------------------------------------------------------------------------------------


def repackage(
    inputs: list[Made], outputs: list[Made], *, waste: int = 0, issuer: str = "packer"
) -> m.Repackage:
    packed = b"".join(sorted(each.tag + each.terms for each in outputs))
    return m.Repackage(opened(*inputs), key(issuer), key("pharmacy"), packed, waste)


class Refusal(NamedTuple):
    name: str
    code: Code
    act: Callable[[SupplyNetwork], object]
    arrange: Callable[[SupplyNetwork], object] = lambda _: None


def does(message: Any, *names: str, **changes: Any) -> Callable[[SupplyNetwork], object]:
    changed = msgspec.structs.replace(message, **changes)
    return lambda network: network.run(changed, *(names or ("pharmacy",)))


def steps(*acts: Callable[[SupplyNetwork], object]) -> Callable[[SupplyNetwork], object]:
    def run(network: SupplyNetwork) -> None:
        for act in acts:
            act(network)

    return run


def in_case(network: SupplyNetwork) -> None:
    network.run(create("case", creator="pharmacy"), "pharmacy")
    network.run(fill("case", A, creator="pharmacy"), "pharmacy")


def offering(*packs: Made, **changes: Any) -> Callable[[SupplyNetwork], object]:
    return lambda network: network.offer(*packs, sender="pharmacy", **changes)


def asks(query: str, request: Any) -> Callable[[SupplyNetwork], object]:
    return lambda network: network.query(query, request)


def offers(**changes: Any) -> Callable[[SupplyNetwork], object]:
    def run(network: SupplyNetwork) -> object:
        message = m.OfferItems(key("pharmacy"), key("wholesaler"), network.time_ms + DAY_MS, False, A.id, b"")
        return network.run(msgspec.structs.replace(message, **changes), "pharmacy")

    return run


def accepts(
    *, who: str = "wholesaler", items: int = 1, kind: Any = m.AcceptOffer
) -> Callable[[SupplyNetwork], object]:
    def run(network: SupplyNetwork) -> object:
        offer = network.pack(A).offer
        return network.run(kind(offer, items), who)

    return run


def wide(network: SupplyNetwork) -> None:
    packs = [make(f"wide {number}", lot=f"lot {number}", units=1) for number in range(65)]
    network.run(commission(*packs, holder="pharmacy"), "maker", "pharmacy")


def repackage_wide(network: SupplyNetwork) -> None:
    packs = [make(f"wide {number}", lot=f"lot {number}", units=1) for number in range(65)]
    network.run(repackage(packs, [make("out", issuer="packer", units=65)]), "pharmacy", "packer")


def imports(**parts: Any) -> Callable[[SupplyNetwork], object]:
    return lambda _: import_genesis(empty_store(), genesis_document() | parts)


def other_terms(**changes: Any) -> Made:
    terms = msgspec.structs.replace(types.unpack_terms(A.terms), **changes)
    return Made(A.id, pack_terms(terms))


SMALL = make("small", issuer="packer", lot="new")
DISPENSED = does(dispense(A))
RECALLED = does(m.RecallLots(key("maker"), lot_tag()), "maker")
WITHDRAWN = does(m.WithdrawLots(key("maker"), lot_tag()), "maker")
NEVER = make("never")
STRANGE = make("strange", market=9)
VALUE = {"key": A.id, "value": b"\x01"}
TWO_GROUPS = m.PackInto(fill("x", A).groups + fill("y", A).groups)

REFUSALS = (
    Refusal("short issuer", codes.FIELD_LENGTH, does(commission(A), "maker", issuer=bytes(31))),
    Refusal("long holder", codes.FIELD_LENGTH, does(commission(A), "maker", holder=bytes(33))),
    Refusal("short creator", codes.FIELD_LENGTH, does(create("x"), "maker", creator=b"")),
    Refusal("short seal", codes.FIELD_LENGTH, does(m.PackInto((m.Group(ZEROS, b"", A.id, b""),)))),
    Refusal("short container", codes.FIELD_LENGTH, does(m.Unpack(b"", A.id, b""))),
    Refusal("short receiver", codes.FIELD_LENGTH, offers(to_key=b"")),
    Refusal("short offer", codes.FIELD_LENGTH, does(m.AcceptOffer(b"", 1))),
    Refusal("supplied is 2", codes.FIELD_LENGTH, does(m.Dispense(dispense(A).packs[:-1] + b"\x02"))),
    Refusal("lots of a short issuer", codes.FIELD_LENGTH, does(m.RecallLots(b"", ZEROS))),
    Refusal("no pack", codes.BATCH_SIZE, does(commission(A), "maker", tags=b"", lot_commitments=b"")),
    Refusal("too many packs", codes.BATCH_SIZE, does(commission(A), "maker", tags=bytes(32 * 4097))),
    Refusal("part of a container", codes.BATCH_SIZE, does(m.CreateContainers(key("maker"), bytes(66)))),
    Refusal("no group", codes.BATCH_SIZE, does(m.PackInto(()))),
    Refusal("an empty group", codes.BATCH_SIZE, does(fill("x"))),
    Refusal("nothing to unpack", codes.BATCH_SIZE, does(m.Unpack(ZEROS, b"", b""))),
    Refusal("part of a pack", codes.BATCH_SIZE, does(m.Unpack(ZEROS, bytes(65), b""))),
    Refusal("nothing to offer", codes.BATCH_SIZE, offers(packs=b"")),
    Refusal("a container goes back", codes.BATCH_SIZE, offers(is_return=True, containers=ZEROS)),
    Refusal("accept of nothing", codes.BATCH_SIZE, does(m.AcceptOffer(ZEROS, 0))),
    Refusal("cancel of too much", codes.BATCH_SIZE, does(m.CancelOffer(ZEROS, 1025))),
    Refusal("part of a dispensing", codes.BATCH_SIZE, does(m.Dispense(bytes(145)))),
    Refusal("nothing supplied", codes.BATCH_SIZE, does(m.MarkSupplied(b""))),
    Refusal("part of an undo", codes.BATCH_SIZE, does(m.Undo(bytes(136)))),
    Refusal("part of a lot", codes.BATCH_SIZE, does(m.WithdrawLots(key("maker"), bytes(31)))),
    Refusal("nothing to decommission", codes.BATCH_SIZE, does(m.Decommission(PackState.STOLEN, b"", b""))),
    Refusal("no output", codes.BATCH_SIZE, does(repackage([A], []), "pharmacy", "packer")),
    Refusal(
        "too much repackaging",
        codes.BATCH_SIZE,
        does(
            m.Repackage(
                b"".join(number.to_bytes(64, "big") + A.terms for number in range(2_100)),
                key("packer"),
                key("pharmacy"),
                b"".join(number.to_bytes(32, "big") + A.terms for number in range(2_000)),
                0,
            )
        ),
    ),
    Refusal("a commitment too few", codes.BATCH_UNEVEN, does(commission(A), "maker", lot_commitments=b"")),
    Refusal("a pack twice", codes.ITEMS_NOT_ASCENDING, does(m.MarkSupplied(A.id * 2))),
    Refusal("a dispensing twice", codes.ITEMS_NOT_ASCENDING, does(m.Dispense(dispense(A).packs * 2))),
    Refusal("a tag twice", codes.ITEMS_NOT_ASCENDING, does(commission(A), "maker", tags=A.tag * 2)),
    Refusal(
        "commissioned for the maker by a stranger", codes.KEY_NOT_SIGNED, does(commission(NEVER), "thief")
    ),
    Refusal(
        "put into a stranger's hands", codes.KEY_NOT_SIGNED, does(commission(NEVER, holder="x"), "maker")
    ),
    Refusal("a container of somebody", codes.KEY_NOT_SIGNED, does(create("x"), "thief")),
    Refusal("an offer of somebody", codes.KEY_NOT_SIGNED, offers(from_key=key("maker"))),
    Refusal("accepted by a stranger", codes.KEY_NOT_SIGNED, accepts(who="thief"), offering(A)),
    Refusal(
        "cancelled by a stranger", codes.KEY_NOT_SIGNED, accepts(who="thief", kind=m.CancelOffer), offering(A)
    ),
    Refusal("recalled by a stranger", codes.KEY_NOT_SIGNED, does(m.RecallLots(key("maker"), ZEROS), "thief")),
    Refusal("repackaged for a stranger", codes.KEY_NOT_SIGNED, does(repackage([A], [SMALL]), "pharmacy")),
    Refusal("another lot", codes.PACK_EXISTS, does(commission(other_terms(lot_tag=ZEROS)), "maker")),
    Refusal(
        "an output that exists",
        codes.PACK_EXISTS,
        does(repackage([A], [B], issuer="maker"), "pharmacy", "maker"),
    ),
    Refusal("never commissioned", codes.PACK_UNKNOWN, does(dispense(NEVER))),
    Refusal(
        "unpacked, never commissioned",
        codes.PACK_UNKNOWN,
        does(m.Unpack(box("case", "pharmacy"), NEVER.id, b"")),
        in_case,
    ),
    Refusal("the question for no pack", codes.PACK_UNKNOWN, asks("pack", ItemRequest(NEVER.id))),
    Refusal("created again", codes.CONTAINER_EXISTS, does(create("x"), "maker"), does(create("x"), "maker")),
    Refusal("into nothing", codes.CONTAINER_UNKNOWN, does(fill("x", A))),
    Refusal(
        "out comes nothing",
        codes.CONTAINER_UNKNOWN,
        does(m.Unpack(box("case", "pharmacy"), b"", ZEROS)),
        in_case,
    ),
    Refusal("the question for no container", codes.CONTAINER_UNKNOWN, asks("container", ItemRequest(ZEROS))),
    Refusal("level 0", codes.CONTAINER_LEVEL, does(create("x", level=0), "maker")),
    Refusal("level 7", codes.CONTAINER_LEVEL, does(create("x", level=7), "maker")),
    Refusal(
        "a container in itself",
        codes.CONTAINER_LEVEL,
        does(fill("x", boxes=["x"]), "maker"),
        does(create("x"), "maker"),
    ),
    Refusal(
        "a case into a case",
        codes.CONTAINER_LEVEL,
        does(fill("x", boxes=["y"]), "maker"),
        does(create("x", "y"), "maker"),
    ),
    Refusal("dispensed in its case", codes.ITEM_PACKED, DISPENSED, in_case),
    Refusal("shipped out of its case", codes.ITEM_PACKED, offering(A), in_case),
    Refusal("dispensed by a thief", codes.NOT_HOLDER, does(dispense(A), "thief")),
    Refusal("shipped by a thief", codes.NOT_HOLDER, lambda n: n.offer(A, sender="thief")),
    Refusal(
        "shipped in another holder's name",
        codes.NOT_HOLDER,
        lambda n: n.run(
            m.OfferItems(key("maker"), key("x"), n.time_ms + 1, False, A.id, b""), "maker", "pharmacy"
        ),
    ),
    Refusal("dispensed on its way", codes.ITEM_OFFERED, DISPENSED, offering(A)),
    Refusal("offered twice", codes.ITEM_OFFERED, offering(A, receiver="x"), offering(A)),
    Refusal(
        "stolen and dispensed",
        codes.PACK_INACTIVE,
        DISPENSED,
        does(m.Decommission(PackState.STOLEN, A.id, b"")),
    ),
    Refusal("supplied before it is dispensed", codes.PACK_INACTIVE, does(m.MarkSupplied(A.id))),
    Refusal("dispensed twice", codes.ALREADY_DISPENSED, DISPENSED, DISPENSED),
    Refusal("shipped when open", codes.ALREADY_DISPENSED, offering(A), does(dispense(A, units=1))),
    Refusal(
        "not in this case",
        codes.NOT_INSIDE,
        does(m.Unpack(box("case", "pharmacy"), B.id, b"")),
        in_case,
    ),
    Refusal(
        "a case not in this case",
        codes.NOT_INSIDE,
        does(m.Unpack(box("x", "pharmacy"), b"", box("case", "pharmacy"))),
        steps(in_case, does(create("x", creator="pharmacy", level=2))),
    ),
    Refusal("the same offer", codes.OFFER_EXISTS, offering(B), offering(A)),
    Refusal("no such offer", codes.OFFER_UNKNOWN, does(m.AcceptOffer(ZEROS, 1))),
    Refusal("the question for no offer", codes.OFFER_UNKNOWN, asks("offer", ItemRequest(ZEROS))),
    Refusal("too late", codes.OFFER_LAPSED, accepts(), steps(offering(A, days=1), lambda n: n.later(days=1))),
    Refusal("a deadline now", codes.OFFER_DEADLINE, offering(A, days=0)),
    Refusal("a deadline far ahead", codes.OFFER_DEADLINE, offering(A, days=61)),
    Refusal("another lot's name", codes.OPENING_WRONG, does(dispense(other_terms(lot_tag=ZEROS)))),
    Refusal("a later expiry", codes.OPENING_WRONG, does(dispense(other_terms(expires_on=TODAY + 999)))),
    Refusal("another market", codes.OPENING_WRONG, does(dispense(other_terms(market=2)))),
    Refusal("a larger bottle", codes.OPENING_WRONG, does(dispense(other_terms(units=90)))),
    Refusal("recalled", codes.LOT_RECALLED, DISPENSED, RECALLED),
    Refusal(
        "restocked after a recall",
        codes.LOT_RECALLED,
        does(m.Restock(opened(A)), "wholesaler"),
        steps(lambda n: n.hand_over(A, sender="pharmacy", receiver="wholesaler", is_return=True), RECALLED),
    ),
    Refusal(
        "laundered after a recall",
        codes.LOT_RECALLED,
        does(repackage([A], [SMALL]), "pharmacy", "packer"),
        RECALLED,
    ),
    Refusal("withdrawn", codes.LOT_WITHDRAWN, DISPENSED, WITHDRAWN),
    Refusal("expired", codes.EXPIRED, DISPENSED, lambda n: n.later(days=401)),
    Refusal("not what it holds", codes.REMAINING_CHANGED, does(dispense(A, expected=29))),
    Refusal("no unit", codes.QUANTITY, does(dispense(A, units=0))),
    Refusal("more than there is", codes.QUANTITY, does(dispense(A, units=31))),
    Refusal("waste below zero", codes.QUANTITY, does(repackage([A], [SMALL], waste=-1))),
    Refusal(
        "an empty new pack",
        codes.QUANTITY,
        does(repackage([A], [make("s", issuer="packer", units=0)], waste=30), "pharmacy", "packer"),
    ),
    Refusal(
        "no such market",
        codes.MARKET_UNKNOWN,
        does(dispense(STRANGE)),
        does(commission(STRANGE, holder="pharmacy"), "maker", "pharmacy"),
    ),
    Refusal("undone before it is done", codes.UNDO_STATE, does(m.Undo(opened(A)))),
    Refusal(
        "supplied, then undone",
        codes.UNDO_SUPPLIED,
        does(m.Undo(opened(A))),
        steps(DISPENSED, does(m.MarkSupplied(A.id))),
    ),
    Refusal("undone elsewhere", codes.UNDO_ELSEWHERE, does(m.Undo(opened(A)), "branch"), DISPENSED),
    Refusal(
        "undone on day 11",
        codes.UNDO_TOO_LATE,
        does(m.Undo(opened(A))),
        steps(DISPENSED, lambda n: n.later(days=11)),
    ),
    Refusal("left for no reason", codes.REASON_UNKNOWN, does(m.Decommission(PackState.ACTIVE, A.id, b""))),
    Refusal(
        "a stolen case shipped",
        codes.CONTAINER_INACTIVE,
        lambda n: n.offer(boxes=[box("case", "pharmacy")], sender="pharmacy"),
        steps(in_case, does(m.Decommission(PackState.STOLEN, b"", box("case", "pharmacy")))),
    ),
    Refusal("in two groups", codes.ITEM_TWICE, does(TWO_GROUPS)),
    Refusal(
        "more out than in",
        codes.MASS_UNBALANCED,
        does(repackage([A], [SMALL], waste=1), "pharmacy", "packer"),
    ),
    Refusal(
        "a new expiry",
        codes.EXPIRY_EXTENDED,
        does(repackage([A], [make("s", issuer="packer", expires_on=TODAY + 401)]), "pharmacy", "packer"),
    ),
    Refusal(
        "a new market",
        codes.MARKET_CHANGED,
        does(repackage([A], [make("s", issuer="packer", market=Market.EU)]), "pharmacy", "packer"),
    ),
    Refusal(
        "two markets", codes.MARKET_CHANGED, does(repackage([A, EU], [SMALL], waste=30), "pharmacy", "packer")
    ),
    Refusal("65 lots", codes.LINEAGE_TOO_WIDE, repackage_wide, wide),
    Refusal("never returned", codes.NOT_RETURNED, does(m.Restock(opened(A)))),
    Refusal("the question for no lot", codes.LOT_UNKNOWN, asks("lot", ItemRequest(bytes(64)))),
    Refusal("not a question", codes.QUERY_INVALID, asks("pack", b"\xff")),
    Refusal("a question of another length", codes.QUERY_INVALID, asks("pack", ItemRequest(ZEROS))),
    Refusal("genesis: a broken pack", codes.GENESIS_INVALID, imports(packs=[VALUE])),
    Refusal("genesis: a broken container", codes.GENESIS_INVALID, imports(containers=[VALUE])),
    Refusal("genesis: a broken lot", codes.GENESIS_INVALID, imports(lots=[VALUE])),
    Refusal("genesis: a broken offer", codes.GENESIS_INVALID, imports(offers=[VALUE])),
    Refusal("genesis: a broken transformation", codes.GENESIS_INVALID, imports(transformations=[VALUE])),
    Refusal("another number of items", codes.OFFER_ITEMS, accepts(items=2), offering(A)),
    Refusal(
        "the question for no transformation",
        codes.TRANSFORMATION_UNKNOWN,
        asks("transformation", ItemRequest(ZEROS)),
    ),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_refusals(refusal: Refusal) -> None:
    network = stocked(A, B, C, EU)
    refusal.arrange(network)
    check_rejected(network, refusal.code, refusal.act)
    network.check()


def test_every_code_has_a_refusal() -> None:
    assert {refusal.code for refusal in REFUSALS} == set(codes.SUPPLY_CODES.codes())


def test_refusals_never_name_a_tag() -> None:
    for refusal in REFUSALS:
        network = stocked(A, B, C, EU)
        refusal.arrange(network)
        with pytest.raises(Rejected) as caught:
            refusal.act(network)
        assert A.tag.hex() not in str(caught.value).lower()


# -- Stored forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"", b"\x01", bytes(67), b"\x01\x01\x00" + bytes(63), b"\x01\x0c\x00" + bytes(64)]
)
def test_a_broken_pack_is_a_broken_state(raw: bytes) -> None:
    with pytest.raises(InvariantViolated):
        unpack_pack(raw)


@pytest.mark.parametrize("flag", [1, 2, 4, 8, 15, 16])
def test_flags_and_length_of_a_pack_agree(flag: int) -> None:
    raw = bytes((1, 1, flag)) + bytes(64)
    if flag == 1:
        assert pack_pack(unpack_pack(raw)) == raw
    else:
        with pytest.raises(InvariantViolated):
            unpack_pack(raw)


def test_a_broken_container_is_a_broken_state() -> None:
    network = SupplyNetwork()
    network.run(create("x"), "maker")
    raw = pack_container(network.container(box("x")))
    assert len(raw) == 104
    for broken in (raw[:-1], b"\x02" + raw[1:], b""):
        with pytest.raises(InvariantViolated):
            unpack_container(broken)


def test_terms_have_one_form() -> None:
    terms = Terms(lot_tag(), TODAY, 1, 30, digest("salt"))
    raw = pack_terms(terms)
    assert len(raw) == 73
    assert types.unpack_terms(raw) == terms
    flipped = {compute_lot_commitment(bytes((*raw[:at], raw[at] ^ 1, *raw[at + 1 :]))) for at in range(73)}
    assert len(flipped | {compute_lot_commitment(raw)}) == 74


def test_events_carry_keys_tags_and_numbers_only() -> None:
    events = [kind for kind in vars(types).values() if isinstance(kind, type) and issubclass(kind, Event)]
    assert len(events) > 10
    for kind in events:
        for name, hint in get_type_hints(kind).items():
            if name.startswith("_") or kind is Event or get_args(hint):
                continue
            assert hint in (bytes, int) or (kind, name) == (types.PacksChanged, "action")


def test_the_manifest_is_whole() -> None:
    module = chain.build()
    assert (module.name, module.number, module.version) == ("supply", 4, 1)
    assert len(module.handlers) == 15
