"""Capture jobs: what became of a document handed to a repository.

Owns the `EPCISCaptureJob` of EPCIS 2.0 §12.6.1 in XML and JSON. Whether events are rolled back or kept is decided
by the service; this is only the form.
"""

from __future__ import annotations

import enum

import msgspec

from careledger.standards.epcis.errors import ProblemCode, reject
from careledger.standards.epcis.json_text import encode_json, parse_json
from careledger.standards.epcis.limits import DEFAULT_LIMITS, Limits
from careledger.standards.epcis.timestamps import Instant, InvalidTime, parse_instant
from careledger.standards.epcis.xml_content import child_elements, split_tag
from careledger.standards.epcis.xml_text import parse_xml

_ROOT = "{urn:epcglobal:epcis:xsd:2}EPCISCaptureJob"
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class ErrorBehaviour(enum.StrEnum):
    """What happens to a document when one of its events is refused (`GS1-Capture-Error-Behaviour`)."""

    ROLLBACK = "rollback"
    PROCEED = "proceed"


class CaptureProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem detail (RFC 9457) of a capture job."""

    type: str
    title: str
    status: int | None = None
    detail: str = ""
    instance: str = ""


class CaptureJob(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one capture."""

    capture_id: str
    running: bool
    success: bool
    error_behaviour: ErrorBehaviour = ErrorBehaviour.ROLLBACK
    created_at: Instant | None = None
    finished_at: Instant | None = None
    errors: tuple[CaptureProblem, ...] = ()

    error_file: str = ""
    """Address of the errors, when there are too many to list."""


def read_capture_job(data: bytes, content_type: str = "", *, limits: Limits = DEFAULT_LIMITS) -> CaptureJob:
    """Read a capture job.

    Raises:
        DocumentRejected: NOT_EPCIS, MISSING_FIELD, WRONG_TYPE or TIME, besides what parsing raises.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    is_json = media_type.endswith("json") or (not media_type and data.lstrip()[:1] == b"{")
    return _from_json(parse_json(data, limits)) if is_json else _from_xml(data, limits)


def _instant(value: object, place: str) -> Instant | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            return parse_instant(value)
    except InvalidTime:
        pass
    raise reject(ProblemCode.TIME, "a date and time with time zone is expected", pointer=place)


def _behaviour(value: object, place: str) -> ErrorBehaviour:
    for known in ErrorBehaviour:
        if value == known.value:
            return known
    raise reject(ProblemCode.WRONG_TYPE, "rollback or proceed is expected", pointer=place)


def _text(value: object, place: str) -> str:
    if isinstance(value, str):
        return value
    raise reject(ProblemCode.WRONG_TYPE, "a text is expected", pointer=place)


def _truth(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    raise reject(ProblemCode.WRONG_TYPE, "true or false is expected", pointer=place)


def _status(value: object, place: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise reject(ProblemCode.WRONG_TYPE, "a whole number is expected", pointer=place)


def _from_json(parsed: object) -> CaptureJob:
    if not isinstance(parsed, dict) or "captureID" not in parsed:
        raise reject(ProblemCode.NOT_EPCIS, "not a capture job", pointer="/captureID")
    errors = parsed.get("errors", [])
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        raise reject(ProblemCode.WRONG_TYPE, "a list of problems is expected", pointer="/errors")
    return CaptureJob(
        capture_id=_text(parsed["captureID"], "/captureID"),
        running=_truth(parsed.get("running"), "/running"),
        success=_truth(parsed.get("success"), "/success"),
        error_behaviour=_behaviour(parsed.get("captureErrorBehaviour", "rollback"), "/captureErrorBehaviour"),
        created_at=_instant(parsed.get("createdAt"), "/createdAt"),
        finished_at=_instant(parsed.get("finishedAt"), "/finishedAt"),
        errors=tuple(_problem(error, f"/errors/{number}") for number, error in enumerate(errors)),
        error_file=_text(parsed.get("errorFile", ""), "/errorFile"),
    )


def _problem(error: dict[str, object], place: str) -> CaptureProblem:
    return CaptureProblem(
        type=_text(error.get("type"), f"{place}/type"),
        title=_text(error.get("title"), f"{place}/title"),
        status=_status(error.get("status"), f"{place}/status"),
        detail=_text(error.get("detail", ""), f"{place}/detail"),
        instance=_text(error.get("instance", ""), f"{place}/instance"),
    )


def _from_xml(data: bytes, limits: Limits) -> CaptureJob:
    """Bring the XML form to the members of the JSON form."""
    root = parse_xml(data, limits)
    if root.tag != _ROOT:
        raise reject(ProblemCode.NOT_EPCIS, "not a capture job", line=root.sourceline or 0)
    members: dict[str, object] = {"captureID": root.get("captureID")}
    for name in ("running", "success"):
        members[name] = _TRUTH.get((root.get(name) or "").strip())
    for child in child_elements(root):
        if child.tag == "errors":
            members["errors"] = [
                {split_tag(str(part.tag))[1]: (part.text or "").strip() for part in child_elements(error)}
                for error in child_elements(child)
            ]
        else:
            members[str(child.tag)] = (child.text or "").strip()
    errors = members.get("errors", [])
    if isinstance(errors, list):
        for error in errors:
            status = error.get("status", "")
            error["status"] = int(status) if status.lstrip("-").isdecimal() and len(status) < 10 else None
    return _from_json(members)


def write_capture_job(job: CaptureJob) -> bytes:
    """Write a capture job as JSON."""
    members: dict[str, object] = {
        "captureID": job.capture_id,
        "running": job.running,
        "success": job.success,
        "captureErrorBehaviour": job.error_behaviour.value,
    }
    if job.created_at is not None:
        members["createdAt"] = job.created_at.text
    if job.finished_at is not None:
        members["finishedAt"] = job.finished_at.text
    if job.errors:
        members["errors"] = [
            {
                name: value
                for name, value in (
                    ("type", problem.type),
                    ("title", problem.title),
                    ("status", problem.status),
                    ("detail", problem.detail),
                    ("instance", problem.instance),
                )
                if value not in (None, "")
            }
            for problem in job.errors
        ]
    if job.error_file:
        members["errorFile"] = job.error_file
    return encode_json(members)
