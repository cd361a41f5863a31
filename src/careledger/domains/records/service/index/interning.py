"""Interning: one number per distinct token, text and resource, given out by the writer.

Owns the caches that spare a look-up for what was seen before, and the rows of `idx_token`, `idx_text` and of stubs
that a batch adds. Numbers are exact, not hashes: two values never share one.

A cached number is only right while the transaction that gave it out was kept. `Interner.begin` is told whether
the last one was, and forgets everything if not.
"""

from __future__ import annotations

from typing import Final, cast

from careledger.domains.records.service.index.schema import SYSTEMS
from careledger.storage.sqlite import Connection

CACHED_MAX: Final = 100_000
"""Entries per cache; a full cache is emptied, which costs one look-up per value still in use."""

_FIND_TOKEN: Final = "SELECT id FROM idx_token WHERE code = ? AND system = ? AND text = ?"  # noqa: S105 - a statement
_FIND_TEXT: Final = "SELECT id FROM idx_text WHERE param = ? AND folded = ? AND exact = ?"
_FIND_ENTITY: Final = "SELECT entity FROM idx_resource WHERE type = ? AND id = ? AND ended = 0"


class Interner:
    """Gives out numbers during one batch; keeps what it learned for the next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tokens: dict[tuple[str, str, str], int] = {}
        self._texts: dict[tuple[int, str, str], int] = {}
        self._entities: dict[tuple[int, str], int] = {}
        self.several: set[int] = set()
        """Date parameters already noted in `idx_several`."""
        self.row = 0
        """Last row number given."""
        self.token = 0
        """Last token id given."""
        self.text = 0
        """Last text id given."""
        self.new_tokens: list[tuple[int, str, int, str]] = []
        """Rows to be added to `idx_token`."""
        self.new_texts: list[tuple[int, int, str, str]] = []
        """Rows to be added to `idx_text`."""
        self.new_stubs: list[tuple[int, int, str]] = []
        """Row number, type and id of resources referred to and not known."""

    def forget(self) -> None:
        """Empty all caches."""
        self._tokens.clear()
        self._texts.clear()
        self._entities.clear()
        self.several.clear()

    def begin(self, row: int, token: int, text: int) -> None:
        """Start a batch from the last numbers given."""
        self.row, self.token, self.text = row, token, text
        self.new_tokens, self.new_texts, self.new_stubs = [], [], []
        for known in (self._tokens, self._texts, self._entities):
            if len(known) > CACHED_MAX:
                known.clear()

    def next_row(self) -> int:
        """Give out a row number."""
        self.row += 1
        return self.row

    def find_token(self, key: tuple[str, str, str]) -> int:
        """Return the id of a token, given as system, code and text."""
        found = self._tokens.get(key)
        if found is not None:
            return found
        system, code, text = key
        system_id = self.find_text((SYSTEMS, system, "")) if system else 0
        rows = self._connection.execute(_FIND_TOKEN, (code, system_id, text)).fetchall()
        if rows:
            found = cast("int", rows[0][0])
        else:
            found = self.token = self.token + 1
            self.new_tokens.append((found, code, system_id, text))
        self._tokens[key] = found
        return found

    def find_text(self, key: tuple[int, str, str]) -> int:
        """Return the id of a text, given as parameter, folded and exact text."""
        found = self._texts.get(key)
        if found is not None:
            return found
        rows = self._connection.execute(_FIND_TEXT, key).fetchall()
        if rows:
            found = cast("int", rows[0][0])
        else:
            found = self.text = self.text + 1
            self.new_texts.append((found, *key))
        self._texts[key] = found
        return found

    def find_entity(self, key: tuple[int, str]) -> int:
        """Return the entity of a resource, given as type number and id; make a stub of one that is not known."""
        found = self._entities.get(key)
        if found is not None:
            return found
        rows = self._connection.execute(_FIND_ENTITY, key).fetchall()
        if rows:
            found = cast("int", rows[0][0])
        else:
            found = self.next_row()
            self.new_stubs.append((found, *key))
        self._entities[key] = found
        return found

    def learn_entity(self, key: tuple[int, str], entity: int) -> None:
        """Remember the entity of a resource of this batch."""
        self._entities[key] = entity
