"""Where requests go, what counts as an answer, what a site answers to strangers; and a read over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from careledger.domains.records.service.agent.authority import ByPatient
from careledger.domains.records.service.consent.errors import NOT_GRANTED
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.exchange.dialling import AddressPolicy, check_address, dial
from careledger.domains.records.service.exchange.errors import (
    ADDRESS_REFUSED,
    ANSWER_INVALID,
    MESSAGE_INVALID,
    PEER_UNKNOWN,
    PEER_UNREACHABLE,
    PROOF_FAILED,
    TOO_OFTEN,
)
from careledger.domains.records.service.exchange.heads import (
    SINGLES,
    STREAM,
    Equivocation,
    Head,
    build_equivocation,
    contradict,
    sign_head,
    stream_name,
    verify_equivocation,
    verify_head,
)
from careledger.domains.records.service.exchange.messages import (
    CONTENT_TYPE,
    PREFIX,
    REQUEST_BYTES_MAX,
    Refusal,
)
from careledger.domains.records.service.exchange.quotas import Quota
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import Rejected, Unavailable, find_code
from careledger.primitives.signing import public_key_of
from careledger.vault.envelope import sign_envelope
from careledger.vault.keys import SigningSeed
from careledger.web.signatures import MessageSigner
from domains.records.consent.consent_samples import consent, permission
from domains.records.exchange.exchange_sites import (
    BASES,
    FAST,
    ExchangeSite,
    Network,
    SharedNetwork,
    running_exchange_site,
    running_network,
)
from kit.ledgers import seed_of
from kit.sites import running_ledger

# -- addresses -----------------------------------------------------------------------------------------------

CLOSED, OPEN = AddressPolicy(), AddressPolicy(allow_loopback=True, allow_private=True, allow_plain=True)


@pytest.mark.parametrize(
    ("address", "closed", "opened"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.1.1", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),  # metadata of cloud machines
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("240.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("::ffff:127.0.0.1", False, True),
        ("::ffff:169.254.169.254", False, False),
        ("2002:a9fe:a9fe::1", False, False),  # 6to4 of the metadata address
        ("not an address", False, False),
    ],
)
def test_addresses_lead_to_sites_only(address: str, closed: bool, opened: bool) -> None:
    for policy, allowed in ((CLOSED, closed), (OPEN, opened)):
        if allowed:
            check_address(address, policy)
        else:
            with pytest.raises(Rejected) as refusal:
                check_address(address, policy)
            assert refusal.value.code is ADDRESS_REFUSED


def resolver(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "origin",
    [
        "http://site.example",
        "ftp://site.example",
        "https://user@site.example",
        "https://site.example/path",
        "https://site.example?x=1",
        "https://site.example#x",
        "https://",
        "https://[::1",
        "https://site.example:99999",
        "site.example",
        "",
    ],
)
def test_an_origin_is_nothing_but_an_origin(origin: str) -> None:
    with pytest.raises(Rejected) as refusal:
        asyncio.run(dial(origin, CLOSED, resolver("93.184.216.34")))
    assert refusal.value.code is ADDRESS_REFUSED


def test_the_address_that_was_checked_is_the_one_that_is_used() -> None:
    dialled = asyncio.run(dial("https://site.example:8443", CLOSED, resolver("93.184.216.34")))
    assert dialled.origin == "https://93.184.216.34:8443"
    assert (dialled.authority, dialled.host) == ("site.example:8443", "site.example")
    plain = asyncio.run(dial("https://site.example/", CLOSED, resolver("2606:2800:220:1::1")))
    assert plain.origin == "https://[2606:2800:220:1::1]:443"
    assert plain.authority == "site.example"


def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    with pytest.raises(Rejected):
        asyncio.run(dial("https://site.example", CLOSED, resolver("93.184.216.34", "169.254.169.254")))
    with pytest.raises(Unavailable) as refusal:
        asyncio.run(dial("https://site.example", CLOSED, resolver()))
    assert refusal.value.code is PEER_UNREACHABLE


# -- heads ---------------------------------------------------------------------------------------------------

HEAD = Head(1, STREAM, "test-chain", 1, stream_name(bytes(32), 0, 0), bytes(32), 5, 100)
KEY_A, KEY_B = SigningSeed(seed_of("hospital-a")), SigningSeed(seed_of("hospital-b"))


class Keys:
    """Two organisations with a key each."""

    def __init__(self) -> None:
        self.owners = {public_key_of(KEY_A.reveal()): 1, public_key_of(KEY_B.reveal()): 2}
        self.revoked: set[bytes] = set()

    def records_key_owner(self, public_key: bytes, *, now: bool) -> int | None:
        return None if now and public_key in self.revoked else self.owners.get(public_key)

    def by_slug(self, slug: str) -> None:
        del slug

    def by_number(self, organisation: int) -> None:
        del organisation

    def exchange_key_owner(self, public_key: bytes) -> None:
        del public_key


def head(**parts: Any) -> Head:
    import msgspec

    return msgspec.structs.replace(HEAD, **parts)


CONTRADICTIONS = [
    ("the same", head(), False),
    ("grown later", head(n=6, height=101), False),
    ("as long later", head(height=101), False),
    ("shorter later", head(n=4, height=101), True),
    ("longer earlier", head(n=6, height=99), True),
    ("another end at the same height", head(n=6), True),
    ("another manifest", head(content=b"\x01" * 32), True),
    ("another manifest later", head(content=b"\x01" * 32, height=101), True),
    ("another stream", head(stream=b"\x01" * 32, n=1), False),
    ("another custodian", head(custodian=2, n=1), False),
    ("another ledger", head(chain_id="other-chain", n=1), False),
    ("another kind", head(kind=SINGLES, n=1), False),
]


@pytest.mark.parametrize(
    ("name", "other", "expected"), CONTRADICTIONS, ids=[row[0] for row in CONTRADICTIONS]
)
def test_which_heads_contradict_each_other(name: str, other: Head, expected: bool) -> None:
    assert contradict(HEAD, other) is expected
    assert contradict(other, HEAD) is expected


def test_single_records_may_become_fewer() -> None:
    first = head(kind=SINGLES)
    assert not contradict(first, head(kind=SINGLES, n=3, height=101, content=b"\x01" * 32))
    assert contradict(first, head(kind=SINGLES, n=3))


def test_evidence_outlives_the_custodians_key_and_cannot_be_made_up() -> None:
    keys = Keys()

    def signed(seed: SigningSeed, value: Head) -> Any:
        return verify_head(sign_head(value, seed), chain="test-chain", custodian=1, directory=keys)

    evidence = build_equivocation(signed(KEY_A, HEAD), signed(KEY_A, head(n=4, height=101)))
    assert evidence is not None
    assert build_equivocation(signed(KEY_A, HEAD), signed(KEY_A, head(n=6, height=101))) is None
    keys.revoked.add(public_key_of(KEY_A.reveal()))
    verify_equivocation(evidence, chain="test-chain", custodian=1, directory=keys)
    with pytest.raises(Rejected):
        signed(KEY_A, HEAD)
    parts = decode(evidence, Equivocation)
    forged = sign_head(head(n=4, height=101), KEY_B)
    for bad in (
        b"\x80",
        encode(Equivocation(2, parts.first, parts.second)),
        encode(Equivocation(1, parts.first, parts.first)),
        encode(Equivocation(1, parts.first, forged)),
        encode(Equivocation(1, parts.first, b"junk")),
        encode(Equivocation(1, parts.first, sign_envelope("other/type", b"", KEY_A))),
    ):
        with pytest.raises(Rejected) as refusal:
            verify_equivocation(bad, chain="test-chain", custodian=1, directory=keys)
        assert refusal.value.code is PROOF_FAILED


# -- quotas --------------------------------------------------------------------------------------------------


def test_a_quota_counts_within_its_window() -> None:
    now = [1_000_000]
    quota = Quota(2, 60_000, clock_ms=lambda: now[0])
    quota.admit("x")
    quota.admit("x")
    quota.admit("y")
    with pytest.raises(Unavailable) as refusal:
        quota.admit("x")
    assert refusal.value.code is TOO_OFTEN
    now[0] += 60_000
    quota.admit("x")


# -- the routes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("peers"), "hospital-a", "hospital-b")
    yield network
    network.close()


async def post(
    network: Network,
    path: str,
    body: bytes,
    *,
    seed: SigningSeed | None = KEY_B,
    signed_for: str | None = None,
    **headers: str,
) -> httpx.Response:
    """Send something to hospital-a, signed as hospital-b unless told otherwise."""
    base = BASES["hospital-a"]
    fields: dict[str, str] = {"Content-Type": CONTENT_TYPE}
    if seed is not None:
        signer = MessageSigner(seed=seed, clock_ms=network["hospital-b"].context.clock_ms)
        fields = signer.sign_request("POST", signed_for or f"{base}{PREFIX}{path}", body, CONTENT_TYPE)
    transport = httpx.ASGITransport(network.switchboard.apps[base.removeprefix("http://")])
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return await client.post(PREFIX + path, content=body, headers={**fields, **headers})


def refusal_of(response: httpx.Response) -> tuple[int, str, bool]:
    """Status, code, and whether the answer is signed."""
    told = decode(response.content, Refusal)
    code = find_code(told.module, told.code)
    assert code is not None
    assert told.detail == ""
    return response.status_code, code.slug, "signature" in response.headers


def test_strangers_are_told_nothing(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        base = BASES["hospital-a"]
        cases: list[tuple[dict[str, Any], tuple[int, str, bool]]] = [
            ({"seed": None}, (401, "SIGNATURE_REFUSED", False)),
            ({"seed": SigningSeed(bytes(32))}, (401, "SIGNATURE_REFUSED", False)),
            ({"signed_for": f"{BASES['hospital-b']}{PREFIX}/read"}, (401, "SIGNATURE_REFUSED", False)),
            ({"signed_for": f"{base}{PREFIX}/match"}, (401, "SIGNATURE_REFUSED", False)),
            ({"Host": "hospital-b.test:8011"}, (401, "SIGNATURE_REFUSED", False)),
            ({"Host": "evil.example"}, (401, "SIGNATURE_REFUSED", False)),
            ({"Content-Type": "text/plain"}, (400, "MESSAGE_INVALID", False)),
            ({}, (400, "MESSAGE_INVALID", True)),
        ]
        for parts, expected in cases:
            assert refusal_of(await post(network, "/read", b"\x80", **parts)) == expected, parts
        too_long = await post(
            network, "/read", b"", seed=None, **{"Content-Length": str(REQUEST_BYTES_MAX + 1)}
        )
        assert refusal_of(too_long) == (413, "BODY_TOO_LARGE", False)
        assert (await post(network, "/nothing", b"")).status_code == 404
        assert (await post(network, "/cells/nothing", b"")).status_code == 404
        assert refusal_of(await post(network, "/cells/stop", b"\x80")) == (403, "COMMAND_INVALID", True)

    shared.play(story)


def test_a_request_that_is_sent_twice_is_answered_once(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        b = network["hospital-b"]
        base = BASES["hospital-a"]
        headers = b.sharing.signer.sign_request("POST", f"{base}{PREFIX}/read", b"\x80", CONTENT_TYPE)
        transport = httpx.ASGITransport(network.switchboard.apps[base.removeprefix("http://")])
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            answers = [
                await client.post(PREFIX + "/read", content=b"\x80", headers=headers) for _ in range(2)
            ]
        assert [refusal_of(answer)[1] for answer in answers] == ["MESSAGE_INVALID", "SIGNATURE_REFUSED"]

    shared.play(story)


class Impostor(httpx.AsyncBaseTransport):
    """Answers in a site's place."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request)


