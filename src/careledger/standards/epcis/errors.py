"""What is wrong with an EPCIS document, and where.

Owns the located problem, its closed list of codes, and the exception for documents that cannot be used at
all. Texts name fields and positions, never the values found: a document may concern one patient's pack.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Severity(enum.StrEnum):
    """Whether a problem bars the event (or document) it belongs to."""

    ERROR = "error"
    WARNING = "warning"


class ProblemCode(enum.StrEnum):
    """Why something was refused or remarked upon; stable, so that partners can act on it."""

    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    TOO_MANY = "too-many"
    ENCODING = "encoding"
    SYNTAX = "syntax"
    DUPLICATE_KEY = "duplicate-key"
    FORBIDDEN_MARKUP = "forbidden-markup"
    NOT_EPCIS = "not-epcis"
    VERSION = "version"
    CONTEXT = "context"
    UNDECLARED_PREFIX = "undeclared-prefix"
    MISSING_FIELD = "missing-field"
    UNKNOWN_FIELD = "unknown-field"
    REPEATED_FIELD = "repeated-field"
    WRONG_TYPE = "wrong-type"
    NOT_A_URI = "not-a-uri"
    IDENTIFIER = "identifier"
    DUPLICATE_IDENTIFIER = "duplicate-identifier"
    CLASS_AS_INSTANCE = "class-as-instance"
    TIME = "time"
    TIME_ZONE = "time-zone"
    NUMBER = "number"
    VOCABULARY = "vocabulary"
    VOCABULARY_FORM = "vocabulary-form"
    ACTION = "action"
    ACTION_RULE = "action-rule"
    EVENT_TYPE = "event-type"
    EMPTY = "empty"
    UNIT = "unit"
    OUTDATED = "outdated"
    QUERY_PARAMETER = "query-parameter"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One remark on one place of a document."""

    code: ProblemCode
    message: str
    severity: Severity = Severity.ERROR

    pointer: str = ""
    """JSON pointer (RFC 6901) from the root of a JSON document; empty for XML."""

    xpath: str = ""
    """XPath from the root of an XML document; empty for JSON."""

    line: int = 0
    """Line in the source, counted from 1; 0 when not known."""

    @property
    def is_error(self) -> bool:
        """Whether the problem bars what it belongs to."""
        return self.severity is Severity.ERROR


class DocumentRejected(ValueError):  # noqa: N818 (reads as what it is)
    """A document that cannot be used as a whole.

    Attributes:
        problems: every problem found before giving up, at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.pointer or p.xpath}: {p.message}" for p in self.problems[:3]))


def reject(code: ProblemCode, message: str, *, pointer: str = "", line: int = 0) -> DocumentRejected:
    """Make the exception for a single problem of a document."""
    return DocumentRejected([Problem(code=code, message=message, pointer=pointer, line=line)])


def pointer_token(key: str) -> str:
    """Escape one key for a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
