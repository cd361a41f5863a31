"""From a source text to a contract that may run.

Owns the order of the checks: syntax, the names at the top level, constants (computed once, here), RULES,
functions, calls, ENTRY_POINTS. Whatever is wrong is reported together, up to twenty problems, each with its place.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from careledger.contracts.engines.closures import evaluate
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.limits import (
    CALL_NESTING_MAX,
    CONSTANT_GAS_MAX,
    CONSTANT_MEMORY_BYTES_MAX,
    ENGINE_VERSION,
    FUNCTIONS_MAX,
    PARAMETERS_MAX,
)
from careledger.contracts.semantics.crossing import frozen
from careledger.contracts.semantics.host import NO_HOST, HostSignature, HostTable
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.settling.resolving import CallSite, ExpressionSettler, Report, World
from careledger.contracts.settling.suites import SuiteSettler
from careledger.contracts.syntax.lexer import refuse
from careledger.contracts.syntax.nodes import Assign, Function, Module, Name, Program, SettledFunction, Value
from careledger.contracts.syntax.parser import parse

ENTRY_POINTS: Final = "ENTRY_POINTS"
RULES: Final = "RULES"
_RULE_ID_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_RULE_ID_LENGTH_MAX: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedContract:
    """A source that passed every check, and what it declares.

    Attributes:
        source: the text itself.
        source_hash: SHA-256 of its UTF-8 bytes.
        engine_version: version of language, costs and limits it was checked under.
        entry_points: parameters of each function that may be run, by name.
        required: how many of these parameters have no default, by name.
        rules: plain words of each rule, by id.
        host: functions of the host it was checked with, by name.
        program: the settled tree, for the engines.
        compiled: what each engine made of it, filled on first use.
    """

    source: str
    source_hash: bytes
    engine_version: int
    entry_points: Mapping[str, tuple[str, ...]]
    required: Mapping[str, int]
    rules: Mapping[str, str]
    host: Mapping[str, HostSignature]
    program: Program
    compiled: dict[str, Mapping[str, Callable[..., Value]]] = field(default_factory=dict, repr=False)


def check(source: str | bytes, *, host: HostTable = NO_HOST) -> CheckedContract:
    """Return the contract a source text is.

    Args:
        source: the text, or its UTF-8 bytes; at most 64 KB.
        host: functions its host will lend it; only their signatures matter here.

    Raises:
        ContractRefused: with everything that is wrong with the source.
    """
    text = _text(source)
    signatures = dict(host.signatures)
    module = parse(text)
    report = Report()
    world = _world(module, signatures, report)
    _compute_constants(module, world, report)
    world.rules = _rules(module, world, report)
    functions: dict[str, SettledFunction] = {}
    calls: list[CallSite] = []
    heights: dict[str, int] = {}
    for function in module.functions:
        settler = SuiteSettler(world, report, function.identifier)
        functions[function.identifier] = settler.settle_function(function)
        calls += settler.calls
        heights[function.identifier] = settler.depth_reached
    _check_calls(calls, heights, report)
    entry_points = _entry_points(module, world, report)
    report.finish()
    return CheckedContract(
        source=text,
        source_hash=hashlib.sha256(text.encode()).digest(),
        engine_version=ENGINE_VERSION,
        entry_points=MappingProxyType({name: _parameters(functions[name]) for name in entry_points}),
        required=MappingProxyType({name: _required(functions[name]) for name in entry_points}),
        rules=MappingProxyType(dict(world.rules)),
        host=MappingProxyType(signatures),
        program=Program(functions),
    )


def _text(source: str | bytes) -> str:
    if isinstance(source, str):
        return source
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        refuse(FaultKind.BAD_CHARACTER, Location(line, 1), "the text is not UTF-8")


def _world(module: Module, host: Mapping[str, HostSignature], report: Report) -> World:
    """Collect the names of the top level; each may be defined once and must be free."""
    functions: dict[str, Function] = {}
    world = World(functions, host)
    defined: dict[str, None] = {}
    for name, location in _top_level_names(module):
        meaning = world.meaning(name) or ("defined in this source" if name in defined else "")
        if meaning:
            report.add(FaultKind.NAME_TAKEN, location, f"`{name}` is already {meaning}")
        defined[name] = None
    for function in module.functions:
        functions[function.identifier] = function
        if len(function.parameters) > PARAMETERS_MAX:
            report.add(
                FaultKind.TOO_MANY, function.location, f"a function has at most {PARAMETERS_MAX} parameters"
            )
    if len(module.functions) > FUNCTIONS_MAX:
        place = module.functions[FUNCTIONS_MAX].location
        report.add(FaultKind.TOO_MANY, place, f"a source has at most {FUNCTIONS_MAX} functions")
    world.constant_names = frozenset(name for name in defined if name not in functions)
    return world


def _top_level_names(module: Module) -> list[tuple[str, Location]]:
    names = [(function.identifier, function.location) for function in module.functions]
    names += [(_name(constant), constant.location) for constant in module.constants]
    return sorted(names, key=lambda entry: entry[1])


def _name(constant: Assign) -> str:
    """Return the name a constant is given; the parser lets nothing else through."""
    if isinstance(constant.target, Name):
        return constant.target.identifier
    raise TypeError("a constant has a name")


def _compute_constants(module: Module, world: World, report: Report) -> None:
    """Compute every constant, in order; each sees those above it."""
    meter = Meter(gas=CONSTANT_GAS_MAX, memory=CONSTANT_MEMORY_BYTES_MAX, rules={}, host={})
    for constant in module.constants:
        found = len(report.problems)
        settler = ExpressionSettler(world, report, "")
        expression, gas = settler.settle(constant.value, 1)
        value: Value = None
        if len(report.problems) == found:
            try:
                meter.charge(gas, constant.location)
                value = frozen(meter, evaluate(expression, len(settler.variables), meter), constant.location)
            except ContractFault as fault:
                report.add(FaultKind.BAD_CONSTANT, fault.location, fault.detail or fault.kind.words)
        world.constants[_name(constant)] = value


def _rules(module: Module, world: World, report: Report) -> dict[str, str]:
    """Return RULES, if the source has it: plain words by rule id."""
    value = world.constants.get(RULES)
    if RULES not in world.constants:
        return {}
    location = next(constant.location for constant in module.constants if _name(constant) == RULES)
    if not isinstance(value, dict):
        report.add(FaultKind.BAD_RULES, location)
        return {}
    rules: dict[str, str] = {}
    for rule_id, words in value.items():
        if not (isinstance(rule_id, str) and 0 < len(rule_id) <= _RULE_ID_LENGTH_MAX):
            report.add(
                FaultKind.BAD_RULES, location, f"a rule id is a text of 1 to {_RULE_ID_LENGTH_MAX} characters"
            )
        elif not _RULE_ID_CHARACTERS.issuperset(rule_id):
            report.add(FaultKind.BAD_RULES, location, "rule ids use small letters, digits and `-`")
        elif not (isinstance(words, str) and words.strip()):
            report.add(FaultKind.BAD_RULES, location, f"`{rule_id}` has no plain words")
        else:
            rules[rule_id] = words
    return rules


def _check_calls(calls: list[CallSite], heights: dict[str, int], report: Report) -> None:
    """Refuse recursion, and calls within calls that nest too deeply together.

    Functions are finished callees first (Kahn's algorithm); if any is left over, a cycle is among them.
    """
    waiting: dict[str, dict[str, None]] = {name: {} for name in heights}
    callers: dict[str, dict[str, None]] = {name: {} for name in heights}
    sites: dict[str, list[CallSite]] = {name: [] for name in heights}
    for site in calls:
        waiting[site.caller][site.callee] = None
        callers[site.callee][site.caller] = None
        sites[site.caller].append(site)
    ready = [name for name, callees in waiting.items() if not callees]
    total = dict(heights)
    while ready:
        name = ready.pop()
        for site in sites[name]:
            height = site.depth + total[site.callee]
            if height > CALL_NESTING_MAX >= total[name]:
                detail = "calls within calls are nested too deeply here; split the work differently"
                report.add(FaultKind.TOO_NESTED, site.location, detail)
            total[name] = max(total[name], height)
        del waiting[name]
        for caller in callers[name]:
            del waiting[caller][name]
            if not waiting[caller]:
                ready.append(caller)
    if waiting:
        _report_cycle(waiting, sites, report)


def _report_cycle(
    waiting: Mapping[str, Mapping[str, None]], sites: Mapping[str, list[CallSite]], report: Report
) -> None:
    """Report one cycle of calls; each function left over calls another that is, so following them finds one."""
    path = [next(iter(waiting))]
    while path[-1] not in path[:-1]:
        path.append(next(iter(waiting[path[-1]])))
    cycle = path[path.index(path[-1]) :]
    site = next(site for site in sites[cycle[0]] if site.callee == cycle[1])
    way = ", which calls ".join(f"`{name}`" for name in cycle)
    report.add(FaultKind.RECURSION, site.location, f"a function may not come back to itself: {way}")


def _entry_points(module: Module, world: World, report: Report) -> list[str]:
    """Return ENTRY_POINTS: names of functions of the source, each once."""
    value = world.constants.get(ENTRY_POINTS)
    location = next((c.location for c in module.constants if _name(c) == ENTRY_POINTS), Location(1, 1))
    if ENTRY_POINTS not in world.constants or not isinstance(value, list) or not value:
        detail = 'a source names the functions that may be run: ENTRY_POINTS = ["adjudicate"]'
        report.add(FaultKind.BAD_ENTRY_POINTS, location, detail)
        return []
    names = [name for name in value if isinstance(name, str) and name in world.functions]
    if len(names) != len(value) or len(dict.fromkeys(names)) != len(names):
        report.add(FaultKind.BAD_ENTRY_POINTS, location)
    return names


def _parameters(function: SettledFunction) -> tuple[str, ...]:
    return tuple(parameter.identifier for parameter in function.parameters)


def _required(function: SettledFunction) -> int:
    return sum(1 for parameter in function.parameters if parameter.default is None)
