"""What is wrong is found, located and answered: one row for each code."""

from collections.abc import Callable

import pytest

from careledger.standards.x12.acknowledge import Acknowledgement, SetResult, acknowledge
from careledger.standards.x12.acknowledge_write import write_acknowledgement
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.errors import LimitError, UnwritableError
from careledger.standards.x12.faults import REASONS, Fault, Level
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tokens import Limits
from standards.x12.x12_samples import CHILD, CLINIC, PLAN, STAMP, claim, remittance, rich_claim, stay

CLAIMS = write_claims([claim(), claim(2, patient=CHILD)], STAMP, sender=CLINIC, receiver=PLAN)
RICH = write_claims([rich_claim()], STAMP, sender=CLINIC, receiver=PLAN)
STAYS = write_claims([stay()], STAMP, sender=CLINIC, receiver=PLAN)
REMITTANCE = write_remittances([remittance()], STAMP, sender=PLAN, receiver=CLINIC)


def answer(data: bytes, limits: Limits | None = None) -> Acknowledgement:
    """Return the one acknowledgement of an input."""
    (only,) = acknowledge(data, limits)
    return only


def result(data: bytes) -> SetResult:
    """Return the result of the first transaction set."""
    return answer(data).groups[0].sets[0]


def change(old: str, new: str, data: bytes = CLAIMS, count: int = 1) -> bytes:
    """Replace text of an interchange, which must be there, and correct the segment count of SE."""
    before, after = old.encode(), new.encode()
    assert before in data
    changed = data.replace(before, after, count)
    added = changed.count(b"~") - data.count(b"~")
    segments = [segment.split("*") for segment in data.decode().split("~")]
    stated = next(segment[1] for segment in segments if segment[0] == "SE")
    return changed.replace(f"~SE*{stated}*".encode(), f"~SE*{int(stated) + added}*".encode())


def drop(segment: str, data: bytes = CLAIMS) -> bytes:
    """Leave out the first segment that starts so."""
    text = data.decode()
    start = text.index(f"~{segment}")
    return change(text[start : text.index("~", start + 1)], "", data)


@pytest.mark.parametrize("data", [CLAIMS, RICH, STAYS, REMITTANCE])
def test_what_is_right_is_accepted(data: bytes) -> None:
    accepted = answer(data)
    assert (accepted.code, accepted.note_code) == ("A", "000")
    assert [group.code for group in accepted.groups] == ["A"]
    assert not accepted.is_ta1_due


ISA_ROWS = [
    ("003", lambda text: text.replace("*00501*", "*00401*", 1)),
    ("005", lambda text: text.replace("*ZZ*BRIDGE", "*QQ*BRIDGE", 1)),
    ("006", lambda text: text.replace("BRIDGECLINIC   ", "BRIDGECLINIC  ", 1)),
    ("007", lambda text: text.replace("*ZZ*ORCHARD", "*QQ*ORCHARD", 1)),
    ("008", lambda text: text.replace("ORCHARDPLAN    ", "ORCHARDPLAN   ", 1)),
    ("010", lambda text: text.replace("ISA*00*", "ISA*99*", 1)),
    ("011", lambda text: text.replace("ISA*00*          ", "ISA*00*         ", 1)),
    ("012", lambda text: text.replace("          *00*          *ZZ", "          *77*          *ZZ", 1)),
    ("013", lambda text: text.replace("*00*          *ZZ", "*00*        *ZZ", 1)),
    ("014", lambda text: text.replace("*260302*0930*", "*260230*0930*", 1)),
    ("015", lambda text: text.replace("*260302*0930*", "*260302*0960*", 1)),
    ("018", lambda text: text.replace("*00501*000000041*", "*00501*00000004A*", 1)),
    ("019", lambda text: text.replace("*000000041*0*T", "*000000041*5*T", 1)),
    ("020", lambda text: text.replace("*0*T*:", "*0*Q*:", 1)),
    ("026", lambda text: text.replace("*^*00501", "*:*00501", 1)),
    ("027", lambda text: text.replace("*0*T*:~", "*0*T*A~", 1)),
    ("001", lambda text: text.replace("IEA*1*000000041", "IEA*1*000000042", 1)),
    ("021", lambda text: text.replace("IEA*1*", "IEA*2*", 1)),
    ("022", lambda text: text.replace("~GE*", "~REF*EI*1~GE*", 1)),
    ("022", lambda text: text.replace("~ST*", "~SE*1*0001~ST*", 1)),
    ("022", lambda text: text.replace("~GS*", "~GE*1*1~GS*", 1)),
    ("022", lambda text: text.replace("~GS*", "~ST*837*0001~GS*", 1)),
    ("022", lambda text: text.replace("~ST*", "~TA1*1*1*1*A*000~ST*", 1)),
    ("023", lambda text: text[: text.index("IEA*")]),
    ("023", lambda text: text[: text.index("CLM*")]),
    ("024", lambda text: text.replace("*20260302*0930*41*X*", "*20260302*0930*41*T*", 1)),
    ("024", lambda text: text.replace("*20260302*0930*41*X*", "*20260332*0930*41*X*", 1)),
    ("024", lambda text: text.replace("GS*HC*BRIDGE*", "GS*HC**", 1)),
]


