"""EPCIS 2.0 JSON-LD documents, read.

Owns the structure around the events: document, context, header, master data, query results. Events are built by
`building`; bytes are parsed by `json_text`. A failing event never fails its document.
"""

from __future__ import annotations

import re

import msgspec

from careledger.standards.epcis.building import CONTEXT_KEY, TYPE_KEY, build_event
from careledger.standards.epcis.content import read_content, read_field
from careledger.standards.epcis.context import read_context
from careledger.standards.epcis.document import Document, DocumentKind, EventResult, Header
from careledger.standards.epcis.errors import DocumentRejected, Problem, ProblemCode, reject
from careledger.standards.epcis.json_text import duplicate_key, parse_json_finding_doubles
from careledger.standards.epcis.limits import Limits
from careledger.standards.epcis.model import Field, Identifier, MasterDataVocabulary, VocabularyElement
from careledger.standards.epcis.repeats import examine_repeats
from careledger.standards.epcis.scope import MASTER_DATA_NAMESPACE, Scope
from careledger.standards.epcis.timestamps import Instant
from careledger.standards.epcis.values import read_identifier, read_instant, read_text, read_uri

_VERSION = re.compile(r"2\.\d+(\.\d+)*")
_KNOWN_MEMBERS = {
    DocumentKind.EPCIS: frozenset(
        (
            CONTEXT_KEY,
            "id",
            TYPE_KEY,
            "schemaVersion",
            "creationDate",
            "instanceIdentifier",
            "sender",
            "receiver",
            "epcisHeader",
            "epcisBody",
        )
    ),
    DocumentKind.QUERY: frozenset(
        (CONTEXT_KEY, "id", TYPE_KEY, "schemaVersion", "creationDate", "epcisBody")
    ),
}
_EVENT_PLACE = re.compile(r"/epcisBody(?:/queryResults/resultsBody)?/eventList/(\d+)/")
_BODY = "epcisBody"
_EVENTS = "eventList"


def read_json_document(data: bytes, limits: Limits) -> Document:
    """Read a JSON-LD document or a single event.

    Raises:
        DocumentRejected: when the text cannot be parsed, or what surrounds the events is wrong.
    """
    parsed, doubled = parse_json_finding_doubles(data, limits)
    if not isinstance(parsed, dict):
        raise reject(ProblemCode.NOT_EPCIS, "an EPCIS document is a JSON object")
    document = _read(parsed, Scope(limits, is_json=True))
    return _bar_doubled_events(document, doubled) if doubled else document


def _bar_doubled_events(document: Document, doubled: tuple[str, ...]) -> Document:
    """Bar the events in which a member occurs twice; a double around the events bars the document."""
    results = list(document.results)
    around = []
    for place in doubled:
        match = _EVENT_PLACE.match(place) if document.kind is not DocumentKind.EVENT else None
        if match is None and document.kind is not DocumentKind.EVENT:
            around.append(duplicate_key(place))
            continue
        number = int(match.group(1)) if match else 0
        earlier = results[number]
        problems = (*earlier.problems, duplicate_key(place))
        results[number] = EventResult(number=number, event=None, problems=problems)
    if around:
        raise DocumentRejected(around)
    return msgspec.structs.replace(document, results=tuple(results))


def _read(parsed: dict[str, object], scope: Scope) -> Document:
    name = parsed.get(TYPE_KEY)
    if name == DocumentKind.EPCIS:
        return _read_document(parsed, scope, DocumentKind.EPCIS)
    if name == DocumentKind.QUERY:
        return _read_document(parsed, scope, DocumentKind.QUERY)
    return _read_single_event(parsed, scope)


def _read_single_event(parsed: dict[str, object], scope: Scope) -> Document:
    """Read a bare event; its context is mandatory, since no document declares one."""
    if TYPE_KEY not in parsed:
        raise reject(ProblemCode.NOT_EPCIS, "neither an EPCIS document nor an EPCIS event", pointer="/type")
    if CONTEXT_KEY not in parsed:
        raise reject(ProblemCode.CONTEXT, "an event on its own needs a context", pointer="/@context")
    namespaces = read_context(parsed[CONTEXT_KEY], scope, f"/{CONTEXT_KEY}")
    _stop_on_errors(scope, scope.remarks.take())
    members = {key: value for key, value in parsed.items() if key != CONTEXT_KEY}
    result = _read_event(members, 0, scope.with_namespaces(namespaces), "")
    return Document(
        kind=DocumentKind.EVENT,
        schema_version="2.0",
        results=(result,),
        namespaces=namespaces,
        problems_omitted=scope.remarks.omitted,
    )


