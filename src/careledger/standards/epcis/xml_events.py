"""EPCIS events in XML, brought to the members that `building` reads.

Owns the differences between the XML and JSON forms: wrapper elements (`epcList/epc`), attributes for types and
sensor values, and the `extension` and `baseExtension` layers of EPCIS 1.1 and 1.2, which are taken off. It checks
no values. It also finds the element that a problem is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from lxml import etree

from careledger.standards.epcis.building import TYPE_KEY
from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.model import Field
from careledger.standards.epcis.scope import XSI_NAMESPACE, Scope
from careledger.standards.epcis.sensors import METADATA_FIELDS, REPORT_FIELDS
from careledger.standards.epcis.xml_content import child_elements, read_attributes, read_elements, split_tag

_Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml publishes its element type under this name only)
Members: TypeAlias = dict[str, object]
_Converter: TypeAlias = Callable[[_Element, Scope, str], object]

_LAYERS = frozenset(("extension", "baseExtension"))
_NIL = f"{{{XSI_NAMESPACE}}}nil"
_SENSOR_METADATA = frozenset(METADATA_FIELDS)
_SENSOR_REPORT = frozenset(REPORT_FIELDS)


def event_members(element: _Element, scope: Scope) -> Members:
    """Give the members of one event element under their JSON names; extensions are `Field` values."""
    members: Members = {TYPE_KEY: _event_type(element)}
    _collect(element, _CONVERTERS, scope, "", members)
    for field in read_attributes(element):
        if field.namespace != XSI_NAMESPACE:
            _add_field(members, field)
    return members


def _event_type(element: _Element) -> str:
    namespace, name = split_tag(str(element.tag))
    if not namespace:
        return name
    return namespace + name if namespace[-1] in "/#:" else f"{namespace}/{name}"


def _add_field(members: Members, field: Field) -> None:
    members[f"{{{field.namespace}}}{field.name}"] = field


def _flattened(element: _Element) -> Iterator[_Element]:
    """Give the child elements, those of extension layers in the place of the layer."""
    for child in child_elements(element):
        if child.tag in _LAYERS:
            yield from _flattened(child)
        else:
            yield child


def _collect(
    element: _Element, converters: dict[str, _Converter], scope: Scope, at: str, members: Members
) -> None:
    """Convert the children of an element; what belongs to other namespaces becomes extension fields."""
    foreign = []
    for child in _flattened(element):
        name = str(child.tag)
        if name[:1] == "{":
            foreign.append(child)
            continue
        if name in members:
            scope.report(ProblemCode.REPEATED_FIELD, f"{at}{name}", "this element occurs twice")
            continue
        converter = converters.get(name)
        if converter is not None:
            value = converter(child, scope, f"{at}{name}")
            if value is not None:
                members[name] = value
        else:
            members[name] = _text(child, scope, at)
    for field in read_elements(foreign, scope, at or "extension"):
        _add_field(members, field)


def _text(element: _Element, scope: Scope, at: str) -> str:
    del scope, at
    return (element.text or "").strip()


def _texts(child_name: str) -> _Converter:
    def convert(element: _Element, scope: Scope, at: str) -> list[object]:
        found: list[object] = []
        for child in child_elements(element):
            if child.tag != child_name:
                _report_stranger(scope, at, len(found))
            found.append((child.text or "").strip())
        return found

    return convert


def _report_stranger(scope: Scope, at: str, number: int) -> None:
    scope.report(ProblemCode.UNKNOWN_FIELD, f"{at}/{number}", "this element does not belong here")


def _objects(child_name: str, convert_one: _Converter) -> _Converter:
    def convert(element: _Element, scope: Scope, at: str) -> list[object]:
        found: list[object] = []
        for child in child_elements(element):
            if child.tag != child_name:
                _report_stranger(scope, at, len(found))
            found.append(convert_one(child, scope, f"{at}/{len(found)}"))
        return found

    return convert


def _structure(converters: dict[str, _Converter]) -> _Converter:
    def convert(element: _Element, scope: Scope, at: str) -> Members:
        members: Members = {}
        _collect(element, converters, scope, f"{at}/", members)
        return members

    return convert


def _quantity_amount(element: _Element, scope: Scope, at: str) -> str | None:
    return None if element.get(_NIL) in ("true", "1") else _text(element, scope, at)


def _typed(name: str) -> _Converter:
    def convert(element: _Element, scope: Scope, at: str) -> Members:
        members: Members = {name: _text(element, scope, at)}
        kind = element.get("type")
        if kind is not None:
            members[TYPE_KEY] = kind.strip()
        return members

    return convert


def _attributed(known: frozenset[str]) -> _Converter:
    def convert(element: _Element, scope: Scope, at: str) -> Members:
        members: Members = {
            str(key): str(value).strip() for key, value in element.attrib.items() if key in known
        }
        for field in read_attributes(element, skip=known):
            if field.namespace:
                _add_field(members, field)
            else:
                scope.report(ProblemCode.UNKNOWN_FIELD, f"{at}/{field.name}", "no such attribute")
        return members

    return convert


def _dispositions(element: _Element, scope: Scope, at: str) -> Members:
    members: dict[str, list[object]] = {}
    for child in child_elements(element):
        if child.tag not in ("set", "unset"):
            _report_stranger(scope, at, sum(map(len, members.values())))
        members.setdefault(str(child.tag), []).append(_text(child, scope, at))
    return dict(members)


def _fields(element: _Element, scope: Scope, at: str) -> Members:
    """Convert an element that holds nothing but extensions, such as `ilmd`."""
    members: Members = {}
    for field in read_elements(list(_flattened(element)), scope, at):
        _add_field(members, field)
    return members


_sensor_report = _attributed(_SENSOR_REPORT)


def _sensor_element(element: _Element, scope: Scope, at: str) -> Members:
    members: Members = {}
    reports: list[object] = []
    foreign = []
    for child in _flattened(element):
        if child.tag == "sensorReport":
            reports.append(_sensor_report(child, scope, f"{at}/sensorReport/{len(reports)}"))
        elif child.tag == "sensorMetadata" and "sensorMetadata" not in members:
            convert = _attributed(_SENSOR_METADATA)
            members["sensorMetadata"] = convert(child, scope, f"{at}/sensorMetadata")
        elif str(child.tag)[:1] == "{":
            foreign.append(child)
        else:
            _report_stranger(scope, at, len(reports))
    if reports:
        members["sensorReport"] = reports
    for field in read_elements(foreign, scope, at):
        _add_field(members, field)
    return members


_place = _structure({})
_quantities = _objects("quantityElement", _structure({"quantity": _quantity_amount}))
_CONVERTERS: dict[str, _Converter] = {
    "errorDeclaration": _structure({"correctiveEventIDs": _texts("correctiveEventID")}),
    "epcList": _texts("epc"),
    "childEPCs": _texts("epc"),
    "inputEPCList": _texts("epc"),
    "outputEPCList": _texts("epc"),
    "quantityList": _quantities,
    "childQuantityList": _quantities,
    "inputQuantityList": _quantities,
    "outputQuantityList": _quantities,
    "readPoint": _place,
    "bizLocation": _place,
    "bizTransactionList": _objects("bizTransaction", _typed("bizTransaction")),
    "sourceList": _objects("source", _typed("source")),
    "destinationList": _objects("destination", _typed("destination")),
    "persistentDisposition": _dispositions,
    "sensorElementList": _objects("sensorElement", _sensor_element),
    "ilmd": _fields,
}


_Located: TypeAlias = tuple[_Element, str]


class Locator:
    """Finds the elements that problems of one event are about.

    Lists of children are kept, since a long list of identifiers may hold a problem in every entry.

    Args:
        element: the event element.
        xpath: its path from the root.
    """

    def __init__(self, element: _Element, xpath: str) -> None:
        self._event = (element, xpath)
        self._children: dict[str, list[_Located]] = {}
        self._named: dict[tuple[str, str], list[_Located]] = {}

    def locate(self, place: str) -> tuple[str, int]:
        """Give XPath and line of the element that a place such as `epcList/3` names, or the nearest around it."""
        current = self._event
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in place.split("/")] if place else []
        while tokens:
            token = tokens.pop(0)
            if token.isdecimal():
                children, number = self._children_of(current), token
            else:
                children = self._children_named(current, token)
                # Repeated elements without a list around them, such as sensor reports: the number picks one.
                picks = len(children) > 1 and bool(tokens) and tokens[0].isdecimal()
                number = tokens.pop(0) if picks else "0"
            if int(number) >= len(children):
                break
            current = children[int(number)]
        element, xpath = current
        return xpath, element.sourceline or 0

    def _children_of(self, located: _Located) -> list[_Located]:
        element, xpath = located
        known = self._children.get(xpath)
        if known is None:
            known = self._children[xpath] = list(located_children(element, xpath))
        return known

    def _children_named(self, located: _Located, name: str) -> list[_Located]:
        key = (located[1], name)
        known = self._named.get(key)
        if known is None:
            known = [child for child in self._children_of(located) if child[0].tag == name]
            self._named[key] = known
        return known


def located_children(element: _Element, xpath: str) -> Iterator[_Located]:
    """Give the child elements with their XPath, those of extension layers in the place of the layer."""
    counts: dict[str, int] = {}
    for position, child in enumerate(child_elements(element), 1):
        tag = str(child.tag)
        counts[tag] = counts.get(tag, 0) + 1
        path = f"{xpath}/*[{position}]" if tag[:1] == "{" else f"{xpath}/{tag}[{counts[tag]}]"
        if tag in _LAYERS:
            yield from located_children(child, path)
        else:
            yield child, path
