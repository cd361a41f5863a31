"""Findings on their way from the place where a check fails up to the resource.

A check returns nothing when all is well, which is the case to be fast in, and else a short list of
findings. Each caller puts its own name in front of their locations, so that a path is only ever built for
what is wrong.
"""

from collections.abc import Callable
from typing import TypeAlias

from careledger.standards.fhir.issues import Issue, IssueType, Severity

FINDINGS_MAX = 100
"""Findings reported of one document; a document full of faults must not cost more than one without."""


class Finding:
    """One failed rule at a place relative to the value that was checked."""

    __slots__ = ("code", "location", "nature", "severity", "subject", "text")

    def __init__(
        self,
        code: IssueType,
        text: str,
        location: str = "",
        *,
        severity: Severity = "error",
        nature: str = "",
        subject: tuple[str, frozenset[str]] | None = None,
    ) -> None:
        self.code: IssueType = code
        self.text = text
        self.location = location
        """Empty, or starting with ``.`` or ``[``."""
        self.severity: Severity = severity
        self.nature = nature
        """``null`` or ``local`` where an outer check knows whether this is a fault at all."""
        self.subject = subject
        """Of a ``local`` finding: the contained identifier and the types it may have."""

    def to_issue(self, root: str) -> Issue:
        """Return the finding as an issue below ``root``."""
        return Issue(self.code, root + self.location, self.text, self.severity)


Findings: TypeAlias = list[Finding]
Check: TypeAlias = Callable[[object], Findings | None]
"""Looks at one JSON value."""


def place(findings: Findings, prefix: str) -> Findings:
    """Put ``prefix``, such as ``.name`` or ``[2]``, in front of every location."""
    for finding in findings:
        finding.location = prefix + finding.location
    return findings


def wrong(code: IssueType, text: str, location: str = "") -> Findings:
    """Return a single finding."""
    return [Finding(code, text, location)]
