"""Random contracts: mostly sensible, sometimes wrong, always accepted by the checks; and inputs for them.

The maker follows the scopes itself, so that variables are read only where they certainly have a value. A
small share of the operands has the wrong kind on purpose: faults have to agree too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from careledger.contracts import HostFunction, HostSignature, HostTable, Kind, Value

KINDS = ("int", "str", "bool", "list", "dict")
RULES = ("first-rule", "second-rule")


def _host_scale(number: Value, factor: Value) -> Value:
    return number * factor % 997 if isinstance(number, int) and isinstance(factor, int) else None


def _host_describe(entries: Value) -> Value:
    return {"size": len(entries), "entries": entries} if isinstance(entries, list) else None


HOST = HostTable(
    [
        HostFunction(
            signature=HostSignature(
                name="scale",
                parameters=(("number", (Kind.INT,)), ("factor", (Kind.INT,))),
                result=(Kind.INT,),
                gas=7,
            ),
            call=_host_scale,
        ),
        HostFunction(
            signature=HostSignature(
                name="describe",
                parameters=(("entries", (Kind.LIST, Kind.DICT)),),
                result=(Kind.DICT,),
                gas=9,
            ),
            call=_host_describe,
        ),
    ]
)


# What an expression of each kind may look like. <i> is a number, <s> a text, <b> a truth value, <l> a list,
# <d> a dictionary, <a> anything, <k> a key, <c> a comprehension's brackets and all.
PURE = {
    "int": """
        (<i> + <i>)|(<i> - <i>)|(<i> * <i>)|(<i> // <i>)|(<i> % <i>)|-<i>|len(<l>)|abs(<i>)|min(<i>, <i>)
        max(<i>, <i>, 3)|<l>[0]|<l>[<i> % 2]|<d>[<k>]|<s>.find(<s>)|<l>.index(<i>)|int("12")|max(<l>)|<d>.get(<k>, 0)
    """,
    "str": """
        (<s> + <s>)|(<s> * 2)|(0 * <s>)|<s>[<i>]|<s>[<i>:]|<s>[:<i>]|str(<i>)|"-".join(<l>)|<s>.replace("x", <s>)
        <s>.strip()|<d>["x"]|str(<b>)
    """,
    "bool": """
        (<i> < <i>)|(<i> <= <i>)|(<s> > <s>)|(<i> >= <i>)|(<a> == <a>)|(<a> != <a>)|(not <a>)|(<i> in <l>)
        (<k> in <d>)|(<s> not in <l>)|(<s> in <s>)|any(<l>)|all(<l>)|<s>.startswith("x")|bool(<a>)|(<i> == 1)
        (<s> == "x")|(<a> == None)
    """,
    "list": """
        [<a>, <a>]|(<l> + <l>)|(<l> * 2)|<l>[<i>:<i>]|sorted(<l>)|sorted(<d>.keys())|list(<d>)
        <d>.keys()|<d>.values()|<s>.split("w")|list(<l>)|<c>|<c>|<c>|list(range(<i> % 5))
    """,
    "dict": """
        {"x": <a>, ("k" + <s>): <a>}|{"yy": <a>, 7: <a>}|{"x": <i>, "yy": <i>}|dict(<d>)|<d>.get(<k>, {})|<e>|<e>
    """,
}
FULL = {
    "int": """
        sum(<l>)|sum_of([<d>, <d>], "x")|round_half_up(<i>, <i>)|round_half_even(<i>, 7)|floor(<i>, 3)|ceiling(<i>, 3)
        percent_bp(<i>, <i>, "half_up")|rule("first-rule", 1, "allowed", <i>, <i>)|scale(<i>, factor=<i>)
        scale(factor=<i>, number=<i>)|money("1,250.05")|days_between("2026-01-01", "2026-03-01")|<s>.count("x")
        rule(after=<i>, rule_id="second-rule", line=<i>, amount="copay", before=0)
    """,
    "str": """<s>.upper()|<s>.lower()|money_text(<i>)|add_days("2026-02-27", <i>)|<s>.rstrip()""",
    "bool": """<s>.isdigit()|<s>.endswith("y")""",
    "list": """range(<i> % 5)|enumerate(<l>)|enumerate(<l>, start=<i>)|zip(<l>, <l>)|reversed(<l>)|<d>.items()""",
    "dict": """describe(<l>)""",
}
LEAVES = {
    "int": "0|1|2|3|10|-1|LIMIT|9999999999|85070591730234615865843651857942052864",
    "str": """""|"x"|"yy"|"a b"|'q'|"é"|"\\n\\t\"""",
    "bool": "True|False",
    "list": """[]|[1, 2]|[3, 1, 2]|WORDS|["x", 1]|[[1], []]""",
    "dict": """{}|{"x": 1}|TABLE|{7: "s", "yy": [1]}|{"x": 2, "yy": "q"}""",
}
KEYS = '"x"|"x"|"yy"|7|"new"|-1'
LETTERS = {"i": "int", "s": "str", "b": "bool", "l": "list", "d": "dict"}


