"""The tables and their notation: what they compile to, and that a set can be added."""

import pytest

from careledger.standards.x12.dictionary import COMPOSITES, ELEMENTS, SEGMENTS
from careledger.standards.x12.faults import Fault
from careledger.standards.x12.header import Delimiters
from careledger.standards.x12.tables import find_table, is_functional_id_known
from careledger.standards.x12.tables.acknowledgement import (
    claim_acknowledgement,
    implementation_acknowledgement,
)
from careledger.standards.x12.tables.claim_institutional import institutional_claim
from careledger.standards.x12.tables.claim_professional import professional_claim
from careledger.standards.x12.tables.notation import (
    UNLIMITED,
    LoopSpec,
    SegmentSpec,
    TransactionSpec,
    compile_table,
)
from careledger.standards.x12.tables.remittance import remittance_advice
from careledger.standards.x12.tokens import Limits
from careledger.standards.x12.validate import SetChecker
from careledger.standards.x12.walker import Walker

TABLES = [
    professional_claim(),
    institutional_claim(),
    remittance_advice(),
    implementation_acknowledgement(),
    claim_acknowledgement(),
]

INQUIRY = """
BHT R 1 RRRRR 1=0010 2=13                               # a claim status inquiry, in small
> 2000A R *
  HL R 1 RNRR 3:20 4=1
  > 2100A R 1
    NM1 R 1 RRRNNNNRR 1:PR 2=2 8=PI|XV
  > 2000B R *
    HL R 1 RRRR 3:21 4=0|1
    > 2100B R 1
      NM1 R 1 RRRSSNNRR 1:41 2=1|2 8=$ids
    > 2200B S 2
      TRN R 1 RR 1=1
      REF S 2 RR 1:1K|EJ
      AMT S 1 RR 1=T3
      DTP R 1 RRR 1:472 2=D8|RD8
"""


def inquiry() -> TransactionSpec:
    return compile_table(
        INQUIRY, set_id="276", functional_id="HR", versions=("005010X212",), lists={"ids": "46|FI"}
    )


def every(loop: LoopSpec) -> list[SegmentSpec | LoopSpec]:
    """Return every place below a loop."""
    return [
        one
        for child in loop.children
        for one in (child, *(every(child) if isinstance(child, LoopSpec) else []))
    ]


def test_the_dictionary_is_closed() -> None:
    for shape in (*SEGMENTS.values(), *COMPOSITES.values()):
        assert all(part.ref in ELEMENTS or part.ref in COMPOSITES for part in shape.parts), shape.id
        for condition in shape.conditions:
            assert max(condition.places) <= len(shape.parts), shape.id
    assert all(fact.length_min <= fact.length_max for fact in ELEMENTS.values())


def test_runs_and_repetitions_are_written_out() -> None:
    assert [part.ref for part in SEGMENTS["CAS"].parts] == ["1033", *["1034", "782", "380"] * 6]
    assert len(SEGMENTS["HI"].parts) == 12
    assert SEGMENTS["DMG"].parts[4].repeat == 10
    assert SEGMENTS["NM1"].conditions[0] == ("P", (8, 9))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.versions[0])
def test_every_permitted_code_fits_its_element(table: TransactionSpec) -> None:
    for place in every(table.root):
        if isinstance(place, SegmentSpec):
            for rule in place.rules:
                for one in (rule, *rule.components):
                    for code in one.codes or ():
                        assert one.length_min <= len(code) <= one.length_max, (place.loop_id, place.id, code)
                    assert one.codes is None or one.is_used, (place.loop_id, place.id, one.reference)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.versions[0])
def test_every_place_can_be_reached_by_its_code(table: TransactionSpec) -> None:
    for loop in (table.root, *(one for one in every(table.root) if isinstance(one, LoopSpec))):
        reachable = loop.children if loop is table.root else loop.children[1:]
        for child in reachable:
            entry = loop.by_id[child.start.id]
            found = entry.by_code.values() if entry.element else [entry.candidates]
            assert any(child in places for places in found), (loop.id, child.start.id)


