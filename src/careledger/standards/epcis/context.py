"""JSON-LD contexts, pinned.

Owns what an `@context` may say here: one of the known EPCIS contexts, by URI and never fetched, and objects that
declare namespace prefixes (and datatypes of extension terms, which are ignored). Anything else could change the
meaning of the standard terms, or would have to be fetched from an address the sender chose, and is refused.
"""

from __future__ import annotations

import re
from typing import Final

from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.scope import BUILT_IN, Scope, is_absolute_uri, normalise_namespace

EPCIS_CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
KNOWN_CONTEXTS: Final = frozenset(
    (
        EPCIS_CONTEXT,
        "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "https://ref.gs1.org/standards/epcis/2.0.1/epcis-context.jsonld",
        "https://ref.gs1.org/standards/epcis/2.1.0/epcis-context.jsonld",
        "https://gs1.github.io/EPCIS/epcis-context.jsonld",
    )
)
"""Published addresses of the EPCIS context; their terms are built in."""

ENTRIES_MAX: Final = 64
# What a context may add to an extension term: its datatype, which does not alter its name.
_HARMLESS = frozenset(("@type", "@container"))
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}")


def read_context(value: object, scope: Scope, at: str) -> dict[str, str]:
    """Collect the namespace prefixes that an `@context` declares.

    Problems are reported to `scope` at `at`; the result holds what was understood.

    Args:
        value: the context as parsed JSON: a string, an object, or a list of them.
        scope: receives the problems.
        at: where the context stands.
    """
    entries = value if isinstance(value, list) else [value]
    if len(entries) > ENTRIES_MAX:
        scope.report(ProblemCode.TOO_MANY, at, f"more than {ENTRIES_MAX} entries in a context")
        return {}
    found: dict[str, str] = {}
    knows_epcis = False
    for number, entry in enumerate(entries):
        place = f"{at}/{number}" if isinstance(value, list) else at
        if isinstance(entry, str):
            if entry in KNOWN_CONTEXTS:
                knows_epcis = True
            else:
                message = "this context is not known here, and contexts are never fetched"
                scope.report(ProblemCode.CONTEXT, place, message)
        elif isinstance(entry, dict):
            _read_declarations(entry, scope, place, found)
        else:
            scope.report(ProblemCode.CONTEXT, place, "a context is a URI or an object")
    if not knows_epcis:
        scope.warn(ProblemCode.CONTEXT, at, "the EPCIS context is missing; its terms are assumed")
    return found


def _read_declarations(entry: dict[str, object], scope: Scope, at: str, found: dict[str, str]) -> None:
    if len(entry) > ENTRIES_MAX:
        scope.report(ProblemCode.TOO_MANY, at, f"more than {ENTRIES_MAX} declarations in a context")
        return
    for prefix, namespace in entry.items():
        place = f"{at}/{scope.key(prefix)}"
        if isinstance(namespace, dict) and ":" in prefix and _HARMLESS.issuperset(namespace):
            continue
        if not isinstance(namespace, str) or not _PREFIX.fullmatch(prefix):
            message = "only namespace prefixes can be declared, as prefix and URI"
            scope.report(ProblemCode.CONTEXT, place, message)
        elif not is_absolute_uri(namespace):
            scope.report(ProblemCode.CONTEXT, place, "a namespace is an absolute URI")
        elif prefix in BUILT_IN and normalise_namespace(namespace) != BUILT_IN[prefix]:
            # Protected in the EPCIS context (JSON-LD 1.1 §4.1.11): the built-in meaning stands.
            scope.warn(
                ProblemCode.CONTEXT, place, "this prefix belongs to the EPCIS context and keeps its meaning"
            )
        else:
            found[prefix] = normalise_namespace(namespace)
