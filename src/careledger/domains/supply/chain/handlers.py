"""What each message of the supply module does.

Which product a pack is, who makes it, who holds it and where it is are never seen here: handlers compare
keys, tags, digests, states and quantities. A handler whose items depend on one another applies them in order;
what it wrote is dropped as a whole when one of them is refused.
"""

from __future__ import annotations

import msgspec

from careledger.domains.supply.chain import errors as codes
from careledger.domains.supply.chain import keeper, types
from careledger.domains.supply.chain import messages as requests
from careledger.domains.supply.chain.messages import count_items, cut
from careledger.domains.supply.chain.rules.dispensing import (
    compute_dispensed,
    compute_supplied,
    compute_undone,
    remaining_units,
)
from careledger.domains.supply.chain.rules.items import cut_dispensing, cut_opened, cut_outputs
from careledger.domains.supply.chain.rules.repackaging import (
    check_balance,
    check_outputs,
    compute_outputs,
)
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    PACK_ID_BYTES,
    Container,
    Pack,
    PackState,
)
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.context import Context
from careledger.sdk.errors import Rejected
from careledger.sdk.module import ValidatorUpdate

_replace = msgspec.structs.replace


def commission_packs(context: Context, message: requests.CommissionPacks) -> bytes:
    """Bring packs into being, in the hands of their first holder."""
    # CHECKS
    _require_signature(context, message.issuer)
    _require_signature(context, message.holder)
    fresh = keeper.fresh_packs(
        context.store, message.issuer, message.holder, message.tags, message.lot_commitments
    )
    # EFFECTS
    keeper.write_pairs(context.store, fresh)
    # EVENTS
    context.emit(types.PacksCommissioned(message.issuer, len(fresh)))
    return b""


def create_containers(context: Context, message: requests.CreateContainers) -> bytes:
    """Create empty containers; those that are there, empty or not, are an error."""
    # CHECKS
    _require_signature(context, message.creator)
    fresh: dict[bytes, Container] = {}
    for position, raw in enumerate(cut(message.containers, requests.NEW_CONTAINER_BYTES)):
        container_id = types.compute_container_id(message.creator, raw[: types.TAG_BYTES])
        if keeper.container(context.store, container_id) is not None:
            raise Rejected(codes.CONTAINER_EXISTS, at=f"containers[{position}]")
        level = raw[types.TAG_BYTES]
        if not 1 <= level <= types.LEVEL_MAX:
            raise Rejected(codes.CONTAINER_LEVEL, at=f"containers[{position}]")
        seal = raw[types.TAG_BYTES + 1 :]
        fresh[container_id] = Container(PackState.ACTIVE, level, message.creator, False, seal, b"", 0)
    # EFFECTS
    _write_items(context, {}, fresh)
    # EVENTS
    context.emit(types.ContainersCreated(b"".join(fresh)))
    return b""


def pack_into(context: Context, message: requests.PackInto) -> bytes:
    """Put items into containers, one container after the other."""
    # CHECKS and EFFECTS, group by group: a case that was just filled goes onto its pallet
    for position, group in enumerate(message.groups):
        _fill(context, group, f"groups[{position}]")
    # EVENTS
    filled = b"".join([group.container for group in message.groups])
    context.emit(types.ItemsPacked(filled, message.operations() - len(message.groups)))
    return b""


def _fill(context: Context, group: requests.Group, at: str) -> None:
    # CHECKS
    target = keeper.require_container(context, group.container, at)
    pairs = keeper.packed_pairs(context, group.container, group.packs, at)
    children: dict[bytes, Container] = {}
    for position, child_id in enumerate(cut(group.containers, DIGEST_BYTES)):
        where = f"{at}.containers[{position}]"
        child = keeper.require_container(context, child_id, where)
        # Levels only ever fall from the outside in, so there is neither a cycle nor a seventh level.
        if child.level >= target.level:
            raise Rejected(codes.CONTAINER_LEVEL, at=where)
        children[child_id] = _replace(child, owner=group.container, is_packed=True, offer=b"")
    # EFFECTS
    keeper.write_pairs(context.store, pairs)
    held = target.children + len(pairs) + len(children)
    filled = _replace(target, seal=group.seal, children=held, offer=b"")
    _write_items(context, {}, children | {group.container: filled})


