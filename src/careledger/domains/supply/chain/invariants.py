"""Whole-state predicates of the supply module: for tests and the doctor, never in consensus."""

from __future__ import annotations

from collections.abc import Mapping

from careledger.domains.supply.chain import keeper
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    LEVEL_MAX,
    PACK_ID_BYTES,
    Container,
    Pack,
    PackState,
    pack_container,
    pack_pack,
    unpack_container,
    unpack_pack,
)
from careledger.sdk.context import View
from careledger.sdk.module import Invariant

_ENDED = (
    PackState.DISPENSED,
    PackState.SUPPLIED,
    PackState.EXPORTED,
    PackState.SAMPLED,
    PackState.DESTROYED,
    PackState.STOLEN,
    PackState.DECOMMISSIONED,
    PackState.REPACKAGED,
)


def packs_are_whole(view: View) -> list[str]:
    """Every pack has one stored form, a state that fits its quantities, and one holder."""
    wrong = []
    for position, (key, raw) in enumerate(keeper.PACKS.scan_raw(view.store)):
        pack = unpack_pack(raw)
        if len(key) != PACK_ID_BYTES or pack_pack(pack) != raw:
            wrong.append(f"supply.packs: pack {position} has a second stored form")
        if pack.use is not None and not 0 <= pack.use.remaining + pack.use.last_units <= pack.use.units:
            wrong.append(f"supply.packs: pack {position} holds more than fits into it")
        if pack.state is PackState.OPENED and (pack.use is None or pack.use.remaining == 0):
            wrong.append(f"supply.packs: pack {position} is open and empty")
        if pack.state in _ENDED and (pack.use is None or pack.is_packed or pack.offer):
            wrong.append(f"supply.packs: pack {position} has left the chain and still moves")
    return wrong


def containers_are_whole(view: View) -> list[str]:
    """Every container has one stored form, counts what is in it, and nests without cycles at most 6 deep."""
    wrong = []
    found: dict[bytes, Container] = {}
    inside: dict[bytes, int] = {}
    for position, (key, raw) in enumerate(keeper.CONTAINERS.scan_raw(view.store)):
        found[key] = unpack_container(raw)
        if len(key) != DIGEST_BYTES or pack_container(found[key]) != raw:
            wrong.append(f"supply.containers: container {position} has a second stored form")
    items: list[Pack | Container] = [*found.values()]
    items += [unpack_pack(raw) for _, raw in keeper.PACKS.scan_raw(view.store)]
    for item in items:
        if item.is_packed:
            inside[item.owner] = inside.get(item.owner, 0) + 1
    for position, (key, container) in enumerate(found.items()):
        if container.children != inside.pop(key, 0):
            wrong.append(f"supply.containers: container {position} does not count what is in it")
        depth = 1
        outer = container
        while outer.is_packed and depth <= LEVEL_MAX and outer.owner in found:
            outer = found[outer.owner]
            depth += 1
        if depth > LEVEL_MAX:
            wrong.append(f"supply.containers: container {position} is nested too deep, or in itself")
    if inside:
        wrong.append("supply.containers: something is in a container that does not exist")
    return wrong


def offers_are_whole(view: View) -> list[str]:
    """Every open offer's items are loose, wait for it alone, and are held by its sender; every offer is due."""
    wrong = []
    due = {key[8:]: int.from_bytes(key[:8], "big") for key, _ in keeper.OFFERS_DUE.scan_raw(view.store)}
    for position, (offer_id, offer) in enumerate(keeper.OFFERS.scan(view.store)):
        if due.pop(offer_id, None) != offer.deadline_ms:
            wrong.append(f"supply.offers: offer {position} has no date to be cleared away")
        if view.time_ms >= offer.deadline_ms:
            continue
        items: list[Pack | Container | None] = [
            keeper.pack(view.store, offer.packs[at : at + PACK_ID_BYTES])
            for at in range(0, len(offer.packs), PACK_ID_BYTES)
        ]
        items += [
            keeper.container(view.store, offer.containers[at : at + DIGEST_BYTES])
            for at in range(0, len(offer.containers), DIGEST_BYTES)
        ]
        for item in items:
            if item is None or item.is_packed or item.offer != offer_id or item.owner != offer.from_key:
                wrong.append(f"supply.offers: offer {position} names an item that does not wait for it")
                break
    if due:
        wrong.append("supply.offers_due: there is a date without an offer")
    return wrong


def transformations_are_whole(view: View) -> list[str]:
    """Whatever went into a transformation is retired; whatever came out of it names it."""
    wrong = []
    for position, (key, made) in enumerate(keeper.TRANSFORMATIONS.scan(view.store)):
        for at in range(0, len(made.inputs), PACK_ID_BYTES):
            before = keeper.pack(view.store, made.inputs[at : at + PACK_ID_BYTES])
            if before is None or before.state is not PackState.REPACKAGED:
                wrong.append(f"supply.transformations: an input of {position} is not retired")
        for at in range(0, len(made.outputs), PACK_ID_BYTES):
            after = keeper.pack(view.store, made.outputs[at : at + PACK_ID_BYTES])
            if after is None or after.transformation != key:
                wrong.append(f"supply.transformations: an output of {position} does not name it")
    return wrong


INVARIANTS: Mapping[str, Invariant] = {
    "packs_are_whole": packs_are_whole,
    "containers_are_whole": containers_are_whole,
    "offers_are_whole": offers_are_whole,
    "transformations_are_whole": transformations_are_whole,
}
