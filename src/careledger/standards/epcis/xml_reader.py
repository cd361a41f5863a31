"""EPCIS documents in XML, read: version 2.0 and the 1.0 to 1.2 that partners still send.

Owns the structure around the events: document, business document header, master data, query results. Events become
members in `xml_events` and are built and checked by `building` like those from JSON. Problems carry the XPath and
line of the element concerned.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec
from lxml import etree

from careledger.standards.epcis.building import SPECS, build_event
from careledger.standards.epcis.document import Document, DocumentKind, EventResult, Header
from careledger.standards.epcis.errors import DocumentRejected, Problem, ProblemCode
from careledger.standards.epcis.limits import Limits
from careledger.standards.epcis.model import Field, Identifier, MasterDataVocabulary, VocabularyElement
from careledger.standards.epcis.repeats import examine_repeats
from careledger.standards.epcis.scope import XSI_NAMESPACE, Scope, normalise_namespace
from careledger.standards.epcis.timestamps import Instant, InvalidTime, parse_instant
from careledger.standards.epcis.values import read_identifier, read_text, read_uri
from careledger.standards.epcis.xml_content import child_elements, read_elements, split_tag
from careledger.standards.epcis.xml_events import Locator, event_members, located_children
from careledger.standards.epcis.xml_text import parse_xml

_Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml publishes its element type under this name only)

SBDH_NAMESPACE: Final = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
_SBDH = f"{{{SBDH_NAMESPACE}}}"
_ROOTS: dict[str, DocumentKind] = {
    f"{{urn:epcglobal:{family}:xsd:{major}}}{kind.value}": kind
    for family, kind in (
        ("epcis", DocumentKind.EPCIS),
        ("epcis-query", DocumentKind.QUERY),
        ("epcis-masterdata", DocumentKind.MASTER_DATA),
    )
    for major in (1, 2)
}
_VERSION = re.compile(r"[12](\.\d+)*")
_OWN_NAMESPACES = re.compile(r"urn:epcglobal:epcis(-query|-masterdata)?:xsd:[12]|" + re.escape(XSI_NAMESPACE))


def read_xml_document(data: bytes, limits: Limits) -> Document:
    """Read an XML document.

    Raises:
        DocumentRejected: when the text cannot be parsed, or what surrounds the events is wrong.
    """
    root = parse_xml(data, limits)
    return _DocumentReader(root, limits).read()


class _DocumentReader:
    """Reads one document; problems around the events are located on the way."""

    def __init__(self, root: _Element, limits: Limits) -> None:
        self._root = root
        self._scope = Scope(limits, is_json=False, namespaces=_declared(root))
        self._problems: list[Problem] = []

    def read(self) -> Document:
        """Read the whole document."""
        kind = _ROOTS.get(str(self._root.tag))
        if kind is None:
            raise DocumentRejected([self._not_epcis()])
        version = (self._root.get("schemaVersion") or "").strip()
        if not _VERSION.fullmatch(version):
            self._report(self._root, ProblemCode.VERSION, "schema version 1.x or 2.0 is expected")
        created = self._created()
        header, masterdata = self._header()
        body = self._child(self._root, "EPCISBody")
        if body is None:
            self._report(self._root, ProblemCode.MISSING_FIELD, "EPCISBody is missing")
            raise DocumentRejected(self._problems)
        query = {"query_name": "", "subscription_id": ""}
        if kind is DocumentKind.QUERY:
            body = self._query_results(body, query)
        masterdata += self._vocabularies(self._child(body, "VocabularyList"))
        events = self._event_elements(body)
        extensions = self._foreign(self._root)
        if any(problem.is_error for problem in self._problems):
            raise DocumentRejected([problem for problem in self._problems if problem.is_error])
        results = [self._event(element, xpath, number) for number, (element, xpath) in enumerate(events)]

        def locate(number: int, problem: Problem) -> Problem:
            return _relocated(problem, *Locator(*events[number]).locate("eventID"))

        return Document(
            kind=kind,
            schema_version=version,
            creation_date=created,
            header=header,
            masterdata=masterdata,
            results=examine_repeats(results, locate),
            namespaces=self._scope.namespaces,
            extensions=extensions,
            problems=tuple(self._problems),
            problems_omitted=self._scope.remarks.omitted,
            **query,
        )

    def _not_epcis(self) -> Problem:
        name = split_tag(str(self._root.tag))[1]
        message = "not an EPCIS document"
        if name == "EPCISCaptureJob":
            message = "a capture job, not a document with events"
        return Problem(
            code=ProblemCode.NOT_EPCIS, message=message, xpath="/*", line=self._root.sourceline or 0
        )

    def _report(self, element: _Element, code: ProblemCode, message: str) -> None:
        self._scope.report(code, "", message)
        self._take(element)

    def _take(self, element: _Element) -> None:
        """Give the problems just reported the place of `element`."""
        for problem in self._scope.remarks.take():
            xpath = element.getroottree().getpath(element)
            self._problems.append(_relocated(problem, xpath, element.sourceline or 0))

    @staticmethod
    def _child(element: _Element, name: str) -> _Element | None:
        return next((child for child in child_elements(element) if child.tag == name), None)

    def _foreign(self, element: _Element) -> tuple[Field, ...]:
        strangers = [child for child in child_elements(element) if str(child.tag)[:1] == "{"]
        fields = read_elements(strangers, self._scope, "")
        self._take(element)
        return fields

    def _created(self) -> Instant | None:
        text = (self._root.get("creationDate") or "").strip()
        try:
            return parse_instant(text)
        except InvalidTime as error:
            if error.lacks_zone:
                self._scope.warn(ProblemCode.TIME_ZONE, "", "the time zone of creationDate is missing")
                self._take(self._root)
            else:
                message = "creationDate is missing or not a date and time"
                self._report(self._root, ProblemCode.TIME, message)
        return None

    def _header(self) -> tuple[Header, tuple[MasterDataVocabulary, ...]]:
        element = self._child(self._root, "EPCISHeader")
        if element is None:
            return Header(), ()
        content = self._foreign(element)
        business = next(
            (child for child in element if child.tag == _SBDH + "StandardBusinessDocumentHeader"), None
        )
        header = Header(content=content)
        if business is not None:
            header = Header(
                sender=self._business(business, "Sender", "Identifier"),
                receiver=self._business(business, "Receiver", "Identifier"),
                instance_identifier=self._business(business, "DocumentIdentification", "InstanceIdentifier"),
                content=content,
            )
        vocabularies: tuple[MasterDataVocabulary, ...] = ()
        for layer in element.iterfind(".//EPCISMasterData"):
            vocabularies += self._vocabularies(self._child(layer, "VocabularyList"))
        return header, vocabularies

    def _business(self, header: _Element, *names: str) -> str:
        found = header.find("/".join(_SBDH + name for name in names))
        if found is None:
            return ""
        text = read_text((found.text or "").strip(), self._scope, "")
        self._take(found)
        return text

    def _vocabularies(self, element: _Element | None) -> tuple[MasterDataVocabulary, ...]:
        if element is None:
            return ()
        found = []
        for vocabulary in child_elements(element):
            kind = read_uri(vocabulary.get("type"), self._scope, "")
            self._take(vocabulary)
            entries = vocabulary.iterfind("VocabularyElementList/VocabularyElement")
            found.append(
                MasterDataVocabulary(type=kind, elements=tuple([self._entry(entry) for entry in entries]))
            )
        return tuple(found)

    def _entry(self, entry: _Element) -> VocabularyElement:
        identifier = read_identifier(entry.get("id"), self._scope, "")
        attributes = []
        children: list[Identifier] = []
        for child in child_elements(entry):
            if child.tag == "attribute":
                name = read_uri(child.get("id"), self._scope, "")
                read = read_elements([child], self._scope, "")
                content = read[0].content
                # The attribute's own id is its name, not part of its content.
                if isinstance(content, msgspec.Struct):
                    kept = tuple(f for f in content.attributes if (f.namespace, f.name) != ("", "id"))
                    is_plain = not kept and not content.children
                    content = content.text if is_plain else msgspec.structs.replace(content, attributes=kept)
                attributes.append(Field(namespace="", name=name, content=content))
            elif child.tag == "children":
                children += [
                    read_identifier((item.text or "").strip(), self._scope, "")
                    for item in child_elements(child)
                ]
            self._take(child)
        self._take(entry)
        return VocabularyElement(id=identifier, attributes=tuple(attributes), children=tuple(children))

    def _query_results(self, body: _Element, query: dict[str, str]) -> _Element:
        """Find the body of query results; its wrapper may carry the query namespace."""
        results = next((c for c in child_elements(body) if split_tag(str(c.tag))[1] == "QueryResults"), None)
        inner = None if results is None else self._child(results, "resultsBody")
        if results is None or inner is None:
            self._report(body, ProblemCode.MISSING_FIELD, "QueryResults with resultsBody are missing")
            raise DocumentRejected(self._problems)
        query["query_name"] = (results.findtext("queryName") or "").strip()
        query["subscription_id"] = (results.findtext("subscriptionID") or "").strip()
        return inner

    def _event_elements(self, body: _Element) -> list[tuple[_Element, str]]:
        """Give the event elements with their XPath, those inside the layers of 1.1 and 1.2 included."""
        event_list = self._child(body, "EventList")
        if event_list is None:
            return []
        events = list(located_children(event_list, event_list.getroottree().getpath(event_list)))
        if len(events) > self._scope.limits.events_max:
            message = f"more than {self._scope.limits.events_max} events"
            self._report(event_list, ProblemCode.TOO_MANY, message)
        return events

    def _event(self, element: _Element, xpath: str, number: int) -> EventResult:
        scope = self._scope
        own = _declared(element)
        if own != scope.namespaces:
            scope = scope.with_namespaces(own)
        errors = scope.remarks.errors
        members = event_members(element, scope)
        converting = scope.remarks.take()
        bars = scope.remarks.errors != errors
        event, problems = build_event(members, scope)
        if not converting and not problems:
            return EventResult(number=number, event=event)
        locator = Locator(element, xpath)
        located = tuple(
            _relocated(problem, *locator.locate(problem.pointer))
            for problem in converting + _replace_withdrawn(element, problems)
        )
        return EventResult(number=number, event=None if bars else event, problems=located)


def _replace_withdrawn(element: _Element, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Say plainly that a quantity event is no longer part of the standard."""
    if element.tag != "QuantityEvent" or element.tag in SPECS:
        return problems
    message = "quantity events were withdrawn with EPCIS 2.0; send an object event with a quantityList"
    return (Problem(code=ProblemCode.OUTDATED, message=message),)


def _relocated(problem: Problem, xpath: str, line: int) -> Problem:
    """Put XPath and line in the place of a JSON pointer."""
    return msgspec.structs.replace(problem, pointer="", xpath=xpath, line=line)


def _declared(element: _Element) -> dict[str, str]:
    """Give the prefixes in force at an element, without those of EPCIS itself."""
    return {
        prefix: normalise_namespace(uri)
        for prefix, uri in element.nsmap.items()
        if prefix is not None and not _OWN_NAMESPACES.fullmatch(uri)
    }
