"""AuditEvents as they are served, committed to and shown to patients: FHIR R4, shaped as IHE BALP has them.

Owns the shape and its commitment. Does not decide what is logged, nor where it lies (`audit`).

    commitment = SHA-256(0x03 | CBOR[tag, H(salt | event)])        beside 0 record, 1 void, 2 manifest of a stream

Source: FHIR R4 AuditEvent; IHE ITI BALP 1.1 (Patient Create, Read, Update, Delete, Query; Privacy Disclosure at
Source and Recipient).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

import msgspec

from careledger.domains.records.service.consent.vocabulary import ACT_REASON, ORGANISATION_SYSTEM, TREATMENT
from careledger.primitives.identifiers import Commitment
from careledger.primitives.timestamps import format_instant

SALT_BYTES: Final = 32
RESOURCES_MAX: Final = 200
"""References named in one event; more are counted."""
EXCHANGE_SYSTEM: Final = "urn:careledger:exchange"
"""System of the identifier that a custodian's and a requester's entries of one exchange share."""
REQUEST_SYSTEM: Final = "urn:careledger:request"
READER_SYSTEM: Final = "urn:careledger:reader"

_ACCESS_PREFIX: Final = b"\x03\x82\x58\x20"
_DIGEST_HEAD: Final = b"\x58\x20"
_PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_EVENT_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"


class Action(Enum):
    """What was done, by the interaction that stands in the event."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    QUERY = "search"
    DISCLOSE = "disclose"
    """Handed to another organisation, or asked for by one."""
    RECEIVE = "receive"
    """Received from another organisation."""
    REFUSE = "refuse"
    """Refused to another organisation, after its request was logged."""
    BREAK_GLASS = "break-glass"
    """Opened without a grant, in an emergency."""
    MATCH = "match"
    """Looked for by demographics from elsewhere."""
    EXPORT = "export"


_CODES: Final = {
    Action.CREATE: "C",
    Action.READ: "R",
    Action.UPDATE: "U",
    Action.DELETE: "D",
    Action.QUERY: "E",
    Action.DISCLOSE: "R",
    Action.RECEIVE: "C",
    Action.REFUSE: "E",
    Action.BREAK_GLASS: "R",
    Action.MATCH: "E",
    Action.EXPORT: "R",
}
_PROFILE_OF: Final = {
    Action.CREATE: "PatientCreate",
    Action.READ: "PatientRead",
    Action.UPDATE: "PatientUpdate",
    Action.DELETE: "PatientDelete",
    Action.QUERY: "PatientQuery",
    Action.DISCLOSE: "PrivacyDisclosure.Source",
    Action.BREAK_GLASS: "PrivacyDisclosure.Source",
    Action.EXPORT: "PrivacyDisclosure.Source",
    Action.RECEIVE: "PrivacyDisclosure.Recipient",
}
_REST: Final = frozenset({Action.CREATE, Action.READ, Action.UPDATE, Action.DELETE, Action.QUERY})


