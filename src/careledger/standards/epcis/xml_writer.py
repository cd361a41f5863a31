"""EPCIS documents in XML, written: version 2.0, and 1.2 for partners that take nothing newer.

Owns the element order of the XML schemas, the extension layers of 1.2, and the header. What 1.2 cannot say (sensors,
associations, persistent dispositions, certificates, events of one's own type) is refused, never dropped. Vocabulary
is written as CBV URNs, identifiers as the given spelling says; 1.2 partners expect EPC URNs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, TypeAlias

from lxml import etree

from careledger.standards.epcis.document import Document, Header
from careledger.standards.epcis.errors import DocumentRejected, ProblemCode, reject
from careledger.standards.epcis.event_writer import Spelling
from careledger.standards.epcis.model import (
    Content,
    Event,
    ExtendedEvent,
    Field,
    MasterDataVocabulary,
    Node,
    Scalar,
)
from careledger.standards.epcis.scope import BUILT_IN, XSI_NAMESPACE
from careledger.standards.epcis.xml_event_writer import EventWriter
from careledger.standards.epcis.xml_reader import SBDH_NAMESPACE

_Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml publishes its element type under this name only)
_AS_CAPTURED: Final = Spelling()
_SBDH = f"{{{SBDH_NAMESPACE}}}"


class XMLVersion(enum.StrEnum):
    """Schema versions that can be written."""

    V1_2 = "1.2"
    V2_0 = "2.0"


def write_xml(
    document: Document, *, version: XMLVersion = XMLVersion.V2_0, spelling: Spelling = _AS_CAPTURED
) -> bytes:
    """Write a document as XML; events with errors are left out, query results become an `EPCISDocument`.

    Raises:
        DocumentRejected: VERSION when an event cannot be said in 1.2; MISSING_FIELD when the document has no
            creation date; SYNTAX when a name or text cannot be written in XML.
    """
    if document.creation_date is None:
        raise reject(ProblemCode.MISSING_FIELD, "an XML document needs a creation date")
    try:
        return _write(document, version, spelling, document.creation_date.text)
    except ValueError as error:
        if isinstance(error, DocumentRejected):
            raise
        raise reject(ProblemCode.SYNTAX, "a name or text cannot be written in XML") from error


def _write(document: Document, version: XMLVersion, spelling: Spelling, created: str) -> bytes:
    namespace = f"urn:epcglobal:epcis:xsd:{version.value[0]}"
    prefixes = {"epcis": namespace, "cbvmda": BUILT_IN["cbvmda"], "xsi": XSI_NAMESPACE}
    prefixes |= {
        prefix: uri
        for prefix, uri in document.namespaces.items()
        if prefix not in prefixes and uri not in prefixes.values() and not prefix.lower().startswith("xml")
    }
    root = etree.Element(f"{{{namespace}}}EPCISDocument", nsmap=prefixes)
    root.set("schemaVersion", version.value)
    root.set("creationDate", created)
    _write_header(root, document, created, spelling)
    event_list = etree.SubElement(etree.SubElement(root, "EPCISBody"), "EventList")
    for number, event in enumerate(document.events):
        _append_event(event_list, event, version, spelling, number)
    for field in document.extensions:
        append_field(root, field)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _append_event(
    event_list: _Element, event: Event, version: XMLVersion, spelling: Spelling, number: int
) -> None:
    is_1_2 = version is XMLVersion.V1_2
    if is_1_2:
        _verify_1_2(event, number)
    is_layered = isinstance(event, ExtendedEvent) or (is_1_2 and event.event_type == "TransformationEvent")
    parent = etree.SubElement(event_list, "extension") if is_layered else event_list
    writer = EventWriter(spelling, is_1_2=is_1_2, append_field=append_field)
    parent.append(writer.write(event))


def _verify_1_2(event: Event, number: int) -> None:
    missing = {
        "sensorElementList": event.sensor_elements,
        "persistentDisposition": event.persistent_disposition,
        "certificationInfo": event.certification_info,
    }
    for name, present in missing.items():
        if present:
            message = f"{name} cannot be said in version 1.2"
            raise reject(ProblemCode.VERSION, message, pointer=f"/epcisBody/eventList/{number}/{name}")
    if event.event_type == "AssociationEvent" or isinstance(event, ExtendedEvent):
        message = "this event type cannot be said in version 1.2"
        raise reject(ProblemCode.VERSION, message, pointer=f"/epcisBody/eventList/{number}/type")


def append_field(parent: _Element, field: Field) -> None:
    """Append extension content; repetitions become sibling elements."""
    tag = f"{{{field.namespace}}}{field.name}" if field.namespace else field.name
    _append_content(parent, tag, field.content)


def _append_content(parent: _Element, tag: str, content: Content) -> None:
    if isinstance(content, tuple):
        for item in content:
            _append_content(parent, tag, item)
        return
    element = etree.SubElement(parent, tag)
    if not isinstance(content, Node):
        element.text = write_scalar(content)
        return
    element.text = write_scalar(content.text)
    for attribute in content.attributes:
        name = f"{{{attribute.namespace}}}{attribute.name}" if attribute.namespace else attribute.name
        if isinstance(attribute.content, Node | tuple):
            append_field(element, attribute)
        else:
            element.set(name, write_scalar(attribute.content) or "")
    for child in content.children:
        append_field(element, child)


def write_scalar(scalar: Scalar) -> str | None:
    """Write a value as XML text; None for nothing."""
    if scalar is None or isinstance(scalar, str):
        return scalar
    if isinstance(scalar, bool):
        return "true" if scalar else "false"
    return format(scalar, "f") if isinstance(scalar, Decimal) else str(scalar)


def _write_header(root: _Element, document: Document, created: str, spelling: Spelling) -> None:
    header = document.header
    has_parties = bool(header.sender or header.receiver or header.instance_identifier)
    if not (document.masterdata or header.content or has_parties):
        return
    element = etree.SubElement(root, "EPCISHeader")
    has_own = any(field.namespace == SBDH_NAMESPACE for field in header.content)
    for field in header.content:
        if field.namespace == SBDH_NAMESPACE:
            append_field(element, field)
    if has_parties and not has_own:
        _append_business_header(element, header, created)
    if document.masterdata:
        layer = etree.SubElement(etree.SubElement(element, "extension"), "EPCISMasterData")
        _append_vocabularies(etree.SubElement(layer, "VocabularyList"), document.masterdata, spelling)


def _append_business_header(parent: _Element, header: Header, created: str) -> None:
    """Make a Standard Business Document Header out of the three members that JSON has."""
    business = etree.SubElement(
        parent, _SBDH + "StandardBusinessDocumentHeader", nsmap={"sbdh": SBDH_NAMESPACE}
    )
    etree.SubElement(business, _SBDH + "HeaderVersion").text = "1.0"
    for name, party in (("Sender", header.sender), ("Receiver", header.receiver)):
        identifier = etree.SubElement(etree.SubElement(business, _SBDH + name), _SBDH + "Identifier")
        identifier.set("Authority", "GS1")
        identifier.text = party
    identification = etree.SubElement(business, _SBDH + "DocumentIdentification")
    for name, text in (
        ("Standard", "EPCglobal"),
        ("TypeVersion", "1.0"),
        ("InstanceIdentifier", header.instance_identifier),
        ("Type", "Events"),
        ("CreationDateAndTime", created),
    ):
        etree.SubElement(identification, _SBDH + name).text = text


def _append_vocabularies(
    parent: _Element, masterdata: Iterable[MasterDataVocabulary], spelling: Spelling
) -> None:
    for vocabulary in masterdata:
        element = etree.SubElement(parent, "Vocabulary", type=vocabulary.type)
        if not vocabulary.elements:
            continue
        entries = etree.SubElement(element, "VocabularyElementList")
        for entry in vocabulary.elements:
            written = etree.SubElement(entries, "VocabularyElement", id=spelling.write(entry.id))
            for field in entry.attributes:
                # An attribute's name is a URI, so it stands in `id` and the element is always `attribute`.
                before = len(written)
                _append_content(written, "attribute", field.content)
                for appended in written[before:]:
                    appended.set("id", field.name)
            if entry.children:
                children = etree.SubElement(written, "children")
                for child in entry.children:
                    etree.SubElement(children, "id").text = spelling.write(child)
