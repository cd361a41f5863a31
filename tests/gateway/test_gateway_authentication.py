"""The token endpoint: a registered client with its own key, once, for what it may have; nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from careledger.gateway import authentication
from careledger.gateway.application import build_site
from careledger.gateway.authentication import (
    ASSERTION_TYPE,
    TOKEN_OPERATIONS,
    RegisteredClient,
    TokenEndpoint,
    smart_configuration,
)
from careledger.vault.keys import SigningSeed
from careledger.web.principal import Purpose
from careledger.web.tokens import TokenIssuer, TokenVerifier

URL = "http://a.example"
TOKEN_URL = f"{URL}/auth/token"
NOW_S = 1_795_000_000
KEYS: dict[str, Key] = {
    "ES384": ECKey.generate_key("P-384", {"kid": "es"}),
    "RS384": RSAKey.generate_key(2048, {"kid": "rs"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}


class Registered:
    def find(self, client_id: str) -> RegisteredClient | None:
        if client_id not in ("engine", "other"):
            return None
        keys = KEYS.values() if client_id == "engine" else [OKPKey.generate_key("Ed25519", {"kid": "ed"})]
        return RegisteredClient(
            client_id=client_id,
            keys=tuple(
                {name: str(item) for name, item in key.as_dict(private=False).items()} for key in keys
            ),
            role="integration",
            scopes="system/Patient.rs system/Observation.cruds system/Condition.rs?category=x bulk",
            purpose=Purpose.OPERATIONS,
        )


class Stack:
    """A site with a token endpoint and a clock that tests set."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.issuer = TokenIssuer(
            SigningSeed(sha256(b"site").digest()), organisation="a", issuer=URL, clock_ms=self.clock_ms
        )
        self.endpoint = TokenEndpoint(self.issuer, Registered(), token_url=TOKEN_URL, clock_ms=self.clock_ms)
        self.app = build_site(
            name="a",
            title="a",
            site_url=URL,
            host="127.0.0.1",
            port=0,
            faces=[],
            clock_ms=self.clock_ms,
            probes={},
            routes=self.endpoint.routes(),
            operations=TOKEN_OPERATIONS,
        )
        self.number = 0

    def clock_ms(self) -> int:
        return self.now_s * 1_000

    def claims(self, **changes: object) -> dict[str, object]:
        self.number += 1
        claims: dict[str, object] = {
            "iss": "engine",
            "sub": "engine",
            "aud": TOKEN_URL,
            "exp": self.now_s + 300,
            "jti": str(self.number),
        }
        return {name: item for name, item in {**claims, **changes}.items() if item is not None}

    def ask(
        self, form: Mapping[str, str] | bytes, path: str = "/auth/token", method: str = "POST"
    ) -> httpx.Response:
        async def act() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app.app)) as client:
                if isinstance(form, bytes):
                    return await client.request(method, f"{URL}{path}", content=form)
                return await client.request(method, f"{URL}{path}", data=dict(form))

        return asyncio.run(act())

    def form(self, scope: str, assertion: str | None = None, algorithm: str = "Ed25519") -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(algorithm, self.claims()),
        }

    def assertion(
        self, algorithm: str, claims: dict[str, object], *, key: Key | None = None, **header: str
    ) -> str:
        used = key or KEYS[algorithm]
        head = {"alg": algorithm, "typ": "JWT", "kid": str(used.kid), **header}
        return jwt.encode(head, claims, used, algorithms=[algorithm])


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.mark.parametrize("algorithm", ["ES384", "RS384", "Ed25519"])
def test_a_registered_client_gets_a_token(stack: Stack, algorithm: str) -> None:
    answer = stack.ask(
        stack.form("system/Observation.rs system/Condition.rs?category=x bulk", algorithm=algorithm)
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert document["token_type"] == "bearer"
    assert document["expires_in"] == 300
    verifier = TokenVerifier({"a": stack.issuer.public_key}, issuer=URL, clock_ms=stack.clock_ms)
    principal = verifier.verify(document["access_token"].encode())
    assert principal.subject == principal.client_id == "engine"
    assert principal.role == "integration"
    assert principal.purpose is Purpose.OPERATIONS
    assert str(principal.scopes) == document["scope"]


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "system/*.rs",
        "system/Patient.cruds",
        "user/Patient.rs",
        "system/Condition.rs",
        "system/Condition.rs?category=y",
        "launch",
        "system/Patient.zz",
    ],
)
def test_what_the_registration_does_not_cover_is_refused(stack: Stack, scope: str) -> None:
    answer = stack.ask(stack.form(scope))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_scope"


