"""The only reader and writer of the supply module's keys.

The issuer key stands before every pack tag and lot tag, and the creator's key is part of every container's
identifier: tags are visible before they are committed, and in a namespace shared by all, anyone could copy one
and spoil the batch it belongs to.

An item can be acted on when it is loose (in no container), its holder signed, and no handover of it is open.
What is inside a container is therefore out of reach, at any depth, until the container is opened.
"""

from __future__ import annotations

from struct import Struct

import msgspec

from careledger.domains.supply.chain.errors import (
    ALREADY_DISPENSED,
    CONTAINER_INACTIVE,
    CONTAINER_UNKNOWN,
    EXPIRED,
    ITEM_OFFERED,
    ITEM_PACKED,
    LOT_RECALLED,
    LOT_WITHDRAWN,
    NOT_HOLDER,
    NOT_INSIDE,
    OPENING_WRONG,
    PACK_EXISTS,
    PACK_INACTIVE,
    PACK_UNKNOWN,
)
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    KEY_BYTES,
    LOT_SCHEMA,
    PACK_ID_BYTES,
    PACKED_HEAD,
    TAG_BYTES,
    UNTOUCHED_BYTES,
    UNTOUCHED_HEAD,
    Container,
    Lot,
    LotFlags,
    Offer,
    Pack,
    PackState,
    Terms,
    Transformation,
    compute_lot_commitment,
    pack_container,
    pack_pack,
    unpack_container,
    unpack_pack,
    unpack_terms,
)
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.collections import KeySet, Map, RawMap, fixed_key, u64_key
from careledger.sdk.context import Context, StateReader, StateStore
from careledger.sdk.errors import InvariantViolated, Rejected

MODULE_NUMBER = 4
LAPSED_PER_BLOCK_MAX = 100
LAPSED_KEPT_MS = DAY_MS
"""How long a lapsed offer is still there, so that who comes late is told why."""


def _due_key(pair: tuple[int, bytes]) -> bytes:
    return u64_key(pair[0]) + pair[1]


PACKS: RawMap[bytes] = RawMap(MODULE_NUMBER, 1, "supply.packs", fixed_key)
"""Issuer key and pack tag -> stored pack."""
CONTAINERS: RawMap[bytes] = RawMap(MODULE_NUMBER, 2, "supply.containers", fixed_key)
"""Container identifier -> stored container."""
LOTS: RawMap[bytes] = RawMap(MODULE_NUMBER, 3, "supply.lots", fixed_key)
"""Issuer key and lot tag -> stored flags; only lots about which something was said are here."""
OFFERS: Map[bytes, Offer] = Map(MODULE_NUMBER, 4, "supply.offers", fixed_key, Offer)
"""Offer identifier -> offer."""
OFFERS_DUE: KeySet[tuple[int, bytes]] = KeySet(MODULE_NUMBER, 5, "supply.offers_due", _due_key)
"""(deadline, offer identifier)."""
TRANSFORMATIONS: Map[bytes, Transformation] = Map(
    MODULE_NUMBER, 6, "supply.transformations", fixed_key, Transformation
)
"""Transformation identifier -> transformation."""

_LOT_LAYOUT = Struct(">BBQ")
Pairs = list[tuple[bytes, bytes]]
Collection = RawMap[bytes] | Map[bytes, Offer] | Map[bytes, Transformation]

MOVABLE = (PackState.ACTIVE, PackState.RETURNED)
DISPENSABLE = (PackState.ACTIVE, PackState.OPENED)
IN_CHAIN = (PackState.ACTIVE, PackState.OPENED, PackState.RETURNED)
_USED_UP = (PackState.OPENED, PackState.DISPENSED, PackState.SUPPLIED)


# -- Reading ---------------------------------------------------------------------------------------------


def pack(store: StateReader, pack_id: bytes) -> Pack | None:
    """Pack by issuer key and tag (64 bytes), or None."""
    raw = PACKS.get(store, pack_id)
    return None if raw is None else unpack_pack(raw)