@pytest.mark.parametrize(("code", "spoil"), ISA_ROWS)
def test_a_faulty_interchange_is_rejected_by_ta1(code: str, spoil: Callable[[str], str]) -> None:
    spoiled = spoil(CLAIMS.decode())
    assert spoiled != CLAIMS.decode()
    rejected = answer(spoiled.encode())
    assert rejected.code == "R"
    assert code in [fault.code for fault in rejected.faults]
    assert rejected.is_ta1_due
    assert rejected.answered_groups == ()
    written = write_acknowledgement(rejected, STAMP)
    assert written is not None
    document = parse(written)
    assert [segment[0] for segment in document.interchanges[0].segments] == ["ISA", "TA1", "IEA"]
    assert document.interchanges[0].segments[1][4:] == ["R", rejected.note_code]


def test_a_missing_separator_is_no_fault_where_none_is_used() -> None:
    # Interchanges that kept the U of earlier versions in ISA11 have no repetition separator.
    assert answer(CLAIMS.replace(b"*^*00501", b"*U*00501")).code == "A"


def test_an_interchange_met_before_is_rejected() -> None:
    known: set[tuple[str, ...]] = set()
    first, again = acknowledge(CLAIMS + CLAIMS, known=known)
    assert (first.note_code, again.note_code) == ("000", "025")
    assert [answer.note_code for answer in acknowledge(CLAIMS, known=known)] == ["025"]
    assert [answer.note_code for answer in acknowledge(CLAIMS)] == ["000"]


GROUP_ROWS = [
    ("1", lambda text: text.replace("GS*HC*", "GS*ZZ*", 1)),
    ("2", lambda text: text.replace("*X*005010X222A1", "*X*004010X098A1", 1)),
    ("3", lambda text: text.replace("GE*1*41~", "", 1)),
    ("4", lambda text: text.replace("GE*1*41~", "GE*1*42~", 1)),
    ("5", lambda text: text.replace("GE*1*41~", "GE*2*41~", 1)),
    ("6", lambda text: text.replace("*0930*41*X", "*0930*4A*X", 1)),
    (
        "19",
        lambda text: text.replace("IEA*1", text[text.index("GS*") : text.index("IEA*")] + "IEA*2", 1),
    ),
]


@pytest.mark.parametrize(("code", "spoil"), GROUP_ROWS)
def test_a_faulty_group_is_rejected_by_ak9(code: str, spoil: Callable[[str], str]) -> None:
    rejected = answer(spoil(CLAIMS.decode()).encode())
    assert rejected.code == "A"
    group = rejected.groups[-1]
    assert code in [fault.code for fault in group.faults]
    assert (group.code, group.accepted) == ("R", 0)
    written = write_acknowledgement(rejected, STAMP)
    assert written is not None
    last = [segment for segment in parse(written).interchanges[0].segments if segment[0] == "AK9"][-1]
    assert last[1] == "R"
    assert code in last[5:]


