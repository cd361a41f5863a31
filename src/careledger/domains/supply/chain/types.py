"""State values, enumerations and events of the supply module.

There is no text in any of them: one-time keys, tags, commitments, states, quantities and times. A pack's
stored form is short and starts alike for every pack, since there are billions of them.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from struct import error as struct_error

from careledger.primitives.codec import Wire
from careledger.primitives.hashing import labelled
from careledger.sdk.errors import InvariantViolated
from careledger.sdk.events import Event

KEY_BYTES = 32
TAG_BYTES = 32
DIGEST_BYTES = 32
PACK_ID_BYTES = KEY_BYTES + TAG_BYTES
"""issuer key 32 | pack tag 32."""

PACK_SCHEMA = 1
CONTAINER_SCHEMA = 1
LOT_SCHEMA = 1

LEVEL_MAX = 6
"""Levels below one another: a pack, a carton, a case, a pallet and so on."""
UNITS_MAX = 2**32 - 1
LINEAGE_LOTS_MAX = 64
OFFER_AHEAD_DAYS_MAX = 60

_OWNER_END = 3 + DIGEST_BYTES + KEY_BYTES
_USE_LAYOUT = Struct(">IIIQ")
_CONTAINER_LAYOUT = Struct(">BBBB32s32s32sI")
_TERMS_LAYOUT = Struct(">32sIBI32s")
NONE = bytes(DIGEST_BYTES)
"""Stands where there is no digest."""

TERMS_BYTES = _TERMS_LAYOUT.size


class PackState(IntEnum):
    """What has become of a pack; numbers are never reused. Where it is, its owner says."""

    ACTIVE = 1
    OPENED = 2
    """Dispensed in part."""
    DISPENSED = 3
    """Decommissioned for supply, not yet in the hands of the public."""
    SUPPLIED = 4
    EXPORTED = 5
    SAMPLED = 6
    DESTROYED = 7
    STOLEN = 8
    DECOMMISSIONED = 9
    RETURNED = 10
    """Taken back, and out of use until it is verified and restocked."""
    REPACKAGED = 11
    """Its contents went into other packs."""


LEAVING = (
    PackState.EXPORTED,
    PackState.SAMPLED,
    PackState.DESTROYED,
    PackState.STOLEN,
    PackState.DECOMMISSIONED,
)
"""Reasons of `Decommission`."""


class Market(IntEnum):
    """Whose rules a pack is dispensed under; numbers are never reused."""

    US = 1
    EU = 2


class LotFlags(IntFlag):
    """What was said about a lot; nothing is ever taken back."""

    RECALLED = 1
    WITHDRAWN = 2


class Terms(Wire, frozen=True):
    """What a pack's lot commitment hides until the pack is used."""

    lot_tag: bytes
    """32 bytes."""
    expires_on: int
    """Last day of use, days since 1970-01-01 (UTC)."""
    market: int
    """A `Market`."""
    units: int
    """Units in the full pack, at least 1."""
    salt: bytes
    """32 bytes, of this pack alone."""


class PackUse(Wire, frozen=True):
    """What was last done to a pack, for partial dispensing and for undoing it."""

    units: int
    """Units in the full pack; 0 while that was never disclosed."""
    remaining: int
    """Units left."""
    last_units: int
    """Units of the last dispensing while it can be undone, else 0."""
    changed_at_ms: int
    """Block time of the last change."""


class Pack(Wire, frozen=True):
    """A pack."""

    state: PackState
    lot_commitment: bytes
    """Salted digest of its `Terms`."""
    owner: bytes
    """The one-time key that holds it, or the container it is in."""
    is_packed: bool
    """Whether `owner` is a container."""
    offer: bytes
    """The last offer it was put in and that was neither accepted nor cancelled, or empty."""
    use: PackUse | None
    """Nothing while the pack is untouched."""
    transformation: bytes
    """The transformation it came from, or empty."""


