"""Signed requests of the supply module.

Custody is held by one-time keys, and they alone sign: no message names an organisation, and no member's key
stands beside the one-time key, since that would tell all members who holds what. Whether a member may submit,
and how much, is decided at its own gateway (and by the transaction's `permit`), never here.

Items stand in packed bytes: a message carries thousands of them, applied all or none.
"""

from __future__ import annotations

from operator import ge

from careledger.domains.supply.chain.errors import (
    BATCH_SIZE,
    BATCH_UNEVEN,
    FIELD_LENGTH,
    ITEM_TWICE,
    ITEMS_NOT_ASCENDING,
    QUANTITY,
    REASON_UNKNOWN,
)
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    KEY_BYTES,
    LEAVING,
    PACK_ID_BYTES,
    TAG_BYTES,
    TERMS_BYTES,
    UNITS_MAX,
)
from careledger.primitives.codec import Wire
from careledger.sdk.errors import Rejected
from careledger.sdk.messages import Message

ITEMS_MAX = 4_096
"""Items of one message."""
OFFER_ITEMS_MAX = 1_024
"""Items of one handover; a container is one, whatever it holds."""
GROUPS_MAX = 256

NEW_CONTAINER_BYTES = TAG_BYTES + 1 + DIGEST_BYTES
"""tag 32 | level 1 | seal commitment 32."""
OPENED_PACK_BYTES = PACK_ID_BYTES + TERMS_BYTES
"""pack 64 | terms 73."""
NEW_PACK_BYTES = TAG_BYTES + TERMS_BYTES
"""tag 32 | terms 73."""
DISPENSING_BYTES = OPENED_PACK_BYTES + 9
"""pack 64 | terms 73 | expected remaining 4 | units 4 | supplied 1."""


class CommissionPacks(Message, frozen=True):
    """Bring packs into being. Signed by the issuer key and by the key that will hold them."""

    issuer: bytes
    """One-time key of a lot, certified off the ledger by the owner of the GTIN; 32 bytes."""
    holder: bytes
    """First holder, 32 bytes; may be the issuer key."""
    tags: bytes
    """32 bytes each, strictly ascending."""
    lot_commitments: bytes
    """One of 32 bytes for each tag, in the tags' order."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_length(self.issuer, KEY_BYTES, "issuer")
        _check_length(self.holder, KEY_BYTES, "holder")
        _check_items(self.tags, TAG_BYTES, TAG_BYTES)
        if len(self.lot_commitments) != len(self.tags):
            raise Rejected(BATCH_UNEVEN)

    def operations(self) -> int:
        """One for each pack."""
        return len(self.tags) // TAG_BYTES


class CreateContainers(Message, frozen=True):
    """Create empty containers. Signed by the creator, who holds them."""

    creator: bytes
    """One-time key, 32 bytes."""
    containers: bytes
    """tag 32 | level 1 | seal commitment 32 each, tags strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_length(self.creator, KEY_BYTES, "creator")
        _check_items(self.containers, NEW_CONTAINER_BYTES, TAG_BYTES)

    def operations(self) -> int:
        """One for each container."""
        return len(self.containers) // NEW_CONTAINER_BYTES


class Group(Wire, frozen=True):
    """What goes into one container."""

    container: bytes
    """32 bytes."""
    seal: bytes
    """Commitment to its seal once it is closed, 32 bytes."""
    packs: bytes
    """64 bytes each, strictly ascending."""
    containers: bytes
    """32 bytes each, strictly ascending."""


class PackInto(Message, frozen=True):
    """Put packs and containers into containers, in order: inner ones first. Signed by all holders concerned."""

    groups: tuple[Group, ...]

    def check(self) -> None:
        """Check sizes and order, and that nothing is put into two containers."""
        count = len(self.groups)
        if not 1 <= count <= GROUPS_MAX or self.operations() - count > ITEMS_MAX:
            raise Rejected(BATCH_SIZE)
        named: list[bytes] = []
        for position, group in enumerate(self.groups):
            at = f"groups[{position}]"
            _check_length(group.container, DIGEST_BYTES, f"{at}.container")
            _check_length(group.seal, DIGEST_BYTES, f"{at}.seal")
            _check_both(group.packs, group.containers, ITEMS_MAX, at)
            named += cut(group.packs, PACK_ID_BYTES)
            named += cut(group.containers, DIGEST_BYTES)
        if len(set(named)) != len(named):
            raise Rejected(ITEM_TWICE)

    def operations(self) -> int:
        """One for each container filled and each item put into one."""
        return sum(1 + count_items(group.packs, group.containers) for group in self.groups)


