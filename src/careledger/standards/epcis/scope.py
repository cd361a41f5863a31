"""What a reader needs to know while it reads one event, and where it puts its remarks.

Owns the namespaces in force, the limits, and the list of problems. A scope belongs to one document; events with
a context of their own get a scope derived from it.
"""

from __future__ import annotations

import re
from typing import Final

from careledger.standards.epcis.errors import Problem, ProblemCode, Severity, pointer_token
from careledger.standards.epcis.limits import Limits

# Prefixes that every EPCIS 2.0 document may use without declaring them (the EPCIS JSON-LD context).
BUILT_IN: dict[str, str] = {
    "epcis": "https://ref.gs1.org/epcis/",
    "cbv": "https://ref.gs1.org/cbv/",
    # In XML this namespace has no colon at its end; both spell the same vocabulary.
    "cbvmda": "urn:epcglobal:cbv:mda",
    "gs1": "https://gs1.org/voc/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}
MASTER_DATA_NAMESPACE: Final = "urn:epcglobal:cbv:mda"
XSI_NAMESPACE: Final = "http://www.w3.org/2001/XMLSchema-instance"

# Prefixes of standard values (CBV 2.0 §8.9.2), declared or not.
_STANDARD = {prefix: BUILT_IN[prefix] for prefix in ("epcis", "cbv", "gs1")}
_NAMESPACE_END = re.compile(r".*[/#:]", re.DOTALL)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20]+")
_SCHEMES_WITHOUT_PREFIX = ("http", "https", "urn", "geo", "ni", "tag", "did", "mailto")


def normalise_namespace(namespace: str) -> str:
    """Give a namespace the spelling it has in XML, so that both syntaxes agree."""
    return MASTER_DATA_NAMESPACE if namespace == MASTER_DATA_NAMESPACE + ":" else namespace


def is_absolute_uri(text: str) -> bool:
    """Tell whether `text` has the form of an absolute URI (RFC 3986 §4.3)."""
    return _ABSOLUTE.fullmatch(text) is not None


class Remarks:
    """The problems found so far in one document, up to a limit.

    Args:
        problems_max: how many are kept; the rest are only counted.
    """

    def __init__(self, problems_max: int) -> None:
        self._room = problems_max
        self._problems: list[Problem] = []
        self.errors = 0
        """How many errors were found, kept or not."""
        self.omitted = 0
        """How many problems were not kept."""

    def add(self, problem: Problem) -> None:
        """Count a problem, and keep it if there is room."""
        self.errors += problem.is_error
        if self._room:
            self._room -= 1
            self._problems.append(problem)
        else:
            self.omitted += 1

    def take(self) -> tuple[Problem, ...]:
        """Give the problems kept since the last call."""
        if not self._problems:
            return ()
        taken = tuple(self._problems)
        self._problems.clear()
        return taken


class Scope:
    """Namespaces, limits and problems of the document being read.

    Args:
        limits: bounds on the document.
        is_json: whether the document is JSON (XML spells some things differently).
        namespaces: prefixes declared, without the built-in ones.
        remarks: where problems go, when shared with another scope.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        is_json: bool,
        namespaces: dict[str, str] | None = None,
        remarks: Remarks | None = None,
    ) -> None:
        self.limits = limits
        self.is_json = is_json
        self.namespaces = dict(namespaces or {})
        self.remarks = remarks or Remarks(limits.problems_max)

    def with_namespaces(self, more: dict[str, str]) -> Scope:
        """Derive a scope with further prefixes; problems go to the same place."""
        namespaces = {**self.namespaces, **more}
        return Scope(self.limits, is_json=self.is_json, namespaces=namespaces, remarks=self.remarks)

    def report(
        self, code: ProblemCode, at: str, message: str, *, severity: Severity = Severity.ERROR
    ) -> None:
        """Record a problem at a place relative to what is being read, such as `epcList/3`."""
        self.remarks.add(Problem(code=code, message=message, severity=severity, pointer=at))

    def warn(self, code: ProblemCode, at: str, message: str) -> None:
        """Record a remark that does not bar the event."""
        self.report(code, at, message, severity=Severity.WARNING)

    def namespace(self, prefix: str) -> str | None:
        """Give the namespace of a prefix, declared or built in."""
        return self.namespaces.get(prefix) or BUILT_IN.get(prefix)

    def split_name(self, key: str) -> tuple[str, str] | None:
        """Split a JSON key into namespace and local name.

        `example:x` uses the declared prefix; a full URI is cut behind its last `/`, `#` or `:`.

        Returns:
            None when the key has no colon or its prefix is not declared.
        """
        prefix, colon, local = key.partition(":")
        if not colon or not local:
            return None
        namespace = self.namespace(prefix)
        if namespace is not None and not local.startswith("//"):
            return namespace, local
        if prefix in _SCHEMES_WITHOUT_PREFIX and is_absolute_uri(key):
            match = _NAMESPACE_END.match(key)
            end = match.end() if match else 0
            if 0 < end < len(key):
                return normalise_namespace(key[:end]), key[end:]
        return None

    def expand(self, value: str) -> str:
        """Expand a CURIE whose prefix is declared or standard; anything else comes back unchanged."""
        prefix, colon, local = value.partition(":")
        namespace = self.namespaces.get(prefix) or _STANDARD.get(prefix)
        if not colon or namespace is None or local.startswith("//") or prefix in _SCHEMES_WITHOUT_PREFIX:
            return value
        return namespace + local

    @staticmethod
    def key(key: str) -> str:
        """Escape a key for the place given to `report`."""
        return pointer_token(key)