class Once(httpx.AsyncByteStream):
    """A body as the network gives it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


def answered(status: int, body: bytes, **headers: str) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=Once(body), headers=headers, request=request)

    return answer


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answered(200, b"unsigned"), ANSWER_INVALID),
        (answered(403, b"unsigned"), PEER_UNREACHABLE),
        (answered(502, b"proxy"), PEER_UNREACHABLE),
        (answered(302, b"", location="http://169.254.169.254/"), PEER_UNREACHABLE),
        (answered(200, b"x" * 2_000), ANSWER_INVALID),
    ],
)
def test_what_nobody_signed_is_no_answer(shared: SharedNetwork, answer: Any, code: object) -> None:
    async def story(network: Network) -> None:
        b = network["hospital-b"]
        client, real = b.sharing.client, b.sharing.client._client
        client._client = httpx.AsyncClient(transport=Impostor(answer), follow_redirects=False)
        member = b.directory.by_slug("hospital-a")
        assert member is not None
        try:
            with pytest.raises((Rejected, Unavailable)) as refusal:
                await client.call(member, "/read", b"\x80", answer_bytes_max=1_000)
            assert refusal.value.code is code
            nowhere = replace(member, endpoints=())
            with pytest.raises(Rejected) as refusal:
                await client.call(nowhere, "/read", b"\x80")
            assert refusal.value.code is PEER_UNKNOWN
        finally:
            await client._client.aclose()
            client._client = real

    shared.play(story)


def test_an_answer_signed_by_another_member_does_not_count(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        b = network["hospital-b"]

        def answer(request: httpx.Request) -> httpx.Response:
            from careledger.web.signatures import RequestMessage

            url = f"{BASES['hospital-a']}{PREFIX}/read"
            asked = RequestMessage("POST", url, dict(request.headers.items()), b"\x80")
            headers = b.sharing.signer.sign_answer(200, b"mine", CONTENT_TYPE, asked)
            return httpx.Response(200, stream=Once(b"mine"), headers=headers, request=request)

        client, real = b.sharing.client, b.sharing.client._client
        client._client = httpx.AsyncClient(transport=Impostor(answer))
        member = b.directory.by_slug("hospital-a")
        assert member is not None
        try:
            with pytest.raises(Rejected) as refusal:
                await client.call(member, "/read", b"\x80")
            assert refusal.value.code is ANSWER_INVALID
            assert "another organisation" in refusal.value.detail
        finally:
            await client._client.aclose()
            client._client = real

    shared.play(story)


def test_refusals_come_back_as_what_they_are(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        b = network["hospital-b"]
        member = b.directory.by_slug("hospital-a")
        assert member is not None
        with pytest.raises(Rejected) as refusal:
            await b.sharing.client.call(member, "/read", b"\x80")
        assert refusal.value.code is MESSAGE_INVALID

    shared.play(story)


# -- over real sockets ---------------------------------------------------------------------------------------


def test_two_sites_over_loopback_sockets(tmp_path: Path) -> None:
    """The same read with a real HTTP server and client, and nothing in between replaced."""

    async def go() -> None:
        async with AsyncExitStack() as stack:
            process = await stack.enter_async_context(running_ledger(tmp_path / "ledger"))
            listeners = {
                slug: socket.create_server(("127.0.0.1", 0)) for slug in ("hospital-a", "hospital-b")
            }
            bases = {
                slug: f"http://127.0.0.1:{listener.getsockname()[1]}" for slug, listener in listeners.items()
            }
            sites: dict[str, ExchangeSite] = {}
            for slug, listener in listeners.items():
                site, app = await stack.enter_async_context(
                    running_exchange_site(tmp_path / slug, process, slug, bases=bases, sharing_settings=FAST)
                )
                sites[slug] = site
                config = uvicorn.Config(app, log_level="error", lifespan="off", loop="none")
                server = uvicorn.Server(config)
                task = asyncio.create_task(server.serve(sockets=[listener]))
                stack.push_async_callback(stop, server, task)
            a, b = sites["hospital-a"], sites["hospital-b"]
            who = await a.add_patient()
            await a.add_results(who, 50)
            policy = read_consent(consent(who, permission()), patient=f"Patient/{who}")
            [held] = await a.sharing.agent.grant(who, "hospital-a", policy, authority=ByPatient(name="me"))
            result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
            assert len(result.entries) == 51
            await a.sharing.agent.revoke(who, "hospital-a", [held.name], authority=ByPatient(name="me"))
            with pytest.raises(Rejected) as refusal:
                await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
            assert refusal.value.code is NOT_GRANTED

    asyncio.run(asyncio.wait_for(go(), 60))


async def stop(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    await task


@pytest.mark.slow
def test_a_thousand_records_are_read_and_verified_within_two_seconds(tmp_path: Path) -> None:
    import time

    async def go() -> None:
        async with running_network(tmp_path) as network:
            a, b = network["hospital-a"], network["hospital-b"]
            who = await a.add_patient()
            await a.add_results(who, 1_000)
            policy = read_consent(consent(who, permission()), patient=f"Patient/{who}")
            await a.sharing.agent.grant(who, "hospital-a", policy, authority=ByPatient(name="me"))
            started = time.perf_counter()
            result = await b.sharing.reader.read(b.question("hospital-a", a.cell(who)))
            assert len(result.entries) == 1_001
            assert time.perf_counter() - started <= 2

    asyncio.run(asyncio.wait_for(go(), 120))
    assert os.cpu_count()
