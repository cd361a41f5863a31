"""Source text to syntax tree.

Owns the grammar of statements and of a whole source; names are not looked at here (see `resolving`). The
first thing that does not fit is reported, in words that say what to write instead.
"""

from typing import Final

from careledger.contracts.faults import FaultKind, Location
from careledger.contracts.syntax.expressions import ExpressionParser
from careledger.contracts.syntax.lexer import (
    DEDENT,
    END,
    INDENT,
    KEYWORD,
    NEWLINE,
    OPERATOR,
    TEXT,
    refuse,
    tokenize,
)
from careledger.contracts.syntax.nodes import (
    Assign,
    Augment,
    Break,
    Call,
    Continue,
    Evaluate,
    Expression,
    For,
    Function,
    If,
    Index,
    Literal,
    MethodCall,
    Module,
    Name,
    Parameter,
    Pass,
    Return,
    Statement,
    Suite,
    Unpack,
)

_REFUSED: Final = {
    "while": "loops go over a list, a dictionary or a range: `for i in range(10):`",
    "import": "a contract uses nothing but the language's own functions and those of the host",
    "from": "a contract uses nothing but the language's own functions and those of the host",
    "load": "a contract uses nothing but the language's own functions and those of the host",
    "try": "a contract does not catch faults; test the condition before",
    "raise": 'stop with fail("why")',
    "assert": 'stop with fail("why")',
    "class": "there are no classes; use dictionaries",
    "with": "there is no `with`",
    "global": "constants cannot be reassigned; pass values and return them",
    "nonlocal": "pass values and return them",
    "del": "use the method pop()",
    "async": "there is nothing to wait for",
    "else": "`else` belongs directly under an `if`",
    "elif": "`elif` belongs directly under an `if`",
}
_WORDS: Final[dict[str, type[Pass] | type[Break] | type[Continue]]] = {
    "pass": Pass,
    "break": Break,
    "continue": Continue,
}
_AUGMENTED: Final = {"+=": "+", "-=": "-", "*=": "*", "//=": "//", "%=": "%"}


def parse(source: str) -> Module:
    """Return the syntax tree of a source.

    Raises:
        ContractRefused: with the first problem of the text.
    """
    return _Parser(tokenize(source)).module()


