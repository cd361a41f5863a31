"""The requester's side of a read: everything that is shown is checked against the requester's own ledger view.

For each answer:

    1. The cell is the custodian's, and the view is as far as the heads speak of.
    2. The grant stands in the cell, is signed by the wallet it names, is for this organisation, and in force.
    3. Each whole compartment's manifest stands in the cell, is signed by wallet and custodian, names the key
       that the grant gave, and is what position 0 commits to.
    4. The head is the custodian's, of this stream, and not older than the question.
    5. Every visible pair and every position 1 to n has its commitment on the ledger, and what was shown leads to
       it; each position is shown, in order, once.
    6. Position n+1 is not on the ledger at the head's height.
    7. The custodian's own access entry about this disclosure is on the ledger.

Single records, from grants narrower than a compartment, are checked as in 5, each by itself; how many there are
is the custodian's word, in a head of its own.

Nothing is taken over before all of an answer stands. What this does not show: that nothing was left unrecorded,
nor what lies in other compartments or with other organisations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.types import Cell
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.cells import verify_leaf
from careledger.domains.records.service.consent.grants import Grant, GrantedScope, verify_grant
from careledger.domains.records.service.consent.vocabulary import purpose_covers
from careledger.domains.records.service.exchange.entries import (
    Opened,
    StreamReport,
    VerifiedRead,
    check_access,
    check_singles_head,
    open_single,
)
from careledger.domains.records.service.exchange.errors import PROOF_FAILED
from careledger.domains.records.service.exchange.heads import SignedHead
from careledger.domains.records.service.exchange.messages import SINGLES_KEY, ReadAnswer
from careledger.domains.records.service.exchange.stream_proofs import (
    Reading,
    StreamState,
    check_end,
    check_head,
    check_items,
    check_manifest,
    read_head,
    require_entry,
)
from careledger.primitives.codec import CodecError, decode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import PublicKey
from careledger.sdk.context import StateReader, View

HEADS_AHEAD_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Shown:
    """A compartment's part of one answer, checked."""

    compartment: Compartment
    state: StreamState
    head: SignedHead
    entries: list[Opened]
    total: int


