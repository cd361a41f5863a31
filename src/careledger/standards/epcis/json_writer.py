"""EPCIS 2.0 JSON-LD documents, written.

Owns the document around the events: context, header, master data, query results. What was read can be written again
with nothing lost that the standard or an extension said; white space, key order and the choice between equal
spellings are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from careledger.standards.epcis.content import Prefixes, write_content, write_fields
from careledger.standards.epcis.context import EPCIS_CONTEXT
from careledger.standards.epcis.document import Document, DocumentKind, Header
from careledger.standards.epcis.event_writer import Members, Spelling, write_event
from careledger.standards.epcis.json_text import encode_json
from careledger.standards.epcis.model import Event, MasterDataVocabulary

_AS_CAPTURED = Spelling()


def write_json(document: Document, *, spelling: Spelling = _AS_CAPTURED) -> bytes:
    """Write a document as JSON-LD; events with errors are left out.

    An XML document becomes an `EPCISDocument` of version 2.0, a master data document one without events. Missing
    creation dates stay missing, since there is no clock here.
    """
    if document.kind is DocumentKind.EVENT:
        return write_event_json(document.events[0], document.namespaces, spelling=spelling)
    prefixes = Prefixes(document.namespaces)
    events = [write_event(event, prefixes, spelling) for event in document.events]
    members: Members = {}
    if document.id:
        members["id"] = document.id
    is_query = document.kind is DocumentKind.QUERY
    members["type"] = DocumentKind.QUERY.value if is_query else DocumentKind.EPCIS.value
    members["schemaVersion"] = document.schema_version if document.schema_version.startswith("2") else "2.0"
    if document.creation_date is not None:
        members["creationDate"] = document.creation_date.text
    vocabularies = _vocabularies(document.masterdata, prefixes, spelling)
    if is_query:
        members["epcisBody"] = {"queryResults": _query_results(document, events, vocabularies)}
    else:
        _write_header(document.header, vocabularies, prefixes, members)
        members["epcisBody"] = {"eventList": events}
    write_fields(document.extensions, prefixes, members)
    return encode_json({"@context": _context(prefixes), **members})


def write_event_json(
    event: Event, namespaces: dict[str, str] | None = None, *, spelling: Spelling = _AS_CAPTURED
) -> bytes:
    """Write a single event with its context, as `GET /events/{eventID}` answers."""
    prefixes = Prefixes(namespaces or {})
    members = write_event(event, prefixes, spelling)
    return encode_json({"@context": _context(prefixes), **members})


def write_events_json(
    events: Iterable[Event],
    *,
    creation_date: str,
    namespaces: dict[str, str] | None = None,
    spelling: Spelling = _AS_CAPTURED,
) -> bytes:
    """Write events as a new `EPCISDocument`.

    Args:
        events: what to send.
        creation_date: date and time with time zone, given by the caller's clock.
        namespaces: prefixes to use for extensions; others are invented.
        spelling: how to write identifiers.
    """
    prefixes = Prefixes(namespaces or {})
    written = [write_event(event, prefixes, spelling) for event in events]
    return encode_json(
        {
            "@context": _context(prefixes),
            "type": DocumentKind.EPCIS.value,
            "schemaVersion": "2.0",
            "creationDate": creation_date,
            "epcisBody": {"eventList": written},
        }
    )


def _context(prefixes: Prefixes) -> list[object]:
    declared = prefixes.declarations
    return [EPCIS_CONTEXT, *({prefix: namespace} for prefix, namespace in declared.items())]


def _query_results(document: Document, events: list[Members], vocabularies: list[object]) -> Members:
    body: Members = {"eventList": events}
    if vocabularies:
        body["vocabularyList"] = vocabularies
    results: Members = {}
    if document.subscription_id:
        results["subscriptionID"] = document.subscription_id
    results["queryName"] = document.query_name
    results["resultsBody"] = body
    return results


def _write_header(header: Header, vocabularies: list[object], prefixes: Prefixes, members: Members) -> None:
    for name, text in (
        ("sender", header.sender),
        ("receiver", header.receiver),
        ("instanceIdentifier", header.instance_identifier),
    ):
        if text:
            members[name] = text
    content: Members = {}
    if vocabularies:
        content["epcisMasterData"] = {"vocabularyList": vocabularies}
    write_fields(header.content, prefixes, content)
    if content:
        members["epcisHeader"] = content


def _vocabularies(
    masterdata: tuple[MasterDataVocabulary, ...], prefixes: Prefixes, spelling: Spelling
) -> list[object]:
    found: list[object] = []
    for vocabulary in masterdata:
        elements: list[object] = []
        for element in vocabulary.elements:
            members: Members = {"id": spelling.write(element.id)}
            if element.attributes:
                members["attributes"] = [
                    {"id": field.name, "attribute": write_content(field.content, prefixes)}
                    for field in element.attributes
                ]
            if element.children:
                members["children"] = [spelling.write(child) for child in element.children]
            elements.append(members)
        found.append({"type": vocabulary.type, "vocabularyElementList": elements})
    return found
