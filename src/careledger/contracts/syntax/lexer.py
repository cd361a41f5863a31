"""Source text to tokens.

Written by hand instead of using the interpreter's own tokenizer, because what that one accepts, normalises
(names under NFKC), warns about and points at differs between Python versions, and a contract must be the
same contract on all of them. Every accepted source is also Python (3.11 and later) and the tests hold the two
against each other. Nothing here recurses; the cost is linear in the source.
"""

import re
from typing import Final, NamedTuple, NoReturn

from careledger.contracts.faults import ContractRefused, FaultKind, Location, Problem
from careledger.contracts.limits import (
    INTEGER_DIGITS_MAX,
    INTEGER_MAX,
    NAME_LENGTH_MAX,
    NESTING_MAX,
    SOURCE_BYTES_MAX,
    TOKENS_MAX,
)

NAME: Final = "name"
KEYWORD: Final = "keyword"
NUMBER: Final = "number"
TEXT: Final = "text"
OPERATOR: Final = "operator"
NEWLINE: Final = "end of line"
INDENT: Final = "indented line"
DEDENT: Final = "end of the indented lines"
END: Final = "end of the source"


class Token(NamedTuple):
    """One token. `value` is the number or the text it stands for, else None."""

    kind: str
    text: str
    location: Location
    value: int | str | None = None


KEYWORDS: Final = frozenset(
    (
        *("and", "or", "not", "in", "is", "if", "elif", "else", "for", "while", "break", "continue", "pass"),
        *("def", "return", "lambda", "yield", "class", "global", "nonlocal", "del", "with", "as"),
        *("try", "except", "finally", "raise", "assert", "import", "from", "load", "async", "await"),
        *("True", "False", "None"),
    )
)
"""Words of Python and of Starlark; none can be a name, whether the language uses it or not."""

_HIDDEN: Final = re.compile(
    "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\ufff9-\\uffff\\U000e0000-\\U000e0fff]"
)
"""Control, direction, zero-width and tag characters: what a reviewer cannot see must not be there."""

_TOKEN: Final = re.compile(
    r"(?P<space> +)"
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9][0-9A-Za-z_.]*)"
    r"|(?P<quote>\"\"\"|'''|\"|')"
    r"|(?P<operator>\*\*=?|<<=?|>>=?|//=?|->|:=|[-+*/%<>=!&|^@]=|[-+*/%<>=()\[\]{},:.&|^~@;])"
)
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]*(?:_[0-9]+)*)\Z")
_ESCAPES: Final = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_TEXT_PARTS: Final = {
    quote: re.compile(pattern)
    for quote, pattern in {
        '"': r'[^"\\\n]+',
        "'": r"[^'\\\n]+",
        '"""': r'(?:[^"\\]|"(?!""))+',
        "'''": r"(?:[^'\\]|'(?!''))+",
    }.items()
}
_REFUSED_OPERATORS: Final = {
    "/": "there is no `/`; use `//` or a named rounding such as round_half_up(n, d)",
    "/=": "there is no `/=`; use `//` or a named rounding such as round_half_up(n, d)",
    "**": "there is no `**`",
    "**=": "there is no `**=`",
    ":=": "there is no `:=`; assign on a line of its own",
    "->": "there are no type annotations",
    "@": "there are no decorators",
    ";": "write one statement per line",
    **dict.fromkeys(("<<", ">>", "<<=", ">>="), "there are no shifts"),
    **dict.fromkeys(("&", "|", "^", "~", "&=", "|=", "^=", "@="), "there are no bitwise operators"),
}
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSING: Final = frozenset(")]}")


def refuse(kind: FaultKind, location: Location, detail: str) -> NoReturn:
    """Raise `ContractRefused` with this one problem."""
    raise ContractRefused((Problem(kind=kind, location=location, detail=detail),))


