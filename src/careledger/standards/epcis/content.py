"""Content of other namespaces, kept whole.

Owns the translation between JSON values and the neutral extension content of the model, and the bounds on
it. XML has its own half in `xml_content`; both give the same `Field`s for the same information, which is
what makes hashes agree. Lossless: numbers keep their digits, objects their order, typed literals their type.
"""

from __future__ import annotations

from decimal import Decimal

from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.model import Content, Field, Node, Scalar
from careledger.standards.epcis.scope import BUILT_IN, XSI_NAMESPACE, Scope, normalise_namespace

# JSON spelling of an element's own text beside its parts.
TEXT_KEY = "#text"
# JSON-LD typed literal, the same as an `xsi:type` attribute in XML.
VALUE_KEY = "@value"
TYPE_KEY = "@type"


def read_field(key: str, value: object, scope: Scope, at: str, depth: int = 0) -> Field | None:
    """Read one extension member of a JSON object; problems are reported and give None."""
    name = scope.split_name(key)
    if name is None:
        prefix, colon, _ = key.partition(":")
        place = f"{at}{scope.key(key)}"
        if colon and prefix:
            scope.report(ProblemCode.UNDECLARED_PREFIX, place, "the prefix of this name is not declared")
        else:
            scope.report(
                ProblemCode.UNKNOWN_FIELD, place, "no such field; extensions need a namespace prefix"
            )
        return None
    namespace, local = name
    content = read_content(value, scope, f"{at}{scope.key(key)}", depth + 1)
    return Field(namespace=namespace, name=local, content=content)


def read_content(value: object, scope: Scope, at: str, depth: int) -> Content:
    """Read the value of an extension member."""
    if isinstance(value, str):
        if len(value) > scope.limits.text_chars_max:
            scope.report(ProblemCode.TOO_LARGE, at, "this text is too long")
            return None
        return value
    if value is None or isinstance(value, bool | int | Decimal):
        return value
    if depth > scope.limits.depth_max:
        scope.report(ProblemCode.TOO_DEEP, at, f"nested deeper than {scope.limits.depth_max} levels")
        return None
    if isinstance(value, list):
        return tuple(
            read_content(item, scope, f"{at}/{number}", depth + 1) for number, item in enumerate(value)
        )
    if isinstance(value, dict):
        return _read_object(value, scope, at, depth)
    scope.report(ProblemCode.WRONG_TYPE, at, "a JSON value is expected")
    return None


def _read_object(members: dict[str, object], scope: Scope, at: str, depth: int) -> Content:
    text: Scalar = None
    attributes: tuple[Field, ...] = ()
    children = []
    for key, value in members.items():
        if key in (TEXT_KEY, VALUE_KEY) and (value is None or isinstance(value, str | bool | int | Decimal)):
            text = value
        elif key == TYPE_KEY and VALUE_KEY in members and isinstance(value, str):
            attributes = (Field(namespace=XSI_NAMESPACE, name="type", content=value),)
        else:
            namespace, name = scope.split_name(key) or ("", key)
            content = read_content(value, scope, f"{at}/{scope.key(key)}", depth + 1)
            children.append(Field(namespace=namespace, name=name, content=content))
    return Node(text=text, attributes=attributes, children=tuple(children))


class Prefixes:
    """Prefixes for writing names: those declared, and new ones where none is.

    Args:
        namespaces: prefixes to use, by prefix.
    """

    def __init__(self, namespaces: dict[str, str]) -> None:
        self._by_namespace = {normalise_namespace(uri): prefix for prefix, uri in BUILT_IN.items()}
        # The EPCIS context protects its prefixes: declaring them again is an error in JSON-LD.
        self._declared = {prefix: uri for prefix, uri in namespaces.items() if prefix not in BUILT_IN}
        for prefix, uri in self._declared.items():
            self._by_namespace.setdefault(uri, prefix)

    @property
    def declarations(self) -> dict[str, str]:
        """Every prefix that must be declared in the document written."""
        return dict(self._declared)

    def prefix(self, namespace: str) -> str:
        """Give the prefix of a namespace, inventing one where there is none."""
        known = self._by_namespace.get(namespace)
        if known is None:
            number = len(self._declared) + 1
            while f"ns{number}" in self._declared:
                number += 1
            known = f"ns{number}"
            self._declared[known] = namespace
            self._by_namespace[namespace] = known
        return known

    def name(self, field: Field) -> str:
        """Write the name of a field as a JSON key."""
        return f"{self.prefix(field.namespace)}:{field.name}" if field.namespace else field.name


def write_fields(fields: tuple[Field, ...], prefixes: Prefixes, members: dict[str, object]) -> None:
    """Add extension fields to a JSON object; repeated names become an array."""
    for field in fields:
        key = prefixes.name(field)
        value = write_content(field.content, prefixes)
        if key not in members:
            members[key] = value
            continue
        earlier = members[key]
        members[key] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]


def write_content(content: Content, prefixes: Prefixes) -> object:
    """Write extension content as a JSON value."""
    if isinstance(content, tuple):
        return [write_content(item, prefixes) for item in content]
    if not isinstance(content, Node):
        return content
    members: dict[str, object] = {}
    types = [f for f in content.attributes if (f.namespace, f.name) == (XSI_NAMESPACE, "type")]
    others = tuple(f for f in content.attributes if f.namespace != XSI_NAMESPACE)
    if types and not others and not content.children:
        return {TYPE_KEY: types[0].content, VALUE_KEY: content.text}
    write_fields(others, prefixes, members)
    write_fields(content.children, prefixes, members)
    if content.text is not None:
        members[TEXT_KEY] = content.text
    return members
