"""The state machine: outcomes, replays, twins, atomicity, and equal hashes wherever the same blocks run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from careledger.domains.governance.chain.types import DEFAULT_LIMITS, Limits
from careledger.ledger.execution import prepare
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.seen import compute_minute_digest
from careledger.ledger.transaction import Content, Envelope, Transaction, decode_transaction
from careledger.ledger.verification import CachingVerifier, has_valid_signatures
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.primitives.timestamps import DAY_MS
from kit.ledgers import (
    CHAIN_ID,
    START_MS,
    TestLedger,
    commit_access,
    commit_records,
    genesis_bytes,
    seed_of,
    signed,
)

LATE = START_MS + 3_600_000


def limits(**changed: int) -> Limits:
    import msgspec

    return msgspec.structs.replace(DEFAULT_LIMITS, **changed)


def with_content(raw: bytes, **changed: object) -> bytes:
    import msgspec

    envelope = decode(raw, Envelope)
    content = msgspec.structs.replace(decode(envelope.content, Content), **changed)
    return encode(Envelope(encode(content), envelope.signatures))


GOOD = signed(commit_access("hospital-a", 1), "hospital-a")

OUTCOMES: list[tuple[str, bytes, str]] = [
    ("a good one", GOOD, ""),
    ("no bytes", b"", "MALFORMED"),
    ("no envelope", b"\x01", "MALFORMED"),
    ("bytes after it", GOOD + b"\x00", "MALFORMED"),
    ("a non-canonical integer", GOOD.replace(b"\x82\x58", b"\x82\x59\x00", 1), "MALFORMED"),
    ("an unknown version", with_content(GOOD, version=2), "MALFORMED"),
    ("no signers", with_content(GOOD, signers=()), "MALFORMED"),
    ("a payload that is none", with_content(GOOD, payload=b"\x01"), "MALFORMED"),
    ("another ledger", signed(commit_access("hospital-a", 2), "hospital-a", chain_id="other"), "WRONG_CHAIN"),
    (
        "an unknown module",
        signed(commit_access("hospital-a", 2), "hospital-a", module="x"),
        "UNKNOWN_MESSAGE",
    ),
    ("expired", signed(commit_access("hospital-a", 3), "hospital-a", expires_at_ms=START_MS), "EXPIRED"),
    (
        "too far",
        signed(commit_access("hospital-a", 4), "hospital-a", expires_at_ms=LATE),
        "EXPIRY_TOO_FAR",
    ),
    ("a changed content", with_content(GOOD, permit=b"x"), "BAD_SIGNATURE"),
    ("a long permit", with_content(GOOD, permit=bytes(513)), "TOO_LARGE"),
    ("a stranger's signature", signed(commit_access("hospital-a", 5), "hospital-b"), "NOT_SIGNED"),
]


@pytest.mark.parametrize(("raw", "slug"), [row[1:] for row in OUTCOMES], ids=[row[0] for row in OUTCOMES])
def test_each_transaction_has_its_numbered_outcome(raw: bytes, slug: str) -> None:
    assert TestLedger().slugs(raw) == [slug]


def test_the_same_outcomes_in_one_block() -> None:
    assert TestLedger().slugs(*(raw for _, raw, _ in OUTCOMES)) == [slug for _, _, slug in OUTCOMES]


def test_a_replay_is_refused_in_the_same_block_later_and_after_a_restart() -> None:
    ledger = TestLedger()
    assert ledger.slugs(GOOD, GOOD) == ["", "DUPLICATE"]
    assert ledger.slugs(GOOD) == ["DUPLICATE"]
    ledger.application = ledger.open()
    assert ledger.slugs(GOOD) == ["DUPLICATE"]
    assert ledger.slugs(GOOD, later_ms=400_000) == ["EXPIRED"]


def test_a_rejected_transaction_is_not_run_again_either() -> None:
    ledger = TestLedger()
    stranger = signed(commit_access("hospital-a", 5), "hospital-b")
    assert ledger.slugs(stranger) == ["NOT_SIGNED"]
    assert ledger.slugs(stranger) == ["DUPLICATE"]


def badly_signed_twin(raw: bytes) -> bytes:
    envelope = decode(raw, Envelope)
    return encode(Envelope(envelope.content, bytes([envelope.signatures[0] ^ 1]) + envelope.signatures[1:]))


@pytest.mark.parametrize("cached", ["nothing", "the good one", "the twin", "both"])
@pytest.mark.parametrize("first", ["twin", "good"])
def test_a_badly_signed_twin_spoils_nothing_whatever_the_caches_hold(cached: str, first: str) -> None:
    twin = badly_signed_twin(GOOD)
    assert decode_transaction(twin).tx_id == decode_transaction(GOOD).tx_id
    verifier = CachingVerifier()
    known = {"nothing": [], "the good one": [GOOD], "the twin": [twin], "both": [GOOD, twin]}[cached]
    verifier.verify([decode_transaction(raw) for raw in known])
    ledger = TestLedger(verifier=verifier)
    plain = TestLedger()
    block = (twin, GOOD) if first == "twin" else (GOOD, twin)
    expected = ["BAD_SIGNATURE", ""] if first == "twin" else ["", "BAD_SIGNATURE"]
    assert ledger.slugs(*block) == expected
    plain.block(*block)
    assert ledger.application.position.app_hash == plain.application.position.app_hash


def test_the_index_points_to_the_outcome_and_not_to_a_refused_copy() -> None:
    ledger = TestLedger()
    ledger.block(badly_signed_twin(GOOD), GOOD, GOOD)
    ledger.block(GOOD)
    receipt = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None).receipt(
        decode_transaction(GOOD).tx_id
    )
    assert receipt is not None
    assert receipt.is_success
    assert (receipt.height, receipt.index) == (1, 1)


def test_stripping_a_signature_does_not_use_up_the_transaction() -> None:
    both = signed(commit_access("hospital-a", 9), "hospital-a", "hospital-b")
    alone = decode_transaction(both).content.signers[:1]
    envelope = decode(with_content(both, signers=alone), Envelope)
    stripped = encode(Envelope(envelope.content, envelope.signatures[:64]))
    assert TestLedger().slugs(stripped, both) == ["BAD_SIGNATURE", ""]


def test_a_copied_tag_spoils_nothing() -> None:
    ledger = TestLedger()
    batch = commit_records("hospital-a", 0)
    copy = type(batch)(2, batch.tags, batch.commitments)
    assert ledger.slugs(signed(copy, "hospital-b"), signed(batch, "hospital-a")) == ["", ""]


def test_a_rejected_message_leaves_nothing_behind() -> None:
    one, other = TestLedger(), TestLedger()
    ok = signed(commit_records("hospital-a", 0), "hospital-a")
    # Overlaps the first batch with other commitments: refused as a whole.
    bad = signed(commit_records("hospital-a", 4, salt="x"), "hospital-a")
    assert one.slugs(ok, bad) == ["", "TAG_TAKEN"]
    assert other.slugs(ok) == [""]
    prefix = bytes((3,))
    with one.tables.snapshot() as first, other.tables.snapshot() as second:
        assert list(first.scan("state", prefix, bytes((4,)))) == list(
            second.scan("state", prefix, bytes((4,)))
        )


def test_a_full_block_refuses_the_rest_as_retryable() -> None:
    ledger = TestLedger(genesis=genesis_bytes(limits=limits(operations_per_block_max=5_000)))
    batches = [signed(commit_records("hospital-a", n * 4096, 4096), "hospital-a") for n in range(2)]
    assert ledger.slugs(*batches) == ["", "BLOCK_FULL"]
    assert ledger.slugs(batches[1]) == [""]


def test_a_message_with_too_many_operations_is_refused() -> None:
    active = TestLedger().application.active
    raw = signed(commit_records("hospital-a", 0, 64), "hospital-a")
    few = limits(operations_per_transaction_max=63)
    with pytest.raises(Rejected) as caught:
        prepare(raw, active=active, chain_id=CHAIN_ID, limits=few)
    assert caught.value.code.slug == "TOO_MANY_OPERATIONS"
    enough = limits(operations_per_transaction_max=64)
    assert prepare(raw, active=active, chain_id=CHAIN_ID, limits=enough).operations == 64


def test_empty_blocks_move_time_and_nothing_else() -> None:
    ledger = TestLedger()
    ledger.block(GOOD)
    before = ledger.application.position
    for _ in range(3):
        ledger.block()
    after = ledger.application.position
    assert (after.height, after.time_ms) == (before.height + 3, before.time_ms + 3_000)
    assert after.app_hash == before.app_hash
    assert after.frontier == before.frontier


def test_nothing_is_persistent_before_commit() -> None:
    ledger = TestLedger()
    request = FinalizeBlockRequest(height=1, time_ms=START_MS + 1, txs=(GOOD,))
    first = ledger.application.finalize_block(request)
    again = ledger.open()
    assert again.position.height == 0
    assert again.finalize_block(request) == first
    assert ledger.application.finalize_block(request) == first
    with pytest.raises(InvariantViolated, match="follows"):
        ledger.application.finalize_block(FinalizeBlockRequest(height=3, time_ms=START_MS, txs=()))
    again.commit()
    with pytest.raises(InvariantViolated, match="no finalized block"):
        again.commit()


def test_seen_entries_go_when_nothing_can_need_them_and_the_digest_is_checked_by_order() -> None:
    ledger = TestLedger()
    ledger.block(GOOD, signed(commit_access("hospital-b", 1), "hospital-b"))
    with ledger.tables.snapshot() as reader:
        rows = sorted(reader.scan("seen", b"", None), key=lambda pair: pair[1])
        digests = list(reader.scan("state", bytes((0, 1)), bytes((0, 2))))
    assert [row[0][4:] for row in rows] == [
        decode_transaction(GOOD).tx_id,
        decode_transaction(signed(commit_access("hospital-b", 1), "hospital-b")).tx_id,
    ]
    assert [value for _, value in digests] == [compute_minute_digest([row[0][4:] for row in rows])]
    ledger.block(later_ms=3_600_000)
    with ledger.tables.snapshot() as reader:
        assert len(list(reader.scan("seen", b"", None))) == 2, "a block without transactions deletes nothing"
    ledger.block(signed(commit_access("hospital-b", 2), "hospital-b", expires_at_ms=LATE + 300_000))
    with ledger.tables.snapshot() as reader:
        assert len(list(reader.scan("seen", b"", None))) == 1
        assert len(list(reader.scan("state", bytes((0, 1)), bytes((0, 2))))) == 1


def test_receipts_go_after_their_time_and_history_stays() -> None:
    ledger = TestLedger()
    ledger.block(GOOD)
    day = START_MS + 91 * DAY_MS
    ledger.block(later_ms=91 * DAY_MS)
    ledger.block(signed(commit_access("hospital-b", 1), "hospital-b", expires_at_ms=day + 100_000))
    with ledger.tables.snapshot() as reader:
        heights = [int.from_bytes(key, "big") for key, _ in reader.scan("receipts", b"", None)]
        leaves = len(list(reader.scan("history", b"\x00", b"\x01")))
        indexed = len(list(reader.scan("txindex", b"", None)))
    assert (heights, leaves, indexed) == ([3], 3, 1)


def run_blocks(ledger: TestLedger) -> list[str]:
    hashes = []
    for block in story():
        ledger.block(*block)
        hashes.append(ledger.application.position.app_hash.hex())
    return hashes


def story() -> Sequence[Sequence[bytes]]:
    return [
        [signed(commit_records("hospital-a", 0, 64), "hospital-a"), GOOD, b"junk", GOOD],
        [],
        [signed(commit_records("hospital-b", 0, 512), "hospital-b"), badly_signed_twin(GOOD)],
        [signed(commit_access(slug, n), slug) for n in range(3) for slug in ("practice", "hospital-b")],
    ]


SCRIPT = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from test_ledger_application import run_blocks
from kit.ledgers import TestLedger
print(json.dumps(run_blocks(TestLedger())))
"""


