"""Parsing of expressions, by precedence.

Owns the grammar of everything that has a value; `parser` builds statements on it. Recursion follows
brackets and prefix operators only and is bounded; chains such as `a + b + c` are loops.
"""

from typing import Final, NoReturn

from careledger.contracts.faults import FaultKind
from careledger.contracts.limits import NESTING_MAX
from careledger.contracts.syntax.lexer import KEYWORD, NAME, NUMBER, OPERATOR, TEXT, Token, refuse
from careledger.contracts.syntax.nodes import (
    Argument,
    Binary,
    Call,
    Clause,
    Comparison,
    Comprehension,
    Conditional,
    DictDisplay,
    Expression,
    Index,
    ListDisplay,
    Literal,
    Logical,
    MethodCall,
    Name,
    Slice,
    Unary,
)

_PRECEDENCE: Final = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "//", "%"), 6),
}
_PRECEDENCE_NOT: Final = 3
_PRECEDENCE_COMPARISON: Final = 4
_REFUSED: Final = {
    "lambda": "functions are written with `def`, at the top level",
    "await": "there is nothing to wait for",
    "yield": "functions give one value, with `return`",
    "is": "compare with `==`",
}
_SINGLETONS: Final = {"True": True, "False": False, "None": None}


class ExpressionParser:
    """A position in a list of tokens, and the rules of expressions."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0
        self.token = tokens[0]
        self.depth = 0

    def advance(self) -> Token:
        """Return the current token and go to the next."""
        token = self.token
        self.index += 1
        self.token = self.tokens[self.index]
        return token

    def at(self, kind: str, text: str) -> bool:
        """Tell whether the current token is this one."""
        return self.token.kind == kind and self.token.text == text

    def accept(self, kind: str, text: str) -> bool:
        """Step over the current token if it is this one."""
        found = self.at(kind, text)
        if found:
            self.advance()
        return found

    def expect(self, kind: str, text: str) -> Token:
        """Step over this token, or refuse the source."""
        if not self.at(kind, text):
            self.refuse_token(f"`{text}` is expected here")
        return self.advance()

    def expect_name(self, what: str) -> Token:
        """Step over a name, or refuse the source saying `what` is expected."""
        if self.token.kind == KEYWORD:
            refuse(
                FaultKind.NAME_REFUSED, self.token.location, f"`{self.token.text}` is a word of the language"
            )
        if self.token.kind != NAME:
            self.refuse_token(f"{what} is expected here")
        return self.advance()

    def refuse_token(self, detail: str) -> NoReturn:
        """Refuse the source at the current token."""
        refuse(FaultKind.SYNTAX, self.token.location, detail)

    def enter(self) -> None:
        """Go one level deeper; `leave` comes back."""
        self.depth += 1
        if self.depth > NESTING_MAX:
            refuse(FaultKind.TOO_NESTED, self.token.location, FaultKind.TOO_NESTED.words)

    def leave(self) -> None:
        """Come back from one `enter`."""
        self.depth -= 1

    def expression(self) -> Expression:
        """Parse a whole expression, `a if c else b` included."""
        self.enter()
        value = self.operation(1)
        if self.at(KEYWORD, "if"):
            location = self.advance().location
            test = self.operation(1)
            self.expect(KEYWORD, "else")
            value = Conditional(location, test, value, self.expression())
        self.leave()
        return value

    def operation(self, minimum: int) -> Expression:
        """Parse an expression whose operators bind at least as tightly as `minimum`."""
        if minimum <= _PRECEDENCE_NOT and self.at(KEYWORD, "not"):
            location = self.advance().location
            self.enter()
            left: Expression = Unary(location, "not", self.operation(_PRECEDENCE_NOT))
            self.leave()
        else:
            left = self._prefixed()
        while True:
            operator = self._operator()
            precedence = _PRECEDENCE.get(operator, 0)
            if precedence < minimum:
                return left
            location = self.token.location
            if operator in ("and", "or"):
                operands = [left]
                while self.accept(KEYWORD, operator):
                    operands.append(self.operation(precedence + 1))
                left = Logical(location, operator, tuple(operands))
                continue
            self.advance()
            if operator == "not in":
                self.advance()
            right = self.operation(precedence + 1)
            if precedence != _PRECEDENCE_COMPARISON:
                left = Binary(location, operator, left, right)
                continue
            if _PRECEDENCE.get(self._operator(), 0) == _PRECEDENCE_COMPARISON:
                detail = "comparisons cannot be chained; write `a < b and b < c`"
                refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, detail)
            left = Comparison(location, operator, left, right)

    def _operator(self) -> str:
        """Return the operator the current token begins, or "" for any other token."""
        token = self.token
        if token.kind == OPERATOR:
            return token.text
        if token.kind != KEYWORD:
            return ""
        if token.text == "is":
            refuse(FaultKind.NOT_IN_LANGUAGE, token.location, _REFUSED["is"])
        if token.text == "not" and self.tokens[self.index + 1].text == "in":
            return "not in"
        return token.text

    def _prefixed(self) -> Expression:
        """Parse `-x` and `+x`; a sign before a number makes one literal."""
        if not (self.at(OPERATOR, "-") or self.at(OPERATOR, "+")):
            return self._postfixed()
        sign = self.advance()
        self.enter()
        operand = self._prefixed()
        self.leave()
        if isinstance(operand, Literal) and type(operand.value) is int:
            return Literal(sign.location, -operand.value if sign.text == "-" else operand.value)
        return Unary(sign.location, sign.text, operand)

    def _postfixed(self) -> Expression:
        """Parse an atom and the calls, methods and indexes that follow it."""
        value = self._atom()
        while self.token.kind == OPERATOR:
            if self.token.text == "[":
                value = self._subscript(value)
            elif self.token.text == ".":
                self.advance()
                method = self.expect_name("the name of a method")
                if not self.at(OPERATOR, "("):
                    detail = f'there are no attributes; write x["{method.text}"]'
                    refuse(FaultKind.NOT_IN_LANGUAGE, method.location, detail)
                arguments = self._arguments()
                for argument in arguments:
                    if argument.name is not None:
                        detail = "methods take their arguments by position"
                        refuse(FaultKind.NOT_IN_LANGUAGE, argument.location, detail)
                value = MethodCall(method.location, value, method.text, tuple(a.value for a in arguments))
            elif self.token.text == "(":
                if not isinstance(value, Name):
                    detail = "only a function's name can be called"
                    refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, detail)
                value = Call(value.location, value.identifier, self._arguments())
            else:
                break
        return value

    def _subscript(self, container: Expression) -> Expression:
        location = self.expect(OPERATOR, "[").location
        start = None if self.at(OPERATOR, ":") else self.expression()
        if not self.at(OPERATOR, ":"):
            self.expect(OPERATOR, "]")
            if start is None:
                self.refuse_token("an index is expected here")
            return Index(location, container, start)
        self.advance()
        has_stop = not (self.at(OPERATOR, "]") or self.at(OPERATOR, ":"))
        stop = self.expression() if has_stop else None
        if self.at(OPERATOR, ":"):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "slices have no step")
        self.expect(OPERATOR, "]")
        return Slice(location, container, start, stop)

    def _arguments(self) -> tuple[Argument, ...]:
        self.expect(OPERATOR, "(")
        arguments: list[Argument] = []
        while not self.at(OPERATOR, ")"):
            location = self.token.location
            if self.at(OPERATOR, "*"):
                refuse(FaultKind.NOT_IN_LANGUAGE, location, "arguments are written out one by one")
            name = None
            if self.token.kind == NAME and self.tokens[self.index + 1].text == "=":
                name = self.advance().text
                self.advance()
            elif arguments and arguments[-1].name is not None:
                self.refuse_token("arguments by position come before those by name")
            arguments.append(Argument(location, name, self.expression()))
            if self.at(KEYWORD, "for"):
                refuse(
                    FaultKind.NOT_IN_LANGUAGE, self.token.location, "put the comprehension in brackets [ ]"
                )
            if not self.accept(OPERATOR, ","):
                break
        self.expect(OPERATOR, ")")
        return tuple(arguments)

    def _atom(self) -> Expression:
        token = self.token
        if token.kind == NUMBER:
            self.advance()
            return Literal(token.location, token.value)
        if token.kind == TEXT:
            self.advance()
            if self.token.kind == TEXT:
                refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "join two texts with `+`")
            return Literal(token.location, token.value)
        if token.kind == NAME:
            self.advance()
            return Name(token.location, token.text)
        if token.kind == KEYWORD and token.text in _SINGLETONS:
            self.advance()
            return Literal(token.location, _SINGLETONS[token.text])
        if token.kind == KEYWORD and token.text in _REFUSED:
            refuse(FaultKind.NOT_IN_LANGUAGE, token.location, _REFUSED[token.text])
        if token.kind == OPERATOR and token.text == "(":
            return self._parenthesised()
        if token.kind == OPERATOR and token.text == "[":
            return self._list()
        if token.kind != OPERATOR or token.text != "{":
            self.refuse_token("a value is expected here")
        return self._dict()

    def _parenthesised(self) -> Expression:
        location = self.advance().location
        if self.at(OPERATOR, ")"):
            refuse(FaultKind.NOT_IN_LANGUAGE, location, "there are no tuples; use a list [ ]")
        value = self.expression()
        if self.at(OPERATOR, ","):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "there are no tuples; use a list [ ]")
        if self.at(KEYWORD, "for"):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "put the comprehension in brackets [ ]")
        self.expect(OPERATOR, ")")
        return value

    def _list(self) -> Expression:
        location = self.advance().location
        elements: list[Expression] = []
        while not self.at(OPERATOR, "]"):
            elements.append(self.expression())
            if len(elements) == 1 and self.at(KEYWORD, "for"):
                clauses = self._clauses()
                self.expect(OPERATOR, "]")
                return Comprehension(location, None, elements[0], clauses)
            if not self.accept(OPERATOR, ","):
                break
        self.expect(OPERATOR, "]")
        return ListDisplay(location, tuple(elements))

    def _dict(self) -> Expression:
        location = self.advance().location
        entries: list[tuple[Expression, Expression]] = []
        while not self.at(OPERATOR, "}"):
            key = self.expression()
            if self.at(OPERATOR, ",") or self.at(OPERATOR, "}") or self.at(KEYWORD, "for"):
                refuse(FaultKind.NOT_IN_LANGUAGE, location, "there are no sets; use a list [ ]")
            self.expect(OPERATOR, ":")
            entries.append((key, self.expression()))
            if len(entries) == 1 and self.at(KEYWORD, "for"):
                clauses = self._clauses()
                self.expect(OPERATOR, "}")
                return Comprehension(location, key, entries[0][1], clauses)
            if not self.accept(OPERATOR, ","):
                break
        self.expect(OPERATOR, "}")
        return DictDisplay(location, tuple(entries))

    def _clauses(self) -> tuple[Clause, ...]:
        clauses: list[Clause] = []
        while self.at(KEYWORD, "for"):
            location = self.advance().location
            targets = self.targets()
            self.expect(KEYWORD, "in")
            iterable = self.operation(1)
            conditions: list[Expression] = []
            while self.accept(KEYWORD, "if"):
                conditions.append(self.operation(1))
            clauses.append(Clause(location, targets, iterable, tuple(conditions)))
        return tuple(clauses)

    def targets(self) -> tuple[Name, ...]:
        """Parse the names of a `for`: one, or several separated by commas."""
        targets: list[Name] = []
        while True:
            token = self.expect_name("a name")
            targets.append(Name(token.location, token.text))
            if not self.accept(OPERATOR, ","):
                return tuple(targets)