class Unpack(Message, frozen=True):
    """Take items out of a container. Signed by the container's holder, who holds them from then on."""

    container: bytes
    """32 bytes."""
    packs: bytes
    """64 bytes each, strictly ascending."""
    containers: bytes
    """32 bytes each, strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_length(self.container, DIGEST_BYTES, "container")
        _check_both(self.packs, self.containers, ITEMS_MAX, "")

    def operations(self) -> int:
        """One for each item."""
        return count_items(self.packs, self.containers)


class OfferItems(Message, frozen=True):
    """Offer items to another key; nothing changes hands until it accepts. Signed by the holder."""

    from_key: bytes
    """Holds every one of them, 32 bytes."""
    to_key: bytes
    """One-time key that the receiver gave for this handover, 32 bytes."""
    deadline_ms: int
    """Block time at which the offer lapses, at most 60 days ahead."""
    is_return: bool
    """Whether packs go back; they cannot be used again until they are verified and restocked."""
    packs: bytes
    """64 bytes each, strictly ascending."""
    containers: bytes
    """32 bytes each, strictly ascending; none in a return, where each pack is looked at."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_length(self.from_key, KEY_BYTES, "from_key")
        _check_length(self.to_key, KEY_BYTES, "to_key")
        _check_both(self.packs, self.containers, OFFER_ITEMS_MAX, "")
        if self.is_return and self.containers:
            raise Rejected(BATCH_SIZE, at="containers")

    def operations(self) -> int:
        """One for each item named; what is inside a container moves with it."""
        return count_items(self.packs, self.containers)


class AcceptOffer(Message, frozen=True):
    """Take over what was offered, all or none. Signed by the receiver's key."""

    offer: bytes
    """32 bytes."""
    items: int
    """How many items the receiver finds named in it."""

    def check(self) -> None:
        """Check length and number."""
        _check_offer(self.offer, self.items)

    def operations(self) -> int:
        """One for each item."""
        return self.items


class CancelOffer(Message, frozen=True):
    """Take an offer back, or refuse it. Signed by the sender's or the receiver's key."""

    offer: bytes
    """32 bytes."""
    items: int
    """How many items are named in it."""

    def check(self) -> None:
        """Check length and number."""
        _check_offer(self.offer, self.items)

    def operations(self) -> int:
        """One for each item."""
        return self.items


class Dispense(Message, frozen=True):
    """Use packs up, wholly or in part, if they still hold what the sender expects. Signed by the holder."""

    packs: bytes
    """pack 64 | terms 73 | expected remaining 4 | units 4 | supplied 1 each; packs strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_items(self.packs, DISPENSING_BYTES, PACK_ID_BYTES)
        for position, raw in enumerate(cut(self.packs, DISPENSING_BYTES)):
            if raw[-1] > 1:
                raise Rejected(FIELD_LENGTH, at=f"packs[{position}].supplied")

    def operations(self) -> int:
        """One for each pack."""
        return len(self.packs) // DISPENSING_BYTES


class MarkSupplied(Message, frozen=True):
    """Say that what was dispensed is in the hands of the public, for good. Signed by the holder."""

    packs: bytes
    """64 bytes each, strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_items(self.packs, PACK_ID_BYTES, PACK_ID_BYTES)

    def operations(self) -> int:
        """One for each pack."""
        return len(self.packs) // PACK_ID_BYTES


class _OpenedPacks(Message, frozen=True):
    """Packs with what their commitments hide."""

    packs: bytes
    """pack 64 | terms 73 each; packs strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_items(self.packs, OPENED_PACK_BYTES, PACK_ID_BYTES)

    def operations(self) -> int:
        """One for each pack."""
        return len(self.packs) // OPENED_PACK_BYTES


class Undo(_OpenedPacks, frozen=True):
    """Undo what was last done to packs, as far as their market allows. Signed by the holder."""


class Restock(_OpenedPacks, frozen=True):
    """Put returned packs, verified one by one, back into stock. Signed by the holder."""


class _FlaggedLots(Message, frozen=True):
    """Lots about which something is said."""

    issuer: bytes
    """32 bytes."""
    lots: bytes
    """Lot tags, 32 bytes each, strictly ascending."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_length(self.issuer, KEY_BYTES, "issuer")
        _check_items(self.lots, TAG_BYTES, TAG_BYTES)

    def operations(self) -> int:
        """One for each lot, whatever its size."""
        return len(self.lots) // TAG_BYTES


