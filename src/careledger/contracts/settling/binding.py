"""Which argument of a call goes to which parameter, settled when the source is checked.

The target of every call is known then, so a call that does not fit is refused before anything runs, and the
engines see arguments by position only. Arguments are evaluated in the order they are written in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from careledger.contracts.syntax.nodes import Argument, Expression, Literal


@dataclass(frozen=True, slots=True)
class Formal:
    """A parameter as a call sees it; `default` is None where the argument must be given."""

    name: str
    default: Literal | None


@dataclass(frozen=True, slots=True)
class Binding:
    """Arguments in the order written, then defaults; `order[i]` is the place of argument i (None: as they stand)."""

    arguments: tuple[Expression, ...]
    order: tuple[int, ...] | None


def bind(arguments: Sequence[Argument], formals: Sequence[Formal]) -> Binding | str:
    """Return where each argument goes, or a sentence saying why the call does not fit."""
    if len(arguments) > len(formals):
        return f"{len(formals)} arguments are expected here, not {len(arguments)}"
    places: list[int] = []
    for position, argument in enumerate(arguments):
        if argument.name is None:
            places.append(position)
            continue
        place = next((i for i, formal in enumerate(formals) if formal.name == argument.name), None)
        if place is None:
            return f"there is no parameter `{argument.name}`"
        if place in places:
            return f"`{argument.name}` is given twice"
        places.append(place)
    values = [argument.value for argument in arguments]
    for place, formal in enumerate(formals):
        if place in places:
            continue
        if formal.default is None:
            return f"`{formal.name}` is missing"
        places.append(place)
        values.append(formal.default)
    return Binding(tuple(values), None if places == list(range(len(places))) else tuple(places))
