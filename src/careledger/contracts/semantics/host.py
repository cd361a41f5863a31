"""Functions a caller lends to a contract: declared, typed, metered.

Owns the declaration and the crossing of values; what a function does is the caller's business, and so is that it
does the same everywhere: pure, no clock, no state. An exception it raises is a defect of the caller and passes
through unchanged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.semantics.crossing import copy_in, copy_out
from careledger.contracts.semantics.library import LIBRARY
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import Value


class Kind(Enum):
    """Kinds of values a host function takes and gives."""

    NONE = "none"
    BOOL = "bool"
    INT = "int"
    STR = "str"
    LIST = "list"
    DICT = "dict"


_KIND_OF: Final[dict[type, Kind]] = {
    type(None): Kind.NONE,
    bool: Kind.BOOL,
    int: Kind.INT,
    str: Kind.STR,
    list: Kind.LIST,
    dict: Kind.DICT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSignature:
    """What a contract is checked against.

    Attributes:
        name: as the contract writes it.
        parameters: names, each with the kinds it accepts.
        result: kinds the function may answer with.
        gas: taken for every call, besides its arguments and the copying of its result.
    """

    name: str
    parameters: tuple[tuple[str, tuple[Kind, ...]], ...]
    result: tuple[Kind, ...]
    gas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """One row of a host's table: a signature and what is called, with its arguments by position."""

    signature: HostSignature
    call: Callable[..., Value]


class HostTable:
    """The functions one host lends, by name.

    Attributes:
        signatures: what contracts are checked against.
        calls: what engines call.
    """

    def __init__(self, functions: Iterable[HostFunction] = ()) -> None:
        self.signatures: dict[str, HostSignature] = {}
        self.calls: dict[str, Callable[..., Value]] = {}
        for function in functions:
            name = function.signature.name
            if name in LIBRARY or name in self.signatures:
                raise ValueError("a host function has a name that is taken")
            if function.signature.gas < 0:
                raise ValueError("a host function gives no gas back")
            self.signatures[name] = function.signature
            self.calls[name] = _crossing(function)


def _crossing(function: HostFunction) -> Callable[..., Value]:
    """Return what an engine calls: `call(meter, location, *arguments)`, copying and checking both ways."""
    kinds = tuple(kinds for _, kinds in function.signature.parameters)
    result_kinds = function.signature.result

    def call(meter: Meter, location: Location, *arguments: Value) -> Value:
        copied: list[Value] = []
        for accepted, argument in zip(kinds, arguments, strict=True):
            value = copy_out(meter, argument, FaultKind.TOO_DEEP, location)
            if _KIND_OF[type(value)] not in accepted:
                raise ContractFault(FaultKind.WRONG_TYPE, location)
            copied.append(value)
        try:
            answer = function.call(*copied)
        except ContractFault as fault:
            # A fault of another contract, run by the host, must not pass for a fault of this one.
            raise RuntimeError("a host function let a contract's fault through") from fault
        result = copy_in(meter, answer, FaultKind.BAD_HOST_RESULT, location)
        if _KIND_OF[type(result)] not in result_kinds:
            raise ContractFault(FaultKind.BAD_HOST_RESULT, location)
        return result

    return call


NO_HOST: Final = HostTable()
"""The host that lends nothing."""
