"""The one table of interactions: what routes requests, and what the CapabilityStatement is made from.

An address is split into its shape (`Type/id/_history/v` and the like) and its parts; the shape and the method give
the route. What has no route is 404 or, with the methods that there are, 405. So nothing can be claimed that is not
routed, nor routed without being claimed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.served_types import SERVED_TYPES
from careledger.primitives.errors import Rejected
from careledger.web.errors import ROUTE_UNKNOWN, method_not_allowed

if TYPE_CHECKING:
    from careledger.domains.records.api.site import FhirSite

Handler: TypeAlias = "Callable[[FhirSite, FhirRequest], Awaitable[FhirAnswer]]"

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_OPERATION = re.compile(r"\$[a-z][a-z-]{1,40}")
MOUNT: Final = "fhir"


class Shape(Enum):
    """Shapes of addresses; the value is the template that logs and metrics show."""

    SYSTEM = "/fhir"
    METADATA = "/fhir/metadata"
    SMART = "/fhir/.well-known/smart-configuration"
    SYSTEM_HISTORY = "/fhir/_history"
    SYSTEM_SEARCH = "/fhir/_search"
    SYSTEM_OPERATION = "/fhir/${operation}"
    TYPE = "/fhir/{type}"
    TYPE_HISTORY = "/fhir/{type}/_history"
    TYPE_SEARCH = "/fhir/{type}/_search"
    TYPE_OPERATION = "/fhir/{type}/${operation}"
    INSTANCE = "/fhir/{type}/{id}"
    INSTANCE_HISTORY = "/fhir/{type}/{id}/_history"
    INSTANCE_OPERATION = "/fhir/{type}/{id}/${operation}"
    VERSION = "/fhir/{type}/{id}/_history/{version}"
    VERSION_OPERATION = "/fhir/{type}/{id}/_history/{version}/${operation}"
    COMPARTMENT = "/fhir/Patient/{id}/{type}"
    COMPARTMENT_SEARCH = "/fhir/Patient/{id}/{type}/_search"


OPERATION_SHAPES: Final = frozenset(
    {Shape.SYSTEM_OPERATION, Shape.TYPE_OPERATION, Shape.INSTANCE_OPERATION, Shape.VERSION_OPERATION}
)


@dataclass(slots=True)
class Address:
    """An address below the FHIR base, in its parts."""

    shape: Shape
    resource_type: str = ""
    resource_id: str = ""
    version: str = ""
    inner_type: str = ""
    operation: str = ""


Level: TypeAlias = Literal["system", "type", "instance", "version"]
LEVELS: Final[dict[Shape, Level]] = {
    Shape.SYSTEM_OPERATION: "system",
    Shape.TYPE_OPERATION: "type",
    Shape.INSTANCE_OPERATION: "instance",
    Shape.VERSION_OPERATION: "version",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one shape."""

    shape: Shape
    method: str
    interaction: str
    """FHIR's code of the interaction, such as `search-type`; empty for what the standard has no code for."""
    handler: Handler
    needs_token: bool = True
    takes_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    name: str
    """With its dollar sign."""
    levels: frozenset[Level]
    types: frozenset[str] | None
    """Resource types that have it; None for all."""
    methods: tuple[str, ...]
    definition: str
    """Canonical URL of its definition, or our own URN."""
    text: str
    """One sentence for the CapabilityStatement."""
    handler: Handler
    is_offered: Callable[[FhirSite], bool] = lambda site: True  # noqa: ARG005 - offered by every site
    """Whether a site has what the operation needs."""

    def applies(self, level: Level, resource_type: str) -> bool:
        """Whether the operation exists at a level of a type."""
        return level in self.levels and (
            not resource_type or self.types is None or resource_type in self.types
        )


def parse_address(path: str) -> Address:
    """Return an address in its parts.

    Args:
        path: below the base, without a leading slash, percent-decoding done.

    Raises:
        Rejected: ROUTE_UNKNOWN; for a type that is not served the same, so that one answer serves all that is not
            there.
    """
    parts = path.split("/") if path else []
    if parts and not parts[-1]:
        parts.pop()
    count = len(parts)
    if count == 2 and parts[0] in SERVED_TYPES and _ID.fullmatch(parts[1]):
        return Address(Shape.INSTANCE, parts[0], parts[1])
    if count == 1 and parts[0] in SERVED_TYPES:
        return Address(Shape.TYPE, parts[0])
    if count == 0:
        return Address(Shape.SYSTEM)
    if parts[0] not in SERVED_TYPES:
        return _parse_system(parts)
    if count == 2:
        return _parse_type(parts)
    if not _ID.fullmatch(parts[1]):
        raise Rejected(ROUTE_UNKNOWN)
    return _parse_instance(parts)


