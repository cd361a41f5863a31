"""The part of FHIRPath that R4 search parameter definitions are written in.

Owns the reading of such an expression into alternatives, each a path of steps from a resource. Known are paths,
`|`, `as` and `as()`, `ofType()`, `where(field = 'literal')`, `where(resolve() is Type)`, `extension('url')`,
an index `[n]`, and the one truth test of the definitions, `x.exists() and x != false`. Everything else is an
`ExpressionError`, so that a definition is never half understood.

It does not know which elements exist or what type they have (`careledger.standards.fhir.search.elements`), and
it evaluates nothing (`careledger.standards.fhir.search.extract`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

EXPRESSION_CHARS_MAX = 8_000
"""Longest expression read; the longest of R4 has some 2,500 characters."""


class ExpressionError(ValueError):
    """An expression goes beyond what is understood here; the text names the place."""


@dataclass(frozen=True, slots=True)
class Field:
    """Step to the child elements of that name."""

    name: str
    """Name of the element, without the type of a choice."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Keep only values of that type."""

    type_name: str
    """FHIR type, as written; `DateTime` occurs where `dateTime` is meant."""


@dataclass(frozen=True, slots=True)
class Item:
    """Keep only one item."""

    index: int
    """From 0."""


@dataclass(frozen=True, slots=True)
class Equals:
    """Keep only items with a child of that name and text."""

    name: str
    """Name of the child."""
    literal: str
    """Its text."""


@dataclass(frozen=True, slots=True)
class ResolvesTo:
    """Keep only references to resources of that type."""

    type_name: str
    """Resource type."""


@dataclass(frozen=True, slots=True)
class IsTrue:
    """The single boolean: something is there, and it is not `false`."""


Step: TypeAlias = Field | Cast | Item | Equals | ResolvesTo | IsTrue


@dataclass(frozen=True, slots=True)
class Path:
    """One alternative of an expression."""

    root: str
    """Resource type it starts from, `%resource`, or empty in a component of a composite."""
    steps: tuple[Step, ...]
    """In order."""


_TOKENS = re.compile(
    r"\s*(?:(?P<name>%?[A-Za-z][A-Za-z0-9]*)|(?P<text>'[^'\\]*')|(?P<number>[0-9]{1,3})|(?P<sign>!=|[.|()=\[\]]))"
)


class _Reader:
    """Tokens of one expression and the position among them."""

    def __init__(self, text: str) -> None:
        if len(text) > EXPRESSION_CHARS_MAX:
            raise ExpressionError("expression is too long")
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position = 0
        end = len(text.rstrip())
        while position < end:
            match = _TOKENS.match(text, position)
            if match is None:
                raise ExpressionError(f"unknown sign at character {position} of {text!r}")
            self.tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
            position = match.end()
        self.position = 0

    def refuse(self) -> ExpressionError:
        """Build the error for the token at the position."""
        return ExpressionError(f"not understood at token {self.position} of {self.text!r}")

    def peek(self, ahead: int = 0) -> str:
        """Return a token's text without passing it, or the empty text at the end."""
        index = self.position + ahead
        return self.tokens[index][1] if index < len(self.tokens) else ""

    def take(self, kind: str) -> str:
        """Pass a token of that kind and return its text.

        Raises:
            ExpressionError: Another kind stands here.
        """
        if self.position >= len(self.tokens) or self.tokens[self.position][0] != kind:
            raise self.refuse()
        self.position += 1
        return self.tokens[self.position - 1][1]

    def expect(self, *texts: str) -> None:
        """Pass exactly these tokens.

        Raises:
            ExpressionError: Something else stands here.
        """
        for text in texts:
            if self.peek() != text:
                raise self.refuse()
            self.position += 1

    def skip(self, text: str) -> bool:
        """Pass the token if it stands here, and say whether it did."""
        if self.peek() != text:
            return False
        self.position += 1
        return True


def parse_expression(text: str) -> tuple[Path, ...]:
    """Read a search parameter's expression into its alternatives, in order (FHIR R4 SearchParameter.expression).

    Raises:
        ExpressionError: The expression uses something that this module does not know.
    """
    reader = _Reader(text)
    paths = [_read_alternative(reader)]
    while reader.skip("|"):
        paths.append(_read_alternative(reader))
    if reader.position != len(reader.tokens):
        raise reader.refuse()
    return tuple(paths)


def _read_alternative(reader: _Reader) -> Path:
    """Read a path, a parenthesised one with a cast, or the truth test."""
    wrapped = reader.skip("(")
    path = _read_path(reader)
    if reader.skip("as"):
        path = Path(path.root, (*path.steps, Cast(reader.take("name"))))
    if wrapped:
        reader.expect(")")
        path = Path(path.root, (*path.steps, *_read_steps(reader)))
    if reader.skip("and"):
        return _read_truth(reader, path)
    if any(isinstance(step, IsTrue) for step in path.steps):
        raise reader.refuse()
    return path


def _read_truth(reader: _Reader, existing: Path) -> Path:
    """Read the second half of `x.exists() and x != false`, given the first."""
    other = _read_path(reader)
    reader.expect("!=", "false")
    if existing != Path(other.root, (*other.steps, IsTrue())):
        raise reader.refuse()
    return existing


def _read_path(reader: _Reader) -> Path:
    """Read a root and its steps; a path that starts in lower case is relative."""
    name = reader.take("name")
    if name == "%resource" or name[0].isupper():
        return Path(name, _read_steps(reader))
    return Path("", (Field(name), *_read_steps(reader)))


def _read_steps(reader: _Reader) -> tuple[Step, ...]:
    """Read the steps that follow, each after a dot or as an index."""
    steps: list[Step] = []
    while True:
        if reader.skip("["):
            steps.append(Item(int(reader.take("number"))))
            reader.expect("]")
        elif reader.skip("."):
            steps.extend(_read_step(reader))
        else:
            return tuple(steps)


def _read_step(reader: _Reader) -> tuple[Step, ...]:
    """Read one element name or function call."""
    name = reader.take("name")
    if not reader.skip("("):
        return (Field(name),)
    if name in {"as", "ofType"}:
        found: tuple[Step, ...] = (Cast(reader.take("name")),)
    elif name == "where":
        found = (_read_condition(reader),)
    elif name == "extension":
        found = (Field("extension"), Equals("url", reader.take("text")[1:-1]))
    elif name == "exists":
        found = (IsTrue(),)
    else:
        raise reader.refuse()
    reader.expect(")")
    return found


def _read_condition(reader: _Reader) -> Step:
    """Read what stands inside `where(...)`."""
    name = reader.take("name")
    if name == "resolve":
        reader.expect("(", ")", "is")
        return ResolvesTo(reader.take("name"))
    reader.expect("=")
    return Equals(name, reader.take("text")[1:-1])
