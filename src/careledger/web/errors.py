"""Refusals that belong to HTTP and to access, not to any domain (code space `web`, number 120).

A `CodedError` has its HTTP status from its category alone. `HttpRefused` is for the few statuses that only HTTP
itself knows (405, 406, 415): they say nothing about what was asked for, only about how.
"""

from __future__ import annotations

from collections.abc import Sequence

from careledger.primitives.errors import Category, CodeSpace

WEB_CODES = CodeSpace("web", 120)

TOKEN_MISSING = WEB_CODES.define(
    1, "TOKEN_MISSING", Category.UNAUTHENTICATED, "The request carries no access token."
)
TOKEN_INVALID = WEB_CODES.define(
    2, "TOKEN_INVALID", Category.UNAUTHENTICATED, "The access token is not one that this site accepts."
)
TOKEN_EXPIRED = WEB_CODES.define(
    3, "TOKEN_EXPIRED", Category.UNAUTHENTICATED, "The access token has expired or was revoked."
)
SCOPE_INSUFFICIENT = WEB_CODES.define(
    4, "SCOPE_INSUFFICIENT", Category.FORBIDDEN, "The access token does not allow this interaction."
)
BODY_TOO_LARGE = WEB_CODES.define(
    5, "BODY_TOO_LARGE", Category.TOO_LARGE, "The request's body is larger than this site accepts."
)
ROUTE_UNKNOWN = WEB_CODES.define(6, "ROUTE_UNKNOWN", Category.NOT_FOUND, "There is nothing at this address.")
TOO_MANY_REQUESTS = WEB_CODES.define(
    7, "TOO_MANY_REQUESTS", Category.LIMITED, "The client sends more requests than it may."
)
OVERLOADED = WEB_CODES.define(
    8, "OVERLOADED", Category.UNAVAILABLE, "The site has more requests under way than it takes."
)
REQUEST_MALFORMED = WEB_CODES.define(
    9, "REQUEST_MALFORMED", Category.INVALID, "The request cannot be understood."
)
SCOPE_MALFORMED = WEB_CODES.define(
    10, "SCOPE_MALFORMED", Category.INVALID, "The scopes asked for are malformed or unknown."
)
CLIENT_GONE = WEB_CODES.define(
    11, "CLIENT_GONE", Category.INVALID, "The connection ended before the request was complete."
)


class HttpRefused(Exception):  # noqa: N818 - the outcome's name, as with `Rejected`
    """A request is refused for the way it uses HTTP."""

    def __init__(
        self, status: int, slug: str, text: str, *, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(status, slug, text)
        self.status = status
        self.slug = slug
        """UPPER_SNAKE name, stable."""
        self.text = text
        """One plain sentence without data of any person."""
        self.headers = tuple(headers)
        """Further headers of the answer, such as `allow`."""


def method_not_allowed(allowed: Sequence[str]) -> HttpRefused:
    """Refusal of a method that an address does not take (RFC 9110 §15.5.6)."""
    listed = ", ".join(allowed)
    return HttpRefused(
        405,
        "METHOD_NOT_ALLOWED",
        f"This address takes only: {listed or 'nothing'}.",
        headers=((b"allow", listed.encode("ascii")),),
    )