SET_ROWS = [
    ("1", lambda text: text.replace("ST*837*", "ST*835*", 1)),
    ("2", lambda text: text[: text.index("~SE*") + 1] + text[text.index("~GE*") + 1 :]),
    ("3", lambda text: text.replace("SE*51*0001", "SE*51*0002", 1)),
    ("4", lambda text: text.replace("SE*51*0001", "SE*50*0001", 1)),
    ("6", lambda text: text.replace("ST*837*", "ST*8X7*", 1)),
    ("7", lambda text: text.replace("ST*837*0001*", "ST*837*1*", 1).replace("SE*51*0001", "SE*51*1", 1)),
    (
        "23",
        lambda text: text.replace("GE*1*41", text[text.index("ST*") : text.index("~GE*") + 1] + "GE*2*41", 1),
    ),
    ("I6", lambda text: text.replace("*0001*005010X222A1", "*0001*005010X223A2", 1)),
]


@pytest.mark.parametrize(("code", "spoil"), SET_ROWS)
def test_a_faulty_set_is_rejected_by_ik5(code: str, spoil: Callable[[str], str]) -> None:
    rejected = answer(spoil(CLAIMS.decode()).encode())
    last = rejected.groups[0].sets[-1]
    assert not last.is_accepted
    assert code in [fault.code for fault in last.faults if fault.level is Level.SET]
    written = write_acknowledgement(rejected, STAMP)
    assert written is not None
    ik5 = [segment for segment in parse(written).interchanges[0].segments if segment[0] == "IK5"][-1]
    assert ik5[1] == "R"
    assert code in ik5[2:]


STREET, TOWN = "~N3*4 Quay Street*Floor 2", "~N4*Millport*OH*432150001"
PAYERS = "~NM1*PR*2*A*****PI*B" * 2

SEGMENT_ROWS = [
    ("1", "unknown segment", change("~HI*", "~ZQ9*1~HI*"), 21, "???", "2300"),
    ("1", "no identifier", change("~PER*IC", "~*IC"), 4, "???", "1000A"),
    ("1", "small letters", change("~N4*Mill", "~n4*Mill"), 10, "???", "2010AA"),
    ("2", "a line outside every line", change("~LX*1", ""), 24, "SV1", "2310B"),
    ("2", "a place for another loop's code", change("~HI*", "~NM1*QC*1*X~HI*"), 21, "NM1", "2300"),
    ("3", "no street", drop("N3*"), 9, "N3", "2010AA"),
    ("3", "no billing party", drop("NM1*85"), 11, "NM1", "2010AA"),
    ("3", "no diagnosis", drop("HI*", RICH), 35, "HI", "2300"),
    ("4", "two payers", change("~NM1*PR*2*Orchard Plan*****PI*ORCH01", PAYERS), 19, "NM1", "2010BB"),
    ("5", "two tax numbers", change("~REF*EI*990000001", "~REF*EI*990000001~REF*EI*990000002"), 12, "REF", "2010AA"),
    ("5", "two headers", change("~NM1*41", "~BHT*0019*00*B78*20260301*1815*CH~NM1*41"), 3, "BHT", "HEADER"),
    ("6", "a remittance's segment", change("~HI*", "~CLP*1~HI*"), 21, "CLP", "2300"),
    ("7", "town before street", change(STREET + TOWN, TOWN + STREET), 10, "N3", "2010AA"),
    ("7", "date after references", change("~HI*", "~DTP*439*D8*20260101~HI*"), 21, "DTP", "2300"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "what", "data", "position", "segment", "loop"), SEGMENT_ROWS)