def unpack(context: Context, message: requests.Unpack) -> bytes:
    """Take items out of a container; its seal is broken."""
    # CHECKS
    opened = keeper.require_container(context, message.container, "container")
    pairs = keeper.unpacked_pairs(context.store, message.container, opened.owner, message.packs)
    children: dict[bytes, Container] = {}
    for position, child_id in enumerate(cut(message.containers, DIGEST_BYTES)):
        child = keeper.require_inside(context.store, message.container, child_id, f"containers[{position}]")
        children[child_id] = _replace(child, owner=opened.owner, is_packed=False)
    # EFFECTS
    keeper.write_pairs(context.store, pairs)
    left = opened.children - len(pairs) - len(children)
    emptied = _replace(opened, seal=types.NONE, children=left, offer=b"")
    _write_items(context, {}, children | {message.container: emptied})
    # EVENTS
    context.emit(types.ItemsUnpacked(message.container, len(pairs) + len(children)))
    return b""


def offer_items(context: Context, message: requests.OfferItems) -> bytes:
    """Open a handover; until it is accepted, cancelled or lapsed, its items stay where they are."""
    # CHECKS
    _require_signature(context, message.from_key)
    ahead_ms = message.deadline_ms - context.time_ms
    if not 0 < ahead_ms <= types.OFFER_AHEAD_DAYS_MAX * DAY_MS:
        raise Rejected(codes.OFFER_DEADLINE)
    offer_id = types.compute_offer_id(message.from_key, message.to_key, message.deadline_ms)
    if keeper.offer(context.store, offer_id) is not None:
        raise Rejected(codes.OFFER_EXISTS)
    packs, containers = _require_items(context, message, keeper.MOVABLE)
    owners = [*(pack.owner for pack in packs.values()), *(each.owner for each in containers.values())]
    if any(owner != message.from_key for owner in owners):
        raise Rejected(codes.NOT_HOLDER)
    # EFFECTS
    _write_items(
        context,
        {pack_id: _replace(pack, offer=offer_id) for pack_id, pack in packs.items()},
        {container_id: _replace(each, offer=offer_id) for container_id, each in containers.items()},
    )
    keeper.write_offer(
        context.store,
        offer_id,
        types.Offer(
            message.from_key,
            message.to_key,
            message.deadline_ms,
            message.is_return,
            message.packs,
            message.containers,
        ),
    )
    # EVENTS
    context.emit(types.Offered(offer_id, message.to_key, message.deadline_ms))
    return offer_id


def accept_offer(context: Context, message: requests.AcceptOffer) -> bytes:
    """Complete a handover: the receiver's key holds the items, and what is inside them follows."""
    # CHECKS
    offer = _require_offer(context, message)
    _require_signature(context, offer.to_key)
    if context.time_ms >= offer.deadline_ms:
        raise Rejected(codes.OFFER_LAPSED)
    packs, containers = keeper.waiting_items(context.store, message.offer, offer)
    # EFFECTS
    for pack_id, pack in packs.items():
        state = PackState.RETURNED if offer.is_return else pack.state
        packs[pack_id] = _replace(pack, owner=offer.to_key, offer=b"", state=state)
    for container_id, container in containers.items():
        containers[container_id] = _replace(container, owner=offer.to_key, offer=b"")
    _write_items(context, packs, containers)
    keeper.remove_offer(context.store, message.offer, offer)
    # EVENTS
    context.emit(types.OfferAccepted(message.offer))
    return b""


def cancel_offer(context: Context, message: requests.CancelOffer) -> bytes:
    """End a handover that was not accepted."""
    # CHECKS
    offer = _require_offer(context, message)
    if offer.from_key not in context.signers and offer.to_key not in context.signers:
        raise Rejected(codes.KEY_NOT_SIGNED)
    packs, containers = keeper.waiting_items(context.store, message.offer, offer)
    # EFFECTS
    _write_items(
        context,
        {pack_id: _replace(pack, offer=b"") for pack_id, pack in packs.items()},
        {container_id: _replace(each, offer=b"") for container_id, each in containers.items()},
    )
    keeper.remove_offer(context.store, message.offer, offer)
    # EVENTS
    context.emit(types.OfferCancelled(message.offer))
    return b""


