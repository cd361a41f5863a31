"""The OpenAPI 3.1 document of a site's own and its domains' addresses, built from their manifests.

FHIR describes itself (`/fhir/metadata`), so of it only the base and that address are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from careledger.web.manifest import DomainFace, Operation, Parameter
from careledger.web.problem import CONTENT_TYPE

OPENAPI_VERSION: Final = "3.1.0"
_PROBLEM: Final = "Problem"
_PATH_PARAMETER = re.compile(r"\{([A-Za-z_]+)(?::[a-z]+)?\}")
SITE_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/",
        name="startPage",
        text="The site's start page.",
        answers={200: "The page."},
        answer_type="text/html",
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/livez",
        name="isLive",
        text="Whether the process runs.",
        answers={200: "It does."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="isReady",
        text="Whether the site can serve.",
        answers={200: "It can.", 503: "It cannot; the checks say why."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/metrics",
        name="showMetrics",
        text="Counters in Prometheus' text format.",
        answers={200: "The counters."},
        answer_type="text/plain",
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="showDocument",
        text="This document.",
        answers={200: "The document."},
        is_public=True,
    ),
)


def build_openapi(
    *,
    title: str,
    version: str,
    site_url: str,
    faces: Sequence[DomainFace],
    operations: Sequence[Operation] = (),
) -> bytes:
    """Return the document as JSON.

    Args:
        title: how the site calls itself.
        version: of the software.
        site_url: `http://host:port` without a final slash.
        faces: the domains' manifests.
        operations: the site's own, beyond those that every site has.
    """
    paths: dict[str, dict[str, object]] = {}
    for operation in (*SITE_OPERATIONS, *operations):
        _add(paths, "", "site", operation)
    for face in faces:
        if face.document:
            described = Operation(
                method="GET",
                path=f"/{face.document}",
                name="describe",
                text=f"What {face.name} offers, in the form of its own standard.",
                answers={200: "The description."},
                is_public=True,
            )
            _add(paths, f"/{face.mount}", face.name, described)
        for operation in face.operations:
            _add(paths, f"/{face.mount}", face.name, operation)
    document = {
        "openapi": OPENAPI_VERSION,
        "info": {"title": title, "version": version or "0"},
        "servers": [{"url": site_url}],
        "tags": [{"name": face.name, "description": face.text} for face in faces],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {_PROBLEM: _problem_schema()},
        },
    }
    return msgspec.json.encode(document)


def _add(paths: dict[str, dict[str, object]], mount: str, domain: str, operation: Operation) -> None:
    path = _PATH_PARAMETER.sub(r"{\1}", f"{mount}{operation.path}")
    named = {parameter.name for parameter in operation.parameters if parameter.place == "path"}
    implied = [
        Parameter(name=name, place="path", text="", is_required=True)
        for name in _PATH_PARAMETER.findall(operation.path)
        if name not in named
    ]
    described: dict[str, object] = {
        "operationId": f"{domain}.{operation.name}",
        "summary": operation.text,
        "tags": [domain],
        "responses": _responses(operation),
    }
    parameters = [_parameter(one) for one in (*operation.parameters, *implied)]
    if parameters:
        described["parameters"] = parameters
    if operation.request_type:
        described["requestBody"] = {"required": True, "content": {operation.request_type: {}}}
    described["security"] = [] if operation.is_public else [{"token": list(operation.scopes)}]
    paths.setdefault(path, {})[operation.method.lower()] = described


def _parameter(parameter: Parameter) -> dict[str, object]:
    described: dict[str, object] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required or parameter.place == "path",
        "schema": {"type": "string"},
    }
    if parameter.text:
        described["description"] = parameter.text
    return described


def _responses(operation: Operation) -> dict[str, object]:
    responses: dict[str, object] = {}
    for status, text in sorted(operation.answers.items()):
        described: dict[str, object] = {"description": text}
        if status not in (204, 304):
            described["content"] = {operation.answer_type: {}}
        responses[str(status)] = described
    responses["default"] = {
        "description": "The request is refused (RFC 9457).",
        "content": {CONTENT_TYPE.decode("ascii"): {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
    }
    return responses


def _problem_schema() -> dict[str, object]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "code", "request_id"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "code": text,
            "detail": text,
            "at": text,
            "request_id": text,
        },
    }