@pytest.mark.parametrize(("hash_seed", "flags"), [("0", []), ("1", []), ("4242", ["-O"]), ("7", ["-OO"])])
def test_the_same_blocks_give_the_same_hashes_in_every_interpreter(hash_seed: str, flags: list[str]) -> None:
    here = Path(__file__).parent
    result = subprocess.run(
        [sys.executable, *flags, "-c", SCRIPT, json.dumps([str(here), str(here.parent)])],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(result.stdout) == run_blocks(TestLedger())


def test_import_of_an_export_has_the_same_state_root_and_goes_on_alike() -> None:
    from careledger.ledger.genesis import export_genesis, read_genesis, write_genesis
    from careledger.sdk.context import View
    from careledger.state.store import TableView

    ledger = TestLedger()
    run_blocks(ledger)
    position = ledger.application.position
    with ledger.tables.snapshot() as reader:
        view = View(
            store=TableView(reader),
            chain_id=position.chain_id,
            height=position.height,
            time_ms=position.time_ms,
        )
        document = export_genesis(
            view, reader, ledger.application.active.modules, buckets_log2=position.buckets_log2
        )
    raw = write_genesis(document)
    assert write_genesis(read_genesis(raw)) == raw
    copy = TestLedger(genesis=raw)
    assert copy.application.position.state_root == position.state_root
    assert copy.slugs(GOOD) == ["DUPLICATE"], "the seen-set came along"


def test_a_transaction_checks_out_only_with_every_signature() -> None:
    transaction = decode_transaction(signed(commit_access("hospital-a", 9), "hospital-a", "hospital-b"))
    assert has_valid_signatures(transaction)
    assert len({seed_of("hospital-a"), seed_of("hospital-b")}) == 2
    for position in (0, 64):
        signatures = bytearray(transaction.signatures)
        signatures[position] ^= 1
        broken = Transaction(
            transaction.raw, transaction.raw_hash, transaction.tx_id, transaction.content, bytes(signatures)
        )
        assert not has_valid_signatures(broken)
