"""The allowance of one run: gas, memory, and the trace it leaves.

Owns the counters only. Where they are taken from is the engines' and operations' business, always in the same
order in both engines, always before the work that is paid for.
"""

from collections.abc import Callable, Mapping

from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.syntax.nodes import Value


class Meter:
    """Counters of one run, going down; below zero means that the run has stopped.

    Attributes:
        gas: steps left.
        memory: bytes left.
        trace: rule applications so far, as fields of `Step`.
        rules: rule ids the contract declares.
        host: the host's functions by name.
    """

    __slots__ = ("gas", "host", "memory", "rules", "trace")

    def __init__(
        self,
        *,
        gas: int,
        memory: int,
        rules: Mapping[str, str],
        host: Mapping[str, Callable[..., Value]],
    ) -> None:
        self.gas = gas
        self.memory = memory
        self.rules = rules
        self.host = host
        self.trace: list[tuple[str, int, str, int, int, Location]] = []

    def charge(self, gas: int, location: Location) -> None:
        """Take gas, or stop the run with OUT_OF_GAS."""
        self.gas -= gas
        if self.gas < 0:
            raise ContractFault(FaultKind.OUT_OF_GAS, location)

    def allocate(self, size_bytes: int, location: Location) -> None:
        """Take memory, or stop the run with OUT_OF_MEMORY."""
        self.memory -= size_bytes
        if self.memory < 0:
            raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
