"""The doctor finds what was broken on purpose, and names it and its place; a sound replica has nothing wrong."""

from collections.abc import Callable
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.identity.chain import keeper as identity_keeper
from careledger.domains.identity.chain.types import Status
from careledger.ledger.doctor import FINDINGS_MAX, Check, examine, ledger_checks
from careledger.ledger.doctor_state import fold_root
from careledger.ledger.findings import Finding
from careledger.ledger.history import HISTORY_TABLE, HistoryLeaf, leaf_key, node_key
from careledger.ledger.meta import (
    LEAF_INDEX,
    POSITION_KEY,
    TX_INDEX,
    decode_position,
    encode_position,
    height_key,
)
from careledger.ledger.receipt import Receipt
from careledger.ledger.seen import MINUTE_DIGESTS, minute_of, seen_key
from careledger.primitives.codec import decode, decode_list, encode
from careledger.sdk.events import EmittedEvent
from careledger.state.buckets import bucket_index, bucket_key
from careledger.state.nodes import root_of
from careledger.state.rebuild import fill_nodes
from careledger.state.store import BODIES, BUCKETS, EVENTS, HEADERS, META, RECEIPTS, SEEN, STATE, WriteBatch
from careledger.state.undo import VERSIONS_KEY
from careledger.storage.node_file import NodeFile
from kit.ledgers import (
    BUCKETS_LOG2,
    START_MS,
    TestLedger,
    commit_access,
    commit_records,
    signed,
)


@pytest.fixture
def ledger() -> TestLedger:
    made = TestLedger()
    for number in range(5):
        txs = (
            signed(commit_records("hospital-a", 8 * number), "hospital-a"),
            signed(commit_access("hospital-b", number), "hospital-b"),
            signed(commit_access("hospital-b", 100 + number), "hospital-a"),
        )
        made.block(*txs)
        batch = WriteBatch()
        key = height_key(made.application.position.height)
        batch.put(BODIES, key, encode(list(txs)))
        batch.put(HEADERS, key, b"a header")
        made.tables.write(batch)
        made.block()
    return made


def findings(ledger: TestLedger, name: str | None = None) -> list[Finding]:
    with ledger.tables.snapshot() as reader:
        return [
            finding
            for done in examine(ledger_checks(reader, ledger.application.active.modules))
            for finding in done.findings
            if name in (None, done.name)
        ]


def read(ledger: TestLedger, table: str, key: bytes) -> bytes:
    with ledger.tables.snapshot() as reader:
        raw = reader.get(table, key)
    assert raw is not None
    return raw


def write(ledger: TestLedger, table: str, key: bytes, value: bytes | None) -> None:
    batch = WriteBatch()
    if value is None:
        batch.delete(table, key)
    else:
        batch.put(table, key, value)
    ledger.tables.write(batch)


def flip(raw: bytes, at: int = -1) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


def test_a_sound_replica_has_nothing_wrong(ledger: TestLedger) -> None:
    with ledger.tables.snapshot() as reader:
        done = list(examine(ledger_checks(reader, ledger.application.active.modules)))
    assert [one.name for one in done][:5] == ["position", "history", "receipts", "state", "seen"]
    assert {"identity.members_can_act", "records.entries_are_whole"} <= {one.name for one in done}
    assert all(one.is_sound for one in done), [str(f) for one in done for f in one.findings]
    assert findings(TestLedger()) == []


def test_a_replica_stays_sound_through_expiry_and_pruning() -> None:
    made = TestLedger()
    for number in range(4):
        expires = made.application.position.time_ms + 400_000
        made.block(
            signed(commit_access("hospital-b", number), "hospital-b", expires_at_ms=expires), later_ms=200_000
        )
    assert findings(made) == []
    later_ms = made.application.limits.receipts_retention_ms + 1_000_000
    for number in range(10, 13):
        expires = made.application.position.time_ms + later_ms + 300_000
        made.block(
            signed(commit_access("hospital-b", number), "hospital-b", expires_at_ms=expires),
            later_ms=later_ms,
        )
        assert findings(made) == []
    assert made.application.position.pruned_below > 1


# -- Each thing broken on purpose ------------------------------------------------------------------------

RECORD = commit_records("hospital-a", 8)
RECORD_KEY = b"\x03\x01" + (1).to_bytes(4, "big") + RECORD.tags[:32]


def position_changed(**changes: object) -> Callable[[TestLedger], None]:
    def change(ledger: TestLedger) -> None:
        position = decode_position(read(ledger, META, POSITION_KEY))
        write(ledger, META, POSITION_KEY, encode_position(msgspec.structs.replace(position, **changes)))

    return change


def changed(table: str, key: bytes, at: int = -1) -> Callable[[TestLedger], None]:
    return lambda ledger: write(ledger, table, key, flip(read(ledger, table, key), at))


