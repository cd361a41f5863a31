"""Entries and cells behave as plain dictionaries, whatever is sent to them in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from careledger.domains.governance.chain.types import DEFAULT_LIMITS
from careledger.domains.records.chain import errors as codes
from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.messages import (
    CommitAccess,
    CommitRecords,
    CompleteRecovery,
    CreateCells,
    StartRecovery,
    UpdateCell,
)
from careledger.domains.records.chain.types import (
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.primitives.errors import Code, Rejected
from careledger.primitives.signing import public_key_of
from careledger.sdk.messages import Message
from domains.identity.chain_network import CHAIN_ID, Network, digest, ledger, seed

DELAY_MS = DEFAULT_LIMITS.recovery_delay_ms
SEEDS = [seed("machine", number) for number in range(5)]
PUBLIC_KEYS = [public_key_of(each) for each in SEEDS]
positions = st.integers(0, len(SEEDS) - 1)


@dataclass(frozen=True)
class Pending:
    """A recovery in the model; keys by their positions."""

    next_key: int
    recovery_key: int
    ready_at_ms: int


@dataclass(frozen=True)
class Model:
    """A cell in the model; keys by their positions."""

    custodian: int
    version: int
    commitment: bytes
    next_key: int
    recovery_key: int
    pending: Pending | None = None


class Machine(RuleBasedStateMachine):
    """Two custodians, five keys that are used again and again, and a clock."""

    cells = Bundle("cells")

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(2)
        self.model: dict[bytes, Model] = {}
        self.entries: dict[tuple[str, int, bytes], bytes] = {}
        self.nonce = 0

    def _run(self, message: Message, *seeds: bytes) -> Code | None:
        before = self.network.pairs()
        try:
            self.network.run(message, *seeds)
        except Rejected as rejection:
            assert self.network.pairs() == before
            return rejection.code
        return None

    @rule(later_ms=st.sampled_from([1, DELAY_MS // 2, DELAY_MS]))
    def time_passes(self, later_ms: int) -> None:
        self.network.next_block(later_ms=later_ms)

    @rule(
        organisation=st.integers(1, 2),
        first=st.integers(0, 6),
        version=st.integers(0, 3),
        is_access=st.booleans(),
    )
    def commit(self, organisation: int, first: int, version: int, is_access: bool) -> None:
        kind = CommitAccess if is_access else CommitRecords
        tags = sorted(digest("tag", number) for number in range(first, first + 8))
        # Only tags with an odd number get another commitment, so that batches agree in part.
        odd = {digest("tag", number) for number in range(1, 20, 2)}
        batch = {tag: digest(tag, version if tag in odd else 0) for tag in tags}
        rejected = self._run(
            kind(organisation, b"".join(batch), b"".join(batch.values())), ledger(organisation)
        )
        mine = {(kind.__name__, organisation, tag): commitment for tag, commitment in batch.items()}
        clashes = any(self.entries.get(key, commitment) != commitment for key, commitment in mine.items())
        assert rejected == (codes.TAG_TAKEN if clashes else None)
        if not clashes:
            self.entries |= mine

    @rule(target=cells, custodian=st.integers(1, 2), next_key=positions, recovery_key=positions)
    def create(self, custodian: int, next_key: int, recovery_key: int) -> bytes:
        self.nonce += 1
        packed = b"".join(
            (
                digest("contents", self.nonce),
                compute_key_commitment(PUBLIC_KEYS[next_key]),
                compute_recovery_commitment(PUBLIC_KEYS[recovery_key]),
                digest("nonce", self.nonce),
            )
        )
        assert self._run(CreateCells(custodian, packed), ledger(custodian)) is None
        assert self._run(CreateCells(custodian, packed), ledger(custodian)) == codes.CELL_EXISTS
        cell = compute_cell_id(CHAIN_ID, custodian, packed)
        self.model[cell] = Model(custodian, 1, packed[:32], next_key, recovery_key)
        return cell

    @rule(
        cell=cells,
        ahead=st.sampled_from([1, 1, 1, 1, 0, 2]),
        key=st.one_of(st.none(), positions),
        signer=st.one_of(st.none(), positions),
        next_key=positions,
        recovery_key=positions,
    )
    def update(
        self, cell: bytes, ahead: int, key: int | None, signer: int | None, next_key: int, recovery_key: int
    ) -> None:
        model = self.model[cell]
        key = model.next_key if key is None else key
        signer = key if signer is None else signer
        self.nonce += 1
        message = UpdateCell(
            cell=cell,
            version=(model.version + ahead).to_bytes(8, "big"),
            key=PUBLIC_KEYS[key],
            next_key_commitment=compute_key_commitment(PUBLIC_KEYS[next_key]),
            recovery_commitment=compute_recovery_commitment(PUBLIC_KEYS[recovery_key]),
            commitment=digest("contents", self.nonce),
        )
        expected = None
        if signer != key:
            expected = codes.KEY_NOT_SIGNED
        elif ahead != 1:
            expected = codes.VERSION_MISMATCH
        elif key != model.next_key:
            expected = codes.KEY_NOT_COMMITTED
        assert self._run(message, SEEDS[signer]) == expected
        if expected is None:
            self.model[cell] = Model(
                model.custodian, model.version + 1, message.commitment, next_key, recovery_key
            )

    @rule(cell=cells, key=st.one_of(st.none(), positions), next_key=positions, recovery_key=positions)
    def start_recovery(self, cell: bytes, key: int | None, next_key: int, recovery_key: int) -> None:
        model = self.model[cell]
        key = model.recovery_key if key is None else key
        message = StartRecovery(
            cell,
            PUBLIC_KEYS[key],
            compute_key_commitment(PUBLIC_KEYS[next_key]),
            compute_recovery_commitment(PUBLIC_KEYS[recovery_key]),
        )
        expected = None
        if key != model.recovery_key:
            expected = codes.KEY_NOT_COMMITTED
        elif model.pending is not None:
            expected = codes.RECOVERY_PENDING
        assert self._run(message, SEEDS[key]) == expected
        if expected is None:
            pending = Pending(next_key, recovery_key, self.network.time_ms + DELAY_MS)
            self.model[cell] = replace(model, pending=pending)

    @rule(cell=cells, key=st.one_of(st.none(), positions))
    def complete_recovery(self, cell: bytes, key: int | None) -> None:
        model = self.model[cell]
        key = model.recovery_key if key is None else key
        expected = None
        if key != model.recovery_key:
            expected = codes.KEY_NOT_COMMITTED
        elif model.pending is None:
            expected = codes.RECOVERY_ABSENT
        elif self.network.time_ms < model.pending.ready_at_ms:
            expected = codes.RECOVERY_TOO_EARLY
        assert self._run(CompleteRecovery(cell, PUBLIC_KEYS[key]), SEEDS[key]) == expected
        if expected is None and model.pending is not None:
            self.model[cell] = Model(
                model.custodian,
                model.version + 1,
                model.commitment,
                model.pending.next_key,
                model.pending.recovery_key,
            )

    @invariant()
    def state_is_the_model(self) -> None:
        store = self.network.store
        for cell, model in self.model.items():
            found = keeper.require_cell(store, cell)
            assert (found.custodian, found.version, found.commitment) == (
                model.custodian,
                model.version,
                model.commitment,
            )
            assert found.next_key_commitment == compute_key_commitment(PUBLIC_KEYS[model.next_key])
            assert found.recovery_commitment == compute_recovery_commitment(PUBLIC_KEYS[model.recovery_key])
            assert (found.pending is None) is (model.pending is None)
            if found.pending is not None and model.pending is not None:
                assert found.pending.ready_at_ms == model.pending.ready_at_ms
        for (kind, organisation, tag), commitment in self.entries.items():
            read = keeper.access_entry if kind == "CommitAccess" else keeper.record_entry
            entry = read(store, organisation, tag)
            assert entry is not None
            assert entry.commitment == commitment
        count = len(self.model) + len(self.entries)
        assert len(self.network.pairs(self.network.records)) == count

    def teardown(self) -> None:
        self.network.check()
        self.network.check_round_trip()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
