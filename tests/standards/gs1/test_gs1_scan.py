import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.gs1 import keyboard, scan
from careledger.standards.gs1.causes import Cause, finding
from careledger.standards.gs1.element_string import ElementString, make, write_raw
from careledger.standards.gs1.keys import GTIN
from careledger.standards.gs1.scan import Outcome, diagnose_scan, misreadings
from careledger.standards.gs1.splitting import ways_to_split
from standards.gs1.gs1_strategies import digits

GS = "\x1d"
GTIN_1 = "04006381333931"
RAW = f"]d201{GTIN_1}1727120010ABC-1{GS}21XY12Z"
PACK = [("01", GTIN_1), ("17", "271200"), ("10", "ABC-1"), ("21", "XY12Z")]
GERMAN = "German (QWERTZ)"
FRENCH = "French (AZERTY)"
SHIFT = "US with Shift held"


def pairs(string: ElementString | None) -> list[tuple[str, str]] | None:
    return None if string is None else [(e.ai, e.value) for e in string.elements]


READ = [
    (RAW, PACK),
    (RAW + "\r\n", PACK),
    ("\ufeff" + RAW[3:] + "\t", PACK),
    (f"(01){GTIN_1}(17)271200(10)ABC-1(21)XY12Z", PACK),
    (f"https://id.gs1.org/01/{GTIN_1}/10/ABC-1/21/XY12Z?17=271200", [PACK[0], PACK[2], PACK[3], PACK[1]]),
    (f"]Q1HTTPS://ID.EXAMPLE/01/{GTIN_1}/21/XY12Z", [PACK[0], PACK[3]]),
    ("urn:epc:id:sgtin:4006381.033393.XY12Z", [PACK[0], PACK[3]]),
    ("00376104250021234569", [("00", "376104250021234569")]),
    (f"01{GTIN_1}21XY12Z", [PACK[0], PACK[3]]),
]


@pytest.mark.parametrize(("raw", "expected"), READ)
def test_what_is_read_as_it_stands(raw: str, expected: list[tuple[str, str]]) -> None:
    result = diagnose_scan(raw)
    assert result.outcome is Outcome.READ
    assert pairs(result.element_string) == expected
    assert result.findings == ()
    assert not result.is_repaired


REPAIRED = [
    (RAW.replace(GS, ""), Cause.LOST_SEPARATOR, "", PACK),
    (
        f"01{GTIN_1}21SER1727120010LOT",
        Cause.LOST_SEPARATOR,
        "",
        [PACK[0], ("21", "SER"), PACK[1], ("10", "LOT")],
    ),
    (
        f"]d201{GTIN_1}21SER1727120010LOT",
        Cause.LOST_SEPARATOR,
        "",
        [PACK[0], ("21", "SER"), PACK[1], ("10", "LOT")],
    ),
    (RAW.replace(GS, "<GS>"), Cause.REPLACED_SEPARATOR, "", PACK),
    (RAW.replace(GS, "{GS}"), Cause.REPLACED_SEPARATOR, "", PACK),
    (RAW.replace(GS, "\\x1d"), Cause.REPLACED_SEPARATOR, "", PACK),
    (RAW.replace(GS, "\u2194"), Cause.REPLACED_SEPARATOR, "", PACK),
    (RAW.replace(GS, "|"), Cause.REPLACED_SEPARATOR, "", PACK),
    (RAW.replace(GS, "\ufffd"), Cause.REPLACED_SEPARATOR, "", PACK),
    (f"01{GTIN_1}21SER<GS>10LOT", Cause.REPLACED_SEPARATOR, "", [PACK[0], ("21", "SER"), ("10", "LOT")]),
    (RAW.swapcase(), Cause.WRONG_CASE, "", PACK),
    (keyboard.apply_layout(RAW, GERMAN), Cause.KEYBOARD_LAYOUT, GERMAN, PACK),
    (keyboard.apply_layout(RAW.replace(GS, ""), GERMAN), Cause.KEYBOARD_LAYOUT, GERMAN, PACK),
    (keyboard.apply_layout(RAW[3:].replace(GS, ""), GERMAN), Cause.KEYBOARD_LAYOUT, GERMAN, PACK),
    (keyboard.apply_layout(RAW, FRENCH), Cause.KEYBOARD_LAYOUT, FRENCH, PACK),
    (keyboard.apply_layout(RAW.replace(GS, ""), FRENCH), Cause.KEYBOARD_LAYOUT, FRENCH, PACK),
    (keyboard.apply_layout(RAW, SHIFT), Cause.KEYBOARD_LAYOUT, SHIFT, PACK),
    (RAW + RAW, Cause.DOUBLED_SCAN, "", PACK),
    (RAW[3:] * 2, Cause.DOUBLED_SCAN, "", PACK),
    (f"{RAW}\r\n{RAW}\r\n{RAW}", Cause.DOUBLED_SCAN, "", PACK),
    (RAW.replace("]d2", "]d1"), Cause.NOT_A_GS1_SYMBOL, "]d1", PACK),
    (RAW[1:], Cause.UNEXPECTED_PREFIX, "", PACK),
    ("#1:" + RAW[3:], Cause.UNEXPECTED_PREFIX, "", PACK),
    ("https://scan.example/?code=" + RAW[3:].replace(GS, "%1D"), Cause.URL_PREFIX, "", PACK),
]


