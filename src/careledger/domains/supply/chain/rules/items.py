"""Items as they stand packed in messages."""

from __future__ import annotations

from struct import Struct

from careledger.domains.supply.chain.messages import NEW_PACK_BYTES, OPENED_PACK_BYTES, cut
from careledger.domains.supply.chain.types import PACK_ID_BYTES, TAG_BYTES, Terms, unpack_terms

_AMOUNTS = Struct(">IIB")


def cut_opened(packed: bytes) -> list[tuple[bytes, bytes]]:
    """Cut checked items into (pack, its terms in fixed form)."""
    return [(raw[:PACK_ID_BYTES], raw[PACK_ID_BYTES:]) for raw in cut(packed, OPENED_PACK_BYTES)]


def cut_dispensing(raw: bytes) -> tuple[bytes, bytes, int, int, bool]:
    """Cut one item of `Dispense`: pack, terms, expected remaining, units, supplied."""
    expected, units, supplied = _AMOUNTS.unpack_from(raw, OPENED_PACK_BYTES)
    return raw[:PACK_ID_BYTES], raw[PACK_ID_BYTES:OPENED_PACK_BYTES], expected, units, bool(supplied)


def pack_dispensing(pack: bytes, terms: bytes, *, expected: int, units: int, supplied: bool) -> bytes:
    """Write one item of `Dispense`."""
    return pack + terms + _AMOUNTS.pack(expected, units, supplied)


def cut_outputs(packed: bytes) -> list[tuple[bytes, bytes, Terms]]:
    """Cut new packs of a checked `Repackage`: tag, terms in fixed form, terms."""
    return [
        (raw[:TAG_BYTES], raw[TAG_BYTES:], unpack_terms(raw[TAG_BYTES:]))
        for raw in cut(packed, NEW_PACK_BYTES)
    ]
