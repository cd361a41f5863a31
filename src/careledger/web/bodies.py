"""Reading request bodies within a limit, before anything is parsed."""

from __future__ import annotations

from starlette.types import Receive

from careledger.primitives.errors import Rejected
from careledger.web.errors import BODY_TOO_LARGE, CLIENT_GONE, REQUEST_MALFORMED

_DIGITS_MAX = 12


async def read_body(receive: Receive, content_length: bytes | None, limit_bytes: int) -> bytes:
    """Return a request's body.

    Args:
        receive: the request's ASGI channel.
        content_length: value of the header, if there is one; a larger one is refused unread.
        limit_bytes: longest body allowed.

    Raises:
        Rejected: BODY_TOO_LARGE, REQUEST_MALFORMED for a length that is none, CLIENT_GONE.
    """
    if content_length is not None:
        if not content_length.isdigit() or len(content_length) > _DIGITS_MAX:
            raise Rejected(REQUEST_MALFORMED, "the content length is no number")
        if int(content_length) > limit_bytes:
            raise Rejected(BODY_TOO_LARGE, f"at most {limit_bytes} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Rejected(CLIENT_GONE)
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise Rejected(BODY_TOO_LARGE, f"at most {limit_bytes} bytes")
        if part:
            parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
