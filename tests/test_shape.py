"""The shape of the code, checked: purity of the replicated path, sizes, chain folders, nothing of a machine.

Purity is checked on syntax, file by file. What a set is, is found out from literals, calls, annotations and
assignments within one file; that is enough for code whose types are declared, and needs no type checker.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "careledger"

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

CHAIN_FILES = frozenset(
    "__init__ types messages keeper handlers queries genesis invariants errors".split()  # noqa: SIM905
)
CHAIN_OPTIONAL = frozenset({"migrations.py", "rules"})

REPLICATED = ("primitives", "state", "ledger", "sdk", "contracts")

BANNED_MODULES = frozenset(
    {
        # clocks and chance
        *("time", "random", "secrets", "uuid", "zoneinfo"),
        # the machine and its other processes
        *("os", "platform", "locale", "socket", "select", "subprocess", "multiprocessing", "signal"),
        *("asyncio", "threading", "concurrent", "queue", "contextvars"),
        # files
        *("io", "shutil", "tempfile", "pathlib", "glob", "sqlite3"),
        # numbers that are not integers
        *("math", "cmath", "statistics", "decimal", "fractions", "numpy"),
    }
)
BANNED_CALLS = frozenset({"hash", "id", "open", "print", "input", "vars", "globals"})
CLOCKS = frozenset({"now", "utcnow", "today"})
"""Methods that read a clock; calendar arithmetic with `datetime.date` is pure."""
SET_TYPES = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
SET_METHODS = frozenset(
    {"union", "intersection", "difference", "symmetric_difference"}  # of sets; no other type here has them
)
ORDERING = frozenset({"sorted", "min", "max", "sum", "len", "any", "all", "set", "frozenset"})
"""Callables whose result does not depend on the order in which they are given things."""
ITERATING = frozenset(
    {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "dict", "next"}
)


# -- Purity ----------------------------------------------------------------------------------------------


def replicated_files() -> list[Path]:
    """Every source file of the replicated path."""
    found = [file for folder in REPLICATED for file in (SOURCE / folder).rglob("*.py")]
    found += (SOURCE / "domains").glob("*/chain/**/*.py")
    return sorted(found)


class Purity(ast.NodeVisitor):
    """Collects (line, what is banned there) of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self._sets = frozenset(_names_of_sets(tree))
        self._harmless: list[ast.AST] = []
        self.visit(tree)

    def _add(self, node: ast.AST, what: str) -> None:
        self.found.append((getattr(node, "lineno", 0), what))

    def visit_Assert(self, node: ast.Assert) -> None:
        self._add(node, "assert")
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in BANNED_MODULES:
                self._add(node, f"import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if module.partition(".")[0] in BANNED_MODULES or module.startswith("careledger.storage"):
            self._add(node, f"import {module}")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, (float, complex)):
            self._add(node, "float")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in {"float", "complex"}:
            self._add(node, "float")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Div):
            self._add(node, "true division")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Div):
            self._add(node, "true division")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._iterates(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._iterates(node.value)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node not in self._harmless:
            self._iterates(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._harmless += node.generators
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in BANNED_CALLS:
            self._add(node, f"{name}()")
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            self._add(node, f"{node.func.attr}()")
        if name in ITERATING or (isinstance(node.func, ast.Attribute) and node.func.attr == "join"):
            for argument in node.args:
                self._iterates(argument)
        if name in ORDERING:
            for argument in node.args:
                if isinstance(argument, (ast.GeneratorExp, ast.ListComp)):
                    self._harmless += argument.generators
        if name == "isinstance":
            # Asking whether something is a float, in order to refuse it, is not using one.
            self.visit(node.args[0])
            return
        self.generic_visit(node)

    def _iterates(self, node: ast.expr) -> None:
        if self._is_set(node):
            self._add(node, "iteration over a set")

    def _is_set(self, node: ast.expr) -> bool:
        if isinstance(node, (ast.Set, ast.SetComp)):
            return True
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                return node.func.id in SET_TYPES
            return isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)):
            return self._is_set(node.left) or self._is_set(node.right)
        if isinstance(node, ast.IfExp):
            return self._is_set(node.body) or self._is_set(node.orelse)
        if isinstance(node, ast.Name):
            return node.id in self._sets
        return isinstance(node, ast.Attribute) and node.attr in self._sets


