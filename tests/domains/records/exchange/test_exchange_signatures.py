"""Signed HTTP messages: forged, altered, late, early and repeated ones do not count."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping

import pytest

from careledger.primitives.signing import public_key_of
from careledger.vault.keys import SigningSeed
from careledger.web.signatures import (
    LIFETIME_S,
    NONCES_MAX,
    SKEW_S,
    AnswerMessage,
    MessageSigner,
    MessageVerifier,
    NonceMemory,
    NoncesUnknown,
    RequestMessage,
    SignatureRefused,
)

NOW = 1_795_000_000_000
SEED, OTHER = SigningSeed(b"\x01" * 32), SigningSeed(b"\x02" * 32)
URL = "https://hospital-a.test:8443/exchange/v1/read"
TYPE = "application/cbor"
BODY = b"\x81\x01"


class Clock:
    def __init__(self, now_ms: int = NOW) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class Keys:
    def __init__(self, *seeds: SigningSeed) -> None:
        self.known = {public_key_of(seed.reveal()) for seed in seeds}

    def find_key(self, key_id: str) -> bytes | None:
        try:
            key = bytes.fromhex(key_id)
        except ValueError:
            return None
        return key if key in self.known else None


def signer(clock: Clock, seed: SigningSeed = SEED) -> MessageSigner:
    return MessageSigner(seed=seed, clock_ms=clock)


def request(clock: Clock | None = None, seed: SigningSeed = SEED, body: bytes = BODY) -> RequestMessage:
    headers = signer(clock or Clock(), seed).sign_request("POST", URL, body, TYPE)
    return RequestMessage("POST", URL, headers, body)


def verifier(clock: Clock | None = None, *, nonces: bool = True, since_ms: int = 0) -> MessageVerifier:
    clock = clock or Clock()
    memory = NonceMemory(clock_ms=clock, since_ms=since_ms) if nonces else None
    return MessageVerifier(Keys(SEED), clock_ms=clock, nonces=memory)


def with_header(message: RequestMessage, name: str, value: str | None) -> RequestMessage:
    headers = {key: old for key, old in message.headers.items() if key.lower() != name.lower()}
    if value is not None:
        headers[name] = value
    return dataclasses.replace(message, headers=headers)


def test_a_signed_request_counts_once() -> None:
    message, check = request(), verifier()
    verified = check.verify_request(message)
    assert verified.key_id == public_key_of(SEED.reveal()).hex()
    assert verified.created_ms == NOW
    with pytest.raises(SignatureRefused, match="nonce"):
        check.verify_request(message)


ALTERED = [
    ("method", lambda m: dataclasses.replace(m, method="PUT")),
    ("path", lambda m: dataclasses.replace(m, url=m.url + "er")),
    ("host", lambda m: dataclasses.replace(m, url=m.url.replace("hospital-a", "hospital-b"))),
    ("scheme", lambda m: dataclasses.replace(m, url=m.url.replace("https", "http"))),
    ("query", lambda m: dataclasses.replace(m, url=m.url + "?all=1")),
    ("body", lambda m: dataclasses.replace(m, body=b"\x81\x02")),
    ("empty body", lambda m: dataclasses.replace(m, body=b"")),
    ("type", lambda m: with_header(m, "Content-Type", "text/plain")),
    ("no digest", lambda m: with_header(m, "Content-Digest", None)),
    (
        "digest of another",
        lambda m: with_header(m, "Content-Digest", request(body=b"x").headers["Content-Digest"]),
    ),
    ("no signature", lambda m: with_header(m, "Signature", None)),
    ("no input", lambda m: with_header(m, "Signature-Input", None)),
    ("signature of another", lambda m: with_header(m, "Signature", request(body=b"x").headers["Signature"])),
    ("other algorithm", lambda m: replaced(m, 'alg="ed25519"', 'alg="hmac-sha256"')),
    ("no algorithm", lambda m: replaced(m, ';alg="ed25519"', "")),
    ("other tag", lambda m: replaced(m, "careledger-exchange", "someone-else")),
    ("other label", lambda m: replaced(m, "site=", "evil=")),
    (
        "longer life",
        lambda m: replaced(m, f"expires={NOW // 1000 + LIFETIME_S}", f"expires={NOW // 1000 + 9_999}"),
    ),
    ("fewer components", lambda m: replaced(m, ' "content-digest"', "")),
    ("unknown parameter", lambda m: replaced(m, ";tag=", ";extra=1;tag=")),
    ("too long", lambda m: with_header(m, "Signature-Input", m.headers["Signature-Input"] + " " * 5_000)),
    ("twice", lambda m: dataclasses.replace(m, headers={**m.headers, "signature": m.headers["Signature"]})),
    (
        "two signatures",
        lambda m: with_header(
            m, "Signature-Input", m.headers["Signature-Input"] + ', b=("@method");created=1'
        ),
    ),
]


def replaced(message: RequestMessage, old: str, new: str) -> RequestMessage:
    before = message.headers["Signature-Input"]
    assert old in before
    return with_header(message, "Signature-Input", before.replace(old, new))


@pytest.mark.parametrize(("name", "alter"), ALTERED, ids=[row[0] for row in ALTERED])
def test_an_altered_request_is_refused(name: str, alter: object) -> None:
    assert callable(alter)
    with pytest.raises(SignatureRefused):
        verifier().verify_request(alter(request()))


def test_a_strangers_key_is_refused() -> None:
    with pytest.raises(SignatureRefused):
        verifier().verify_request(request(seed=OTHER))


@pytest.mark.parametrize(
    ("late_s", "counts"),
    [
        (-SKEW_S, True),
        (-SKEW_S - 1, False),
        (0, True),
        (LIFETIME_S, True),
        (LIFETIME_S + SKEW_S - 1, True),
        (LIFETIME_S + SKEW_S, False),
        (86_400, False),
    ],
)
def test_a_signature_counts_for_a_minute_give_or_take_the_skew(late_s: int, counts: bool) -> None:
    message = request()
    check = verifier(Clock(NOW + late_s * 1_000))
    if counts:
        check.verify_request(message)
    else:
        with pytest.raises(SignatureRefused):
            check.verify_request(message)


def test_a_site_that_was_started_anew_puts_off_what_it_may_have_seen() -> None:
    clock = Clock()
    message = request(clock)
    check = verifier(clock, since_ms=NOW)
    with pytest.raises(NoncesUnknown):
        check.verify_request(message)
    clock.now_ms += SKEW_S * 1_000
    check.verify_request(request(clock))


def test_nonces_are_remembered_as_long_as_they_count_and_no_longer() -> None:
    clock = Clock()
    memory = NonceMemory(clock_ms=clock, since_ms=0)
    memory.take("k", "n", NOW)
    clock.now_ms += (LIFETIME_S + SKEW_S) * 1_000
    with pytest.raises(SignatureRefused):
        memory.take("k", "n", NOW)
    clock.now_ms += 2 * SKEW_S * 1_000
    memory.take("k", "n", clock.now_ms)


def test_the_memory_of_nonces_is_bounded() -> None:
    memory = NonceMemory(clock_ms=Clock(), since_ms=0)
    for number in range(NONCES_MAX):
        memory.take("k", str(number), NOW)
    with pytest.raises(NoncesUnknown):
        memory.take("k", "one more", NOW)


def answer(to: RequestMessage, *, status: int = 200, body: bytes = b"answer") -> AnswerMessage:
    headers = signer(Clock()).sign_answer(status, body, TYPE, to)
    return AnswerMessage(status, headers, body, to)


def test_an_answer_counts_for_its_own_request_only() -> None:
    asked, other = request(), request()
    given = answer(asked)
    check = verifier(nonces=False)
    check.verify_answer(given)
    for wrong in (
        dataclasses.replace(given, request=other),
        dataclasses.replace(given, status_code=403),
        dataclasses.replace(given, body=b"another"),
        dataclasses.replace(given, request=dataclasses.replace(asked, url=URL + "x")),
    ):
        with pytest.raises(SignatureRefused):
            check.verify_answer(wrong)


def test_a_request_is_no_answer_and_an_answer_no_request() -> None:
    asked = request()
    given = answer(asked)
    with pytest.raises(SignatureRefused):
        verifier().verify_request(RequestMessage("POST", URL, given.headers, given.body))
    with pytest.raises(SignatureRefused):
        verifier(nonces=False).verify_answer(AnswerMessage(200, asked.headers, asked.body, asked))


def test_mutated_headers_are_never_accepted() -> None:
    chance = random.Random(3)
    message = request()
    check = verifier(nonces=False)
    for _ in range(1_500):
        name = chance.choice(("Signature-Input", "Signature", "Content-Digest"))
        value = message.headers[name]
        at = chance.randrange(len(value))
        changed = value[:at] + chr(chance.randrange(32, 127)) + value[at + 1 :]
        if same(changed, value):
            continue
        with pytest.raises(SignatureRefused):
            check.verify_request(with_header(message, name, changed))


def same(changed: str, value: str) -> bool:
    """Whether a change is none: base64 has spare bits in its last symbol, and blanks may stand doubled."""
    import base64

    def read(text: str) -> Mapping[str, bytes] | str:
        name, _, rest = text.partition("=:")
        try:
            return {name: base64.b64decode(rest.rstrip(":"), validate=True)}
        except ValueError:
            return text

    return changed == value or (not isinstance(read(value), str) and read(changed) == read(value))
