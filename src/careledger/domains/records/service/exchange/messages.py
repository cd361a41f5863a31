"""Bodies of the protocol between sites, as canonical arrays; `docs/formats/exchange.md` gives every field.

Owns form and bounds of requests and answers. What they mean is with who makes and who checks them.
"""

from __future__ import annotations

from typing import Final, TypeVar

from careledger.domains.records.service.consent.cells import LeafProof
from careledger.domains.records.service.exchange.errors import ANSWER_INVALID, MESSAGE_INVALID
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.errors import Rejected

PREFIX: Final = "/exchange/v1"
CONTENT_TYPE: Final = "application/cbor"
VERSION: Final = 1

REQUEST_BYTES_MAX: Final = 24 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 48 * 1024 * 1024
ANSWER_CONTENT_BYTES: Final = 16 * 1024 * 1024
"""Content after which an answer is cut; the requester asks on."""
TEXT_CHARACTERS_MAX: Final = 1_000

SINGLES_KEY: Final = 255
"""Stands for single records in `skip`, where other numbers are compartments."""

RECORD: Final = 1
VOID: Final = 2
TAKEN: Final = 3
WITHHELD: Final = 4
ERASED: Final = 5
"""Kinds of entries: a record version; a position that never held one; one that holds a commitment its custodian
cannot open; a record whose key is not given (psychotherapy notes); one whose content was erased."""


class Refusal(Wire, frozen=True):
    """Body of every answer that is no success."""

    module: int
    code: int
    detail: str


class EnrolRequest(Wire, frozen=True):
    """A custodian redeems an enrolment code at the agent that made it."""

    version: int
    code: bytes
    """The code's secret."""


class EnrolAnswer(Wire, frozen=True):
    """What a custodian needs of a patient's wallet."""

    version: int
    index_keys: tuple[tuple[int, bytes], ...]
    """(compartment, sealed index key) of the first epoch."""
    access_key: bytes
    """The access log's key, sealed."""
    cell_contents: bytes
    """128 bytes."""
    identity: bytes
    recipient: bytes
    agent: str
    manifests: tuple[tuple[int, bytes], ...]
    """(compartment, envelope signed by the wallet)."""


class ReadRequest(Wire, frozen=True):
    """A grantee asks for what a grant opens."""

    version: int
    cell: bytes
    grant: bytes
    """Name of the grant that is meant; empty for whichever permits."""
    purpose: str
    """Code of v3-ActReason."""
    practitioner: str
    """Reference or name of who asks; may be empty for a machine."""
    roles: tuple[str, ...]
    """`system|code`."""
    exchange_id: bytes
    """32 random bytes, shared by both sides' access entries."""
    seen_height: int
    """Height of the requester's view: no older state may be answered from."""
    skip: tuple[tuple[int, int], ...]
    """(compartment, how many of its entries the requester has already)."""


class Item(Wire, frozen=True):
    """One entry of a stream."""

    kind: int
    type: str
    """Resource type; empty but for records."""
    id: str
    version: int
    sealed: bytes
    """The record's blob."""
    key: bytes
    """The record key, wrapped by the disclosure key; the salt of a void; else empty."""


class StreamAnswer(Wire, frozen=True):
    """One whole compartment."""

    compartment: int
    epoch: int
    manifest: bytes
    """Envelope."""
    manifest_salt: bytes
    """Opens the commitment at position 0."""
    manifest_proof: LeafProof
    """The manifest's slot in the cell."""
    head: bytes
    """Envelope."""
    first: int
    """How many entries were skipped."""
    items: tuple[Item, ...]
    """Visible entries of earlier epochs in the manifest's order, then positions 1 to n."""
    total: int
    """How many entries there are."""


class Single(Wire, frozen=True):
    """One record released by itself."""

    compartment: int
    epoch: int
    """Of the stream that holds it."""
    tag: bytes
    type: str
    id: str
    version: int
    sealed: bytes
    granted: bytes
    """The record key, sealed to the requester; empty where it is withheld."""


class AccessStatement(Wire, frozen=True):
    """The custodian's own entry about this disclosure."""

    tag: bytes
    height: int
    salt: bytes
    event: bytes


