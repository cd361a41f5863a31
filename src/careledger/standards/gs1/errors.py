"""What goes wrong with GS1 identifiers and element strings.

Owns the one exception type of this package and its closed list of codes. Texts name
application identifiers and positions, never the values read: a serial number in a log line
is somebody's medicine.
"""

from __future__ import annotations

import enum


class GS1Code(enum.StrEnum):
    """Why a GS1 text was refused; stable, so that callers may branch on it."""

    EMPTY = "empty"
    NOT_DIGITS = "not-digits"
    WRONG_LENGTH = "wrong-length"
    CHECK_DIGIT = "check-digit"
    CHARACTER = "character"
    UNKNOWN_AI = "unknown-ai"
    TRUNCATED = "truncated"
    TOO_LONG = "too-long"
    REPEATED_AI = "repeated-ai"
    DATE = "date"
    BRACKETS = "brackets"
    NOT_A_KEY = "not-a-key"
    URN_SYNTAX = "urn-syntax"
    URN_SCHEME = "urn-scheme"
    LINK_SYNTAX = "link-syntax"
    LINK_COMPRESSED = "link-compressed"
    PREFIX_LENGTH = "prefix-length"
    NDC = "ndc"
    SYMBOL = "symbol"
    IMAGE = "image"


class GS1Error(ValueError):
    """A text that does not follow the GS1 rules.

    Attributes:
        code: why, from a closed list.
        position: offset of the first offending character in the text given, in characters.
        ai: the application identifier concerned, or an empty string.
    """

    def __init__(self, code: GS1Code, message: str, *, position: int = 0, ai: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.position = position
        self.ai = ai