def removed(table: str, key: bytes) -> Callable[[TestLedger], None]:
    return lambda ledger: write(ledger, table, key, None)


def put(table: str, key: bytes, value: bytes) -> Callable[[TestLedger], None]:
    return lambda ledger: write(ledger, table, key, value)


def receipt_changed(ledger: TestLedger) -> None:
    """A rejection turned into a success."""
    receipts = decode_list(read(ledger, RECEIPTS, height_key(3)), Receipt)
    receipts[2] = msgspec.structs.replace(receipts[2], module=0, code=0)
    write(ledger, RECEIPTS, height_key(3), encode(receipts))


def bodies_changed(ledger: TestLedger) -> None:
    bodies = [signed(commit_access("practice", number), "practice") for number in range(3)]
    write(ledger, BODIES, height_key(3), encode(bodies))


def bodies_cut(ledger: TestLedger) -> None:
    write(ledger, BODIES, height_key(3), encode([signed(commit_access("practice", 1), "practice")]))


def event_of_nobody(ledger: TestLedger) -> None:
    write(ledger, EVENTS, height_key(3), encode([EmittedEvent(7, "records", "X", b"")]))


def leaf_swapped(ledger: TestLedger) -> None:
    """A leaf with another state root, hashed as it should be: only the nodes above do not follow."""
    leaf = decode(read(ledger, HISTORY_TABLE, leaf_key(2)), HistoryLeaf)
    other = encode(msgspec.structs.replace(leaf, state_root=bytes(32)))
    write(ledger, HISTORY_TABLE, leaf_key(2), other)
    write(ledger, HISTORY_TABLE, node_key(0, 2), sha256(b"\x00" + other).digest())


def indexed_wrongly(ledger: TestLedger) -> None:
    first = decode_list(read(ledger, RECEIPTS, height_key(1)), Receipt)[0]
    write(ledger, TX_INDEX, first.tx_id, height_key(1) + (1).to_bytes(4, "big"))


def seen_lost(ledger: TestLedger) -> None:
    with ledger.tables.snapshot() as reader:
        key = next(iter(reader.scan(SEEN, b"", None)))[0]
    write(ledger, SEEN, key, None)


def seen_last_lost(ledger: TestLedger) -> None:
    with ledger.tables.snapshot() as reader:
        rows = sorted((raw, key) for key, raw in reader.scan(SEEN, b"", None))
    write(ledger, SEEN, rows[-1][1], None)


def bucket_number(key: bytes) -> int:
    return bucket_index(sha256(key).digest(), BUCKETS_LOG2)


BROKEN: list[tuple[str, Callable[[TestLedger], None], str, str]] = [
    ("position", position_changed(state_root=bytes(32)), "position", "names another root than the position"),
    ("position", position_changed(state_height=8), "position", "names another height"),
    ("position", position_changed(height=1), "position", "do not ascend in height"),
    ("position", position_changed(time_ms=1), "position", "later than the position"),
    ("position", position_changed(buckets_log2=9), "position", "number of buckets"),
    ("position", removed(META, VERSIONS_KEY), "position", "no record of the state's versions"),
    ("position", removed(HISTORY_TABLE, leaf_key(5)), "position", "last leaf is missing"),
    ("history", changed(HISTORY_TABLE, leaf_key(3)), "history leaf 3", "not the one that was hashed"),
    ("history", removed(HISTORY_TABLE, leaf_key(3)), "history leaf 3", "missing"),
    ("history", put(HISTORY_TABLE, leaf_key(3), b"\x80"), "history leaf 3", "cannot be read"),
    ("history", changed(HISTORY_TABLE, node_key(1, 1)), "history node 1/1", "not the hash of those below"),
    ("history", removed(HISTORY_TABLE, node_key(0, 3)), "history node 1/1", "below it is missing"),
    ("history", leaf_swapped, "history node 1/1", "not the hash of those below"),
    ("history", put(HISTORY_TABLE, leaf_key(9), b"x"), "history", "rows of a history"),
    ("history", removed(LEAF_INDEX, height_key(5)), "history leaf 3", "not found by its height"),
    ("history", put(LEAF_INDEX, height_key(50), height_key(1)), "history", "one row for each leaf"),
    ("receipts", receipt_changed, "receipts", "not those that were committed to"),
    ("receipts", removed(RECEIPTS, height_key(3)), "receipts", "receipts are missing"),
    ("receipts", put(RECEIPTS, height_key(3), b"\x80\x80"), "receipts", "cannot be read"),
    ("receipts", put(RECEIPTS, height_key(4), b"\x80"), "receipts", "none to keep"),
    ("receipts", bodies_changed, "transaction 0", "not the one of its receipt"),
    ("receipts", bodies_cut, "transactions", "differ in number"),
    ("receipts", put(BODIES, height_key(3), b"\xff"), "transactions", "cannot be read"),
    ("receipts", removed(BODIES, height_key(3)), "transactions", "are missing"),
    ("receipts", event_of_nobody, "events", "no transaction of its block"),
    ("receipts", put(EVENTS, height_key(3), b"\xff"), "events", "cannot be read"),
    ("receipts", indexed_wrongly, "transaction index", "leads to no receipt"),
    ("receipts", put(TX_INDEX, bytes(32), b"short"), "transaction index", "not a height and a place"),
    (
        "state",
        changed(STATE, RECORD_KEY, 5),
        f"record entry {RECORD.tags[:32].hex()}",
        "not the one that the ledger wrote",
    ),
    ("state", removed(STATE, RECORD_KEY), "state key with hash", "is missing"),
    ("state", put(STATE, b"\x09\x09key", b"x"), "state key 09096b6579", "never written"),
    (
        "state",
        changed(BUCKETS, bucket_key(bucket_number(RECORD_KEY))),
        f"state bucket {bucket_number(RECORD_KEY)}",
        "rebuild",
    ),
    ("seen", seen_lost, "seen-set", "numbered without gaps"),
    ("seen", seen_last_lost, "seen-set", "not those that the state names"),
    ("seen", put(SEEN, seen_key(minute_of(START_MS) + 60, bytes(32)), bytes(4)), "seen-set", "knows nothing"),
    ("seen", put(SEEN, seen_key(minute_of(START_MS) + 60, bytes(32)), b""), "seen-set", "is not (minute"),
]


