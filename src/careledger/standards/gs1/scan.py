"""What a scan says, or why it does not.

Owns the diagnosis: a scanned text becomes either the element string in the symbol, or a repaired reading
that is labelled as such, or a list of probable causes with what to do. Most alerts in the field
come from scanners and keyboards, not from counterfeits, and a pharmacist who is told which can
act on it. Nothing is repaired silently, and where two repairs are possible none is made. No clock, no
look-up: whether the pack is genuine or expired is decided elsewhere.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

import msgspec

from careledger.standards.gs1 import keyboard, splitting
from careledger.standards.gs1.causes import Cause, Finding, finding
from careledger.standards.gs1.checkdigit import compute_check_digit, is_digits
from careledger.standards.gs1.digital_link import parse_link
from careledger.standards.gs1.element_string import (
    GROUP_SEPARATOR,
    GS1_SYMBOLS,
    Element,
    ElementString,
    parse,
)
from careledger.standards.gs1.epc_urn import parse_urn
from careledger.standards.gs1.errors import GS1Code, GS1Error

TEXT_CHARS_MAX: Final = 1024
"""Longest text diagnosed."""


class Outcome(enum.StrEnum):
    """How far a scan got."""

    READ = "read"
    """The element string is exactly what the symbol says."""

    REPAIRED = "repaired"
    """The element string was restored; the findings say how. Show it as such, and let a person agree."""

    INCOMPLETE = "incomplete"
    """Read correctly, but it does not identify one pack, unit or place."""

    UNREADABLE = "unreadable"
    """No reading; the findings are the probable causes, likeliest first."""


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """The diagnosis of one scan."""

    outcome: Outcome
    element_string: ElementString | None = None

    findings: tuple[Finding, ...] = ()
    """Empty when the outcome is READ."""

    @property
    def is_repaired(self) -> bool:
        """Whether the reading differs from what the scanner sent."""
        return self.outcome is Outcome.REPAIRED


class Misreading(msgspec.Struct, frozen=True, kw_only=True):
    """What a correct-looking reading might have been, if the keyboard was wrong."""

    finding: Finding
    element_string: ElementString


_ERROR_CAUSES: dict[GS1Code, Cause] = {
    GS1Code.EMPTY: Cause.EMPTY,
    GS1Code.CHECK_DIGIT: Cause.BAD_CHECK_DIGIT,
    GS1Code.DATE: Cause.IMPOSSIBLE_DATE,
    GS1Code.TRUNCATED: Cause.TRUNCATED,
    GS1Code.TOO_LONG: Cause.VALUE_TOO_LONG,
    GS1Code.CHARACTER: Cause.BAD_CHARACTER,
    GS1Code.NOT_DIGITS: Cause.BAD_CHARACTER,
    GS1Code.UNKNOWN_AI: Cause.UNKNOWN_IDENTIFIER,
    GS1Code.REPEATED_AI: Cause.CONTRADICTION,
    GS1Code.SYMBOL: Cause.NOT_A_GS1_SYMBOL,
    GS1Code.LINK_COMPRESSED: Cause.COMPRESSED_LINK,
    GS1Code.LINK_SYNTAX: Cause.WEB_LINK,
}
# How scanners and terminals spell out ASCII 29. Any sign that no value may contain counts as well.
_STAND_INS = ("<GS>", "[GS]", "{GS}", "(GS)", "\\x1d", "\\x1D", "\\u001d", "\\u001D", "^]", "~1")
_FOREIGN = re.compile(r"[^!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z\x1d]+")
_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_LINE_ENDS = re.compile(r"[\r\n\t]+")
_GTIN_LENGTHS = (8, 12, 13, 14)
# Keys that identify one thing by themselves; (401), (402) and (8010) in a scan are almost always chance.
_IDENTIFYING = frozenset(("00", "253", "255", "414", "417", "8003", "8004", "8006", "8017", "8018"))
_PRODUCT = re.compile(r"(?:\(01\)|01)[0-9]{14}")
# Codes of other systems, by how they begin.
_OTHER_SYSTEMS = (
    (re.compile(r"\[\)>"), "ISO/IEC 15434 (for example the German PPN)"),
    (re.compile(r"\+[A-Z][A-Z0-9]{3}"), "HIBC"),
    (re.compile(r"-[0-9]{7,8}$"), "German PZN"),
    (re.compile(r"A[0-9]{9}$"), "Italian AIC"),
)


def diagnose_scan(raw: str) -> ScanResult:
    """Read a scanned text, or say what probably went wrong.

    Accepts raw element strings with or without symbology identifier, bracketed element strings, Digital
    Links and EPC URNs.

    Steps:
        1. Drop line ends and a byte order mark, which scanners add.
        2. A bare product number is the striped barcode, whatever else its digits might spell.
        3. Read it as it stands. If that identifies something, done.
        4. Otherwise undo, one at a time, what usually goes wrong. One distinct reading: give it, as
           REPAIRED. Several: give none.
        5. Otherwise name the causes.
    """
    text = raw.strip("\r\n\t\ufeff ")
    if not text:
        return ScanResult(outcome=Outcome.UNREADABLE, findings=(finding(Cause.EMPTY),))
    if len(text) > TEXT_CHARS_MAX:
        return ScanResult(outcome=Outcome.UNREADABLE, findings=(finding(Cause.VALUE_TOO_LONG),))
    product = _linear_barcode(text)
    if product is not None:
        findings = (finding(Cause.LINEAR_BARCODE),)
        return ScanResult(outcome=Outcome.INCOMPLETE, element_string=product, findings=findings)
    string, error = None, None
    try:
        string = _read(text)
    except GS1Error as caught:
        error = caught
    if string is not None and _identifies(string):
        suspicious = _swallows_more(text, string)
        repaired = _repair(text) if suspicious else None
        return repaired or ScanResult(outcome=Outcome.READ, element_string=string)
    return _repair(text) or _explain(text, string, error)


def misreadings(string: ElementString) -> tuple[Misreading, ...]:
    """List what a correct-looking reading might have been under a wrong keyboard.

    For use after a pack was not found: exchanged case and exchanged Y/Z leave no trace in the text, so
    only the look-up can tell. Batch and serial number are altered together, as a keyboard would.
    """
    found = []
    for cause, alter in (
        (Cause.WRONG_CASE, str.swapcase),
        (Cause.SWAPPED_Y_Z, keyboard.swap_y_z),
    ):
        altered = ElementString(
            elements=tuple(Element(ai=e.ai, value=alter(e.value)) for e in string.elements),
            symbology=string.symbology,
        )
        if altered != string:
            found.append(Misreading(finding=finding(cause), element_string=altered))
    return tuple(found)


def _read(text: str) -> ElementString:
    head = 3 if _SYMBOLOGY.match(text) else 0
    lowered = text[head : head + 8].lower()
    if lowered.startswith(("http://", "https://")):
        link = parse_link(text[head:])
        return ElementString(elements=link.elements.elements, symbology=text[:head])
    if lowered.startswith("urn:epc:"):
        return ElementString(elements=tuple(Element(ai=ai, value=value) for ai, value in parse_urn(text)))
    return parse(text)


def _identifies(string: ElementString) -> bool:
    """Tell whether a reading names one pack, logistic unit, place, asset or document."""
    ais = string.identifiers
    if "01" in ais:
        return "21" in ais or "235" in ais
    return not _IDENTIFYING.isdisjoint(ais)


def _swallows_more(text: str, string: ElementString) -> bool:
    """Tell whether a formally correct reading hides a separator that got lost or was spelt out.

    `01...21` followed, without separator, by a date and a batch parses as one long serial number. It is
    only believed when it cannot be read as the four elements a medicine pack carries.
    """
    if any(token in text for token in _STAND_INS):
        return True
    body = _SYMBOLOGY.sub("", text, count=1)
    if GROUP_SEPARATOR in body or not is_digits(body[:2]) or {"10", "17"}.issubset(string.identifiers):
        return False
    return any({"10", "17"}.issubset(way.identifiers) for way in splitting.ways_to_split(body))


def _try(text: str) -> ElementString | None:
    try:
        string = _read(text)
    except GS1Error:
        return None
    return string if _identifies(string) else None


def _repair(text: str) -> ScanResult | None:
    repairs: list[tuple[Finding, ElementString]] = list(_repairs(text))
    if not repairs:
        return None
    distinct = {repaired.elements for _, repaired in repairs}
    if len(distinct) > 1:
        findings = tuple(dict.fromkeys(cause for cause, _ in repairs))
        return ScanResult(outcome=Outcome.UNREADABLE, findings=findings)
    return ScanResult(outcome=Outcome.REPAIRED, element_string=repairs[0][1], findings=(repairs[0][0],))


def _repairs(text: str) -> Iterator[tuple[Finding, ElementString]]:
    """Undo each known fault in turn; later kinds are tried only when earlier ones gave nothing."""
    for kind in (
        _undo_doubling,
        _undo_case,
        _undo_named_stand_ins,
        _undo_lost_separators,
        _undo_exchanged_signs,
        _undo_prefixes,
    ):
        found = list(kind(text))
        if found:
            yield from found
            return


def _undo_doubling(text: str) -> Iterator[tuple[Finding, ElementString]]:
    parts = set(_scans(text))
    if len(parts) == 1:
        string = _try(parts.pop())
        if string is not None:
            yield finding(Cause.DOUBLED_SCAN), string


def _scans(text: str) -> list[str]:
    """Take apart what may be several scans in one field; a single scan gives nothing."""
    lines = [line for line in _LINE_ENDS.split(text) if line]
    if len(lines) > 1:
        return lines
    starts = [match.start() for match in _SYMBOLOGY.finditer(text)]
    if len(starts) > 1 and starts[0] == 0:
        return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    middle = len(text) // 2
    if len(text) % 2 == 0 and text[:middle] == text[middle:]:
        return [text[:middle], text[middle:]]
    return []


def _undo_case(text: str) -> Iterator[tuple[Finding, ElementString]]:
    if text[:3] not in GS1_SYMBOLS and text[:3].swapcase() in GS1_SYMBOLS:
        string = _try(text.swapcase())
        if string is not None:
            yield finding(Cause.WRONG_CASE), string


def _undo_named_stand_ins(text: str) -> Iterator[tuple[Finding, ElementString]]:
    for stand_in in _STAND_INS:
        if stand_in in text:
            string = _try(text.replace(stand_in, GROUP_SEPARATOR))
            if string is not None:
                yield finding(Cause.REPLACED_SEPARATOR), string


def _undo_exchanged_signs(text: str) -> Iterator[tuple[Finding, ElementString]]:
    """Undo stand-ins and keyboard layouts together: the same sign may be evidence for either."""
    head = 3 if _SYMBOLOGY.match(text) else 0
    foreign = set(_FOREIGN.findall(text, head))
    if len(foreign) == 1:
        string = _try(text[:head] + text[head:].replace(foreign.pop(), GROUP_SEPARATOR))
        if string is not None:
            yield finding(Cause.REPLACED_SEPARATOR), string
    yield from _undo_layouts(text)


def _undo_layouts(text: str) -> Iterator[tuple[Finding, ElementString]]:
    if not _FOREIGN.search(text) and (text[0].isalnum() or text[0] == "("):
        return
    for layout in keyboard.LAYOUTS:
        meant = keyboard.undo_layout(text, layout)
        if meant == text:
            continue
        string = _try(meant)
        if string is not None:
            yield finding(Cause.KEYBOARD_LAYOUT, layout), string
            continue
        for way in splitting.ways_to_split(_SYMBOLOGY.sub("", meant, count=1)):
            yield finding(Cause.KEYBOARD_LAYOUT, layout), way


def _undo_prefixes(text: str) -> Iterator[tuple[Finding, ElementString]]:
    if _SYMBOLOGY.match(text):
        # The scanner names the symbol, and it is not a GS1 one: believe it, but read what is inside.
        string = _try(text[3:])
        if string is not None and text[:3] not in GS1_SYMBOLS:
            yield finding(Cause.NOT_A_GS1_SYMBOL, text[:3]), string
        return
    is_address = text[:8].lower().startswith(("http://", "https://"))
    plain = unquote(text) if is_address else text
    match = _PRODUCT.search(plain)
    if match is not None and match.start() > 0:
        string = _try(plain[match.start() :])
        if string is not None:
            yield finding(Cause.URL_PREFIX if is_address else Cause.UNEXPECTED_PREFIX), string


def _undo_lost_separators(text: str) -> Iterator[tuple[Finding, ElementString]]:
    if GROUP_SEPARATOR in text.strip(GROUP_SEPARATOR) or text.startswith("("):
        return
    for way in splitting.ways_to_split(_SYMBOLOGY.sub("", text, count=1).strip(GROUP_SEPARATOR)):
        yield finding(Cause.LOST_SEPARATOR), way


def _explain(text: str, string: ElementString | None, error: GS1Error | None) -> ScanResult:
    """Name the causes of a scan that could neither be read nor repaired."""
    if len(_scans(text)) > 1:
        return ScanResult(outcome=Outcome.UNREADABLE, findings=(finding(Cause.TWO_CODES),))
    if string is not None:
        cause = Cause.MISSING_SERIAL if "01" in string.identifiers else Cause.MISSING_PRODUCT
        return ScanResult(outcome=Outcome.INCOMPLETE, element_string=string, findings=(finding(cause),))
    body = text[3:] if _SYMBOLOGY.match(text) else text
    for pattern, system in _OTHER_SYSTEMS:
        if pattern.match(body):
            findings = (finding(Cause.OTHER_CODING_SYSTEM, system),)
            return ScanResult(outcome=Outcome.UNREADABLE, findings=findings)
    return ScanResult(outcome=Outcome.UNREADABLE, findings=tuple(_probable_causes(text, error)))


def _linear_barcode(text: str) -> ElementString | None:
    """Take a text that is nothing but a product number with a correct check digit for what it is."""
    body = text[3:] if _SYMBOLOGY.match(text) else text
    if not is_digits(body) or len(body) not in _GTIN_LENGTHS:
        return None
    if compute_check_digit(body[:-1]) != body[-1]:
        return None
    return ElementString(elements=(Element(ai="01", value=body.zfill(14)),))


def _probable_causes(text: str, error: GS1Error | None) -> Iterator[Finding]:
    detail = f"({error.ai})" if error is not None and error.ai else ""
    first = (
        Cause.UNKNOWN_IDENTIFIER if error is None else _ERROR_CAUSES.get(error.code, Cause.UNKNOWN_IDENTIFIER)
    )
    yield finding(first, detail)
    if first is Cause.VALUE_TOO_LONG:
        yield finding(Cause.LOST_SEPARATOR)
    foreign = _FOREIGN.search(_SYMBOLOGY.sub("", text, count=1))
    if foreign is not None and first is not Cause.BAD_CHARACTER:
        yield finding(Cause.BAD_CHARACTER)
    if foreign is not None or first is Cause.UNKNOWN_IDENTIFIER:
        yield finding(Cause.KEYBOARD_LAYOUT)
