"""Requests to other sites: signed, to registry addresses only, without redirects, within time and size.

Owns the way there and back. An answer counts only if the other organisation signed it as the answer to exactly
this request; a refusal without such a signature is an unreachable site.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpx

from careledger.domains.records.service.exchange.dialling import (
    AddressPolicy,
    Dialled,
    Resolve,
    dial,
    resolve_name,
)
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.exchange.errors import ANSWER_INVALID, PEER_UNKNOWN, PEER_UNREACHABLE
from careledger.domains.records.service.exchange.messages import (
    ANSWER_BYTES_MAX,
    CONTENT_TYPE,
    PREFIX,
    Refusal,
    read_answer,
)
from careledger.primitives.errors import Category, Rejected, Unavailable, find_code
from careledger.web.signatures import (
    AnswerMessage,
    MessageSigner,
    MessageVerifier,
    RequestMessage,
    SignatureRefused,
)

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0

_RETRYABLE: Final = (Category.UNAVAILABLE, Category.LIMITED)


class RegistryKeys:
    """Keys of HTTP signatures: a key identifier is the public key itself, in hexadecimal."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find_key(self, key_id: str) -> bytes | None:
        """Key, if some present member may sign with it now."""
        public_key = read_key_id(key_id)
        if public_key is None or self._directory.exchange_key_owner(public_key) is None:
            return None
        return public_key


def read_key_id(key_id: str) -> bytes | None:
    """Public key that a key identifier stands for."""
    try:
        public_key = bytes.fromhex(key_id)
    except ValueError:
        return None
    return public_key if len(public_key) == 32 and public_key.hex() == key_id else None


class ExchangeClient:
    """Calls other sites on behalf of one organisation."""

    def __init__(
        self,
        directory: Directory,
        signer: MessageSigner,
        *,
        clock_ms: Callable[[], int],
        policy: AddressPolicy,
        resolve: Resolve = resolve_name,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._directory = directory
        self._signer = signer
        self._verifier = MessageVerifier(RegistryKeys(directory), clock_ms=clock_ms)
        self._policy = policy
        self._resolve = resolve
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def call(
        self, member: Member, path: str, body: bytes, *, answer_bytes_max: int = ANSWER_BYTES_MAX
    ) -> bytes:
        """Send a request to a member and return the body of its signed answer.

        Args:
            member: who is asked; its addresses are the registry's.
            path: what is asked, below `/exchange/v1`.
            body: the request's body.
            answer_bytes_max: longest answer that is read.

        Raises:
            Rejected: What the other site refused with; ADDRESS_REFUSED, ANSWER_INVALID, PEER_UNKNOWN.
            Unavailable: PEER_UNREACHABLE, or what the other site said that passes.
        """
        if not member.endpoints:
            raise Rejected(PEER_UNKNOWN, "the organisation has no address")
        unreachable: Unavailable | None = None
        for origin in member.endpoints:
            try:
                dialled = await dial(origin, self._policy, self._resolve)
                return await self._call(member, origin, dialled, path, body, answer_bytes_max)
            except httpx.ConnectError:
                unreachable = Unavailable(PEER_UNREACHABLE, "no connection")
            except httpx.HTTPError as error:
                raise Unavailable(PEER_UNREACHABLE, type(error).__name__) from None
            except Unavailable as error:
                if error.code is not PEER_UNREACHABLE:
                    raise
                unreachable = error
        raise unreachable or Unavailable(PEER_UNREACHABLE)

    async def _call(
        self, member: Member, origin: str, dialled: Dialled, path: str, body: bytes, most: int
    ) -> bytes:
        url = origin.rstrip("/") + PREFIX + path
        headers = self._signer.sign_request("POST", url, body, CONTENT_TYPE)
        request = self._client.build_request(
            "POST",
            dialled.origin + PREFIX + path,
            content=body,
            headers={**headers, "Host": dialled.authority, "Accept-Encoding": "identity"},
            extensions={"sni_hostname": dialled.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            content = await _read_bounded(response, most)
        finally:
            await response.aclose()
        answered = dict(response.headers.items())
        try:
            verified = self._verifier.verify_answer(
                AnswerMessage(
                    response.status_code, answered, content, RequestMessage("POST", url, headers, body)
                )
            )
        except SignatureRefused as error:
            if response.is_success:
                raise Rejected(ANSWER_INVALID, str(error)) from None
            # A proxy, or a site that could not even read the request: nobody's word.
            raise Unavailable(PEER_UNREACHABLE, f"status {response.status_code}") from None
        owner = self._directory.exchange_key_owner(read_key_id(verified.key_id) or b"")
        if owner is None or owner.organisation != member.organisation:
            raise Rejected(ANSWER_INVALID, "signed by another organisation")
        if response.status_code != httpx.codes.OK:
            raise _refusal(content)
        return content


async def _read_bounded(response: httpx.Response, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            raise Rejected(ANSWER_INVALID, "too long")
        parts.append(part)
    return b"".join(parts)


def _refusal(content: bytes) -> Rejected | Unavailable:
    refusal = read_answer(content, Refusal)
    code = find_code(refusal.module, refusal.code)
    if code is None:
        return Unavailable(PEER_UNREACHABLE, f"refused with {refusal.module}/{refusal.code}")
    kind = Unavailable if code.category in _RETRYABLE else Rejected
    return kind(code)  # its words stay with it: they may say what must not be logged here