def test_a_faulty_segment_is_named_by_ik3(
    code: str, what: str, data: bytes, position: int, segment: str, loop: str
) -> None:
    found = [fault for fault in result(data).faults if fault.level is Level.SEGMENT]
    places = [(fault.code, fault.position, fault.segment, fault.loop) for fault in found]
    assert (code, position, segment, loop) in places
    written = write_acknowledgement(answer(data), STAMP)
    assert written is not None
    named = [one[1:] for one in parse(written).interchanges[0].segments if one[0] == "IK3"]
    assert [segment, str(position), loop[:4] if loop[:1].isdigit() else "", code] in named


ELEMENT_ROWS = [
    ("1", "no entity type", change("NM1*40*2", "NM1*40*"), "NM1", "1000B", 2, 0),
    ("1", "no level", change("HL*1**20*1", "HL*1"), "HL", "2000A", 3, 0),
    ("1", "no parent", change("HL*2*1*22", "HL*2**22"), "HL", "2000B", 2, 0),
    ("1", "no diagnosis code", change("ABK:R05", "ABK"), "HI", "2300", 1, 2),
    ("2", "number without kind", change("*XX*1990000014", "**1990000014"), "NM1", "2010AA", 8, 0),
    ("2", "reason without amount", change("**2*15~", "**2~", RICH), "CAS", "2320", 6, 0),
    ("2", "value without its form", change("HI*BH:A1:D8:20260210", "HI*BH:A1::20260210", STAYS), "HI", "2300", 1, 3),
    ("3", "too many elements", change("~LX*1", "~LX*1*2"), "LX", "2400", 2, 0),
    ("4", "short town", change("N4*Millport", "N4*M"), "N4", "2010AA", 1, 0),
    ("5", "long number", change("SBR*P*18*GRP7", "SBR*P*18*" + "G" * 51), "SBR", "2000B", 3, 0),
    ("5", "long amount", change("CLM*CLM000001*185.5", "CLM*CLM000001*" + "1" * 19), "CLM", "2300", 2, 0),
    ("6", "letters in an amount", change("*185.5*", "*185,5*"), "CLM", "2300", 2, 0),
    ("6", "a control character", change("Front desk", "Front\x07desk"), "PER", "1000A", 2, 0),
    ("6", "letters in a counter", change("~LX*1", "~LX*A"), "LX", "2400", 1, 0),
    ("7", "kind of diagnosis", change("ABK:R05", "QQQ:R05"), "HI", "2300", 1, 1),
    ("7", "kind of party", change("NM1*85", "NM1*QQ"), "NM1", "2010AA", 1, 0),
    ("7", "kind of date", change("DTP*472", "DTP*999"), "DTP", "2400", 1, 0),
    ("7", "assignment", change("*Y*A*Y*Y", "*Y*Q*Y*Y"), "CLM", "2300", 7, 0),
    ("7", "parent that is none", change("HL*3*2*23", "HL*3*1*23"), "HL", "2000C", 2, 0),
    ("8", "birth", change("DMG*D8*19791130", "DMG*D8*19790231"), "DMG", "2010BA", 2, 0),
    ("8", "leap day", change("DMG*D8*20160229", "DMG*D8*20150229"), "DMG", "2010CA", 2, 0),
    ("8", "header's date", change("*B77*20260301*", "*B77*20261301*"), "BHT", "HEADER", 4, 0),
    ("8", "period upside down", change("RD8*20260220-20260221", "RD8*20260222-20260221", RICH), "DTP", "2400", 3, 0),
    ("8", "date of a fact", change("BH:A1:D8:20260210", "BH:A1:D8:20260299", STAYS), "HI", "2300", 1, 4),
    ("9", "header's time", change("*1815*CH", "*1875*CH"), "BHT", "HEADER", 5, 0),
    ("10", "state and subdivision", change(TOWN, TOWN + "*US***ABC"), "N4", "2010AA", 7, 0),
    ("12", "repeated", change("Front desk", "Front^desk"), "PER", "1000A", 2, 0),
    ("13", "too many components", change("11:B:1*", "11:B:1:1*"), "CLM", "2300", 5, 0),
    ("13", "a composite where none is", change("Front desk", "Front:desk"), "PER", "1000A", 2, 0),
    ("I10", "not used", change("*ZZ*Y*AV", "*ZZ*Y*AV***NU", RICH), "CRC", "2300", 6, 0),
    ("I10", "not used inside", change("ABK:R05*", "ABK:R05::::3*"), "HI", "2300", 1, 6),
    ("I12", "level out of sequence", change("HL*3*2*23", "HL*4*2*23"), "HL", "2000C", 1, 0),
    ("I12", "line out of sequence", change("~LX*2", "~LX*3"), "LX", "2400", 1, 0),
    ("I12", "a fraction of a cent", change("*185.5*", "*185.505*"), "CLM", "2300", 2, 0),
]  # fmt: skip


