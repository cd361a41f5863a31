"""Access tokens: a small issuer of signed JWTs, and their verification (RFC 9068, RFC 8725).

Tokens are signed with Ed25519 (RFC 9864), short-lived, and bound to one site as issuer and audience. A token that
names a key of its holder (`cnf`, RFC 7800) is refused, because nothing here yet checks that the holder has it: a
constraint that is not understood must not be passed over.

Verified tokens are kept by their exact text until they expire, so a busy client costs one signature check; expiry
and revocation are asked on every request.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of
from careledger.vault.keys import SigningSeed
from careledger.web.errors import SCOPE_MALFORMED, TOKEN_EXPIRED, TOKEN_INVALID
from careledger.web.principal import Principal, Purpose
from careledger.web.smart_scopes import ScopeError, parse_scopes

ALGORITHM: Final = "Ed25519"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, no secret
TOKEN_CHARS_MAX: Final = 16_384
LIFETIME_S_MAX: Final = 3_600
SYSTEM_LIFETIME_S_MAX: Final = 300
"""Longest life of a token without a person behind it (SMART Backend Services)."""
CACHE_ENTRIES_MAX: Final = 10_000
_CLOCK_SKEW_S: Final = 30
_KEY_ID_CHARS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A new token; its text is a secret until it expires."""

    token: str
    token_id: str
    expires_in_s: int
    scope: str
    """What was granted, in v2 form."""

    def __repr__(self) -> str:
        """Show no token."""
        return f"<IssuedToken {self.token_id}: not shown>"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def public_jwk(public_key: bytes) -> dict[str, str]:
    """Return an Ed25519 public key as a JWK (RFC 8037), its id derived from the key."""
    x = _base64url(public_key)
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": x[:_KEY_ID_CHARS], "alg": ALGORITHM, "use": "sig"}


class TokenIssuer:
    """Signs access tokens for one site."""

    def __init__(
        self, seed: SigningSeed, *, organisation: str, issuer: str, clock_ms: Callable[[], int]
    ) -> None:
        """Build an issuer.

        Args:
            seed: signs the tokens.
            organisation: short name of the site's organisation.
            issuer: the site's FHIR base URL; also the audience.
            clock_ms: current time.
        """
        raw = seed.reveal()
        self._public_key = public_key_of(raw)
        self.jwk = public_jwk(self._public_key)
        self._key = OKPKey.import_key({**self.jwk, "d": _base64url(raw)})
        self._organisation = organisation
        self._issuer = issuer
        self._clock_ms = clock_ms

    @property
    def public_key(self) -> bytes:
        """Key that verifies the tokens."""
        return bytes(self._public_key)

    def issue(
        self,
        *,
        subject: str,
        client_id: str,
        role: str,
        scopes: str,
        purpose: Purpose = Purpose.TREATMENT,
        fhir_user: str = "",
        patient: str = "",
        lifetime_s: int = SYSTEM_LIFETIME_S_MAX,
    ) -> IssuedToken:
        """Sign a token.

        Raises:
            Rejected: SCOPE_MALFORMED.
            ValueError: The lifetime is not positive or longer than its kind allows.
        """
        try:
            granted = parse_scopes(scopes)
        except ScopeError as error:
            raise Rejected(SCOPE_MALFORMED, str(error)) from None
        limit_s = LIFETIME_S_MAX if fhir_user else SYSTEM_LIFETIME_S_MAX
        if not 1 <= lifetime_s <= limit_s:
            raise ValueError(f"a token of this kind lives 1 to {limit_s} seconds")
        now_s = self._clock_ms() // 1_000
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": subject,
            "client_id": client_id,
            "iat": now_s,
            "exp": now_s + lifetime_s,
            "jti": os.urandom(16).hex(),
            "scope": str(granted),
            "org": self._organisation,
            "role": role,
            "purpose": purpose.value,
        }
        if fhir_user:
            claims["fhirUser"] = fhir_user
        if patient:
            claims["patient"] = patient
        header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": self.jwk["kid"]}
        return IssuedToken(
            token=jwt.encode(header, claims, self._key, algorithms=[ALGORITHM]),
            token_id=str(claims["jti"]),
            expires_in_s=lifetime_s,
            scope=str(granted),
        )


def _never(token_id: str) -> bool:
    del token_id
    return False