def dispense(context: Context, message: requests.Dispense) -> bytes:
    """Use packs up: compare what is left with what the sender expects, and swap."""
    # CHECKS
    changed: dict[bytes, Pack] = {}
    for position, raw in enumerate(cut(message.packs, requests.DISPENSING_BYTES)):
        at = f"packs[{position}]"
        pack_id, raw_terms, expected, units, is_supplied = cut_dispensing(raw)
        pack = keeper.require_pack(context, pack_id, keeper.DISPENSABLE, at)
        terms = keeper.require_usable(context, pack_id, pack, raw_terms, at)
        changed[pack_id] = compute_dispensed(
            pack,
            terms,
            expected=expected,
            units=units,
            is_supplied=is_supplied,
            now_ms=context.time_ms,
            at=at,
        )
    # EFFECTS and EVENTS
    return _write_changed(context, "Dispense", changed)


def mark_supplied(context: Context, message: requests.MarkSupplied) -> bytes:
    """Note that what was last dispensed is with the public: nothing undoes it any more."""
    # CHECKS
    changed: dict[bytes, Pack] = {}
    for position, pack_id in enumerate(cut(message.packs, PACK_ID_BYTES)):
        pack = keeper.require_pack(
            context, pack_id, (PackState.OPENED, PackState.DISPENSED), f"packs[{position}]"
        )
        changed[pack_id] = compute_supplied(pack)
    # EFFECTS and EVENTS
    return _write_changed(context, "MarkSupplied", changed)


def undo(context: Context, message: requests.Undo) -> bytes:
    """Bring packs back to what they were before they were last dispensed, exported or sampled."""
    # CHECKS
    changed: dict[bytes, Pack] = {}
    for position, (pack_id, raw_terms) in enumerate(cut_opened(message.packs)):
        at = f"packs[{position}]"
        pack = keeper.require_pack_state(context.store, pack_id, tuple(PackState), at)
        # A pack that was dispensed or left the chain never moves again: its holder is the place that did it.
        if pack.owner not in context.signers:
            raise Rejected(codes.UNDO_ELSEWHERE, at=at)
        terms = keeper.require_usable(context, pack_id, pack, raw_terms, at)
        changed[pack_id] = compute_undone(pack, terms, now_ms=context.time_ms, at=at)
    # EFFECTS and EVENTS
    return _write_changed(context, "Undo", changed)


def restock(context: Context, message: requests.Restock) -> bytes:
    """Put returned packs back into stock, unless they are recalled, withdrawn or expired by now."""
    # CHECKS
    changed: dict[bytes, Pack] = {}
    for position, (pack_id, raw_terms) in enumerate(cut_opened(message.packs)):
        at = f"packs[{position}]"
        pack = keeper.require_pack(context, pack_id, keeper.MOVABLE, at)
        if pack.state is not PackState.RETURNED:
            raise Rejected(codes.NOT_RETURNED, at=at)
        keeper.require_usable(context, pack_id, pack, raw_terms, at)
        changed[pack_id] = _replace(pack, state=PackState.ACTIVE, offer=b"")
    # EFFECTS and EVENTS
    return _write_changed(context, "Restock", changed)


def decommission(context: Context, message: requests.Decommission) -> bytes:
    """Take packs and containers out of the chain; what is inside a container shares its fate."""
    # CHECKS
    reason = PackState(message.reason)
    packs, containers = _require_items(context, message, keeper.IN_CHAIN)
    for pack_id, pack in packs.items():
        use = _replace(pack.use or types.PackUse(0, 0, 0, 0), last_units=0, changed_at_ms=context.time_ms)
        packs[pack_id] = _replace(pack, state=reason, use=use, offer=b"")
    for container_id, container in containers.items():
        containers[container_id] = _replace(container, state=reason, offer=b"")
    # EFFECTS
    _write_items(context, packs, containers)
    # EVENTS
    if packs:
        context.emit(types.PacksChanged("Decommission", b"".join(packs)))
    if containers:
        context.emit(types.ContainersLeft(reason, b"".join(containers)))
    return b""


def recall_lots(context: Context, message: requests.RecallLots) -> bytes:
    """Recall lots; one operation a lot, whatever its size and wherever its packs are."""
    return _flag_lots(context, message, types.LotFlags.RECALLED)


def withdraw_lots(context: Context, message: requests.WithdrawLots) -> bytes:
    """Withdraw lots from the market."""
    return _flag_lots(context, message, types.LotFlags.WITHDRAWN)


