"""Narrative XHTML: an allow-list that leaves nothing to run and nothing to fetch (security row 20).

Owns the reading of ``Narrative.div``: a small strict grammar of tags, attributes and character references
in which whatever is not allowed is refused, never repaired. Allowed are the elements and attributes that
FHIR R4 §2.4.0 names: HTML 4.0 chapters 7 to 11 and 15 without ins and del, links, images and inline style.
Beyond FHIR's own rules, images must be inside the document and links must use a harmless scheme. Pages that
show a narrative still need a content security policy; this module only refuses.
"""

import re
from collections.abc import Iterator
from html import unescape

from careledger.standards.fhir.findings import Findings, wrong

NAMESPACE = "http://www.w3.org/1999/xhtml"
NARRATIVE_CHARS_MAX = 1024 * 1024
ELEMENT_DEPTH_MAX = 64


def _words(text: str) -> frozenset[str]:
    """Return the set of the words in ``text``."""
    return frozenset(text.split())


ELEMENTS = _words(
    "a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd dfn "
    "div dl dt em font h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub "
    "sup table tbody td tfoot th thead tr tt u ul var"
)
ATTRIBUTES = _words(
    "abbr accesskey align alt axis bgcolor border cellpadding cellspacing char charoff cite class "
    "color colspan compact coords dir face frame headers height href hspace id lang longdesc name "
    "noshade nowrap rel rev rowspan rules scope shape size span src start style summary tabindex "
    "title type usemap valign value vspace width xml:lang"
)
_LINKS = frozenset(("href", "cite", "longdesc", "usemap"))
_LINK_SCHEMES = frozenset(("ftp", "http", "https", "mailto", "tel", "urn"))
_IMAGE_DATA = re.compile(r"data:image/(?:png|jpeg|gif);base64,[a-z0-9+/=\s]*", re.ASCII | re.IGNORECASE)
_STYLE_IMAGE = re.compile(
    r"url\(['\"]?data:image/(?:png|jpeg|gif);base64,[a-z0-9+/=]*['\"]?\)", re.IGNORECASE
)
_FORBIDDEN_STYLE = re.compile(r"[\\@<]|/\*|url\s*\(|expression|behavior|binding|javascript", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]")

_NAME = r"[A-Za-z][A-Za-z0-9:]*"
_TOKEN = re.compile(
    rf"<({_NAME})((?:\s+{_NAME}\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(/?)>"
    rf"|</({_NAME})\s*>"
    r"|([^<]+)"
    r"|<!--(?:[^<>-]|-(?!-))*-->"
)
_ATTRIBUTE = re.compile(rf"({_NAME})\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _NarrativeError(Exception):
    """The narrative is refused for the reason given."""


def _check_references(text: str) -> None:
    """Refuse an ampersand that starts none of XML's own references (FHIR has no HTML entities)."""
    if "&" in text and text.count("&") != len(_REFERENCE.findall(text)):
        raise _NarrativeError("only the character references of XML are allowed")


def _check_link(text: str) -> None:
    """Refuse a link whose scheme could run or smuggle anything."""
    scheme = _SCHEME.match(_INVISIBLE.sub("", unescape(text)))
    if scheme and scheme[1].lower() not in _LINK_SCHEMES:
        raise _NarrativeError("a link has a scheme that is not allowed")


def _check_image(text: str) -> None:
    """Refuse an image from elsewhere: it would tell its server who reads the record."""
    plain = _INVISIBLE.sub("", unescape(text))
    scheme = _SCHEME.match(plain)
    if plain.startswith(("//", "\\")) or (
        scheme and scheme[1].lower() != "urn" and not _IMAGE_DATA.fullmatch(plain)
    ):
        raise _NarrativeError("an image must be inside the document")


def _check_style(text: str) -> None:
    """Refuse style that fetches or runs anything; an image inside it may stand inside the document too."""
    plain = _INVISIBLE.sub("", unescape(text))
    if _FORBIDDEN_STYLE.search(_STYLE_IMAGE.sub("", plain)):
        raise _NarrativeError("a style is not allowed in narrative")


def _check_attributes(element: str, text: str, *, is_root: bool) -> None:
    """Refuse attributes that are repeated, unknown, or hold something that acts."""
    seen: set[str] = set()
    for name, double_quoted, single_quoted in _ATTRIBUTE.findall(text):
        value = double_quoted or single_quoted
        if name in seen:
            raise _NarrativeError("an attribute occurs twice")
        seen.add(name)
        _check_references(value)
        if name == "xmlns":
            if value != NAMESPACE:
                raise _NarrativeError("the namespace must be that of XHTML")
        elif name not in ATTRIBUTES:
            raise _NarrativeError("an attribute is not allowed in narrative")
        elif name in _LINKS:
            _check_link(value)
        elif name == "src":
            _check_image(value)
        elif name == "style":
            _check_style(value)
    if is_root and (element != "div" or "xmlns" not in seen):
        raise _NarrativeError("must be a div element in the namespace of XHTML")


def _walk(text: str) -> bool:
    """Check every token of the narrative; return whether it shows anything."""
    open_elements: list[str] = []
    position = 0
    has_content = False
    for match in _tokens(text):
        position = match.end()
        element, attributes, is_empty, closed, content = match.groups()
        if content is not None:
            if not open_elements and content.strip():
                raise _NarrativeError("text stands outside the div element")
            _check_references(content)
            has_content = has_content or not content.isspace()
        elif closed is not None:
            if not open_elements or open_elements.pop() != closed:
                raise _NarrativeError("elements are not closed in order")
        elif element is not None:
            if element not in ELEMENTS:
                raise _NarrativeError("an element is not allowed in narrative")
            is_root = not open_elements
            if is_root and match.start() != 0:
                raise _NarrativeError("must be one div element")
            if attributes or is_root:
                _check_attributes(element, attributes, is_root=is_root)
            has_content = has_content or element == "img"
            if not is_empty:
                open_elements.append(element)
                if len(open_elements) > ELEMENT_DEPTH_MAX:
                    raise _NarrativeError("elements are nested too deeply")
    if position != len(text) or open_elements:
        raise _NarrativeError("is not well-formed XHTML")
    return has_content


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield adjacent tokens until one cannot be read."""
    position = 0
    while match := _TOKEN.match(text, position):
        yield match
        position = match.end()


def check_narrative(value: object) -> Findings | None:
    """Refuse a ``Narrative.div`` that is not harmless XHTML (FHIR R4 txt-1, txt-2)."""
    if not isinstance(value, str):
        return wrong("structure", "must be a JSON string")
    if len(value) > NARRATIVE_CHARS_MAX:
        return wrong("too-long", "the narrative is longer than 1 MiB")
    if not value.startswith("<div"):
        return wrong("invariant", "must be a div element in the namespace of XHTML")
    if _CONTROL.search(value):
        return wrong("value", "the text holds control characters")
    try:
        has_content = _walk(value)
    except _NarrativeError as error:
        return wrong("security", str(error))
    return None if has_content else wrong("invariant", "the narrative shows nothing (txt-2)")
