"""Readers of FHIR values: one function per kind of parameter and type of value, writing rows.

Owns what a value of each FHIR type contributes to the index (the tables of FHIR R4 §3.1.1.4.6 to §3.1.1.4.13).
A reader is built once per place of a resource type and called for every value found there; it trusts nothing
about the value's shape and passes over what does not fit, because structure is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from careledger.standards.fhir.instants import EARLIEST_MS, LATEST_MS, InstantError, Range, parse_range
from careledger.standards.fhir.search.folding import TEXT_CHARS_MAX, bound, fold, soundex
from careledger.standards.fhir.search.rows import Rows

Reader: TypeAlias = Callable[[object, Rows], None]
"""Adds the rows of one value."""

NAME_KEYS = ("family", "given", "prefix", "suffix", "text")
"""Parts of a HumanName that its string search covers."""
ADDRESS_KEYS = ("line", "city", "district", "state", "postalCode", "country", "text")
"""Parts of an Address that its string search covers."""
_DEGREES_MAX = 180
_E7 = 10_000_000


@lru_cache(maxsize=8_192)
def fold_label(text: str) -> str:
    """Return a display text folded and bounded; the same few thousand come again and again."""
    return bound(fold(text))


@lru_cache(maxsize=8_192)
def find_range(text: str) -> Range | None:
    """Return the range of a date or time, or None where the text is none."""
    try:
        return parse_range(text)
    except InstantError:
        # Structure checks refuse such a text before it is stored; an index of older data leaves it out.
        return None


def _add_coding(slot: int, coding: dict[str, object], rows: Rows) -> str:
    """Add the row of a Coding and return its folded display."""
    system, code, display = coding.get("system"), coding.get("code"), coding.get("display")
    if type(system) is not str:
        system = ""
    if type(code) is not str:
        code = ""
    label = fold_label(display) if type(display) is str and display else ""
    if code or system or label:
        if len(code) > TEXT_CHARS_MAX or len(system) > TEXT_CHARS_MAX:
            code, system = bound(code), bound(system)
        rows.present |= 1 << slot
        rows.tokens.append((slot, system, code, label))
    return label


def _text(value: dict[str, object], key: str) -> str:
    """Return a member that is a text, or the empty text."""
    found = value.get(key)
    return found if type(found) is str else ""


def _items(value: object) -> list[object]:
    """Return a list's items, or the value as the only item."""
    return value if type(value) is list else [value]


def read_code(slot: int, systems: dict[str, str]) -> Reader:
    """Read a `code`, `id`, `uri` or `string` as a token; a bound code has the system of its value set."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is str and value:
            rows.present |= bit
            rows.tokens.append((slot, systems.get(value, ""), bound(value), ""))

    return read


def read_boolean(slot: int) -> Reader:
    """Read a boolean as the token `true` or `false`."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is bool:
            rows.present |= bit
            rows.tokens.append((slot, "", "true" if value else "false", ""))

    return read


def read_truth(slot: int) -> Reader:
    """Read whatever stands in `x.exists() and x != false`; the extractor adds `false` where nothing was true."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if value is not False and not rows.present & bit:
            rows.present |= bit
            rows.tokens.append((slot, "", "true", ""))

    return read


def read_coding(slot: int) -> Reader:
    """Read a Coding."""

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict:
            _add_coding(slot, value, rows)

    return read


def read_concept(slot: int) -> Reader:
    """Read a CodeableConcept: its codings, and its text where no coding's display says the same."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        text = value.get("text")
        label = fold_label(text) if type(text) is str and text else ""
        codings = value.get("coding")
        if type(codings) is list:
            for coding in codings:
                if type(coding) is dict and _add_coding(slot, coding, rows) == label:
                    label = ""
        if label:
            rows.present |= bit
            rows.tokens.append((slot, "", "", label))

    return read


def read_identifier(slot: int) -> Reader:
    """Read an Identifier: system and value, and the value once more under each of its types."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        system, code, kind = _text(value, "system"), bound(_text(value, "value")), value.get("type")
        label = ""
        if type(kind) is dict:
            label = fold_label(_text(kind, "text"))
            for coding in _items(kind.get("coding")):
                if type(coding) is dict and code:
                    row = (slot, bound(_text(coding, "system")), bound(_text(coding, "code")), code)
                    rows.typed_identifiers.append(row)
        if system or code or label:
            rows.present |= bit
            rows.tokens.append((slot, bound(system), code, label))

    return read


def read_contact(slot: int) -> Reader:
    """Read a ContactPoint: its value without a system (FHIR R4 §3.1.1.4.12)."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict and (code := _text(value, "value")):
            rows.present |= bit
            rows.tokens.append((slot, "", bound(code), ""))

    return read


def read_string(slot: int, *, is_phonetic: bool = False) -> Reader:
    """Read a string or markdown."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not str or not value:
            return
        rows.present |= bit
        if is_phonetic:
            if key := soundex(value):
                rows.strings.append((slot, key, ""))
        else:
            rows.strings.append((slot, bound(fold(value)), bound(value)))

    return read


def read_string_parts(slot: int, keys: tuple[str, ...], *, is_phonetic: bool = False) -> Reader:
    """Read the parts of a HumanName or an Address, each as a string of its own."""
    read_part = read_string(slot, is_phonetic=is_phonetic)

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict:
            for key in keys:
                part = value.get(key)
                if part is not None:
                    for text in _items(part):
                        read_part(text, rows)

    return read


def read_date(slot: int) -> Reader:
    """Read a date, dateTime or instant."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is str and (found := find_range(value)) is not None:
            rows.present |= bit
            rows.dates.append((slot, *found))

    return read


def _period(value: dict[str, object]) -> Range | None:
    """Return the range of a Period; without a readable bound there is none."""
    start, end = value.get("start"), value.get("end")
    first = find_range(start) if type(start) is str else None
    last = find_range(end) if type(end) is str else None
    if first is None and last is None:
        return None
    return (EARLIEST_MS if first is None else first[0], LATEST_MS if last is None else last[1])


def read_period(slot: int) -> Reader:
    """Read a Period; an absent bound is open."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict and (found := _period(value)) is not None:
            rows.present |= bit
            rows.dates.append((slot, *found))

    return read


def read_timing(slot: int) -> Reader:
    """Read a Timing: from its first to its last event, or its bounds (FHIR R4 §3.1.1.4.8)."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        ranges = [find_range(event) for event in _items(value.get("event")) if type(event) is str]
        repeat = value.get("repeat")
        bounds = repeat.get("boundsPeriod") if type(repeat) is dict else None
        if type(bounds) is dict:
            ranges.append(_period(bounds))
        known = [found for found in ranges if found is not None]
        if known:
            rows.present |= bit
            rows.dates.append((slot, min(first for first, _ in known), max(last for _, last in known)))

    return read


def read_uri(slot: int, *, is_canonical: bool = False) -> Reader:
    """Read a URI; a canonical with a version is also found without it."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is str and value:
            rows.present |= bit
            rows.uris.append((slot, bound(value)))
            if is_canonical and "|" in value:
                rows.uris.append((slot, bound(value.partition("|")[0])))

    return read


def read_position(slot: int) -> Reader:
    """Read a Location's position; one outside the globe is passed over."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        degrees = []
        for key, limit in (("latitude", _DEGREES_MAX // 2), ("longitude", _DEGREES_MAX)):
            number = value.get(key)
            if not isinstance(number, int | float | Decimal) or not -limit <= number <= limit:
                return
            degrees.append(round(number * _E7))
        rows.present |= bit
        rows.positions.append((slot, degrees[0], degrees[1]))

    return read
