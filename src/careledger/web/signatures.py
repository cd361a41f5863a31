"""HTTP Message Signatures between sites: requests and answers that prove who sent them, once.

Owns what is covered, for how long a signature counts, and the memory of nonces. The form of signature bases and
fields is the library's; the Ed25519 check is our own strict one. Who owns which key is the caller's `KeySource`.

A request covers method, target URI, content type and digest; an answer covers status, content type and digest,
and the request's method, target and signature, so it cannot be shown as the answer to another request.

Source: RFC 9421 (§2.2 derived components, §2.4 request components in answers, §3.3.6 ed25519), RFC 9530.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)

from careledger.primitives.signing import SignatureInvalid, public_key_of, sign, verify_signature
from careledger.vault.keys import SigningSeed

TAG: Final = "careledger-exchange"
"""Application tag (RFC 9421 §2.3): a signature made for another protocol does not count here."""
LABEL: Final = "site"
LIFETIME_S: Final = 60
SKEW_S: Final = 10
"""How far the clocks of two sites may differ."""
NONCE_BYTES: Final = 16
NONCES_MAX: Final = 200_000
SIGNATURE_CHARACTERS_MAX: Final = 4_096

_REQUEST_COMPONENTS: Final = ("@method", "@target-uri", "content-type", "content-digest")
_ANSWER_COMPONENTS: Final = (
    "@status",
    "content-type",
    "content-digest",
    '"@method";req',
    '"@target-uri";req',
    f'"signature";req;key="{LABEL}"',
)
_NONCE: Final = re.compile(r"[0-9a-f]{32}\Z")
_PARAMETERS: Final = frozenset({"created", "expires", "keyid", "nonce", "alg", "tag"})


class SignatureRefused(Exception):  # noqa: N818 - verification raises the outcome's name
    """A message whose signature does not count; the message says why, without its values."""


class NoncesUnknown(Exception):  # noqa: N818 - see SignatureRefused
    """Whether a nonce is new cannot be told for now; a passing state."""


class KeySource(Protocol):
    """Whose key a key identifier names."""

    def find_key(self, key_id: str) -> bytes | None:
        """Ed25519 public key that may sign now, or None."""


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request as it is signed."""

    method: str
    """In capitals."""
    url: str
    """Absolute and encoded, as the client addressed it."""
    headers: Mapping[str, str]
    """Fields by name; repeated ones joined by commas."""
    body: bytes


@dataclass(frozen=True, slots=True)
class AnswerMessage:
    """An answer as it is signed, with the request that it answers."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    request: RequestMessage


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that stands."""

    key_id: str
    nonce: str
    created_ms: int


class NonceMemory:
    """Nonces seen, for as long as their signatures count.

    It forgets when the process ends. Any request that the process before may have seen is therefore put off: what
    was made up to the skew after the time from which this memory is complete. So a site that is started anew
    takes requests again after the skew.
    """

    def __init__(self, *, clock_ms: Callable[[], int], since_ms: int | None = None) -> None:
        """Begin to remember.

        Args:
            clock_ms: the site's clock.
            since_ms: from when on this memory is complete; now by default, 0 for a site that never ran before.
        """
        self._clock_ms = clock_ms
        self._complete_ms = (clock_ms() if since_ms is None else since_ms) + SKEW_S * 1_000
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[int, tuple[str, str]]] = deque()

    def take(self, key_id: str, nonce: str, created_ms: int) -> None:
        """Note a nonce.

        Raises:
            SignatureRefused: It was seen before.
            NoncesUnknown: There is no room, or this memory began too lately.
        """
        now_ms = self._clock_ms()
        while self._order and self._order[0][0] <= now_ms:
            self._seen.discard(self._order.popleft()[1])
        if created_ms < self._complete_ms:
            raise NoncesUnknown("signed before this site was ready to tell repetitions")
        name = (key_id, nonce)
        if name in self._seen:
            raise SignatureRefused("the nonce was used before")
        if len(self._seen) >= NONCES_MAX:
            raise NoncesUnknown("too many requests within a minute")
        self._seen.add(name)
        # Kept from now on for longer than any signature counts, so that the order of arrival is that of leaving.
        self._order.append((now_ms + (LIFETIME_S + 2 * SKEW_S) * 1_000, name))


class MessageSigner:
    """Signs with one key of a site; the key's identifier is the public key itself, in hexadecimal."""

    def __init__(self, *, seed: SigningSeed, clock_ms: Callable[[], int]) -> None:
        self.key_id = public_key_of(seed.reveal()).hex()
        self._seed = seed
        self._clock_ms = clock_ms
        self._signer = HTTPMessageSigner(signature_algorithm=_Ed25519)

    def sign_request(self, method: str, url: str, body: bytes, content_type: str) -> dict[str, str]:
        """Header fields of a signed request, `Content-Type` included."""
        headers = {"Content-Type": content_type}
        request = RequestMessage(method, url, headers, body)
        self._sign(request, headers, _REQUEST_COMPONENTS, body)
        return headers

    def sign_answer(
        self, status: int, body: bytes, content_type: str, request: RequestMessage
    ) -> dict[str, str]:
        """Header fields of a signed answer to a signed request, `Content-Type` included."""
        headers = {"Content-Type": content_type}
        answer = AnswerMessage(status, headers, body, request)
        self._sign(answer, headers, _ANSWER_COMPONENTS, body)
        return headers

    def _sign(
        self,
        message: RequestMessage | AnswerMessage,
        headers: dict[str, str],
        components: tuple[str, ...],
        body: bytes,
    ) -> None:
        created = self._clock_ms() // 1_000
        prepared = self._signer.prepare(
            message,
            key_id=self.key_id,
            created=_instant(created),
            expires=_instant(created + LIFETIME_S),
            nonce=os.urandom(NONCE_BYTES).hex(),
            label=LABEL,
            tag=TAG,
            covered_component_ids=components,
            body=body,
        )
        self._signer.apply(message, prepared, sign(self._seed.reveal(), prepared.signature_base))
        del headers  # the signer wrote them: `message.headers` is the same mapping


