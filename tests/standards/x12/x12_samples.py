"""Fictitious claims and remittances for the X12 tests: invented parties, invented codes, identifiers that check."""

from careledger.standards.x12.claim_model import (
    Billing,
    Claim,
    Drug,
    HealthCode,
    Insured,
    LineDecision,
    OtherCoverage,
    ServiceLine,
    Submission,
)
from careledger.standards.x12.npi import compute_check_digit
from careledger.standards.x12.parties import (
    Address,
    Adjustment,
    Amount,
    Contact,
    Party,
    Period,
    Procedure,
    Quantity,
    Reference,
)
from careledger.standards.x12.remittance_model import (
    Account,
    ClaimGroup,
    Entity,
    OrganisationAdjustment,
    Payment,
    Remittance,
    RemittedClaim,
    RemittedLine,
)
from careledger.standards.x12.writing import Endpoint, Stamp

STAMP = Stamp(date="2026-03-02", time="0930", control_number=41, usage="T")
CLINIC = Endpoint(identifier="BRIDGECLINIC", application="BRIDGE")
PLAN = Endpoint(identifier="ORCHARDPLAN", application="ORCHARD")


def npi(serial: int) -> str:
    """Return an identifier that checks and belongs to nobody: stems from 199000000 on."""
    stem = str(199_000_000 + serial)
    return stem + compute_check_digit(stem)


ADDRESS = Address(lines=("4 Quay Street", "Floor 2"), city="Millport", state="OH", postal_code="432150001")
SUBMITTER = Party(
    role="41",
    name="Bridge Clinic",
    id_qualifier="46",
    id="BRIDGE",
    contacts=(Contact(function="IC", name="Front desk", numbers=(("TE", "6145550100"), ("EX", "12"))),),
)
RECEIVER = Party(role="40", name="Orchard Plan", id_qualifier="46", id="ORCHARD")
PAYER = Party(role="PR", name="Orchard Plan", id_qualifier="PI", id="ORCH01")
BILLING = Billing(
    party=Party(
        role="85",
        name="Bridge Clinic",
        id_qualifier="XX",
        id=npi(1),
        address=ADDRESS,
        references=(Reference(qualifier="EI", value="990000001"),),
        taxonomy="207Q00000X",
    )
)
SUBSCRIBER = Insured(
    party=Party(
        role="IL",
        is_person=True,
        name="Fennimore",
        first="Ada",
        middle="Q",
        id_qualifier="MI",
        id="ORC0000417",
        address=ADDRESS,
        birth_date="1979-11-30",
        sex="F",
    ),
    responsibility="P",
    relation="18",
    group_number="GRP7",
    filing="CI",
)
CHILD = Insured(
    party=Party(
        role="QC",
        is_person=True,
        name="Fennimore",
        first="Bo",
        address=ADDRESS,
        birth_date="2016-02-29",
        sex="M",
    ),
    relation="19",
)
RENDERING = Party(
    role="82", is_person=True, name="Marsh", first="Ines", id_qualifier="XX", id=npi(2), taxonomy="207Q00000X"
)


def submission(version: str) -> Submission:
    """Return the header of a batch."""
    return Submission(
        version=version,
        submitter=SUBMITTER,
        receiver=RECEIVER,
        reference="B77",
        date="2026-03-01",
        time="1815",
    )


def line(number: int, charge_minor: int, **details: object) -> ServiceLine:
    """Return a professional service line."""
    fields: dict[str, object] = {
        "procedure": Procedure(qualifier="HC", code=f"X{number:04d}"),
        "pointers": (1,),
        "service": Period(qualifier="472", start="2026-02-20"),
        "references": (Reference(qualifier="6R", value=f"L{number}"),),
    }
    return ServiceLine(number=number, charge_minor=charge_minor, **(fields | details))  # type: ignore[arg-type]


def claim(serial: int = 1, **details: object) -> Claim:
    """Return a professional claim of two lines, 185.50 in all."""
    fields: dict[str, object] = {
        "kind": "P",
        "submission": submission("005010X222A1"),
        "billing": BILLING,
        "subscriber": SUBSCRIBER,
        "payer": PAYER,
        "id": f"CLM{serial:06d}",
        "charge_minor": 18550,
        "facility": "11",
        "signature": "Y",
        "assignment": "A",
        "benefits_assigned": "Y",
        "release": "Y",
        "diagnoses": (HealthCode(qualifier="ABK", code="R05"), HealthCode(qualifier="ABF", code="J069")),
        "references": (Reference(qualifier="D9", value=f"T{serial:08d}"),),
        "parties": (RENDERING,),
        "lines": (line(1, 10000, pointers=(1, 2)), line(2, 8550, quantity_milli=2500)),
    }
    return Claim(**(fields | details))  # type: ignore[arg-type]


