"""Headers, commits and validator sets out of the engine's JSON answers.

The engine is our own process, yet what it hands on came from peers: whatever does not read as expected is an
error, and what is read is checked by `careledger.consensus.cometbft.header` before it counts.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

from careledger.consensus.cometbft.header import BlockId, Commit, Header, SignedHeader, Validator, Vote

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z\Z", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Json = dict[str, Any]
"""An object as the JSON decoder gives it; every access below converts to the type it needs."""


class AnswerUnusable(Exception):  # noqa: N818 - an outcome
    """An answer of the engine does not have the form that was expected."""


def read_time(text: str) -> tuple[int, int]:
    """Seconds since 1970 and nanoseconds of an RFC 3339 time in UTC."""
    match = _TIME.match(text)
    if match is None:
        raise AnswerUnusable("a time is malformed")
    try:
        whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        raise AnswerUnusable("a time is malformed") from None
    since = whole - _EPOCH
    return since.days * 86_400 + since.seconds, int((match[2] or "").ljust(9, "0"))


def read_signed_header(answer: Json) -> SignedHeader:
    """Read the answer to `commit`.

    Raises:
        AnswerUnusable: It is no such answer.
    """
    try:
        signed = answer["signed_header"]
        return SignedHeader(_header(signed["header"]), _commit(signed["commit"]))
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerUnusable(f"a header cannot be read: {type(error).__name__}") from None


def read_validators(answer: Json) -> tuple[list[Validator], int]:
    """Read one page of the answer to `validators`; returns also how many there are in all.

    Raises:
        AnswerUnusable: It is no such answer.
    """
    try:
        page = [
            Validator(base64.b64decode(each["pub_key"]["value"], validate=True), int(each["voting_power"]))
            for each in answer["validators"]
        ]
        return page, int(answer["total"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerUnusable(f"a validator set cannot be read: {type(error).__name__}") from None


def _header(header: Json) -> Header:
    time_s, time_ns = read_time(header["time"])
    version = header["version"]
    return Header(
        version_block=int(version.get("block", 0)),
        version_app=int(version.get("app", 0)),
        chain_id=str(header["chain_id"]),
        height=int(header["height"]),
        time_s=time_s,
        time_ns=time_ns,
        last_block_id=_block_id(header["last_block_id"]),
        last_commit_hash=bytes.fromhex(header["last_commit_hash"]),
        data_hash=bytes.fromhex(header["data_hash"]),
        validators_hash=bytes.fromhex(header["validators_hash"]),
        next_validators_hash=bytes.fromhex(header["next_validators_hash"]),
        consensus_hash=bytes.fromhex(header["consensus_hash"]),
        app_hash=bytes.fromhex(header["app_hash"]),
        last_results_hash=bytes.fromhex(header["last_results_hash"]),
        evidence_hash=bytes.fromhex(header["evidence_hash"]),
        proposer=bytes.fromhex(header["proposer_address"]),
    )


def _block_id(block_id: Json) -> BlockId:
    parts = block_id["parts"]
    return BlockId(bytes.fromhex(block_id["hash"]), int(parts["total"]), bytes.fromhex(parts["hash"]))


def _commit(commit: Json) -> Commit:
    return Commit(
        int(commit["height"]),
        int(commit["round"]),
        _block_id(commit["block_id"]),
        tuple(_vote(each) for each in commit["signatures"]),
    )


def _vote(vote: Json) -> Vote:
    time_s, time_ns = read_time(vote["timestamp"])
    signature = vote["signature"]
    return Vote(
        int(vote["block_id_flag"]),
        bytes.fromhex(vote["validator_address"]),
        time_s,
        time_ns,
        base64.b64decode(signature, validate=True) if signature else b"",
    )
