"""Wire types, framing and the server: bytes as the engine has them, answers in order, failures that stop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.abci_server import FLUSHED, AbciServer, Answer, Handler, encode_response
from careledger.consensus.cometbft.framing import (
    MESSAGE_BYTES_MAX,
    MessageReader,
    MessageTooLarge,
    delimited,
)

ROOT = Path(__file__).resolve().parents[3]
WIRE = ROOT / "src" / "careledger" / "consensus" / "cometbft" / "_wire"


# -- Types -------------------------------------------------------------------------------------------------


def test_the_bindings_are_those_of_the_text(tmp_path: Path) -> None:
    tool = ROOT / "tools" / "abci_wire.py"
    subprocess.run([sys.executable, str(tool), "--to", str(tmp_path)], check=True)
    for name in ("engine_pb2.py", "engine_pb2.pyi"):
        assert (tmp_path / name).read_bytes() == (WIRE / name).read_bytes(), (
            f"{name} is stale; run tools/abci_wire.py"
        )


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        # number of the field << 3 | wire type, length, content: written out by hand from the field numbers
        (wire.Request(echo=wire.EchoRequest(message="a")), "0a 03 0a 01 61"),
        (wire.Request(flush=wire.EmptyRequest()), "12 00"),
        (wire.Request(info=wire.InfoRequest(abci_version="2")), "1a 03 22 01 32"),
        (wire.Request(init_chain=wire.InitChainRequest(initial_height=1)), "2a 02 30 01"),
        (wire.Request(query=wire.QueryRequest(path="/a")), "32 04 12 02 2f 61"),
        (wire.Request(check_tx=wire.CheckRequest(tx=b"t", kind=1)), "42 05 0a 01 74 10 01"),
        (wire.Request(commit=wire.EmptyRequest()), "5a 00"),
        (wire.Request(list_snapshots=wire.EmptyRequest()), "62 00"),
        (wire.Request(offer_snapshot=wire.OfferRequest(app_hash=b"h")), "6a 03 12 01 68"),
        (wire.Request(load_snapshot_chunk=wire.LoadChunkRequest(chunk=3)), "72 02 18 03"),
        (wire.Request(apply_snapshot_chunk=wire.ApplyChunkRequest(sender="p")), "7a 03 1a 01 70"),
        (wire.Request(prepare_proposal=wire.PrepareRequest(bytes_max=5)), "82 01 02 08 05"),
        (wire.Request(process_proposal=wire.ProcessRequest(txs=[b"t"])), "8a 01 03 0a 01 74"),
        (wire.Request(extend_vote=wire.ExtendRequest(height=2)), "92 01 02 10 02"),
        (wire.Request(verify_vote_extension=wire.VerifyExtensionRequest(height=2)), "9a 01 02 18 02"),
        (wire.Request(finalize_block=wire.FinalizeRequest(height=7)), "a2 01 02 28 07"),
        (wire.Response(exception=wire.ExceptionResponse(error="e")), "0a 03 0a 01 65"),
        (wire.Response(info=wire.InfoResponse(last_block_height=9)), "22 02 20 09"),
        (wire.Response(init_chain=wire.InitChainResponse(app_hash=b"h")), "32 03 1a 01 68"),
        (wire.Response(check_tx=wire.TxResult(code=6)), "4a 02 08 06"),
        (wire.Response(commit=wire.CommitResponse(retain_height=4)), "62 02 18 04"),
        (wire.Response(process_proposal=wire.ProcessResponse(status=1)), "92 01 02 08 01"),
        (wire.Response(finalize_block=wire.FinalizeResponse(app_hash=b"h")), "aa 01 03 2a 01 68"),
        (
            wire.ValidatorChange(public_key=wire.PublicKey(ed25519=b"k"), power=3),
            "0a 03 0a 01 6b 10 03",
        ),
    ],
)
def test_fields_have_the_engines_numbers(message: wire.Request, encoded: str) -> None:
    raw = bytes.fromhex(encoded)
    assert message.SerializeToString() == raw
    assert type(message).FromString(raw) == message


# -- Framing -----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=400), max_size=8), st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[bytes], piece: int) -> None:
    stream = b"".join(delimited(message) for message in messages)
    reader = MessageReader()
    read = [
        message
        for start in range(0, len(stream), piece)
        for message in reader.feed(stream[start : start + piece])
    ]
    assert read == messages


@pytest.mark.parametrize(
    ("length", "head"), [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**21, "80808001")]
)
def test_lengths_are_base_128(length: int, head: str) -> None:
    raw = bytes.fromhex(head)
    assert delimited(bytes(length)) == raw + bytes(length)


@pytest.mark.parametrize("stream", [b"\xff" * 5, b"\x80" * 6, b"\x81\x80\x80\x40", b"\xff\xff\xff\xff\x0f"])
def test_a_length_beyond_the_limit_is_refused(stream: bytes) -> None:
    with pytest.raises(MessageTooLarge):
        list(MessageReader().feed(stream))
    assert MESSAGE_BYTES_MAX < 2**28


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes_are_messages_or_refused(stream: bytes) -> None:
    reader = MessageReader()
    try:
        read = list(reader.feed(stream))
    except MessageTooLarge:
        return
    assert sum(map(len, read)) <= len(stream)


# -- Server ------------------------------------------------------------------------------------------------


class Engine:
    """The other side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages = MessageReader()
        self._read: list[wire.Response] = []

    def send(self, *requests: wire.Request) -> None:
        self._writer.write(b"".join(delimited(request.SerializeToString()) for request in requests))

    async def answers(self, count: int) -> list[wire.Response]:
        while len(self._read) < count:
            data = await self._reader.read(65_536)
            if not data:
                raise EOFError
            self._read += [wire.Response.FromString(raw) for raw in self._messages.feed(data)]
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def close(self) -> None:
        self._writer.close()


