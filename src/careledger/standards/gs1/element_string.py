"""GS1 element strings: the text inside a GS1 symbol.

Owns reading and writing of the bracketed form `(01)...(21)...` and of the raw form, with the group
separator (ASCII 29, what a scanner sends for FNC1) and symbology identifiers. Reading is strict:
whatever is wrong is an error with a position. Finding out *why* a scan went wrong is `scan`.
"""

from __future__ import annotations

import re

import msgspec

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.errors import GS1Code, GS1Error

GROUP_SEPARATOR = "\x1d"
TEXT_CHARS_MAX = 4096
"""Longest text looked at; the largest QR code holds fewer characters."""

# ISO/IEC 15424 identifiers of the symbols that carry GS1 element strings.
GS1_SYMBOLS = {
    "]C1": "GS1-128",
    "]e0": "GS1 DataBar or Composite",
    "]e1": "GS1 Composite",
    "]e2": "GS1 Composite",
    "]d2": "GS1 DataMatrix",
    "]Q3": "GS1 QR Code",
    "]J1": "GS1 DotCode",
}
_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_BRACKETED_AI = re.compile(r"\((\d{2,4})\)")


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One application identifier with its value."""

    ai: str
    value: str


class ElementString(msgspec.Struct, frozen=True, kw_only=True):
    """What one GS1 symbol says, in the order it says it."""

    elements: tuple[Element, ...]

    symbology: str = ""
    """Symbology identifier sent by the scanner, such as `]d2`, or nothing."""

    def get(self, ai: str) -> str | None:
        """Give the value of one application identifier."""
        for element in self.elements:
            if element.ai == ai:
                return element.value
        return None

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The application identifiers, in order."""
        return tuple(element.ai for element in self.elements)


def make(*pairs: tuple[str, str]) -> ElementString:
    """Build a checked element string from (identifier, value) pairs.

    Raises:
        GS1Error: as `parse_raw`.
    """
    elements: list[Element] = []
    for ai, value in pairs:
        known = identifiers.IDENTIFIERS.get(ai)
        if known is None:
            raise GS1Error(GS1Code.UNKNOWN_AI, f"({ai}) is not an application identifier", ai=ai)
        identifiers.verify_value(known, value)
        _add(elements, Element(ai=ai, value=value), 0)
    return ElementString(elements=tuple(elements))


def parse(text: str) -> ElementString:
    """Read an element string in either form.

    Raises:
        GS1Error: as `parse_bracketed` and `parse_raw`.
    """
    return parse_bracketed(text) if text.startswith("(") else parse_raw(text)


def parse_bracketed(text: str) -> ElementString:
    """Read the human-readable form, such as `(01)04012345123456(17)271200(10)A1(21)77`.

    A bracketed number counts as an identifier only where the value before it already satisfies its
    format, since values may contain brackets themselves. Spaces between elements are ignored.

    Raises:
        GS1Error: EMPTY, BRACKETS, UNKNOWN_AI, REPEATED_AI or any code of `ai.verify_value`.
    """
    _verify_size(text)
    elements: list[Element] = []
    position = 0
    while position < len(text):
        match = _BRACKETED_AI.match(text, position)
        if match is None:
            raise GS1Error(GS1Code.BRACKETS, "an identifier in brackets is missing", position=position)
        known = identifiers.IDENTIFIERS.get(match.group(1))
        if known is None:
            message = f"({match.group(1)}) is not an application identifier"
            raise GS1Error(GS1Code.UNKNOWN_AI, message, position=position, ai=match.group(1))
        start = match.end()
        end = _end_of_value(text, start, known)
        value = text[start:end].rstrip(" ")
        identifiers.verify_value(known, value, position=start)
        _add(elements, Element(ai=known.ai, value=value), position)
        position = end
    return ElementString(elements=tuple(elements))


def _end_of_value(text: str, start: int, known: identifiers.ApplicationIdentifier) -> int:
    """Find the next bracketed identifier that may follow the value starting at `start`."""
    for match in _BRACKETED_AI.finditer(text, start):
        if match.group(1) not in identifiers.IDENTIFIERS:
            continue
        if match.start() - start >= known.length_min:
            return match.start()
    return len(text)


def parse_raw(text: str) -> ElementString:
    """Read what a scanner sends: elements one after the other, FNC1 as ASCII 29.

    A leading symbology identifier is kept, a leading separator (some scanners send the FNC1 in first
    position) and a trailing one are ignored. A separator behind an element of predefined length is
    accepted, as the standard asks of readers.

    Raises:
        GS1Error: EMPTY, UNKNOWN_AI, REPEATED_AI or any code of `ai.verify_value`.
    """
    _verify_size(text)
    symbology = ""
    position = 0
    match = _SYMBOLOGY.match(text)
    if match is not None:
        symbology = match.group()
        if symbology not in GS1_SYMBOLS:
            message = "the scanner names a symbol that is not a GS1 symbol"
            raise GS1Error(GS1Code.SYMBOL, message)
        position = match.end()
    if text.startswith(GROUP_SEPARATOR, position):
        position += 1
    elements: list[Element] = []
    length = len(text)
    while position < length:
        element, position = _next_element(text, position)
        _add(elements, element, position)
    if not elements:
        raise GS1Error(GS1Code.EMPTY, "there is nothing to read")
    return ElementString(elements=tuple(elements), symbology=symbology)


def _next_element(text: str, position: int) -> tuple[Element, int]:
    known = identifiers.find(text, position)
    if known is None:
        message = "an application identifier is expected here"
        raise GS1Error(GS1Code.UNKNOWN_AI, message, position=position)
    start = position + len(known.ai)
    separator = text.find(GROUP_SEPARATOR, start)
    end = len(text) if separator < 0 else separator
    if not known.needs_separator:
        end = min(end, start + known.length_max)
    value = text[start:end]
    identifiers.verify_value(known, value, position=start)
    return Element(ai=known.ai, value=value), end + 1 if end == separator else end


def _add(elements: list[Element], element: Element, position: int) -> None:
    for earlier in elements:
        if earlier.ai == element.ai and earlier.value != element.value:
            message = f"({element.ai}) appears twice with different values"
            raise GS1Error(GS1Code.REPEATED_AI, message, position=position, ai=element.ai)
    elements.append(element)


def _verify_size(text: str) -> None:
    if not text:
        raise GS1Error(GS1Code.EMPTY, "there is nothing to read")
    if len(text) > TEXT_CHARS_MAX:
        raise GS1Error(GS1Code.TOO_LONG, "longer than any symbol can be", position=TEXT_CHARS_MAX)


def write_bracketed(string: ElementString) -> str:
    """Write the human-readable form."""
    return "".join(f"({element.ai}){element.value}" for element in string.elements)


def write_raw(string: ElementString, *, symbology: str = "") -> str:
    """Write the raw form, as a scanner would send it.

    Elements of predefined length come first, so that as few separators as possible are needed
    (GS1 General Specifications §7.8.6); otherwise the order is kept.

    Args:
        string: what to write.
        symbology: prefix such as `]d2`, or nothing.
    """
    fixed = [e for e in string.elements if e.ai[:2] in identifiers.PREDEFINED_LENGTHS]
    variable = [e for e in string.elements if e.ai[:2] not in identifiers.PREDEFINED_LENGTHS]
    text = "".join(e.ai + e.value for e in fixed)
    return symbology + text + GROUP_SEPARATOR.join(e.ai + e.value for e in variable)
