"""One entrance for documents of either syntax.

Owns the choice between JSON and XML from the media type, or from the first character where the sender did not say.
"""

from __future__ import annotations

from careledger.standards.epcis.document import Document
from careledger.standards.epcis.errors import ProblemCode, reject
from careledger.standards.epcis.json_reader import read_json_document
from careledger.standards.epcis.limits import DEFAULT_LIMITS, Limits
from careledger.standards.epcis.xml_reader import read_xml_document

_WHITE_SPACE = b" \t\r\n\xef\xbb\xbf"


def parse_document(data: bytes, content_type: str = "", *, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read an EPCIS document, or a single event.

    A problem inside an event is reported with that event and leaves the others usable (`Document.results`); a
    problem around the events makes the document unusable.

    Args:
        data: the bytes as received.
        content_type: media type such as `application/ld+json` or `text/xml`, parameters allowed; empty to look at
            the content.
        limits: bounds on size, number and depth.

    Raises:
        DocumentRejected: with the located problems.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith("json"):
        return read_json_document(data, limits)
    if media_type.endswith("xml"):
        return read_xml_document(data, limits)
    if media_type:
        raise reject(ProblemCode.NOT_EPCIS, "this media type is neither JSON nor XML")
    first = data[:16].lstrip(_WHITE_SPACE)[:1]
    if first == b"{":
        return read_json_document(data, limits)
    return read_xml_document(data, limits)
