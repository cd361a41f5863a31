"""The token endpoint: Backend Services of SMART App Launch 2.2 (OAuth 2.0 client credentials, RFC 7523 assertions).

A registered client proves who it is with a JWT signed by its own key, used once, valid for at most five minutes, and
made for this endpoint. It is given a token for the scopes it asks for, if its registration covers every one of them.
Refusals are OAuth's own error documents (RFC 6749 §5.2) and say nothing about which clients there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from careledger.standards.fhir.search.request import parse_query_string
from careledger.web.bodies import read_body
from careledger.web.manifest import Operation
from careledger.web.principal import Purpose
from careledger.web.smart_scopes import GrantedScopes, ResourceScope, ScopeError, parse_scopes
from careledger.web.tokens import SYSTEM_LIFETIME_S_MAX, TokenIssuer

TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - an address
KEYS_PATH: Final = "/.well-known/jwks.json"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("RS384", "ES384", "Ed25519")
ASSERTION_LIFETIME_S_MAX: Final = 300
ASSERTIONS_KEPT_MAX: Final = 100_000
_BODY_BYTES_MAX: Final = 32_768
_CLOCK_SKEW_S: Final = 30
_JTI_CHARS_MAX: Final = 256

TOKEN_OPERATIONS: Final = (
    Operation(
        method="POST",
        path=TOKEN_PATH,
        name="issueToken",
        text="An access token for a registered client (SMART Backend Services).",
        request_type="application/x-www-form-urlencoded",
        answers={200: "The token."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path=KEYS_PATH,
        name="showKeys",
        text="The keys that verify this site's tokens.",
        answers={200: "A JWK set."},
        is_public=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A program that may ask for tokens."""

    client_id: str
    keys: tuple[Mapping[str, str], ...]
    """Its public keys as JWKs, each with a `kid`."""
    role: str
    scopes: str
    """What it may be granted at most."""
    purpose: Purpose = Purpose.TREATMENT


class Clients(Protocol):
    """Which clients there are."""

    def find(self, client_id: str) -> RegisteredClient | None:
        """Return a client, or None."""


