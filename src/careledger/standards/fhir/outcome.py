"""OperationOutcome resources from issues, and what they say when all is well (FHIR R4 §2.36).

Knows nothing of HTTP: which status goes with an outcome is decided by the error's category at the gateway.
"""

from collections.abc import Iterable

from careledger.standards.fhir.issues import FhirError, Issue
from careledger.standards.fhir.json_types import JsonObject


def _is_expression(location: str) -> bool:
    """Return whether a location is FHIRPath; the others are JSON pointers and byte positions."""
    return location[:1].isupper() and "?" not in location


def build_issue(issue: Issue) -> JsonObject:
    """Return one entry of ``OperationOutcome.issue``."""
    built: JsonObject = {"severity": issue.severity, "code": issue.code}
    if issue.location and not _is_expression(issue.location):
        built["diagnostics"] = f"{issue.text} (at {issue.location})"
    else:
        built["diagnostics"] = issue.text
    if issue.location and _is_expression(issue.location):
        built["expression"] = [issue.location]
    return built


def build_outcome(issues: Iterable[Issue]) -> JsonObject:
    """Return the OperationOutcome that reports ``issues``, or that all is well when there are none."""
    reported = [build_issue(issue) for issue in issues]
    if not reported:
        reported = [
            {"severity": "information", "code": "informational", "diagnostics": "no issues were found"}
        ]
    return {"resourceType": "OperationOutcome", "issue": reported}


def outcome_of(error: FhirError) -> JsonObject:
    """Return the OperationOutcome of a refused document."""
    return build_outcome(error.issues)
