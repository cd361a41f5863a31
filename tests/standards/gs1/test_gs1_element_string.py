import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.checkdigit import compute_check_digit
from careledger.standards.gs1.element_string import (
    ElementString,
    make,
    parse,
    parse_bracketed,
    parse_raw,
    write_bracketed,
    write_raw,
)
from careledger.standards.gs1.errors import GS1Code, GS1Error
from standards.gs1.gs1_strategies import CSET_82

GS = "\x1d"
GTIN = "04006381333931"


def pairs(string: ElementString) -> list[tuple[str, str]]:
    return [(element.ai, element.value) for element in string.elements]


PACK = [("01", GTIN), ("17", "271200"), ("10", "A1"), ("21", "77")]


@pytest.mark.parametrize("symbology", ["", "]d2", "]C1", "]Q3", "]e0"])
@pytest.mark.parametrize("lead", ["", GS])
def test_raw(symbology: str, lead: str) -> None:
    string = parse(f"{symbology}{lead}01{GTIN}1727120010A1{GS}2177")
    assert pairs(string) == PACK
    assert string.symbology == symbology
    assert string.get("10") == "A1"
    assert string.get("22") is None


def test_separators_that_are_not_needed_are_accepted() -> None:
    assert pairs(parse_raw(f"01{GTIN}{GS}17271200{GS}10A1{GS}2177{GS}")) == PACK


def test_bracketed() -> None:
    assert pairs(parse(f"(01){GTIN}(17)271200(10)A1(21)77")) == PACK
    assert pairs(parse(f"(01){GTIN} (17)271200 (10)A1 (21)77")) == PACK


def test_brackets_inside_a_value() -> None:
    assert pairs(parse_bracketed("(21)A(B)1(2)")) == [("21", "A(B)1(2)")]
    assert pairs(parse_bracketed("(10)(21)(21)5")) == [("10", "(21)"), ("21", "5")]


def test_every_identifier_is_unambiguous() -> None:
    names = list(identifiers.IDENTIFIERS)
    assert not [(a, b) for a in names for b in names if a != b and b.startswith(a)]
    for name, known in identifiers.IDENTIFIERS.items():
        if not known.needs_separator:
            total = identifiers.PREDEFINED_LENGTHS[name[:2]]
            assert known.length_min == known.length_max == total - len(name)


@pytest.mark.parametrize(
    ("text", "code", "position", "ai"),
    [
        ("", GS1Code.EMPTY, 0, ""),
        ("]d2", GS1Code.EMPTY, 0, ""),
        ("]d101" + GTIN, GS1Code.SYMBOL, 0, ""),
        ("XX", GS1Code.UNKNOWN_AI, 0, ""),
        ("01" + GTIN + "0X", GS1Code.UNKNOWN_AI, 16, ""),
        ("01040063", GS1Code.TRUNCATED, 8, "01"),
        ("01" + GTIN[:-1] + "2", GS1Code.CHECK_DIGIT, 15, "01"),
        ("01" + GTIN[:-1] + "x", GS1Code.CHARACTER, 15, "01"),
        ("17271301", GS1Code.DATE, 2, "17"),
        ("10" + "A" * 21, GS1Code.TOO_LONG, 22, "10"),
        ("21A#", GS1Code.CHARACTER, 3, "21"),
        ("21Ä", GS1Code.CHARACTER, 2, "21"),
        (f"10A{GS}10B", GS1Code.REPEATED_AI, 7, "10"),
        ("8003" + "0" + GTIN[1:-1] + "2", GS1Code.CHECK_DIGIT, 17, "8003"),
        ("(01)" + GTIN + "17271200", GS1Code.TOO_LONG, 18, "01"),
        ("(9999)1", GS1Code.UNKNOWN_AI, 0, "9999"),
        ("(1)2", GS1Code.BRACKETS, 0, ""),
        ("(21)", GS1Code.TRUNCATED, 4, "21"),
        ("x" * 5000, GS1Code.TOO_LONG, 4096, ""),
    ],
)
def test_errors_say_where(text: str, code: GS1Code, position: int, ai: str) -> None:
    with pytest.raises(GS1Error) as caught:
        parse(text)
    assert (caught.value.code, caught.value.position, caught.value.ai) == (code, position, ai)


def test_no_error_text_repeats_a_value() -> None:
    for text in (f"01{GTIN}21SECRET#1", "17991399", "(21)SECRET\x01"):
        with pytest.raises(GS1Error) as caught:
            parse(text)
        assert "SECRET" not in str(caught.value)
        assert "9913" not in str(caught.value)


def test_make_checks() -> None:
    with pytest.raises(GS1Error):
        make(("17", "271301"))
    with pytest.raises(GS1Error):
        make(("99999", "1"))


_SAMPLES = {"N": "0123456789", "X": CSET_82, "Y": "#-/0123456789ABCXYZ", "Z": "ABCabc019-_="}


@st.composite
def elements(draw: st.DrawFn) -> tuple[str, str]:
    known = draw(st.sampled_from(list(identifiers.IDENTIFIERS.values())))
    value = ""
    for part in known.components:
        if part.rule == "c":
            body = draw(st.text("0123456789", min_size=part.length_max - 1, max_size=part.length_max - 1))
            value += body + compute_check_digit(body)
        elif part.rule:
            value += {"ymd0": "270100", "ymd": "270131", "hm": "2359"}.get(part.rule) or {
                "ymdh": "27013123",
                "ymdhm": "2701312359",
                "Ymd": "20270131",
                "Ymdhm": "202701312359",
            }[part.rule]
        else:
            value += draw(st.text(_SAMPLES[part.charset], min_size=part.length_min, max_size=part.length_max))
    return known.ai, value


@given(st.lists(elements(), min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_raw_form_round_trips(some: list[tuple[str, str]]) -> None:
    string = make(*some)
    read = parse_raw(write_raw(string))
    assert sorted(pairs(read)) == sorted(some)
    assert write_raw(read) == write_raw(string)


@given(st.lists(elements(), min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_bracketed_form_round_trips_unless_a_value_imitates_it(some: list[tuple[str, str]]) -> None:
    if any("(" in value for _, value in some):
        return
    assert pairs(parse_bracketed(write_bracketed(make(*some)))) == some


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    position = 0
    try:
        parse(text)
    except GS1Error as error:
        position = error.position
    assert 0 <= position <= len(text)
