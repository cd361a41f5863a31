"""Access tokens and scopes: what is issued verifies, and nothing else does."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of
from careledger.vault.keys import SigningSeed
from careledger.web import tokens
from careledger.web.principal import Purpose
from careledger.web.smart_scopes import ScopeError, parse_scopes
from careledger.web.tokens import TokenIssuer, TokenVerifier, bearer_token, public_jwk

ISSUER = "http://a.example/fhir"
NOW_MS = 1_795_000_000_000
SEED = SigningSeed(sha256(b"issuer").digest())


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


def made(clock: Clock | None = None, **more: object) -> tuple[TokenIssuer, TokenVerifier]:
    clock = clock or Clock()
    issuer = TokenIssuer(SEED, organisation="a", issuer=ISSUER, clock_ms=clock)
    verifier = TokenVerifier({"a": issuer.public_key}, issuer=ISSUER, clock_ms=clock, **more)  # type: ignore[arg-type]
    return issuer, verifier


def test_a_token_says_who_asks() -> None:
    issuer, verifier = made()
    issued = issuer.issue(
        subject="dr-1",
        client_id="app",
        role="clinician",
        scopes="user/Observation.rs?category=laboratory patient/*.read openid",
        purpose=Purpose.EMERGENCY,
        fhir_user="Practitioner/1",
        patient="p1",
        lifetime_s=3_600,
    )
    principal = verifier.verify(issued.token.encode())
    assert principal.organisation == "a"
    assert principal.subject == "dr-1"
    assert principal.client_id == "app"
    assert principal.role == "clinician"
    assert principal.purpose is Purpose.EMERGENCY
    assert principal.fhir_user == "Practitioner/1"
    assert principal.patient == "p1"
    assert principal.token_id == issued.token_id
    assert principal.expires_at_ms == NOW_MS + 3_600_000
    assert str(principal.scopes) == issued.scope
    assert verifier.verify(issued.token.encode()) is principal
    for shown in (repr(principal), repr(issued)):
        assert "dr-1" not in shown
        assert issued.token not in shown


def test_a_token_ends_by_time_and_by_revocation() -> None:
    clock = Clock()
    revoked: set[str] = set()
    issuer, verifier = made(clock, is_revoked=revoked.__contains__)
    first = issuer.issue(subject="s", client_id="c", role="system", scopes="system/*.rs")
    second = issuer.issue(subject="s", client_id="c", role="system", scopes="system/*.rs")
    assert verifier.verify(first.token.encode()).role == "system"
    revoked.add(first.token_id)
    with pytest.raises(Rejected, match="TOKEN_EXPIRED"):
        verifier.verify(first.token.encode())
    clock.ms += 299_999
    assert verifier.verify(second.token.encode()).role == "system"
    clock.ms += 1
    for _ in range(2):
        with pytest.raises(Rejected, match="TOKEN_EXPIRED"):
            verifier.verify(second.token.encode())


def test_lifetimes_are_bounded_by_kind() -> None:
    issuer, _ = made()
    for fhir_user, lifetime_s in (("", 301), ("Practitioner/1", 3_601), ("", 0)):
        with pytest.raises(ValueError, match="lives 1 to"):
            issuer.issue(
                subject="s",
                client_id="c",
                role="r",
                scopes="",
                fhir_user=fhir_user,
                lifetime_s=lifetime_s,
            )
    with pytest.raises(Rejected, match="SCOPE_MALFORMED"):
        issuer.issue(subject="s", client_id="c", role="r", scopes="user/Patient.xyz")


def forged(
    changes: dict[str, object], *, header: dict[str, object] | None = None, seed: SigningSeed = SEED
) -> bytes:
    """A token signed with the seed, with other claims."""
    raw = seed.reveal()
    jwk = public_jwk(made()[0].public_key if seed is SEED else public_key_of(raw))
    key = OKPKey.import_key({**jwk, "d": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()})
    now_s = NOW_MS // 1_000
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "s",
        "client_id": "c",
        "iat": now_s,
        "exp": now_s + 300,
        "jti": "1",
        "scope": "system/*.rs",
        "org": "a",
        "role": "system",
        "purpose": "TREAT",
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    head = {"alg": "Ed25519", "typ": "at+jwt", "kid": jwk["kid"], **(header or {})}
    return jwt.encode(head, claims, key, algorithms=["Ed25519"]).encode()


def test_the_forge_makes_good_tokens() -> None:
    _, verifier = made()
    assert verifier.verify(forged({})).role == "system"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://b.example/fhir"},
        {"aud": "http://b.example/fhir"},
        {"aud": [ISSUER]},
        {"org": "b"},
        {"cnf": {"jkt": "x"}},
        {"iat": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": NOW_MS // 1_000 + 301},
        {"iat": NOW_MS // 1_000 + 100, "exp": NOW_MS // 1_000 + 200},
        {"iat": True},
        {"scope": "user/Patient.zz"},
        {"scope": 7},
        {"purpose": "FUN"},
        {"purpose": None},
        {"sub": ["s"]},
        {"role": {}},
        {"patient": 1},
    ],
)
def test_other_claims_are_refused(changes: dict[str, object]) -> None:
    _, verifier = made()
    with pytest.raises(Rejected, match="TOKEN_INVALID"):
        verifier.verify(forged(changes))


def test_other_keys_algorithms_and_types_are_refused() -> None:
    issuer, verifier = made()
    stranger = SigningSeed(sha256(b"stranger").digest())
    secret = OctKey.import_key(base64.urlsafe_b64encode(issuer.public_key).decode())
    symmetric = jwt.encode(
        {"alg": "HS256", "typ": "at+jwt", "kid": issuer.jwk["kid"]},
        {"iss": ISSUER},
        secret,
        algorithms=["HS256"],
    )
    good = forged({}).decode()
    head, claims, signature = good.split(".")
    none = (
        base64.urlsafe_b64encode(
            json.dumps({"alg": "none", "typ": "at+jwt", "kid": issuer.jwk["kid"]}).encode()
        )
        .rstrip(b"=")
        .decode()
    )
    candidates = [
        forged({}, seed=stranger),
        forged({}, seed=stranger, header={"kid": issuer.jwk["kid"]}),
        forged({}, header={"kid": "unknown"}),
        forged({}, header={"typ": "JWT"}),
        symmetric.encode(),
        f"{none}.{claims}.".encode(),
        f"{head}.{claims}.".encode(),
        f"{head}.{claims}".encode(),
        f"{head}.{claims}.{signature[:-4]}AAAA".encode(),
        b"",
        b"..",
        b"\xff.\xff.\xff",
        b"a" * 20_000,
    ]
    for candidate in candidates:
        with pytest.raises(Rejected, match="TOKEN_INVALID"):
            verifier.verify(candidate)


@settings(max_examples=80)
@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    _, verifier = made()
    token = bytearray(forged({}))
    at = data.draw(st.integers(0, len(token) - 1))
    token[at] = data.draw(st.integers(33, 126).filter(lambda byte: byte != token[at]))
    try:
        verifier.verify(bytes(token))
    except Rejected:
        return
    # The last character of a base64 part may differ in bits that encode nothing.
    assert bytes(token).rstrip(b"=")[:-1] == forged({})[:-1]


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHE_ENTRIES_MAX", 4)
    issuer, verifier = made()
    for _ in range(20):
        issued = issuer.issue(subject="s", client_id="c", role="r", scopes="")
        assert verifier.verify(issued.token.encode()).role == "r"
        assert len(verifier._cache) <= 4


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer  abc ", b"abc"),
        (b"Basic abc", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"", None),
    ],
)
def test_bearer_tokens_are_found(header: bytes, token: bytes | None) -> None:
    assert bearer_token(header) == token


# -- scopes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("patient/Observation.rs?category=x|y", "patient/Observation.rs?category=x|y"),
        ("user/*.cruds", "user/*.cruds"),
        ("system/*.rs", "system/*.rs"),
        ("patient/Patient.read", "patient/Patient.rs"),
        ("user/Patient.write", "user/Patient.cud"),
        ("user/*.*", "user/*.cruds"),
        ("openid fhirUser launch/patient", "fhirUser launch/patient openid"),
        ("user/Patient.r user/Patient.r", "user/Patient.r"),
    ],
)
def test_scopes_are_read_in_both_versions(text: str, shown: str) -> None:
    assert str(parse_scopes(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "user/Patient",
            "user/Patient.",
            "user/Patient.sr",
            "user/Patient.rr",
            "user/Patient.R",
            "user/*.rs?x=1",
        ),
        *(
            "patient/patient.r",
            "everybody/;",
            "user/Pat ient.r,",
            "user/Patient.rs?",
            "a,b",
            "é",
            "x" * 2_000,
        ),
    ],
)
def test_malformed_scopes_are_refused_without_their_text(text: str) -> None:
    with pytest.raises(ScopeError) as caught:
        parse_scopes(f"openid {text}")
    assert text not in str(caught.value)


def test_too_many_scopes() -> None:
    with pytest.raises(ScopeError):
        parse_scopes(" ".join(f"scope{number}" for number in range(201)))


def test_scopes_answer_for_types_and_letters() -> None:
    granted = parse_scopes("user/*.r user/Patient.s patient/Observation.rs?category=x")
    assert [str(one) for one in granted.for_type("Patient", "r")] == ["user/*.r"]
    assert [str(one) for one in granted.for_type("Patient", "s")] == ["user/Patient.s"]
    assert [one.query for one in granted.for_type("Observation", "r")] == ["", "category=x"]
    assert list(granted.for_type("Patient", "d")) == []
    assert granted.has_patient_context
    assert not parse_scopes("user/*.r").has_patient_context