class _Parser(ExpressionParser):
    """The rules of statements."""

    def module(self) -> Module:
        constants: list[Assign] = []
        functions: list[Function] = []
        self._description()
        while self.token.kind != END:
            if self.at(KEYWORD, "def"):
                functions.append(self._function())
                continue
            location = self.token.location
            if self.token.kind == KEYWORD and self.token.text in _REFUSED:
                refuse(FaultKind.NOT_IN_LANGUAGE, location, _REFUSED[self.token.text])
            if self.token.kind in (INDENT, DEDENT):
                self.refuse_token("this line is indented and should not be")
            statement = self._simple()
            if not (isinstance(statement, Assign) and isinstance(statement.target, Name)):
                detail = "outside functions only `NAME = value` and `def` are written"
                refuse(FaultKind.NOT_IN_LANGUAGE, location, detail)
            constants.append(statement)
        return Module(tuple(constants), tuple(functions))

    def _description(self) -> str:
        """Step over the text that may stand first in a source or function and return it."""
        if self.token.kind == TEXT and self.tokens[self.index + 1].kind == NEWLINE:
            text = str(self.advance().value)
            self.advance()
            return text
        return ""

    def _function(self) -> Function:
        self.expect(KEYWORD, "def")
        name = self.expect_name("the function's name")
        self.expect(OPERATOR, "(")
        parameters: list[Parameter] = []
        while not self.at(OPERATOR, ")"):
            if self.at(OPERATOR, "*"):
                refuse(
                    FaultKind.NOT_IN_LANGUAGE, self.token.location, "parameters are written out one by one"
                )
            parameters.append(self._parameter(after_default=any(p.default is not None for p in parameters)))
            if not self.accept(OPERATOR, ","):
                break
        self.expect(OPERATOR, ")")
        self.expect(OPERATOR, ":")
        if self.token.kind == NEWLINE and self.tokens[self.index + 1].kind == INDENT:
            self.advance()
            self.advance()
            description = self._description()
            body: list[Statement] = []
            while self.token.kind != DEDENT:
                body.append(self._statement())
            self.advance()
            if not body and not description:
                self.refuse_token("an indented line is expected here")
            return Function(name.location, name.text, tuple(parameters), description, tuple(body))
        return Function(name.location, name.text, tuple(parameters), "", self._suite())

    def _parameter(self, *, after_default: bool) -> Parameter:
        token = self.expect_name("a parameter's name")
        if self.at(OPERATOR, ":"):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "there are no type annotations")
        if not self.accept(OPERATOR, "="):
            if after_default:
                refuse(FaultKind.SYNTAX, token.location, "parameters with a default come last")
            return Parameter(token.location, token.text, None)
        location = self.token.location
        default = self.expression()
        if not isinstance(default, Literal):
            refuse(FaultKind.NOT_IN_LANGUAGE, location, "a default is a number, a text, True, False or None")
        return Parameter(token.location, token.text, default)

    def _suite(self) -> Suite:
        """Parse the statements under a colon: indented lines, or one statement on the same line."""
        if self.token.kind != NEWLINE:
            return (self._simple(),)
        self.advance()
        if self.token.kind != INDENT:
            self.refuse_token("an indented line is expected here")
        self.advance()
        self.enter()
        statements: list[Statement] = []
        while self.token.kind != DEDENT:
            statements.append(self._statement())
        self.advance()
        self.leave()
        return tuple(statements)

    def _statement(self) -> Statement:
        if self.token.kind == INDENT:
            self.refuse_token("this line is indented more than the one before")
        if self.token.kind == KEYWORD:
            if self.token.text == "if":
                return self._if()
            if self.token.text == "for":
                return self._for()
            if self.token.text == "def":
                refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "functions stand at the top level")
        return self._simple()

    def _if(self) -> If:
        location = self.token.location
        arms: list[tuple[Expression, Suite]] = []
        while not arms or self.at(KEYWORD, "elif"):
            self.advance()
            test = self.expression()
            self.expect(OPERATOR, ":")
            arms.append((test, self._suite()))
        otherwise: Suite = ()
        if self.accept(KEYWORD, "else"):
            self.expect(OPERATOR, ":")
            otherwise = self._suite()
        return If(location, tuple(arms), otherwise)

    def _for(self) -> For:
        location = self.advance().location
        targets = self.targets()
        self.expect(KEYWORD, "in")
        iterable = self.expression()
        self.expect(OPERATOR, ":")
        return For(location, targets, iterable, self._suite())

    def _simple(self) -> Statement:
        """Parse a statement of one line, its end included."""
        token = self.token
        statement: Statement
        if token.kind == KEYWORD and token.text in ("pass", "break", "continue"):
            self.advance()
            statement = _WORDS[token.text](token.location)
        elif token.kind == KEYWORD and token.text == "return":
            self.advance()
            absent = self.token.kind == NEWLINE
            statement = Return(token.location, Literal(token.location, None) if absent else self._whole())
        elif token.kind == KEYWORD and token.text in _REFUSED:
            refuse(FaultKind.NOT_IN_LANGUAGE, token.location, _REFUSED[token.text])
        else:
            statement = self._assignment_or_call()
        if self.token.kind != NEWLINE:
            self.refuse_token("the end of the line is expected here")
        self.advance()
        return statement

    def _assignment_or_call(self) -> Statement:
        location = self.token.location
        value = self.expression()
        if self.at(OPERATOR, ","):
            return self._unpacking(value, location)
        if self.token.kind == OPERATOR and self.token.text in _AUGMENTED:
            sign = self.advance()
            if not isinstance(value, Name | Index):
                refuse(
                    FaultKind.SYNTAX,
                    location,
                    "only a name or an element of a list or dictionary is assigned",
                )
            return Augment(sign.location, _AUGMENTED[sign.text], value, self._whole())
        if self.at(OPERATOR, "="):
            if not isinstance(value, Name | Index):
                refuse(
                    FaultKind.SYNTAX,
                    location,
                    "only a name or an element of a list or dictionary is assigned",
                )
            self.advance()
            return Assign(location, value, self._whole())
        if self.at(OPERATOR, ":") and isinstance(value, Name):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "there are no type annotations")
        if not isinstance(value, Call | MethodCall):
            refuse(FaultKind.NOT_IN_LANGUAGE, location, "this line computes something that nothing uses")
        return Evaluate(location, value)

    def _unpacking(self, first: Expression, start: Location) -> Unpack:
        names = [first]
        while self.accept(OPERATOR, ","):
            names.append(self.expression())
        targets = tuple(name for name in names if isinstance(name, Name))
        if len(targets) != len(names):
            refuse(FaultKind.NOT_IN_LANGUAGE, start, "several values are assigned to plain names only")
        location = self.expect(OPERATOR, "=").location
        return Unpack(location, targets, self._whole())

    def _whole(self) -> Expression:
        """Parse the value that ends a line."""
        value = self.expression()
        if self.at(OPERATOR, ","):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "there are no tuples; use a list [ ]")
        if self.at(OPERATOR, "="):
            refuse(FaultKind.NOT_IN_LANGUAGE, self.token.location, "assign one thing per line")
        return value
