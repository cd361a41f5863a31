"""One batch of index rows: from extracted rows to the integers that are stored.

Owns the translation of `careledger.standards.fhir.search.rows.Rows` into table rows and the statements that add
them. It decides nothing about versions or transactions (`careledger.domains.records.service.index.writer`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from careledger.domains.records.service.index.interning import Interner
from careledger.domains.records.service.index.schema import (
    ASPECTS,
    LOGICAL,
    NO_PATIENT,
    PRINTED_UNITS,
    SEVERAL_PATIENTS,
    STUB,
    TYPED,
    UNITS,
    URI,
    VALUE,
    param_number,
    type_numbers,
)
from careledger.standards.fhir.search.rows import AmountRow, Rows
from careledger.storage.sqlite import Connection

TYPED_SEPARATOR: Final = "\x1f"
"""Stands between type code and value of an identifier interned under its type; no code contains it."""

_NUMBERS: Final = type_numbers()
_Amount: TypeAlias = tuple[bytes, bytes, int, int]

_INSERTS: Final = {
    "tokens": "INSERT INTO idx_token VALUES (?, ?, ?, ?)",
    "texts": "INSERT INTO idx_text VALUES (?, ?, ?, ?)",
    "stubs": f"INSERT INTO idx_resource VALUES (?1, ?1, ?2, ?3, 0, 0, 0, 0, 0, {STUB}, 0, 0)",
    "resources": "INSERT INTO idx_resource VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "compartments": "INSERT INTO idx_compartment VALUES (?, ?)",
    "facts": "INSERT INTO idx_fact VALUES (?, ?, ?)",
    "dates": "INSERT INTO idx_date VALUES (?, ?, ?, ?)",
    "several": "INSERT OR IGNORE INTO idx_several VALUES (?)",
    "amounts": "INSERT INTO idx_amount VALUES (?, ?, ?, ?, ?, ?)",
    "parts": "INSERT INTO idx_part VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "positions": "INSERT INTO idx_position VALUES (?, ?, ?, ?)",
}


class Batch:
    """Rows to be added, table by table."""

    def __init__(self, interner: Interner) -> None:
        self._interner = interner
        self.resources: list[tuple[int | str, ...]] = []
        self.compartments: list[tuple[int, int]] = []
        self._facts: list[tuple[int, int, int]] = []
        self._dates: list[tuple[int, int, int, int]] = []
        self._several: list[tuple[int]] = []
        self._amounts: list[tuple[int | bytes, ...]] = []
        self._parts: list[tuple[int | bytes, ...]] = []
        self._positions: list[tuple[int, int, int, int]] = []

    def add_patients(self, row: int, patients: tuple[str, ...]) -> int:
        """Add compartment rows where there are several patients, and return the resource's `patient` column."""
        number = _NUMBERS["Patient"]
        entities = sorted({self._interner.find_entity((number, patient)) for patient in patients})
        if len(entities) > 1:
            self.compartments.extend((row, entity) for entity in entities)
            return SEVERAL_PATIENTS
        return entities[0] if entities else NO_PATIENT

    def add_rows(self, row: int, resource_type: str, rows: Rows) -> None:
        """Add what was extracted from one resource."""
        base = param_number(resource_type, 0, VALUE)
        self._facts.extend(sorted(self._find_facts(row, base, rows)))
        if rows.dates:
            dates = {(row, base + slot * ASPECTS, first, last) for slot, first, last in rows.dates}
            self._dates.extend(sorted(dates))
            if len(dates) > 1:
                self._note_several(param for _, param, _, _ in dates)
        if rows.amounts:
            amounts = {
                (row, base + amount[0] * ASPECTS, *self._find_amount(amount)) for amount in rows.amounts
            }
            self._amounts.extend(sorted(amounts))
        if rows.positions:
            positions = {
                (row, base + slot * ASPECTS, latitude, longitude)
                for slot, latitude, longitude in rows.positions
            }
            self._positions.extend(sorted(positions))
        for slot, element, component, part in rows.parts:
            self._add_part(row, base + slot * ASPECTS, element, component, part)

    def _note_several(self, params: Iterable[int]) -> None:
        """Note the parameters that occur more than once."""
        seen: set[int] = set()
        for param in params:
            if param in seen and param not in self._interner.several:
                self._several.append((param,))
                self._interner.several.add(param)
            seen.add(param)

    def _find_facts(self, row: int, base: int, rows: Rows) -> set[tuple[int, int, int]]:
        """Return row, parameter and value of everything that is compared for equality."""
        interner = self._interner
        find_token, find_text, find_entity = interner.find_token, interner.find_text, interner.find_entity
        facts: set[tuple[int, int, int]] = set()
        for slot, system, code, text in rows.tokens:
            facts.add((row, base + slot * ASPECTS, find_token((system, code, text))))
        for slot, target, target_id in rows.references:
            facts.add((row, base + slot * ASPECTS, find_entity((_NUMBERS[target], target_id))))
        for slot, uri in rows.uris:
            param = base + slot * ASPECTS + URI
            facts.add((row, param, find_text((param, uri, ""))))
        for slot, folded, exact in rows.strings:
            param = base + slot * ASPECTS
            facts.add((row, param, find_text((param, folded, exact))))
        for slot, system, code in rows.logical:
            facts.add((row, base + slot * ASPECTS + LOGICAL, find_token((system, code, ""))))
        for slot, system, code, value in rows.typed_identifiers:
            token = find_token((system, f"{code}{TYPED_SEPARATOR}{value}", ""))
            facts.add((row, base + slot * ASPECTS + TYPED, token))
        return facts

    def _find_amount(self, amount: AmountRow) -> _Amount:
        """Return an amount with its units interned."""
        _, low, high, system, code, printed = amount
        find_text = self._interner.find_text
        return (
            low,
            high,
            find_text((UNITS, code, system)) if code or system else 0,
            find_text((PRINTED_UNITS, printed, "")) if printed else 0,
        )

    def _add_part(self, row: int, param: int, element: int, component: int, part: Rows) -> None:
        """Add one component of a composite: its values, whatever their kind, side by side."""
        head = (row, param, element)
        first = component * ASPECTS
        found = {
            (first + aspect, value, 0, 0, 0)
            for _, number, value in self._find_facts(row, param, part)
            if (aspect := number - param) < ASPECTS
        }
        self._parts.extend((*head, *values) for values in sorted(found))
        for _, first_ms, last_ms in sorted(set(part.dates)):
            self._parts.append((*head, first, 0, first_ms, last_ms, 0))
        for low, high, unit, printed in sorted({self._find_amount(amount) for amount in part.amounts}):
            self._parts.append((*head, first, unit, low, high, printed))

    def write(self, connection: Connection) -> None:
        """Add all rows; the interned values first, so that nothing ever refers to what is not there."""
        for name, rows in (
            ("tokens", self._interner.new_tokens),
            ("texts", self._interner.new_texts),
            ("stubs", self._interner.new_stubs),
            ("resources", self.resources),
            ("compartments", self.compartments),
            ("facts", self._facts),
            ("dates", self._dates),
            ("several", self._several),
            ("amounts", self._amounts),
            ("parts", self._parts),
            ("positions", self._positions),
        ):
            if rows:
                connection.executemany(_INSERTS[name], rows)
