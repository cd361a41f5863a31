"""The read model of the remittance advice (835).

Owns frozen values only; `remittance_read` makes them, `remittance_write` writes them, `balance` holds them
against the three equations. Money is in minor units.
"""

from msgspec import Struct

from careledger.standards.x12.amounts import write_minor
from careledger.standards.x12.parties import (
    Address,
    Adjustment,
    Amount,
    Carried,
    Contact,
    Party,
    Period,
    Procedure,
    Quantity,
    Reference,
    find_amount,
    find_reference,
)

LINE, CLAIM, TRANSACTION, COVERAGE = "service line", "claim", "remittance", "other payer"


class Imbalance(Struct, frozen=True, kw_only=True):
    """One equation that does not hold."""

    level: str
    """`service line`, `claim`, `remittance` or `other payer`."""
    claim: int = 0
    """Which claim of the remittance, from 1."""
    line: int = 0
    """Which service line of the claim, from 1; or which other payer."""
    position: int = 0
    """Segment of the claim in its transaction set, if it was read from one."""
    expected_minor: int
    """What the parts come to."""
    stated_minor: int
    """What is stated as paid."""

    @property
    def difference_minor(self) -> int:
        """How much more is stated than the parts come to."""
        return self.stated_minor - self.expected_minor

    def __str__(self) -> str:
        """Say where and by how much."""
        words = []
        if self.claim:
            words.append(f"claim {self.claim}")
        if self.position:
            words.append(f"segment {self.position}")
        if self.line:
            words.append(f"{'other payer' if self.level == COVERAGE else 'line'} {self.line}")
        place = f" ({', '.join(words)})" if words else ""
        parts = "claims less adjustments" if self.level == TRANSACTION else "charge less adjustments"
        expected, stated = write_minor(self.expected_minor), write_minor(self.stated_minor)
        difference = write_minor(self.difference_minor)
        return f"{self.level}{place}: {parts} is {expected}, paid is {stated}, off by {difference}"


class Account(Struct, frozen=True, kw_only=True, gc=False):
    """A bank account."""

    bank_qualifier: str = ""
    """`01` routing number, `04` Canadian bank and branch."""
    bank: str = ""
    qualifier: str = ""
    """`DA` demand deposit, `SG` savings."""
    number: str = ""


class Payment(Struct, frozen=True, kw_only=True, gc=False):
    """How much is paid, and how (BPR, TRN)."""

    amount_minor: int
    """Never negative; `is_debit` says which way it goes."""
    date: str
    """ISO date the payment takes effect (BPR16); empty if the sender left it out."""
    trace_number: str
    """Check or transfer number: what the bank's advice is matched with (TRN02)."""
    payer_identifier: str
    """Of the payer for the trace number: `1` and its tax number (TRN03)."""
    handling: str = "I"
    """`I` payment and remittance together, `H` remittance only."""
    is_debit: bool = False
    method: str = "CHK"
    """`ACH`, `BOP`, `CHK`, `FWT` or `NON`."""
    form: str = ""
    """`CCP` or `CTX`."""
    payer_account: Account = Account()
    payer_company: str = ""
    payer_company_supplement: str = ""
    payee_account: Account = Account()
    trace_supplement: str = ""


class Entity(Struct, frozen=True, kw_only=True, gc=False):
    """The payer or the payee (N1 and what follows it)."""

    name: str
    id_qualifier: str = ""
    """`XX` National Provider Identifier, `FI` tax number, `XV` plan."""
    id: str = ""
    address: Address | None = None
    references: tuple[Reference, ...] = ()
    contacts: tuple[Contact, ...] = ()
    other: tuple[Carried, ...] = ()


class RemittedLine(Struct, frozen=True, kw_only=True, gc=False):
    """What was decided on one service line (2110)."""

    procedure: Procedure
    charge_minor: int
    paid_minor: int
    revenue_code: str = ""
    quantity_milli: int | None = None
    """Paid units; None means one."""
    submitted_procedure: Procedure | None = None
    """Where another procedure was paid than billed."""
    submitted_quantity_milli: int | None = None
    dates: tuple[Period, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    references: tuple[Reference, ...] = ()
    amounts: tuple[Amount, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    """Pairs of list (`HE` remark code, `RX` pharmacy) and code."""

    @property
    def control_number(self) -> str:
        """The line's number in the claim (REF 6R)."""
        return find_reference(self.references, "6R")

    @property
    def allowed_minor(self) -> int | None:
        """The allowed amount, if stated (AMT B6)."""
        return find_amount(self.amounts, "B6")


class RemittedClaim(Struct, frozen=True, kw_only=True, gc=False):
    """What was decided on one claim (2100)."""

    id: str
    """The submitter's number (CLP01)."""
    status: str
    """`1` primary, `2` secondary, `3` tertiary, `4` denied, `22` reversal and so on."""
    charge_minor: int
    paid_minor: int
    patient_responsibility_minor: int | None = None
    filing: str = ""
    payer_control_number: str = ""
    facility: str = ""
    frequency: str = ""
    drg: str = ""
    drg_weight: str = ""
    """As written: weights have more decimals than quantities."""
    discharge_fraction: str = ""
    patient: Party
    adjustments: tuple[Adjustment, ...] = ()
    parties: tuple[Party, ...] = ()
    """Subscriber, rendering practitioner, crossover carrier and the like."""
    dates: tuple[Period, ...] = ()
    references: tuple[Reference, ...] = ()
    contacts: tuple[Contact, ...] = ()
    amounts: tuple[Amount, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    lines: tuple[RemittedLine, ...] = ()
    other: tuple[Carried, ...] = ()
    """Inpatient and outpatient adjudication (MIA, MOA)."""
    position: int = 0
    """Where CLP stood in its transaction set; 0 for a claim that was not read."""


class ClaimGroup(Struct, frozen=True, kw_only=True, gc=False):
    """Claims under one header number (2000)."""

    number: int
    claims: tuple[RemittedClaim, ...]
    other: tuple[Carried, ...] = ()
    """Totals by practice and fiscal period (TS3, TS2)."""


class OrganisationAdjustment(Struct, frozen=True, kw_only=True, gc=False):
    """A change of the payment that belongs to no claim (PLB): takeback, interest, advance."""

    organisation_id: str
    fiscal_date: str
    """ISO date of the end of the fiscal period."""
    reason: str
    """Adjustment code, such as `WO` overpayment recovery, `L6` interest, `FB` balance forward."""
    reference: str = ""
    amount_minor: int
    """Positive lowers the payment."""


class Remittance(Struct, frozen=True, kw_only=True, gc=False):
    """One remittance advice."""

    payment: Payment
    payer: Entity
    payee: Entity
    groups: tuple[ClaimGroup, ...] = ()
    adjustments: tuple[OrganisationAdjustment, ...] = ()
    production_date: str = ""
    """ISO date (DTM 405)."""
    references: tuple[Reference, ...] = ()
    """Receiver (`EV`) and software version (`F2`)."""
    currency: str = ""
    version: str = "005010X221A1"
    imbalances: tuple[Imbalance, ...] = ()
    """What did not balance when it was read; only a reader told to let that pass leaves any."""

    @property
    def is_balanced(self) -> bool:
        """Whether every equation held when the remittance was read."""
        return not self.imbalances

    @property
    def claims(self) -> tuple[RemittedClaim, ...]:
        """Every claim, whatever its group."""
        return tuple(claim for group in self.groups for claim in group.claims)
