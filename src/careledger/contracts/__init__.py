"""The deterministic, metered contract runtime.

An insurance plan is a contract: a text in a small subset of Python (see `docs/contracts.md`), checked once, then run on
documents. The same source on the same documents gives the same result, fault, gas and trace everywhere, and whatever
the source does, the host is unharmed. This package needs the standard library only; `documents` (msgspec) and
`cases` (PyYAML) are the exceptions and are imported on their own.

It does not know claims, plans on the ledger, or files.
"""

from careledger.contracts.checking import CheckedContract, check
from careledger.contracts.faults import (
    NOWHERE,
    ContractFault,
    ContractRefused,
    FaultKind,
    Location,
    Problem,
    Step,
    point_at,
)
from careledger.contracts.limits import ENGINE_VERSION
from careledger.contracts.runtime import Engine, Outcome, run
from careledger.contracts.semantics.host import NO_HOST, HostFunction, HostSignature, HostTable, Kind
from careledger.contracts.syntax.nodes import Value

__all__ = [
    "ENGINE_VERSION",
    "NOWHERE",
    "NO_HOST",
    "CheckedContract",
    "ContractFault",
    "ContractRefused",
    "Engine",
    "FaultKind",
    "HostFunction",
    "HostSignature",
    "HostTable",
    "Kind",
    "Location",
    "Outcome",
    "Problem",
    "Step",
    "Value",
    "check",
    "point_at",
    "run",
]
