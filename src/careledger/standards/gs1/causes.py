"""Why a scan went wrong, in words for the person holding the pack.

Owns the closed list of causes with one sentence each and what to do. Does not decide which applies:
that is `scan`. Pages may translate by cause; these English sentences are the reference.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Cause(enum.StrEnum):
    """A named reason; stable, so that pages and reports may count and translate it."""

    EMPTY = "empty"
    LOST_SEPARATOR = "lost-separator"
    REPLACED_SEPARATOR = "replaced-separator"
    WRONG_CASE = "wrong-case"
    KEYBOARD_LAYOUT = "keyboard-layout"
    SWAPPED_Y_Z = "swapped-y-z"
    BAD_CHECK_DIGIT = "bad-check-digit"
    IMPOSSIBLE_DATE = "impossible-date"
    TRUNCATED = "truncated"
    VALUE_TOO_LONG = "value-too-long"
    BAD_CHARACTER = "bad-character"
    UNKNOWN_IDENTIFIER = "unknown-identifier"
    CONTRADICTION = "contradiction"
    MISSING_SERIAL = "missing-serial"
    MISSING_PRODUCT = "missing-product"
    DOUBLED_SCAN = "doubled-scan"
    TWO_CODES = "two-codes"
    LINEAR_BARCODE = "linear-barcode"
    NOT_A_GS1_SYMBOL = "not-a-gs1-symbol"
    OTHER_CODING_SYSTEM = "other-coding-system"
    WEB_LINK = "web-link"
    COMPRESSED_LINK = "compressed-link"
    URL_PREFIX = "url-prefix"
    UNEXPECTED_PREFIX = "unexpected-prefix"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One probable cause, explained."""

    cause: Cause
    sentence: str
    advice: str

    detail: str = ""
    """Which keyboard, which application identifier, which coding system; never a value read."""


_RESCAN: Final = "Scan the square code again, holding the scanner steady."
_SETTINGS: Final = (
    "Ask whoever looks after the scanners to correct the setting; until then check the reading by eye."
)

_TEXTS: dict[Cause, tuple[str, str]] = {
    Cause.EMPTY: ("Nothing was read.", _RESCAN),
    Cause.LOST_SEPARATOR: (
        "The scanner dropped the invisible sign between batch and serial number, so the two ran together.",
        (
            "Compare batch and serial number with the pack. The scanner must be set to send the group separator "
            "(GS, ASCII 29)."
        ),
    ),
    Cause.REPLACED_SEPARATOR: (
        "The scanner sent another sign in place of the invisible separator.",
        _SETTINGS,
    ),
    Cause.WRONG_CASE: (
        "Capital and small letters are exchanged, usually because Caps Lock or Shift was on.",
        "Switch off Caps Lock and scan again.",
    ),
    Cause.KEYBOARD_LAYOUT: (
        "Scanner and computer are set to different keyboards, so signs were exchanged.",
        "Set both to the same keyboard language, then scan again.",
    ),
    Cause.SWAPPED_Y_Z: (
        "The letters Y and Z may be exchanged, as happens between English and German keyboards.",
        "Compare every Y and Z with the pack; set scanner and computer to the same keyboard language.",
    ),
    Cause.BAD_CHECK_DIGIT: (
        "The product number does not add up, so at least one digit is wrong.",
        "Scan again. If it was typed, compare it with the pack. If it stays wrong, set the pack aside.",
    ),
    Cause.IMPOSSIBLE_DATE: (
        "The code contains a date that does not exist.",
        "Scan again. If it stays wrong, set the pack aside and report it: real codes carry real dates.",
    ),
    Cause.TRUNCATED: ("The code breaks off before its end.", _RESCAN),
    Cause.VALUE_TOO_LONG: (
        "One part of the code is longer than it may be, as when two scans run together.",
        "Empty the field and scan once.",
    ),
    Cause.BAD_CHARACTER: (
        "The code contains a sign that no GS1 code may contain.",
        "Scan again; if it stays, the scanner settings or the print are at fault.",
    ),
    Cause.UNKNOWN_IDENTIFIER: (
        "The code does not start the way a GS1 code does, or is garbled inside.",
        _RESCAN,
    ),
    Cause.CONTRADICTION: (
        "The code says the same thing twice, differently.",
        "Set the pack aside and report it: a correctly printed code does not contradict itself.",
    ),
    Cause.MISSING_SERIAL: (
        "The code names the product but no serial number.",
        (
            "Scan the square code (DataMatrix) on the pack, not the striped one. Products without safety features "
            "have no serial number and need no check."
        ),
    ),
    Cause.MISSING_PRODUCT: (
        "The code carries batch, date or serial number, but not the product.",
        "Look for a second code on the pack and scan that one.",
    ),
    Cause.DOUBLED_SCAN: (
        "The same code was read twice in a row.",
        "Nothing to do; the scanner's double-read delay can be lengthened.",
    ),
    Cause.TWO_CODES: (
        "Two different codes ended up in one field.",
        "Empty the field and scan one pack at a time.",
    ),
    Cause.LINEAR_BARCODE: (
        "This is the striped product barcode, which has no serial number.",
        "Scan the square code (DataMatrix) on the same pack.",
    ),
    Cause.NOT_A_GS1_SYMBOL: (
        "The code is printed without the mark that makes it a GS1 code.",
        "If product, batch and serial number match the pack, the print is at fault: report it to the maker.",
    ),
    Cause.OTHER_CODING_SYSTEM: (
        "This code belongs to another coding system.",
        "Look for a GS1 DataMatrix on the pack and scan that one.",
    ),
    Cause.WEB_LINK: (
        "This code opens a web page; it does not identify the pack.",
        "Scan the square code beside the batch number and expiry date.",
    ),
    Cause.COMPRESSED_LINK: (
        "This code is a compressed GS1 link, which is not supported here.",
        "Scan the DataMatrix on the pack instead.",
    ),
    Cause.URL_PREFIX: (
        "A web address was put in front of the code, usually by a telephone application.",
        "Read the code with the scanner, or switch off the address in the application.",
    ),
    Cause.UNEXPECTED_PREFIX: (
        "The scanner put signs in front of the code that do not belong to it.",
        _SETTINGS,
    ),
}


def finding(cause: Cause, detail: str = "") -> Finding:
    """Give the finding for a cause, with an optional detail (never a value read)."""
    sentence, advice = _TEXTS[cause]
    return Finding(cause=cause, sentence=sentence, advice=advice, detail=detail)