def _stop_on_errors(scope: Scope, problems: tuple[Problem, ...]) -> None:
    if scope.remarks.errors:
        raise DocumentRejected([problem for problem in problems if problem.is_error] or problems)


def _read_document(parsed: dict[str, object], scope: Scope, kind: DocumentKind) -> Document:
    namespaces: dict[str, str] = {}
    if CONTEXT_KEY in parsed:
        namespaces = read_context(parsed[CONTEXT_KEY], scope, f"/{CONTEXT_KEY}")
        scope = scope.with_namespaces(namespaces)
    else:
        scope.report(ProblemCode.CONTEXT, f"/{CONTEXT_KEY}", "the context is missing")
    version = _read_version(parsed, scope, is_required=kind is DocumentKind.EPCIS)
    created = _read_created(parsed, scope, is_required=kind is DocumentKind.EPCIS)
    extensions = _read_unknown(parsed, _KNOWN_MEMBERS[kind], scope, "/")
    header, masterdata = _read_header(parsed, scope)
    body = parsed.get(_BODY)
    if not isinstance(body, dict):
        scope.report(ProblemCode.MISSING_FIELD, f"/{_BODY}", "epcisBody is missing or not an object")
        body = {}
    results_body, place = body, f"/{_BODY}"
    query = {"query_name": "", "subscription_id": ""}
    if kind is DocumentKind.QUERY:
        results_body, place = _read_query_results(body, scope, query)
        masterdata += _read_vocabularies(results_body.get("vocabularyList"), scope, f"{place}/vocabularyList")
    events = _event_list(results_body, scope, place)
    document_id = read_uri(parsed["id"], scope, "/id") if "id" in parsed else ""
    problems = scope.remarks.take()
    _stop_on_errors(scope, problems)
    place = f"{place}/{_EVENTS}"
    results = [
        _read_event(members, number, scope, f"{place}/{number}") for number, members in enumerate(events)
    ]

    def locate(number: int, problem: Problem) -> Problem:
        return msgspec.structs.replace(problem, pointer=f"{place}/{number}/eventID")

    return Document(
        kind=kind,
        schema_version=version,
        creation_date=created,
        id=document_id,
        header=header,
        masterdata=masterdata,
        results=examine_repeats(results, locate),
        namespaces=namespaces,
        extensions=extensions,
        problems=problems,
        problems_omitted=scope.remarks.omitted,
        **query,
    )


def _read_event(members: object, number: int, scope: Scope, place: str) -> EventResult:
    event, problems = build_event(members, scope)
    if not problems:
        return EventResult(number=number, event=event)
    located = tuple(
        msgspec.structs.replace(problem, pointer=f"{place}/{problem.pointer}" if problem.pointer else place)
        for problem in problems
    )
    return EventResult(number=number, event=event, problems=located)


def _event_list(body: dict[str, object], scope: Scope, place: str) -> list[object]:
    events = body.get(_EVENTS)
    if not isinstance(events, list):
        scope.report(ProblemCode.MISSING_FIELD, f"{place}/{_EVENTS}", "eventList is missing or not a list")
        return []
    if len(events) > scope.limits.events_max:
        message = f"more than {scope.limits.events_max} events"
        scope.report(ProblemCode.TOO_MANY, f"{place}/{_EVENTS}", message)
    return events


def _read_query_results(
    body: dict[str, object], scope: Scope, query: dict[str, str]
) -> tuple[dict[str, object], str]:
    place = f"/{_BODY}/queryResults"
    results = body.get("queryResults")
    if not isinstance(results, dict):
        scope.report(ProblemCode.MISSING_FIELD, place, "queryResults is missing or not an object")
        return {}, place
    if "queryName" in results:
        query["query_name"] = read_text(results["queryName"], scope, f"{place}/queryName")
    else:
        scope.report(ProblemCode.MISSING_FIELD, f"{place}/queryName", "queryName is missing")
    if "subscriptionID" in results:
        query["subscription_id"] = read_text(results["subscriptionID"], scope, f"{place}/subscriptionID")
    place += "/resultsBody"
    inner = results.get("resultsBody")
    if not isinstance(inner, dict):
        scope.report(ProblemCode.MISSING_FIELD, place, "resultsBody is missing or not an object")
        return {}, place
    return inner, place