@pytest.mark.parametrize(("code", "what", "data", "segment", "loop", "element", "component"), ELEMENT_ROWS)
def test_a_faulty_element_is_named_by_ik4(
    code: str, what: str, data: bytes, segment: str, loop: str, element: int, component: int
) -> None:
    found = [fault for fault in result(data).faults if fault.level is Level.ELEMENT]
    places = [(fault.code, fault.segment, fault.loop, fault.element, fault.component) for fault in found]
    assert (code, segment, loop, element, component) in places or (
        segment in {"HL", "LX"} and (code, segment, element) in [(one[0], one[1], one[3]) for one in places]
    ), places
    written = write_acknowledgement(answer(data), STAMP)
    assert written is not None
    named = [one for one in parse(written).interchanges[0].segments if one[0] == "IK4"]
    assert f"{element}:{component}" if component else str(element) in [one[1] for one in named]
    assert code in [one[3] for one in named]
    assert all(len(one) == 4 for one in named), "a value is never copied back"


def test_every_code_has_a_row() -> None:
    reached = {
        Level.INTERCHANGE: {row[0] for row in ISA_ROWS} | {"025"},
        Level.GROUP: {row[0] for row in GROUP_ROWS},
        Level.SET: {row[0] for row in SET_ROWS},
        Level.SEGMENT: {row[0] for row in SEGMENT_ROWS},
        Level.ELEMENT: {row[0] for row in ELEMENT_ROWS},
    }
    answered_only = {Level.SET: {"5", "I5"}, Level.SEGMENT: {"8"}, Level.INTERCHANGE: {"004"}}
    for level, reasons in REASONS.items():
        assert set(reasons) - answered_only.get(level, set()) == reached[level], level


def test_one_slip_is_one_fault() -> None:
    for data in (
        change("NM1*85", "NM1*QQ"),
        change("~HI*", "~ZQ9*1~HI*"),
        change("~HI*", "~NM1*QC*1*X~HI*"),
        change("~REF*EI*990000001", "~REF*EI*990000001~REF*EI*990000002"),
        drop("N3*"),
    ):
        assert len(result(data).faults) == 1, result(data).faults


def test_a_partly_accepted_group_says_so() -> None:
    text = CLAIMS.decode()
    bad = (
        text[text.index("ST*") : text.index("~GE*") + 1].replace("*0001", "*0002").replace("ABK:R05", "ABK:")
    )
    partly = answer(text.replace("GE*1*41", bad + "GE*2*41", 1).encode())
    group = partly.groups[0]
    assert (group.code, group.accepted, len(group.sets)) == ("P", 1, 2)
    written = write_acknowledgement(partly, STAMP)
    assert written is not None
    segments = parse(written).interchanges[0].segments
    assert [segment[1:] for segment in segments if segment[0] == "AK9"] == [["P", "2", "2", "1"]]
    assert [segment[1:] for segment in segments if segment[0] == "IK5"] == [["A"], ["R", "5"]]