class ReadAnswer(Wire, frozen=True):
    """What a grant opens."""

    version: int
    cell_version: int
    grant: bytes
    scope: bytes
    grant_proof: LeafProof
    streams: tuple[StreamAnswer, ...]
    singles: tuple[Single, ...]
    singles_first: int
    singles_total: int
    singles_head: bytes
    """Envelope; empty where the grant opens no single records."""
    access: AccessStatement


class Demographics(Wire, frozen=True):
    """Who is looked for."""

    family: str
    given: tuple[str, ...]
    birth_date: str
    """`YYYY-MM-DD`, `YYYY-MM` or `YYYY`; empty if not known."""
    gender: str
    postal_code: str
    city: str
    phone: str
    identifiers: tuple[tuple[str, str], ...]
    """(system, value)."""


class MatchRequest(Wire, frozen=True):
    """Somebody in an emergency is looked for; the answer is the same whether they are known or not."""

    version: int
    demographics: Demographics
    practitioner: str
    affiliation: str
    exchange_id: bytes


class MatchAnswer(Wire, frozen=True):
    """A handle to break the glass with. It says nothing: there is one for the unknown, too."""

    version: int
    handle: bytes
    """32 bytes."""


class BreakGlassRequest(Wire, frozen=True):
    """The glass is broken, with a reason."""

    version: int
    handle: bytes
    practitioner: str
    affiliation: str
    reason: str
    is_bona_fide_emergency: bool
    """42 CFR 2.51: prior consent cannot be obtained. Without it, substance use records stay closed."""
    nature: str
    """Nature of the emergency."""
    exchange_id: bytes
    seen_height: int
    skip: int


class BreakGlassAnswer(Wire, frozen=True):
    """Single records, for four hours."""

    version: int
    session: bytes
    """Names the emergency in heads and reviews, 32 bytes."""
    expires_ms: int
    singles: tuple[Single, ...]
    first: int
    total: int
    head: bytes
    """Envelope."""
    access: AccessStatement


class GrantDelivery(Wire, frozen=True):
    """An agent tells a grantee what was granted, or that it ended."""

    version: int
    custodian: int
    cell: bytes
    name: bytes
    """The grant's name."""
    purpose: str
    expires_at_ms: int
    is_ended: bool
    own_cell: bytes
    """The same patient's cell at the grantee, if the agent knows one; else empty."""


class Notice(Wire, frozen=True):
    """A custodian tells the agent what the patient must know."""

    version: int
    cell: bytes
    kind: str
    at_ms: int
    text: str
    notice_id: bytes
    """16 random bytes: a notice sent twice is one."""


class ShareRequest(Wire, frozen=True):
    """An organisation asks, for a patient who lost the wallet, for the custodian's share."""

    version: int
    cell: bytes
    asked_by: tuple[str, ...]
    """Two different people at the asking organisation."""


class ShareAnswer(Wire, frozen=True):
    """The share, once delay and notice are over."""

    version: int
    ready_ms: int
    """When it is given out."""
    sealed_share: bytes
    """Sealed to who asks; empty before."""


W = TypeVar("W", bound=Wire)


def read_request(raw: bytes, kind: type[W]) -> W:
    """Read a request's body.

    Raises:
        Rejected: MESSAGE_INVALID, naming the place.
    """
    try:
        message = decode(raw, kind)
    except CodecError as error:
        raise Rejected(MESSAGE_INVALID, str(error)) from None
    if getattr(message, "version", VERSION) != VERSION:
        raise Rejected(MESSAGE_INVALID, "an unknown version")
    return message


def read_answer(raw: bytes, kind: type[W]) -> W:
    """Read an answer's body.

    Raises:
        Rejected: ANSWER_INVALID, naming the place.
    """
    try:
        message = decode(raw, kind)
    except CodecError as error:
        raise Rejected(ANSWER_INVALID, str(error)) from None
    if getattr(message, "version", VERSION) != VERSION:
        raise Rejected(ANSWER_INVALID, "an unknown version")
    return message
