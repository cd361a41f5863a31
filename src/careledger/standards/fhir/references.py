"""References between resources: what their texts say, where they stand, and how they are replaced.

Owns the reading of ``Reference.reference`` (FHIR R4 §2.3.0.1), the search for references in a resource, and the
replacement of links while a transaction is processed (FHIR R4 §3.1.0.11.2): in references, in elements of type uri,
url, oid and uuid, and in the ``href`` and ``src`` of narratives; never in canonical or plain texts. It resolves
nothing itself.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.structure import is_resource_type, member_types, resource_types

REFERENCE_CHARS_MAX = 4096
_ID_TEXT = r"[A-Za-z0-9.-]{1,64}"
_LOCAL = re.compile(rf"([A-Z][A-Za-z]*)/({_ID_TEXT})(?:/_history/({_ID_TEXT}))?(?:#.*)?", re.DOTALL)
_ABSOLUTE = re.compile(
    rf"(https?://[^\s?#]+?)/([A-Z][A-Za-z]*)/({_ID_TEXT})(?:/_history/({_ID_TEXT}))?(?:#.*)?", re.DOTALL
)
_ANY_URL = re.compile(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]*:[^\s]+|https?://[^\s/?#][^\s]*")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]*)\?([^\s]+)")
_UUID = re.compile(r"urn:uuid:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NARRATIVE_LINK = re.compile(r"""((?:href|src)\s*=\s*)("[^"<]*"|'[^'<]*')""")
_REWRITABLE_TYPES = frozenset(("uri", "url", "oid", "uuid"))


class ReferenceKind(Enum):
    """The forms a literal reference may take."""

    LOCAL = "local"
    """``Patient/1``: a resource of this server."""
    ABSOLUTE = "absolute"
    """``https://other.example/fhir/Patient/1`` or any other absolute URL."""
    URN = "urn"
    """``urn:uuid:`` or ``urn:oid:``: another entry of the same bundle."""
    CONTAINED = "contained"
    """``#p``: a resource inside this one; ``#`` alone is the outer resource."""
    CONDITIONAL = "conditional"
    """``Patient?identifier=…``: the one resource a search finds; only inside a transaction."""


class ReferenceTextError(ValueError):
    """A text is no literal reference; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a literal reference says."""

    kind: ReferenceKind
    type_name: str = ""
    """Resource type, where the text shows it."""
    logical_id: str = ""
    """Logical id, the contained id, or the whole URN."""
    version_id: str = ""
    """Version asked for, or empty."""
    base_url: str = ""
    """Server of an absolute RESTful reference, without a final slash."""
    query: str = ""
    """Search of a conditional reference, without the question mark."""

    @property
    def local_text(self) -> str:
        """Return ``Type/id``."""
        return f"{self.type_name}/{self.logical_id}"


def parse_reference(text: str) -> Reference:
    """Return what the text of a ``Reference.reference`` says.

    Raises:
        ReferenceTextError: The text is no reference, or names a resource type that FHIR R4 does not have.
    """
    if len(text) > REFERENCE_CHARS_MAX:
        raise ReferenceTextError("the reference is too long")
    if match := _LOCAL.fullmatch(text):
        return _typed(Reference(ReferenceKind.LOCAL, match[1], match[2], match[3] or ""))
    if text.startswith("#"):
        return Reference(ReferenceKind.CONTAINED, logical_id=text[1:])
    if text.startswith("urn:uuid:"):
        if not _UUID.fullmatch(text):
            raise ReferenceTextError("the UUID is malformed")
        return Reference(ReferenceKind.URN, logical_id=text)
    if text.startswith("urn:"):
        return Reference(ReferenceKind.URN, logical_id=text)
    if match := _CONDITIONAL.fullmatch(text):
        return _typed(Reference(ReferenceKind.CONDITIONAL, match[1], query=match[2]))
    if (match := _ABSOLUTE.fullmatch(text)) and is_resource_type(match[2]):
        return Reference(ReferenceKind.ABSOLUTE, match[2], match[3], match[4] or "", match[1])
    if _ANY_URL.fullmatch(text):
        return Reference(ReferenceKind.ABSOLUTE)
    raise ReferenceTextError("is neither Type/id, an absolute URL, a URN, a contained id nor a search")


def _typed(reference: Reference) -> Reference:
    """Refuse a reference to something that is no resource type."""
    if not is_resource_type(reference.type_name):
        raise ReferenceTextError("names no resource type of FHIR R4")
    return reference


Path: TypeAlias = "tuple[Path, str | int] | None"
"""Where a value stands: the path of what holds it, and its member name or index there."""


@dataclass(frozen=True, slots=True)
class FoundReference:
    """A literal reference inside a resource."""

    text: str
    """As written."""
    location: str
    """JSON members and indexes from the resource down, ``subject.reference``."""


def find_references(resource: JsonObject) -> Iterator[FoundReference]:
    """Yield every ``Reference.reference`` in a resource, contained ones included, in document order."""
    waiting: list[tuple[Json, Path]] = [(resource, None)]
    while waiting:
        value, path = waiting.pop()
        inner: list[tuple[Json, Path]] = []
        if isinstance(value, dict):
            text = value.get("reference")
            if isinstance(text, str):
                yield FoundReference(text, format_path((path, "reference")))
            inner = [(item, (path, key)) for key, item in value.items() if isinstance(item, dict | list)]
        elif isinstance(value, list):
            inner = [
                (item, (path, index)) for index, item in enumerate(value) if isinstance(item, dict | list)
            ]
        waiting.extend(reversed(inner))


