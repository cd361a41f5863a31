"""A ledger of the supply module alone, and short words for what is done on it. Keys are named, not signed with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from careledger.domains.supply import chain
from careledger.domains.supply.chain import keeper
from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.rules.items import pack_dispensing
from careledger.domains.supply.chain.types import (
    Container,
    Market,
    Pack,
    Terms,
    compute_container_id,
    compute_lot_commitment,
    compute_offer_id,
    pack_terms,
)
from careledger.primitives.codec import Wire, decode, encode
from careledger.primitives.errors import Code, Rejected
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.context import Context, View
from careledger.sdk.events import Event
from careledger.sdk.messages import Message
from careledger.state.overlay import Overlay
from domains.identity.chain_network import CHAIN_ID, GENESIS_TIME_MS, digest, empty_store

TODAY = GENESIS_TIME_MS // DAY_MS
ZEROS = bytes(32)


def key(name: str) -> bytes:
    """One-time public key by name."""
    return digest("key", name)


def lot_tag(name: str = "lot") -> bytes:
    """Lot tag by name."""
    return digest("lot", name)


@dataclass(frozen=True)
class Made:
    """A pack as its maker knows it."""

    id: bytes
    terms: bytes

    @property
    def tag(self) -> bytes:
        """Pack tag."""
        return self.id[32:]


def make(
    name: str | int,
    *,
    issuer: str = "maker",
    lot: str = "lot",
    units: int = 30,
    market: int = Market.US,
    expires_on: int = TODAY + 400,
) -> Made:
    """A pack by name."""
    terms = pack_terms(Terms(lot_tag(lot), expires_on, market, units, digest("salt", name)))
    return Made(key(issuer) + digest("pack", name), terms)


def join(*packs: Made) -> bytes:
    """Identifiers, ascending."""
    return b"".join(sorted(each.id for each in packs))


def opened(*packs: Made) -> bytes:
    """Identifiers with terms, ascending."""
    return b"".join(sorted(each.id + each.terms for each in packs))


def commission(*packs: Made, issuer: str = "maker", holder: str = "maker") -> m.CommissionPacks:
    """Message that brings packs into being."""
    ordered = sorted(packs, key=lambda each: each.tag)
    return m.CommissionPacks(
        key(issuer),
        key(holder),
        b"".join(each.tag for each in ordered),
        b"".join(compute_lot_commitment(each.terms) for each in ordered),
    )


def create(*names: str, creator: str = "maker", level: int = 1) -> m.CreateContainers:
    """Message that creates containers."""
    tags = sorted(digest("container", name) for name in names)
    return m.CreateContainers(key(creator), b"".join(tag + bytes((level,)) + ZEROS for tag in tags))


def box(name: str, creator: str = "maker") -> bytes:
    """Identifier of a container by name."""
    return compute_container_id(key(creator), digest("container", name))


def fill(name: str, *packs: Made, boxes: Sequence[str] = (), creator: str = "maker") -> m.PackInto:
    """Message that fills one container."""
    inner = b"".join(sorted(box(each, creator) for each in boxes))
    return m.PackInto((m.Group(box(name, creator), digest("seal", name), join(*packs), inner),))


def dispense(pack: Made, *, units: int = 30, expected: int = 30, supplied: bool = False) -> m.Dispense:
    """Message that dispenses from one pack."""
    return m.Dispense(pack_dispensing(pack.id, pack.terms, expected=expected, units=units, supplied=supplied))


class SupplyNetwork:
    """The module over one store, each message in an overlay of its own."""

    def __init__(self) -> None:
        self.module = chain.build()
        self.store = empty_store()
        self.module.import_genesis(self.store, self.module.export_genesis(self.view_of(empty_store())))
        self.height = 1
        self.time_ms = GENESIS_TIME_MS
        self.events: list[Event] = []

    def view_of(self, store: Overlay) -> View:
        return View(store=store, chain_id=CHAIN_ID, height=1, time_ms=getattr(self, "time_ms", 0))

    def later(self, *, days: int = 0, ms: int = 1_000) -> None:
        """Go on to a later block."""
        self.height += 1
        self.time_ms += days * DAY_MS + (0 if days else ms)

    def context(self, *names: str, store: Overlay | None = None) -> Context:
        return Context(
            store=self.store if store is None else store,
            chain_id=CHAIN_ID,
            height=self.height,
            time_ms=self.time_ms,
            tx_id=ZEROS,
            signers=tuple(sorted(key(name) for name in names)),
        )

    def run(self, message: Message, *names: str) -> bytes:
        """Process a message as the application does, signed by the named keys."""
        binding = self.module.binding(type(message).__name__)
        if binding is None:
            raise LookupError(type(message).__name__)
        received = decode(encode(message), binding.message)
        received.check()
        assert received.operations() >= 1
        overlay = Overlay(self.store)
        context = self.context(*names, store=overlay)
        data = binding.handle(context, received)
        overlay.merge_into_parent()
        self.events = context.events
        return data

    def end_block(self) -> None:
        """Run what is due at the end of a block."""
        if self.module.end_block is None:
            raise LookupError("end_block")
        assert self.module.end_block(self.context()) == ()

    def query(self, name: str, request: Wire | bytes) -> Wire:
        raw = request if isinstance(request, bytes) else encode(request)
        return self.module.queries[name](self.view_of(self.store), raw)

    def pack(self, made: Made) -> Pack:
        """Pack as it stands."""
        found = keeper.pack(self.store, made.id)
        assert found is not None
        return found

    def container(self, container_id: bytes) -> Container:
        """Container as it stands."""
        found = keeper.container(self.store, container_id)
        assert found is not None
        return found

    def holder(self, made: Made) -> bytes:
        """Key at the end of the chain of containers."""
        item: Pack | Container = self.pack(made)
        while item.is_packed:
            item = self.container(item.owner)
        return item.owner

    def pairs(self) -> list[tuple[bytes, bytes]]:
        return list(self.store.scan(b"", None))

    def check(self) -> None:
        """Fail if an invariant does not hold or the export does not come back the same."""
        for name, holds in self.module.invariants.items():
            assert holds(self.view_of(self.store)) == [], name
        copied = empty_store()
        self.module.import_genesis(copied, self.module.export_genesis(self.view_of(self.store)))
        assert list(copied.scan(b"", None)) == self.pairs()

    # -- Whole steps --

    def offer(
        self,
        *packs: Made,
        boxes: Sequence[bytes] = (),
        sender: str = "maker",
        receiver: str = "wholesaler",
        days: int = 7,
        is_return: bool = False,
    ) -> bytes:
        """Open a handover; returns its identifier."""
        deadline_ms = self.time_ms + days * DAY_MS
        message = m.OfferItems(
            key(sender), key(receiver), deadline_ms, is_return, join(*packs), b"".join(sorted(boxes))
        )
        data = self.run(message, sender)
        assert data == compute_offer_id(key(sender), key(receiver), deadline_ms)
        return data

    def hand_over(
        self,
        *packs: Made,
        boxes: Sequence[bytes] = (),
        sender: str = "maker",
        receiver: str = "pharmacy",
        is_return: bool = False,
    ) -> None:
        """Offer and accept."""
        offer = self.offer(*packs, boxes=boxes, sender=sender, receiver=receiver, is_return=is_return)
        self.run(m.AcceptOffer(offer, len(packs) + len(boxes)), receiver)


def stocked(*packs: Made) -> SupplyNetwork:
    """Network whose pharmacy holds the packs."""
    network = SupplyNetwork()
    network.run(commission(*packs, holder="pharmacy"), "maker", "pharmacy")
    network.later()
    return network


def check_rejected(network: SupplyNetwork, code: Code, act: Callable[[SupplyNetwork], object]) -> Rejected:
    """Fail unless the act is rejected with the code and leaves no trace."""
    before = network.pairs()
    with pytest.raises(Rejected) as caught:
        act(network)
    assert caught.value.code == code
    assert network.pairs() == before
    return caught.value