class ReadVerifier:
    """Checks the answers to one question, one after the other."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._streams: dict[Compartment, StreamState] = {}
        self._heads: dict[Compartment, SignedHead] = {}
        self._totals: dict[int, int] = {}
        self._done: dict[int, int] = {}
        self._single_tags: list[bytes] = []
        self._result = VerifiedRead(reading.custodian, reading.cell)

    @property
    def skip(self) -> tuple[tuple[int, int], ...]:
        """What the next question leaves out."""
        return tuple(sorted((key, count) for key, count in self._done.items() if count))

    @property
    def is_complete(self) -> bool:
        """Whether everything that the last heads speak of was shown."""
        return all(self._done.get(key, 0) >= total for key, total in self._totals.items())

    def needed_height(self, answer: ReadAnswer) -> int:
        """Height that the own view must have reached to judge an answer.

        Raises:
            Rejected: PROOF_FAILED.
        """
        heads = [stream.head for stream in answer.streams] + [answer.singles_head] * bool(answer.singles_head)
        heights = [read_head(self._reading, envelope).head.height for envelope in heads]
        highest = max([answer.access.height, *heights])
        if highest > self._reading.seen_height + HEADS_AHEAD_MAX:
            raise Rejected(PROOF_FAILED, "a height that no ledger has reached", at="head")
        return highest

    def add(self, view: View, answer: ReadAnswer) -> None:
        """Check one answer by a view that has reached `needed_height`; take it over if all of it stands.

        Raises:
            Rejected: PROOF_FAILED, GRANT_INVALID or OPENING_INVALID, naming the place.
        """
        reading, store = self._reading, view.store
        # 1.
        cell = keeper.cell(store, reading.cell)
        if cell is None or cell.custodian != reading.custodian.organisation:
            raise Rejected(PROOF_FAILED, "the cell is not this custodian's", at="cell")
        # 2.
        granted = self._check_grant(cell, answer, view.time_ms)
        # 7. before anything is opened: it costs little
        check_access(
            store, reading.custodian.organisation, answer.access, reading.exchange_id, reading.seen_height
        )
        shown: dict[Compartment, _Shown] = {}
        for index, stream in enumerate(answer.streams):
            at = f"streams[{index}]"
            compartment = _compartment(stream.compartment, granted.whole, at)
            if compartment in shown:
                raise Rejected(PROOF_FAILED, "a compartment is shown twice", at=at)
            # 3.
            state = check_manifest(
                reading, store, cell, granted, compartment, stream, self._streams.get(compartment), at
            )
            # 4.
            head = check_head(reading, stream, compartment, state, at)
            # 5.
            entries = check_items(
                reading, store, compartment, state, stream, head, self._done.get(compartment, 0), at
            )
            # 6.
            check_end(reading, store, state, head, at)
            shown[compartment] = _Shown(compartment, state, head, entries, stream.total)
        if granted.whole - shown.keys():
            raise Rejected(PROOF_FAILED, "a granted compartment is left out", at="streams")
        singles, singles_head = self._check_singles(store, granted, answer)
        self._take(granted, list(shown.values()), singles, singles_head, answer)
        self._result.verified_ms = view.time_ms

    def finish(self) -> VerifiedRead:
        """All that was verified.

        Raises:
            Rejected: PROOF_FAILED, something that the heads speak of was never shown.
        """
        result = self._result
        if not self.is_complete or result.granted is None:
            raise Rejected(PROOF_FAILED, "not everything was shown", at="total")
        if result.singles_head is not None:
            check_singles_head(
                result.singles_head, self._reading.cell, result.granted.name, self._single_tags
            )
        result.streams = [
            StreamReport(compartment=compartment, head=head, total=self._totals[compartment])
            for compartment, head in self._heads.items()
        ]
        return result

    # -- the steps -----------------------------------------------------------------------------------------

    def _check_grant(self, cell: Cell, answer: ReadAnswer, at_ms: int) -> GrantedScope:
        reading, proof = self._reading, answer.grant_proof
        try:
            identity = PublicKey(decode(answer.grant, Grant).from_key)
        except CodecError as error:
            raise Rejected(PROOF_FAILED, str(error), at="grant") from None
        granted = verify_grant(
            answer.grant, answer.scope, chain=reading.chain, cell=reading.cell, identity=identity
        )
        if proof.content != answer.grant or proof.slot != granted.grant.leaf_index:
            raise Rejected(PROOF_FAILED, "the slot holds another grant", at="grant_proof")
        verify_leaf(proof, cell.commitment)
        if (
            granted.grant.to_key != reading.own.recipient().digest
            or granted.scope.organisation != reading.own.organisation
            or not purpose_covers(granted.grant.purpose, reading.purpose)
            or not granted.is_in_force(at_ms)
            or reading.grant not in (b"", granted.name)
        ):
            raise Rejected(
                PROOF_FAILED, "the grant is for others, for another purpose, or not in force", at="grant"
            )
        before = self._result.granted
        if before is not None and before.raw != granted.raw:
            raise Rejected(PROOF_FAILED, "the grant changed between two answers", at="grant")
        return granted

    def _check_singles(
        self, store: StateReader, granted: GrantedScope, answer: ReadAnswer
    ) -> tuple[list[Opened], SignedHead | None]:
        reading = self._reading
        if not answer.singles_head:
            if answer.singles or granted.compartments != granted.whole:
                raise Rejected(PROOF_FAILED, "single records without a head", at="singles_head")
            return [], None
        signed = read_head(self._reading, answer.singles_head)
        if signed.head.height < reading.seen_height or signed.head.n != answer.singles_total:
            raise Rejected(PROOF_FAILED, "an old head, or another number of records", at="singles_head")
        if answer.singles_first != self._done.get(SINGLES_KEY, 0):
            raise Rejected(PROOF_FAILED, "records are left out or repeated", at="singles_first")
        opened: list[Opened] = []
        for index, single in enumerate(answer.singles):
            at = f"singles[{index}]"
            compartment = _compartment(single.compartment, granted.compartments - granted.whole, at)
            opened.append(
                open_single(
                    single,
                    require_entry(reading, store, single.tag, at),
                    reading.opening_key,
                    custodian=reading.custodian,
                    chain=reading.chain,
                    cell=reading.cell,
                    compartment=compartment,
                    purpose=granted.grant.purpose,
                    expires_at_ms=granted.grant.expires_at_ms,
                    basis=granted.grant.scope_hash,
                    at=at,
                )
            )
        return opened, signed

    def _take(
        self,
        granted: GrantedScope,
        shown: list[_Shown],
        singles: list[Opened],
        singles_head: SignedHead | None,
        answer: ReadAnswer,
    ) -> None:
        result = self._result
        result.granted = granted
        result.accesses.append(answer.access)
        for one in shown:
            self._streams[one.compartment] = one.state
            self._heads[one.compartment] = one.head
            self._totals[one.compartment] = one.total
            self._done[one.compartment] = self._done.get(one.compartment, 0) + len(one.entries)
            result.add(one.entries)
        if singles_head is not None:
            result.singles_head = singles_head
            self._totals[SINGLES_KEY] = answer.singles_total
            self._done[SINGLES_KEY] = self._done.get(SINGLES_KEY, 0) + len(singles)
            self._single_tags += [single.tag for single in answer.singles]
            result.add(singles)


def _compartment(number: int, allowed: frozenset[Compartment], at: str) -> Compartment:
    for compartment in allowed:
        if compartment == number:
            return compartment
    raise Rejected(PROOF_FAILED, "a compartment that was not granted in this way", at=at)
