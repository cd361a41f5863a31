"""Problem documents (RFC 9457): the answer to every failed request outside FHIR.

Owns the shape of the document and the turning of errors into it. The status follows from the error's category;
what nobody foresaw becomes a 500 that says nothing but its request id.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from starlette.exceptions import HTTPException

from careledger.primitives.errors import CodedError, Rejected
from careledger.web.errors import ROUTE_UNKNOWN, HttpRefused

CONTENT_TYPE = b"application/problem+json"
_URN = "urn:careledger:error"
_TITLE_UNFORESEEN = "The site failed to answer; the request id helps to find out why."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One refusal, ready to be shown."""

    status: int
    """HTTP status."""
    code: str
    """Stable name, such as `records.TAG_TAKEN`."""
    title: str
    """One plain sentence."""
    detail: str = ""
    """More about this occurrence; never any person's data."""
    at: str = ""
    """Where in the request."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Headers that go with it."""

    def document(self, request_id: str) -> dict[str, object]:
        """Return the problem document."""
        built: dict[str, object] = {
            "type": f"{_URN}:{self.code.replace('.', ':')}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            built["detail"] = self.detail
        if self.at:
            built["at"] = self.at
        built["request_id"] = request_id
        return built

    def encode(self, request_id: str) -> bytes:
        """Return the document's bytes."""
        return msgspec.json.encode(self.document(request_id))


def problem_of(error: Exception) -> Problem:
    """Return what to tell about an error."""
    if isinstance(error, CodedError):
        code = error.code
        return Problem(
            status=code.category.http_status,
            code=code.name,
            title=code.text,
            detail=error.detail,
            at=error.at,
            headers=headers_of(code.category.http_status),
        )
    if isinstance(error, HttpRefused):
        return Problem(status=error.status, code=f"web.{error.slug}", title=error.text, headers=error.headers)
    if isinstance(error, HTTPException):
        return _of_http(error)
    return Problem(status=500, code="web.INTERNAL", title=_TITLE_UNFORESEEN)


def _of_http(error: HTTPException) -> Problem:
    """Return what to tell about a refusal of the router itself: 404, 405 and malformed requests."""
    if error.status_code == 404:
        return problem_of(Rejected(ROUTE_UNKNOWN))
    allowed = (error.headers or {}).get("Allow", "")
    return Problem(
        status=error.status_code,
        code="web.METHOD_NOT_ALLOWED" if error.status_code == 405 else "web.REFUSED",
        title=f"This address takes only: {allowed}." if allowed else "The request is refused.",
        headers=((b"allow", allowed.encode("ascii")),) if allowed else (),
    )


def is_foreseen(error: Exception) -> bool:
    """Whether an error is a refusal rather than a fault of ours."""
    return isinstance(error, (CodedError, HttpRefused, HTTPException))


def headers_of(status: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that HTTP asks for beside a status."""
    if status == 401:
        return ((b"www-authenticate", b'Bearer realm="careledger"'),)
    if status == 413:
        return ((b"connection", b"close"),)
    if status in (429, 503):
        return ((b"retry-after", b"1"),)
    return ()
