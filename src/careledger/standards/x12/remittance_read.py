"""Reading remittances from a stream of 835.

Owns the run of a stream through envelope and loop builder; claims become values as their loops close, so
the segments of a large remittance are never held together. Every remittance is held against its three
equations (`balance`) before it is handed over.
"""

from collections.abc import Iterable, Iterator

from msgspec import structs

from careledger.standards.x12.balance import UnbalancedError, check_balance
from careledger.standards.x12.envelope import EnvelopeTracker, GroupHeader, SegmentSink, SetHeader
from careledger.standards.x12.errors import ContentError, LimitError, Location
from careledger.standards.x12.faults import Fault, FaultHandler, raise_fault
from careledger.standards.x12.header import Delimiters, InterchangeHeader
from careledger.standards.x12.reading import (
    PAD,
    UnreadableError,
    carry,
    date_at,
    locate,
    read_reference,
    require,
)
from careledger.standards.x12.remittance_model import ClaimGroup, Remittance, RemittedClaim
from careledger.standards.x12.remittance_parts import (
    read_entity,
    read_organisation_adjustments,
    read_payment,
    read_remitted_claim,
)
from careledger.standards.x12.tables.remittance import remittance_advice
from careledger.standards.x12.tokens import Limits, SegmentReader
from careledger.standards.x12.walker import Loop, Walker

_EMIT = frozenset({"2000", "2100"})
_CLAIM = "2100"


class _RemittanceReader:
    """Reads the remittances of a stream as their transaction sets close (an `EnvelopeHandler`)."""

    def __init__(self, limits: Limits, on_fault: FaultHandler | None, *, is_balance_required: bool) -> None:
        self._limits = limits
        self._on_fault = on_fault
        self._is_balance_required = is_balance_required
        self._walker: Walker | None = None
        self._header: SetHeader | None = None
        self._claims: list[RemittedClaim] = []
        self._groups: list[ClaimGroup] = []
        self._claims_read = 0
        self.done: list[Remittance] = []
        """Remittances read and not yet taken."""

    def interchange_opened(self, header: InterchangeHeader, delimiters: Delimiters) -> None:
        """Nothing to do: faults come when the interchange closes."""

    def interchange_closed(self, faults: list[Fault]) -> None:
        """Pass on what is wrong with the interchange."""
        self._report_all(faults)

    def group_opened(self, header: GroupHeader) -> None:
        """Nothing to do: the convention is that of the group."""

    def group_closed(self, faults: list[Fault], *, stated_sets: int, received_sets: int) -> None:  # noqa: ARG002
        """Pass on what is wrong with the group."""
        self._report_all(faults)

    def set_opened(self, header: SetHeader) -> SegmentSink:
        """Start a transaction set, which must be a remittance."""
        table = remittance_advice()
        is_ours = header.set_id == table.set_id and header.group.functional_id == table.functional_id
        if not is_ours or header.version not in table.versions:
            place = Location(transaction=header.ordinal, position=1, segment="ST")
            raise ContentError("the transaction set is not a remittance advice", place)
        self._header = header
        self._claims, self._groups, self._claims_read = [], [], 0
        self._walker = Walker(
            table,
            header.delimiters.component,
            self._report,
            emit=_EMIT,
            segments_max=self._limits.loop_segments_max,
        )
        return self._walker.advance

    def set_closed(self, faults: list[Fault], position: int) -> None:
        """End a transaction set: put the remittance together and balance it."""
        walker, header = self._walker, self._header
        if walker is None or header is None:
            return
        walker.finish(position)
        self.collect()
        self._report_all(faults)
        try:
            remittance = self._remittance(walker.root, header)
        except UnreadableError as error:
            raise locate(error, (walker.root,), header.ordinal) from error
        if self._is_balance_required and not remittance.is_balanced:
            raise UnbalancedError(remittance.imbalances, Location(transaction=header.ordinal))
        self.done.append(remittance)

    def collect(self) -> None:
        """Read the claims whose loops have closed."""
        walker, header = self._walker, self._header
        if walker is None or header is None:
            return
        finished, walker.finished = walker.finished, []
        component = header.delimiters.component
        for loop, _ in finished:
            try:
                if loop.spec.id == _CLAIM:
                    self._claims.append(read_remitted_claim(loop, component))
                    self._claims_read += 1
                else:
                    self._close_group(loop, component)
            except UnreadableError as error:
                raise locate(error, (loop,), header.ordinal) from error
        if self._claims_read > self._limits.claims_max:
            raise LimitError(
                "the remittance has more claims than allowed", Location(transaction=header.ordinal)
            )

    def _close_group(self, loop: Loop, component: str) -> None:
        """Put the claims since the last header number together."""
        counter = loop.segments[0]
        number = (counter + PAD)[1]
        if not number.isdecimal():
            raise UnreadableError(counter, 1, "the header number is not a number")
        other = tuple(carry(elements, component) for elements in loop.segments[1:])
        self._groups.append(ClaimGroup(number=int(number), claims=tuple(self._claims), other=other))
        self._claims = []

    def _remittance(self, root: Loop, header: SetHeader) -> Remittance:
        """Put the remittance together."""
        component = header.delimiters.component
        production, currency = root.find("DTM"), root.find("CUR")
        remittance = Remittance(
            payment=read_payment(root),
            payer=read_entity(require(root, "1000A"), component),
            payee=read_entity(require(root, "1000B"), component),
            groups=tuple(self._groups),
            adjustments=tuple(
                adjustment
                for elements in root.segments
                if elements[0] == "PLB"
                for adjustment in read_organisation_adjustments(elements, component)
            ),
            production_date=date_at(production, 2) if production else "",
            references=tuple(
                read_reference(elements, component) for elements in root.segments if elements[0] == "REF"
            ),
            currency=(currency + PAD)[2] if currency else "",
            version=header.version,
        )
        imbalances = check_balance(remittance)
        return structs.replace(remittance, imbalances=imbalances) if imbalances else remittance

    def _report(self, fault: Fault) -> None:
        """Pass a fault on, or refuse the input for it."""
        if self._on_fault is not None:
            self._on_fault(fault)
        else:
            raise_fault(fault, self._header.ordinal if self._header else 0)

    def _report_all(self, faults: list[Fault]) -> None:
        for fault in faults:
            self._report(fault)


def read_remittances(
    source: bytes | Iterable[bytes],
    limits: Limits | None = None,
    *,
    on_fault: FaultHandler | None = None,
    is_balance_required: bool = True,
) -> Iterator[Remittance]:
    """Read the remittances of every interchange of the input.

    Args:
        source: The input, whole or in pieces.
        limits: How large it may be.
        on_fault: Takes faults of envelope and structure, which are then passed over. Without it the first one raises.
        is_balance_required: Whether a remittance that does not balance raises; otherwise its `imbalances` say so.

    Yields:
        Each remittance when its transaction set ended.

    Raises:
        MalformedError: If no interchange can be made out.
        ContentError: If a transaction set is no remittance, cannot be read, or a fault is met and not handled.
        UnbalancedError: If one does not balance and balance is required.
        LimitError: If the input crosses a limit.
    """
    limits = limits or Limits()
    segments = SegmentReader(source, limits)
    reader = _RemittanceReader(limits, on_fault, is_balance_required=is_balance_required)
    tracker = EnvelopeTracker(reader)
    for batch in segments.batches():
        tracker.feed(batch)
        reader.collect()
        yield from reader.done
        reader.done.clear()
    tracker.finish(is_truncated=segments.is_truncated)
    yield from reader.done
