"""A stand-in for the engine: one validator, started like the real one, so that pairs are tested without Go.

Keeps its blocks in a file, replays them on start, signs its headers, and answers the RPC calls that a node makes.
Not a consensus protocol; what only several validators can do is tested with the real engine.

    fake_engine.py start --home HOME
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import time
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.engine_json import read_time
from careledger.consensus.cometbft.framing import MessageReader, delimited
from careledger.consensus.cometbft.header import (
    BlockId,
    Commit,
    Header,
    SignedHeader,
    Validator,
    Vote,
    header_hash,
    validators_hash,
    vote_sign_bytes,
)
from careledger.primitives.signing import sign

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - an RPC error
    pass


class FakeEngine:
    """One validator of its own network."""

    def __init__(self, home: Path) -> None:
        config = tomllib.loads((home / "config" / "config.toml").read_text())
        self.genesis = json.loads((home / "config" / "genesis.json").read_text())
        key = json.loads((home / "config" / "priv_validator_key.json").read_text())
        self.seed = base64.b64decode(key["priv_key"]["value"])[:32]
        self.validators = (Validator(base64.b64decode(key["pub_key"]["value"]), 1),)
        self.app_path = config["proxy_app"].removeprefix("unix://")
        self.rpc_path = config["rpc"]["laddr"].removeprefix("unix://")
        self.heartbeat_s = int(config["consensus"]["create_empty_blocks_interval"][:-2]) / 1_000
        self.file = home / "data" / "blocks.jsonl"
        self.blocks: list[Json] = []
        self.headers: list[SignedHeader] = []
        self.app_hash = b""
        self.pool: dict[bytes, None] = {}
        self.cache: dict[bytes, None] = {}
        self.arrived = asyncio.Event()
        self.asking = asyncio.Lock()
        self.messages = MessageReader()

    async def run(self) -> None:
        self.reader, self.writer = await asyncio.open_unix_connection(self.app_path)
        await self.catch_up()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.rpc_path)  # noqa: PTH108 - one call, in no hurry
        await asyncio.start_unix_server(self.serve, self.rpc_path)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), self.heartbeat_s)
            self.arrived.clear()
            await self.make_block(list(self.pool))
            if self.pool:
                self.arrived.set()
            if (self.file.parent / "die").exists():
                (self.file.parent / "die").unlink()
                os._exit(7)

    # -- Blocks --------------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        info = await self.ask(info=wire.InfoRequest())
        self.app_hash = info.last_block_app_hash
        if info.last_block_height == 0:
            seconds, nanos = read_time(self.genesis["genesis_time"])
            begun = await self.ask(
                init_chain=wire.InitChainRequest(
                    time=wire.Time(seconds=seconds, nanos=nanos),
                    chain_id=self.genesis["chain_id"],
                    initial_height=1,
                    app_state=json.dumps(self.genesis["app_state"]).encode(),
                )
            )
            self.app_hash = begun.app_hash
        kept = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        if info.last_block_height > len(kept):
            print(json.dumps({"level": "error", "_msg": "the application is ahead"}))
            sys.exit(3)
        for block in kept:
            self.append(block)
            if block["height"] > info.last_block_height:
                await self.execute(block)

    async def make_block(self, txs: list[bytes]) -> None:
        prepared = await self.ask(prepare_proposal=wire.PrepareRequest(txs=txs, bytes_max=1 << 22))
        block = {
            "height": len(self.blocks) + 1,
            "time_ns": time.time_ns(),
            "app_hash": self.app_hash.hex(),
            "txs": [base64.b64encode(raw).decode() for raw in prepared.txs],
        }
        verdict = await self.ask(process_proposal=wire.ProcessRequest(txs=prepared.txs))
        if verdict.status != 1:
            sys.exit(4)
        with self.file.open("a") as file:
            file.write(json.dumps(block) + "\n")
        self.append(block)
        await self.execute(block)
        for raw in prepared.txs:
            self.pool.pop(raw, None)

    def append(self, block: Json) -> None:
        seconds, nanos = divmod(block["time_ns"], 10**9)
        previous = self.headers[-1].commit.block_id if self.headers else BlockId(b"", 0, b"")
        validators = validators_hash(self.validators)
        header = Header(
            11, 1, self.genesis["chain_id"], block["height"], seconds, nanos, previous, bytes(32), bytes(32),
            validators, validators, bytes(32), bytes.fromhex(block["app_hash"]), b"", b"",
            self.validators[0].address,
        )  # fmt: skip
        commit = Commit(block["height"], 0, BlockId(header_hash(header), 1, bytes(32)), ())
        vote = Vote(2, self.validators[0].address, seconds, nanos, b"")
        signature = sign(self.seed, vote_sign_bytes(header.chain_id, commit, vote))
        vote = Vote(2, vote.validator, seconds, nanos, signature)
        self.headers.append(SignedHeader(header, Commit(commit.height, 0, commit.block_id, (vote,))))
        self.blocks.append(block)

    async def execute(self, block: Json) -> None:
        seconds, nanos = divmod(block["time_ns"], 10**9)
        answer = await self.ask(
            finalize_block=wire.FinalizeRequest(
                txs=[base64.b64decode(raw) for raw in block["txs"]],
                height=block["height"],
                time=wire.Time(seconds=seconds, nanos=nanos),
            )
        )
        self.app_hash = answer.app_hash
        await self.ask(commit=wire.EmptyRequest())

    async def ask(self, **kinds: Any) -> Any:
        async with self.asking:
            self.writer.write(delimited(wire.Request(**kinds).SerializeToString()))
            while True:
                data = await self.reader.read(1 << 16)
                if not data:
                    print("the application is gone")
                    os._exit(1)
                for raw in self.messages.feed(data):
                    response = wire.Response.FromString(raw)
                    if response.WhichOneof("kind") == "exception":
                        os._exit(2)
                    return getattr(response, next(iter(kinds)))

    # -- RPC -----------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)[15:])
            asked = json.loads(await reader.readexactly(length))
            answers = [await self.call(each) for each in (asked if isinstance(asked, list) else [asked])]
            body = json.dumps(answers if isinstance(asked, list) else answers[0]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async def call(self, asked: Json) -> Json:
        answer: Json = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            answer["result"] = await getattr(self, f"answer_{asked['method']}")(**asked["params"])
        except Refused as error:
            answer["error"] = {"code": -32603, "message": "Internal error", "data": str(error)}
        return answer

    async def answer_status(self) -> Json:
        return {"sync_info": {"earliest_block_height": "1", "latest_block_height": str(len(self.blocks))}}

    async def answer_broadcast_tx_async(self, tx: str) -> Json:
        raw = base64.b64decode(tx)
        if raw in self.cache:
            raise Refused("tx already exists in cache")
        if (await self.ask(check_tx=wire.CheckRequest(tx=raw))).code == 0:
            self.cache[raw] = None
            self.pool[raw] = None
            self.arrived.set()
        return {"code": 0, "hash": sha256(raw).hexdigest().upper()}

    async def answer_validators(self, height: str, page: str, per_page: str) -> Json:
        del height, page, per_page
        return {
            "validators": [
                {"pub_key": {"value": base64.b64encode(each.public_key).decode()}, "voting_power": "1"}
                for each in self.validators
            ],
            "total": "1",
        }

    async def answer_commit(self, height: str) -> Json:
        if int(height) > len(self.headers):
            raise Refused("height is not available")
        signed = self.headers[int(height) - 1]
        return {"signed_header": {"header": header_json(signed.header), "commit": commit_json(signed.commit)}}


def when(seconds: int, nanos: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos:09}Z"


def block_id_json(block_id: BlockId) -> Json:
    return {
        "hash": block_id.hash.hex().upper(),
        "parts": {"total": block_id.parts_total, "hash": block_id.parts_hash.hex().upper()},
    }


def header_json(header: Header) -> Json:
    names = (
        *("last_commit_hash", "data_hash", "validators_hash", "next_validators_hash"),
        *("consensus_hash", "app_hash", "last_results_hash", "evidence_hash"),
    )
    return {
        "version": {"block": str(header.version_block), "app": str(header.version_app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": when(header.time_s, header.time_ns),
        "last_block_id": block_id_json(header.last_block_id),
        "proposer_address": header.proposer.hex().upper(),
        **{name: getattr(header, name).hex().upper() for name in names},
    }


def commit_json(commit: Commit) -> Json:
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": block_id_json(commit.block_id),
        "signatures": [
            {
                "block_id_flag": vote.flag,
                "validator_address": vote.validator.hex().upper(),
                "timestamp": when(vote.time_s, vote.time_ns),
                "signature": base64.b64encode(vote.signature).decode(),
            }
            for vote in commit.votes
        ],
    }


async def main(home: Path) -> None:
    loop = asyncio.get_running_loop()
    if not (home / "data" / "deaf").exists():
        loop.add_signal_handler(signal.SIGTERM, lambda: os._exit(0))
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(json.dumps({"level": "info", "_msg": "a stand-in for the engine", "module": "fake"}), flush=True)
    print("a line that is no JSON", flush=True)
    await FakeEngine(home).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[sys.argv.index("--home") + 1])))
