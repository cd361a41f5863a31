"""Secrets do not show, mix, or travel."""

import copy
import io
import json
import logging
import pickle

import msgspec
import pytest
from rich.console import Console
from rich.pretty import Pretty

from careledger.vault import keys
from careledger.vault.kem import PUBLIC_KEY_BYTES, OpeningKey, RecipientKey
from careledger.vault.keys import IndexKey, KEMSeed, RecordKey, SecretKey, SecretWire

CANARY = b"canary-secret-of-thirty-two-byte"
KINDS = [kind for kind in vars(keys).values() if isinstance(kind, type) and issubclass(kind, SecretKey)]


class Stored(SecretWire, frozen=True):
    name: str
    secret: bytes


def shown(thing: object) -> str:
    out = io.StringIO()
    Console(file=out, width=400).print(Pretty(thing), thing, [thing], {"k": thing})
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%s %r", (thing, thing), None)
    return " ".join(
        (repr(thing), str(thing), f"{thing}", f"{thing!r:>3}", out.getvalue(), record.getMessage())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_never_shown(kind: type[SecretKey]) -> None:
    text = shown(kind(CANARY))
    assert kind.__name__ in text
    for trace in ("canary", CANARY.hex(), CANARY.hex()[:8]):
        assert trace not in text


def test_a_stored_secret_structure_is_never_shown() -> None:
    text = shown(Stored("canary-name", CANARY))
    assert "Stored" in text
    assert "canary" not in text


def test_an_opening_key_is_never_shown() -> None:
    text = shown(OpeningKey(KEMSeed(CANARY)))
    assert "canary" not in text
    assert CANARY.hex()[:8] not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_neither_pickled_nor_copied_nor_encoded(kind: type[SecretKey]) -> None:
    secret = kind(CANARY)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, hash):
        with pytest.raises(TypeError):
            leave(secret)


def test_an_opening_key_is_neither_pickled_nor_copied() -> None:
    key = OpeningKey(KEMSeed.random())
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(key)


@pytest.mark.parametrize(
    "wrong", [b"", bytes(31), bytes(33), bytearray(32), memoryview(bytes(32)), "x" * 32, None]
)
def test_a_secret_has_one_size_and_type(wrong: object) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RecordKey(wrong)  # type: ignore[arg-type]


def test_equal_only_to_the_same_kind() -> None:
    assert RecordKey(CANARY) == RecordKey(CANARY)
    assert RecordKey(CANARY) != RecordKey(bytes(32))
    assert RecordKey(CANARY) != IndexKey(CANARY)
    assert RecordKey(CANARY) != CANARY


def test_random_keys_differ() -> None:
    assert len({RecordKey.random().reveal() for _ in range(100)}) == 100


def test_a_public_key_round_trips_and_is_named_by_its_digest() -> None:
    public = OpeningKey(KEMSeed(CANARY)).recipient
    assert len(public.raw) == PUBLIC_KEY_BYTES
    again = RecipientKey(public.raw)
    assert again == public
    assert hash(again) == hash(public)
    assert public != public.raw
    assert public.digest.hex()[:16] in repr(public)


@pytest.mark.parametrize("raw", [b"", bytes(PUBLIC_KEY_BYTES - 1), b"\xff" * PUBLIC_KEY_BYTES])
def test_what_is_no_public_key_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        RecipientKey(raw)
