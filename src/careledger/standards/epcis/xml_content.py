"""Content of other namespaces in XML.

Owns the translation between XML elements and the neutral extension content of the model (see `content`):
attributes stay attributes, repeated elements become one repeated field, comments and processing instructions
are dropped, text between child elements is ignored as CBV 2.0 §8.9 ignores it.
"""

from __future__ import annotations

from lxml import etree

from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.model import Content, Field, Node
from careledger.standards.epcis.scope import Scope, normalise_namespace


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag or attribute name in Clark notation into namespace and local name."""
    if tag[:1] != "{":
        return "", tag
    namespace, _, name = tag[1:].partition("}")
    return normalise_namespace(namespace), name


def child_elements(element: etree._Element) -> list[etree._Element]:
    """Give the child elements, without comments and processing instructions."""
    return [child for child in element if isinstance(child.tag, str)]


def read_elements(elements: list[etree._Element], scope: Scope, at: str, depth: int = 0) -> tuple[Field, ...]:
    """Read sibling elements; those of one name become one field, at the place of the first."""
    found: dict[tuple[str, str], list[Content]] = {}
    for element in elements:
        content = _read_element(element, scope, at, depth + 1)
        found.setdefault(split_tag(str(element.tag)), []).append(content)
    return tuple(
        Field(namespace=namespace, name=name, content=items[0] if len(items) == 1 else tuple(items))
        for (namespace, name), items in found.items()
    )


def _read_element(element: etree._Element, scope: Scope, at: str, depth: int) -> Content:
    if depth > scope.limits.depth_max:
        scope.report(ProblemCode.TOO_DEEP, at, f"nested deeper than {scope.limits.depth_max} levels")
        return None
    text = (element.text or "").strip()
    if len(text) > scope.limits.text_chars_max:
        scope.report(ProblemCode.TOO_LARGE, at, "this text is too long")
        return None
    children = child_elements(element)
    if not children and not element.attrib:
        return text or None
    return Node(
        text=text or None,
        attributes=read_attributes(element),
        children=read_elements(children, scope, at, depth),
    )


def read_attributes(element: etree._Element, *, skip: frozenset[str] = frozenset()) -> tuple[Field, ...]:
    """Read the attributes of an element, but for those named in `skip`."""
    return tuple(
        Field(namespace=namespace, name=name, content=str(value))
        for (namespace, name), value in (
            (split_tag(str(key)), value) for key, value in element.attrib.items() if key not in skip
        )
    )
