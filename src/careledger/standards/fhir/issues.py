"""What is wrong with a document, where, and in which words: the currency of all checks in this package.

An issue names a place and a rule; it never repeats what the document says, so that it may be logged and shown
(no personal data in errors). Names of members are repeated only where they could be element names.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["fatal", "error", "warning", "information"]
"""``OperationOutcome.issue.severity``."""

IssueType: TypeAlias = Literal[
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
]
"""``OperationOutcome.issue.code``: the codes of the issue-type value set of FHIR 4.0.1."""

_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding."""

    code: IssueType
    """Kind of problem."""
    location: str
    """FHIRPath such as ``Patient.name[0].family``; a JSON pointer where the type is not known; or empty."""
    text: str
    """One plain sentence without values of the document."""
    severity: Severity = "error"
    """How bad it is; ``fatal`` and ``error`` refuse the document."""

    @property
    def is_error(self) -> bool:
        """Whether the document must be refused for this."""
        return self.severity in ("fatal", "error")


class FhirError(Exception):
    """A document is refused; carries every finding that led to it."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("; ".join(f"{issue.location or 'document'}: {issue.text}" for issue in issues))
        self.issues = issues


def printable_name(name: str) -> str:
    """Return ``name`` when it could be an element's name, else ``?``: other text may be anybody's data."""
    return name if _NAME.fullmatch(name) else "?"