@pytest.mark.parametrize(("raw", "cause", "detail", "expected"), REPAIRED)
def test_what_is_repaired_is_labelled(
    raw: str, cause: Cause, detail: str, expected: list[tuple[str, str]]
) -> None:
    result = diagnose_scan(raw)
    assert result.outcome is Outcome.REPAIRED
    assert result.is_repaired
    assert [(f.cause, f.detail) for f in result.findings] == [(cause, detail)]
    assert pairs(result.element_string) == expected


WRONG_CHECK = RAW.replace(GTIN_1, GTIN_1[:-1] + "2")
EXPLAINED = [
    ("", Outcome.UNREADABLE, [Cause.EMPTY]),
    (" \r\n", Outcome.UNREADABLE, [Cause.EMPTY]),
    ("x" * 1025, Outcome.UNREADABLE, [Cause.VALUE_TOO_LONG]),
    (WRONG_CHECK, Outcome.UNREADABLE, [Cause.BAD_CHECK_DIGIT]),
    (RAW.replace("271200", "271300"), Outcome.UNREADABLE, [Cause.IMPOSSIBLE_DATE]),
    (RAW[:12], Outcome.UNREADABLE, [Cause.TRUNCATED]),
    (f"01{GTIN_1}17", Outcome.UNREADABLE, [Cause.TRUNCATED]),
    (f"01{GTIN_1}10A{GS}10B{GS}215", Outcome.UNREADABLE, [Cause.CONTRADICTION]),
    (f"01{GTIN_1}21" + "A" * 30, Outcome.UNREADABLE, [Cause.VALUE_TOO_LONG, Cause.LOST_SEPARATOR]),
    (RAW.replace("ABC-1", "A21B").replace(GS, ""), Outcome.UNREADABLE, [Cause.LOST_SEPARATOR]),
    (f"{RAW}\r\n{RAW.replace('XY', 'QQ')}", Outcome.UNREADABLE, [Cause.TWO_CODES]),
    (RAW + RAW.replace("XY", "QQ"), Outcome.UNREADABLE, [Cause.TWO_CODES]),
    (RAW.split(GS, maxsplit=1)[0], Outcome.INCOMPLETE, [Cause.MISSING_SERIAL]),
    (f"https://id.gs1.org/01/{GTIN_1}", Outcome.INCOMPLETE, [Cause.MISSING_SERIAL]),
    (f"10ABC{GS}21XY", Outcome.INCOMPLETE, [Cause.MISSING_PRODUCT]),
    ("4006381333931", Outcome.INCOMPLETE, [Cause.LINEAR_BARCODE]),
    ("]E04006381333931", Outcome.INCOMPLETE, [Cause.LINEAR_BARCODE]),
    ("73513537", Outcome.INCOMPLETE, [Cause.LINEAR_BARCODE]),
    ("+A99912345/$$52001510X33", Outcome.UNREADABLE, [Cause.OTHER_CODING_SYSTEM]),
    ("[)>\x1e06\x1d9N111234567842\x1d1T1A\x1dS12\x1e\x04", Outcome.UNREADABLE, [Cause.OTHER_CODING_SYSTEM]),
    ("-12345678", Outcome.UNREADABLE, [Cause.OTHER_CODING_SYSTEM]),
    ("A012345676", Outcome.UNREADABLE, [Cause.OTHER_CODING_SYSTEM]),
    ("https://example.org/leaflet", Outcome.UNREADABLE, [Cause.WEB_LINK]),
    ("https://example.org/AQnYUc1gmiERBhQNECtwIWN2A", Outcome.UNREADABLE, [Cause.COMPRESSED_LINK]),
    ("hello", Outcome.UNREADABLE, [Cause.UNKNOWN_IDENTIFIER, Cause.KEYBOARD_LAYOUT]),
    (f"01{GTIN_1}21A#B§C", Outcome.UNREADABLE, [Cause.BAD_CHARACTER, Cause.KEYBOARD_LAYOUT]),
]


