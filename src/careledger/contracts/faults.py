"""What can go wrong with a contract: numbered kinds, located, in plain words.

Numbers are stable and never reused: 1xx a source that is refused, 2xx a run that stops, 3xx what the caller
handed over. No text here carries a value of the claim being decided; kinds, positions and, for a
refused source, names from the source itself are all there is.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Location(NamedTuple):
    """A place in a source text; both counted from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


NOWHERE = Location(0, 0)
"""The place of what has none in the source: the arguments and the result as a whole."""


class FaultKind(IntEnum):
    """Stable numbers of everything that can be wrong with a source, a run or a caller's request."""

    SOURCE_TOO_LARGE = 101
    BAD_CHARACTER = 102
    SYNTAX = 103
    NOT_IN_LANGUAGE = 104
    TOO_NESTED = 105
    NAME_REFUSED = 106
    UNKNOWN_NAME = 107
    NAME_TAKEN = 108
    MAY_HAVE_NO_VALUE = 109
    WRONG_CALL = 110
    RECURSION = 111
    LITERAL_OUT_OF_RANGE = 112
    BAD_ENTRY_POINTS = 113
    BAD_RULES = 114
    BAD_CONSTANT = 115
    TOO_MANY = 116

    OUT_OF_GAS = 201
    OUT_OF_MEMORY = 202
    WRONG_TYPE = 203
    NUMBER_TOO_LARGE = 204
    DIVISION_BY_ZERO = 205
    NO_SUCH_ELEMENT = 206
    NO_SUCH_KEY = 207
    TOO_LONG = 208
    BAD_KEY = 209
    UNKNOWN_RULE = 210
    PLAN_STOPPED = 211
    WRONG_COUNT = 212
    CONSTANT_CHANGED = 213
    BAD_VALUE = 214
    TOO_DEEP = 215
    NO_SUCH_METHOD = 216
    BAD_HOST_RESULT = 217

    UNKNOWN_ENTRY = 301
    BAD_ARGUMENT = 302
    BAD_RESULT = 303
    HOST_MISMATCH = 304

    @property
    def words(self) -> str:
        """Return the kind in plain words, for a person who writes plans."""
        return _WORDS[self]


_WORDS: dict[FaultKind, str] = {
    FaultKind.SOURCE_TOO_LARGE: "the source is too long",
    FaultKind.BAD_CHARACTER: "this character is not allowed here",
    FaultKind.SYNTAX: "this is not written as the language asks",
    FaultKind.NOT_IN_LANGUAGE: "the contract language does not have this",
    FaultKind.TOO_NESTED: "this is nested too deeply; split it into several lines or functions",
    FaultKind.NAME_REFUSED: "this name cannot be used",
    FaultKind.UNKNOWN_NAME: "nothing has this name",
    FaultKind.NAME_TAKEN: "this name already means something else",
    FaultKind.MAY_HAVE_NO_VALUE: "this may have no value yet",
    FaultKind.WRONG_CALL: "this call does not fit the function",
    FaultKind.RECURSION: "a function may not call itself, directly or through others",
    FaultKind.LITERAL_OUT_OF_RANGE: "this number or text is too large",
    FaultKind.BAD_ENTRY_POINTS: "ENTRY_POINTS must list functions of this source",
    FaultKind.BAD_RULES: "RULES must give plain words to each rule id",
    FaultKind.BAD_CONSTANT: "this constant cannot be computed",
    FaultKind.TOO_MANY: "there are too many of these",
    FaultKind.OUT_OF_GAS: "the computation used up its allowance of steps",
    FaultKind.OUT_OF_MEMORY: "the computation used up its allowance of memory",
    FaultKind.WRONG_TYPE: "these kinds of values cannot be used this way",
    FaultKind.NUMBER_TOO_LARGE: "the number is too large",
    FaultKind.DIVISION_BY_ZERO: "a division by zero, or by a divisor that must be positive and is not",
    FaultKind.NO_SUCH_ELEMENT: "the list or text has no element at this position",
    FaultKind.NO_SUCH_KEY: "the dictionary has no such key",
    FaultKind.TOO_LONG: "the text, list or dictionary would become too long",
    FaultKind.BAD_KEY: "only short texts and whole numbers of moderate size can be keys, each once",
    FaultKind.UNKNOWN_RULE: "RULES has no such rule id",
    FaultKind.PLAN_STOPPED: "the plan itself stopped here with fail()",
    FaultKind.WRONG_COUNT: "the number of values differs from the number of names",
    FaultKind.CONSTANT_CHANGED: "a constant cannot be changed; copy it first with list() or dict()",
    FaultKind.BAD_VALUE: "the function does not accept this value",
    FaultKind.TOO_DEEP: "lists and dictionaries are nested too deeply, or contain themselves",
    FaultKind.NO_SUCH_METHOD: "this kind of value has no such method",
    FaultKind.BAD_HOST_RESULT: "a function of the host answered with something it had not declared",
    FaultKind.UNKNOWN_ENTRY: "the contract declares no such entry point",
    FaultKind.BAD_ARGUMENT: "the arguments do not fit the entry point or the limits on values",
    FaultKind.BAD_RESULT: "the result does not fit the limits on values",
    FaultKind.HOST_MISMATCH: "the host's functions are not those the contract was checked with",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a source is refused."""

    kind: FaultKind
    location: Location
    detail: str
    """A sentence for the author, naming things of the source; never a claim's values."""

    def __str__(self) -> str:
        return f"{self.location}: {self.detail} [{self.kind.value}]"


class ContractRefused(Exception):  # noqa: N818 - named for what happened, as Rejected is
    """The source text is not a contract; `problems` says why, in the order of the text."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class Step(NamedTuple):
    """One application of a rule to one amount: an entry of the trace."""

    rule_id: str
    line: int
    """Claim line the amount belongs to; 0 for the claim as a whole."""
    amount: str
    """Which amount: `allowed`, `deductible`, …, as the plan names it."""
    before: int
    after: int
    location: Location


class ContractFault(Exception):  # noqa: N818 - a fault is the language's own word for it
    """A run stopped. Kind and location are the same on every node, in either engine.

    Attributes:
        kind: numbered kind.
        location: where in the source; `NOWHERE` for arguments, result and request.
        gas_used: steps used up to the stop, never above the allowance.
        memory_bytes_used: bytes charged up to the stop, never above the allowance.
        trace: the rules applied before the stop.
    """

    def __init__(self, kind: FaultKind, location: Location, detail: str = "") -> None:
        self.kind = kind
        self.location = location
        self.detail = detail
        self.gas_used = 0
        self.memory_bytes_used = 0
        self.trace: tuple[Step, ...] = ()
        super().__init__(kind, location)

    def __str__(self) -> str:
        words = self.detail or self.kind.words
        place = "" if self.location == NOWHERE else f"{self.location}: "
        return f"{place}{words} [{self.kind.value}]"


def point_at(source: str, location: Location) -> str:
    """Return the source line of a location with a caret under its column, or "" where there is none."""
    lines = source.split("\n")
    if not 1 <= location.line <= len(lines):
        return ""
    text = lines[location.line - 1].rstrip("\r")
    return f"{text}\n{' ' * (location.column - 1)}^"
