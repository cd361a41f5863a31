"""The documents of a plan: what its entry point `adjudicate` is given and what it answers.

Owns their shape, for those who fill the one and use the other, and the rule that every decision balances. A plan sees
plain dictionaries with these names; the contract runtime itself knows nothing of them. Amounts are whole numbers of
minor units, dates are texts such as `2026-01-31`, and no field holds a name, a birth date or a number of a
person. Needs `msgspec`.
"""

from typing import Annotated, Literal

import msgspec

from careledger.contracts.syntax.nodes import Value

Amount = Annotated[int, msgspec.Meta(ge=0, lt=2**60)]
"""Minor units, never negative."""
Units = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
LineNumber = Annotated[int, msgspec.Meta(ge=1, le=9999)]
Date = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=48)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

Group = Literal["CO", "PR", "OA", "PI"]
"""Who bears an adjustment: contractual obligation, patient, other, payer's initiative (X12 CAS01)."""
Status = Literal["paid", "denied", "pended"]
"""`pended` lines are not decided: they balance, pay nothing, and must not be settled."""


# What a plan is given.


class ClaimLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service as billed."""

    number: LineNumber
    procedure: Code
    modifiers: tuple[Code, ...] = ()
    units: Units = 1
    charge_minor: Amount
    """For all units together."""
    place: Code
    service_date: Date


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim as billed; lines in the order of the claim."""

    kind: Literal["professional", "institutional", "dental", "pharmacy"] = "professional"
    received_date: Date
    lines: tuple[ClaimLine, ...]


class Coverage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The insurance of the patient under this plan."""

    from_date: Date
    to_date: Date | None = None
    """Last day covered; None while it goes on."""
    family: bool = False
    """Whether the family's yearly amounts count besides the patient's own."""


class Accumulators(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the year has used up before this claim, as the payer's book states it."""

    individual_deductible_minor: Amount = 0
    individual_limit_minor: Amount = 0
    family_deductible_minor: Amount = 0
    family_limit_minor: Amount = 0


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding of the payer's edits and history about one line."""

    line: LineNumber
    kind: Literal["duplicate", "bundled", "units"]
    units: Count = 0
    """For `units`: how many are accepted."""


class Authorisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prior authorisation the payer has given."""

    procedure: Code
    from_date: Date
    to_date: Date
    units: Count
    """Still unused."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the payer states and signs."""

    tier: Code
    """The practice's place in the plan's network, by a name the parameters know."""
    accumulators: Accumulators = Accumulators()
    edits: tuple[Edit, ...] = ()
    authorisations: tuple[Authorisation, ...] = ()
    referred: bool = False
    """Whether a referral for these services is on file."""
    emergency: bool = False
    """Whether the services were given in an emergency."""


class AdjudicationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `adjudicate`, by parameter name."""

    claim: Claim
    coverage: Coverage
    facts: Facts
    fees_minor: dict[str, Amount]
    """Fee per unit by procedure: the rows for this claim's procedures, this tier and this day."""
    parameters: dict[str, object]
    """The plan's figures for the year, as published with the plan."""


# What a plan answers.


class Adjustment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a part of the charge is not paid."""

    group: Group
    reason: Code
    """Number of the claim adjustment reason (X12 CAS02); its words come from the plan's RULES."""
    amount_minor: Annotated[int, msgspec.Meta(gt=0, lt=2**60)]
    rule: Code
    """Rule id that made the adjustment; it stands in the trace for the same line."""


class LineDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision about one line: `charge_minor - Σ adjustments = paid_minor`."""

    number: LineNumber
    status: Status
    units: Count
    """Units that counted."""
    charge_minor: Amount
    allowed_minor: Amount
    deductible_minor: Amount
    copay_minor: Amount
    coinsurance_minor: Amount
    paid_minor: Amount
    patient_minor: Amount
    """What the patient owes: the sum of the adjustments of group PR."""
    adjustments: tuple[Adjustment, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sums over the lines."""

    charge_minor: Amount
    allowed_minor: Amount
    deductible_minor: Amount
    copay_minor: Amount
    coinsurance_minor: Amount
    paid_minor: Amount
    patient_minor: Amount


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision about a claim."""

    lines: tuple[LineDecision, ...]
    totals: Totals
    uses: Accumulators
    """What the claim takes from each of the year's amounts: one transfer each in the payer's book."""


class DecisionRefused(ValueError):  # noqa: N818 - named for what happened, as ContractRefused is
    """A plan answered something that is no decision, or one that does not balance."""


def arguments_of(request: AdjudicationRequest) -> dict[str, object]:
    """Return the arguments of `adjudicate` as plain values."""
    built = msgspec.to_builtins(request)
    if not isinstance(built, dict):
        raise TypeError("a request becomes a dictionary")
    return built


def read_decision(result: Value) -> Decision:
    """Return the decision a plan's result is.

    Raises:
        DecisionRefused: it has not the shape of one; the text names the field and no value.
    """
    try:
        return msgspec.convert(result, Decision)
    except msgspec.ValidationError as error:
        # Only the path is kept: what stands there may be of the claim.
        _, _, path = str(error).rpartition(" - at ")
        raise DecisionRefused(f"not a decision: {path or '`$`'}") from None


def verify_decision(claim: Claim, decision: Decision) -> None:
    """Check that a decision belongs to a claim and balances.

    1. Its lines are the claim's, in the same order, with the same charges.
    2. On every line the charge less the adjustments is what is paid, the patient's part is the sum of the
       adjustments of group PR, and deductible, copay and coinsurance are no more than that.
    3. The totals are the sums over the lines.
    4. The claim's use of the year's amounts is what the patient owes under the plan's sharing.

    Raises:
        DecisionRefused: naming the first line and field that fail.
    """
    # 1. The claim's lines.
    if [(line.number, line.charge_minor) for line in claim.lines] != [
        (line.number, line.charge_minor) for line in decision.lines
    ]:
        raise DecisionRefused("lines: not the lines and charges of the claim")
    for line in decision.lines:
        _verify_line(line)
    # 3. Totals.
    for field in Totals.__struct_fields__:
        if getattr(decision.totals, field) != sum([getattr(line, field) for line in decision.lines]):
            raise DecisionRefused(f"totals: {field} is not the sum of the lines")
    # 4. The year's amounts.
    uses = decision.uses
    totals = decision.totals
    shared = totals.deductible_minor + totals.copay_minor + totals.coinsurance_minor
    if uses.individual_deductible_minor != totals.deductible_minor or uses.individual_limit_minor != shared:
        raise DecisionRefused("uses: not what the patient pays of deductible, copay and coinsurance")
    if uses.family_deductible_minor not in (
        0,
        uses.individual_deductible_minor,
    ) or uses.family_limit_minor not in (
        0,
        uses.individual_limit_minor,
    ):
        raise DecisionRefused("uses: the family's amounts are neither nothing nor the patient's")


def _verify_line(line: LineDecision) -> None:
    """Check one line (step 2)."""
    adjusted = sum([adjustment.amount_minor for adjustment in line.adjustments])
    if line.charge_minor - adjusted != line.paid_minor:
        raise DecisionRefused(f"line {line.number}: charge less adjustments is not what is paid")
    patient = sum([adjustment.amount_minor for adjustment in line.adjustments if adjustment.group == "PR"])
    if line.patient_minor != patient:
        raise DecisionRefused(f"line {line.number}: the patient's part is not the sum of group PR")
    if line.deductible_minor + line.copay_minor + line.coinsurance_minor > patient:
        raise DecisionRefused(f"line {line.number}: the shares are more than the patient's part")
    if line.status != "paid" and line.paid_minor:
        raise DecisionRefused(f"line {line.number}: something is paid on a line that is not")