class Container(Wire, frozen=True):
    """A container with all that is in it."""

    state: PackState
    """`ACTIVE`, or one of the reasons for leaving, which then holds for all that is inside."""
    level: int
    """1 to 6; it holds packs, and containers of lower levels."""
    owner: bytes
    """The one-time key that holds it, or the container it is in."""
    is_packed: bool
    """Whether `owner` is a container."""
    seal: bytes
    """Commitment to its seal; zeros once it was opened."""
    offer: bytes
    """As for a pack."""
    children: int
    """Packs and containers directly inside."""


class Offer(Wire, frozen=True):
    """A handover that waits for its receiver."""

    from_key: bytes
    """Holds the items."""
    to_key: bytes
    """Will hold them."""
    deadline_ms: int
    """Block time from which it has lapsed."""
    is_return: bool
    """Whether the packs go back for verification before they may be used again."""
    packs: bytes
    """64 bytes each, ascending."""
    containers: bytes
    """32 bytes each, ascending."""


class Transformation(Wire, frozen=True):
    """Packs that became other packs."""

    inputs: bytes
    """64 bytes each."""
    outputs: bytes
    """64 bytes each."""
    lots: bytes
    """(issuer key, lot tag) of everything that went in, ever: 64 bytes each, ascending."""
    waste_units: int
    """Units that went into no new pack."""
    made_at_ms: int
    """Block time."""


class Lot(Wire, frozen=True):
    """What was said about a lot."""

    flags: int
    """Sum of `LotFlags`."""
    flagged_at_ms: int
    """Block time of the first flag."""


def compute_lot_commitment(terms: bytes) -> bytes:
    """Commitment to a pack's packed terms."""
    return labelled("careledger/pack-terms/1", terms)


def compute_container_id(creator: bytes, tag: bytes) -> bytes:
    """Identifier of a container: nobody but the holder of the creator's key can claim it first."""
    return labelled("careledger/container/1", creator, tag)


def compute_offer_id(from_key: bytes, to_key: bytes, deadline_ms: int) -> bytes:
    """Identifier of an offer."""
    return labelled("careledger/offer/1", from_key, to_key, deadline_ms.to_bytes(8, "big"))


def compute_transformation_id(inputs: bytes, outputs: bytes) -> bytes:
    """Identifier of a transformation."""
    return labelled("careledger/transformation/1", inputs, outputs)


def pack_terms(terms: Terms) -> bytes:
    """Fixed form of terms, big-endian, 73 bytes: lot tag 32 | expires on 4 | market 1 | units 4 | salt 32."""
    return _TERMS_LAYOUT.pack(terms.lot_tag, terms.expires_on, terms.market, terms.units, terms.salt)


def unpack_terms(raw: bytes) -> Terms:
    """Read `TERMS_BYTES` bytes; any bytes are some terms."""
    return Terms(*_TERMS_LAYOUT.unpack(raw))


_PACKED, _OFFERED, _USED, _TRANSFORMED = 1, 2, 4, 8
UNTOUCHED_HEAD = bytes((PACK_SCHEMA, PackState.ACTIVE, 0))
"""Start of the stored form of an active, loose, unoffered, unused pack as it was commissioned."""
PACKED_HEAD = bytes((PACK_SCHEMA, PackState.ACTIVE, _PACKED))
"""Start of the stored form of the same pack inside a container."""
UNTOUCHED_BYTES = _OWNER_END


def pack_pack(pack: Pack) -> bytes:
    """Stored form of a pack, big-endian: 67 bytes, and more only once something was done to it.

    Schema 1 | state 1 | flags 1 | lot commitment 32 | owner 32, then as the flags say: offer 32 | units 4,
    remaining 4, last units 4, changed at 8 | transformation 32.
    """
    flags = (
        (_PACKED if pack.is_packed else 0)
        | (_OFFERED if pack.offer else 0)
        | (_USED if pack.use is not None else 0)
        | (_TRANSFORMED if pack.transformation else 0)
    )
    use = pack.use
    return b"".join(
        (
            bytes((PACK_SCHEMA, pack.state, flags)),
            pack.lot_commitment,
            pack.owner,
            pack.offer,
            b""
            if use is None
            else _USE_LAYOUT.pack(use.units, use.remaining, use.last_units, use.changed_at_ms),
            pack.transformation,
        )
    )