def test_v1_scopes_are_covered_as_v2(stack: Stack) -> None:
    assert stack.ask(stack.form("system/Patient.read")).json()["scope"] == "system/Patient.rs"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "nobody"},
        {"sub": "other"},
        {"iss": "other", "sub": "other"},
        {"aud": URL},
        {"aud": None},
        {"exp": NOW_S},
        {"exp": NOW_S + 1_000},
        {"exp": "soon"},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 300},
        {"jti": 7},
    ],
)
def test_assertions_with_other_claims_all_look_the_same(stack: Stack, changes: dict[str, object]) -> None:
    answer = stack.ask(stack.form("system/Patient.rs", stack.assertion("Ed25519", stack.claims(**changes))))
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_client",
        "error_description": "the client assertion is not accepted",
    }


def test_an_assertion_is_good_once(stack: Stack) -> None:
    assertion = stack.assertion("Ed25519", stack.claims())
    form = stack.form("system/Patient.rs", assertion)
    assert stack.ask(form).status_code == 200
    assert stack.ask(form).status_code == 401
    claims = stack.claims(jti="again", exp=stack.now_s + 100)
    assert stack.ask(stack.form("system/Patient.rs", stack.assertion("Ed25519", claims))).status_code == 200
    stack.now_s += 400
    assert stack.ask(stack.form("system/Patient.rs")).status_code == 200
    assert len(stack.endpoint._used) == 1


def test_other_keys_and_algorithms_are_refused(stack: Stack) -> None:
    stranger = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    secret = stack.assertion("Ed25519", stack.claims())
    head, claims, signature = secret.split(".")
    assertions = [
        stack.assertion("Ed25519", stack.claims(), key=stranger),
        stack.assertion("Ed25519", stack.claims(), kid="unknown"),
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-6]}AAAAAA",
        "nonsense",
        "a.b.c",
    ]
    for assertion in assertions:
        assert stack.ask(stack.form("system/Patient.rs", assertion)).status_code == 401


def test_malformed_requests_are_refused(stack: Stack) -> None:
    good = stack.form("system/Patient.rs")
    for form, error, status in (
        ({**good, "grant_type": "password"}, "unsupported_grant_type", 400),
        ({}, "unsupported_grant_type", 400),
        ({**good, "client_assertion_type": "x"}, "invalid_client", 401),
        ({"grant_type": "client_credentials"}, "invalid_client", 401),
        (b"grant_type=a&grant_type=b", "invalid_request", 400),
        (b"grant_type=%ff", "invalid_request", 400),
        (b"\xff\xfe", "invalid_request", 400),
    ):
        answer = stack.ask(form)
        assert answer.status_code == status, form
        assert answer.json()["error"] == error
    assert stack.ask(b"a" * 40_000).status_code == 413
    assert stack.ask({}, method="GET").status_code == 405


def test_the_keys_and_what_is_offered(stack: Stack) -> None:
    keys = stack.ask({}, "/.well-known/jwks.json", "GET").json()["keys"]
    assert keys == [stack.issuer.jwk]
    assert "d" not in keys[0]
    document = smart_configuration(issuer=URL, token_url=TOKEN_URL, keys_url=f"{URL}/.well-known/jwks.json")
    assert document["grant_types_supported"] == ["client_credentials"]
    assert "authorization_endpoint" not in document
    paths = stack.ask({}, "/openapi.json", "GET").json()["paths"]
    assert {"/auth/token", "/.well-known/jwks.json"} <= set(paths)


def test_the_memory_of_assertions_is_bounded(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "ASSERTIONS_KEPT_MAX", 2)
    statuses = [stack.ask(stack.form("system/Patient.rs")).status_code for _ in range(3)]
    assert statuses == [200, 200, 401]
