"""From errors to statuses and OperationOutcomes: what every refusal under the FHIR base says.

A coded error's status follows from its category. A refused document is 400 where it is malformed and 422 where it is
well-formed FHIR that breaks a rule; a patch that does not fit is 422, and 409 where its own test failed (FHIR R4
§3.1.0.8, §3.1.0.13). What nobody foresaw is a 500 that names nothing but the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.domains.records.api.errors import PAGE_EXPIRED, PAGE_REFUSED
from careledger.domains.records.service.index.page_links import PageLinkExpired, PageLinkRefused
from careledger.primitives.errors import Category, CodedError, Rejected
from careledger.standards.fhir.issues import FhirError, Issue, IssueType
from careledger.standards.fhir.json_reader import JsonError
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.outcome import build_outcome
from careledger.standards.fhir.patch import PatchError
from careledger.standards.fhir.search.query import Issue as SearchIssue
from careledger.standards.fhir.search.query import SearchRejected
from careledger.storage.sqlite import StorageBusy
from careledger.web.errors import HttpRefused
from careledger.web.problem import headers_of

CODE_SYSTEM: Final = "urn:careledger:error"
"""System of the codings that name our own codes in `issue.details`."""

_ISSUE_TYPES: Final[dict[Category, IssueType]] = {
    Category.INVALID: "invalid",
    Category.UNAUTHENTICATED: "login",
    Category.FORBIDDEN: "forbidden",
    Category.NOT_FOUND: "not-found",
    Category.CONFLICT: "conflict",
    Category.GONE: "deleted",
    Category.PRECONDITION: "conflict",
    Category.TOO_LARGE: "too-long",
    Category.UNPROCESSABLE: "business-rule",
    Category.LIMITED: "throttled",
    Category.UNAVAILABLE: "transient",
}
_HTTP_ISSUES: Final[dict[int, IssueType]] = {
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    415: "not-supported",
}
_SEARCH_ISSUES: Final[dict[SearchIssue, IssueType]] = {
    SearchIssue.INVALID: "invalid",
    SearchIssue.NOT_SUPPORTED: "not-supported",
    SearchIssue.TOO_COSTLY: "too-costly",
}
_RULE_ISSUES: Final = frozenset({"invariant", "business-rule", "code-invalid", "extension"})
"""Findings about well-formed resources; all others mean that the document itself is malformed."""
_SLUGS: Final[dict[str, IssueType]] = {
    "CONDITION_AMBIGUOUS": "multiple-matches",
    "PAGE_EXPIRED": "expired",
    "TOKEN_EXPIRED": "expired",
    "TYPE_NOT_SERVED": "not-supported",
}


class DocumentMisfit(FhirError):  # noqa: N818 - the outcome's name
    """A document is well-formed, but what it asks for does not fit the resource as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What to tell about an error."""

    status: int
    code: str
    """Stable name for logs; empty when there is only a list of findings."""
    outcome: JsonObject
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body(self) -> bytes:
        """Return the OperationOutcome as JSON."""
        return write_json(self.outcome)


def refusal_of(error: Exception, request_id: str = "") -> Refusal:
    """Return what to tell about an error.

    Args:
        error: anything a handler raised.
        request_id: named in answers to what nobody foresaw.
    """
    if isinstance(error, CodedError):
        return _coded(error)
    if isinstance(error, FhirError):
        return Refusal(
            status=_status_of_findings(error),
            code=f"fhir.{type(error).__name__}",
            outcome=build_outcome(error.issues),
        )
    if isinstance(error, SearchRejected):
        where = f" ({error.at})" if error.at else ""
        return Refusal(
            status=400,
            code=f"search.{error.issue.name}",
            outcome=build_outcome([Issue(_SEARCH_ISSUES[error.issue], "", f"{error.text}{where}")]),
        )
    if isinstance(error, PageLinkRefused):
        return _coded(Rejected(PAGE_REFUSED))
    if isinstance(error, PageLinkExpired):
        return _coded(Rejected(PAGE_EXPIRED))
    if isinstance(error, HttpRefused):
        issue = _HTTP_ISSUES.get(error.status, "processing")
        return Refusal(
            status=error.status,
            code=f"web.{error.slug}",
            outcome=build_outcome([Issue(issue, "", error.text)]),
            headers=error.headers,
        )
    if isinstance(error, StorageBusy):
        text = "The site's storage is busy; try again."
        return Refusal(
            status=503,
            code="storage.BUSY",
            outcome=build_outcome([Issue("transient", "", text)]),
            headers=headers_of(503),
        )
    named = f"; the request is {request_id}" if request_id else ""
    text = f"The site failed to answer{named}."
    return Refusal(
        status=500, code="web.INTERNAL", outcome=build_outcome([Issue("exception", "", text, "fatal")])
    )


def _coded(error: CodedError) -> Refusal:
    code = error.code
    issue = _SLUGS.get(code.slug) or _ISSUE_TYPES[code.category]
    text = " ".join(part for part in (code.text, error.detail) if part)
    outcome = build_outcome([Issue(issue, error.at, text)])
    items = outcome["issue"]
    if isinstance(items, list) and isinstance(items[0], dict):
        items[0]["details"] = {"coding": [{"system": CODE_SYSTEM, "code": code.name}]}
    status = code.category.http_status
    return Refusal(status=status, code=code.name, outcome=outcome, headers=headers_of(status))


def _status_of_findings(error: FhirError) -> int:
    if isinstance(error, DocumentMisfit):
        return 422
    if isinstance(error, PatchError):
        return 409 if error.is_test_failure else 400
    if isinstance(error, JsonError):
        return 400
    is_rule = all(issue.code in _RULE_ISSUES for issue in error.issues if issue.is_error)
    return 422 if is_rule else 400


def is_unforeseen(error: Exception) -> bool:
    """Whether an error is a fault of ours, to be reported to whoever runs the site."""
    return refusal_of(error).status == 500