def unpack_pack(raw: bytes) -> Pack:
    """Read what `pack_pack` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    try:
        schema, state, flags = raw[:3]
        at = _OWNER_END
        offer = use = transformation = None
        if flags & _OFFERED:
            offer, at = raw[at : at + DIGEST_BYTES], at + DIGEST_BYTES
        if flags & _USED:
            use, at = PackUse(*_USE_LAYOUT.unpack_from(raw, at)), at + _USE_LAYOUT.size
        if flags & _TRANSFORMED:
            transformation, at = raw[at : at + DIGEST_BYTES], at + DIGEST_BYTES
        if schema != PACK_SCHEMA or flags >= 2 * _TRANSFORMED or len(raw) != at:
            raise InvariantViolated("a pack of supply cannot be read")
        return Pack(
            PackState(state),
            raw[3:35],
            raw[35:_OWNER_END],
            bool(flags & _PACKED),
            offer or b"",
            use,
            transformation or b"",
        )
    except (ValueError, struct_error) as error:
        raise InvariantViolated("a pack of supply cannot be read") from error


def pack_container(container: Container) -> bytes:
    """Stored form of a container, big-endian, always 104 bytes.

    Schema 1 | state 1 | level 1 | is packed 1 | owner 32 | seal 32 | offer 32 | children 4.
    """
    return _CONTAINER_LAYOUT.pack(
        CONTAINER_SCHEMA,
        container.state,
        container.level,
        container.is_packed,
        container.owner,
        container.seal,
        container.offer or NONE,
        container.children,
    )


def unpack_container(raw: bytes) -> Container:
    """Read what `pack_container` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    if len(raw) != _CONTAINER_LAYOUT.size or raw[0] != CONTAINER_SCHEMA:
        raise InvariantViolated("a container of supply cannot be read")
    _, state, level, is_packed, owner, seal, offer, children = _CONTAINER_LAYOUT.unpack(raw)
    return Container(
        PackState(state), level, owner, bool(is_packed), seal, b"" if offer == NONE else offer, children
    )


class PacksCommissioned(Event, frozen=True):
    """Packs came into being."""

    issuer: bytes
    count: int
    """Packs that are new; those already there are not counted."""


class ContainersCreated(Event, frozen=True):
    """Empty containers came into being."""

    containers: bytes
    """32 bytes each."""


class ItemsPacked(Event, frozen=True):
    """Items went into containers."""

    containers: bytes
    """32 bytes each."""
    count: int


class ItemsUnpacked(Event, frozen=True):
    """Items came out of a container."""

    container: bytes
    count: int


class Offered(Event, frozen=True):
    """A handover waits for its receiver."""

    offer: bytes
    to_key: bytes
    deadline_ms: int


class OfferAccepted(Event, frozen=True):
    """Items have a new holder."""

    offer: bytes


class OfferCancelled(Event, frozen=True):
    """Items stay with their holder."""

    offer: bytes


class PacksChanged(Event, frozen=True):
    """Packs are in another state or hold another quantity."""

    action: str
    """Name of the message."""
    packs: bytes
    """64 bytes each."""


class ContainersLeft(Event, frozen=True):
    """Containers left the chain with all that is in them."""

    reason: int
    containers: bytes
    """32 bytes each."""


class LotsFlagged(Event, frozen=True):
    """Lots are recalled or withdrawn."""

    issuer: bytes
    flag: int
    lots: bytes
    """32 bytes each."""


class PacksRepackaged(Event, frozen=True):
    """Packs became other packs."""

    transformation: bytes