@pytest.mark.parametrize(("check", "breaks", "where", "problem"), BROKEN)
def test_what_is_broken_is_named(
    ledger: TestLedger, check: str, breaks: Callable[[TestLedger], None], where: str, problem: str
) -> None:
    breaks(ledger)
    found = findings(ledger, check)
    assert any(one.where.startswith(where) and problem in one.problem for one in found), [*map(str, found)]


def test_the_finding_names_organisation_and_block(ledger: TestLedger) -> None:
    changed(STATE, RECORD_KEY, 5)(ledger)
    named = [one for one in findings(ledger, "state") if one.organisation]
    assert [(one.organisation, one.height) for one in named] == [("1", 3)]
    assert str(named[0]).startswith(
        f"record entry {RECORD.tags[:32].hex()}, organisation 1, block 3: The value"
    )


def test_one_changed_leaf_is_found_once(ledger: TestLedger) -> None:
    changed(HISTORY_TABLE, leaf_key(3))(ledger)
    assert [str(one) for one in findings(ledger, "history")] == [
        "history leaf 3, block 5: The leaf is not the one that was hashed."
    ]


def test_invariants_of_modules_are_among_the_checks(ledger: TestLedger) -> None:
    key = identity_keeper.ORGANISATIONS.key(1)
    organisation = identity_keeper.ORGANISATIONS.decode(read(ledger, STATE, key))
    write(ledger, STATE, key, encode(msgspec.structs.replace(organisation, status=Status.REMOVED)))
    found = findings(ledger, "identity.members_can_act")
    assert [str(one) for one in found] == [
        "module identity: organisation 1 is no longer a member and has keys in force"
    ]


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(ledger: TestLedger) -> None:
    write(ledger, STATE, b"\x03\x03" + bytes(32), b"not a cell")
    write(ledger, STATE, MINUTE_DIGESTS.prefix + b"\xff", b"")
    with ledger.tables.snapshot() as reader:
        done = {one.name: one for one in examine(ledger_checks(reader, ledger.application.active.modules))}
    assert "could not go on" in done["records.cells_are_whole"].findings[0].problem
    assert done["records.entries_are_whole"].is_sound
    assert not done["state"].is_sound


def test_findings_are_limited() -> None:
    def many() -> list[Finding]:
        return [Finding("here", "wrong")] * 1_000

    (done,) = examine([Check("many", "", many)])
    assert len(done.findings) == FINDINGS_MAX + 1
    assert "may be more" in done.findings[-1].problem


@given(
    present=st.dictionaries(st.integers(0, 255), st.integers(1, 20), max_size=40),
)
def test_the_root_is_folded_as_the_tree_folds_it(present: dict[int, int]) -> None:
    buckets = []
    for index, count in sorted(present.items()):
        entries = sorted(
            bytes([index]) + sha256(bytes([index, number])).digest()[1:] + bytes(32)
            for number in range(count)
        )
        buckets.append((index, b"".join(entries)))
    nodes = NodeFile.in_memory(buckets_log2=8)
    fill_nodes(iter(buckets), nodes)
    assert fold_root(iter(buckets), 8) == root_of(nodes)
    nodes.close()
