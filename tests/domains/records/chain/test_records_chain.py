"""Record entries, access entries and consent cells: what each message does, and every way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
import pytest

from careledger.domains.governance.chain.types import DEFAULT_LIMITS
from careledger.domains.identity.chain import errors as identity_codes
from careledger.domains.identity.chain.messages import RevokeKey
from careledger.domains.records.chain import errors as codes
from careledger.domains.records.chain import keeper, types
from careledger.domains.records.chain.genesis import genesis_document, import_genesis
from careledger.domains.records.chain.messages import (
    CommitAccess,
    CommitRecords,
    CompleteRecovery,
    CreateCells,
    StartRecovery,
    UpdateCell,
)
from careledger.domains.records.chain.queries import CellRequest, EntryRequest
from careledger.domains.records.chain.types import (
    ACCESS_BATCH_SIZES,
    CELL_BATCH_SIZES,
    RECORD_BATCH_SIZES,
    AccessCommitted,
    Cell,
    CellsCreated,
    CellUpdated,
    Entry,
    PendingRecovery,
    RecordsCommitted,
    RecoveryCancelled,
    RecoveryCompleted,
    RecoveryStarted,
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
    pack_cell,
    pack_entry,
    unpack_cell,
    unpack_entry,
)
from careledger.primitives.errors import Code, InvariantViolated, Rejected
from careledger.primitives.signing import public_key_of
from careledger.sdk.events import Event
from domains.identity.chain_network import (
    CHAIN_ID,
    Network,
    admin,
    check_rejected,
    digest,
    empty_store,
    ledger,
    seed,
)

DELAY_MS = DEFAULT_LIMITS.recovery_delay_ms


def tags_of(count: int, name: str = "stream") -> list[bytes]:
    return sorted(digest("tag", name, position) for position in range(count))


def batch(count: int = 8, name: str = "stream", organisation: int = 1, version: int = 1) -> CommitRecords:
    tags = tags_of(count, name)
    return CommitRecords(
        organisation, b"".join(tags), b"".join(digest("commitment", tag, version) for tag in tags)
    )


def as_access(message: CommitRecords) -> CommitAccess:
    return CommitAccess(message.organisation, message.tags, message.commitments)


def update_key(version: int) -> bytes:
    """Seed of the key that makes this version."""
    return seed("cell-key", version)


def recovery_key(version: int = 1) -> bytes:
    """Seed of the recovery key committed to in this version."""
    return seed("cell-recovery", version)


def contents(name: str = "patient") -> bytes:
    return b"".join(
        (
            digest("contents", name, 1),
            compute_key_commitment(public_key_of(update_key(2))),
            compute_recovery_commitment(public_key_of(recovery_key())),
            digest("nonce", name),
        )
    )


CELL = compute_cell_id(CHAIN_ID, 1, contents())


def update(version: int, **changes: Any) -> UpdateCell:
    """The update that makes this version, signed by the key of that version."""
    message = UpdateCell(
        cell=CELL,
        version=version.to_bytes(8, "big"),
        key=public_key_of(update_key(version)),
        next_key_commitment=compute_key_commitment(public_key_of(update_key(version + 1))),
        recovery_commitment=compute_recovery_commitment(public_key_of(recovery_key(version))),
        commitment=digest("contents", version),
    )
    return msgspec.structs.replace(message, **changes)


def start(**changes: Any) -> StartRecovery:
    message = StartRecovery(
        cell=CELL,
        recovery_key=public_key_of(recovery_key()),
        next_key_commitment=compute_key_commitment(public_key_of(seed("recovered-key"))),
        recovery_commitment=compute_recovery_commitment(public_key_of(seed("recovered-recovery"))),
    )
    return msgspec.structs.replace(message, **changes)


def complete(**changes: Any) -> CompleteRecovery:
    return msgspec.structs.replace(CompleteRecovery(CELL, public_key_of(recovery_key())), **changes)


def create(network: Network, packed: bytes | None = None) -> None:
    network.run(CreateCells(1, contents() if packed is None else packed), ledger(1))


def network_with_cell() -> Network:
    network = Network(2)
    create(network)
    network.next_block()
    return network


def cell_of(network: Network) -> Cell:
    return keeper.require_cell(network.store, CELL)


# -- Entries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", RECORD_BATCH_SIZES)
def test_a_batch_of_records_is_committed(count: int) -> None:
    network = Network()
    message = batch(count)
    assert message.operations() == count
    assert network.run(message, ledger(1)) == b""
    assert network.events == [RecordsCommitted(1, count)]
    for position, tag in enumerate(tags_of(count)):
        commitment = message.commitments[32 * position : 32 * position + 32]
        assert keeper.record_entry(network.store, 1, tag) == Entry(1, tag, commitment, network.height)
        assert keeper.access_entry(network.store, 1, tag) is None
    assert len(network.pairs(network.records)) == count
    network.check()
    network.check_round_trip()


@pytest.mark.parametrize("count", ACCESS_BATCH_SIZES)
def test_a_batch_of_access_entries_is_committed(count: int) -> None:
    network = Network()
    message = as_access(batch(count))
    assert message.operations() == count
    network.run(message, ledger(1))
    assert network.events == [AccessCommitted(1, count)]
    for tag in tags_of(count):
        assert keeper.access_entry(network.store, 1, tag) is not None
        assert keeper.record_entry(network.store, 1, tag) is None
    network.check()
    network.check_round_trip()


def test_a_batch_sent_again_succeeds_and_keeps_the_first_height() -> None:
    network = Network()
    network.run(batch(), ledger(1))
    before = network.pairs()
    network.next_block()
    network.run(batch(), ledger(1))
    assert network.events == [RecordsCommitted(1, 0)]
    assert network.pairs() == before


def test_a_batch_may_overlap_an_earlier_one() -> None:
    network = Network()
    network.run(batch(8), ledger(1))
    network.run(batch(64), ledger(1))
    assert network.events == [RecordsCommitted(1, 56)]


def test_another_commitment_rejects_the_whole_batch_and_names_the_position_only() -> None:
    network = Network()
    network.run(batch(8), ledger(1))
    taken = tags_of(8)[3]
    tags = sorted([*tags_of(7, "other"), taken])
    message = CommitRecords(1, b"".join(tags), bytes(256))
    check_rejected(network, codes.TAG_TAKEN, lambda n: n.run(message, ledger(1)))
    with pytest.raises(Rejected) as caught:
        network.run(message, ledger(1))
    assert caught.value.at == f"tags[{tags.index(taken)}]"
    assert taken.hex() not in str(caught.value)


def test_a_copied_tag_spoils_nothing() -> None:
    """Threat row 5: tags are visible before they are committed."""
    network = Network(2)
    mine = batch(8)
    network.run(CommitRecords(2, mine.tags, bytes(256)), ledger(2))
    network.run(mine, ledger(1))
    assert network.events == [RecordsCommitted(1, 8)]


def test_only_a_ledger_key_of_the_organisation_commits() -> None:
    network = Network(2)
    for signers in ((), (ledger(2),), (admin(1),), (seed("stranger"),)):
        with pytest.raises(Rejected):
            network.run(batch(), *signers)
    network.run(RevokeKey(1, public_key_of(ledger(1))), admin(1))
    for message in (batch(), as_access(batch()), CreateCells(1, contents())):
        with pytest.raises(Rejected) as caught:
            network.run(message, ledger(1))
        assert caught.value.code == identity_codes.KEY_REVOKED
    assert network.pairs(network.records) == []


# -- Cells -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", CELL_BATCH_SIZES)
def test_cells_are_created(count: int) -> None:
    network = Network()
    packed = [contents(str(number)) for number in range(count)]
    message = CreateCells(1, b"".join(packed))
    assert message.operations() == count
    network.run(message, ledger(1))
    ids = [compute_cell_id(CHAIN_ID, 1, each) for each in packed]
    assert network.events == [CellsCreated(1, b"".join(ids))]
    for cell_id, each in zip(ids, packed, strict=True):
        assert keeper.cell(network.store, cell_id) == Cell(1, 1, each[:32], each[32:64], each[64:96], None)
    network.check()
    network.check_round_trip()


def test_a_cells_identifier_depends_on_ledger_custodian_and_every_byte() -> None:
    packed = contents()
    others = [bytes((*packed[:at], packed[at] ^ 1, *packed[at + 1 :])) for at in range(128)]
    ids = [CELL, compute_cell_id("other-ledger", 1, packed), compute_cell_id(CHAIN_ID, 2, packed)]
    ids += [compute_cell_id(CHAIN_ID, 1, other) for other in others]
    assert len(set(ids)) == len(ids)


def test_a_cell_advances_by_its_chain_of_keys() -> None:
    network = network_with_cell()
    for version in range(2, 30):
        network.run(update(version), update_key(version))
        assert network.events == [CellUpdated(CELL, 1, version)]
        found = cell_of(network)
        assert (found.version, found.commitment) == (version, digest("contents", version))
        network.next_block()
    network.check()
    network.check_round_trip()


def test_a_recovery_takes_effect_after_its_delay() -> None:
    network = network_with_cell()
    network.run(start(), recovery_key())
    ready_at_ms = network.time_ms + DELAY_MS
    assert network.events == [RecoveryStarted(CELL, 1, ready_at_ms)]
    assert cell_of(network).version == 1
    network.check_round_trip()
    network.next_block(later_ms=DELAY_MS - 1)
    check_rejected(network, codes.RECOVERY_TOO_EARLY, lambda n: n.run(complete(), recovery_key()))
    network.next_block(later_ms=1)
    network.run(complete(), recovery_key())
    assert network.events == [RecoveryCompleted(CELL, 1, 2)]
    found = cell_of(network)
    assert (found.version, found.commitment, found.pending) == (2, digest("contents", "patient", 1), None)
    check_rejected(network, codes.VERSION_MISMATCH, lambda n: n.run(update(2), update_key(2)))
    check_rejected(network, codes.KEY_NOT_COMMITTED, lambda n: n.run(start(), recovery_key()))
    network.run(update(3, key=public_key_of(seed("recovered-key"))), seed("recovered-key"))
    network.check()


def test_an_ordinary_update_ends_a_recovery() -> None:
    network = network_with_cell()
    network.run(start(), recovery_key())
    network.run(update(2), update_key(2))
    assert network.events == [RecoveryCancelled(CELL, 1), CellUpdated(CELL, 1, 2)]
    network.next_block(later_ms=2 * DELAY_MS)
    check_rejected(network, codes.KEY_NOT_COMMITTED, lambda n: n.run(complete(), recovery_key()))
    newer = public_key_of(recovery_key(2))
    check_rejected(
        network, codes.RECOVERY_ABSENT, lambda n: n.run(complete(recovery_key=newer), recovery_key(2))
    )
    network.check()


def test_an_update_key_cannot_recover_and_a_recovery_key_cannot_update() -> None:
    network = network_with_cell()
    both = public_key_of(update_key(2))
    check_rejected(network, codes.KEY_NOT_COMMITTED, lambda n: n.run(start(recovery_key=both), update_key(2)))
    check_rejected(
        network,
        codes.KEY_NOT_COMMITTED,
        lambda n: n.run(update(2, key=public_key_of(recovery_key())), recovery_key()),
    )
    assert compute_key_commitment(both) != compute_recovery_commitment(both)


def test_queries() -> None:
    network = network_with_cell()
    network.run(batch(), ledger(1))
    network.run(as_access(batch(1)), ledger(1))
    tag = tags_of(8)[0]
    found = network.query(network.records, "record_entry", EntryRequest(1, tag))
    assert found == Entry(1, tag, digest("commitment", tag, 1), network.height)
    tag = tags_of(1)[0]
    found = network.query(network.records, "access_entry", EntryRequest(1, tag))
    assert found == Entry(1, tag, digest("commitment", tag, 1), network.height)
    assert network.query(network.records, "cell", CellRequest(CELL)) == cell_of(network)


# -- Refusals --------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    name: str
    code: Code
    act: Callable[[Network], object]
    arrange: Callable[[Network], object] = lambda _: None


def commits(**changes: Any) -> Callable[[Network], object]:
    return lambda network: network.run(msgspec.structs.replace(batch(), **changes), ledger(1))


def accesses(**changes: Any) -> Callable[[Network], object]:
    return lambda network: network.run(msgspec.structs.replace(as_access(batch()), **changes), ledger(1))


def creates(packed: bytes, organisation: int = 1) -> Callable[[Network], object]:
    return lambda network: network.run(CreateCells(organisation, packed), ledger(1))


def updates(version: int = 2, **changes: Any) -> Callable[[Network], object]:
    return lambda network: network.run(update(version, **changes), update_key(version))


def starts(**changes: Any) -> Callable[[Network], object]:
    return lambda network: network.run(start(**changes), recovery_key())


def completes(**changes: Any) -> Callable[[Network], object]:
    return lambda network: network.run(complete(**changes), recovery_key())


def asks(query: str, request: Any) -> Callable[[Network], object]:
    return lambda network: network.query(network.records, query, request)


SORTED = tags_of(8)
SWAPPED = b"".join([*SORTED[:6], SORTED[7], SORTED[6]])
DOUBLED = b"".join([*SORTED[:7], SORTED[6]])

REFUSALS = (
    Refusal("records of organisation 0", codes.ORGANISATION_OUT_OF_RANGE, commits(organisation=0)),
    Refusal("access of organisation 2^32", codes.ORGANISATION_OUT_OF_RANGE, accesses(organisation=2**32)),
    Refusal("cells of organisation -1", codes.ORGANISATION_OUT_OF_RANGE, creates(contents(), -1)),
    Refusal("no record", codes.BATCH_SIZE, commits(tags=b"", commitments=b"")),
    Refusal("one record", codes.BATCH_SIZE, commits(tags=bytes(32), commitments=bytes(32))),
    Refusal("nine records", codes.BATCH_SIZE, commits(tags=bytes(288), commitments=bytes(288))),
    Refusal("part of a tag", codes.BATCH_SIZE, commits(tags=bytes(255))),
    Refusal("4096 accesses", codes.BATCH_SIZE, accesses(tags=bytes(131_072), commitments=bytes(131_072))),
    Refusal("no cell", codes.BATCH_SIZE, creates(b"")),
    Refusal("part of a cell", codes.BATCH_SIZE, creates(bytes(127))),
    Refusal("two cells", codes.BATCH_SIZE, creates(bytes(256))),
    Refusal("a commitment too few", codes.BATCH_UNEVEN, commits(commitments=bytes(224))),
    Refusal("a byte too many", codes.BATCH_UNEVEN, accesses(commitments=bytes(257))),
    Refusal("tags out of order", codes.TAGS_NOT_ASCENDING, commits(tags=SWAPPED)),
    Refusal("a tag twice", codes.TAGS_NOT_ASCENDING, accesses(tags=DOUBLED)),
    Refusal("another commitment", codes.TAG_TAKEN, commits(commitments=bytes(256)), commits()),
    Refusal("another access commitment", codes.TAG_TAKEN, accesses(commitments=bytes(256)), accesses()),
    Refusal("the same cell", codes.CELL_EXISTS, create),
    Refusal("a cell twice in a batch", codes.CELL_EXISTS, creates(bytes(1_024))),
    Refusal("short cell", codes.FIELD_LENGTH, updates(cell=bytes(31))),
    Refusal(
        "long version",
        codes.FIELD_LENGTH,
        lambda n: n.run(msgspec.structs.replace(update(2), version=bytes(9)), update_key(2)),
    ),
    Refusal("short key", codes.FIELD_LENGTH, updates(key=bytes(31))),
    Refusal("long next key", codes.FIELD_LENGTH, updates(next_key_commitment=bytes(33))),
    Refusal("short recovery", codes.FIELD_LENGTH, updates(recovery_commitment=b"")),
    Refusal("long commitment", codes.FIELD_LENGTH, updates(commitment=bytes(64))),
    Refusal("recovery of a short cell", codes.FIELD_LENGTH, starts(cell=bytes(31))),
    Refusal("short recovery key", codes.FIELD_LENGTH, starts(recovery_key=bytes(31))),
    Refusal("recovery to a short key", codes.FIELD_LENGTH, starts(next_key_commitment=bytes(31))),
    Refusal("recovery to a short recovery", codes.FIELD_LENGTH, starts(recovery_commitment=bytes(31))),
    Refusal("completion of a short cell", codes.FIELD_LENGTH, completes(cell=bytes(31))),
    Refusal("completion by a short key", codes.FIELD_LENGTH, completes(recovery_key=bytes(31))),
    Refusal("unknown cell", codes.CELL_UNKNOWN, updates(cell=bytes(32))),
    Refusal("recovery of an unknown cell", codes.CELL_UNKNOWN, starts(cell=bytes(32))),
    Refusal("query of an unknown cell", codes.CELL_UNKNOWN, asks("cell", CellRequest(bytes(32)))),
    Refusal("the same version", codes.VERSION_MISMATCH, updates(1)),
    Refusal("a version left out", codes.VERSION_MISMATCH, updates(3)),
    Refusal("the same update again", codes.VERSION_MISMATCH, updates(2), updates(2)),
    Refusal(
        "a key that was not committed to",
        codes.KEY_NOT_COMMITTED,
        lambda n: n.run(update(2, key=public_key_of(seed("thief"))), seed("thief")),
    ),
    Refusal(
        "a recovery key that was not committed to",
        codes.KEY_NOT_COMMITTED,
        lambda n: n.run(start(recovery_key=public_key_of(seed("thief"))), seed("thief")),
    ),
    Refusal(
        "the key did not sign", codes.KEY_NOT_SIGNED, lambda n: n.run(update(2), seed("thief"), ledger(1))
    ),
    Refusal("the recovery key did not sign", codes.KEY_NOT_SIGNED, lambda n: n.run(start(), update_key(2))),
    Refusal(
        "the recovery key did not complete", codes.KEY_NOT_SIGNED, lambda n: n.run(complete(), ledger(1))
    ),
    Refusal("recovery twice", codes.RECOVERY_PENDING, starts(), starts()),
    Refusal("completion of nothing", codes.RECOVERY_ABSENT, completes()),
    Refusal("completion at once", codes.RECOVERY_TOO_EARLY, completes(), starts()),
    Refusal("unknown tag", codes.ENTRY_UNKNOWN, asks("record_entry", EntryRequest(1, bytes(32)))),
    Refusal("unknown access tag", codes.ENTRY_UNKNOWN, asks("access_entry", EntryRequest(1, bytes(32)))),
    Refusal("query of noise", codes.QUERY_INVALID, asks("record_entry", b"\xff")),
    Refusal("query of a short tag", codes.QUERY_INVALID, asks("access_entry", EntryRequest(1, b""))),
    Refusal("query of organisation 0", codes.QUERY_INVALID, asks("record_entry", EntryRequest(0, bytes(32)))),
    Refusal("cell query of noise", codes.QUERY_INVALID, asks("cell", b"\xff")),
    Refusal("query of a short cell", codes.QUERY_INVALID, asks("cell", CellRequest(b""))),
    Refusal(
        "genesis with a short tag",
        codes.GENESIS_INVALID,
        lambda _: import_genesis(
            empty_store(),
            {"record_entries": [{"organisation": 1, "tag": b"", "commitment": bytes(32), "height": 1}]},
        ),
    ),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_refused(refusal: Refusal) -> None:
    network = network_with_cell()
    refusal.arrange(network)
    check_rejected(network, refusal.code, refusal.act)
    network.check()


def test_every_code_is_reached() -> None:
    assert {refusal.code for refusal in REFUSALS} == set(codes.RECORDS_CODES.codes())


# -- What the ledger holds -------------------------------------------------------------------------------


def test_no_message_and_no_event_has_room_for_text() -> None:
    """Threat row 24 and the rule that no person is on the ledger: numbers and bytes of fixed length only."""
    messages = [binding.message for binding in Network().records.handlers]
    events = [each for each in vars(types).values() if isinstance(each, type) and issubclass(each, Event)]
    kinds = [*messages, *(each for each in events if each is not Event), Cell, Entry, PendingRecovery]
    assert len(kinds) > 15
    for kind in kinds:
        for name, hint in get_type_hints(kind).items():
            if name.startswith("__"):
                continue
            assert set(get_args(hint) or (hint,)) <= {int, bytes, PendingRecovery, type(None)}, (kind, name)


def test_stored_values_have_one_size() -> None:
    assert len(pack_entry(bytes(32), 2**40)) == len(pack_entry(bytes(32), 1)) == 41
    cells = (
        Cell(1, 1, bytes(32), bytes(32), bytes(32), None),
        Cell(2**32 - 1, 2**63, digest("a"), digest("b"), digest("c"), None),
        Cell(7, 300, digest("a"), digest("b"), digest("c"), PendingRecovery(digest("d"), digest("e"), 2**50)),
    )
    for cell in cells:
        assert len(pack_cell(cell)) == 182
        assert unpack_cell(pack_cell(cell)) == cell


@pytest.mark.parametrize(
    "raw", [b"", b"\x02" + bytes(40), b"\x01" + bytes(41), b"\x02" + bytes(181), bytes(183)]
)
def test_a_broken_value_stops_the_node(raw: bytes) -> None:
    with pytest.raises(InvariantViolated):
        unpack_entry(1, bytes(32), raw)
    with pytest.raises(InvariantViolated):
        unpack_cell(raw)


def test_invariants_find_what_is_wrong() -> None:
    tag = tags_of(1)[0]
    flagged = pack_cell(Cell(1, 1, bytes(32), bytes(32), bytes(32), PendingRecovery(bytes(32), bytes(32), 5)))
    odd = flagged[:109] + b"\x02" + flagged[110:]
    cases: list[tuple[str, Callable[[Network], object]]] = [
        ("entries_are_whole", lambda n: keeper.RECORD_ENTRIES.set(n.store, (1, b"x"), bytes(41))),
        ("entries_are_whole", lambda n: keeper.ACCESS_ENTRIES.set(n.store, (0, tag), bytes(41))),
        ("entries_are_whole", lambda n: keeper.ACCESS_ENTRIES.set(n.store, (1, tag), pack_entry(tag, 99))),
        ("cells_are_whole", lambda n: keeper.CELLS.set(n.store, CELL, odd)),
        ("cells_are_whole", lambda n: keeper.CELLS.set(n.store, b"short", flagged)),
        ("cells_are_whole", lambda n: keeper.write_cell(n.store, CELL, Cell(1, 0, tag, tag, tag, None))),
        ("cells_are_whole", lambda n: keeper.write_cell(n.store, CELL, Cell(0, 1, tag, tag, tag, None))),
    ]
    for name, break_state in cases:
        network = network_with_cell()
        network.check()
        break_state(network)
        assert network.records.invariants[name](network.view()), name


def test_genesis_refuses_what_no_message_could_make() -> None:
    import_genesis(empty_store(), genesis_document())
    entry = {"organisation": 1, "tag": bytes(32), "commitment": bytes(32), "height": 1}
    cell = {
        "cell": bytes(32),
        "custodian": 1,
        "version": 1,
        "commitment": bytes(32),
        "next_key_commitment": bytes(32),
        "recovery_commitment": bytes(32),
        "pending": {"next_key_commitment": bytes(32), "recovery_commitment": bytes(32), "ready_at_ms": 1},
    }
    good: dict[str, Any] = {"record_entries": [entry], "access_entries": [entry], "cells": [cell]}
    import_genesis(empty_store(), good)
    wrong: list[dict[str, Any]] = [
        {part: [entry | changes]}
        for part in ("record_entries", "access_entries")
        for changes in (
            {"organisation": 0},
            {"tag": b""},
            {"commitment": b""},
            {"height": -1},
            {"height": 2**63},
        )
    ]
    wrong += [
        {"cells": [cell | changes]}
        for changes in (
            {"cell": b""},
            {"custodian": 2**32},
            {"version": 0},
            {"version": 2**63},
            {"commitment": b""},
            {"next_key_commitment": b""},
            {"recovery_commitment": bytes(33)},
            {"pending": {"next_key_commitment": b"", "recovery_commitment": bytes(32), "ready_at_ms": 1}},
            {
                "pending": {
                    "next_key_commitment": bytes(32),
                    "recovery_commitment": bytes(32),
                    "ready_at_ms": -1,
                }
            },
        )
    ]
    for changes in wrong:
        with pytest.raises(Rejected) as caught:
            import_genesis(empty_store(), good | changes)
        assert caught.value.code == codes.GENESIS_INVALID
    with pytest.raises(msgspec.ValidationError):
        import_genesis(empty_store(), good | {"surplus": []})
