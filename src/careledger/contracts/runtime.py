"""Running a contract: arguments in; result, gas and trace out.

Owns one run from beginning to end. Given the same contract, entry, arguments and allowances, every node and either
engine give the same outcome or raise the same fault. A run keeps nothing of an earlier one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import starmap
from typing import Final

from careledger.contracts.checking import CheckedContract
from careledger.contracts.engines.closures import compile_closures
from careledger.contracts.engines.rewriting import compile_rewritten
from careledger.contracts.faults import NOWHERE, ContractFault, FaultKind, Step
from careledger.contracts.semantics.crossing import copy_in, copy_out
from careledger.contracts.semantics.host import NO_HOST, HostTable
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import Program, Value


class Engine(Enum):
    """The two engines; CLOSURES is the one that defines what a contract does."""

    CLOSURES = "closures"
    REWRITTEN = "rewritten"


_COMPILERS: Final[dict[Engine, Callable[[Program], dict[str, Callable[..., Value]]]]] = {
    Engine.CLOSURES: compile_closures,
    Engine.REWRITTEN: compile_rewritten,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run gave.

    Attributes:
        result: the entry point's value, a copy the caller may keep.
        gas_used: steps used.
        memory_bytes_used: bytes allocated, by the language's own figures (see `costs`).
        trace: every application of a rule to an amount, in order.
    """

    result: Value
    gas_used: int
    memory_bytes_used: int
    trace: tuple[Step, ...]


def run(
    contract: CheckedContract,
    entry: str,
    arguments: Mapping[str, object],
    *,
    gas_max: int,
    memory_bytes_max: int,
    host: HostTable = NO_HOST,
    engine: Engine = Engine.CLOSURES,
) -> Outcome:
    """Run one entry point.

    Args:
        contract: what `check` returned.
        entry: name of a declared entry point.
        arguments: by parameter name; None, bool, int, str, list, tuple and dict, copied before use.
        gas_max: steps allowed, copying of arguments and result included.
        memory_bytes_max: bytes that may be allocated, likewise.
        host: functions lent to the contract, with the signatures it was checked with.
        engine: which engine runs it.

    Raises:
        ContractFault: the run stopped; kind, location, gas, memory and trace so far are in the fault.
        ValueError: an allowance is negative.
    """
    if gas_max < 0 or memory_bytes_max < 0:
        raise ValueError("allowances are not negative")
    meter = Meter(gas=gas_max, memory=memory_bytes_max, rules=contract.rules, host=host.calls)
    try:
        function = _function(contract, entry, host, engine)
        values = _arguments(contract, entry, arguments, meter)
        result = copy_out(meter, function(meter, *values), FaultKind.BAD_RESULT)
    except ContractFault as fault:
        fault.gas_used = gas_max - max(meter.gas, 0)
        fault.memory_bytes_used = memory_bytes_max - max(meter.memory, 0)
        fault.trace = tuple(starmap(Step, meter.trace))
        raise
    return Outcome(
        result=result,
        gas_used=gas_max - meter.gas,
        memory_bytes_used=memory_bytes_max - meter.memory,
        trace=tuple(starmap(Step, meter.trace)),
    )


def _function(contract: CheckedContract, entry: str, host: HostTable, engine: Engine) -> Callable[..., Value]:
    """Return what runs an entry point, compiled on first use."""
    if entry not in contract.entry_points:
        raise ContractFault(FaultKind.UNKNOWN_ENTRY, NOWHERE)
    for name, signature in contract.host.items():
        if host.signatures.get(name) != signature:
            raise ContractFault(FaultKind.HOST_MISMATCH, NOWHERE)
    functions = contract.compiled.get(engine.value)
    if functions is None:
        functions = contract.compiled[engine.value] = _COMPILERS[engine](contract.program)
    return functions[entry]


def _arguments(
    contract: CheckedContract, entry: str, arguments: Mapping[str, object], meter: Meter
) -> list[Value]:
    """Return copies of the arguments in the order of the parameters, defaults filled in."""
    parameters = contract.program.functions[entry].parameters
    values: list[Value] = []
    given = 0
    for parameter in parameters:
        if parameter.identifier in arguments:
            given += 1
            values.append(copy_in(meter, arguments[parameter.identifier], FaultKind.BAD_ARGUMENT))
        elif parameter.default is not None:
            values.append(parameter.default.value)
        else:
            raise ContractFault(FaultKind.BAD_ARGUMENT, NOWHERE)
    if given != len(arguments):
        raise ContractFault(FaultKind.BAD_ARGUMENT, NOWHERE)
    return values
