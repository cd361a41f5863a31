"""The format of test cases, its strict YAML, and what a report says."""

from __future__ import annotations

import pytest

from careledger.contracts import Engine, check
from careledger.contracts.case_documents import CasesRefused, Given, read_document
from careledger.contracts.cases import overlaid, read_cases, run_cases

PLAN = check(
    'ENTRY_POINTS = ["main"]\n'
    'RULES = {"half": "Half of it."}\n'
    "def main(amount_minor, tag, extra=None):\n"
    "    if tag == 'stop':\n"
    "        fail('asked to stop')\n"
    "    paid = rule('half', 1, 'paid', amount_minor, amount_minor // 2)\n"
    "    return {'paid_minor': paid, 'tag': tag, 'extra': extra, 'list': [paid, tag]}\n"
)
HEAD = "entry: main\ngiven: {amount_minor: 10.00, tag: a}\ncases:\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -12", {"a": -12}),
        ("a: 007", {"a": "007"}),
        ("a: 0x10", {"a": "0x10"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 12.50", {"a": "12.50"}),
        ("a: 2026-01-31", {"a": "2026-01-31"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: yes\nb: no\nc: on", {"a": "yes", "b": "no", "c": "on"}),
        ("a: true\nb: false\nc: null\nd: ~\ne:", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        ('a: "true"\nb: "1"\nc: \'\'', {"a": "true", "b": "1", "c": ""}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("1: one", {1: "one"}),
        ("a: [1, [x, {b: 2}]]", {"a": [1, ["x", {"b": 2}]]}),
        ("a_minor: 12.50", {"a_minor": 1250}),
        ("a_minor: -0.05", {"a_minor": -5}),
        ("a_minor: null", {"a_minor": None}),
        ("a_minor: word", {"a_minor": "word"}),
        ('a_minor: "12.50"', {"a_minor": "12.50"}),
        ("fees_minor: {P1: 9.50, P2: [1.00]}", {"fees_minor": {"P1": 950, "P2": [100]}}),
        ("a: .inf", {"a": ".inf"}),
        ("a: <<", {"a": "<<"}),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    assert read_document(text).entries == value


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("- 1", (1, 1), "mapping"),
        ("", (1, 1), "one document"),
        ("a: 1\n---\nb: 2", (2, 1), "one document"),
        ("a: [1", (1, 6), "expected"),
        ("a: 1\na: 2", (2, 1), "twice"),
        ("a: &x 1\nb: *x", (1, 4), "anchors"),
        ("a: *x", (1, 4), "aliases"),
        ("a: !!python/object:os.system {}", (1, 4), "tags"),
        ("a: !!int 5", (1, 4), "tags"),
        ("[1]: 2", (1, 1), "key"),
        ("true: 2", (1, 1), "key"),
        ("a_minor: 12", (1, 10), "two decimals"),
        ("a_minor: 12.5", (1, 10), "two decimals"),
        ("a_minor: 1,250.00", (1, 10), "two decimals"),
        ("a: {b_minor: 1,250.00}", (1, 14), "two decimals"),
        ("a_minor: [1.00, 5]", (1, 17), "two decimals"),
        ("a: " + "[" * 30 + "]" * 30, (1, 28), "deeply"),
        ("a: " + "[" * 3000 + "]" * 3000, (1, 28), "deeply"),
        ("a: \x01", (1, 1), "not YAML"),
        ("a:\n\t- b", (2, 1), "cannot start"),
        ("x" * (512 * 1024 + 1), (1, 1), "bytes"),
    ],
)
def test_what_is_refused(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(CasesRefused) as caught:
        read_document(text)
    assert (caught.value.location, words in caught.value.detail) == (place, True), str(caught.value)


def test_aliases_cannot_explode() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(CasesRefused, match="anchors"):
        read_document(bomb)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cases: []", "`cases` lists"),
        ("entry: main", "`cases` lists"),
        ("cases: [5]", "a case is a mapping"),
        ("cases: [{given: {}}]", "has a `name`"),
        ("given: {1: 2}\ncases: [{name: x, expect: 1}]", "`given`"),
        ("cases: [{name: x, given: [], expect: 1}]", "`given`"),
        ("cases: [{name: x}]", "expects something"),
        ("cases: [{name: x, expect: {}, expects: {}}]", "`expects` is not known"),
        ("case: []", "`case` is not known"),
        ("entry: 5\ncases: [{name: x, expect: 1}]", "`entry`"),
        ("given: 5\ncases: [{name: x, expect: 1}]", "`given`"),
        ("cases: [{name: x, expect_rules: [a]}]", "line numbers"),
        ("cases: [{name: x, expect_rules: {a: [b]}}]", "line numbers"),
        ("cases: [{name: x, expect_fault: 999}]", "number of a fault"),
        ("cases: [{name: x, expect_fault: OUT_OF_GAS}]", "number of a fault"),
    ],
)
def test_files_that_are_no_cases(text: str, words: str) -> None:
    with pytest.raises(CasesRefused, match=words):
        read_cases(text)


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    ("case", "differences"),
    [
        ("expect: {paid_minor: 5.00, tag: a}", []),
        ("expect: {paid_minor: 5.01}", ["paid_minor: 5.01 expected, 5.00 there"]),
        ("expect: {tag: b}", ["tag: 'b' expected, 'a' there"]),
        ("expect: {nothing: b}", ["nothing: missing"]),
        ("expect: {tag: {x: 1}}", ["tag: a mapping expected, 'a' there"]),
        ("expect: {list: [500]}", ["list: 1 elements expected, 2 there"]),
        ("expect: {list: [500, b]}", ["list[1]: 'b' expected, 'a' there"]),
        ("expect: {extra: false}", ["extra: False expected, None there"]),
        ("given: {extra: true}\n    expect: {extra: 1}", ["extra: 1 expected, True there"]),
        ("expect_rules: {1: [half]}", []),
        ("expect_rules: {1: [half, half]}", ["rules of line 1: half, half expected, half there"]),
        ("expect_rules: {2: []}", []),
        ("given: {tag: stop}\n    expect_fault: 211", []),
        ("given: {tag: stop}\n    expect_fault: 207", ["the plan stopped: line 5, column 9: asked to stop [211]"]),
        ("given: {tag: stop}\n    expect: {}", ["the plan stopped: line 5, column 9: asked to stop [211]"]),
        ("expect_fault: 211", ["the plan did not stop with fault 211"]),
        ("given: {unknown: 1}\n    expect: {}",
         ["the plan stopped: the arguments do not fit the entry point or the limits on values [302]"]),
    ],
)  # fmt: skip
def test_a_case(case: str, differences: list[str], engine: Engine) -> None:
    report = run_cases(PLAN, f"{HEAD}  - name: the case\n    {case}\n", engine=engine)
    (result,) = report.results
    assert list(result.differences) == differences
    assert result.passed is report.passed is (not differences)
    assert result.name == "the case"
    assert result.location == (4, 5)


def test_a_report_reads_as_text() -> None:
    text = f"{HEAD}  - name: good\n    expect: {{tag: a}}\n  - name: bad\n    expect: {{tag: b}}\n"
    assert str(run_cases(PLAN, text)) == (
        "passed  good (line 4, column 5)\n"
        "FAILED  bad (line 6, column 5)\n"
        "        tag: 'b' expected, 'a' there\n"
        "2 cases, 1 failed"
    )


def test_overlaying_merges_mappings_and_replaces_the_rest() -> None:
    base: Given = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert overlaid(base, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}
