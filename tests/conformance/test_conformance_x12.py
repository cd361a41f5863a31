"""Real X12 files: exact round trips, the facts known about them, and the answer each damaged one deserves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from careledger.standards.x12.acknowledge import Acknowledgement, SetResult, acknowledge
from careledger.standards.x12.acknowledge_write import write_acknowledgement
from careledger.standards.x12.balance import check_charges, check_coverages
from careledger.standards.x12.claim_model import Claim
from careledger.standards.x12.claim_read import read_claims
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.errors import ContentError, MalformedError
from careledger.standards.x12.faults import Fault, Level
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.remittance_model import LINE, Remittance
from careledger.standards.x12.remittance_read import read_remittances
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tokens import SegmentReader
from careledger.standards.x12.writing import Endpoint, Stamp

STAMP = Stamp(date="2026-01-02", time="1200", control_number=7)
HERE, THERE = Endpoint(identifier="HERE"), Endpoint(identifier="THERE")

HEADERLESS = "x12_no_isa_line.txt"
ADVERTISED = b":"
"""The component separator every file of the first collection advertises; some write `>` all the same."""


@pytest.fixture(scope="module")
def x12(data_dir: Path) -> Path:
    return data_dir / "x12"


@pytest.fixture(scope="module")
def files(x12: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(x12.rglob("*")) if path.is_file()}


def mended(data: bytes) -> bytes:
    """Return a file with the component separator it advertises, and with a date that exists."""
    return data.replace(b">", ADVERTISED).replace(b"20002316", b"20020316")


def answers(data: bytes) -> list[Acknowledgement]:
    return list(acknowledge(data))


def results(data: bytes) -> list[SetResult]:
    return [result for answer in answers(data) for group in answer.groups for result in group.sets]


def codes(result: SetResult, level: Level) -> list[tuple[str, int, str]]:
    return [(fault.code, fault.position, fault.segment) for fault in result.faults if fault.level is level]


# -- Bytes -----------------------------------------------------------------------------------------------


def test_every_file_survives_byte_for_byte(files: dict[str, bytes]) -> None:
    assert len(files) == 78
    for name, data in files.items():
        if name == HEADERLESS:
            with pytest.raises(MalformedError):
                parse(data)
            continue
        assert parse(data).write() == data, name


def test_chunks_do_not_matter(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        if name == HEADERLESS:
            continue
        pieces = [data[at : at + 37] for at in range(0, len(data), 37)]
        whole = [segment for batch in SegmentReader(data).batches() for segment in batch.segments]
        assert [
            segment for batch in SegmentReader(pieces).batches() for segment in batch.segments
        ] == whole, name


# -- Remittances -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def remittances(x12: Path) -> dict[str, Remittance]:
    found = {}
    for path in sorted((x12 / "835_005010X221A1").iterdir()):
        stream = read_remittances(mended(path.read_bytes()), on_fault=str, is_balance_required=False)
        (found[path.name],) = stream
    return found


def test_all_five_balance_but_for_the_one_malformed_line(remittances: dict[str, Remittance]) -> None:
    imbalances = {
        name: [(one.level, one.claim, one.line) for one in each.imbalances]
        for name, each in remittances.items()
    }
    assert imbalances == {
        "cob-contractural-adjustment.835": [],
        "managed-care.835": [],
        "medicare-part-a.835": [],
        "secondary-payment.835": [],
        "tertiary-payment.835": [(LINE, 1, 1)],
    }
    (line,) = remittances["tertiary-payment.835"].imbalances
    # SVC*HC*24599.00*1766.50: what should be the paid amount stands where the charge belongs.
    assert (line.expected_minor, line.stated_minor) == (2459900 - 157900, 176650)


def test_the_institutional_payment_adds_up_with_its_provider_adjustment(
    remittances: dict[str, Remittance],
) -> None:
    part_a = remittances["medicare-part-a.835"]
    assert [claim.paid_minor for claim in part_a.claims] == [13801840, 1198033]
    (adjustment,) = part_a.adjustments
    assert (adjustment.reason, adjustment.reference, adjustment.amount_minor) == ("CV", "CP", -127)
    assert part_a.payment.amount_minor == 15000000 == 13801840 + 1198033 + 127
    assert part_a.payment.trace_number == "12345"


def test_remittances_are_refused_for_what_is_really_wrong_with_them(x12: Path) -> None:
    # None of them names the payer's technical contact, which the implementation requires.
    for path in sorted((x12 / "835_005010X221A1").iterdir()):
        (result,) = results(mended(path.read_bytes()))
        assert ("3", "PER") in [(code, segment) for code, _, segment in codes(result, Level.SEGMENT)], (
            path.name
        )
    (dated,) = results((x12 / "835_005010X221A1/managed-care.835").read_bytes())
    assert ("8", 2, "BPR") in codes(dated, Level.ELEMENT)
    with pytest.raises(ContentError, match=r"segment 2 \(BPR\), element 16: the date is not valid"):
        list(read_remittances((x12 / "835_005010X221A1/managed-care.835").read_bytes(), on_fault=str))


def test_balanced_remittances_are_written_and_read_back(remittances: dict[str, Remittance]) -> None:
    for name, each in remittances.items():
        if not each.is_balanced:
            continue
        data = write_remittances([each], STAMP, sender=THERE, receiver=HERE, is_checked=False)
        (again,) = read_remittances(data, on_fault=str)
        assert placeless(again) == placeless(each), name


def placeless(one: Remittance) -> Remittance:
    return replace(
        one,
        groups=tuple(
            replace(group, claims=tuple(replace(claim, position=0) for claim in group.claims))
            for group in one.groups
        ),
    )


# -- Claims ----------------------------------------------------------------------------------------------


def claims_of(data: bytes) -> list[Claim]:
    return [
        replace(claim, position=0, submission=replace(claim.submission, version=""))
        for claim in read_claims(data, on_fault=str)
    ]


UNREADABLE = {
    "demo.cob.example3.A.837": "loop 2330B is missing",
    "demo.example9.837": "diagnosis pointer",
}


def claim_files(x12: Path) -> Iterator[Path]:
    yield from sorted((x12 / "837_005010X222A2").iterdir())
    yield from sorted((x12 / "837_005010X223A3").iterdir())


def test_claims_are_read_written_and_read_back(x12: Path) -> None:
    read = 0
    for path in claim_files(x12):
        data = mended(path.read_bytes())
        if path.name in UNREADABLE:
            with pytest.raises(ContentError, match=UNREADABLE[path.name]):
                claims_of(data)
            continue
        claims = claims_of(data)
        written = write_claims(claims, STAMP, sender=HERE, receiver=THERE, is_checked=False)
        assert claims_of(written) == claims, path.name
        assert all(check_charges(claim) == 0 for claim in claims), path.name
        read += len(claims)
    assert read == 21


@pytest.mark.parametrize("part", ["B", "C"])
def test_the_worked_example_of_coordination_adds_up(x12: Path, part: str) -> None:
    (claim,) = claims_of((x12 / f"837_005010X222A2/demo.cob.example3.{part}.837").read_bytes())
    (coverage,) = claim.coverages
    lines = {
        (one.group, one.reason): one.amount_minor
        for line in claim.lines
        for decision in line.decisions
        for one in decision.adjustments
    }
    whole = {(one.group, one.reason): one.amount_minor for one in coverage.adjustments}
    assert lines == {("CO", "42"): 300}
    assert whole == {("PR", "1"): 2189, ("PR", "2"): 1500}
    assert claim.charge_minor == 7904
    assert coverage.paid_minor == 7904 - 300 - 2189 - 1500 == 3915
    assert list(check_coverages(claim)) == []


def test_a_drug_is_read(x12: Path) -> None:
    (claim,) = claims_of((x12 / "837_005010X222A2/demo.drug.example10.1.837").read_bytes())
    drug = claim.lines[1].drug
    assert drug is not None
    assert (drug.qualifier, drug.code, drug.quantity_milli, drug.unit) == ("N4", "00026063512", 10000, "ML")


ACCEPTED = {
    *(
        "demo.autoaccident.837",
        "demo.cob.example3.B.837",
        "demo.cob.example3.C.837",
        "demo.drug.example10.1.837",
    ),
    *("demo.drug.example10.2.837", "demo.drug.example10.3.837", "demo.example1.837", "demo.example2.837"),
    *("demo.example7.837", "demo.example8.837"),
}
REASONS = {
    "demo.ambulance.example5.837": {("1", 21, "CLM")},
    "demo.cob.example3.A.837": {("3", 42, "NM1")},
    "demo.cob.example4.837": {("7", 29, "AMT")},
    "institutional-claim.837i": {("I10", 20, "CLM"), ("7", 21, "DTP")},
    "two-claims-single-provider.837i": {("I10", 19, "CLM"), ("I10", 39, "CLM")},
}
"""What is wrong with files that are not accepted, where the reason is not a `>` for the advertised `:`."""


def test_each_claim_file_is_accepted_or_refused_for_a_stated_reason(x12: Path) -> None:
    for path in claim_files(x12):
        data = path.read_bytes()
        (result,) = results(data)
        if path.name in ACCEPTED:
            assert result.is_accepted, (path.name, result.faults)
            continue
        assert not result.is_accepted, path.name
        if path.name in REASONS:
            found = {(fault.code, fault.position, fault.segment) for fault in result.faults}
            assert found == REASONS[path.name], path.name
        else:
            assert b">" in data, path.name
            assert ("5", "SV2" if path.suffix == ".837i" else "SV1") in [
                (code, segment) for code, _, segment in codes(result, Level.ELEMENT)
            ], path.name


# -- The answer each name deserves ------------------------------------------------------------------------

MISCOUNTED = "4"
"""All claim files of the second collection state a segment count that is not theirs."""

SEGMENT_FAULTS: dict[str, list[tuple[str, int, str]]] = {
    "x12_valid.txt": [],
    "x12_valid_different_separators.txt": [],
    "x12_no_errors.txt": [],
    "x12_writer_test.txt": [],
    "x12_ambiguous_loop.txt": [],
    "x12_bad_valid_code.txt": [],
    "x12_missing_elements.txt": [],
    "x12_bad_segment_identifier.txt": [
        *(("1", 4, "???"), ("3", 5, "PER"), ("1", 9, "???"), ("3", 10, "N4")),
        *(("1", 18, "???"), ("3", 20, "NM1")),
    ],
    "x12_loop_errors1_exceeds_max_1_parent.txt": [("4", 13, "NM1")],
    "x12_loop_errors2_exceeds_max_repeats_multiple_parents.txt": [("4", 32, "NM1")],
    "x12_loop_errors3_missing_loops.txt": [("3", 10, "NM1")],
    "x12_missing_required_loop_in_one_repeat.txt": [("3", 19, "NM1")],
    "x12_missing_required_loops_mult_repeats.txt": [
        *(("2", 31, "SV1"), ("2", 32, "DTP"), ("3", 33, "LX")),
        *(("2", 57, "SV1"), ("2", 58, "DTP"), ("3", 59, "LX")),
    ],
    "x12_segment_errors.txt": [("5", 10, "REF"), ("3", 8, "N3"), ("3", 20, "HI")],
    "x12_segments_out_of_order.txt": [("7", 10, "N4"), ("7", 15, "N3")],
    "x223-test.txt": [("3", 44, "REF")],
}
"""Faults of order, repetition and presence: exactly what the name says."""

ELEMENT_FAULTS = {
    "x12_bad_valid_code.txt": ("7", 7, "NM1", 1),
    "x12_missing_elements.txt": ("1", 5, "NM1", 2),
    "x223-test.txt": ("7", 23, "CLM", 5),
}
"""The fault of an element that the name, or a reading of the file, promises."""


def test_structure_is_faulted_exactly_as_the_name_says(files: dict[str, bytes]) -> None:
    for name, expected in SEGMENT_FAULTS.items():
        for result in results(files[name]):
            assert sorted(codes(result, Level.SEGMENT)) == sorted(expected), name
            assert [code for code, _, _ in codes(result, Level.SET)] == [MISCOUNTED], name


def test_elements_are_faulted_where_the_name_says(files: dict[str, bytes]) -> None:
    for name, expected in ELEMENT_FAULTS.items():
        (result,) = results(files[name])
        assert expected in [(one.code, one.position, one.segment, one.element) for one in result.faults], name
    (both,) = results(files["x12_missing_elements.txt"])
    missing = [one for one in both.faults if one.code == "1" and one.segment in {"NM1", "CLM"}]
    places = [(one.segment, one.position, one.element) for one in missing]
    assert places == [("NM1", 5, 2), ("CLM", 29, 5)]


def test_what_only_miscounts_is_told_only_that(files: dict[str, bytes]) -> None:
    for name in ("x12_ambiguous_loop.txt", "x12_writer_test.txt"):
        (result,) = results(files[name])
        assert [(fault.level, fault.code) for fault in result.faults] == [(Level.SET, MISCOUNTED)], name


def test_separators_make_no_difference(files: dict[str, bytes]) -> None:
    (plain,) = results(files["x12_valid.txt"])
    (other,) = results(files["x12_valid_different_separators.txt"])
    assert plain.faults == other.faults


def test_a_damaged_header_is_answered_by_ta1(files: dict[str, bytes]) -> None:
    (answer,) = answers(files["x12_bad_first_line.txt"])
    assert (answer.code, answer.note_code) == ("R", "011")
    written = write_acknowledgement(answer, STAMP)
    assert written is not None
    (interchange,) = parse(written).interchanges
    assert interchange.segments[1] == ["TA1", "000000905", "030101", "1253", "R", "011"]


def test_without_a_header_there_is_nobody_to_answer(files: dict[str, bytes]) -> None:
    with pytest.raises(MalformedError, match="byte 0: the input does not start with an interchange header"):
        answers(files[HEADERLESS])


def test_several_interchanges_groups_and_sets_are_answered_one_by_one(files: dict[str, bytes]) -> None:
    shapes = {
        name: [[len(group.sets) for group in answer.groups] for answer in answers(files[name])]
        for name in ("x12_multiple_isa.txt", "x12_multiple_gs.txt", "x12_multiple_st.txt", "x12_complex.txt")
    }
    assert shapes == {
        "x12_multiple_isa.txt": [[1], [1]],
        "x12_multiple_gs.txt": [[1, 1, 1]],
        "x12_multiple_st.txt": [[2]],
        "x12_complex.txt": [[2]],
    }
    # The later ones repeat the control number of the first, and the trailers count one of each.
    (groups,) = answers(files["x12_multiple_gs.txt"])
    assert groups.note_code == "021"
    assert [[fault.code for fault in group.faults] for group in groups.groups] == [[], ["19"], ["19"]]
    (sets,) = answers(files["x12_multiple_st.txt"])
    assert [fault.code for fault in sets.groups[0].faults] == ["5"]
    assert ["23" in [fault.code for fault in result.faults] for result in sets.groups[0].sets] == [
        False,
        True,
    ]


def test_a_batch_of_312_interchanges_is_answered_312_times(files: dict[str, bytes]) -> None:
    data = files["x12_multiple_transactions.txt"]
    assert len(answers(data)) == 312
    known: set[tuple[str, ...]] = set()
    notes = [answer.note_code for answer in acknowledge(data, known=known)]
    assert notes[0] == "000"
    assert set(notes[1:]) == {"025"}, "they all carry one control number"
    assert sum(1 for _ in read_claims(data, on_fault=str)) == 624


def test_acknowledgements_are_read_and_not_answered(files: dict[str, bytes]) -> None:
    (rejected,) = answers(files["x12_999_rejected.txt"])
    assert [group.code for group in rejected.groups] == ["A"]
    assert write_acknowledgement(rejected, STAMP) is None
    # The other one carries a time that does not exist and a trailer of another interchange.
    (accepted,) = answers(files["x12_999_accepted.txt"])
    assert [fault.code for fault in accepted.faults] == ["024", "001"]
    assert accepted.groups[0].sets[0].is_accepted


def test_claim_acknowledgements_follow_their_table(files: dict[str, bytes]) -> None:
    for name in ("x12_277CA_accepted.txt", "x12_277CA_rejected.txt"):
        (answer,) = answers(files[name])
        assert (answer.code, [group.code for group in answer.groups]) == ("A", ["A"]), name
    (status,) = answers(files["x12_277_x212.txt"])
    assert status.note_code == "001"
    assert [fault.code for fault in status.groups[0].faults] == ["2"]


def test_every_answer_is_itself_acceptable_and_says_nothing_about_anybody(files: dict[str, bytes]) -> None:
    personal = (b"DOE", b"JANE", b"SMITH", b"JONES", b"CALVERTON", b"123456*", b"A37YH")
    answered = 0
    for name, data in files.items():
        if name == HEADERLESS:
            continue
        for answer in answers(data)[:3]:
            written = write_acknowledgement(answer, STAMP)
            if written is None:
                continue
            answered += 1
            (checked,) = answers(written)
            assert checked.code == "A", name
            for group in checked.groups:
                assert all(result.is_accepted for result in group.sets), (name, group.sets)
            assert not any(value in written for value in personal), name
    # 77 readable files; one acknowledgement is not answered, two files hold several interchanges.
    assert answered == 77 - 1 + 1 + 2


def test_sets_without_a_table_are_refused_by_group(x12: Path) -> None:
    expected = {
        "270": ("1", "HS"),
        "271": ("1", "HB"),
        "276": ("1", "HR"),
        "277": ("2", "HN"),
        "834": ("1", "BE"),
    }
    for folder in sorted(x12.iterdir()):
        kind = folder.name[:3]
        if kind not in expected:
            continue
        for path in sorted(folder.iterdir()):
            (answer,) = answers(path.read_bytes())
            (group,) = answer.groups
            faults: tuple[Fault, ...] = group.faults
            assert (faults[0].code, group.header.functional_id) == expected[kind], path.name
            assert group.code == "R"