def list_reference_texts(resource: JsonObject) -> list[str]:
    """Return the texts of every ``Reference.reference`` in a resource, without their places: ten times as fast."""
    found: list[str] = []
    _collect_texts(resource, found)
    return found


def _collect_texts(value: Json, found: list[str]) -> None:
    """Append the reference texts below an object or array."""
    if type(value) is dict:
        text = value.get("reference")
        if type(text) is str:
            found.append(text)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                _collect_texts(item, found)
        return
    for item in cast("list[Json]", value):
        if type(item) is dict or type(item) is list:
            _collect_texts(item, found)


def format_path(path: Path) -> str:
    """Return a path as ``name[0].family``."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


class _Rewriter:
    """One pass over one resource; parts without a replaced link are shared with the original."""

    __slots__ = ("links", "root")

    def __init__(self, root: JsonObject, links: Mapping[str, str]) -> None:
        self.root = root
        self.links = links

    def rewrite(self, value: Json, path: Path) -> Json:
        """Return ``value`` with its links replaced; the very same object when there are none."""
        if type(value) is dict:
            return self._rewrite_object(value, path)
        changed: list[Json] | None = None
        links = self.links
        items = cast("list[Json]", value)
        for index, item in enumerate(items):
            if type(item) is str:
                if item not in links or not self._is_link(path):
                    continue
                new: Json = links[item]
            elif type(item) is dict or type(item) is list:
                new = self.rewrite(item, (path, index))
                if new is item:
                    continue
            else:
                continue
            changed = list(items) if changed is None else changed
            changed[index] = new
        return items if changed is None else changed

    def _rewrite_object(self, value: JsonObject, path: Path) -> JsonObject:
        """Return an object with its links replaced."""
        changed: JsonObject | None = None
        links = self.links
        for key, item in value.items():
            if type(item) is str:
                if key == "div":
                    new: Json = self._rewrite_narrative(item)
                    if new == item:
                        continue
                elif item not in links or not (key == "reference" or self._is_link((path, key))):
                    continue
                else:
                    new = links[item]
            elif type(item) is dict or type(item) is list:
                new = self.rewrite(item, (path, key))
                if new is item:
                    continue
            else:
                continue
            changed = dict(value) if changed is None else changed
            changed[key] = new
        return value if changed is None else changed

    def _rewrite_narrative(self, text: str) -> str:
        """Return a narrative with the targets of its links replaced."""
        if "href" not in text and "src" not in text:
            return text

        def replace(match: re.Match[str]) -> str:
            quoted = match[2]
            new = self.links.get(quoted[1:-1])
            return match[0] if new is None else f"{match[1]}{quoted[0]}{new}{quoted[0]}"

        return _NARRATIVE_LINK.sub(replace, text)

    def _is_link(self, path: Path) -> bool:
        """Return whether the element at ``path`` has one of the types whose links are replaced.

        ``Extension.url`` has, but it names the extension's definition, which no entry of a bundle is.
        """
        if path is not None and path[1] == "url" and element_type(self.root, path[0]) == "Extension":
            return False
        return element_type(self.root, path) in _REWRITABLE_TYPES


def element_type(root: JsonObject, path: Path) -> str:
    """Return the FHIR type of the element at ``path`` inside a resource, or an empty text when it has none."""
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    value: Json = root
    type_name = ""
    for step in reversed(steps):
        if isinstance(value, dict) and is_resource_type(value.get("resourceType")):
            type_name = cast("str", value["resourceType"])
        if isinstance(step, int):
            value = cast("list[Json]", value)[step]
            continue
        value = cast("JsonObject", value)[step]
        try:
            found = member_types(type_name).get(step)
        except KeyError:
            return ""
        if found is None:
            return ""
        type_name = found[1]
    return type_name


def rewrite_references(resource: JsonObject, links: Mapping[str, str]) -> JsonObject:
    """Return the resource with every link that ``links`` knows replaced by what it maps to.

    Args:
        resource: A resource; it is not changed, and unchanged parts of it are shared with the result.
        links: Whole texts as they stand in the resource (``urn:uuid:…``, ``Patient?identifier=…``, absolute or
            relative URLs) to what shall stand there (``Patient/1``).
    """
    if not links:
        return resource
    return cast("JsonObject", _Rewriter(resource, links).rewrite(resource, None))


def map_references(resource: JsonObject, change: Callable[[str], str | None]) -> JsonObject:
    """Return the resource with ``change`` applied to every ``Reference.reference``; ``None`` leaves one as it is."""
    links: dict[str, str] = {}
    for found in find_references(resource):
        if found.text not in links and (new := change(found.text)) is not None:
            links[found.text] = new
    return rewrite_references(resource, links)


def target_types(text: str) -> frozenset[str]:
    """Return the resource types a reference text may lead to: one where it shows it, else all."""
    reference = parse_reference(text)
    return frozenset((reference.type_name,)) if reference.type_name else resource_types()
