"""SMART on FHIR scopes (SMART App Launch 2.2 §3): read, checked, and asked.

`patient/Observation.rs?category=...`, `user/*.cruds`, `system/Patient.r`; the v1 forms `.read`, `.write` and `.*`
are taken as `rs`, `cud` and `cruds`. Other words (`openid`, `launch/patient`, a domain's own) are kept by name.
Nothing here knows resources; what a scope's query means is decided where resources are searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

Context: TypeAlias = Literal["patient", "user", "system"]

ANY_TYPE: Final = "*"
SCOPES_MAX: Final = 200
"""Scopes in one token."""
SCOPE_CHARS_MAX: Final = 1_024
"""Length of one scope."""

_RESOURCE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(\*|[a-z]{1,5})(?:\?(\S{1,900}))?")
_OTHER = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}")
_V1: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_LETTERS = re.compile(r"c?r?u?d?s?")


class ScopeError(ValueError):
    """A scope is malformed; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One scope on resources."""

    context: Context
    """Whose records: the patient in context, whatever the user may see, or what a system may."""
    resource_type: str
    """A type, or `*`."""
    letters: str
    """Of `cruds`: create, read, update, delete, search."""
    query: str = ""
    """Search criteria that narrow it, percent-encoded; or empty."""

    def __str__(self) -> str:
        """Return the scope in its v2 form."""
        narrowed = f"?{self.query}" if self.query else ""
        return f"{self.context}/{self.resource_type}.{self.letters}{narrowed}"


@dataclass(frozen=True, slots=True)
class GrantedScopes:
    """What a token allows."""

    resources: tuple[ResourceScope, ...] = ()
    others: frozenset[str] = frozenset()

    def for_type(self, resource_type: str, letter: str) -> Iterator[ResourceScope]:
        """Yield the scopes that allow an interaction with resources of a type."""
        for scope in self.resources:
            if scope.resource_type in (ANY_TYPE, resource_type) and letter in scope.letters:
                yield scope

    @property
    def has_patient_context(self) -> bool:
        """Whether any scope is bound to the patient in context."""
        return any(scope.context == "patient" for scope in self.resources)

    def __str__(self) -> str:
        """Return the scopes as they stand in a token."""
        return " ".join([*map(str, self.resources), *sorted(self.others)])


def parse_scopes(text: str) -> GrantedScopes:
    """Read the scopes of a token or of a request for one.

    Raises:
        ScopeError: One is malformed, or there are too many.
    """
    words = text.split()
    if len(words) > SCOPES_MAX or any(len(word) > SCOPE_CHARS_MAX for word in words):
        raise ScopeError("too many scopes, or one too long")
    resources: dict[ResourceScope, None] = {}
    others: set[str] = set()
    for number, word in enumerate(words, start=1):
        if word.startswith(("patient/", "user/", "system/")):
            resources[_parse_resource(number, word)] = None
        elif _OTHER.fullmatch(word):
            others.add(word)
        else:
            raise ScopeError(f"scope {number} is malformed")
    return GrantedScopes(tuple(resources), frozenset(others))


def _parse_resource(number: int, word: str) -> ResourceScope:
    match = _RESOURCE.fullmatch(word)
    if match is None:
        raise ScopeError(f"scope {number} is malformed")
    context, resource_type, letters, query = match.groups()
    letters = _V1.get(letters, letters)
    if not _LETTERS.fullmatch(letters):
        raise ScopeError(f"scope {number} must name interactions from cruds, in that order")
    if query and resource_type == ANY_TYPE:
        raise ScopeError(f"scope {number} narrows every type, which no search parameter can mean")
    return ResourceScope(cast("Context", context), resource_type, letters, query or "")
