"""Claims: what is written is read back equal, and what cannot be a claim is refused where it stands."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from careledger.standards.x12.balance import check_charges, check_coverage, check_coverages
from careledger.standards.x12.claim_model import Claim, HealthCode
from careledger.standards.x12.claim_read import read_claims
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.errors import ContentError, LimitError, UnwritableError
from careledger.standards.x12.faults import Fault
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.parties import Address, Adjustment, Contact, Party, Period, Procedure, Reference
from careledger.standards.x12.tokens import Limits
from standards.x12.x12_samples import (
    BILLING,
    CHILD,
    CLINIC,
    PLAN,
    RENDERING,
    STAMP,
    SUBSCRIBER,
    claim,
    line,
    npi,
    remittance,
    rich_claim,
    stay,
    submission,
)


def write(claims: list[Claim], *, is_checked: bool = True) -> bytes:
    return write_claims(claims, STAMP, sender=CLINIC, receiver=PLAN, is_checked=is_checked)


def read(data: bytes) -> list[Claim]:
    return [replace(one, position=0) for one in read_claims(data)]


OTHER_SUBSCRIBER = replace(SUBSCRIBER, party=replace(SUBSCRIBER.party, id="ORC0000999"))
OTHER_BILLING = replace(BILLING, party=replace(BILLING.party, id=npi(5), taxonomy=""), currency="CAD")
PAY_TO = Party(
    role="87", address=Address(lines=("PO Box 1",), city="Millport", state="OH", postal_code="43215")
)
PAY_TO_PLAN = Party(
    role="PE",
    name="Harbour Mutual",
    id_qualifier="PI",
    id="H9",
    address=Address(lines=("1 Pier",), city="Millport", state="OH", postal_code="43215"),
    references=(Reference(qualifier="EI", value="990000009"),),
)


@pytest.mark.parametrize(
    "claims",
    [
        [claim()],
        [claim(serial) for serial in range(1, 30)],
        [rich_claim()],
        [stay(), stay(2, patient=CHILD)],
        [claim(), replace(rich_claim(), subscriber=OTHER_SUBSCRIBER), claim(3)],
        [claim(), claim(2, billing=OTHER_BILLING), claim(3)],
        [claim(1, billing=replace(BILLING, pay_to=PAY_TO, pay_to_plan=PAY_TO_PLAN))],
        [
            claim(),
            claim(
                2, submission=replace(submission("005010X222A1"), reference="B78", purpose="18", kind="RP")
            ),
        ],
        [claim(frequency="8", payer_control_number="ORC-9")],
        [
            claim(
                subscriber=replace(
                    SUBSCRIBER, death_date="2026-02-22", weight="150.5", is_pregnant=True, secondary_kind="12"
                )
            )
        ],
    ],
)
def test_what_is_written_is_read_back(claims: list[Claim]) -> None:
    data = write(claims)
    assert read(data) == claims
    assert write(read(data)) == data


def test_claims_of_one_subscriber_share_its_level_own_ones_first() -> None:
    data = write([claim(1, patient=CHILD), claim(2), claim(3, patient=CHILD)])
    assert [one.id for one in read(data)] == ["CLM000002", "CLM000001", "CLM000003"]
    levels = [segment[3] for segment in parse(data).interchanges[0].segments if segment[0] == "HL"]
    assert levels == ["20", "22", "23"]


def test_a_claim_knows_where_it_stood() -> None:
    first, second = read_claims(write([claim(1), claim(2)]))
    assert (first.position, second.position) == (19, 32)


def test_reading_gives_every_field_its_value() -> None:
    (one,) = read(write([rich_claim()]))
    assert (one.id, one.charge_minor, one.facility, one.frequency) == ("CLM000077", 18550, "11", "7")
    assert one.payer_control_number == "ORC-2026-1"
    assert one.treated is one.patient
    assert one.treated.party.birth_date == "2016-02-29"
    rendering = one.party("82")
    assert rendering is not None
    assert rendering.taxonomy == "207Q00000X"
    assert one.party("DN") is None
    drug = one.lines[0].drug
    assert drug is not None
    assert (drug.code, drug.quantity_milli, drug.unit) == ("99999012345", 10500, "ML")
    assert one.lines[0].control_number == "L1"
    (coverage,) = one.coverages
    assert coverage.paid_minor == 13550
    assert coverage.payer.reference("F8") == "HM-551"
    assert coverage.payer.reference("ZZ") == ""
    assert [adjustment.amount_minor for adjustment in coverage.adjustments] == [2500, 1500]
    assert one.submission.submitter.contacts[0].numbers == (("TE", "6145550100"), ("EX", "12"))


def test_other_payers_balance() -> None:
    one = rich_claim()
    (coverage,) = one.coverages
    assert check_charges(one) == 0
    assert check_coverage(one, coverage) == 0
    assert list(check_coverages(one)) == []
    short = replace(coverage, adjustments=coverage.adjustments[:1])
    (imbalance,) = check_coverages(replace(one, coverages=(short,)))
    assert imbalance.difference_minor == -1500
    assert (
        str(imbalance)
        == "other payer (other payer 1): charge less adjustments is 150.5, paid is 135.5, off by -15"
    )
    assert check_coverage(one, replace(coverage, amounts=())) is None


def test_adjustments_fill_segments_of_six() -> None:
    adjustments = tuple(Adjustment(group="CO", reason=str(45 + at), amount_minor=at) for at in range(8))
    (coverage,) = rich_claim().coverages
    one = replace(rich_claim(), coverages=(replace(coverage, adjustments=adjustments),))
    data = write([one])
    segments = [segment for segment in parse(data).interchanges[0].segments if segment[:2] == ["CAS", "CO"]]
    assert [len(segment) for segment in segments[:2]] == [19, 7]
    assert read(data)[0].coverages[0].adjustments == adjustments


TEXT = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters=" .,-'/&#"),
    min_size=2,
    max_size=30,
).map(lambda text: text.strip() or "x9")
CODE = st.text(st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"), min_size=2, max_size=7)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """Draw a professional claim whose lines add up."""
    diagnoses = tuple(
        HealthCode(qualifier="ABF" if at else "ABK", code=code)
        for at, code in enumerate(draw(st.lists(CODE, min_size=1, max_size=12)))
    )
    lines = [
        line(
            number,
            draw(st.integers(0, 10**9)),
            procedure=Procedure(
                qualifier="HC",
                code=draw(CODE),
                modifiers=tuple(draw(st.lists(st.sampled_from(["25", "59", "LT"]), max_size=4))),
                description=draw(st.one_of(st.just(""), TEXT)),
            ),
            quantity_milli=draw(st.integers(0, 10**7)),
            pointers=tuple(draw(st.lists(st.integers(1, len(diagnoses)), min_size=1, max_size=4))),
            is_emergency=draw(st.booleans()),
            is_epsdt=draw(st.booleans()),
            is_family_planning=draw(st.booleans()),
            is_copay_exempt=draw(st.booleans()),
            service=Period(qualifier="472", start=str(draw(st.dates()))),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    ]
    return claim(
        draw(st.integers(1, 999_999)),
        lines=tuple(lines),
        charge_minor=sum(one.charge_minor for one in lines),
        diagnoses=diagnoses,
        patient=draw(st.sampled_from([None, CHILD])),
        parties=draw(st.sampled_from([(), (RENDERING,)])),
        subscriber=replace(SUBSCRIBER, party=replace(SUBSCRIBER.party, name=draw(TEXT), first=draw(TEXT))),
        notes=((("ADD", draw(TEXT)),) if draw(st.booleans()) else ()),
    )


@given(claims())
@settings(max_examples=120)
def test_any_claim_survives(one: Claim) -> None:
    assert read(write([one])) == [one]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda one: replace(one, frequency="7"), "payer's control number"),
        (lambda one: replace(one, frequency="8"), "payer's control number"),
        (lambda one: replace(one, charge_minor=18551), "do not add up"),
        (lambda one: replace(one, kind="D"), "professional or institutional"),
        (lambda one: replace(one, id="A*B"), r"segment 19 \(CLM\).*separator"),
        (lambda one: replace(one, id="A:B"), "separator"),
        (lambda one: replace(one, facility="1:1"), "separator"),
        (lambda one: replace(one, id="A~B"), "cannot be written"),
        (lambda one: replace(one, id="A^B"), "cannot be written"),
        (lambda one: replace(one, id="M\u00fcller"), "cannot be written"),
        (lambda one: replace(one, id="A\nB"), "cannot be written"),
        (lambda one: replace(one, id=""), r"segment 19 \(CLM\), element 1: a required element"),
        (lambda one: replace(one, id="A" * 39), "too long"),
        (lambda one: replace(one, diagnoses=()), r"\(HI\): a required segment"),
        (lambda one: replace(one, dates=(Period(qualifier="434", start="2026-01-01"),)), "DTP: the implem"),
        (lambda one: replace(one, dates=(Period(qualifier="439", start="2026-13-01"),)), "not an ISO date"),
        (lambda one: replace(one, dates=(Period(qualifier="439", time="9999"),)), "not a time"),
        (lambda one: replace(one, other=(("CL1", "1"),)), "CL1: the implementation has no place"),
        (lambda one: replace(one, parties=(replace(RENDERING, role="71"),)), "NM1: the implementation has no place"),
        (lambda one: replace(one, parties=(RENDERING, RENDERING)), "the loop occurs too often"),
        (lambda one: replace(one, lines=()), "do not add up"),
        (
            lambda one: replace(
                one,
                lines=(
                    line(1, 18550, procedure=Procedure(qualifier="HC", code="X0001", modifiers=("1",) * 5)),
                ),
            ),
            "four modifiers",
        ),
        (
            lambda one: replace(
                one,
                billing=replace(
                    BILLING,
                    party=replace(BILLING.party, contacts=(Contact(function="IC", numbers=(("TE", "1"),) * 4),)),
                ),
            ),
            "three numbers",
        ),
    ],
)  # fmt: skip
def test_what_is_no_claim_is_not_written(spoil: Callable[[Claim], Claim], reason: str) -> None:
    with pytest.raises(UnwritableError, match=reason):
        write([spoil(claim())])


def test_kinds_do_not_mix_and_nothing_is_no_interchange() -> None:
    for listed in ([claim(), stay()], []):
        with pytest.raises(UnwritableError, match="one kind"):
            write(listed)


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ({"control_number": 0}, "control number"),
        ({"control_number": 10**9}, "control number"),
        ({"date": "2026-02-30"}, "stamp"),
        ({"time": "25"}, "stamp"),
    ],
)
def test_a_stamp_is_checked(stamp: dict[str, object], reason: str) -> None:
    with pytest.raises(UnwritableError, match=reason):
        write_claims([claim()], replace(STAMP, **stamp), sender=CLINIC, receiver=PLAN)


@pytest.mark.parametrize("identifier", ["", "A" * 16, "A*B", "\u00e9"])
def test_endpoints_are_checked(identifier: str) -> None:
    with pytest.raises(UnwritableError):
        write_claims([claim()], STAMP, sender=replace(CLINIC, identifier=identifier), receiver=PLAN)


def test_too_many_claims_for_one_set_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.standards.x12.claim_write._CLAIMS_MAX", 1)
    with pytest.raises(UnwritableError, match="5,000"):
        write([claim(1), claim(2)])


DATA = write([rich_claim()])


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("CLM000077*185.5", "CLM000077*18x.5", "loop 2300, segment 25 (CLM), element 2"),
        ("CLM000077*185.5", "CLM000077*", "loop 2300, segment 25 (CLM), element 2"),
        ("*100*UN*1*12", "*100*UN*1.0001*12", "loop 2400, segment 47 (SV1), element 4"),
        ("*12**1**Y", "*12**99**Y", "loop 2400, segment 47 (SV1), element 7"),
        ("DTP*439*D8*20260218", "DTP*439*D8*20260231", "loop 2300, segment 26 (DTP), element 3"),
        ("DTP*439*D8*20260218", "DTP*439*ZZ*20260218", "loop 2300, segment 26 (DTP), element 2"),
        ("RD8*20260220-20260221", "RD8*20260222-20260221", "loop 2400, segment 48 (DTP), element 3"),
        ("DMG*D8*20160229", "DMG*D8*20150229", "loop 2010CA, segment 24 (DMG), element 2"),
        ("CAS*PR*1*25*", "CAS*PR*1**", "loop 2320, segment 39 (CAS), element 3"),
        ("CTP****10.5", "CTP", "loop 2410, segment 57 (CTP), element 4"),
        ("~LX*1", "~LX*A", "loop 2400, segment 46 (LX), element 1"),
        ("BHT*0019*00*B77*20260301", "BHT*0019*00*B77*2026", "loop HEADER, segment 2 (BHT), element 4"),
        ("SVD*HARB9*90", "SVD*HARB9", "loop 2430, segment 60 (SVD), element 2"),
    ],
)
def test_what_cannot_be_read_is_located(old: str, new: str, place: str) -> None:
    assert old.encode() in DATA
    with pytest.raises(ContentError) as caught:
        list(read_claims(DATA.replace(old.encode(), new.encode(), 1)))
    assert str(caught.value).startswith(f"transaction set 1, {place}: "), str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("~HI*ABK", "~ZQ9*1~HI*ABK", "not known"),
        ("~NM1*PR*2*Orchard Plan*****PI*ORCH01", "", "a required segment is missing"),
        ("SE*70*", "SE*71*", "number of segments"),
        ("IEA*1*000000041", "IEA*1*000000042", "control numbers"),
        ("GE*1*41", "GE*1*42", "control numbers"),
        ("~IEA*1*000000041~", "~", "input ends"),
    ],
)
def test_faults_refuse_the_input_unless_they_are_taken(old: str, new: str, reason: str) -> None:
    data = DATA.replace(old.encode(), new.encode(), 1)
    assert data != DATA
    with pytest.raises(ContentError, match=reason):
        list(read_claims(data))
    found: list[Fault] = []
    if "NM1*PR" in old:
        with pytest.raises(ContentError, match="2010BB is missing"):
            list(read_claims(data, on_fault=found.append))
    else:
        assert len(list(read_claims(data, on_fault=found.append))) == 1
    assert any(reason in fault.reason for fault in found)


def test_other_transaction_sets_are_refused() -> None:
    from careledger.standards.x12.remittance_write import write_remittances

    data = write_remittances([remittance()], STAMP, sender=PLAN, receiver=CLINIC)
    with pytest.raises(ContentError, match=r"segment 1 \(ST\).*not a professional"):
        list(read_claims(data))


def test_a_batch_is_read_one_claim_at_a_time() -> None:
    data = write([claim(serial) for serial in range(1, 400)])
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    taken = 0

    def feed() -> Iterator[bytes]:
        nonlocal taken
        for piece in pieces:
            taken += 1
            yield piece

    stream = read_claims(feed())
    assert next(stream).id == "CLM000001"
    assert taken < 10
    assert sum(1 for _ in stream) == 398


def test_a_claim_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(LimitError, match="more segments"):
        list(read_claims(DATA, Limits(loop_segments_max=30)))


@pytest.mark.parametrize("segment", ["SBR*P*18", "NM1*IL*1*A", "REF*G1*1", "NM1*85*2*A", "K3*A", "NTE*ADD*A"])
def test_misplaced_and_repeated_segments_do_not_pile_up(segment: str) -> None:
    start = DATA.index(b"~LX*2")
    flood = DATA[:start] + f"~{segment}".encode() * 5000 + DATA[start:]
    with pytest.raises(LimitError, match="more segments"):
        list(read_claims(flood, Limits(loop_segments_max=2000), on_fault=lambda _: None))


def test_segments_without_a_place_are_not_kept() -> None:
    start = DATA.index(b"~LX*2")
    flood = DATA[:start] + b"~REF*EI*1" * 5000 + DATA[start:]
    found: list[Fault] = []
    (one,) = read_claims(flood, Limits(loop_segments_max=200), on_fault=found.append)
    assert replace(one, position=0) == rich_claim()
    assert [fault.code for fault in found].count("2") == 5000