class OAuthRefused(Exception):  # noqa: N818 - the outcome's name
    """A request for a token is refused (RFC 6749 §5.2)."""

    def __init__(self, error: str, text: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.text = text
        self.status = status


class TokenEndpoint:
    """Gives tokens to registered clients of one site."""

    def __init__(
        self, issuer: TokenIssuer, clients: Clients, *, token_url: str, clock_ms: Callable[[], int]
    ) -> None:
        """Build the endpoint.

        Args:
            issuer: signs the tokens.
            clients: who may have some.
            token_url: the endpoint's own URL, which assertions must name as their audience.
            clock_ms: current time.
        """
        self._issuer = issuer
        self._clients = clients
        self._token_url = token_url
        self._clock_ms = clock_ms
        self._used: dict[tuple[str, str], int] = {}

    def routes(self) -> list[BaseRoute]:
        """Return the endpoint's routes."""
        return [
            Route(TOKEN_PATH, self.answer, methods=["POST"]),
            Route(KEYS_PATH, self.show_keys, methods=["GET"]),
        ]

    async def show_keys(self, _: Request) -> Response:
        """Answer with the keys that verify this site's tokens."""
        return Response(msgspec.json.encode({"keys": [self._issuer.jwk]}), media_type="application/json")

    async def answer(self, request: Request) -> Response:
        """Answer a request for a token."""
        length = request.headers.get("content-length")
        body = await read_body(
            request.receive, None if length is None else length.encode("latin-1"), _BODY_BYTES_MAX
        )
        try:
            form = _read_form(body)
            issued = self._grant(form)
        except OAuthRefused as refusal:
            document = {"error": refusal.error, "error_description": refusal.text}
            return Response(msgspec.json.encode(document), refusal.status, media_type="application/json")
        return Response(msgspec.json.encode(issued), media_type="application/json")

    def _grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Check a request and issue a token.

        1. The grant is client credentials with a JWT assertion.
        2. The assertion is signed by a key of the client it names, for this endpoint, now, and for the first time.
        3. Every scope asked for is covered by the client's registration.
        """
        # 1.
        if form.get("grant_type") != "client_credentials":
            raise OAuthRefused("unsupported_grant_type", "only client_credentials is offered")
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise OAuthRefused("invalid_client", "a signed client assertion is needed", 401)
        # 2.
        client = self._authenticate(form["client_assertion"])
        # 3.
        granted = _cover(form.get("scope", ""), client)
        issued = self._issuer.issue(
            subject=client.client_id,
            client_id=client.client_id,
            role=client.role,
            scopes=str(granted),
            purpose=client.purpose,
            lifetime_s=SYSTEM_LIFETIME_S_MAX,
        )
        return {
            "access_token": issued.token,
            "token_type": "bearer",
            "expires_in": issued.expires_in_s,
            "scope": issued.scope,
        }

    def _authenticate(self, assertion: str) -> RegisteredClient:
        found: RegisteredClient | None = None

        def choose(candidate: object) -> Key:
            nonlocal found
            payload = getattr(candidate, "payload", b"")
            headers = candidate.headers() if hasattr(candidate, "headers") else {}
            claims = msgspec.json.decode(payload, type=dict[str, object])
            found = self._clients.find(str(claims.get("iss", "")))
            for jwk in found.keys if found is not None else ():
                if jwk.get("kid") == headers.get("kid"):
                    return JWKRegistry.import_key(dict(jwk))
            raise _unknown()

        try:
            read = jwt.decode(assertion, choose, algorithms=list(ALGORITHMS))
        except (JoseError, msgspec.MsgspecError, ValueError, TypeError, KeyError):
            raise _unknown() from None
        if found is None:
            raise _unknown()
        self._check_claims(read.claims, found)
        return found

    def _check_claims(self, claims: Mapping[str, object], client: RegisteredClient) -> None:
        now_s = self._clock_ms() // 1_000
        expires_s, token_id = claims.get("exp"), claims.get("jti")
        if (
            claims.get("iss") != client.client_id
            or claims.get("sub") != client.client_id
            or claims.get("aud") != self._token_url
            or type(expires_s) is not int
            or not now_s < expires_s <= now_s + ASSERTION_LIFETIME_S_MAX + _CLOCK_SKEW_S
            or not isinstance(token_id, str)
            or not 1 <= len(token_id) <= _JTI_CHARS_MAX
        ):
            raise _unknown()
        self._forget(now_s)
        if (client.client_id, token_id) in self._used or len(self._used) >= ASSERTIONS_KEPT_MAX:
            raise _unknown()
        self._used[client.client_id, token_id] = expires_s

    def _forget(self, now_s: int) -> None:
        """Drop what has expired; entries are nearly in order of their expiry, so this looks at few."""
        for key, expires_s in list(self._used.items())[:64]:
            if expires_s + _CLOCK_SKEW_S < now_s:
                del self._used[key]


def _unknown() -> OAuthRefused:
    """Refusal of any assertion that is not good; all look the same from outside."""
    return OAuthRefused("invalid_client", "the client assertion is not accepted", 401)


def _read_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_query_string(body.decode("utf-8"))
    except ValueError:
        raise OAuthRefused("invalid_request", "the form cannot be read") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OAuthRefused("invalid_request", "a parameter is given twice")
    return found


def _cover(text: str, client: RegisteredClient) -> GrantedScopes:
    """Return the scopes asked for, if the registration covers all of them.

    Raises:
        OAuthRefused: `invalid_scope`.
    """
    try:
        asked = parse_scopes(text)
    except ScopeError:
        raise OAuthRefused("invalid_scope", "a scope is malformed") from None
    registered = parse_scopes(client.scopes)
    is_covered = all(_is_covered(one, registered) for one in asked.resources)
    if not text or not is_covered or not asked.others <= registered.others:
        raise OAuthRefused("invalid_scope", "a scope is not covered by the registration")
    return asked


def _is_covered(asked: ResourceScope, registered: GrantedScopes) -> bool:
    return any(
        one.context == asked.context
        and one.resource_type in ("*", asked.resource_type)
        and set(asked.letters) <= set(one.letters)
        and one.query in ("", asked.query)
        for one in registered.resources
    )


def smart_configuration(*, issuer: str, token_url: str, keys_url: str) -> dict[str, object]:
    """Return what `.well-known/smart-configuration` says: what is offered, and no more (SMART App Launch 2.2 §2).

    Args:
        issuer: the FHIR base URL.
        token_url: of the token endpoint.
        keys_url: of the JWK set.
    """
    return {
        "issuer": issuer,
        "jwks_uri": keys_url,
        "token_endpoint": token_url,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.cruds", "system/*.rs"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
