"""Reading request bodies within a limit, before anything is parsed."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive

from careledger.primitives.errors import Rejected
from careledger.web.errors import BODY_TOO_LARGE, CLIENT_GONE, REQUEST_MALFORMED, HttpRefused

BODY_S: Final = 120.0
"""Longest time a body may take to arrive; a client that sends slower holds memory and places of others."""
_DIGITS_MAX: Final = 12


async def read_body(receive: Receive, content_length: bytes | None, limit_bytes: int) -> bytes:
    """Return a request's body.

    Args:
        receive: the request's ASGI channel.
        content_length: value of the header, if there is one; a larger one is refused unread.
        limit_bytes: longest body allowed.

    Raises:
        Rejected: BODY_TOO_LARGE, REQUEST_MALFORMED for a length that is none, CLIENT_GONE.
        HttpRefused: 408, the body does not arrive in time.
    """
    if content_length is not None:
        if not content_length.isdigit() or len(content_length) > _DIGITS_MAX:
            raise Rejected(REQUEST_MALFORMED, "the content length is no number")
        if int(content_length) > limit_bytes:
            raise Rejected(BODY_TOO_LARGE, f"at most {limit_bytes} bytes")
    try:
        async with asyncio.timeout(BODY_S):
            return await _gather(receive, limit_bytes)
    except TimeoutError:
        raise HttpRefused(
            408,
            "BODY_TOO_SLOW",
            "The request's body did not arrive in time.",
            headers=((b"connection", b"close"),),
        ) from None


async def _gather(receive: Receive, limit_bytes: int) -> bytes:
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
