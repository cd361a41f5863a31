"""The requests inside a batch or transaction: their URLs, conditions and what must accompany them.

Owns the reading of ``Bundle.entry.request`` and the rules about one entry alone (FHIR R4 §3.1.0.11.1); rules between
entries stand in ``bundle``.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.references import list_reference_texts
from careledger.standards.fhir.structure import is_resource_type

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]

URL_CHARS_MAX = 8192
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SEGMENT = re.compile(r"\$?[A-Za-z0-9._-]{1,64}")
_URL = re.compile(r"[^\s#\x00-\x1f\x7f]*")
_ENTITY_TAG = re.compile(r'(?:W/)?"([A-Za-z0-9.-]{1,64})"')
_FULL_URL = re.compile(r"(?:https?://[^\s?#]+|urn:uuid:[0-9A-Fa-f-]{36}|urn:oid:[0-2](?:\.[0-9]+)+)")
_RESTFUL = re.compile(r"https?://[^\s?#]+/([A-Z][A-Za-z]*)/([A-Za-z0-9.-]{1,64})")


class RequestUrlError(ValueError):
    """A text is no URL of a request relative to the server; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """A URL relative to the server's base: ``Patient/1``, ``Patient?name=x``, ``Patient/1/_history/2``, ``$op``."""

    segments: tuple[str, ...]
    """Path, split at its slashes."""
    query: str = ""
    """Text after the question mark."""

    @property
    def type_name(self) -> str:
        """Return the resource type the path starts with, or an empty text."""
        return self.segments[0] if self.segments and is_resource_type(self.segments[0]) else ""

    @property
    def logical_id(self) -> str:
        """Return the logical id after the type, or an empty text."""
        found = self.segments[1] if self.type_name and len(self.segments) > 1 else ""
        return found if _ID.fullmatch(found) else ""

    @property
    def operation(self) -> str:
        """Return the operation the path ends with, ``$everything``, or an empty text."""
        return self.segments[-1] if self.segments and self.segments[-1].startswith("$") else ""

    @property
    def identity(self) -> str:
        """Return ``Type/id`` when the path is just that, else an empty text."""
        is_instance = len(self.segments) == 2 and self.logical_id
        return "/".join(self.segments) if is_instance else ""

    @property
    def is_conditional(self) -> bool:
        """Whether the URL names a type and a search, as conditional updates and deletes do."""
        return len(self.segments) == 1 and bool(self.type_name and self.query)


