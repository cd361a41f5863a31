"""What the closures of the normative engine share: frames, signals, and how nodes find their builders."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final

from careledger.contracts.faults import Location
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import Expression, Literal, Name, Value

Frame = list[Value]
"""The variables of a running function, by slot."""
Signal = tuple[Value, ...] | None
"""How a statement ends: None goes on, a one-element tuple returns its element, or one of the two below."""
BREAK: Final[tuple[Value, ...]] = ("break", None)
CONTINUE: Final[tuple[Value, ...]] = ("continue", None)

Evaluator = Callable[[Frame, Meter], Value]
Executor = Callable[[Frame, Meter], Signal]
Binder = Callable[[Frame, Meter, Value], None]


def nothing(_frame: Frame, _meter: Meter) -> Signal:
    """Run an empty suite."""
    return None


class Callee:
    """A function of the source, ready to run: its body, and the part of its frame behind the arguments."""

    __slots__ = ("blank", "body")

    def __init__(self) -> None:
        self.body: Executor = nothing
        self.blank: Frame = []


class Compilation:
    """The functions of one program, the builder of each kind of expression, and the function being built.

    Literals that stand where a variable could stand get places in the frame behind the variables, so that what
    is called with variables and literals alone can pick them all at once.
    """

    def __init__(self, builders: Mapping[type, Callable[..., Evaluator]]) -> None:
        self.builders = builders
        self.callees: dict[str, Callee] = {}
        self._variables = 0
        self._literals: list[Value] = []
        self._places: dict[tuple[type, Value], int] = {}

    def begin(self, variables: int) -> None:
        """Start a function with so many variables."""
        self._variables = variables
        self._literals = []
        self._places = {}

    def blank(self, arguments: int) -> Frame:
        """Return the part of the frame behind the arguments, as it is before a call of the function just built."""
        return [*[None] * (self._variables - arguments), *self._literals]

    def evaluator(self, node: Expression) -> Evaluator:
        """Return the closure of a settled expression."""
        return self.builders[type(node)](node, self)

    def slot(self, node: Name | Literal) -> int:
        """Return where the value of a variable or literal is in the frame."""
        if isinstance(node, Name):
            return node.slot
        value = node.value
        if isinstance(value, list | dict):
            self._literals.append(value)
            return self._variables + len(self._literals) - 1
        place = self._places.setdefault((type(value), value), self._variables + len(self._literals))
        if place == self._variables + len(self._literals):
            self._literals.append(value)
        return place

    def picker(self, nodes: Sequence[Expression]) -> Callable[[Frame], tuple[Value, ...]] | None:
        """Return what picks variables and literals from a frame; None where anything else is among the nodes."""
        leaves = [node for node in nodes if isinstance(node, Name | Literal)]
        if not leaves or len(leaves) != len(nodes):
            return None
        slots = [self.slot(leaf) for leaf in leaves]
        if len(slots) == 1:
            (slot,) = slots
            return lambda frame: (frame[slot],)
        return itemgetter(*slots)


def binder(targets: tuple[Name, ...], location: Location) -> Binder:
    """Return what gives the names of a loop or an assignment their values."""
    slots = tuple(target.slot for target in targets)
    count = len(slots)
    if count == 1:
        slot = slots[0]

        def bind(frame: Frame, _meter: Meter, value: Value) -> None:
            frame[slot] = value

        return bind

    if count == 2:
        one, two = slots

        def unpack_two(frame: Frame, meter: Meter, value: Value) -> None:
            frame[one], frame[two] = op.unpacked(meter, value, 2, location)

        return unpack_two

    def unpack(frame: Frame, meter: Meter, value: Value) -> None:
        for slot, element in zip(slots, op.unpacked(meter, value, count, location), strict=True):
            frame[slot] = element

    return unpack
