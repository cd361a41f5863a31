"""Texts as search compares them: folded, bounded, and as they sound.

Owns the folding of string search (FHIR R4 §3.1.1.4.9: case, accents and surplus white space do not count), the
bound on what is indexed of a long text, and the Soundex key of the `phonetic` parameters.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

TEXT_CHARS_MAX: Final = 1_024
"""Longest text indexed as it is. Search values are shorter, so a longer text can still be found by its start."""

_SOUNDEX_CHARS: Final = 4
_SOUNDEX: Final = {
    letter: digit
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), start=1)
    for letter in letters
}
_SILENT: Final = frozenset("hw")


def _strip_marks(text: str) -> str:
    """Decompose and drop combining marks."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def fold(text: str) -> str:
    """Return the text without case, accents and surplus white space; folding twice changes nothing."""
    if not text.isascii():
        # Case folding may bring back decomposable letters and the reverse; the second round settles both.
        text = _strip_marks(_strip_marks(text).casefold()).casefold()
    return " ".join(text.lower().split())


def bound(text: str) -> str:
    """Return the text, or its start and a digest of the whole when it is longer than `TEXT_CHARS_MAX`.

    Two different long texts stay different, and no search value can equal the result by accident: values are
    shorter than the start alone.
    """
    if len(text) <= TEXT_CHARS_MAX:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:TEXT_CHARS_MAX]}\x00{digest}"


def soundex(text: str) -> str:
    """Return the American Soundex key of a name (first letter and three digits), or nothing without a letter."""
    letters = [sign for sign in fold(text) if sign.isascii() and sign.isalpha()]
    if not letters:
        return ""
    key = letters[0].upper()
    last = _SOUNDEX.get(letters[0], 0)
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter, 0)
        if digit and digit != last:
            key += str(digit)
            if len(key) == _SOUNDEX_CHARS:
                break
        if letter not in _SILENT:
            last = digit
    return key.ljust(_SOUNDEX_CHARS, "0")
