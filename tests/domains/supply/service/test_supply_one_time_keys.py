"""One-time keys are given once, found again, and say nothing about each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from careledger.domains.supply.service.errors import KEY_UNKNOWN
from careledger.domains.supply.service.one_time_keys import OneTimeKeys
from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of, sign, verify_signature
from careledger.storage.sqlite import Database

ROOT = bytes(range(32))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "keys.db", bytes(32), readers=1)
    yield opened
    opened.close()


def test_a_key_is_given_once(database: Database) -> None:
    keys = OneTimeKeys(database, ROOT)
    given = [*keys.new_keys(3), *keys.new_keys(), *OneTimeKeys(database, ROOT).new_keys(2)]
    assert len(set(given)) == 6
    assert not set(given) & set(OneTimeKeys(database, bytes(32)).new_keys(6))


def test_a_key_signs_after_a_restart(database: Database) -> None:
    (key,) = OneTimeKeys(database, ROOT).new_keys()
    seed = OneTimeKeys(database, ROOT).seed_of(key)
    assert public_key_of(seed) == key
    verify_signature(key, b"x", sign(seed, b"x"))


def test_keys_of_others_are_not_ours(database: Database) -> None:
    keys = OneTimeKeys(database, ROOT)
    (mine,) = keys.new_keys()
    assert keys.own([mine, bytes(32)]) == frozenset({mine})
    with pytest.raises(Rejected) as caught:
        keys.seed_of(bytes(32))
    assert caught.value.code == KEY_UNKNOWN


def test_the_root_alone_brings_all_keys_back(database: Database, tmp_path: Path) -> None:
    before = OneTimeKeys(database, ROOT).new_keys(5)
    other = Database(tmp_path / "fresh.db", bytes(32), readers=1)
    assert OneTimeKeys(other, ROOT).new_keys(5) == before
    other.close()


@pytest.mark.parametrize("count", [0, 1_001])
def test_bounds(database: Database, count: int) -> None:
    with pytest.raises(ValueError, match="at once"):
        OneTimeKeys(database, ROOT).new_keys(count)
    with pytest.raises(ValueError, match="32 bytes"):
        OneTimeKeys(database, b"")
