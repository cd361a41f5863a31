"""Test cases of a plan: what is given, what is expected, and whether it came so.

Owns the format (see `docs/contracts.md`) and its runner. Pure: a text in, a report out. What a case expects is compared
where it says something; what it leaves out is not looked at.
"""

from dataclasses import dataclass
from typing import Final

from careledger.contracts.case_documents import CasesRefused, Given, read_document
from careledger.contracts.checking import CheckedContract
from careledger.contracts.faults import ContractFault, FaultKind, Location, Step
from careledger.contracts.runtime import Engine, Outcome, run
from careledger.contracts.semantics.host import NO_HOST, HostTable
from careledger.contracts.semantics.money import amount_text
from careledger.contracts.syntax.nodes import Value

GAS_MAX: Final = 1_000_000
"""Steps one case may use."""
MEMORY_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes one case may allocate."""
CASES_MAX: Final = 10_000

_FILE_KEYS: Final = frozenset(("plan", "entry", "given", "cases"))
_CASE_KEYS: Final = frozenset(("name", "note", "given", "expect", "expect_rules", "expect_fault"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case.

    Attributes:
        name: what it shows.
        location: where it stands in the file.
        arguments: of the entry point; what the file gives to all cases, overlaid by what the case gives.
        expect: part of the result, or None.
        expect_rules: rule ids by claim line, in order.
        expect_fault: number of the fault that must stop the run, or None.
    """

    name: str
    location: Location
    arguments: dict[str, Given]
    expect: Given
    expect_rules: dict[int, list[str]]
    expect_fault: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A file of test cases."""

    entry: str
    given: dict[str, Given]
    """What every case is given."""
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one case; `outcome` or `fault` is there, and no differences where it passed."""

    name: str
    location: Location
    differences: tuple[str, ...]
    outcome: Outcome | None
    fault: ContractFault | None

    @property
    def passed(self) -> bool:
        """Whether everything expected came."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """What came of a file of cases."""

    results: tuple[CaseResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return all(result.passed for result in self.results)

    def __str__(self) -> str:
        lines = []
        for result in self.results:
            lines.append(f"{'passed' if result.passed else 'FAILED'}  {result.name} ({result.location})")
            lines += [f"        {difference}" for difference in result.differences]
        failed = sum(1 for result in self.results if not result.passed)
        lines.append(f"{len(self.results)} cases, {failed} failed")
        return "\n".join(lines)


def read_cases(text: str) -> CaseFile:
    """Return the cases of a YAML text.

    Raises:
        CasesRefused: the text is not such a file; with the place and what is wrong.
    """
    document = read_document(text)
    top = document.places[()]
    _require_keys(document.entries, _FILE_KEYS, top)
    entry = document.entries.get("entry", "adjudicate")
    if not isinstance(entry, str):
        raise CasesRefused("`entry` is the name of an entry point", top)
    given = _arguments(document.entries.get("given"), top)
    cases = document.entries.get("cases")
    if not isinstance(cases, list) or not 0 < len(cases) <= CASES_MAX:
        raise CasesRefused(f"`cases` lists 1 to {CASES_MAX} cases", top)
    return CaseFile(
        entry=entry,
        given=given,
        cases=tuple(_case(case, given, document.places["cases", i]) for i, case in enumerate(cases)),
    )


def _case(case: Given, given: dict[str, Given], location: Location) -> Case:
    if not isinstance(case, dict):
        raise CasesRefused("a case is a mapping", location)
    _require_keys(case, _CASE_KEYS, location)
    name = case.get("name")
    if not isinstance(name, str):
        raise CasesRefused("a case has a `name`", location)
    if not any(key in case for key in ("expect", "expect_rules", "expect_fault")):
        raise CasesRefused("a case expects something", location)
    arguments = dict(given)
    for parameter, value in _arguments(case.get("given"), location).items():
        arguments[parameter] = overlaid(given[parameter], value) if parameter in given else value
    return Case(
        name=name,
        location=location,
        arguments=arguments,
        expect=case.get("expect"),
        expect_rules=_rules(case.get("expect_rules"), location),
        expect_fault=_fault(case.get("expect_fault"), location),
    )


def _require_keys(mapping: dict[str | int, Given], known: frozenset[str], location: Location) -> None:
    for key in mapping:
        if key not in known:
            raise CasesRefused(f"`{key}` is not known here", location)


def _arguments(given: Given, location: Location) -> dict[str, Given]:
    """Return arguments by parameter name; none where nothing is given."""
    entries = {} if given is None else given
    if not isinstance(entries, dict):
        raise CasesRefused("`given` maps parameters to values", location)
    arguments = {key: value for key, value in entries.items() if isinstance(key, str)}
    if len(arguments) != len(entries):
        raise CasesRefused("`given` maps parameters to values", location)
    return arguments


def _rules(given: Given, location: Location) -> dict[int, list[str]]:
    """Return the rule ids expected by claim line."""
    expected: dict[int, list[str]] = {}
    entries = {} if given is None else given
    for line, rules in entries.items() if isinstance(entries, dict) else [("", entries)]:
        if type(line) is not int or not isinstance(rules, list):
            raise CasesRefused("`expect_rules` maps line numbers to lists of rule ids", location)
        expected[line] = [str(rule) for rule in rules]
    return expected


def _fault(number: Given, location: Location) -> int | None:
    if number is None:
        return None
    if type(number) is not int or number not in [kind.value for kind in FaultKind]:
        raise CasesRefused("`expect_fault` is the number of a fault", location)
    return number


def overlaid(base: Given, own: Given) -> Given:
    """Return `base` with `own` laid over it: mappings are merged key by key, anything else is replaced."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    merged: dict[str | int, Given] = dict(base)
    for key, value in own.items():
        merged[key] = overlaid(base[key], value) if key in base else value
    return merged