@pytest.mark.parametrize(
    ("functional_id", "version", "table"),
    [
        ("HC", "005010X222A1", professional_claim()),
        ("HC", "005010X222A2", professional_claim()),
        ("HC", "005010X223A2", institutional_claim()),
        ("HC", "005010X223A3", institutional_claim()),
        ("HP", "005010X221A1", remittance_advice()),
        ("FA", "005010X231A1", implementation_acknowledgement()),
        ("HN", "005010X214", claim_acknowledgement()),
        ("HN", "005010X212", None),
        ("HC", "004010X098A1", None),
        ("HP", "005010X222A1", None),
    ],
)
def test_tables_are_found_by_group(functional_id: str, version: str, table: TransactionSpec | None) -> None:
    assert find_table(functional_id, version) is table
    assert is_functional_id_known(functional_id)
    assert not is_functional_id_known("BE")


def test_a_table_reads_as_it_is_written() -> None:
    level = inquiry().root.children[1]
    assert isinstance(level, LoopSpec)
    assert (level.id, level.is_required, level.repeat_max) == ("2000A", True, UNLIMITED)
    inner = level.children[2]
    assert isinstance(inner, LoopSpec)
    name = inner.children[1].start
    assert (name.id, name.loop_id, name.keys) == ("NM1", "2100B", ("41",))
    assert name.rules[7].codes == frozenset({"46", "FI"})
    assert [rule.is_required for rule in name.rules[:4]] == [True, True, True, False]
    assert not name.rules[5].is_used
    assert not name.rules[11].is_used


def checked(*lines: str) -> list[Fault]:
    """Return what is wrong with a small inquiry."""
    checker = SetChecker(inquiry(), Delimiters(), Limits())
    for position, one in enumerate(lines, 2):
        checker.take(one.split("*"), position)
    checker.finish(len(lines) + 2)
    return checker.faults


GOOD = (
    "BHT*0010*13*Q1*20260302*0930",
    "HL*1**20*1",
    "NM1*PR*2*ORCHARD PLAN*****PI*ORCH01",
    "HL*2*1*21*0",
    "NM1*41*2*BRIDGE CLINIC*****46*BRIDGE",
    "TRN*1*CLM000001",
    "REF*1K*P1",
    "DTP*472*RD8*20260210-20260214",
)


def test_a_set_added_as_a_table_is_walked_and_checked() -> None:
    assert checked(*GOOD) == []
    late = checked(*GOOD[:6], *reversed(GOOD[6:]))
    assert [(fault.code, fault.segment, fault.position) for fault in late] == [("7", "REF", 9)]
    missing = checked(*GOOD[:-1], "AMT*T4*1")
    assert [(fault.code, fault.segment, fault.element) for fault in missing] == [
        ("7", "AMT", 1),
        ("3", "DTP", 0),
    ]


def test_loops_can_be_handed_over_as_they_close() -> None:
    walker = Walker(
        inquiry(),
        ":",
        lambda fault: pytest.fail(str(fault)),
        emit=frozenset({"2200B"}),
        drop=frozenset({"2000A", "2000B"}),
    )
    for position, one in enumerate([*GOOD, *GOOD[5:]], 2):
        walker.advance(one.split("*"), position)
    walker.finish(20)
    assert [loop.positions[0] for loop, _ in walker.finished] == [7, 10]
    assert [[one.id for one in levels] for _, levels in walker.finished] == [["HEADER", "2000A", "2000B"]] * 2
    assert walker.root.loops == []


def test_loops_are_kept_where_nobody_takes_them() -> None:
    walker = Walker(inquiry(), ":", lambda fault: pytest.fail(str(fault)))
    for position, one in enumerate(GOOD, 2):
        walker.advance(one.split("*"), position)
    walker.finish(10)
    level = walker.root.inner("2000A")
    assert level is not None
    inner = level.inner("2000B")
    assert inner is not None
    assert [loop.id for loop in inner.loops] == ["2100B", "2200B"]
    assert inner.find("HL") == ["HL", "2", "1", "21", "0"]
    assert inner.find("ZZZ") is None
    assert inner.inner("9999") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NM1 R 1 RRX", "unreadable usage"),
        ("NM1 R 1 RR one=PR", "unreadable codes"),
        ("REF S 1 RR 1:A1\nREF S 1 RR 2:B1", "more than one way"),
        ("REF S 1 RR 1:A1\nREF S 1 RR", "more than one way"),
        ("REF S 1 RR 1:A1\nAMT S 1 RR\nREF S 1 RR 1:B1", "more than one position"),
    ],
)
def test_what_is_no_table_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compile_table(text, set_id="276", functional_id="HR", versions=("1",), lists={})