def _read_version(parsed: dict[str, object], scope: Scope, *, is_required: bool) -> str:
    version = parsed.get("schemaVersion")
    if version is None and not is_required:
        return "2.0"
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        scope.report(ProblemCode.VERSION, "/schemaVersion", "schema version 2.0 is expected")
        return ""
    return version


def _read_created(parsed: dict[str, object], scope: Scope, *, is_required: bool) -> Instant | None:
    if "creationDate" in parsed:
        return read_instant(parsed["creationDate"], scope, "/creationDate")
    if is_required:
        scope.report(ProblemCode.MISSING_FIELD, "/creationDate", "creationDate is missing")
    return None


def _read_unknown(
    members: dict[str, object], known: frozenset[str], scope: Scope, at: str
) -> tuple[Field, ...]:
    fields = (read_field(key, value, scope, at) for key, value in members.items() if key not in known)
    return tuple(field for field in fields if field is not None)


def _read_header(parsed: dict[str, object], scope: Scope) -> tuple[Header, tuple[MasterDataVocabulary, ...]]:
    texts = Header(
        sender=_optional_text(parsed, "sender", scope),
        receiver=_optional_text(parsed, "receiver", scope),
        instance_identifier=_optional_text(parsed, "instanceIdentifier", scope),
    )
    header = parsed.get("epcisHeader", {})
    if not isinstance(header, dict):
        scope.report(ProblemCode.WRONG_TYPE, "/epcisHeader", "an object is expected")
        return texts, ()
    content = _read_unknown(header, frozenset(("epcisMasterData",)), scope, "/epcisHeader/")
    master = header.get("epcisMasterData", {})
    place = "/epcisHeader/epcisMasterData"
    if not isinstance(master, dict):
        scope.report(ProblemCode.WRONG_TYPE, place, "an object is expected")
        return msgspec.structs.replace(texts, content=content), ()
    vocabularies = _read_vocabularies(master.get("vocabularyList"), scope, f"{place}/vocabularyList")
    return msgspec.structs.replace(texts, content=content), vocabularies


def _optional_text(parsed: dict[str, object], key: str, scope: Scope) -> str:
    return read_text(parsed[key], scope, f"/{key}") if key in parsed else ""


def _objects(value: object, scope: Scope, at: str) -> list[tuple[str, dict[str, object]]]:
    """Give the objects of a list with their places; None counts as an empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        scope.report(ProblemCode.WRONG_TYPE, at, "a list is expected")
        return []
    if len(value) > scope.limits.list_items_max:
        scope.report(ProblemCode.TOO_MANY, at, f"more than {scope.limits.list_items_max} entries")
        return []
    found = []
    for number, item in enumerate(value):
        if isinstance(item, dict):
            found.append((f"{at}/{number}", item))
        else:
            scope.report(ProblemCode.WRONG_TYPE, f"{at}/{number}", "an object is expected")
    return found


def _read_vocabularies(value: object, scope: Scope, at: str) -> tuple[MasterDataVocabulary, ...]:
    return tuple(
        MasterDataVocabulary(
            type=read_uri(vocabulary.get(TYPE_KEY), scope, f"{place}/type"),
            elements=tuple(
                _read_element(element, scope, where)
                for where, element in _objects(
                    vocabulary.get("vocabularyElementList"), scope, f"{place}/vocabularyElementList"
                )
            ),
        )
        for place, vocabulary in _objects(value, scope, at)
    )


def _attribute_id(value: object, scope: Scope, at: str) -> str:
    """Read the name of a master data attribute, always as a full URI."""
    text = read_uri(value, scope, at)
    prefix, _, name = text.partition(":")
    return f"{MASTER_DATA_NAMESPACE}:{name}" if prefix == "cbvmda" else text


def _read_element(element: dict[str, object], scope: Scope, at: str) -> VocabularyElement:
    attributes = tuple(
        Field(
            namespace="",
            name=_attribute_id(attribute.get("id"), scope, f"{place}/id"),
            content=read_content(attribute.get("attribute"), scope, f"{place}/attribute", 0),
        )
        for place, attribute in _objects(element.get("attributes"), scope, f"{at}/attributes")
    )
    children = element.get("children", [])
    found: tuple[Identifier, ...] = ()
    if isinstance(children, list):
        found = tuple(
            read_identifier(child, scope, f"{at}/children/{number}") for number, child in enumerate(children)
        )
    else:
        scope.report(ProblemCode.WRONG_TYPE, f"{at}/children", "a list is expected")
    return VocabularyElement(
        id=read_identifier(element.get("id"), scope, f"{at}/id"), attributes=attributes, children=found
    )
