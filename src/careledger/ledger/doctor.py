"""Examining a replica's tables: does everything that is kept still fit together, and if not, what and where.

Pure checks over one snapshot. Each yields findings in plain sentences that name the table's part, and where it
can be told the block and the organisation. They read everything; they repair nothing. Whatever cannot be read is
itself a finding and never the end of the examination.

Does not know any engine's headers, files or sites; `careledger.site.doctor` puts those beside these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from careledger.ledger.doctor_history import check_history, check_receipts
from careledger.ledger.doctor_state import check_state
from careledger.ledger.findings import Finding
from careledger.ledger.history import read_leaf
from careledger.ledger.meta import POSITION_KEY, Position, decode_position
from careledger.ledger.seen import MINUTE_DIGESTS, compute_minute_digest, minute_of
from careledger.primitives.codec import CodecError
from careledger.primitives.errors import CodedError, InvariantViolated
from careledger.sdk.context import View
from careledger.sdk.module import Module
from careledger.state.store import HISTORY, META, SEEN, Reader, SnapshotLost, StorageFailed, TableView
from careledger.state.undo import read_versions

FINDINGS_MAX: Final = 25
"""Findings of one check that are shown; a replica with more is not mended line by line."""

_UNREADABLE = (
    CodecError,
    CodedError,
    InvariantViolated,
    LookupError,
    OverflowError,
    SnapshotLost,
    StorageFailed,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check with its name and what it makes sure of."""

    name: str
    title: str
    run: Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Examined:
    """Outcome of one check."""

    name: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def examine(checks: Iterable[Check]) -> Iterator[Examined]:
    """Run checks one after the other, each to its end or to the limit of findings."""
    for check in checks:
        yield Examined(check.name, check.title, tuple(_collect(check)))


def _collect(check: Check) -> Iterator[Finding]:
    found = 0
    try:
        for finding in islice(check.run(), FINDINGS_MAX):
            found += 1
            yield finding
    except _UNREADABLE as error:
        yield Finding("here", f"The check could not go on: {type(error).__name__}: {error}")
    if found == FINDINGS_MAX:
        yield Finding("further on", "There may be more; the check ended at its limit of findings.")


def read_position(reader: Reader) -> Position:
    """Where the replica says that it stands.

    Raises:
        InvariantViolated: It has no position, or one that cannot be read.
    """
    raw = reader.get(META, POSITION_KEY)
    if raw is None:
        raise InvariantViolated("the replica has no position: its ledger was never begun")
    try:
        return decode_position(raw)
    except CodecError as error:
        raise InvariantViolated(f"the replica's position cannot be read: {error}") from None


def ledger_checks(reader: Reader, modules: Sequence[Module]) -> list[Check]:
    """All checks of one snapshot.

    Args:
        reader: the snapshot; it must stay open while the checks run.
        modules: module versions active at the snapshot's height.

    Raises:
        InvariantViolated: There is no readable position to examine anything by.
    """
    position = read_position(reader)
    checks = [
        Check(
            "position",
            "the position agrees with the history and the state",
            lambda: check_position(reader, position),
        ),
        Check(
            "history",
            "every leaf and node of the history is what it was",
            lambda: check_history(reader, position),
        ),
        Check(
            "receipts",
            "receipts, transactions and events lead to the history",
            lambda: check_receipts(reader, position),
        ),
        Check(
            "state",
            "the values lead to the state root that was committed to",
            lambda: check_state(reader, position),
        ),
        Check("seen", "the seen-set is the one that the state names", lambda: check_seen(reader, position)),
    ]
    view = View(
        store=TableView(reader), chain_id=position.chain_id, height=position.height, time_ms=position.time_ms
    )
    checks += [_invariant(module, name, view) for module in modules for name in module.invariants]
    return checks


def _invariant(module: Module, name: str, view: View) -> Check:
    def run() -> Iterator[Finding]:
        for sentence in module.invariants[name](view):
            yield Finding(f"module {module.name}", sentence)

    return Check(f"{module.name}.{name}", f"{name.replace('_', ' ')} in module {module.name}", run)


def check_position(reader: Reader, position: Position) -> Iterator[Finding]:
    """Position, state versions and last leaf name the same state and height."""
    versions = read_versions(reader)
    if versions is None:
        yield Finding("position", "There is no record of the state's versions.")
    else:
        if versions.current.root != position.state_root:
            yield Finding("position", "The state's record names another root than the position.")
        if versions.current.height != position.state_height:
            yield Finding("position", "The state's record names another height than the position.")
        if versions.buckets_log2 != position.buckets_log2:
            yield Finding("position", "The state's record and the position differ in the number of buckets.")
    frontier = position.frontier
    if len(frontier.peaks) != frontier.size.bit_count():
        yield Finding("position", "The history's frontier does not fit its size.")
    last = read_leaf(lambda name: reader.get(HISTORY, name), frontier.size - 1) if frontier.size else None
    if last is None:
        yield Finding("position", "The history's last leaf is missing.")
        return
    if last.state_root != position.state_root:
        yield Finding("position", "The last leaf names another state root than the position.", last.height)
    if not position.state_height <= last.height <= position.height:
        yield Finding("position", "State, last leaf and position do not ascend in height.", last.height)
    if last.time_ms > position.time_ms:
        yield Finding("position", "The last leaf is later than the position.", last.height)


def check_seen(reader: Reader, position: Position) -> Iterator[Finding]:
    """Every minute's digest in the state is that of the ids in the table, in their order.

    Ids of minutes that are over may stay in the table for some blocks; their digests are gone.
    """
    last = read_leaf(lambda name: reader.get(HISTORY, name), position.frontier.size - 1)
    first_kept = minute_of(last.time_ms) if last is not None else 0
    minutes: dict[int, list[tuple[int, bytes]]] = {}
    for key, raw in reader.scan(SEEN, b"", None):
        minute = int.from_bytes(key[:4], "big")
        if len(key) != 36 or len(raw) != 4:
            yield Finding("seen-set", f"An entry of minute {minute} is not (minute, transaction) -> number.")
        elif minute >= first_kept:
            minutes.setdefault(minute, []).append((int.from_bytes(raw, "big"), key[4:]))
    view = TableView(reader)
    digests = {int.from_bytes(key, "big"): raw for key, raw in MINUTE_DIGESTS.scan_raw(view)}
    for minute, digest in digests.items():
        rows = sorted(minutes.pop(minute, []))
        if [number for number, _ in rows] != list(range(len(rows))):
            yield Finding("seen-set", f"The entries of minute {minute} are not numbered without gaps.")
        elif compute_minute_digest([tx_id for _, tx_id in rows]) != digest:
            yield Finding("seen-set", f"The entries of minute {minute} are not those that the state names.")
    for minute in sorted(minutes):
        yield Finding("seen-set", f"There are entries of minute {minute}, of which the state knows nothing.")