class RecallLots(_FlaggedLots, frozen=True):
    """Recall lots: no pack of them is ever dispensed again, wherever it is. Signed by the issuer key."""


class WithdrawLots(_FlaggedLots, frozen=True):
    """Withdraw lots from the market, for good. Signed by the issuer key."""


class Decommission(Message, frozen=True):
    """Take packs, and containers with all they hold, out of the chain. Signed by the holder."""

    reason: int
    """One of the states in `LEAVING`."""
    packs: bytes
    """64 bytes each, strictly ascending."""
    containers: bytes
    """32 bytes each, strictly ascending."""

    def check(self) -> None:
        """Check reason, sizes and order."""
        if self.reason not in LEAVING:
            raise Rejected(REASON_UNKNOWN)
        _check_both(self.packs, self.containers, ITEMS_MAX, "")

    def operations(self) -> int:
        """One for each item named."""
        return count_items(self.packs, self.containers)


class Repackage(Message, frozen=True):
    """Turn packs into other packs. Signed by the holder of the old ones, by issuer and holder of the new ones."""

    inputs: bytes
    """pack 64 | terms 73 each; packs strictly ascending. They are retired."""
    issuer: bytes
    """One-time issuer key of the new packs, 32 bytes."""
    holder: bytes
    """First holder of the new packs, 32 bytes."""
    outputs: bytes
    """tag 32 | terms 73 each, tags strictly ascending."""
    waste_units: int
    """Units that go into no new pack: 0 to 2^32-1."""

    def check(self) -> None:
        """Check sizes, order and that no new pack is empty."""
        _check_items(self.inputs, OPENED_PACK_BYTES, PACK_ID_BYTES)
        _check_length(self.issuer, KEY_BYTES, "issuer")
        _check_length(self.holder, KEY_BYTES, "holder")
        _check_items(self.outputs, NEW_PACK_BYTES, TAG_BYTES)
        if self.operations() > ITEMS_MAX:
            raise Rejected(BATCH_SIZE)
        if not 0 <= self.waste_units <= UNITS_MAX:
            raise Rejected(QUANTITY, at="waste_units")

    def operations(self) -> int:
        """One for each pack, old or new."""
        return len(self.inputs) // OPENED_PACK_BYTES + len(self.outputs) // NEW_PACK_BYTES


def cut(packed: bytes, size_bytes: int) -> list[bytes]:
    """Cut packed bytes into parts of one size."""
    return [packed[at : at + size_bytes] for at in range(0, len(packed), size_bytes)]


def _check_length(value: bytes, length_bytes: int, at: str) -> None:
    if len(value) != length_bytes:
        raise Rejected(FIELD_LENGTH, at=at)


def _check_items(packed: bytes, size_bytes: int, key_bytes: int) -> None:
    count, rest = divmod(len(packed), size_bytes)
    if rest or not 1 <= count <= ITEMS_MAX:
        raise Rejected(BATCH_SIZE)
    keys = [packed[at : at + key_bytes] for at in range(0, len(packed), size_bytes)]
    if any(map(ge, keys, keys[1:])):
        raise Rejected(ITEMS_NOT_ASCENDING)


def _check_both(packs: bytes, containers: bytes, items_max: int, at: str) -> None:
    if not 1 <= count_items(packs, containers) <= items_max:
        raise Rejected(BATCH_SIZE, at=at)
    if packs:
        _check_items(packs, PACK_ID_BYTES, PACK_ID_BYTES)
    if containers:
        _check_items(containers, DIGEST_BYTES, DIGEST_BYTES)


def _check_offer(offer: bytes, items: int) -> None:
    _check_length(offer, DIGEST_BYTES, "offer")
    if not 1 <= items <= OFFER_ITEMS_MAX:
        raise Rejected(BATCH_SIZE)


def count_items(packs: bytes, containers: bytes) -> int:
    """How many items are named."""
    return len(packs) // PACK_ID_BYTES + len(containers) // DIGEST_BYTES
