"""The read model of professional and institutional claims (837P, 837I).

Owns frozen values only; `claim_read` makes them and `claim_write` writes them. Whether a claim is right,
covered or payable is not decided here.
"""

from msgspec import Struct

from careledger.standards.x12.parties import (
    Adjustment,
    Amount,
    Carried,
    Party,
    Period,
    Procedure,
    Quantity,
    Reference,
    find_amount,
    find_reference,
)

PROFESSIONAL = "P"
INSTITUTIONAL = "I"

ORIGINAL, REPLACEMENT, VOID = "1", "7", "8"
"""Claim frequencies this project acts on (CLM05-3)."""

_DIAGNOSIS = frozenset({"ABK", "BK", "ABF", "BF", "ABJ", "BJ", "APR", "PR", "ABN", "BN"})


class HealthCode(Struct, frozen=True, kw_only=True, gc=False):
    """One coded fact about the claim (a component of HI): diagnosis, procedure, condition, occurrence, value, DRG."""

    qualifier: str
    """Code list, such as `ABK` principal diagnosis, `BBQ` procedure, `BH` occurrence, `BE` value."""
    code: str
    start: str = ""
    """ISO date, where the fact has one."""
    end: str = ""
    """ISO date, where the fact is a period."""
    amount_minor: int | None = None
    quantity_milli: int | None = None
    present_on_admission: str = ""

    @property
    def is_diagnosis(self) -> bool:
        """Whether the code is a diagnosis rather than another fact."""
        return self.qualifier in _DIAGNOSIS


class Submission(Struct, frozen=True, kw_only=True, gc=False):
    """Who sent the claims to whom, and when (BHT, 1000A, 1000B)."""

    version: str
    """Implementation convention, such as `005010X222A1`."""
    submitter: Party
    receiver: Party
    purpose: str = "00"
    """`00` original, `18` reissue."""
    reference: str = ""
    date: str = ""
    """ISO date."""
    time: str = ""
    kind: str = "CH"
    """`CH` chargeable, `RP` reporting, `31` subrogation demand."""


class Billing(Struct, frozen=True, kw_only=True, gc=False):
    """Who bills and who is to be paid (2000A)."""

    party: Party
    pay_to: Party | None = None
    pay_to_plan: Party | None = None
    currency: str = ""
    """ISO 4217 code; empty means United States dollars."""


class Insured(Struct, frozen=True, kw_only=True, gc=False):
    """A person in the role of subscriber or patient (2000B, 2000C)."""

    party: Party
    responsibility: str = ""
    """`P` primary, `S` secondary, `T` tertiary and so on (SBR01); empty for a patient."""
    relation: str = ""
    """To the subscriber: `18` is the subscriber (SBR02, PAT01)."""
    group_number: str = ""
    group_name: str = ""
    secondary_kind: str = ""
    """Why Medicare is secondary (SBR05)."""
    filing: str = ""
    """Claim filing indicator (SBR09)."""
    death_date: str = ""
    """ISO date (PAT06)."""
    weight: str = ""
    """In pounds, as written (PAT08)."""
    is_pregnant: bool = False


class Drug(Struct, frozen=True, kw_only=True, gc=False):
    """The drug of a service line (LIN, CTP)."""

    code: str
    """National Drug Code where the qualifier is `N4`: eleven digits without hyphens."""
    quantity_milli: int
    unit: str
    """`UN`, `ML`, `GR`, `ME` or `F2`."""
    qualifier: str = "N4"
    reference: Reference | None = None
    """Prescription (`XZ`) or link (`VY`) number."""


class LineDecision(Struct, frozen=True, kw_only=True, gc=False):
    """What another payer decided on a service line (2430)."""

    payer_id: str
    paid_minor: int
    procedure: Procedure | None = None
    revenue_code: str = ""
    quantity_milli: int | None = None
    bundled_line: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    decided_on: str = ""
    """ISO date."""
    remaining_minor: int | None = None
    """What the patient still owes (AMT EAF)."""