def parse_request_url(text: str) -> RequestUrl:
    """Return a request's URL in its parts.

    Raises:
        RequestUrlError: The URL is absolute, has a fragment, or holds what no FHIR URL holds.
    """
    if len(text) > URL_CHARS_MAX:
        raise RequestUrlError("the URL is too long")
    if "://" in text.partition("?")[0] or not _URL.fullmatch(text):
        raise RequestUrlError("the URL must be relative to the server, without fragment or spaces")
    path, _, query = text.removeprefix("/").partition("?")
    segments = tuple(path.split("/")) if path else ()
    if any(not _SEGMENT.fullmatch(segment) or segment in (".", "..") for segment in segments):
        raise RequestUrlError("the path of the URL is malformed")
    return RequestUrl(segments, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a batch or transaction."""

    index: int
    """Position in the bundle; the response stands at the same one."""
    full_url: str
    """As given, or empty."""
    method: Method
    """HTTP method."""
    url: RequestUrl
    """Where the request goes."""
    resource: JsonObject | None
    """What it brings."""
    if_match: str = ""
    """Version that must be current, without quotes; or empty."""
    if_none_match: str = ""
    """As given: an entity tag or ``*``; or empty."""
    if_modified_since: str = ""
    """An instant, or empty."""
    if_none_exist: str = ""
    """Search that must find nothing for a create to happen; or empty."""
    reference_texts: tuple[str, ...] = ()
    """Every ``Reference.reference`` of the resource."""
    issues: tuple[Issue, ...] = ()
    """What is wrong with this entry; a batch answers it alone, a transaction fails as a whole."""

    @property
    def is_create(self) -> bool:
        """Whether the request creates a resource."""
        return self.method == "POST" and not self.url.operation and self.url.segments[-1:] != ("_search",)


def _text(value: Json) -> str:
    """Return ``value`` when it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def read_entry(index: int, entry: JsonObject) -> Entry:
    """Return one entry of a batch or transaction with everything that is wrong with it."""
    where = f"Bundle.entry[{index}]"
    request = entry.get("request")
    issues: list[Issue] = []
    url = RequestUrl(())
    if not isinstance(request, dict):
        issues.append(Issue("required", f"{where}.request", "an entry needs a request"))
        request = {}
    try:
        url = parse_request_url(_text(request.get("url")))
    except RequestUrlError as error:
        issues.append(Issue("value", f"{where}.request.url", str(error)))
    resource = entry.get("resource")
    match = _ENTITY_TAG.fullmatch(_text(request.get("ifMatch")))
    if "ifMatch" in request and match is None:
        issues.append(Issue("value", f"{where}.request.ifMatch", 'must be an entity tag such as W/"1"'))
    read = Entry(
        index=index,
        full_url=_text(entry.get("fullUrl")),
        method=cast("Method", _text(request.get("method"))),
        url=url,
        resource=resource if isinstance(resource, dict) else None,
        if_match=match[1] if match else "",
        if_none_match=_text(request.get("ifNoneMatch")),
        if_modified_since=_text(request.get("ifModifiedSince")),
        if_none_exist=_text(request.get("ifNoneExist")),
        reference_texts=tuple(list_reference_texts(resource)) if isinstance(resource, dict) else (),
    )
    if not issues:
        issues = [
            *_check_full_url(read, where),
            *_check_request(read, where),
            *_check_conditions(read, where),
        ]
    return replace(read, issues=tuple(issues)) if issues else read


def _check_full_url(entry: Entry, where: str) -> list[Issue]:
    """Check that a fullUrl is absolute and agrees with the resource it names."""
    if not entry.full_url:
        return []
    if not _FULL_URL.fullmatch(entry.full_url):
        return [Issue("value", f"{where}.fullUrl", "must be an absolute URL, a UUID or an OID")]
    match = _RESTFUL.fullmatch(entry.full_url)
    if match is None or entry.resource is None or not is_resource_type(match[1]):
        return []
    if match[1] != entry.resource.get("resourceType") or match[2] != entry.resource.get("id", match[2]):
        return [Issue("invariant", f"{where}.fullUrl", "must agree with the type and id of its resource")]
    return []


def _check_request(entry: Entry, where: str) -> list[Issue]:
    """Check that method, URL and resource belong together."""
    place = f"{where}.request.url"
    kind = entry.resource.get("resourceType") if entry.resource is not None else None
    if entry.method not in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
        return [Issue("required", f"{where}.request.method", "an entry needs a method")]
    if entry.method in ("GET", "HEAD", "DELETE") and kind is not None:
        return [Issue("invariant", f"{where}.resource", f"a {entry.method} brings no resource")]
    if entry.method in ("GET", "HEAD") or entry.url.operation:
        return []
    if entry.method == "POST":
        return _check_post(entry, kind, where)
    if not entry.url.identity and not entry.url.is_conditional:
        return [Issue("value", place, "must be Type/id or a search by type")]
    if entry.method == "PATCH" and kind not in ("Parameters", "Binary"):
        return [Issue("required", f"{where}.resource", "a PATCH brings Parameters or a Binary")]
    if entry.method == "PUT":
        return _check_put(entry, kind, where)
    return []


def _check_post(entry: Entry, kind: Json, where: str) -> list[Issue]:
    """Check a create or a search by POST."""
    if not entry.is_create:
        return []
    if entry.resource is None:
        return [Issue("required", f"{where}.resource", "a create needs a resource")]
    if entry.url.segments != (kind,) or entry.url.query:
        return [Issue("value", f"{where}.request.url", "must be the type of the resource")]
    return []


def _check_put(entry: Entry, kind: Json, where: str) -> list[Issue]:
    """Check an update."""
    if entry.resource is None:
        return [Issue("required", f"{where}.resource", "an update needs a resource")]
    if entry.url.type_name != kind:
        return [Issue("value", f"{where}.request.url", "must start with the type of the resource")]
    if entry.url.logical_id and entry.resource.get("id") != entry.url.logical_id:
        return [Issue("invariant", f"{where}.resource.id", "must be the id in the URL")]
    return []


def _check_conditions(entry: Entry, where: str) -> list[Issue]:
    """Check that conditions stand only where they mean something."""
    wrong = [
        (entry.if_match and entry.method not in ("PUT", "PATCH", "DELETE"), "ifMatch"),
        (entry.if_none_exist and not entry.is_create, "ifNoneExist"),
        (entry.if_none_match and entry.method not in ("GET", "HEAD", "PUT"), "ifNoneMatch"),
        (entry.if_modified_since and entry.method not in ("GET", "HEAD"), "ifModifiedSince"),
    ]
    text = "does not go with the method"
    return [Issue("invariant", f"{where}.request.{name}", text) for is_wrong, name in wrong if is_wrong]