def rich_claim() -> Claim:
    """Return a professional claim with nearly everything: another payer, a drug, notes, carried segments."""
    other_payer = Party(
        role="PR",
        name="Harbour Mutual",
        id_qualifier="PI",
        id="HARB9",
        references=(Reference(qualifier="F8", value="HM-551"),),
    )
    coverage = OtherCoverage(
        responsibility="P",
        relation="18",
        filing="CI",
        subscriber=Party(
            role="IL", is_person=True, name="Fennimore", first="Ada", id_qualifier="MI", id="H1"
        ),
        payer=other_payer,
        adjustments=(
            Adjustment(group="PR", reason="1", amount_minor=2500),
            Adjustment(group="PR", reason="2", amount_minor=1500),
        ),
        amounts=(Amount(qualifier="D", amount_minor=13550), Amount(qualifier="EAF", amount_minor=4000)),
        assignment="Y",
        signature="P",
        release="Y",
    )
    decision = LineDecision(
        payer_id="HARB9",
        paid_minor=9000,
        procedure=Procedure(qualifier="HC", code="X0001"),
        quantity_milli=1000,
        adjustments=(Adjustment(group="CO", reason="45", amount_minor=1000, quantity_milli=1000),),
        decided_on="2026-02-25",
        remaining_minor=0,
    )
    drug = Drug(
        code="99999012345", quantity_milli=10500, unit="ML", reference=Reference(qualifier="XZ", value="RX-8")
    )
    lines = (
        line(
            1,
            10000,
            procedure=Procedure(
                qualifier="HC", code="X0001", modifiers=("25", "59"), description="house visit by agreement"
            ),
            is_emergency=True,
            is_copay_exempt=True,
            place="12",
            drug=drug,
            decisions=(decision,),
            notes=(("ADD", "second visit that day"),),
            service=Period(qualifier="472", start="2026-02-20", end="2026-02-21"),
            dates=(Period(qualifier="471", start="2026-02-19"),),
            amounts=(Amount(qualifier="T", amount_minor=337),),
            quantities=(Quantity(qualifier="PT", quantity_milli=2000),),
            references=(
                Reference(qualifier="6R", value="L1"),
                Reference(qualifier="G1", value="AUTH", payer_id="HARB9"),
            ),
            parties=(
                Party(role="DK", is_person=True, name="Vale", first="Tom", id_qualifier="XX", id=npi(9)),
            ),
            forms=((("LQ", "UT", "04.03"), ("FRM", "1A", "", "056")),),
            other=(("PS1", "ABC", "12.5"),),
        ),
        line(2, 8550, non_covered_minor=None),
    )
    return claim(
        77,
        patient=CHILD,
        subscriber=SUBSCRIBER,
        frequency="7",
        payer_control_number="ORC-2026-1",
        causes=("OA",),
        cause_state="OH",
        delay_reason="9",
        dates=(Period(qualifier="439", start="2026-02-18"), Period(qualifier="435", start="2026-02-18")),
        amounts=(Amount(qualifier="F5", amount_minor=500),),
        notes=(("ADD", "fell from a ladder"),),
        codes=(HealthCode(qualifier="BG", code="AA"), HealthCode(qualifier="BG", code="AB")),
        coverages=(coverage,),
        lines=lines,
        other=(("PWK", "OZ", "EL", "", "", "AC", "DOC-3"), ("CRC", "ZZ", "Y", "AV")),
    )


def stay(serial: int = 1, **details: object) -> Claim:
    """Return an institutional claim of two revenue lines, 4,210.25 in all."""
    attending = Party(
        role="71",
        is_person=True,
        name="Oduya",
        first="Kay",
        id_qualifier="XX",
        id=npi(3),
        taxonomy="208D00000X",
    )
    lines = (
        ServiceLine(
            number=1,
            charge_minor=400000,
            revenue_code="0120",
            unit="DA",
            quantity_milli=4000,
            non_covered_minor=0,
        ),
        ServiceLine(
            number=2,
            charge_minor=21025,
            revenue_code="0300",
            procedure=Procedure(qualifier="HC", code="X0300"),
            service=Period(qualifier="472", start="2026-02-11"),
        ),
    )
    facts: dict[str, object] = {
        "kind": "I",
        "submission": submission("005010X223A2"),
        "facility": "11",
        "charge_minor": 421025,
        "signature": "",
        "admission_type": "1",
        "admission_source": "7",
        "patient_status": "01",
        "dates": (
            Period(qualifier="096", time="1130"),
            Period(qualifier="434", start="2026-02-10", end="2026-02-14"),
            Period(qualifier="435", start="2026-02-10", time="0800"),
        ),
        "diagnoses": (
            HealthCode(qualifier="ABK", code="K352", present_on_admission="Y"),
            HealthCode(qualifier="ABJ", code="R1031"),
            HealthCode(qualifier="ABF", code="E119", present_on_admission="Y"),
            HealthCode(qualifier="ABF", code="I10", present_on_admission="N"),
        ),
        "codes": (
            HealthCode(qualifier="DR", code="343"),
            HealthCode(qualifier="BBR", code="0DTJ4ZZ", start="2026-02-11"),
            HealthCode(qualifier="BI", code="70", start="2026-02-10", end="2026-02-12"),
            HealthCode(qualifier="BH", code="A1", start="2026-02-10"),
            HealthCode(qualifier="BE", code="01", amount_minor=120000),
            HealthCode(qualifier="BG", code="09"),
        ),
        "parties": (attending,),
        "lines": lines,
    }
    return claim(serial, **(facts | details))


