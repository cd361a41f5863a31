"""XML in, safely.

Owns the parser settings and the checks before parsing: size, encoding, no document type beyond an empty one, no
entities, no network, bounded depth (libxml2 stops at 256 levels). Some partners' tools write an empty
`<!DOCTYPE name>`; it declares nothing and is let through. Nothing here knows EPCIS.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from lxml import etree

from careledger.standards.epcis.errors import DocumentRejected, ProblemCode, reject
from careledger.standards.epcis.limits import Limits

_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._\-]{1,40})[\"']")
_DOCTYPE = re.compile(rb"<!DOCTYPE\s+[A-Za-z_][\w.:\-]{0,100}\s*>")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Declared encodings, and how to decode those that are not UTF-8 already.
_ENCODINGS: Final[dict[str, str]] = {
    "utf-8": "",
    "utf8": "",
    "us-ascii": "",
    "ascii": "",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
}


def parse_xml(data: bytes, limits: Limits) -> etree._Element:
    """Parse an XML text and give its root element; comments and processing instructions are dropped.

    Raises:
        DocumentRejected: TOO_LARGE, ENCODING, FORBIDDEN_MARKUP, TOO_DEEP or SYNTAX (with line).
    """
    if len(data) > limits.document_bytes_max:
        message = f"the document is larger than {limits.document_bytes_max} bytes"
        raise reject(ProblemCode.TOO_LARGE, message)
    data = _to_utf_8(data)
    _verify_no_declarations(data)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _syntax_error(error) from error
    internal = root.getroottree().docinfo.internalDTD
    if internal is not None and (
        internal.external_id or internal.system_url or next(internal.iterentities(), None) is not None
    ):
        raise reject(ProblemCode.FORBIDDEN_MARKUP, "document types and entities are not allowed")
    return root


def _to_utf_8(data: bytes) -> bytes:
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None:
        match = _DECLARED.match(data)
        declared = match.group(1).decode().lower() if match else "utf-8"
        encoding = _ENCODINGS.get(declared)
        if encoding is None:
            message = "the encoding must be UTF-8, UTF-16 with a byte order mark, or ISO-8859-1"
            raise reject(ProblemCode.ENCODING, message, line=1)
    if not encoding:
        return data
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        raise reject(ProblemCode.ENCODING, "the bytes do not fit the encoding they claim") from error


def _verify_no_declarations(data: bytes) -> None:
    """Refuse entity declarations and any document type that declares or fetches something."""
    position = data.find(b"<!ENTITY")
    doctype = data.find(b"<!DOCTYPE")
    if position < 0 and doctype >= 0 and not _DOCTYPE.match(data, doctype):
        position = doctype
    if position >= 0:
        line = data.count(b"\n", 0, position) + 1
        message = "document types and entities are not allowed"
        raise reject(ProblemCode.FORBIDDEN_MARKUP, message, line=line)


def _syntax_error(error: etree.XMLSyntaxError) -> DocumentRejected:
    line = error.lineno or 0
    if "depth" in str(error.msg).lower():
        return reject(ProblemCode.TOO_DEEP, "the document is nested too deeply", line=line)
    return reject(ProblemCode.SYNTAX, "not well-formed XML", line=line)