class MessageVerifier:
    """Checks signatures against the keys of a source."""

    def __init__(
        self, keys: KeySource, *, clock_ms: Callable[[], int], nonces: NonceMemory | None = None
    ) -> None:
        self._clock_ms = clock_ms
        self._nonces = nonces
        self._verifier = _Verifier(keys, clock_ms)

    def verify_request(self, request: RequestMessage) -> Verified:
        """Check a request that came in.

        1. Exactly one signature, ours by its tag, over all components and the body's digest, within its time.
        2. The key is one that its owner may sign with now, and the signature stands.
        3. The nonce is new.

        Raises:
            SignatureRefused: One of these does not hold.
            NoncesUnknown: Whether the nonce is new cannot be told for now.
        """
        verified = self._verify(request, _REQUEST_COMPONENTS, request.body)
        if self._nonces is not None:
            self._nonces.take(verified.key_id, verified.nonce, verified.created_ms)
        return verified

    def verify_answer(self, answer: AnswerMessage) -> Verified:
        """Check the answer to a request of ours.

        Raises:
            SignatureRefused: It is not signed as an answer to that request.
        """
        return self._verify(answer, _ANSWER_COMPONENTS, answer.body)

    def _verify(
        self, message: RequestMessage | AnswerMessage, components: tuple[str, ...], body: bytes
    ) -> Verified:
        for name in ("signature", "signature-input", "content-digest"):
            found = [value for key, value in message.headers.items() if key.lower() == name]
            if len(found) != 1 or len(found[0]) > SIGNATURE_CHARACTERS_MAX:
                raise SignatureRefused(f"{name} is missing, repeated or too long")
        try:
            results = self._verifier.verify(
                message,
                max_age=dt.timedelta(seconds=LIFETIME_S),
                expect_tag=TAG,
                expect_label=LABEL,
                require_components=components,
                body=body,
            )
        except (InvalidSignature, HTTPMessageSignaturesException, ValueError) as error:
            raise SignatureRefused(f"the signature is refused ({type(error).__name__})") from None
        if len(results) != 1:
            raise SignatureRefused("there is not exactly one signature")
        parameters = results[0].parameters
        nonce, key_id = parameters.get("nonce"), parameters.get("keyid")
        created, expires = parameters.get("created"), parameters.get("expires")
        if (
            not isinstance(nonce, str)
            or not isinstance(key_id, str)
            or not isinstance(created, int)
            or not isinstance(expires, int)
            or set(parameters) != _PARAMETERS
        ):
            raise SignatureRefused("a parameter of the signature is missing or unknown")
        if _NONCE.match(nonce) is None or not created < expires <= created + LIFETIME_S:
            raise SignatureRefused("the nonce or the lifetime is not as it must be")
        return Verified(key_id, nonce, created * 1_000)


class _Ed25519(HTTPSignatureAlgorithm):
    """The library's seam for algorithms, over our own check: low-order and non-canonical inputs are refused."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: bytes | None = None, private_key: object = None, **_: object) -> None:
        self._public_key = public_key
        del private_key

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise if the signature does not stand."""
        try:
            verify_signature(self._public_key or b"", message, signature)
        except SignatureInvalid:
            raise InvalidSignature("the signature does not stand") from None


@dataclass
class _Keys(HTTPSignatureKeyResolver):
    source: KeySource

    def resolve_public_key(self, key_id: str) -> bytes | None:
        return self.source.find_key(key_id)


@dataclass
class _ClockPolicy:
    clock_ms: Callable[[], int] = field(repr=False)

    def check(self, parameters: Mapping[str, Any]) -> None:
        created, expires = parameters.get("created"), parameters.get("expires")
        if not isinstance(created, int) or not isinstance(expires, int):
            raise InvalidSignature("created and expires are needed")
        now_ms = self.clock_ms()
        if created * 1_000 > now_ms + SKEW_S * 1_000:
            raise InvalidSignature("created in the future")
        if expires * 1_000 + SKEW_S * 1_000 <= now_ms:
            raise InvalidSignature("expired")


class _Verifier(HTTPMessageVerifier):
    def __init__(self, keys: KeySource, clock_ms: Callable[[], int]) -> None:
        super().__init__(signature_algorithm=_Ed25519, key_resolver=_Keys(keys))
        self._policy = _ClockPolicy(clock_ms)

    def validate_created_and_expires(self, sig_input: Any, max_age: dt.timedelta | None = None) -> None:
        """Judge times by the site's own clock; lifetimes are bounded where the result is read."""
        del max_age
        self._policy.check(sig_input.params)


def _instant(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
