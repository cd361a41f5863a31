"""Wrapped keys open under exactly what they were bound to."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.primitives.identifiers import CellID, ChainID, Commitment
from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import CompartmentKey, IndexKey, KEMSeed, RecordKey
from careledger.vault.wrapping import (
    GRANTED_KEY_BYTES,
    WRAPPED_RECORD_KEY_BYTES,
    GrantInfo,
    WrapContext,
    grant_key,
    open_granted_key,
    unwrap_record_key,
    wrap_record_key,
)

LEAF = Commitment(b"\x07" * 32)
COMPARTMENT_KEY = CompartmentKey(bytes(range(32)))
RECORD_KEY = RecordKey(bytes(range(1, 33)))
CONTEXT = WrapContext(b"record-0001", 1, "normal", 0, LEAF)
RECIPIENT = OpeningKey(KEMSeed(bytes(range(2, 34))))
INFO = GrantInfo(
    ChainID("care-1"), CellID(b"\x01" * 32), "normal", "TREAT", 3, 1_800_000_000_000, b"\x02" * 32
)
GRANTED = grant_key(COMPARTMENT_KEY, RECIPIENT.recipient, INFO)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(
    st.binary(min_size=1, max_size=64),
    st.integers(0, 2**32 - 1),
    st.text(min_size=1, max_size=16),
    st.integers(0, 2**32 - 1),
)
def test_record_key_round_trip(record: bytes, version: int, compartment: str, epoch: int) -> None:
    context = WrapContext(record, version, compartment, epoch, LEAF)
    wrapped = wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, context)
    assert len(wrapped) == WRAPPED_RECORD_KEY_BYTES
    assert unwrap_record_key(wrapped, COMPARTMENT_KEY, context) == RECORD_KEY


@pytest.mark.parametrize(
    "other",
    [
        {"record": b"record-0002"},
        {"record": b"record-0001n", "compartment": "ormal"},
        {"version": 2},
        {"compartment": "hiv"},
        {"epoch": 1},
        {"version": 0, "epoch": 1},
        {"leaf": b"\x08" * 32},
    ],
)
def test_record_key_does_not_unwrap_in_another_context(other: dict[str, object]) -> None:
    wrapped = wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, CONTEXT)
    with pytest.raises(WrapBroken):
        unwrap_record_key(wrapped, COMPARTMENT_KEY, msgspec.structs.replace(CONTEXT, **other))


def test_record_key_does_not_unwrap_under_another_key() -> None:
    wrapped = wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, CONTEXT)
    with pytest.raises(WrapBroken):
        unwrap_record_key(wrapped, CompartmentKey.random(), CONTEXT)


def test_every_flipped_bit_of_a_wrapped_record_key_is_noticed() -> None:
    wrapped = wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, CONTEXT)
    for bit in range(len(wrapped) * 8):
        with pytest.raises(WrapBroken):
            unwrap_record_key(flipped(wrapped, bit), COMPARTMENT_KEY, CONTEXT)


@pytest.mark.parametrize("size", [0, 1, 12, 13, 60, 62])
def test_a_wrapped_record_key_has_one_size(size: int) -> None:
    wrapped = wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, CONTEXT) + b"\x00"
    with pytest.raises(WrapBroken):
        unwrap_record_key(wrapped[:size], COMPARTMENT_KEY, CONTEXT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"record": b""},
        {"record": bytes(65)},
        {"compartment": ""},
        {"compartment": "é" * 33},
        {"version": -1},
        {"version": 2**32},
        {"epoch": -1},
        {"epoch": 2**32},
        {"leaf": bytes(31)},
    ],
)
def test_contexts_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="are 1 to 64|is not 32|are 0 to"):
        wrap_record_key(RECORD_KEY, COMPARTMENT_KEY, msgspec.structs.replace(CONTEXT, **wrong))


@pytest.mark.parametrize("key", [CompartmentKey.random(), IndexKey.random(), RecordKey.random()])
def test_granted_key_round_trip(key: CompartmentKey | IndexKey | RecordKey) -> None:
    granted = grant_key(key, RECIPIENT.recipient, INFO)
    assert len(granted) == GRANTED_KEY_BYTES
    assert open_granted_key(granted, RECIPIENT, INFO, type(key)) == key


@pytest.mark.parametrize(
    "other",
    [
        {"chain": "care-2"},
        {"cell": b"\x03" * 32},
        {"subject": "hiv"},
        {"purpose": "HPAYMT"},
        {"subject": "normalT", "purpose": "REAT"},
        {"epoch": 4},
        {"expires_at_ms": 1_800_000_000_001},
        {"expires_at_ms": 0},
        {"policy_hash": b"\x04" * 32},
    ],
)
def test_granted_key_does_not_open_under_another_info(other: dict[str, object]) -> None:
    with pytest.raises(WrapBroken):
        open_granted_key(GRANTED, RECIPIENT, msgspec.structs.replace(INFO, **other), CompartmentKey)


def test_granted_key_opens_only_for_its_recipient() -> None:
    with pytest.raises(WrapBroken):
        open_granted_key(GRANTED, OpeningKey(KEMSeed.random()), INFO, CompartmentKey)


def test_granted_key_of_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(WrapBroken):
        open_granted_key(GRANTED, RECIPIENT, INFO, IndexKey)
    relabelled = GRANTED[:1] + b"\x02" + GRANTED[2:]
    with pytest.raises(WrapBroken):
        open_granted_key(relabelled, RECIPIENT, INFO, IndexKey)


def test_flipped_bits_of_a_granted_key_are_noticed_at_every_byte() -> None:
    for place in range(len(GRANTED)):
        with pytest.raises(WrapBroken):
            open_granted_key(flipped(GRANTED, place * 8 + place % 8), RECIPIENT, INFO, CompartmentKey)


@pytest.mark.parametrize("size", [0, 1, 2, 1121, 1122, 1169, 1171])
def test_a_granted_key_has_one_size(size: int) -> None:
    with pytest.raises(WrapBroken):
        open_granted_key((GRANTED + b"\x00")[:size], RECIPIENT, INFO, CompartmentKey)


def test_a_low_order_share_is_refused_on_both_sides() -> None:
    with pytest.raises(WrapBroken):
        open_granted_key(GRANTED[:1090] + bytes(32) + GRANTED[1122:], RECIPIENT, INFO, CompartmentKey)
    hostile = RecipientKey(RECIPIENT.recipient.raw[:1184] + bytes(32))
    with pytest.raises(ValueError, match="shared key"):
        grant_key(COMPARTMENT_KEY, hostile, INFO)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chain": "X"},
        {"cell": bytes(31)},
        {"policy_hash": b""},
        {"subject": ""},
        {"subject": "x" * 65},
        {"purpose": ""},
        {"purpose": "x" * 65},
        {"epoch": -1},
        {"epoch": 2**32},
        {"expires_at_ms": -1},
        {"expires_at_ms": 2**63},
    ],
)
def test_infos_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    info = msgspec.structs.replace(INFO, **wrong)
    with pytest.raises(ValueError, match="is not the name|are 32|are 1 to 64|out of range"):
        grant_key(COMPARTMENT_KEY, RECIPIENT.recipient, info)
    with pytest.raises(ValueError, match="is not the name|are 32|are 1 to 64|out of range"):
        open_granted_key(GRANTED, RECIPIENT, info, CompartmentKey)