class ServiceLine(Struct, frozen=True, kw_only=True, gc=False):
    """One line of a claim (2400)."""

    number: int
    charge_minor: int
    procedure: Procedure | None = None
    revenue_code: str = ""
    """Institutional only."""
    unit: str = "UN"
    quantity_milli: int = 1000
    place: str = ""
    """Place of service where it differs from the claim's; professional only."""
    pointers: tuple[int, ...] = ()
    """Which of the claim's diagnoses the line is for, from 1; professional only."""
    is_emergency: bool = False
    is_epsdt: bool = False
    is_family_planning: bool = False
    is_copay_exempt: bool = False
    non_covered_minor: int | None = None
    """Institutional only."""
    service: Period | None = None
    """When it was done."""
    dates: tuple[Period, ...] = ()
    references: tuple[Reference, ...] = ()
    amounts: tuple[Amount, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    """Pairs of kind and text."""
    drug: Drug | None = None
    parties: tuple[Party, ...] = ()
    decisions: tuple[LineDecision, ...] = ()
    forms: tuple[tuple[Carried, ...], ...] = ()
    other: tuple[Carried, ...] = ()

    @property
    def control_number(self) -> str:
        """The line's own number, returned in the remittance (REF 6R)."""
        return find_reference(self.references, "6R")


class OtherCoverage(Struct, frozen=True, kw_only=True, gc=False):
    """Another payer of the same claim and what it decided (2320)."""

    responsibility: str
    relation: str
    subscriber: Party
    payer: Party
    group_number: str = ""
    group_name: str = ""
    secondary_kind: str = ""
    filing: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    amounts: tuple[Amount, ...] = ()
    assignment: str = ""
    """Whether benefits are assigned (OI03)."""
    signature: str = ""
    release: str = ""
    """Whether information may be released (OI06)."""
    parties: tuple[Party, ...] = ()
    other: tuple[Carried, ...] = ()

    @property
    def paid_minor(self) -> int | None:
        """What the payer paid on the whole claim (AMT D)."""
        return find_amount(self.amounts, "D")


class Claim(Struct, frozen=True, kw_only=True, gc=False):
    """One claim with everything it inherits from the levels above it."""

    kind: str
    """`P` professional or `I` institutional."""
    submission: Submission
    billing: Billing
    subscriber: Insured
    payer: Party
    patient: Insured | None = None
    """Where the patient is not the subscriber."""
    id: str
    """The submitter's number (CLM01)."""
    charge_minor: int
    facility: str
    """Place of service, or type of bill without its frequency (CLM05-1)."""
    frequency: str = ORIGINAL
    payer_control_number: str = ""
    """The payer's number of the claim replaced or voided (REF F8)."""
    signature: str = ""
    """Whether the practitioner's signature is on file; professional only."""
    assignment: str = ""
    """Whether assignment is accepted (CLM07)."""
    benefits_assigned: str = ""
    """Whether benefits are assigned (CLM08)."""
    release: str = ""
    """Whether information may be released (CLM09)."""
    patient_signature: str = ""
    causes: tuple[str, ...] = ()
    """Accident or employment (CLM11)."""
    cause_state: str = ""
    cause_country: str = ""
    special_program: str = ""
    delay_reason: str = ""
    admission_type: str = ""
    """Institutional only, as the next two (CL1)."""
    admission_source: str = ""
    patient_status: str = ""
    diagnoses: tuple[HealthCode, ...] = ()
    """In the order service lines point at."""
    codes: tuple[HealthCode, ...] = ()
    """Coded facts other than diagnoses."""
    dates: tuple[Period, ...] = ()
    references: tuple[Reference, ...] = ()
    """Without the payer's control number."""
    amounts: tuple[Amount, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    """Pairs of kind and text."""
    parties: tuple[Party, ...] = ()
    """Referring, rendering, attending and the like."""
    coverages: tuple[OtherCoverage, ...] = ()
    lines: tuple[ServiceLine, ...]
    other: tuple[Carried, ...] = ()
    position: int = 0
    """Where CLM stood in its transaction set; 0 for a claim that was not read."""

    @property
    def treated(self) -> Insured:
        """The patient, who may be the subscriber."""
        return self.patient or self.subscriber

    def party(self, role: str) -> Party | None:
        """Return the claim's first party in a role."""
        for party in self.parties:
            if party.role == role:
                return party
        return None
