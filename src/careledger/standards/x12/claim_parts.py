"""From the loops of a claim to its read model.

Owns the reading of the claim level and the levels above it (837P and 837I); service lines are
`claim_lines`, the stream they come from is `claim_read`.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from careledger.standards.x12.amounts import read_milli, read_minor
from careledger.standards.x12.claim_lines import read_line
from careledger.standards.x12.claim_model import (
    INSTITUTIONAL,
    PROFESSIONAL,
    Billing,
    Claim,
    HealthCode,
    Insured,
    OtherCoverage,
    ServiceLine,
    Submission,
)
from careledger.standards.x12.dates import read_date, read_period
from careledger.standards.x12.parties import Adjustment, Amount, Carried, Party, Period, Reference
from careledger.standards.x12.reading import (
    PAD,
    UnreadableError,
    amount_at,
    carry,
    date_at,
    read_adjustments,
    read_amount,
    read_dtp,
    read_pair,
    read_party,
    read_reference,
    require,
)
from careledger.standards.x12.tokens import Segment
from careledger.standards.x12.walker import Loop

_PAYER_CONTROL = "F8"


def read_submission(root: Loop, version: str, component: str) -> Submission:
    """Read the header of the transaction set."""
    beginning = root.find("BHT") or ["BHT"]
    full = beginning + PAD
    return Submission(
        version=version,
        submitter=read_party(require(root, "1000A"), component),
        receiver=read_party(require(root, "1000B"), component),
        purpose=full[2],
        reference=full[3],
        date=date_at(beginning, 4),
        time=full[5],
        kind=full[6],
    )


def read_billing(level: Loop, component: str) -> Billing:
    """Read the billing level."""
    party = read_party(require(level, "2010AA"), component)
    specialty = level.find("PRV")
    if specialty is not None:
        party = replace(party, taxonomy=(specialty + PAD)[3])
    pay_to, plan, currency = level.inner("2010AB"), level.inner("2010AC"), level.find("CUR")
    return Billing(
        party=party,
        pay_to=read_party(pay_to, component) if pay_to else None,
        pay_to_plan=read_party(plan, component) if plan else None,
        currency=(currency + PAD)[2] if currency else "",
    )


def read_insured(level: Loop, party: Party) -> Insured:
    """Read the subscriber or the patient level."""
    coverage = (level.find("SBR") or []) + PAD
    state = level.find("PAT")
    full = (state or []) + PAD
    return Insured(
        party=party,
        responsibility=coverage[1],
        relation=coverage[2] or full[1],
        group_number=coverage[3],
        group_name=coverage[4],
        secondary_kind=coverage[5],
        filing=coverage[9],
        death_date=date_at(state, 6) if state else "",
        weight=full[8],
        is_pregnant=full[9] == "Y",
    )


def _read_codes(elements: Segment, component: str) -> Iterator[HealthCode]:
    """Read HI."""
    for place, text in enumerate(elements[1:], 1):
        if not text:
            continue
        parts = text.split(component)
        if len(parts) == 2:
            yield HealthCode(qualifier=parts[0], code=parts[1])
            continue
        qualifier, code, form, moment, amount, quantity, _, _, present = (parts + PAD)[:9]
        try:
            start, end = (moment, "") if form != "RD8" else read_period(moment)
            yield HealthCode(
                qualifier=qualifier,
                code=code,
                start=read_date(moment) if form == "D8" else start,
                end=end,
                amount_minor=read_minor(amount) if amount else None,
                quantity_milli=read_milli(quantity) if quantity else None,
                present_on_admission=present,
            )
        except ValueError as error:
            raise UnreadableError(elements, place, f"a coded fact is {error}") from error


def _read_coverage(loop: Loop, component: str) -> OtherCoverage:
    """Read another payer of the claim."""
    adjustments: list[Adjustment] = []
    amounts: list[Amount] = []
    other: list[Carried] = []
    terms = PAD
    for elements in loop.segments[1:]:
        name = elements[0]
        if name == "CAS":
            adjustments.extend(read_adjustments(elements))
        elif name == "AMT":
            amounts.append(read_amount(elements))
        elif name == "OI":
            terms = elements + PAD
        else:
            other.append(carry(elements, component))
    coverage = loop.segments[0] + PAD
    subscriber, payer = require(loop, "2330A"), require(loop, "2330B")
    return OtherCoverage(
        responsibility=coverage[1],
        relation=coverage[2],
        group_number=coverage[3],
        group_name=coverage[4],
        secondary_kind=coverage[5],
        filing=coverage[9],
        subscriber=read_party(subscriber, component),
        payer=read_party(payer, component),
        adjustments=tuple(adjustments),
        amounts=tuple(amounts),
        assignment=terms[3],
        signature=terms[4],
        release=terms[6],
        parties=tuple(
            read_party(inner, component) for inner in loop.loops if inner not in (subscriber, payer)
        ),
        other=tuple(other),
    )


class _ClaimFields:
    """The parts of a claim gathered from its segments and inner loops."""

    __slots__ = (
        "admission", "amounts", "codes", "coverages", "dates", "diagnoses", "lines", "notes", "other", "parties",
        "payer_control_number", "references",
    )  # fmt: skip

    def __init__(self, loop: Loop, component: str, *, is_institutional: bool) -> None:
        self.dates: list[Period] = []
        self.references: list[Reference] = []
        self.amounts: list[Amount] = []
        self.notes: list[tuple[str, str]] = []
        self.diagnoses: list[HealthCode] = []
        self.codes: list[HealthCode] = []
        self.other: list[Carried] = []
        self.admission = PAD
        self.payer_control_number = ""
        for elements in loop.segments[1:]:
            self._take(elements, component)
        self.parties: list[Party] = []
        self.coverages: list[OtherCoverage] = []
        self.lines: list[ServiceLine] = []
        for inner in loop.loops:
            if inner.spec.id == "2400":
                self.lines.append(read_line(inner, component, is_institutional=is_institutional))
            elif inner.spec.id == "2320":
                self.coverages.append(_read_coverage(inner, component))
            else:
                self.parties.append(read_party(inner, component))

    def _take(self, elements: Segment, component: str) -> None:
        """Take one segment of the claim's own loop."""
        name = elements[0]
        if name == "DTP":
            self.dates.append(read_dtp(elements))
        elif name == "REF":
            reference = read_reference(elements, component)
            if reference.qualifier == _PAYER_CONTROL:
                self.payer_control_number = reference.value
            else:
                self.references.append(reference)
        elif name == "HI":
            for fact in _read_codes(elements, component):
                (self.diagnoses if fact.is_diagnosis else self.codes).append(fact)
        elif name == "AMT":
            self.amounts.append(read_amount(elements))
        elif name == "NTE":
            self.notes.append(read_pair(elements))
        elif name == "CL1":
            self.admission = elements + PAD
        else:
            self.other.append(carry(elements, component))