def container(store: StateReader, container_id: bytes) -> Container | None:
    """Container by its identifier of 32 bytes, or None."""
    raw = CONTAINERS.get(store, container_id)
    return None if raw is None else unpack_container(raw)


def lot(store: StateReader, lot_id: bytes) -> Lot | None:
    """What was said about a lot, by issuer key and lot tag (64 bytes); None if nothing was."""
    raw = LOTS.get(store, lot_id)
    return None if raw is None else unpack_lot(raw)


def pack_lot(value: Lot) -> bytes:
    """Stored form of a lot, big-endian: schema 1 | flags 1 | flagged at 8."""
    return _LOT_LAYOUT.pack(LOT_SCHEMA, value.flags, value.flagged_at_ms)


def unpack_lot(raw: bytes) -> Lot:
    """Read what `pack_lot` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    if len(raw) != _LOT_LAYOUT.size or raw[0] != LOT_SCHEMA:
        raise InvariantViolated("a lot of supply cannot be read")
    _, flags, flagged_at_ms = _LOT_LAYOUT.unpack(raw)
    return Lot(flags, flagged_at_ms)


def offer(store: StateReader, offer_id: bytes) -> Offer | None:
    """Offer by its identifier of 32 bytes, or None."""
    return OFFERS.get(store, offer_id)


def transformation(store: StateReader, transformation_id: bytes) -> Transformation | None:
    """Transformation by its identifier of 32 bytes, or None."""
    return TRANSFORMATIONS.get(store, transformation_id)


# -- What an item must be like ---------------------------------------------------------------------------


def require_pack(context: Context, pack_id: bytes, states: tuple[PackState, ...], at: str) -> Pack:
    """Pack in one of the states that the signers may act on.

    Raises:
        Rejected: PACK_UNKNOWN, ALREADY_DISPENSED, PACK_INACTIVE, ITEM_PACKED, NOT_HOLDER or ITEM_OFFERED.
    """
    found = require_pack_state(context.store, pack_id, states, at)
    _require_free(context, found, at)
    return found


def require_pack_state(store: StateReader, pack_id: bytes, states: tuple[PackState, ...], at: str) -> Pack:
    """Pack in one of the states.

    Raises:
        Rejected: PACK_UNKNOWN, ALREADY_DISPENSED or PACK_INACTIVE.
    """
    found = pack(store, pack_id)
    if found is None:
        raise Rejected(PACK_UNKNOWN, at=at)
    if found.state not in states:
        raise Rejected(
            ALREADY_DISPENSED if found.state in _USED_UP else PACK_INACTIVE, found.state.name.lower(), at=at
        )
    return found


def require_container(context: Context, container_id: bytes, at: str) -> Container:
    """Container in the chain that the signers may act on.

    Raises:
        Rejected: CONTAINER_UNKNOWN, CONTAINER_INACTIVE, ITEM_PACKED, NOT_HOLDER or ITEM_OFFERED.
    """
    found = container(context.store, container_id)
    if found is None:
        raise Rejected(CONTAINER_UNKNOWN, at=at)
    if found.state is not PackState.ACTIVE:
        raise Rejected(CONTAINER_INACTIVE, found.state.name.lower(), at=at)
    _require_free(context, found, at)
    return found


def _require_free(context: Context, item: Pack | Container, at: str) -> None:
    if item.is_packed:
        raise Rejected(ITEM_PACKED, at=at)
    if item.owner not in context.signers:
        raise Rejected(NOT_HOLDER, at=at)
    if item.offer and is_offer_open(context, item.offer):
        raise Rejected(ITEM_OFFERED, at=at)


def is_offer_open(context: Context, offer_id: bytes) -> bool:
    """Whether an offer is there and has not lapsed."""
    found = OFFERS.get(context.store, offer_id)
    return found is not None and context.time_ms < found.deadline_ms


def waiting_items(
    store: StateReader, offer_id: bytes, value: Offer
) -> tuple[dict[bytes, Pack], dict[bytes, Container]]:
    """Items that still wait for an offer; after it has lapsed, some may have gone another way."""
    packs = [value.packs[at : at + PACK_ID_BYTES] for at in range(0, len(value.packs), PACK_ID_BYTES)]
    held = [value.containers[at : at + DIGEST_BYTES] for at in range(0, len(value.containers), DIGEST_BYTES)]
    return (
        {item: found for item in packs if (found := pack(store, item)) and found.offer == offer_id},
        {item: each for item in held if (each := container(store, item)) and each.offer == offer_id},
    )


def require_usable(context: Context, pack_id: bytes, found: Pack, raw_terms: bytes, at: str) -> Terms:
    """Open a pack's lot commitment, and check that the pack may be used today.

    Raises:
        Rejected: OPENING_WRONG, LOT_RECALLED, LOT_WITHDRAWN or EXPIRED.
    """
    if compute_lot_commitment(raw_terms) != found.lot_commitment:
        raise Rejected(OPENING_WRONG, at=at)
    terms = unpack_terms(raw_terms)
    for each in lots_of(context.store, pack_id[:KEY_BYTES] + terms.lot_tag, found):
        said = lot(context.store, each)
        if said is not None and said.flags & LotFlags.RECALLED:
            raise Rejected(LOT_RECALLED, at=at)
        if said is not None and said.flags & LotFlags.WITHDRAWN:
            raise Rejected(LOT_WITHDRAWN, at=at)
    if context.time_ms // DAY_MS > terms.expires_on:
        raise Rejected(EXPIRED, at=at)
    return terms


def lots_of(store: StateReader, own_lot: bytes, found: Pack) -> list[bytes]:
    """The lot of a pack and all lots it descends from through repackaging: issuer key and lot tag each."""
    if not found.transformation:
        return [own_lot]
    made = TRANSFORMATIONS.get(store, found.transformation)
    if made is None:
        raise InvariantViolated("a pack's transformation is missing")
    return [own_lot, *(made.lots[at : at + PACK_ID_BYTES] for at in range(0, len(made.lots), PACK_ID_BYTES))]


# -- Writing ---------------------------------------------------------------------------------------------


def fresh_packs(store: StateReader, issuer: bytes, holder: bytes, tags: bytes, commitments: bytes) -> Pairs:
    """State pairs of those packs of a checked message that are not there yet.

    A pack that is there with the same commitment is left as it is: a message sent twice succeeds twice.

    Raises:
        Rejected: PACK_EXISTS, naming the position and never the tag.
    """
    # Runs for every pack there is: no call and no structure per pack but one read.
    get = store.get
    prefix = PACKS.prefix + issuer
    fresh: Pairs = []
    append = fresh.append
    for at in range(0, len(tags), TAG_BYTES):
        end = at + TAG_BYTES
        key = prefix + tags[at:end]
        raw = get(key)
        if raw is None:
            append((key, UNTOUCHED_HEAD + commitments[at:end] + holder))
        elif raw[3:35] != commitments[at:end]:
            raise Rejected(PACK_EXISTS, at=f"tags[{at // TAG_BYTES}]")
    return fresh


def packed_pairs(context: Context, container_id: bytes, packs: bytes, at: str) -> Pairs:
    """State pairs of loose packs once they are inside a container.

    Raises:
        Rejected: As `require_pack`.
    """
    get = context.store.get
    signers = context.signers
    prefix = PACKS.prefix
    pairs: Pairs = []
    for start in range(0, len(packs), PACK_ID_BYTES):
        pack_id = packs[start : start + PACK_ID_BYTES]
        key = prefix + pack_id
        raw = get(key)
        # Nearly every pack goes this way; whatever is unusual about one is found out in the other.
        if (
            raw is not None
            and len(raw) == UNTOUCHED_BYTES
            and raw[:3] == UNTOUCHED_HEAD
            and raw[35:] in signers
        ):
            pairs.append((key, PACKED_HEAD + raw[3:35] + container_id))
            continue
        where = f"{at}.packs[{start // PACK_ID_BYTES}]"
        found = require_pack(context, pack_id, (PackState.ACTIVE,), where)
        changed = msgspec.structs.replace(found, owner=container_id, is_packed=True, offer=b"")
        pairs.append((key, pack_pack(changed)))
    return pairs


def unpacked_pairs(store: StateReader, container_id: bytes, holder: bytes, packs: bytes) -> Pairs:
    """State pairs of packs once they are out of their container.

    Raises:
        Rejected: PACK_UNKNOWN or NOT_INSIDE.
    """
    pairs: Pairs = []
    for start in range(0, len(packs), PACK_ID_BYTES):
        pack_id = packs[start : start + PACK_ID_BYTES]
        at = f"packs[{start // PACK_ID_BYTES}]"
        found = pack(store, pack_id)
        if found is None:
            raise Rejected(PACK_UNKNOWN, at=at)
        if not found.is_packed or found.owner != container_id:
            raise Rejected(NOT_INSIDE, at=at)
        changed = msgspec.structs.replace(found, owner=holder, is_packed=False)
        pairs.append((PACKS.key(pack_id), pack_pack(changed)))
    return pairs


def require_inside(store: StateReader, container_id: bytes, child_id: bytes, at: str) -> Container:
    """Container that is directly inside another.

    Raises:
        Rejected: CONTAINER_UNKNOWN or NOT_INSIDE.
    """
    found = container(store, child_id)
    if found is None:
        raise Rejected(CONTAINER_UNKNOWN, at=at)
    if not found.is_packed or found.owner != container_id:
        raise Rejected(NOT_INSIDE, at=at)
    return found


def write_pairs(store: StateStore, pairs: Pairs) -> None:
    """Write pairs made by this module's other functions."""
    store.set_many(pairs)


