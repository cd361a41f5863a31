"""Test cases of a plan: what is given, what is expected, and whether it came so.

Owns the format (see `docs/contracts.md`) and its runner. Pure: a text in, a report out. What a case expects is compared
where it says something; what it leaves out is not looked at.
"""

from dataclasses import dataclass
from typing import Final

from careledger.contracts.case_documents import CasesRefused, Given, Mapping, read_document
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
    arguments: dict[str | int, Given]
    expect: Given
    expect_rules: dict[int, list[str]]
    expect_fault: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A file of test cases."""

    entry: str
    given: dict[str | int, Given]
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
    _require_keys(document, _FILE_KEYS)
    entry = document.get("entry", "adjudicate")
    given = document.get("given") or Mapping(document.location)
    cases = document.get("cases")
    if not isinstance(entry, str):
        raise CasesRefused("`entry` is the name of an entry point", document.location)
    if not isinstance(given, dict):
        raise CasesRefused("`given` maps parameters to values", document.location)
    if not isinstance(cases, list) or not 0 < len(cases) <= CASES_MAX:
        raise CasesRefused(f"`cases` lists 1 to {CASES_MAX} cases", document.location)
    return CaseFile(
        entry=entry, given=given, cases=tuple(_case(case, given, document.location) for case in cases)
    )


def _case(case: Given, given: dict[str | int, Given], where: Location) -> Case:
    if not isinstance(case, Mapping):
        raise CasesRefused("a case is a mapping", where)
    _require_keys(case, _CASE_KEYS)
    name = case.get("name")
    own = case.get("given") or Mapping(case.location)
    if not isinstance(name, str) or not isinstance(own, dict):
        raise CasesRefused("a case has a `name`, and `given` maps parameters to values", case.location)
    if not {"expect", "expect_rules", "expect_fault"} & case.keys():
        raise CasesRefused("a case expects something", case.location)
    arguments = overlaid(given, own)
    return Case(
        name=name,
        location=case.location,
        arguments=arguments if isinstance(arguments, dict) else {},
        expect=case.get("expect"),
        expect_rules=_rules(case),
        expect_fault=_fault(case),
    )


def _require_keys(mapping: Mapping, known: frozenset[str]) -> None:
    for key in mapping:
        if key not in known:
            raise CasesRefused(f"`{key}` is not known here", mapping.location)


def _rules(case: Mapping) -> dict[int, list[str]]:
    expected: dict[int, list[str]] = {}
    given = case.get("expect_rules") or Mapping(case.location)
    entries = given.items() if isinstance(given, dict) else [("", given)]
    for line, rules in entries:
        if type(line) is not int or not isinstance(rules, list):
            raise CasesRefused("`expect_rules` maps line numbers to lists of rule ids", case.location)
        expected[line] = [str(rule) for rule in rules]
    return expected


def _fault(case: Mapping) -> int | None:
    number = case.get("expect_fault")
    if number is None:
        return None
    if type(number) is not int or number not in [kind.value for kind in FaultKind]:
        raise CasesRefused("`expect_fault` is the number of a fault", case.location)
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
    arguments = {str(name): value for name, value in case.arguments.items()}
    outcome: Outcome | None = None
    stopped: ContractFault | None = None
    try:
        outcome = run(
            contract,
            entry,
            _plain(arguments),
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


def _plain(value: dict[str, Given]) -> dict[str, object]:
    """Return arguments as exact dictionaries: the runtime takes no subclasses."""
    return {name: _exact(element) for name, element in value.items()}


def _exact(value: Given) -> Given:
    if isinstance(value, dict):
        return {key: _exact(element) for key, element in value.items()}
    if isinstance(value, list):
        return [_exact(element) for element in value]
    return value


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
