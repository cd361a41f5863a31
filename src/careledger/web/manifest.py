"""What a domain contributes to a site's HTTP face, its command line and its documents.

A domain's manifest is data: the gateway mounts the application, the command line loads the verbs when one is used,
and the API document is built from the operations. Adding a domain is adding its manifest to the site's list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from starlette.types import ASGIApp

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    place: Literal["path", "query", "header"]
    text: str
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address, as the API document shows it."""

    method: Method
    path: str
    """Template below the mount, such as `/claims/{id}`; starts with a slash."""
    name: str
    """Unique within the domain, in camelCase."""
    text: str
    """One sentence."""
    parameters: tuple[Parameter, ...] = ()
    request_type: str = ""
    """Media type of the body, or empty."""
    answers: Mapping[int, str] = field(default_factory=dict)
    """Per status other than errors, what it says."""
    answer_type: str = "application/json"
    is_public: bool = False
    """Whether it is answered without a token."""
    scopes: tuple[str, ...] = ()
    """Scopes of which one is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFace:
    """One domain's part of a site."""

    name: str
    """Folder of the domain, such as `records`."""
    mount: str
    """First segment of its addresses, such as `fhir`; unique within a site."""
    app: ASGIApp
    text: str
    """One sentence for the start page and the API document."""
    operations: tuple[Operation, ...] = ()
    """Empty for a face that describes itself otherwise, as FHIR does."""
    reference: tuple[Operation, ...] = ()
    """The same for the reference of routes, where `operations` is empty."""
    document: str = ""
    """Address below the mount of the face's own description, such as `metadata`; or empty."""
    close: Callable[[], None] = lambda: None
    """Ends what the face itself started, such as threads, once no request is under way."""
    cli: str = ""
    """`module:attribute` of its command-line verbs, loaded only when one is used; or empty."""
