"""Remittances: the three equations hold for whatever is read or written, or it says where not."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from careledger.standards.x12.balance import UnbalancedError, check_balance
from careledger.standards.x12.errors import ContentError, LimitError, UnwritableError
from careledger.standards.x12.faults import Fault
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.parties import Adjustment, Period, Procedure
from careledger.standards.x12.remittance_model import (
    CLAIM,
    LINE,
    TRANSACTION,
    ClaimGroup,
    OrganisationAdjustment,
    Remittance,
    RemittedClaim,
    RemittedLine,
)
from careledger.standards.x12.remittance_read import read_remittances
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tokens import Limits
from standards.x12.x12_samples import CLINIC, PLAN, STAMP, npi, remittance, remitted_claim


def write(*remittances: Remittance, is_checked: bool = True) -> bytes:
    return write_remittances(remittances, STAMP, sender=PLAN, receiver=CLINIC, is_checked=is_checked)


def unplaced(one: Remittance) -> Remittance:
    """Forget where the claims stood."""
    return replace(
        one,
        groups=tuple(
            replace(group, claims=tuple(replace(claim, position=0) for claim in group.claims))
            for group in one.groups
        ),
    )


def read(data: bytes) -> list[Remittance]:
    return [unplaced(one) for one in read_remittances(data)]


DATA = write(remittance())


@pytest.mark.parametrize(
    "written",
    [
        [remittance(1)],
        [remittance(40)],
        [remittance(1), remittance(2)],
        [
            remittance(
                2,
                currency="CAD",
                groups=(
                    ClaimGroup(number=1, claims=(remitted_claim(1),)),
                    ClaimGroup(
                        number=2,
                        claims=(remitted_claim(2),),
                        other=(("TS3", npi(1), "11", "20261231", "1", "185.5"),),
                    ),
                ),
                adjustments=(),
                payment=replace(remittance().payment, amount_minor=28000),
            )
        ],
        [
            remittance(
                0,
                groups=(),
                adjustments=(
                    OrganisationAdjustment(
                        organisation_id=npi(1), fiscal_date="2026-12-31", reason="FB", amount_minor=-500
                    ),
                ),
                payment=replace(remittance().payment, amount_minor=500),
            )
        ],
    ],
)
def test_what_is_written_is_read_back(written: list[Remittance]) -> None:
    data = write(*written)
    assert read(data) == written
    assert write(*read(data)) == data


def test_reading_gives_lines_their_values() -> None:
    (one,) = read(DATA)
    first, second = one.claims[0].lines
    assert (first.control_number, first.allowed_minor, first.quantity_milli) == ("L1", 9000, 1000)
    assert (second.control_number, second.allowed_minor, second.quantity_milli) == ("", None, None)
    assert second.submitted_procedure == Procedure(qualifier="HC", code="X0012", modifiers=("25",))
    assert second.submitted_quantity_milli == 2500
    assert first.remarks == (("HE", "X99"),)


def test_adjustments_of_one_organisation_share_segments_of_six() -> None:
    adjustments = tuple(
        OrganisationAdjustment(
            organisation_id=npi(1 + at // 8),
            fiscal_date="2026-12-31",
            reason="L6",
            reference=f"R{at}",
            amount_minor=at,
        )
        for at in range(10)
    )
    paid = remittance().payment.amount_minor + 2500 - sum(range(10))
    one = remittance(adjustments=adjustments, payment=replace(remittance().payment, amount_minor=paid))
    data = write(one)
    segments = [segment for segment in parse(data).interchanges[0].segments if segment[0] == "PLB"]
    assert [(len(segment) - 3) // 2 for segment in segments] == [6, 2, 2]
    assert read(data) == [one]


def spoil_line(one: Remittance) -> Remittance:
    """Pay one cent more on the second line of the second claim, and on the claim, and in all."""
    (group,) = one.groups
    first, second = group.claims
    lines = (second.lines[0], replace(second.lines[1], paid_minor=6501))
    return replace(one, groups=(replace(group, claims=(first, replace(second, lines=lines))),))


def spoil_claim(one: Remittance) -> Remittance:
    """Adjust the first claim by three less."""
    (group,) = one.groups
    first, second = group.claims
    adjusted = replace(first, adjustments=(Adjustment(group="PR", reason="1", amount_minor=547),))
    return replace(one, groups=(replace(group, claims=(adjusted, second)),))


def spoil_payment(one: Remittance) -> Remittance:
    """Pay a hundred more than the claims come to."""
    return replace(one, payment=replace(one.payment, amount_minor=one.payment.amount_minor + 10000))


@pytest.mark.parametrize(
    ("spoil", "level", "difference", "message"),
    [
        (
            spoil_line,
            LINE,
            1,
            "service line (claim 2, line 2): charge less adjustments is 65, paid is 65.01, off by .01",
        ),
        (
            spoil_claim,
            CLAIM,
            -3,
            "claim (claim 1): charge less adjustments is 139.53, paid is 139.5, off by -.03",
        ),
        (
            spoil_payment,
            TRANSACTION,
            10000,
            "remittance: claims less adjustments is 254, paid is 354, off by 100",
        ),
    ],
)
def test_an_unbalanced_remittance_is_never_written(
    spoil: Callable[[Remittance], Remittance], level: str, difference: int, message: str
) -> None:
    spoiled = spoil(remittance())
    (imbalance,) = check_balance(spoiled)
    assert (imbalance.level, imbalance.difference_minor) == (level, difference)
    for is_checked in (True, False):
        with pytest.raises(UnbalancedError) as caught:
            write(remittance(1), spoiled, is_checked=is_checked)
        assert message in str(caught.value)
        assert caught.value.imbalances == (imbalance,)


@pytest.mark.parametrize(
    ("old", "new", "levels"),
    [
        ("SVC*HC:X0001*100*80", "SVC*HC:X0001*100*80.01", [LINE]),
        ("SVC*HC:X0001*100*80", "SVC*HC:X0001*100.01*80", [LINE]),
        ("CAS*CO*45*20.5", "CAS*CO*45*20", [LINE, CLAIM]),
        ("CLP*CLM000001*1*185.5*139.5", "CLP*CLM000001*1*185.5*139", [CLAIM, TRANSACTION]),
        ("CAS*PR*1*5.5", "CAS*PR*1*5.6", [CLAIM]),
        ("BPR*I*254", "BPR*I*254.01", [TRANSACTION]),
        ("WO:P9*25", "WO:P9*-25", [TRANSACTION]),
        ("BPR*I*254*C", "BPR*I*254*D", [TRANSACTION]),
    ],
)
def test_an_unbalanced_remittance_is_refused_or_flagged(old: str, new: str, levels: list[str]) -> None:
    assert old.encode() in DATA
    data = DATA.replace(old.encode(), new.encode(), 1)
    with pytest.raises(UnbalancedError, match="transaction set 1: the remittance does not balance"):
        read(data)
    (flagged,) = read_remittances(data, is_balance_required=False)
    assert not flagged.is_balanced
    assert [imbalance.level for imbalance in flagged.imbalances] == levels


def test_an_imbalance_names_the_segment_of_the_claim() -> None:
    data = DATA.replace(b"CAS*PR*1*5.5", b"CAS*PR*1*5.6", 1)
    (flagged,) = read_remittances(data, is_balance_required=False)
    assert "claim (claim 1, segment 15)" in str(flagged.imbalances[0])


def test_many_imbalances_are_summed_up() -> None:
    data = write(remittance(9)).replace(b"CAS*PR*1*5.5", b"CAS*PR*1*5.6")
    with pytest.raises(UnbalancedError, match="and 4 more"):
        read(data)


def test_a_debit_goes_the_other_way() -> None:
    takeback = remittance(
        0,
        groups=(),
        adjustments=(
            OrganisationAdjustment(
                organisation_id=npi(1), fiscal_date="2026-12-31", reason="WO", amount_minor=700
            ),
        ),
        payment=replace(remittance().payment, amount_minor=700, is_debit=True),
    )
    assert read(write(takeback)) == [takeback]


AMOUNT = st.integers(-(10**9), 10**9)


@st.composite
def balanced_claims(draw: st.DrawFn) -> RemittedClaim:
    """Draw a claim whose parts add up."""
    lines = []
    for number in range(draw(st.integers(0, 4))):
        charge = draw(st.integers(0, 10**9))
        adjustments = tuple(
            Adjustment(
                group=draw(st.sampled_from(["CO", "PR", "OA", "PI"])), reason="45", amount_minor=draw(AMOUNT)
            )
            for _ in range(draw(st.integers(0, 8)))
        )
        lines.append(
            RemittedLine(
                procedure=Procedure(qualifier="HC", code=f"X{number:04d}"),
                charge_minor=charge,
                paid_minor=charge - sum(one.amount_minor for one in adjustments),
                adjustments=adjustments,
                dates=(Period(qualifier="472", start="2026-02-20"),),
            )
        )
    charge = sum(line.charge_minor for line in lines) if lines else draw(st.integers(0, 10**9))
    adjustments = tuple(
        Adjustment(group="OA", reason="23", amount_minor=one) for one in draw(st.lists(AMOUNT, max_size=7))
    )
    adjusted = sum(one.amount_minor for line in lines for one in line.adjustments)
    paid = charge - adjusted - sum(one.amount_minor for one in adjustments)
    return remitted_claim(charge_minor=charge, paid_minor=paid, lines=tuple(lines), adjustments=adjustments)


@given(st.lists(balanced_claims(), min_size=1, max_size=4), st.lists(AMOUNT, max_size=8))
@settings(max_examples=80)
def test_any_balanced_remittance_survives_and_any_cent_is_noticed(
    claims: list[RemittedClaim], takebacks: list[int]
) -> None:
    adjustments = tuple(
        OrganisationAdjustment(
            organisation_id=npi(1), fiscal_date="2026-12-31", reason="WO", amount_minor=one
        )
        for one in takebacks
    )
    total = sum(claim.paid_minor for claim in claims) - sum(takebacks)
    one = remittance(
        groups=(ClaimGroup(number=1, claims=tuple(claims)),),
        adjustments=adjustments,
        payment=replace(remittance().payment, amount_minor=abs(total), is_debit=total < 0),
    )
    assert check_balance(one) == ()
    assert read(write(one)) == [one]
    off = replace(one, payment=replace(one.payment, amount_minor=abs(total) + 1))
    assert [imbalance.level for imbalance in check_balance(off)] == [TRANSACTION]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("BPR*I*254*", "BPR*I*x*", "loop HEADER, segment 2 (BPR), element 2"),
        ("*222*20260305", "*222*20260231", "loop HEADER, segment 2 (BPR), element 16"),
        ("CLP*CLM000001*1*185.5*", "CLP*CLM000001*1*1e5*", "loop 2100, segment 15 (CLP), element 3"),
        ("NM1*QC*1*Fennimore", "NM1*74*1*Fennimore", "loop 2100, segment 15 (CLP)"),
        ("SVC*HC:X0001*100*80", "SVC**100*80", "loop 2110, segment 25 (SVC), element 1"),
        ("DTM*472*20260220", "DTM*472*2026", "loop 2110, segment 26 (DTM), element 2"),
        ("~LX*1~", "~LX*A~", "loop 2000, segment 14 (LX), element 1"),
        ("*20261231*WO", "*20261331*WO", "loop HEADER, segment 53 (PLB), element 2"),
        ("AMT*B6*90", "AMT*B6*9.005", "loop 2110, segment 30 (AMT), element 2"),
        ("QTY*CA*2", "QTY*CA*", "loop 2100, segment 24 (QTY), element 2"),
    ],
)
def test_what_cannot_be_read_is_located(old: str, new: str, place: str) -> None:
    assert old.encode() in DATA
    with pytest.raises(ContentError) as caught:
        list(read_remittances(DATA.replace(old.encode(), new.encode(), 1), on_fault=lambda _: None))
    assert str(caught.value).startswith(f"transaction set 1, {place}: "), str(caught.value)


def test_faults_refuse_the_input_unless_they_are_taken() -> None:
    data = DATA.replace(b"~PER*BL*Technical*EM*edi@orchard.example", b"", 1)
    with pytest.raises(ContentError, match=r"loop 1000A, segment 11 \(PER\): a required segment is missing"):
        read(data)
    found: list[Fault] = []
    assert len(list(read_remittances(data, on_fault=found.append))) == 1
    assert [fault.code for fault in found] == ["3", "4"]


def test_a_missing_payer_refuses_the_input() -> None:
    data = DATA.replace(b"~N1*PR*Orchard Plan", b"", 1)
    with pytest.raises(ContentError, match="loop 1000A is missing"):
        list(read_remittances(data, on_fault=lambda _: None))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda one: replace(one, payment=replace(one.payment, trace_number="")), r"TRN\), element 2"),
        (lambda one: replace(one, payment=replace(one.payment, date="")), r"BPR\), element 16"),
        (lambda one: replace(one, payer=replace(one.payer, name="A*B")), "separator"),
        (lambda one: replace(one, payer=replace(one.payer, name="\u00c9toile")), "cannot be written"),
        (lambda one: replace(one, payee=replace(one.payee, id_qualifier="QQ")), "not permitted"),
        (lambda one: replace(one, production_date="yesterday"), "not an ISO date"),
        (
            lambda one: replace(
                one,
                payment=replace(one.payment, amount_minor=-100, is_debit=False),
                groups=(),
                adjustments=(replace(one.adjustments[0], amount_minor=100),),
            ),
            "not negative",
        ),
    ],
)
def test_what_is_no_remittance_is_not_written(spoil: Callable[[Remittance], Remittance], reason: str) -> None:
    with pytest.raises(UnwritableError, match=reason):
        write(spoil(remittance()))


def test_nothing_is_no_interchange() -> None:
    with pytest.raises(UnwritableError, match="at least one"):
        write()


def test_other_transaction_sets_are_refused() -> None:
    with pytest.raises(ContentError, match="not a remittance"):
        read(DATA.replace(b"ST*835", b"ST*837"))
    with pytest.raises(ContentError, match="not a remittance"):
        read(DATA.replace(b"*005010X221A1", b"*004010X091A1"))


def test_a_remittance_with_too_many_claims_is_refused() -> None:
    with pytest.raises(LimitError, match="more claims"):
        list(read_remittances(write(remittance(9)), Limits(claims_max=8)))


def test_several_remittances_are_handed_over_one_by_one() -> None:
    data = write(*(remittance(1) for _ in range(300)))
    pieces = [data[at : at + 2000] for at in range(0, len(data), 2000)]
    taken: list[bytes] = []

    def feed() -> Iterator[bytes]:
        for piece in pieces:
            taken.append(piece)
            yield piece

    stream = read_remittances(feed())
    next(stream)
    assert len(taken) < 4
    assert sum(1 for _ in stream) == 299