def run_cases(
    contract: CheckedContract,
    text: str,
    *,
    host: HostTable = NO_HOST,
    engine: Engine = Engine.CLOSURES,
) -> CaseReport:
    """Run every case of a YAML text on a contract.

    Raises:
        CasesRefused: the text is not a file of cases.
    """
    file = read_cases(text)
    return CaseReport(
        results=tuple(_run_case(contract, file.entry, case, host, engine) for case in file.cases)
    )


def _run_case(
    contract: CheckedContract, entry: str, case: Case, host: HostTable, engine: Engine
) -> CaseResult:
    outcome: Outcome | None = None
    stopped: ContractFault | None = None
    try:
        outcome = run(
            contract,
            entry,
            case.arguments,
            gas_max=GAS_MAX,
            memory_bytes_max=MEMORY_BYTES_MAX,
            host=host,
            engine=engine,
        )
    except ContractFault as fault:
        stopped = fault
    differences: list[str] = []
    if stopped is not None:
        if stopped.kind != case.expect_fault:
            differences.append(f"the plan stopped: {stopped}")
    elif case.expect_fault is not None:
        differences.append(f"the plan did not stop with fault {case.expect_fault}")
    if outcome is not None:
        if case.expect is not None:
            _compare(case.expect, outcome.result, "", differences)
        _compare_rules(case.expect_rules, outcome.trace, differences)
    return CaseResult(
        name=case.name,
        location=case.location,
        differences=tuple(differences),
        outcome=outcome,
        fault=stopped,
    )


def _compare(expected: Given, actual: Value, path: str, differences: list[str]) -> None:
    """Note where `actual` is not what is expected; keys that are not expected are not looked at."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            below = f"{path}.{key}" if path else str(key)
            if key in actual:
                _compare(value, actual[key], below, differences)
            else:
                differences.append(f"{below}: missing")
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            differences.append(f"{path}: {len(expected)} elements expected, {len(actual)} there")
        for position, (one, other) in enumerate(zip(expected, actual, strict=False)):
            _compare(one, other, f"{path}[{position}]", differences)
    elif type(expected) is not type(actual) or expected != actual:
        is_amount = path.endswith("_minor")
        differences.append(
            f"{path}: {_shown(expected, is_amount)} expected, {_shown(actual, is_amount)} there"
        )


def _shown(value: Given | Value, is_amount: bool) -> str:
    if is_amount and type(value) is int:
        return amount_text(value)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value)


def _compare_rules(expected: dict[int, list[str]], trace: tuple[Step, ...], differences: list[str]) -> None:
    for line, rules in expected.items():
        applied = [step.rule_id for step in trace if step.line == line]
        if applied != rules:
            differences.append(
                f"rules of line {line}: {', '.join(rules)} expected, {', '.join(applied)} there"
            )