def test_each_group_gets_its_own_999_in_one_interchange() -> None:
    text = CLAIMS.decode()
    group = (
        text[text.index("GS*") : text.index("IEA*")].replace("*41*X", "*42*X").replace("GE*1*41", "GE*1*42")
    )
    both = answer(text.replace("IEA*1", group + "IEA*2", 1).encode())
    written = write_acknowledgement(both, STAMP)
    assert written is not None
    sets = list(parse(written).transaction_sets())
    assert [one.segments[0][1:] for one in sets] == [
        ["HC", "41", "005010X222A1"],
        ["HC", "42", "005010X222A1"],
    ]
    assert answer(written).groups[0].code == "A"


def test_parties_change_sides() -> None:
    written = write_acknowledgement(answer(CLAIMS), STAMP)
    assert written is not None
    header = answer(written).header
    assert header.sender == ("ZZ", "ORCHARDPLAN")
    assert header.receiver == ("ZZ", "BRIDGECLINIC")
    group = answer(written).groups[0].header
    assert (group.sender, group.receiver) == ("ORCHARD", "BRIDGE")


def test_an_acknowledgement_is_not_acknowledged() -> None:
    written = write_acknowledgement(answer(CLAIMS), STAMP)
    assert written is not None
    assert write_acknowledgement(answer(written), STAMP) is None


def test_ta1_is_sent_when_asked_for() -> None:
    asked = answer(CLAIMS.replace(b"*000000041*0*T", b"*000000041*1*T"))
    written = write_acknowledgement(asked, STAMP)
    assert written is not None
    segments = parse(written).interchanges[0].segments
    assert segments[1] == ["TA1", "000000041", "260302", "0930", "A", "000"]
    assert [segment[0] for segment in segments[2:4]] == ["GS", "ST"]
    assert answer(written).groups[0].code == "A"


def test_a_header_beyond_repair_is_answered_with_zeros_or_not_at_all() -> None:
    broken = answer(CLAIMS.replace(b"*00501*000000041*", b"*00501*4\xe91*", 1))
    written = write_acknowledgement(broken, STAMP)
    assert written is not None
    assert parse(written).interchanges[0].segments[1][1] == "000000000"
    with pytest.raises(UnwritableError):
        write_acknowledgement(answer(CLAIMS.replace(b"BRIDGECLINIC   ", b"BRIDGECL\xcfNIC   ", 1)), STAMP)


def test_groups_between_different_applications_are_not_answered_together() -> None:
    text = CLAIMS.decode()
    group = (
        text[text.index("GS*") : text.index("IEA*")].replace("*41*X", "*42*X").replace("GE*1*41", "GE*1*42")
    )
    both = answer(text.replace("IEA*1", group.replace("*BRIDGE*", "*OTHER*") + "IEA*2", 1).encode())
    with pytest.raises(UnwritableError, match="different applications"):
        write_acknowledgement(both, STAMP)


def test_faults_beyond_the_limit_are_counted() -> None:
    spoiled = CLAIMS.replace(b"REF*6R", b"ZZZ*6R").replace(b"DTP*472", b"YYY*472")
    limited = answer(spoiled, limits=Limits(faults_max=3)).groups[0].sets[0]
    everything = answer(spoiled).groups[0].sets[0]
    assert len(limited.faults) == 3
    assert limited.uncounted == len(everything.faults) - 3


def test_too_many_sets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.standards.x12.acknowledge._SETS_MAX", 1)
    text = CLAIMS.decode()
    again = text[text.index("ST*") : text.index("~GE*") + 1].replace("*0001", "*0002")
    with pytest.raises(LimitError, match="more transaction sets"):
        answer(text.replace("GE*1*41", again + "GE*2*41", 1).encode())


def test_faults_say_where_in_words() -> None:
    (fault,) = result(change("ABK:R05", "ABK:")).faults
    assert (
        str(fault)
        == "loop 2300, segment 21 (HI), element 1.2, element fault 1: a required element is missing"
    )
    assert (
        str(Fault(Level.INTERCHANGE, "001"))
        == "interchange fault 001: the control numbers of ISA and IEA differ"
    )