@pytest.mark.parametrize(("raw", "outcome", "causes"), EXPLAINED)
def test_what_cannot_be_read_is_explained(raw: str, outcome: Outcome, causes: list[Cause]) -> None:
    result = diagnose_scan(raw)
    assert result.outcome is outcome
    assert [f.cause for f in result.findings] == causes
    assert (result.element_string is not None) == (outcome is Outcome.INCOMPLETE)


def test_the_table_reaches_every_cause() -> None:
    reached = {cause for _, cause, _, _ in REPAIRED} | {
        cause for _, _, causes in EXPLAINED for cause in causes
    }
    reached.add(Cause.SWAPPED_Y_Z)  # test_misreadings
    assert reached == set(Cause)


def test_every_cause_has_a_plain_sentence_and_advice() -> None:
    for cause in Cause:
        found = finding(cause)
        for text in (found.sentence, found.advice):
            assert text[0].isupper()
            assert text.endswith(".")
            assert len(text) < 200


def test_findings_never_repeat_what_was_read() -> None:
    for raw, *_ in EXPLAINED:
        for found in diagnose_scan(raw).findings:
            assert "XY12Z" not in found.sentence + found.advice + found.detail


def test_misreadings() -> None:
    found = misreadings(make(("01", GTIN_1), ("21", "aZ1")))
    assert [(m.finding.cause, m.element_string.get("21")) for m in found] == [
        (Cause.WRONG_CASE, "Az1"),
        (Cause.SWAPPED_Y_Z, "aY1"),
    ]
    assert misreadings(make(("01", GTIN_1), ("21", "123"))) == ()


safe_text = st.text("ABCDEFGHJKLMNPQRSTUVWX", min_size=1, max_size=10)


@given(digits(13), safe_text, safe_text)
def test_a_lost_separator_is_found_again(body: str, lot: str, serial: str) -> None:
    gtin = GTIN.from_body(body).digits
    string = make(("01", gtin), ("17", "271200"), ("10", lot), ("21", serial))
    result = diagnose_scan(write_raw(string).replace(GS, ""))
    assert result.outcome is Outcome.REPAIRED
    assert pairs(result.element_string) == pairs(string)


@given(digits(13), safe_text, safe_text, st.sampled_from([GERMAN, FRENCH, SHIFT]))
def test_a_wrong_keyboard_is_undone(body: str, lot: str, serial: str, layout: str) -> None:
    string = make(("01", GTIN.from_body(body).digits), ("17", "271200"), ("10", lot), ("21", serial))
    typed = keyboard.apply_layout(write_raw(string, symbology="]d2"), layout)
    result = diagnose_scan(typed)
    assert [f.detail for f in result.findings] == [layout]
    assert pairs(result.element_string) == pairs(string)


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(raw: str) -> None:
    result = diagnose_scan(raw)
    assert bool(result.findings) == (result.outcome is not Outcome.READ)


@pytest.mark.parametrize(
    "run", ["10" * 80, "71071171271371471571624021" * 6, "0104006381333931" + "102110" * 24]
)
def test_crafted_runs_take_no_time(run: str) -> None:
    assert len(ways_to_split(run)) <= 8
    assert ways_to_split("1" * 161) == ()


def test_layout_tables_are_complete() -> None:
    for layout in keyboard.LAYOUTS:
        assert keyboard.undo_layout(keyboard.apply_layout("]d201ABCxyz", layout), layout) == "]d201ABCxyz"
    assert scan.TEXT_CHARS_MAX == 1024
