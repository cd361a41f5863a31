"""Application identifiers: what each value may look like.

Owns the parsed form of `ai_table` and the checking of one value against it. Does not split a scanned
string into elements: that is `element_string`.
"""

from __future__ import annotations

import re

import msgspec

from careledger.standards.gs1 import ai_table, escaping
from careledger.standards.gs1.checkdigit import verify_check_digit
from careledger.standards.gs1.dates import verify_date
from careledger.standards.gs1.errors import GS1Code, GS1Error

# Total length, identifier included, of element strings that end by themselves: those whose
# identifier starts with these two digits (GS1 General Specifications §7.8.5). Every other element
# string needs FNC1 behind it unless it is the last.
PREDEFINED_LENGTHS = (
    {"00": 20, "01": 16, "02": 16, "03": 16, "04": 18, "20": 4, "41": 16}
    | dict.fromkeys(("11", "12", "13", "14", "15", "16", "17", "18", "19"), 8)
    | dict.fromkeys(("31", "32", "33", "34", "35", "36"), 10)
)

_SETS = {
    "N": re.compile(r"[0-9]+"),
    "X": escaping.CSET_82,
    "Y": escaping.CSET_39,
    "Z": escaping.CSET_64,
}
_COMPONENT = re.compile(r"([NXYZ])(\d+)(?:-(\d+))?(?::([A-Za-z0]+))?(\?)?")
_CHECK = "c"


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an element's value."""

    charset: str
    """`N`, `X`, `Y` or `Z`."""

    length_min: int
    length_max: int

    rule: str = ""
    """`c` for a check digit, the shape of a date, or nothing."""


class ApplicationIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one application identifier."""

    ai: str
    title: str
    components: tuple[Component, ...]

    length_min: int
    """Shortest value, in characters, without the identifier."""

    length_max: int

    needs_separator: bool
    """Whether FNC1 must follow unless the element is the last."""

    @property
    def is_date(self) -> bool:
        """Whether the value starts with a date."""
        return self.components[0].rule[:1] in ("y", "Y")

    @property
    def has_check_digit(self) -> bool:
        """Whether the first component ends in a check digit."""
        return self.components[0].rule == _CHECK


def _components(text: str) -> tuple[Component, ...]:
    parts = []
    for word in text.split():
        match = _COMPONENT.fullmatch(word)
        if match is None:
            message = f"the identifier table holds a malformed component {word!r}"
            raise TypeError(message)
        charset, least, most, rule, optional = match.groups()
        parts.append(
            Component(
                charset=charset,
                length_min=0 if optional else int(least),
                length_max=int(most or least),
                rule=rule or "",
            )
        )
    return tuple(parts)


def _load() -> dict[str, ApplicationIdentifier]:
    table = {}
    for line in ai_table.IDENTIFIERS.strip().splitlines():
        name, components_text, title = line.split("|")
        components = _components(components_text)
        family = [name[:-1] + digit for digit in "0123456789"] if name.endswith("n") else [name]
        for ai in family:
            table[ai] = ApplicationIdentifier(
                ai=ai,
                title=title,
                components=components,
                length_min=sum(part.length_min for part in components),
                length_max=sum(part.length_max for part in components),
                needs_separator=ai[:2] not in PREDEFINED_LENGTHS,
            )
    return table


IDENTIFIERS: dict[str, ApplicationIdentifier] = _load()
_LENGTHS = (2, 3, 4)


def find(text: str, position: int = 0) -> ApplicationIdentifier | None:
    """Find the application identifier that `text` starts with at `position`, if any.

    No identifier is a prefix of another, so there is at most one.
    """
    for length in _LENGTHS:
        known = IDENTIFIERS.get(text[position : position + length])
        if known is not None:
            return known
    return None


def verify_value(known: ApplicationIdentifier, value: str, *, position: int = 0) -> None:
    """Check `value` against the format of `known`: length, characters, check digit, date.

    Raises:
        GS1Error: TRUNCATED, TOO_LONG, CHARACTER, CHECK_DIGIT or DATE; `position` is added to the
            offset inside the value.
    """
    ai = known.ai
    if len(value) < known.length_min:
        message = f"({ai}) needs at least {known.length_min} characters"
        raise GS1Error(GS1Code.TRUNCATED, message, position=position + len(value), ai=ai)
    if len(value) > known.length_max:
        message = f"({ai}) has at most {known.length_max} characters"
        raise GS1Error(GS1Code.TOO_LONG, message, position=position + known.length_max, ai=ai)
    offset = 0
    for part in known.components:
        text = value[offset : offset + part.length_max]
        if text:
            _verify_component(ai, part, text, position + offset)
        offset += len(text)


def _verify_component(ai: str, part: Component, text: str, position: int) -> None:
    if len(text) < part.length_min:
        raise GS1Error(GS1Code.TRUNCATED, f"({ai}) stops too early", position=position + len(text), ai=ai)
    match = _SETS[part.charset].match(text)
    if match is None or match.end() != len(text):
        at = position + (match.end() if match else 0)
        raise GS1Error(GS1Code.CHARACTER, f"({ai}) holds a character it may not", position=at, ai=ai)
    if part.rule == _CHECK:
        verify_check_digit(text, ai=ai, position=position)
    elif part.rule:
        verify_date(text, part.rule, ai=ai, position=position)