def _is_claims(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


class TokenVerifier:
    """Checks access tokens and says who they belong to."""

    def __init__(
        self,
        keys: Mapping[str, bytes],
        *,
        issuer: str,
        clock_ms: Callable[[], int],
        is_revoked: Callable[[str], bool] | None = None,
    ) -> None:
        """Build a verifier.

        Args:
            keys: Ed25519 public keys that may sign tokens, each under the short name of its organisation.
            issuer: what tokens must name as issuer and audience.
            clock_ms: current time.
            is_revoked: asked by token id on every request; without it, tokens end by expiry alone.
        """
        self._keys: dict[str, tuple[str, OKPKey]] = {}
        for organisation, public_key in keys.items():
            jwk = public_jwk(public_key)
            self._keys[jwk["kid"]] = (organisation, OKPKey.import_key(dict(jwk)))
        self._issuer = issuer
        self._clock_ms = clock_ms
        self._is_revoked = is_revoked or _never
        self._cache: dict[bytes, Principal] = {}

    def verify(self, token: bytes) -> Principal:
        """Return whom a token belongs to.

        Raises:
            Rejected: TOKEN_INVALID, or TOKEN_EXPIRED for one that was good.
        """
        principal = self._cache.get(token)
        if principal is None:
            principal = self._read(token)
            if len(self._cache) >= CACHE_ENTRIES_MAX:
                # The oldest half goes: insertion order is age, and expired tokens are the oldest.
                for old in list(self._cache)[: CACHE_ENTRIES_MAX // 2]:
                    del self._cache[old]
            self._cache[token] = principal
        if principal.expires_at_ms <= self._clock_ms() or self._is_revoked(principal.token_id):
            self._cache.pop(token, None)
            raise Rejected(TOKEN_EXPIRED)
        return principal

    def _read(self, token: bytes) -> Principal:
        """Check signature and claims.

        1. Only the one algorithm and type, only a known key (RFC 8725 §3.1, §3.11).
        2. The signature.
        3. Issuer, audience, times; no constraint that is not understood.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise Rejected(TOKEN_INVALID)
        organisation = ""

        def choose(candidate: object) -> OKPKey:
            nonlocal organisation
            headers = candidate.headers() if hasattr(candidate, "headers") else {}
            found = self._keys.get(str(headers.get("kid")))
            if found is None or headers.get("typ") != TOKEN_TYPE:
                raise Rejected(TOKEN_INVALID)
            organisation = found[0]
            return found[1]

        try:
            # 1. and 2.
            read = jwt.decode(token, choose, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError):
            raise Rejected(TOKEN_INVALID) from None
        claims: object = read.claims
        if not _is_claims(claims):
            raise Rejected(TOKEN_INVALID)
        # 3.
        return self._principal_of(claims, organisation)

    def _principal_of(self, claims: dict[str, object], organisation: str) -> Principal:
        now_s = self._clock_ms() // 1_000
        issued_s, expires_s = claims.get("iat"), claims.get("exp")
        fhir_user = _text(claims, "fhirUser")
        limit_s = LIFETIME_S_MAX if fhir_user else SYSTEM_LIFETIME_S_MAX
        if (
            claims.get("iss") != self._issuer
            or claims.get("aud") != self._issuer
            or claims.get("org") != organisation
            or "cnf" in claims
            or type(issued_s) is not int
            or type(expires_s) is not int
            or issued_s > now_s + _CLOCK_SKEW_S
            or not 0 < expires_s - issued_s <= limit_s
        ):
            raise Rejected(TOKEN_INVALID)
        if expires_s <= now_s:
            raise Rejected(TOKEN_EXPIRED)
        try:
            scopes = parse_scopes(_text(claims, "scope"))
            purpose = Purpose(claims.get("purpose"))
        except ValueError:
            raise Rejected(TOKEN_INVALID) from None
        return Principal(
            organisation=organisation,
            subject=_text(claims, "sub"),
            client_id=_text(claims, "client_id"),
            role=_text(claims, "role"),
            scopes=scopes,
            purpose=purpose,
            fhir_user=fhir_user,
            patient=_text(claims, "patient"),
            token_id=_text(claims, "jti"),
            expires_at_ms=expires_s * 1_000,
        )


def _text(claims: dict[str, object], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise Rejected(TOKEN_INVALID)
    return value


def bearer_token(authorization: bytes) -> bytes | None:
    """Return the token of an `Authorization` header (RFC 6750 §2.1), or None."""
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    return token if scheme.lower() == b"bearer" and token else None