def _split(text: str) -> list[str]:
    return [part for line in text.strip().split("\n") for part in line.strip().split("|")]


SHAPES = {
    pure: {kind: _split(PURE[kind]) + ([] if pure else _split(FULL[kind])) for kind in KINDS}
    for pure in (True, False)
}
LEAF_SHAPES = {kind: text.split("|") for kind, text in LEAVES.items()}
KEY_SHAPES = KEYS.split("|")
HOLE = re.compile("<([isbldakce])>")


def deepest() -> str:
    """A contract as deep as the checks let through: calls within calls, each as nested as may be."""
    functions = 7
    opened, closed = "[x + 1, 0, " * 18, "]" * 18
    nested = [
        f"def f{i}(x):\n    if x == 5:\n        return 5\n    y = {opened}f{i + 1}(x){closed}\n    return 1\n"
        for i in range(functions)
    ]
    blocks = ["    " * (i + 1) + ("for y in [x]:\n" if i < 8 else "if x:\n") for i in range(30)]
    return "".join(
        [
            'ENTRY_POINTS = ["main"]\n',
            "def main(x):\n    return [f0(x), g(x)]\n",
            *nested,
            f"def f{functions}(x):\n    return x\n",
            "def g(x):\n",
            *blocks,
            "    " * 31 + "return 1 + (2 if x else x)\n    return 0\n",
        ]
    )


