"""`docs/reference/routes.md`, from the same tables that route requests.

Pure text from manifests; whoever writes the file, and the test that holds it to the code, hand in the faces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from careledger.gateway.authentication import TOKEN_OPERATIONS
from careledger.gateway.openapi import SITE_OPERATIONS
from careledger.web.manifest import DomainFace, Operation

_HEAD = """# Routes

Generated from the tables that route requests (`careledger.gateway.reference`); a test holds this file to them. Every
request but the public ones carries an access token as `Authorization: Bearer`. Errors are problem documents
(RFC 9457), and OperationOutcomes below `/fhir`. Every answer has an `X-Request-Id`.
"""


def render_routes(faces: Sequence[DomainFace]) -> str:
    """Return the document for these faces."""
    parts = [_HEAD, *_section("Every site", "", "", [*SITE_OPERATIONS, *TOKEN_OPERATIONS])]
    for face in sorted(faces, key=lambda one: one.mount):
        operations = face.reference or face.operations
        parts += _section(f"`/{face.mount}`: {face.name}", face.text, f"/{face.mount}", operations)
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, text: str, mount: str, operations: Iterable[Operation]) -> list[str]:
    lines = [f"## {title}", ""]
    if text:
        lines += [text, ""]
    lines += ["| method | address | what | token |", "|---|---|---|---|"]
    for operation in operations:
        needs = "public" if operation.is_public else ", ".join(operation.scopes) or "yes"
        address = f"{mount}{operation.path}".replace("|", "\\|")
        what = operation.text.replace("|", "\\|")
        lines.append(f"| {operation.method} | `{address}` | {what} | {needs} |")
    lines.append("")
    return lines
