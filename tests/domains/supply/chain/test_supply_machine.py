"""Packs, containers and handovers behave as a plain model, whatever is sent to them in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.types import Market, PackState
from careledger.primitives.errors import Rejected
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.messages import Message
from domains.supply.supply_network import (
    TODAY,
    Made,
    SupplyNetwork,
    box,
    commission,
    create,
    dispense,
    fill,
    join,
    key,
    lot_tag,
    make,
    opened,
)

HOLDERS = ("maker", "wholesaler", "pharmacy")
PACKS = [make(number, lot=f"lot {number % 2}", market=1 + number % 2, units=4) for number in range(6)]
BOXES = {"small 1": 1, "small 2": 1, "middle": 2, "large": 3}
ENDED = ("dispensed", "supplied", "stolen", "exported", "repackaged")

packs = st.integers(0, len(PACKS) - 1)
boxes = st.sampled_from(sorted(BOXES))
holders = st.sampled_from(HOLDERS)


@dataclass
class Item:
    """A pack or a container in the model."""

    owner: str
    inside: str = ""
    state: str = "active"
    remaining: int = 4
    last: int = 0
    changed_ms: int = 0
    offer: bytes = b""


@dataclass
class Handover:
    """An offer in the model."""

    sender: str
    receiver: str
    deadline_ms: int
    items: list[Item]
    is_return: bool


@dataclass
class Model:
    """The whole ledger, by names."""

    packs: dict[int, Item] = field(default_factory=dict)
    boxes: dict[str, Item] = field(default_factory=dict)
    offers: dict[bytes, Handover] = field(default_factory=dict)
    recalled: set[int] = field(default_factory=set)


class Machine(RuleBasedStateMachine):
    """Six packs of two lots and two markets, four containers, three holders, a clock and some thieves."""

    def __init__(self) -> None:
        super().__init__()
        self.network = SupplyNetwork()
        self.model = Model()
        self.counter = 0

    @initialize()
    def set_up(self) -> None:
        self.network.run(commission(*PACKS), "maker")
        for name, level in BOXES.items():
            self.network.run(create(name, level=level), "maker")
        self.model.packs = {number: Item("maker") for number in range(len(PACKS))}
        self.model.boxes = {name: Item("maker") for name in BOXES}

    def _sends(self, message: Message, *names: str) -> bool:
        before = self.network.pairs()
        try:
            self.network.run(message, *names)
        except Rejected:
            assert self.network.pairs() == before
            return False
        return True

    def _is_free(self, item: Item, signer: str) -> bool:
        offer = self.model.offers.get(item.offer)
        is_open = offer is not None and self.network.time_ms < offer.deadline_ms
        return not item.inside and item.owner == signer and not is_open

    def _held(self, pack: int) -> str:
        item = self.model.packs[pack]
        while item.inside:
            item = self.model.boxes[item.inside]
        return item.owner

    @rule(days=st.sampled_from([0, 1, 5, 11]))
    def time_passes(self, days: int) -> None:
        self.network.later(days=days)
        self.network.end_block()
        now_ms = self.network.time_ms
        self.model.offers = {
            offer: each for offer, each in self.model.offers.items() if each.deadline_ms + DAY_MS > now_ms
        }

    @rule(pack=packs, outer=boxes, signer=holders)
    def put_pack(self, pack: int, outer: str, signer: str) -> None:
        item, into = self.model.packs[pack], self.model.boxes[outer]
        can = self._is_free(item, signer) and item.state == "active"
        can = can and self._is_free(into, signer) and into.state == "active"
        assert self._sends(fill(outer, PACKS[pack]), signer) == can
        if can:
            item.inside, item.offer, into.offer = outer, b"", b""

    @rule(inner=boxes, outer=boxes, signer=holders)
    def put_box(self, inner: str, outer: str, signer: str) -> None:
        item, into = self.model.boxes[inner], self.model.boxes[outer]
        can = self._is_free(item, signer) and self._is_free(into, signer) and BOXES[inner] < BOXES[outer]
        can = can and item.state == into.state == "active"
        assert self._sends(fill(outer, boxes=[inner]), signer) == can
        if can:
            item.inside, item.offer, into.offer = outer, b"", b""

    @rule(pack=packs, source=boxes, signer=holders)
    def take_pack(self, pack: int, source: str, signer: str) -> None:
        item, out_of = self.model.packs[pack], self.model.boxes[source]
        can = self._is_free(out_of, signer) and out_of.state == "active" and item.inside == source
        assert self._sends(m.Unpack(box(source), PACKS[pack].id, b""), signer) == can
        if can:
            item.inside, item.owner, out_of.offer = "", signer, b""

    @rule(inner=boxes, source=boxes, signer=holders)
    def take_box(self, inner: str, source: str, signer: str) -> None:
        item, out_of = self.model.boxes[inner], self.model.boxes[source]
        can = self._is_free(out_of, signer) and out_of.state == "active" and item.inside == source
        assert self._sends(m.Unpack(box(source), b"", box(inner)), signer) == can
        if can:
            item.inside, item.owner, out_of.offer = "", signer, b""

    @rule(
        chosen=st.sets(packs, max_size=2),
        inner=st.sets(boxes, max_size=2),
        sender=holders,
        receiver=holders,
        days=st.sampled_from([1, 5]),
        is_return=st.booleans(),
    )
    def offer(
        self, chosen: set[int], inner: set[str], sender: str, receiver: str, days: int, is_return: bool
    ) -> None:
        deadline_ms = self.network.time_ms + days * DAY_MS + self.counter
        self.counter += 1
        message = m.OfferItems(
            key(sender),
            key(receiver),
            deadline_ms,
            is_return,
            join(*(PACKS[each] for each in chosen)),
            b"".join(sorted(box(each) for each in inner)),
        )
        items = [self.model.packs[each] for each in sorted(chosen)]
        held = [self.model.boxes[each] for each in sorted(inner)]
        can = bool(items or held) and not (is_return and held)
        can = can and all(self._is_free(each, sender) for each in (*items, *held))
        can = can and all(each.state in ("active", "returned") for each in items)
        can = can and all(each.state == "active" for each in held)
        before = len(self.network.pairs())
        assert self._sends(message, sender) == can
        if can:
            assert len(self.network.pairs()) == before + 2
            offer = self._newest_offer(items, held, chosen, inner)
            self.model.offers[offer] = Handover(sender, receiver, deadline_ms, [*items, *held], is_return)
            for each in (*items, *held):
                each.offer = offer

    def _newest_offer(self, items: list[Item], held: list[Item], chosen: set[int], inner: set[str]) -> bytes:
        if items:
            return self.network.pack(PACKS[min(chosen)]).offer
        assert held
        return self.network.container(box(min(inner))).offer

    @rule(position=st.integers(0, 3), signer=holders, accept=st.booleans())
    def end_offer(self, position: int, signer: str, accept: bool) -> None:
        if not self.model.offers:
            return
        offer = sorted(self.model.offers)[position % len(self.model.offers)]
        handover = self.model.offers[offer]
        kind = m.AcceptOffer if accept else m.CancelOffer
        if accept:
            can = signer == handover.receiver and self.network.time_ms < handover.deadline_ms
        else:
            can = signer in (handover.sender, handover.receiver)
        assert self._sends(kind(offer, len(handover.items)), signer) == can
        if can:
            del self.model.offers[offer]
            for each in handover.items:
                if each.offer == offer:
                    each.offer = b""
                    each.owner = handover.receiver if accept else each.owner
                    if accept and handover.is_return:
                        each.state = "returned"

    @rule(
        pack=packs,
        units=st.integers(0, 5),
        expected=st.one_of(st.none(), st.integers(0, 4)),
        supplied=st.booleans(),
        signer=holders,
    )
    def use(self, pack: int, units: int, expected: int | None, supplied: bool, signer: str) -> None:
        item = self.model.packs[pack]
        expected = item.remaining if expected is None else expected
        can = self._is_free(item, signer) and item.state in ("active", "opened")
        can = can and pack % 2 not in self.model.recalled
        can = can and expected == item.remaining and 1 <= units <= item.remaining
        message = dispense(PACKS[pack], units=units, expected=expected, supplied=supplied)
        assert self._sends(message, signer) == can
        if can:
            item.remaining -= units
            item.last, item.changed_ms, item.offer = 0 if supplied else units, self.network.time_ms, b""
            is_eu = 1 + pack % 2 == Market.EU
            item.state = "opened"
            if item.remaining == 0 or is_eu:
                item.state = "supplied" if supplied else "dispensed"

    @rule(pack=packs, signer=holders)
    def undo(self, pack: int, signer: str) -> None:
        item = self.model.packs[pack]
        is_eu = 1 + pack % 2 == Market.EU
        undoable = ("dispensed", "exported") if is_eu else ("dispensed", "opened")
        can = not item.inside and item.owner == signer and item.state in undoable
        can = can and pack % 2 not in self.model.recalled
        can = can and self.network.time_ms - item.changed_ms <= 10 * DAY_MS
        can = can and not (item.state == "opened" and item.last == 0)
        assert self._sends(m.Undo(opened(PACKS[pack])), signer) == can
        if can:
            item.remaining += item.last
            item.last = 0
            item.state = "active" if item.remaining == 4 else "opened"
            item.changed_ms = self.network.time_ms

    @rule(pack=packs, signer=holders)
    def restock(self, pack: int, signer: str) -> None:
        item = self.model.packs[pack]
        can = self._is_free(item, signer) and item.state == "returned" and pack % 2 not in self.model.recalled
        assert self._sends(m.Restock(opened(PACKS[pack])), signer) == can
        if can:
            item.state, item.offer = "active", b""

    @rule(pack=packs, reason=st.sampled_from([PackState.STOLEN, PackState.EXPORTED]), signer=holders)
    def leave(self, pack: int, reason: PackState, signer: str) -> None:
        item = self.model.packs[pack]
        can = self._is_free(item, signer) and item.state in ("active", "opened", "returned")
        assert self._sends(m.Decommission(reason, PACKS[pack].id, b""), signer) == can
        if can:
            item.state, item.last, item.offer = reason.name.lower(), 0, b""
            item.changed_ms = self.network.time_ms

    @rule(lot=st.integers(0, 1), luck=st.integers(0, 9))
    def recall(self, lot: int, luck: int) -> None:
        if luck:
            return
        assert self._sends(m.RecallLots(key("maker"), lot_tag(f"lot {lot}")), "maker")
        self.model.recalled.add(lot)

    @rule(pack=packs, luck=st.integers(0, 5))
    def commission_again(self, pack: int, luck: int) -> None:
        made = PACKS[pack]
        other = Made(made.id, make("x", expires_on=TODAY).terms)
        assert self._sends(commission(other if luck else made), "maker") == (luck == 0)

    @invariant()
    def state_is_the_model(self) -> None:
        for number, item in self.model.packs.items():
            found = self.network.pack(PACKS[number])
            assert found.state.name.lower() == item.state
            assert found.is_packed == bool(item.inside)
            assert found.owner == (box(item.inside) if item.inside else key(item.owner))
            assert self.network.holder(PACKS[number]) == key(self._held(number))
            if found.use is not None and found.use.units:
                assert found.use.remaining == item.remaining
                assert found.use.last_units == item.last
        for name, item in self.model.boxes.items():
            container = self.network.container(box(name))
            assert container.owner == (box(item.inside) if item.inside else key(item.owner))
            inside = [*self.model.packs.values(), *self.model.boxes.values()]
            assert container.children == sum(each.inside == name for each in inside)
        for name, holds in self.network.module.invariants.items():
            assert holds(self.network.view_of(self.network.store)) == [], name

    def teardown(self) -> None:
        self.network.check()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