class ReaderKind(Enum):
    """What kind of actor looked; machines are shown to patients too."""

    PERSON = "person"
    MACHINE = "machine"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who looked."""

    identifier: str
    """Stable name at their organisation: the token's subject, or a client's id for a machine."""
    organisation: str
    """Short name of their organisation."""
    kind: ReaderKind = ReaderKind.PERSON
    role: str = ""
    """What they are there, such as `clinician`."""
    client: str = ""
    """Application that asked on their behalf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One look, or one change, to be logged."""

    action: Action
    patient_id: str | None
    """Patient concerned at this site; None for what belongs to no patient."""
    reader: Reader
    purpose: str = TREATMENT
    """Code of v3-ActReason."""
    resources: tuple[str, ...] = ()
    """References of what was looked at."""
    query: str = ""
    """Search as it was asked."""
    request_id: str = ""
    """`X-Request-Id`."""
    exchange_id: str = ""
    """Hexadecimal name of an exchange between organisations."""
    description: str = ""
    """Typed reason or particulars, such as of an emergency."""
    is_failure: bool = False
    """Whether it was refused."""


def build_event(access: Access, *, site: str, at_ms: int, count: int = 1) -> bytes:
    """Bytes of the AuditEvent, as they are stored, committed to and served.

    Args:
        access: what happened.
        site: short name of the organisation that observed it.
        at_ms: when, milliseconds since 1970.
        count: how many looks it stands for.
    """
    action = access.action
    event: dict[str, object] = {"resourceType": "AuditEvent"}
    profile = _PROFILE_OF.get(action)
    if profile is not None and access.patient_id is not None:
        event["meta"] = {"profile": [_PROFILES + profile]}
    if action in _REST:
        event["type"] = _coding(_EVENT_TYPES, "rest")
        event["subtype"] = [_coding(_INTERACTIONS, action.value)]
    else:
        event["type"] = _coding(_DICOM, "110107" if action is Action.RECEIVE else "110106")
        event["subtype"] = [_coding(_LIFECYCLE, action.value)]
    event["action"] = _CODES[action]
    event["recorded"] = format_instant(at_ms)
    event["outcome"] = "4" if access.is_failure else "0"
    if access.description:
        event["outcomeDesc"] = access.description
    event["purposeOfEvent"] = [{"coding": [_coding(ACT_REASON, access.purpose)]}]
    event["agent"] = _agents(access)
    event["source"] = {"observer": _organisation(site)}
    event["entity"] = _entities(access, count)
    return msgspec.json.encode(event)


def access_commitment(tag: bytes, salt: bytes, event: bytes) -> Commitment:
    """Commitment of an access entry, from the event's stored bytes."""
    digest = sha256(salt + event).digest()
    return Commitment(sha256(_ACCESS_PREFIX + tag + _DIGEST_HEAD + digest).digest())


def _agents(access: Access) -> list[dict[str, object]]:
    reader = access.reader
    who: dict[str, object] = {"identifier": {"system": READER_SYSTEM, "value": reader.identifier}}
    agent: dict[str, object] = {
        "type": {
            "coding": [
                _coding(
                    _PARTICIPATION, "humanuser" if reader.kind is not ReaderKind.MACHINE else "dataprocessor"
                )
            ]
        },
        "who": who,
        "requestor": True,
    }
    if reader.role:
        agent["role"] = [{"text": reader.role}]
    agents = [agent]
    if reader.client:
        agents.append(
            {
                "type": {"coding": [_coding(_DICOM, "110152")]},
                "who": {"identifier": {"value": reader.client}},
                "requestor": False,
            }
        )
    agents.append(
        {
            "type": {"coding": [_coding(_DICOM, "110152" if reader.client == "" else "110150")]},
            "who": _organisation(reader.organisation),
            "requestor": False,
        }
    )
    return agents


def _entities(access: Access, count: int) -> list[dict[str, object]]:
    entities: list[dict[str, object]] = []
    if access.patient_id is not None:
        entities.append(
            {
                "what": {"reference": f"Patient/{access.patient_id}"},
                "type": _coding(_ENTITY_TYPE, "1"),
                "role": _coding(_OBJECT_ROLE, "1"),
            }
        )
    entities.extend(
        {
            "what": {"reference": reference},
            "type": _coding(_ENTITY_TYPE, "2"),
            "role": _coding(_OBJECT_ROLE, "4"),
        }
        for reference in access.resources[:RESOURCES_MAX]
    )
    if access.query:
        entities.append(
            {
                "type": _coding(_ENTITY_TYPE, "2"),
                "role": _coding(_OBJECT_ROLE, "24"),
                "query": base64.b64encode(access.query.encode()).decode(),
            }
        )
    for system, name in ((REQUEST_SYSTEM, access.request_id), (EXCHANGE_SYSTEM, access.exchange_id)):
        if name:
            entities.append(
                {
                    "what": {"identifier": {"system": system, "value": name}},
                    "type": _coding(_ENTITY_TYPE, "4"),
                }
            )
    if count > 1 or len(access.resources) > RESOURCES_MAX:
        entities.append(
            {
                "type": _coding(_ENTITY_TYPE, "4"),
                "detail": [{"type": "looks", "valueString": str(max(count, len(access.resources)))}],
            }
        )
    return entities


def _organisation(slug: str) -> dict[str, object]:
    return {"identifier": {"system": ORGANISATION_SYSTEM, "value": slug}}


def _coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}