def remitted_claim(serial: int = 1, **details: object) -> RemittedClaim:
    """Return what was decided on a claim: 185.50 charged, 140.00 paid, 45.50 adjusted."""
    lines = (
        RemittedLine(
            procedure=Procedure(qualifier="HC", code="X0001"),
            charge_minor=10000,
            paid_minor=8000,
            quantity_milli=1000,
            dates=(Period(qualifier="472", start="2026-02-20"),),
            adjustments=(
                Adjustment(group="CO", reason="45", amount_minor=1200),
                Adjustment(group="CO", reason="253", amount_minor=-200),
                Adjustment(group="PR", reason="2", amount_minor=1000, quantity_milli=1000),
            ),
            references=(Reference(qualifier="6R", value="L1"),),
            amounts=(Amount(qualifier="B6", amount_minor=9000),),
            remarks=(("HE", "X99"),),
        ),
        RemittedLine(
            procedure=Procedure(qualifier="HC", code="X0002"),
            submitted_procedure=Procedure(qualifier="HC", code="X0012", modifiers=("25",)),
            submitted_quantity_milli=2500,
            charge_minor=8550,
            paid_minor=6500,
            adjustments=(Adjustment(group="CO", reason="45", amount_minor=2050),),
        ),
    )
    fields: dict[str, object] = {
        "id": f"CLM{serial:06d}",
        "status": "1",
        "charge_minor": 18550,
        "paid_minor": 14000,
        "patient_responsibility_minor": 1550,
        "filing": "12",
        "payer_control_number": f"P{serial:09d}",
        "facility": "11",
        "frequency": "1",
        "patient": Party(
            role="QC", is_person=True, name="Fennimore", first="Ada", id_qualifier="MI", id="ORC0000417"
        ),
        "adjustments": (Adjustment(group="PR", reason="1", amount_minor=500),),
        "parties": (
            Party(role="82", is_person=True, name="Marsh", first="Ines", id_qualifier="XX", id=npi(2)),
        ),
        "dates": (Period(qualifier="050", start="2026-03-02"),),
        "contacts": (Contact(function="CX", name="Claims", numbers=(("TE", "6145550199"),)),),
        "amounts": (Amount(qualifier="AU", amount_minor=18550),),
        "quantities": (Quantity(qualifier="CA", quantity_milli=2000),),
        "references": (Reference(qualifier="EA", value="CHART9"),),
        "lines": lines,
        "other": (("MOA", "", "", "MA01"),),
    }
    return RemittedClaim(**(fields | details))  # type: ignore[arg-type]


def remittance(count: int = 2, **details: object) -> Remittance:
    """Return a remittance of so many claims less a takeback of 25.00."""
    fields: dict[str, object] = {
        "payment": Payment(
            amount_minor=13950 * count - 2500,
            date="2026-03-05",
            trace_number="TRACE-1",
            payer_identifier="1990000002",
            method="ACH",
            form="CCP",
            payer_account=Account(bank_qualifier="01", bank="099999990", qualifier="DA", number="111"),
            payer_company="1990000002",
            payee_account=Account(bank_qualifier="01", bank="099999991", qualifier="SG", number="222"),
        ),
        "payer": Entity(
            name="Orchard Plan",
            address=ADDRESS,
            references=(Reference(qualifier="2U", value="ORCH01"),),
            contacts=(
                Contact(function="CX", name="Claims", numbers=(("TE", "6145550199"),)),
                Contact(function="BL", name="Technical", numbers=(("EM", "edi@orchard.example"),)),
            ),
        ),
        "payee": Entity(
            name="Bridge Clinic",
            id_qualifier="XX",
            id=npi(1),
            references=(Reference(qualifier="TJ", value="990000001"),),
        ),
        "groups": (
            ClaimGroup(
                number=1,
                claims=tuple(
                    remitted_claim(serial, paid_minor=13950, adjustments=(_SHARE,))
                    for serial in range(1, count + 1)
                ),
            ),
        ),
        "adjustments": (
            OrganisationAdjustment(
                organisation_id=npi(1),
                fiscal_date="2026-12-31",
                reason="WO",
                reference="P9",
                amount_minor=2500,
            ),
        ),
        "production_date": "2026-03-02",
        "references": (Reference(qualifier="EV", value="BRIDGE"),),
    }
    return Remittance(**(fields | details))  # type: ignore[arg-type]


_SHARE = Adjustment(group="PR", reason="1", amount_minor=550)
