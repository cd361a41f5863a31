"""Two versions of a plan on the same claims: which decisions change, by how much, and by which rules.

Pure: two contracts and the inputs in, a report out. Where the inputs come from, and who may see them, is the caller's
business. Decisions have the shape `documents` describes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from careledger.contracts.cases import GAS_MAX, MEMORY_BYTES_MAX
from careledger.contracts.checking import CheckedContract
from careledger.contracts.faults import ContractFault, Step
from careledger.contracts.runtime import Engine, Outcome, run
from careledger.contracts.semantics.host import NO_HOST, HostTable
from careledger.contracts.syntax.nodes import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    """One side of a replay.

    Attributes:
        contract: the plan.
        overrides: arguments that replace those of every input, such as `parameters` of this version.
        entry: the entry point.
        host: what the plan's host lends it.
    """

    contract: CheckedContract
    overrides: Mapping[str, object]
    entry: str = "adjudicate"
    host: HostTable = NO_HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange:
    """One line whose decision changed; amounts are None where that side stopped or has no such line."""

    number: int
    paid_before_minor: int | None
    paid_after_minor: int | None
    trace_before: tuple[Step, ...]
    trace_after: tuple[Step, ...]

    @property
    def delta_minor(self) -> int:
        """What the plan pays more (or, negative, less) than before."""
        return (self.paid_after_minor or 0) - (self.paid_before_minor or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedClaim:
    """One claim whose decision changed, with both outcomes."""

    key: str
    before: Outcome | ContractFault
    after: Outcome | ContractFault
    lines: tuple[LineChange, ...]

    @property
    def delta_minor(self) -> int:
        """What the plan pays more (or, negative, less) on the whole claim."""
        return sum([line.delta_minor for line in self.lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What changing a plan would have done."""

    examined: int
    changed: tuple[ChangedClaim, ...]

    @property
    def delta_minor(self) -> int:
        """What the new version pays more (or, negative, less) over all claims."""
        return sum([claim.delta_minor for claim in self.changed])


def replay(
    old: PlanVersion,
    new: PlanVersion,
    inputs: Iterable[tuple[str, Mapping[str, object]]],
    *,
    engine: Engine = Engine.CLOSURES,
) -> ReplayReport:
    """Run both versions on every input and report the claims whose result differs.

    Args:
        old: the version in force.
        new: the version proposed.
        inputs: a key of the caller's for each claim, and its arguments.
        engine: which engine runs both.

    A claim is also reported where one side stops and the other does not, or both stop differently.
    """
    changed: list[ChangedClaim] = []
    examined = 0
    for key, arguments in inputs:
        examined += 1
        before = _attempt(old, arguments, engine)
        after = _attempt(new, arguments, engine)
        if not _same(before, after):
            lines = _changed_lines(before, after)
            changed.append(ChangedClaim(key=key, before=before, after=after, lines=lines))
    return ReplayReport(examined=examined, changed=tuple(changed))


def _attempt(
    version: PlanVersion, arguments: Mapping[str, object], engine: Engine
) -> Outcome | ContractFault:
    try:
        return run(
            version.contract,
            version.entry,
            {**arguments, **version.overrides},
            gas_max=GAS_MAX,
            memory_bytes_max=MEMORY_BYTES_MAX,
            host=version.host,
            engine=engine,
        )
    except ContractFault as fault:
        return fault


def _same(before: Outcome | ContractFault, after: Outcome | ContractFault) -> bool:
    """Tell whether two runs decided the same; their costs, and where in the source they stopped, may differ."""
    if isinstance(before, Outcome) and isinstance(after, Outcome):
        return before.result == after.result
    if isinstance(before, ContractFault) and isinstance(after, ContractFault):
        return before.kind == after.kind
    return False


def _changed_lines(before: Outcome | ContractFault, after: Outcome | ContractFault) -> tuple[LineChange, ...]:
    old = _lines(before)
    new = _lines(after)
    return tuple(
        LineChange(
            number=number,
            paid_before_minor=_paid(old.get(number)),
            paid_after_minor=_paid(new.get(number)),
            trace_before=tuple(step for step in before.trace if step.line == number),
            trace_after=tuple(step for step in after.trace if step.line == number),
        )
        for number in sorted(dict.fromkeys([*old, *new]))
        if old.get(number) != new.get(number)
    )


def _lines(run_result: Outcome | ContractFault) -> dict[int, dict[str | int, Value]]:
    """Return the lines of a decision by number; nothing where there is no decision."""
    result = run_result.result if isinstance(run_result, Outcome) else None
    lines = result.get("lines") if isinstance(result, dict) else None
    found: dict[int, dict[str | int, Value]] = {}
    for line in lines if isinstance(lines, list) else []:
        number = line.get("number") if isinstance(line, dict) else None
        if isinstance(line, dict) and type(number) is int:
            found[number] = line
    return found


def _paid(line: dict[str | int, Value] | None) -> int | None:
    paid = None if line is None else line.get("paid_minor")
    return paid if type(paid) is int else None
