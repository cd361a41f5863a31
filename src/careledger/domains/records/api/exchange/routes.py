"""The protocol between sites over HTTP: `POST /exchange/v1/...`, signed both ways.

Owns the way from a request to its checked sender and back to a signed answer. The signature is checked over the
bytes as they came, before anything of the body is read, and against this site's own address in the registry,
whatever the `Host` field says: a request that was signed for another site is not for this one.

Refusals are signed as well, and say a number and nothing else. Only a request whose signature cannot be read at
all is answered without one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import RegistryKeys, read_key_id
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.exchange.errors import (
    EXCHANGE_CODES,
    MESSAGE_INVALID,
    NOT_READY,
    SIGNATURE_REFUSED,
)
from careledger.domains.records.service.exchange.messages import (
    CONTENT_TYPE,
    PREFIX,
    REQUEST_BYTES_MAX,
    Refusal,
)
from careledger.domains.records.service.exchange.receiving import ExchangeDesk
from careledger.primitives.codec import encode
from careledger.primitives.errors import Category, Code, CodedError, Rejected, Unavailable, code_spaces
from careledger.web.errors import BODY_TOO_LARGE
from careledger.web.signatures import (
    MessageSigner,
    MessageVerifier,
    NonceMemory,
    NoncesUnknown,
    RequestMessage,
    SignatureRefused,
)

_LOG = logging.getLogger(__name__)
_MODULES: Final[dict[str, int]] = {}


class ExchangeRoutes:
    """Answers other sites' requests at one site."""

    def __init__(
        self,
        site: SiteContext,
        desk: ExchangeDesk,
        directory: Directory,
        signer: MessageSigner,
        *,
        nonces: NonceMemory | None = None,
    ) -> None:
        self._site = site
        self._desk = desk
        self._directory = directory
        self._signer = signer
        self._verifier = MessageVerifier(
            RegistryKeys(directory),
            clock_ms=site.clock_ms,
            nonces=nonces or NonceMemory(clock_ms=site.clock_ms),
        )

    def application(self) -> Starlette:
        """The application to mount at the site's root."""
        routes = [Route(PREFIX + path, self.answer, methods=["POST"], name=path) for path in self._desk.paths]
        return Starlette(routes=routes)

    async def answer(self, request: Request) -> Response:
        """Answer one request.

        1. The body is read, as far as it may be long.
        2. The request was signed for an address of this site, by a key of a present member, once.
        3. The desk answers, or refuses.
        4. The answer is signed as the answer to this request.
        """
        try:
            # 1.
            body = await _read_body(request)
            message = RequestMessage(request.method, self._target(request), _headers(request), body)
            # 2.
            sender = self._check_sender(message)
        except CodedError as error:
            return _unsigned(error)
        try:
            # 3.
            path = request.url.path.removeprefix(PREFIX)
            answer, status = await self._desk.receive(sender, path, body), 200
        except CodedError as error:
            answer, status = encode(_refusal(error)), error.code.category.http_status
        # 4.
        headers = self._signer.sign_answer(status, answer, CONTENT_TYPE, message)
        return Response(answer, status_code=status, headers=headers)

    def _target(self, request: Request) -> str:
        """The address that the request must be signed for: one of this site's own in the registry.

        Raises:
            Rejected: SIGNATURE_REFUSED, the `Host` field names none of them.
        """
        own = self._directory.by_slug(self._site.slug)
        host = request.headers.get("host", "").lower()
        for origin in own.endpoints if own is not None else ():
            if urlsplit(origin).netloc.lower() == host:
                return origin.rstrip("/") + request.url.path
        raise Rejected(SIGNATURE_REFUSED, "not addressed to this site")

    def _check_sender(self, message: RequestMessage) -> Member:
        if message.headers.get("content-type") != CONTENT_TYPE:
            raise Rejected(MESSAGE_INVALID, "not the media type of this protocol")
        try:
            verified = self._verifier.verify_request(message)
        except SignatureRefused as error:
            raise Rejected(SIGNATURE_REFUSED, str(error)) from None
        except NoncesUnknown as error:
            raise Unavailable(NOT_READY, str(error)) from None
        sender = self._directory.exchange_key_owner(read_key_id(verified.key_id) or b"")
        if sender is None:
            raise Rejected(SIGNATURE_REFUSED, "not a member's key any more")
        return sender


async def _read_body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length) > REQUEST_BYTES_MAX:
        raise Rejected(BODY_TOO_LARGE)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > REQUEST_BYTES_MAX:
            raise Rejected(BODY_TOO_LARGE)
        parts.append(part)
    return b"".join(parts)


def _headers(request: Request) -> Mapping[str, str]:
    """Fields by lower-case name; repeated ones joined by commas, as RFC 9110 §5.3 has it."""
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _refusal(error: CodedError) -> Refusal:
    return Refusal(_module_number(error.code), error.code.number, "")


def _unsigned(error: CodedError) -> Response:
    _LOG.info("request of another site refused", extra={"code": error.code.name})
    status = error.code.category.http_status
    headers = {"Retry-After": "1"} if error.code.category is Category.UNAVAILABLE else {}
    return Response(encode(_refusal(error)), status_code=status, media_type=CONTENT_TYPE, headers=headers)


def _module_number(code: Code) -> int:
    if code.module not in _MODULES:
        _MODULES.update({space.module: space.module_number for space in code_spaces()})
    return _MODULES.get(code.module, EXCHANGE_CODES.module_number)
