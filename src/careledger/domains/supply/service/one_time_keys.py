"""One-time keys: with which a site holds packs, and with which it issues lots.

    seed of key n = HKDF-Expand(custody root, "careledger/one-time-key/1" | n)

The root comes from the keystore; only numbers and public keys are kept in the database, so losing the database loses no
key that is looked for again from number 0 on. A key is used for one handover or one lot, and given out once, durably
before anybody sees it: two partners that compare notes find no key in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from careledger.domains.supply.service.errors import KEY_UNKNOWN
from careledger.domains.supply.service.rows import fetch_all, fetch_one
from careledger.primitives.errors import Rejected
from careledger.primitives.signing import SEED_BYTES, public_key_of
from careledger.storage.sqlite import Database
from careledger.vault.derivation import derive

COMPONENT: Final = "supply.one_time_keys"
KEYS_AT_ONCE_MAX: Final = 1_000

MIGRATIONS: Final = (
    """
    CREATE TABLE one_time_key (
        number INTEGER PRIMARY KEY,
        public_key BLOB NOT NULL UNIQUE
    );
    """,
)
_LABEL = "careledger/one-time-key/1"


class OneTimeKeys:
    """The one-time keys of a site."""

    def __init__(self, database: Database, root: bytes) -> None:
        """Bring the table up to date.

        Args:
            database: the site's database.
            root: 32 uniformly random bytes, of this use alone.

        Raises:
            ValueError: The root has another length.
        """
        if len(root) != SEED_BYTES:
            raise ValueError("a custody root has 32 bytes")
        self._database = database
        self._root = root
        database.migrate(COMPONENT, MIGRATIONS)

    def new_keys(self, count: int = 1) -> tuple[bytes, ...]:
        """Give public keys that were never given before; when this returns, they are durably taken.

        Raises:
            ValueError: More than `KEYS_AT_ONCE_MAX` are asked for, or none.
        """
        if not 1 <= count <= KEYS_AT_ONCE_MAX:
            raise ValueError(f"1 to {KEYS_AT_ONCE_MAX} keys are given at once")
        with self._database.immediate() as connection:
            row = fetch_one(connection, "SELECT coalesce(max(number) + 1, 0) FROM one_time_key")
            first = 0 if row is None else int(row[0])
            keys = [(number, public_key_of(self._seed(number))) for number in range(first, first + count)]
            connection.executemany("INSERT INTO one_time_key VALUES (?, ?)", keys)
        return tuple(key for _, key in keys)

    def seed_of(self, public_key: bytes) -> bytes:
        """Seed that signs for one of the site's keys.

        Raises:
            Rejected: KEY_UNKNOWN, the key is not this site's.
        """
        with self._database.snapshot() as connection:
            row = fetch_one(connection, "SELECT number FROM one_time_key WHERE public_key = ?", (public_key,))
        if row is None:
            raise Rejected(KEY_UNKNOWN)
        return self._seed(int(row[0]))

    def own(self, public_keys: Sequence[bytes]) -> frozenset[bytes]:
        """Those of the keys that are this site's."""
        with self._database.snapshot() as connection:
            return frozenset(
                bytes(row[0])
                for key in public_keys
                for row in fetch_all(
                    connection, "SELECT public_key FROM one_time_key WHERE public_key = ?", (key,)
                )
            )

    def _seed(self, number: int) -> bytes:
        return derive(self._root, _LABEL, number.to_bytes(8, "big"))
