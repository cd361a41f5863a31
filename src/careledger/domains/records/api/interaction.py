"""One FHIR request and its answer, as the handlers see them: no HTTP server, no JSON text beyond the body.

The same values serve requests from the network and the entries of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.negotiation import PLAIN, Presentation
from careledger.standards.fhir.json_types import JsonObject

LEDGER_HEADER: Final = b"x-careledger-ledger"
"""Says whether what is answered is on the ledger: `committed` or `pending`."""


@dataclass(slots=True, kw_only=True)
class FhirRequest:
    """One request."""

    method: str
    resource_type: str = ""
    resource_id: str = ""
    version: str = ""
    """Version id of the address; or empty."""
    inner_type: str = ""
    """Type searched within a compartment, `*` for all; or empty."""
    operation: str = ""
    """Name of an operation, with its dollar sign; or empty."""
    query: str = ""
    """Query string as it came."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """By lower-case name; the first of several."""
    body: bytes = b""
    document: JsonObject | None = None
    """The body, where it was read and checked already, as in a batch."""
    access: Access
    request_id: str
    received_ms: int
    presentation: Presentation = PLAIN
    is_entry: bool = False
    """Whether it is an entry of a batch."""

    def header(self, name: bytes) -> str:
        """Return a header's value, or an empty text."""
        return self.headers.get(name, b"").decode("utf-8", "replace")


@dataclass(slots=True, kw_only=True)
class FhirAnswer:
    """One answer."""

    status: int
    body: bytes = b""
    """A resource as JSON, or empty."""
    version: str = ""
    """Becomes the entity tag."""
    updated_ms: int | None = None
    """Becomes `Last-Modified`."""
    location: str = ""
    """`Type/id/_history/version`, relative to the base."""
    is_committed: bool | None = None
    """Whether what is answered is on the ledger; None where that means nothing."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b""
    """Media type, where it is not FHIR JSON."""
    is_final: bool = False
    """Whether the body goes out exactly as it is, whatever presentation was asked for."""
    is_outcome: bool = False
    """Whether the body is an OperationOutcome."""