def _flag_lots(
    context: Context, message: requests.RecallLots | requests.WithdrawLots, flag: types.LotFlags
) -> bytes:
    # CHECKS
    _require_signature(context, message.issuer)
    # EFFECTS
    for tag in cut(message.lots, types.TAG_BYTES):
        keeper.flag_lot(context.store, message.issuer + tag, flag, context.time_ms)
    # EVENTS
    context.emit(types.LotsFlagged(message.issuer, flag, message.lots))
    return b""


def repackage(context: Context, message: requests.Repackage) -> bytes:
    """Retire packs and bring others into being from what was in them, with their lineage."""
    # CHECKS
    _require_signature(context, message.issuer)
    _require_signature(context, message.holder)
    retired: dict[bytes, Pack] = {}
    opened: list[types.Terms] = []
    lots: dict[bytes, None] = {}
    units = 0
    for position, (pack_id, raw_terms) in enumerate(cut_opened(message.inputs)):
        at = f"inputs[{position}]"
        pack = keeper.require_pack(context, pack_id, keeper.DISPENSABLE, at)
        terms = keeper.require_usable(context, pack_id, pack, raw_terms, at)
        opened.append(terms)
        units += remaining_units(pack, terms)
        lots |= dict.fromkeys(keeper.lots_of(context.store, pack_id[: types.KEY_BYTES] + terms.lot_tag, pack))
        use = types.PackUse(terms.units, 0, 0, context.time_ms)
        retired[pack_id] = _replace(pack, state=PackState.REPACKAGED, use=use, offer=b"")
    if len(lots) > types.LINEAGE_LOTS_MAX:
        raise Rejected(codes.LINEAGE_TOO_WIDE)
    outputs = cut_outputs(message.outputs)
    new_terms = [terms for _, _, terms in outputs]
    check_outputs(opened, new_terms)
    check_balance(units, new_terms, message.waste_units)
    for position, (tag, _, _) in enumerate(outputs):
        if keeper.pack(context.store, message.issuer + tag) is not None:
            raise Rejected(codes.PACK_EXISTS, at=f"outputs[{position}]")
    # EFFECTS
    inputs_packed = b"".join(retired)
    outputs_packed = b"".join([message.issuer + tag for tag, _, _ in outputs])
    transformation_id = types.compute_transformation_id(inputs_packed, outputs_packed)
    made = compute_outputs(message.issuer, message.holder, outputs, transformation_id)
    _write_items(context, retired | made, {})
    keeper.write_transformation(
        context.store,
        transformation_id,
        types.Transformation(
            inputs_packed, outputs_packed, b"".join(sorted(lots)), message.waste_units, context.time_ms
        ),
    )
    # EVENTS
    context.emit(types.PacksRepackaged(transformation_id))
    return transformation_id


def end_block(context: Context) -> tuple[ValidatorUpdate, ...]:
    """Clear away offers that lapsed long ago."""
    keeper.remove_lapsed_offers(context.store, context.time_ms)
    return ()


def _require_signature(context: Context, key: bytes) -> None:
    if key not in context.signers:
        raise Rejected(codes.KEY_NOT_SIGNED)


def _require_items(
    context: Context, message: requests.OfferItems | requests.Decommission, states: tuple[PackState, ...]
) -> tuple[dict[bytes, Pack], dict[bytes, Container]]:
    packs = {
        pack_id: keeper.require_pack(context, pack_id, states, f"packs[{position}]")
        for position, pack_id in enumerate(cut(message.packs, PACK_ID_BYTES))
    }
    containers = {
        container_id: keeper.require_container(context, container_id, f"containers[{position}]")
        for position, container_id in enumerate(cut(message.containers, DIGEST_BYTES))
    }
    return packs, containers


def _require_offer(context: Context, message: requests.AcceptOffer | requests.CancelOffer) -> types.Offer:
    offer = keeper.offer(context.store, message.offer)
    if offer is None:
        raise Rejected(codes.OFFER_UNKNOWN)
    if message.items != count_items(offer.packs, offer.containers):
        raise Rejected(codes.OFFER_ITEMS)
    return offer


def _write_items(context: Context, packs: dict[bytes, Pack], containers: dict[bytes, Container]) -> None:
    keeper.write_pairs(context.store, keeper.item_pairs(packs, containers))


def _write_changed(context: Context, action: str, changed: dict[bytes, Pack]) -> bytes:
    _write_items(context, changed, {})
    context.emit(types.PacksChanged(action, b"".join(changed)))
    return b""
