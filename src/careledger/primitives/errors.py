"""Error categories and numbered codes.

Owns the three kinds of failure of the whole system and the registry of numbered codes. A code is stable on
the wire: its number is never reused, and the HTTP status follows from its category alone.

- `Rejected`: every node agrees that the input is invalid; whatever was done for it is dropped.
- `Unavailable`: local and retryable; says nothing about the input.
- `InvariantViolated`: a bug; the node stops.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Category(Enum):
    """What kind of refusal a code is; the HTTP status follows from it alone."""

    INVALID = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    CONFLICT = 409
    GONE = 410
    PRECONDITION = 412
    TOO_LARGE = 413
    UNPROCESSABLE = 422
    LIMITED = 429
    UNAVAILABLE = 503

    @property
    def http_status(self) -> int:
        """HTTP status code of this category."""
        return self.value


class Code(NamedTuple):
    """A numbered outcome. Number 0 of module `ledger` is success and has no Code."""

    module: str
    """Name of the module that owns the number."""
    number: int
    """1 to 65535, never reused within its module."""
    slug: str
    """UPPER_SNAKE name, stable."""
    category: Category
    """Decides the HTTP status."""
    text: str
    """One plain sentence without data of any person."""

    @property
    def name(self) -> str:
        """Qualified name, such as `records.TAG_TAKEN`."""
        return f"{self.module}.{self.slug}"


class CodeSpace:
    """The codes of one module; defining the same number or slug twice fails at import."""

    def __init__(self, module: str, module_number: int) -> None:
        self.module = module
        self.module_number = module_number
        self._by_number: dict[int, Code] = {}
        _register(self)

    def define(self, number: int, slug: str, category: Category, text: str) -> Code:
        """Define one code.

        Raises:
            ValueError: The number is out of range, or number or slug are in use.
        """
        if not 1 <= number <= 0xFFFF:
            raise ValueError(f"{self.module}.{slug}: number {number} is out of range")
        if number in self._by_number or any(code.slug == slug for code in self._by_number.values()):
            raise ValueError(f"{self.module}.{slug}: number or slug is already in use")
        code = Code(self.module, number, slug, category, text)
        self._by_number[number] = code
        return code

    def codes(self) -> tuple[Code, ...]:
        """All codes in order of their numbers."""
        return tuple(self._by_number[number] for number in sorted(self._by_number))

    def by_number(self, number: int) -> Code | None:
        """Code with that number, if there is one."""
        return self._by_number.get(number)


_SPACES: dict[str, CodeSpace] = {}


def _register(space: CodeSpace) -> None:
    for other in _SPACES.values():
        if other.module == space.module or other.module_number == space.module_number:
            raise ValueError(f"code space {space.module} ({space.module_number}) is already defined")
    _SPACES[space.module] = space


def code_spaces() -> tuple[CodeSpace, ...]:
    """All code spaces defined by imported modules, in order of their numbers."""
    return tuple(sorted(_SPACES.values(), key=lambda space: space.module_number))


def find_code(module_number: int, number: int) -> Code | None:
    """Find the code behind a receipt's pair of numbers."""
    for space in _SPACES.values():
        if space.module_number == module_number:
            return space.by_number(number)
    return None


class CodedError(Exception):
    """An error that carries a numbered code."""

    def __init__(self, code: Code, detail: str = "", *, at: str = "") -> None:
        super().__init__(code, detail, at)
        self.code = code
        self.detail = detail
        self.at = at

    def __str__(self) -> str:
        """Code, sentence, and where."""
        parts = [f"{self.code.name}: {self.code.text}"]
        if self.detail:
            parts.append(self.detail)
        if self.at:
            parts.append(f"at {self.at}")
        return " ".join(parts)


class Rejected(CodedError):  # noqa: N818 - the outcome's name in the design, not an accident of the program
    """Every node agrees that the input is invalid; the overlay is dropped.

    `detail` and `at` are for people: never hashed into results, and never any person's data.
    """


class Unavailable(CodedError):  # noqa: N818 - see Rejected
    """Local and retryable: a full queue, a stale view, a ledger that cannot be reached."""


class InvariantViolated(Exception):  # noqa: N818 - see Rejected
    """A bug: the node stops rather than go on with a state that must not be."""
