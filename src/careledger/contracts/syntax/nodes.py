"""The tree: what a contract is, independent of any interpreter.

The parser builds it; `resolving` rebuilds it with every name settled: a local variable has its slot, a
constant has become a literal, a call is one of a function, of the library or of the host, and `Charge`
stands where gas is taken. Both engines take the settled tree, so they cannot disagree about scope or cost.

A node's location is the place a fault of this node is reported at: the operator of an operation, the bracket
of an index, the name of a call, the first character of anything else.
"""

from dataclasses import dataclass

from careledger.contracts.faults import Location

Value = None | bool | int | str | list["Value"] | dict[str | int, "Value"]
"""Every value of the language. `True` and `1` are different values here, as in Starlark."""


class FrozenList(list[Value]):
    """A list constant: shared by all runs, so nothing may change it."""

    __slots__ = ()


class FrozenDict(dict[str | int, Value]):
    """A dictionary constant: shared by all runs, so nothing may change it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, True, False or None; after checking also a constant's value."""

    location: Location
    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A name; once settled, the local variable in `slot`."""

    location: Location
    identifier: str
    slot: int = -1


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `+x` or `not x`."""

    location: Location
    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """One of `+ - * // %`."""

    location: Location
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of `== != < <= > >= in`, and `not in`; never chained."""

    location: Location
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Logical:
    """`a and b and …` or `a or b or …`; the value is that of the operand that decided."""

    location: Location
    operator: str
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if test else otherwise`."""

    location: Location
    test: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class Index:
    """`container[key]`."""

    location: Location
    container: "Expression"
    key: "Expression"


@dataclass(frozen=True, slots=True)
class Slice:
    """`container[start:stop]`, either bound possibly absent."""

    location: Location
    container: "Expression"
    start: "Expression | None"
    stop: "Expression | None"


@dataclass(frozen=True, slots=True)
class ListDisplay:
    """`[a, b, …]`."""

    location: Location
    elements: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class DictDisplay:
    """`{key: value, …}`."""

    location: Location
    entries: tuple[tuple["Expression", "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """`for a, b in iterable if condition …` of a comprehension."""

    location: Location
    targets: tuple[Name, ...]
    iterable: "Expression"
    conditions: tuple["Expression", ...]
    gas: int = 0
    """Taken for every element, before the conditions; set when settled."""


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[element for …]`, or `{key: element for …}` where `key` is present."""

    location: Location
    key: "Expression | None"
    element: "Expression"
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `name` where it is given by name."""

    location: Location
    name: str | None
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """`function(…)`, not yet settled."""

    location: Location
    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class MethodCall:
    """`receiver.method(…)`; arguments by position only."""

    location: Location
    receiver: "Expression"
    method: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class SettledCall:
    """A call whose target and arguments are known; `arguments` stand in the order they are evaluated in."""

    location: Location
    function: str
    arguments: tuple["Expression", ...]
    order: tuple[int, ...] | None
    """Where argument i belongs among the parameters; None where the two orders agree."""


class FunctionCall(SettledCall):
    """A call of a function of the source."""

    __slots__ = ()


class LibraryCall(SettledCall):
    """A call of a function of the language's library."""

    __slots__ = ()


class HostCall(SettledCall):
    """A call of a function of the host."""

    __slots__ = ()


Expression = (
    Literal
    | Name
    | Unary
    | Binary
    | Comparison
    | Logical
    | Conditional
    | Index
    | Slice
    | ListDisplay
    | DictDisplay
    | Comprehension
    | Call
    | MethodCall
    | FunctionCall
    | LibraryCall
    | HostCall
)


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = value` or `container[key] = value`."""

    location: Location
    target: Name | Index
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Augment:
    """`target operator= value`."""

    location: Location
    operator: str
    target: Name | Index
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Unpack:
    """`a, b = value`."""

    location: Location
    targets: tuple[Name, ...]
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A call standing alone."""

    location: Location
    value: "Expression"


@dataclass(frozen=True, slots=True)
class If:
    """`if` and its `elif` arms, then `else` (empty where absent)."""

    location: Location
    arms: tuple[tuple["Expression", "Suite"], ...]
    otherwise: "Suite"


@dataclass(frozen=True, slots=True)
class For:
    """`for a, b in iterable:`."""

    location: Location
    targets: tuple[Name, ...]
    iterable: "Expression"
    body: "Suite"


@dataclass(frozen=True, slots=True)
class Return:
    """`return value`; None where the value is left out."""

    location: Location
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Break:
    """`break`."""

    location: Location


@dataclass(frozen=True, slots=True)
class Continue:
    """`continue`."""

    location: Location


@dataclass(frozen=True, slots=True)
class Pass:
    """`pass`."""

    location: Location


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; `default` is a literal where there is one."""

    location: Location
    identifier: str
    default: Literal | None


@dataclass(frozen=True, slots=True)
class Function:
    """`def identifier(parameters): body`; `description` is its leading text, if any."""

    location: Location
    identifier: str
    parameters: tuple[Parameter, ...]
    description: str
    body: "Suite"


@dataclass(frozen=True, slots=True)
class Charge:
    """Take gas for the statements that follow, up to the next `Charge` (settled trees only)."""

    location: Location
    gas: int


Statement = Assign | Augment | Unpack | Evaluate | If | For | Return | Break | Continue | Pass | Charge
Suite = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """A whole source as parsed: constants and functions, each in the order of the text."""

    constants: tuple[Assign, ...]
    functions: tuple[Function, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A settled source: what the engines take."""

    functions: dict[str, "SettledFunction"]
    """In the order of the text."""


@dataclass(frozen=True, slots=True)
class SettledFunction:
    """A function with its variables counted; parameters have the first slots."""

    location: Location
    identifier: str
    parameters: tuple[Parameter, ...]
    description: str
    variables: tuple[str, ...]
    """Names by slot; a comprehension's variables have slots of their own."""
    body: Suite