def tokenize(source: str) -> list[Token]:
    """Return the tokens of a source, `END` last.

    Raises:
        ContractRefused: SOURCE_TOO_LARGE, BAD_CHARACTER, SYNTAX, NOT_IN_LANGUAGE, NAME_REFUSED,
            LITERAL_OUT_OF_RANGE, TOO_NESTED, TOO_MANY.
    """
    if len(source) > SOURCE_BYTES_MAX:
        refuse(FaultKind.SOURCE_TOO_LARGE, Location(1, 1), f"at most {SOURCE_BYTES_MAX} bytes")
    text = source.replace("\r\n", "\n")
    hidden = _HIDDEN.search(text)
    if hidden is not None:
        start = hidden.start()
        place = Location(text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        tab = hidden.group() == "\t"
        refuse(
            FaultKind.BAD_CHARACTER,
            place,
            "use spaces, not tabs" if tab else "a character that cannot be seen",
        )
    if len(text.encode()) > SOURCE_BYTES_MAX:
        refuse(FaultKind.SOURCE_TOO_LARGE, Location(1, 1), f"at most {SOURCE_BYTES_MAX} bytes")
    tokens = _Lexer(text).read()
    if len(tokens) > TOKENS_MAX:
        refuse(
            FaultKind.TOO_MANY,
            tokens[TOKENS_MAX].location,
            f"a source has at most {TOKENS_MAX} words and signs",
        )
    return tokens


class _Lexer:
    """The position in one source text."""

    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else text + "\n"
        self.position = 0
        self.line = 1
        self.line_start = 0
        self.brackets: list[str] = []
        self.indents = [0]
        self.tokens: list[Token] = []

    def read(self) -> list[Token]:
        """Return every token, with line structure as INDENT, DEDENT and NEWLINE."""
        match_at = _TOKEN.match
        add = self.tokens.append
        text = self.text
        end = len(text)
        at_line_start = True
        while self.position < end:
            if at_line_start:
                at_line_start = False
                self._indentation()
                continue
            match = match_at(text, self.position)
            if match is None:
                self._refuse_character()
            group = match.lastgroup
            if group in ("space", "comment"):
                self.position = match.end()
                continue
            word = match.group()
            if group == "quote":
                add(self._text(word))
                continue
            location = Location(self.line, self.position - self.line_start + 1)
            self.position = match.end()
            if group == "name":
                add(self._name(word, location))
            elif group == "operator":
                add(self._operator(word, location))
            elif group == "number":
                add(Token(NUMBER, word, location, _number(word, location)))
            else:
                self._advance_line()
                if not self.brackets:
                    add(Token(NEWLINE, "", location))
                    at_line_start = True
        if self.brackets:
            refuse(
                FaultKind.SYNTAX,
                self._location(),
                f"a bracket is still open; `{self.brackets[-1]}` is missing",
            )
        for _ in self.indents[1:]:
            add(Token(DEDENT, "", self._location()))
        add(Token(END, "", self._location()))
        return self.tokens

    def _location(self) -> Location:
        return Location(self.line, self.position - self.line_start + 1)

    def _advance_line(self) -> None:
        self.line += 1
        self.line_start = self.position

    def _indentation(self) -> None:
        """Skip lines without code, then compare the indentation with that of the lines before."""
        while True:
            match = _TOKEN.match(self.text, self.position)
            group = None if match is None else match.lastgroup
            if match is None or group not in ("space", "comment", "newline"):
                break
            self.position = match.end()
            if group == "newline":
                self._advance_line()
        if self.position >= len(self.text):
            return
        width = self.position - self.line_start
        location = self._location()
        if width > self.indents[-1]:
            if len(self.indents) > NESTING_MAX:
                refuse(FaultKind.TOO_NESTED, location, FaultKind.TOO_NESTED.words)
            self.indents.append(width)
            self.tokens.append(Token(INDENT, "", location))
        while width < self.indents[-1]:
            self.indents.pop()
            if width > self.indents[-1]:
                refuse(FaultKind.SYNTAX, location, "the indentation matches no line above")
            self.tokens.append(Token(DEDENT, "", location))

    def _name(self, word: str, location: Location) -> Token:
        if word in KEYWORDS:
            return Token(KEYWORD, word, location)
        if self.text[self.position] in "\"'":
            refuse(FaultKind.NOT_IN_LANGUAGE, location, f"texts have no prefix such as `{word[:8]}`")
        if word.startswith("_"):
            refuse(FaultKind.NAME_REFUSED, location, "names cannot begin with `_`")
        if len(word) > NAME_LENGTH_MAX:
            refuse(FaultKind.NAME_REFUSED, location, f"names have at most {NAME_LENGTH_MAX} characters")
        return Token(NAME, word, location)

    def _operator(self, symbol: str, location: Location) -> Token:
        reason = _REFUSED_OPERATORS.get(symbol)
        if reason is not None:
            refuse(FaultKind.NOT_IN_LANGUAGE, location, reason)
        if symbol in _OPENING:
            if len(self.brackets) >= NESTING_MAX:
                refuse(FaultKind.TOO_NESTED, location, FaultKind.TOO_NESTED.words)
            self.brackets.append(_OPENING[symbol])
        elif symbol in _CLOSING and (not self.brackets or self.brackets.pop() != symbol):
            refuse(FaultKind.SYNTAX, location, f"`{symbol}` closes no bracket of its kind")
        return Token(OPERATOR, symbol, location)

    def _text(self, quote: str) -> Token:
        r"""Read a text literal; its escapes are `\\ \' \" \n \t` and no others."""
        location = self._location()
        self.position += len(quote)
        parts: list[str] = []
        ordinary = _TEXT_PARTS[quote]
        while not self.text.startswith(quote, self.position):
            match = ordinary.match(self.text, self.position)
            if match is not None:
                part = match.group()
                parts.append(part)
                self.position = match.end()
                if "\n" in part:
                    self.line += part.count("\n")
                    self.line_start = self.position - (len(part) - part.rindex("\n") - 1)
            elif self.text.startswith("\\", self.position):
                escaped = _ESCAPES.get(self.text[self.position + 1 : self.position + 2])
                if escaped is None:
                    refuse(
                        FaultKind.NOT_IN_LANGUAGE, self._location(), "the escapes are \\\\ \\' \\\" \\n \\t"
                    )
                parts.append(escaped)
                self.position += 2
            else:
                refuse(FaultKind.SYNTAX, location, "this text is not closed")
        self.position += len(quote)
        return Token(TEXT, quote, location, "".join(parts))

    def _refuse_character(self) -> NoReturn:
        character = self.text[self.position]
        location = self._location()
        if character == "\\":
            refuse(
                FaultKind.NOT_IN_LANGUAGE,
                location,
                "a line is continued inside brackets, not with a backslash",
            )
        if not character.isascii():
            refuse(
                FaultKind.BAD_CHARACTER, location, "outside texts and comments only ASCII characters are used"
            )
        refuse(FaultKind.BAD_CHARACTER, location, FaultKind.BAD_CHARACTER.words)


def _number(digits: str, location: Location) -> int:
    if _NUMBER.match(digits) is None:
        if "." in digits:
            detail = 'there are no decimal fractions; write money as money("12.50") or in minor units'
        else:
            detail = "numbers are written with the digits 0 to 9, as in 1500 or 1_500"
        refuse(FaultKind.NOT_IN_LANGUAGE, location, detail)
    plain = digits.replace("_", "")
    if len(plain) > INTEGER_DIGITS_MAX or int(plain) > INTEGER_MAX:
        refuse(FaultKind.LITERAL_OUT_OF_RANGE, location, "numbers have at most 127 bits")
    return int(plain)
