"""The fast pattern never accepts what the element checks would fault."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.x12.checks import check_segment
from careledger.standards.x12.claim_status import answer_claim, write_claim_answers
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.faults import Fault
from careledger.standards.x12.header import Delimiters
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.patterns import segment_pattern
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tables import find_table
from careledger.standards.x12.tables.notation import SegmentSpec
from careledger.standards.x12.walker import Walker
from standards.x12.test_x12_claim_status import RECEIPT
from standards.x12.x12_samples import CLINIC, PLAN, STAMP, claim, remittance, rich_claim, stay


def placed(data: bytes) -> list[tuple[SegmentSpec, list[str]]]:
    """Return every segment of an interchange with its place."""
    found = []
    for one in parse(data).transaction_sets():
        table = find_table(one.header.group.functional_id, one.header.version)
        assert table is not None
        walker = Walker(table, ":", lambda fault: pytest.fail(str(fault)))
        for position, elements in enumerate(one.segments, 2):
            spec = walker.advance(elements, position)
            assert spec is not None
            found.append((spec, elements))
    return found


SEGMENTS = [
    *placed(write_claims([claim(), rich_claim()], STAMP, sender=CLINIC, receiver=PLAN)),
    *placed(write_claims([stay()], STAMP, sender=CLINIC, receiver=PLAN)),
    *placed(write_remittances([remittance()], STAMP, sender=PLAN, receiver=CLINIC)),
    *placed(write_claim_answers(RECEIPT, [answer_claim(claim(), "P1")], STAMP, sender=PLAN, receiver=CLINIC)),
]
DELIMITERS = Delimiters()


def faults_of(spec: SegmentSpec, elements: list[str]) -> list[Fault]:
    found: list[Fault] = []
    check_segment(spec, elements, 2, DELIMITERS, found.append)
    return found


def test_most_good_segments_take_the_fast_way() -> None:
    fast = [segment_pattern(spec, DELIMITERS).accepts(elements, "*") for spec, elements in SEGMENTS]
    assert sum(fast) > 0.9 * len(fast)
    assert all(faults_of(spec, elements) == [] for spec, elements in SEGMENTS)


VALUES = st.one_of(
    st.sampled_from(
        ["", "A", "1", "Y", "-1", ".5", "1.005", "20260229", "20260228", "0930", "D8", "RD8", "XX"]
    ),
    st.sampled_from(
        ["HC:X0001", "HC", ":", "A:B:C", "HC:X1:1:2:3:4:5:6:7:8", "ABK:R05", "BH:A1:D8:20260231", "A^B"]
    ),
    st.text(st.characters(min_codepoint=0, max_codepoint=255, exclude_characters="*~"), max_size=60),
    st.from_regex(r"-?[0-9]{0,20}(\.[0-9]{0,4})?", fullmatch=True),
    st.from_regex(r"(19|20)[0-9]{6}", fullmatch=True),
)


@given(st.sampled_from(SEGMENTS), st.data())
@settings(max_examples=500)
def test_what_the_pattern_accepts_has_no_fault(
    one: tuple[SegmentSpec, list[str]], data: st.DataObject
) -> None:
    spec, elements = one
    changed = list(elements)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(1, len(changed)))
        value = data.draw(VALUES)
        if place == len(changed):
            changed.append(value)
        elif data.draw(st.booleans()):
            changed[place] = value
        else:
            del changed[place]
    if segment_pattern(spec, DELIMITERS).accepts(changed, "*"):
        assert faults_of(spec, changed) == []


def test_patterns_take_linear_time() -> None:
    for spec, elements in SEGMENTS:
        pattern = segment_pattern(spec, DELIMITERS)
        for filler in ("A", " ", "1", ":", "A:", "-", "1."):
            long = [elements[0], *(filler * 2000 for _ in range(12))]
            assert not pattern.accepts(long, "*")