def check(number: int) -> wire.Request:
    return wire.Request(check_tx=wire.CheckRequest(tx=str(number).encode()))


def verdict(code: int) -> Answer:
    return encode_response(wire.Response(check_tx=wire.TxResult(code=code)))


def served(
    folder: Path, handlers: dict[str, Handler], act: Callable[[Engine], Awaitable[None]]
) -> list[BaseException]:
    failures: list[BaseException] = []

    async def go() -> None:
        server = AbciServer(folder / "abci.sock", handlers, failed=failures.append)
        await server.start()
        engine = Engine(*await asyncio.open_unix_connection(str(folder / "abci.sock")))
        try:
            async with asyncio.timeout(20):
                await act(engine)
        finally:
            engine.close()
            await server.close()

    asyncio.run(go())
    assert not (folder / "abci.sock").exists()
    return failures


def test_answers_keep_the_order_of_requests_however_late_they_are_known(tmp_path: Path) -> None:
    futures: dict[int, asyncio.Future[Answer]] = {}

    def check_tx(request: wire.CheckRequest) -> Answer | asyncio.Future[Answer]:
        number = int(request.tx)
        if number % 3 == 0:
            return verdict(number)
        futures[number] = asyncio.get_running_loop().create_future()
        return futures[number]

    async def act(engine: Engine) -> None:
        engine.send(*(check(number) for number in range(12)), wire.Request(flush=wire.EmptyRequest()))
        (first,) = await engine.answers(1)
        assert first.check_tx.code == 0
        for number in sorted(futures, reverse=True):
            await asyncio.sleep(0)
            futures[number].set_result(verdict(number))
        answers = await engine.answers(12)
        assert [answer.check_tx.code for answer in answers[:-1]] == list(range(1, 12))
        assert answers[-1].WhichOneof("kind") == "flush"

    assert served(tmp_path, {"check_tx": check_tx}, act) == []


def test_one_connection_does_not_wait_for_another(tmp_path: Path) -> None:
    never: asyncio.Future[Answer] | None = None

    def check_tx(request: wire.CheckRequest) -> asyncio.Future[Answer]:
        nonlocal never
        del request
        never = asyncio.get_running_loop().create_future()
        return never

    async def act(engine: Engine) -> None:
        engine.send(check(1), wire.Request(flush=wire.EmptyRequest()))
        other = Engine(*await asyncio.open_unix_connection(str(tmp_path / "abci.sock")))
        other.send(wire.Request(echo=wire.EchoRequest(message="there?")))
        (answer,) = await other.answers(1)
        assert answer.echo.message == "there?"
        other.close()

    assert served(tmp_path, {"check_tx": check_tx}, act) == []


@pytest.mark.parametrize("is_late", [False, True])
def test_a_failure_is_answered_as_an_exception_and_nothing_after_it(tmp_path: Path, *, is_late: bool) -> None:
    def commit(request: wire.EmptyRequest) -> Answer | asyncio.Future[Answer]:
        del request
        if is_late:
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            future.get_loop().call_soon(future.set_exception, ValueError("the disk is full"))
            return future
        raise ValueError("the disk is full")

    async def act(engine: Engine) -> None:
        engine.send(wire.Request(flush=wire.EmptyRequest()), wire.Request(commit=wire.EmptyRequest()))
        flushed, failed = await engine.answers(2)
        assert flushed.WhichOneof("kind") == "flush"
        assert failed.exception.error == "ValueError: the disk is full"
        engine.send(wire.Request(flush=wire.EmptyRequest()))
        (again,) = await engine.answers(1)
        assert again.WhichOneof("kind") == "exception", (
            "the state behind answers can no longer be vouched for"
        )

    failures = served(tmp_path, {"commit": commit}, act)
    assert [type(failure) for failure in failures] == [ValueError]


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        (delimited(b"\xff\xff"), DecodeError),
        (delimited(b""), LookupError),
        (delimited(wire.Request(query=wire.QueryRequest()).SerializeToString()), LookupError),
        (b"\xff" * 6, MessageTooLarge),
    ],
)
def test_what_is_no_request_stops_the_node(tmp_path: Path, sent: bytes, failure: type[Exception]) -> None:
    async def act(engine: Engine) -> None:
        engine._writer.write(sent)
        if failure is not MessageTooLarge:
            (answer,) = await engine.answers(1)
            assert answer.WhichOneof("kind") == "exception"
        await asyncio.sleep(0.05)

    assert [type(each) for each in served(tmp_path, {}, act)] == [failure]


def test_thousands_of_requests_at_once_are_answered_once_each(tmp_path: Path) -> None:
    count = 20_000

    def check_tx(request: wire.CheckRequest) -> Answer | asyncio.Future[Answer]:
        number = int(request.tx)
        if number % 2:
            return verdict(number)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        future.get_loop().call_later(0.001, future.set_result, verdict(number))
        return future

    async def act(engine: Engine) -> None:
        for start in range(0, count, 500):
            engine.send(*(check(number) for number in range(start, start + 500)))
        answers = await engine.answers(count)
        assert [answer.check_tx.code for answer in answers] == list(range(count))

    assert served(tmp_path, {"check_tx": check_tx}, act) == []


def test_flush_is_one_constant() -> None:
    assert (
        delimited(wire.Response(flush=wire.EmptyResponse()).SerializeToString()) == FLUSHED == b"\x02\x1a\x00"
    )