def _parse_system(parts: list[str]) -> Address:
    if len(parts) == 1:
        shape = {
            "metadata": Shape.METADATA,
            "_history": Shape.SYSTEM_HISTORY,
            "_search": Shape.SYSTEM_SEARCH,
        }.get(parts[0])
        if shape is not None:
            return Address(shape)
        if _OPERATION.fullmatch(parts[0]):
            return Address(Shape.SYSTEM_OPERATION, operation=parts[0])
    elif parts == [".well-known", "smart-configuration"]:
        return Address(Shape.SMART)
    raise Rejected(ROUTE_UNKNOWN)


def _parse_type(parts: list[str]) -> Address:
    name, last = parts
    if last == "_history":
        return Address(Shape.TYPE_HISTORY, name)
    if last == "_search":
        return Address(Shape.TYPE_SEARCH, name)
    if _OPERATION.fullmatch(last):
        return Address(Shape.TYPE_OPERATION, name, operation=last)
    raise Rejected(ROUTE_UNKNOWN)


def _parse_instance(parts: list[str]) -> Address:
    name, resource_id, third, *rest = parts
    if not rest:
        if third == "_history":
            return Address(Shape.INSTANCE_HISTORY, name, resource_id)
        if _OPERATION.fullmatch(third):
            return Address(Shape.INSTANCE_OPERATION, name, resource_id, operation=third)
        if name == "Patient" and (third == "*" or third in SERVED_TYPES):
            return Address(Shape.COMPARTMENT, name, resource_id, inner_type=third)
    elif third == "_history" and _ID.fullmatch(rest[0]):
        if len(rest) == 1:
            return Address(Shape.VERSION, name, resource_id, rest[0])
        if len(rest) == 2 and _OPERATION.fullmatch(rest[1]):
            return Address(Shape.VERSION_OPERATION, name, resource_id, rest[0], operation=rest[1])
    elif name == "Patient" and rest == ["_search"] and (third == "*" or third in SERVED_TYPES):
        return Address(Shape.COMPARTMENT_SEARCH, name, resource_id, inner_type=third)
    raise Rejected(ROUTE_UNKNOWN)


class RouteTable:
    """Routes by shape and method, operations by name."""

    def __init__(self, routes: tuple[Route, ...], operations: tuple[Operation, ...]) -> None:
        self.routes = routes
        self.operations = {operation.name: operation for operation in operations}
        self._by_shape: dict[Shape, dict[str, Route]] = {}
        for route in routes:
            self._by_shape.setdefault(route.shape, {})[route.method] = route
        self._operation_routes = {
            (operation.name, shape, method): Route(
                shape=shape,
                method=method,
                interaction=operation.name,
                handler=operation.handler,
                takes_body=method == "POST",
            )
            for operation in operations
            for shape, level in LEVELS.items()
            for method in operation.methods
            if level in operation.levels
        }

    def find(self, site: FhirSite, method: str, address: Address) -> Route:
        """Return the route of a request.

        Raises:
            Rejected: ROUTE_UNKNOWN, no such operation there.
            HttpRefused: 405, the address takes other methods.
        """
        if address.shape in OPERATION_SHAPES:
            return self._find_operation(site, method, address)
        methods = self._by_shape[address.shape]
        route = methods.get(method)
        if route is None:
            raise method_not_allowed(sorted(methods))
        return route

    def _find_operation(self, site: FhirSite, method: str, address: Address) -> Route:
        operation = self.operations.get(address.operation)
        level = LEVELS[address.shape]
        if (
            operation is None
            or not operation.applies(level, address.resource_type)
            or not operation.is_offered(site)
        ):
            raise Rejected(ROUTE_UNKNOWN)
        route = self._operation_routes.get((operation.name, address.shape, method))
        if route is None:
            raise method_not_allowed(operation.methods)
        return route