def _is_set_annotation(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.BinOp):
        return _is_set_annotation(node.left) or _is_set_annotation(node.right)
    if isinstance(node, ast.Attribute):
        return node.attr in SET_TYPES
    return isinstance(node, ast.Name) and node.id in SET_TYPES


def _is_set_value(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in SET_TYPES
    return isinstance(node, (ast.Set, ast.SetComp))


def _names_of_sets(tree: ast.Module) -> Iterator[str]:
    """Names and attributes that are declared as sets, or assigned one, anywhere in the file."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.AnnAssign) and (
            _is_set_annotation(node.annotation) or _is_set_value(node.value)
        ):
            targets = [node.target]
        elif isinstance(node, ast.Assign) and _is_set_value(node.value):
            targets = node.targets
        elif isinstance(node, ast.arg) and _is_set_annotation(node.annotation):
            yield node.arg
        elif isinstance(node, ast.FunctionDef) and _is_set_annotation(node.returns):
            is_property = any(
                isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list
            )
            if is_property:
                yield node.name
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id
            elif isinstance(target, ast.Attribute):
                yield target.attr


def impurities(source: str) -> list[str]:
    """What is banned in the source, without lines."""
    return [what for _, what in Purity(ast.parse(source)).found]


def test_the_replicated_path_is_pure() -> None:
    files = replicated_files()
    assert len(files) > 30, "the replicated path was not found"
    found = [
        f"{file.relative_to(ROOT)}:{line}: {what}"
        for file in files
        for line, what in Purity(ast.parse(file.read_text())).found
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("assert True", "assert"),
        ("x = 1.5", "float"),
        ("x = 1e3", "float"),
        ("x = float(y)", "float"),
        ("def f(x: float) -> None: ...", "float"),
        ("x = a / b", "true division"),
        ("x /= 2", "true division"),
        ("x = hash(y)", "hash()"),
        ("x = id(y)", "id()"),
        ("open(name)", "open()"),
        ("import time", "import time"),
        ("import os.path", "import os.path"),
        ("x = datetime.now(tz=UTC)", "now()"),
        ("x = datetime.date.today()", "today()"),
        ("def f():\n    from random import choice", "import random"),
        ("from careledger.storage.lmdb_tables import X", "import careledger.storage.lmdb_tables"),
        ("for x in {1, 2}: ...", "iteration over a set"),
        ("for x in set(y): ...", "iteration over a set"),
        ("s = set()\nfor x in s: ...", "iteration over a set"),
        ("s: set[int] = f()\ny = [x for x in s]", "iteration over a set"),
        ("def f(s: frozenset[int]): return tuple(s)", "iteration over a set"),
        ("def f(s: 'set[int] | None'): return list(s)", "iteration over a set"),
        (
            "class A:\n    def f(self):\n        self.s = {1}\n        return [*self.s]",
            "iteration over a set",
        ),
        ("s = {1}\ny = b''.join(s)", "iteration over a set"),
        ("s = {1}\ny = next(iter(s))", "iteration over a set"),
        ("s = {1}\ny = {x: 1 for x in s - t}", "iteration over a set"),
        ("y = [x for x in a.union(b)]", "iteration over a set"),
        ("s = {x for x in y}\nfor i, x in enumerate(s): ...", "iteration over a set"),
        ("s = {1}\ny = [x for x in sorted(y) for z in s]", "iteration over a set"),
    ],
)
def test_what_is_banned_is_found(source: str, what: str) -> None:
    assert what in impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = a // b",
        "isinstance(x, float)",
        "for x in sorted({1, 2}): ...",
        "s = set(y)\nif x in s: ...",
        "s = {1}\ny = sorted(x + 1 for x in s)",
        "s = {1}\ny = any(x > 1 for x in s)",
        "s = {1}\ny = {x for x in s}",
        "s = {1}\nn = len(s)",
        "for x in {1: 2}: ...",
        "def hash_of(x): ...\nhash_of(1)",
        "x = a.hash",
        "import hashlib",
        "from datetime import date\nx = date.fromordinal(1)",
        "from timeit_not import x",
    ],
)
def test_what_is_allowed_passes(source: str) -> None:
    assert impurities(source) == []


# -- Sizes -----------------------------------------------------------------------------------------------


def source_files() -> list[Path]:
    """Every source file we write; generated bindings are not read by anyone."""
    return sorted(file for file in SOURCE.rglob("*.py") if "_wire" not in file.parts)


def function_lines(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """(name, line, number of lines) of every function."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_stay_short() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in source_files()}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_functions_stay_short() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{line}: {name} has {lines} lines"
        for file in source_files()
        for name, line, lines in function_lines(ast.parse(file.read_text()))
        if lines > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_lengths_are_counted() -> None:
    tree = ast.parse("def f():\n    x = 1\n    return x\n\n\nasync def g(): ...\n")
    assert list(function_lines(tree)) == [("f", 1, 3), ("g", 6, 1)]


# -- Chain folders ---------------------------------------------------------------------------------------


def chain_folders() -> list[Path]:
    """The replicated part of every domain."""
    return sorted(folder for folder in (SOURCE / "domains").glob("*/chain") if folder.is_dir())


def test_there_are_chain_folders() -> None:
    assert {"identity", "governance", "records"} <= {folder.parent.name for folder in chain_folders()}


@pytest.mark.parametrize("folder", chain_folders(), ids=lambda folder: folder.parent.name)
def test_a_chain_folder_has_exactly_its_files(folder: Path) -> None:
    present = {entry.name for entry in folder.iterdir() if entry.name != "__pycache__"}
    required = {f"{name}.py" for name in CHAIN_FILES}
    assert required - present == set()
    assert present - required - CHAIN_OPTIONAL == set()


# -- Nothing of a machine --------------------------------------------------------------------------------

# Put together here, so that this file does not contain what it looks for.
_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "sum.golang" + ".org",
    "registry-1.docker" + ".io",
    "archive.ubuntu" + ".com",
    "deb.debian" + ".org",
]
_PATHS = ["/ho" + "me/", "/Us" + "ers/", "/ro" + "ot/", "/wo" + "rk/", r"[A-Z]:\\Us" + "ers"]
_MACHINE = re.compile(
    "|".join([*(re.escape(host) for host in _HOSTS), *(rf"(?<![\w.~<>}}/-]){path}" for path in _PATHS)])
)
_SKIPPED = frozenset(
    {
        ".git",
        ".venv",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        "__pycache__",
        "build",
        "dist",
    }
)
_TEXT = frozenset(
    ".py .md .toml .in .lock .txt .json .js .css .html .sql .mako .yml .yaml .cfg .sh .csv .edi".split()  # noqa: SIM905
)
_TEXT_NAMES = frozenset({"Makefile", "LICENSE", "run", ".gitignore"})


def text_files(folder: Path = ROOT) -> Iterator[Path]:
    """Every text file of the project."""
    for entry in sorted(folder.iterdir()):
        if entry.name in _SKIPPED or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from text_files(entry)
        elif entry.suffix in _TEXT or entry.name in _TEXT_NAMES:
            yield entry


def test_no_registry_host_and_no_path_of_a_machine() -> None:
    found = []
    for file in text_files():
        text = file.read_text(errors="replace")
        found += [
            f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for match in _MACHINE.finditer(text)
        ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("https://" + _HOSTS[0] + "/simple", True),
        ('"' + _PATHS[0] + 'someone/x"', True),
        ("path=" + _PATHS[3] + "x", True),
        ("https://site.example/net" + _PATHS[3] + "x", False),
        ("/fhir/metadata", False),
    ],
)
def test_what_belongs_to_a_machine_is_found(text: str, *, is_found: bool) -> None:
    assert (_MACHINE.search(text) is not None) is is_found