def item_pairs(packs: dict[bytes, Pack], containers: dict[bytes, Container]) -> Pairs:
    """State pairs of items by their identifiers."""
    pairs = [(PACKS.key(pack_id), pack_pack(each)) for pack_id, each in packs.items()]
    pairs += [(CONTAINERS.key(item_id), pack_container(each)) for item_id, each in containers.items()]
    return pairs


def flag_lot(store: StateStore, lot_id: bytes, flag: int, time_ms: int) -> None:
    """Add a flag to a lot; flags are never removed."""
    said = lot(store, lot_id)
    write_lot(
        store, lot_id, Lot(flag, time_ms) if said is None else Lot(said.flags | flag, said.flagged_at_ms)
    )


def write_lot(store: StateStore, lot_id: bytes, value: Lot) -> None:
    """Write what was said about a lot."""
    LOTS.set(store, lot_id, pack_lot(value))


def write_offer(store: StateStore, offer_id: bytes, value: Offer) -> None:
    """Write an offer."""
    OFFERS.set(store, offer_id, value)
    OFFERS_DUE.add(store, (value.deadline_ms, offer_id))


def remove_offer(store: StateStore, offer_id: bytes, value: Offer) -> None:
    """Remove an offer; items that still name it are free."""
    OFFERS.delete(store, offer_id)
    OFFERS_DUE.delete(store, (value.deadline_ms, offer_id))


def remove_lapsed_offers(store: StateStore, now_ms: int) -> None:
    """Clear offers away that lapsed long enough ago, at most `LAPSED_PER_BLOCK_MAX`."""
    due: list[bytes] = []
    for key, _ in OFFERS_DUE.scan_raw(store):
        if int.from_bytes(key[:8], "big") + LAPSED_KEPT_MS > now_ms or len(due) == LAPSED_PER_BLOCK_MAX:
            break
        due.append(key)
    for key in due:
        offer_id = key[8 : 8 + DIGEST_BYTES]
        OFFERS.delete(store, offer_id)
        OFFERS_DUE.delete(store, (int.from_bytes(key[:8], "big"), offer_id))


def write_transformation(store: StateStore, transformation_id: bytes, value: Transformation) -> None:
    """Write a transformation."""
    TRANSFORMATIONS.set(store, transformation_id, value)
