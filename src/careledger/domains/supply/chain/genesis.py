"""Genesis of the supply module: everything of a state that moves to a new ledger.

The document is plain lists, dictionaries, numbers and bytes, and importing what was exported gives the same
keys and values. A new ledger starts with nothing. Stored forms travel as they are and are read before they are
taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from careledger.domains.supply.chain import keeper
from careledger.domains.supply.chain.errors import GENESIS_INVALID
from careledger.domains.supply.chain.types import (
    DIGEST_BYTES,
    PACK_ID_BYTES,
    Offer,
    Transformation,
    pack_container,
    pack_pack,
    unpack_container,
    unpack_pack,
)
from careledger.primitives.codec import CodecError, decode, encode
from careledger.sdk.context import StateStore, View
from careledger.sdk.errors import InvariantViolated, Rejected

_PLAIN_TYPES = (bytes,)
_TIME_MS_MAX = 2**63 - 1


class GenesisValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stored value of the document."""

    key: bytes
    value: bytes


class GenesisDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole module."""

    packs: tuple[GenesisValue, ...] = ()
    containers: tuple[GenesisValue, ...] = ()
    lots: tuple[GenesisValue, ...] = ()
    offers: tuple[GenesisValue, ...] = ()
    transformations: tuple[GenesisValue, ...] = ()


def genesis_document() -> dict[str, Any]:
    """Document of a new ledger: nothing."""
    return _plain(GenesisDocument())


def export_genesis(view: View) -> dict[str, Any]:
    """Document of the state as it stands."""

    def values(collection: keeper.Collection) -> tuple[GenesisValue, ...]:
        return tuple(GenesisValue(key=key, value=raw) for key, raw in collection.scan_raw(view.store))

    return _plain(
        GenesisDocument(
            packs=values(keeper.PACKS),
            containers=values(keeper.CONTAINERS),
            lots=values(keeper.LOTS),
            offers=values(keeper.OFFERS),
            transformations=values(keeper.TRANSFORMATIONS),
        )
    )


def import_genesis(store: StateStore, document: Any) -> None:
    """Write the state of a document into an empty store.

    Raises:
        msgspec.ValidationError: It is not such a document.
        Rejected: GENESIS_INVALID, naming the position.
    """
    read = msgspec.convert(document, GenesisDocument, builtin_types=_PLAIN_TYPES)
    parts: tuple[
        tuple[str, tuple[GenesisValue, ...], keeper.Collection, int, Callable[[bytes], bytes]], ...
    ] = (
        ("packs", read.packs, keeper.PACKS, PACK_ID_BYTES, lambda raw: pack_pack(unpack_pack(raw))),
        (
            "containers",
            read.containers,
            keeper.CONTAINERS,
            DIGEST_BYTES,
            lambda raw: pack_container(unpack_container(raw)),
        ),
        ("lots", read.lots, keeper.LOTS, PACK_ID_BYTES, lambda raw: keeper.pack_lot(keeper.unpack_lot(raw))),
        ("offers", read.offers, keeper.OFFERS, DIGEST_BYTES, lambda raw: encode(decode(raw, Offer))),
        (
            "transformations",
            read.transformations,
            keeper.TRANSFORMATIONS,
            DIGEST_BYTES,
            lambda raw: encode(decode(raw, Transformation)),
        ),
    )
    for name, values, collection, key_bytes, read_and_write in parts:
        for position, each in enumerate(values):
            try:
                is_whole = len(each.key) == key_bytes and read_and_write(each.value) == each.value
            except (InvariantViolated, CodecError):
                is_whole = False
            if not is_whole:
                raise Rejected(GENESIS_INVALID, at=f"{name}[{position}]")
        store.set_many([(collection.prefix + each.key, each.value) for each in values])
    for position, each in enumerate(read.offers):
        offer = decode(each.value, Offer)
        if not 0 <= offer.deadline_ms <= _TIME_MS_MAX:
            raise Rejected(GENESIS_INVALID, at=f"offers[{position}]")
        keeper.write_offer(store, each.key, offer)


def _plain(document: GenesisDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document, builtin_types=_PLAIN_TYPES)
    return plain
