"""Read-only questions to the supply module at a height.

Each names one item: there is no way to list packs of an issuer or items of a key, since a list would help to
follow goods. What is inside a container is told by whoever packed it, off the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from careledger.domains.supply.chain import keeper
from careledger.domains.supply.chain.errors import (
    CONTAINER_UNKNOWN,
    LOT_UNKNOWN,
    OFFER_UNKNOWN,
    PACK_UNKNOWN,
    QUERY_INVALID,
    TRANSFORMATION_UNKNOWN,
)
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    PACK_ID_BYTES,
    Container,
    Lot,
    Offer,
    Pack,
    Transformation,
)
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.sdk.context import StateReader, View
from careledger.sdk.errors import Code, Rejected
from careledger.sdk.module import Query

T = TypeVar("T")


class ItemRequest(Wire, frozen=True):
    """Request of every query: one item."""

    item: bytes
    """64 bytes for a pack or a lot (issuer key | tag), 32 for a container, an offer, a transformation."""


def pack(view: View, request: bytes) -> Pack:
    """One pack."""
    return _find(view, request, PACK_ID_BYTES, keeper.pack, PACK_UNKNOWN)


def container(view: View, request: bytes) -> Container:
    """One container."""
    return _find(view, request, DIGEST_BYTES, keeper.container, CONTAINER_UNKNOWN)


def lot(view: View, request: bytes) -> Lot:
    """What was said about one lot; LOT_UNKNOWN where nothing was."""
    return _find(view, request, PACK_ID_BYTES, keeper.lot, LOT_UNKNOWN)


def offer(view: View, request: bytes) -> Offer:
    """One open or lately lapsed offer."""
    return _find(view, request, DIGEST_BYTES, keeper.offer, OFFER_UNKNOWN)


def transformation(view: View, request: bytes) -> Transformation:
    """One repackaging."""
    return _find(view, request, DIGEST_BYTES, keeper.transformation, TRANSFORMATION_UNKNOWN)


def _find(
    view: View,
    request: bytes,
    size_bytes: int,
    read: Callable[[StateReader, bytes], T | None],
    unknown: Code,
) -> T:
    try:
        item = decode(request, ItemRequest).item
    except CodecError:
        raise Rejected(QUERY_INVALID) from None
    if len(item) != size_bytes:
        raise Rejected(QUERY_INVALID)
    found = read(view.store, item)
    if found is None:
        raise Rejected(unknown)
    return found


QUERIES: Mapping[str, Query] = {
    "pack": pack,
    "container": container,
    "lot": lot,
    "offer": offer,
    "transformation": transformation,
}