class ProgramMaker:
    """Makes one program from one seed.

    `pure` leaves out what Starlark does not have: money, dates, rules, host functions.
    """

    def __init__(self, seed: int, *, pure: bool = False) -> None:
        self.random = random.Random(seed)
        self.pure = pure
        self.names = 0
        self.functions: list[tuple[str, list[str]]] = []
        self.scope: dict[str, str] = {}
        self.loops = 0
        self.budget = 0

    def program(self) -> str:
        """Return a source with the entry point `main(a, b, t, xs, d)`."""
        lines = ['ENTRY_POINTS = ["main"]', 'RULES = {"first-rule": "One.", "second-rule": "Two."}']
        lines += ["LIMIT = 40", 'WORDS = ["x", "yy", "z"]', 'TABLE = {"x": 1, "yy": 2, 7: [1, 2]}']
        for number in range(self.random.choice([0, 0, 1, 1, 2])):
            kinds = [self.random.choice(KINDS) for _ in range(self.random.randint(0, 3))]
            lines += self._function(f"f{number}", kinds, [f"p{i}" for i in range(len(kinds))], 2)
            self.functions.append((f"f{number}", kinds))
        lines += self._function("main", ["int", "int", "str", "list", "dict"], ["a", "b", "t", "xs", "d"], 5)
        return "\n".join(lines) + "\n"

    def arguments(self) -> dict[str, Value]:
        """Return arguments for `main`."""
        lists: list[Value] = [[], [1, 2, 3], ["x", "yy"], [True, 1, "1"], [[1], {"x": [2]}]]
        dicts: list[Value] = [{}, {"x": 1, "yy": [2]}, {7: "seven", "x": {"x": None}}]
        return {
            "a": self.random.choice([0, 1, 3, -2, 12, 2**126]),
            "b": self.random.randint(-5, 9),
            "t": self.random.choice(["", "x", "yy", "word word", "é€"]),
            "xs": self.random.choice(lists),
            "d": self.random.choice(dicts),
        }

    def _function(self, name: str, kinds: list[str], parameters: list[str], budget: int) -> list[str]:
        self.scope = dict(zip(parameters, kinds, strict=True))
        self.budget = budget
        written = list(parameters)
        if name != "main" and written and kinds[-1] in ("int", "str", "bool") and self.random.random() < 0.4:
            written[-1] += " = " + {"int": "2", "str": '"q"', "bool": "True"}[kinds[-1]]
        body = list(self._suite(1))
        if self.random.random() < 0.85:
            body.append("    return " + self._returned())
        return [f"def {name}({', '.join(written)}):", *body]

    def _returned(self) -> str:
        if self.random.random() < 0.5 and self.scope:
            names = self.random.sample(sorted(self.scope), min(3, len(self.scope)))
            return "[" + ", ".join(names) + "]"
        return self.expression(self.random.choice(KINDS), 3)

    # Statements.

    def _suite(self, indent: int) -> Iterator[str]:
        outside = dict(self.scope)
        pad = "    " * indent
        for _ in range(self.random.choice([1, 1, 2, 2, 3])):
            self.budget -= 1
            maker = self.random.choice(
                [
                    self._assign,
                    self._assign,
                    self._augment,
                    self._element,
                    self._if,
                    self._for,
                    self._act,
                    self._unpack,
                ]
            )
            if self.budget < 0 or indent > 4:
                maker = self._assign
            yield from (pad + line if line[0] != " " else line for line in maker(indent))
        if self.loops and self.random.random() < 0.15:
            yield pad + self.random.choice(["break", "continue"])
        elif indent > 1 and self.random.random() < 0.1:
            yield pad + "return " + self.expression(self.random.choice(KINDS), 2)
        if indent > 1:
            self.scope = outside

    def _target(self, kind: str) -> str:
        known = [name for name, existing in self.scope.items() if existing == kind]
        if known and self.random.random() < 0.5:
            return self.random.choice(known)
        self.names += 1
        return f"v{self.names}"

    def _assign(self, _indent: int) -> Iterator[str]:
        kind = self.random.choice(KINDS)
        value = self.expression(kind, 3)
        target = self._target(kind)
        self.scope[target] = kind
        yield f"{target} = {value}"

    def _augment(self, _indent: int) -> Iterator[str]:
        kind = self.random.choice(["int", "int", "str", "list"])
        known = [name for name, existing in self.scope.items() if existing == kind]
        operator = self.random.choice(["+=", "-=", "*=", "//=", "%="]) if kind == "int" else "+="
        if known:
            yield f"{self.random.choice(known)} {operator} {self.expression(kind, 3)}"
        elif "d" in self.scope:
            yield f"d[{self._key()}] {operator} {self.expression(kind, 2)}"
        else:
            yield "pass"

    def _element(self, _indent: int) -> Iterator[str]:
        container = self._some("dict", "list")
        if container is None:
            yield "pass"
        elif self.scope[container] == "dict":
            yield f"{container}[{self._key()}] = {self.expression(self.random.choice(KINDS), 3)}"
        else:
            yield f"{container}[{self.expression('int', 1)}] = {self.expression('int', 2)}"

    def _if(self, indent: int) -> Iterator[str]:
        yield f"if {self.expression(self.random.choice(['bool', 'bool', 'int', 'list']), 3)}:"
        yield from self._suite(indent + 1)
        for _ in range(self.random.choice([0, 0, 1, 2])):
            yield f"elif {self.expression('bool', 2)}:"
            yield from self._suite(indent + 1)
        if self.random.random() < 0.5:
            yield "else:"
            yield from self._suite(indent + 1)

    def _for(self, indent: int) -> Iterator[str]:
        draw = self.random.random()
        outside = dict(self.scope)
        self.names += 1
        item = f"v{self.names}"
        if draw < 0.4:
            bounds = self.random.choice(
                ["3", "len(WORDS)", "2, 5", "5, 0, -2", self.expression("int", 1) + " % 6"]
            )
            yield f"for {item} in range({bounds}):"
            self.scope[item] = "int"
        elif draw < 0.8:
            kind = self.random.choice(["list", "dict"])
            iterable = self.expression(kind, 2)
            yield f"for {item} in {iterable}:"
            self.scope[item] = "str" if kind == "dict" else "int"
        else:
            iterable = self.expression("dict", 1)
            yield f"for {item}, {item}x in {iterable}.items():"
            self.scope[item] = "str"
            self.scope[item + "x"] = "int"
        self.loops += 1
        yield from self._suite(indent + 1)
        self.loops -= 1
        self.scope = outside

    def _act(self, _indent: int) -> Iterator[str]:
        container = self._some("list", "dict")
        if container is None:
            yield "pass"
        elif self.scope[container] == "list":
            value = self.expression(self.random.choice(KINDS), 2)
            yield self.random.choice(
                [
                    f"{container}.append({value})",
                    f"{container}.extend({self.expression('list', 2)})",
                    f"{container}.insert({self.expression('int', 1)}, {value})",
                    f"{container}.pop()",
                    f"{container}.remove({value})",
                ]
            )
        else:
            yield self.random.choice(
                [
                    f"{container}.update({self.expression('dict', 2)})",
                    f"{container}.setdefault({self._key()}, {self.expression('int', 1)})",
                    f"{container}.pop({self._key()}, None)",
                    f"{container}.clear()",
                ]
            )

    def _unpack(self, _indent: int) -> Iterator[str]:
        first = self.expression("int", 2)
        second = self.expression("str", 2)
        self.names += 2
        names = [f"v{self.names - 1}", f"v{self.names}"]
        value = f"[{first}, {second}]" if self.random.random() < 0.9 else self.expression("list", 2)
        yield f"{names[0]}, {names[1]} = {value}"
        self.scope |= {names[0]: "int", names[1]: "str"}

    def _some(self, *kinds: str) -> str | None:
        known = sorted(name for name, kind in self.scope.items() if kind in kinds)
        return self.random.choice(known) if known else None

    def _key(self) -> str:
        return self.random.choice(KEY_SHAPES)

    # Expressions.

    def expression(self, kind: str, depth: int) -> str:
        """Return an expression that is usually of this kind."""
        draw = self.random.random()
        if draw < 0.008:
            kind = self.random.choice(KINDS)
        if depth <= 0 or draw > 0.7:
            return self._leaf(kind)
        if draw < 0.04:
            return self.fill(f"(<{kind[0]}> if <b> else <{kind[0]}>)", depth - 1)
        if draw < 0.07:
            return self.fill(f"(<{kind[0]}> {self.random.choice(['and', 'or'])} <{kind[0]}>)", depth - 1)
        if draw < 0.11 and self.functions:
            return self._own_call(depth - 1)
        return self.fill(self.random.choice(SHAPES[self.pure][kind]), depth - 1)

    def fill(self, shape: str, depth: int) -> str:
        """Return a shape with its holes filled."""

        def hole(match: re.Match[str]) -> str:
            letter = match[1]
            if letter == "k":
                return self._key()
            if letter in "ce":
                return self._comprehension(depth, keyed=letter == "e")
            return self.expression(LETTERS.get(letter) or self.random.choice(KINDS), depth)

        return HOLE.sub(hole, shape)

    def _leaf(self, kind: str) -> str:
        name = self._some(kind)
        if name is not None and self.random.random() < 0.65:
            return name
        return self.random.choice(LEAF_SHAPES[kind])

    def _own_call(self, depth: int) -> str:
        name, kinds = self.random.choice(self.functions)
        arguments = [self.expression(kind, depth) for kind in kinds]
        if len(kinds) > 1 and self.random.random() < 0.3:
            named = [f"p{i}={argument}" for i, argument in enumerate(arguments)]
            self.random.shuffle(named)
            return f"{name}({', '.join(named)})"
        return f"{name}({', '.join(arguments)})"

    def _comprehension(self, depth: int, *, keyed: bool) -> str:
        self.names += 1
        item = f"c{self.names}"
        outside = dict(self.scope)
        iterable = self.random.choice(["range(4)", "WORDS", self.expression("list", depth)])
        self.scope[item] = "str" if iterable == "WORDS" else "int"
        condition = f" if {self.expression('bool', depth - 1)}" if self.random.random() < 0.4 else ""
        second = ""
        if self.random.random() < 0.2:
            second = f" for {item}y in {self.expression('list', 0)}"
            self.scope[item + "y"] = "int"
        element = self.expression(self.random.choice(["int", "str"]), depth - 1)
        self.scope = outside
        if keyed:
            return f"{{str({item}): {element} for {item} in {iterable}{condition}{second}}}"
        return f"[{element} for {item} in {iterable}{condition}{second}]"