class Levels(Struct, frozen=True, kw_only=True):
    """What a claim inherits, read once for all claims below it."""

    submission: Submission
    billing: Billing
    subscriber: Insured
    payer: Party
    patient: Insured | None


def read_claim(loop: Loop, levels: Levels, component: str, *, is_institutional: bool) -> Claim:
    """Read one claim.

    Args:
        loop: The claim's loop (2300), complete.
        levels: What it inherits.
        component: The component separator.
        is_institutional: Whether the table was that of the institutional claim.

    Raises:
        UnreadableError: If an element the claim is made of cannot be read.
    """
    fields = _ClaimFields(loop, component, is_institutional=is_institutional)
    clm = loop.segments[0]
    full = clm + PAD
    facility, _, frequency, *_ = (*full[5].split(component), "", "")
    causes: tuple[str, ...] = ()
    state = country = ""
    if full[11]:
        first, second, third, state, country, *_ = (*full[11].split(component), "", "", "", "")
        causes = tuple(filter(None, (first, second, third)))
    return Claim(
        kind=INSTITUTIONAL if is_institutional else PROFESSIONAL,
        submission=levels.submission,
        billing=levels.billing,
        subscriber=levels.subscriber,
        payer=levels.payer,
        patient=levels.patient,
        id=full[1],
        charge_minor=amount_at(clm, 2),
        facility=facility,
        frequency=frequency,
        payer_control_number=fields.payer_control_number,
        signature=full[6],
        assignment=full[7],
        benefits_assigned=full[8],
        release=full[9],
        patient_signature=full[10],
        causes=causes,
        cause_state=state,
        cause_country=country,
        special_program=full[12],
        delay_reason=full[20],
        admission_type=fields.admission[1],
        admission_source=fields.admission[2],
        patient_status=fields.admission[3],
        diagnoses=tuple(fields.diagnoses),
        codes=tuple(fields.codes),
        dates=tuple(fields.dates),
        references=tuple(fields.references),
        amounts=tuple(fields.amounts),
        notes=tuple(fields.notes),
        parties=tuple(fields.parties),
        coverages=tuple(fields.coverages),
        lines=tuple(fields.lines),
        other=tuple(fields.other),
        position=loop.positions[0],
    )
