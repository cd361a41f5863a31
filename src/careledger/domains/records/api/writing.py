"""create, update and delete, plain and conditional (FHIR R4 §3.1.0.2, §3.1.0.4, §3.1.0.7, §3.1.0.8).

Ids are the server's: a create ignores one in the document, and an update of what is not there is refused with 405 as
FHIR has it for servers that do not take ids from clients. What the requester may not see is not there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from careledger.domains.records.api.conditions import find_one, is_allowed, read_criteria, write_decided
from careledger.domains.records.api.documents import (
    check_context,
    check_identity,
    check_references,
    read_document,
)
from careledger.domains.records.api.errors import EXISTS_ALREADY
from careledger.domains.records.api.finding import find_current, is_visible
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.patients import patients_of
from careledger.domains.records.api.ports import AccessEvent, Action, AlsoWrite, PatientsOf
from careledger.domains.records.api.reading import keep_read
from careledger.domains.records.api.rendering import body_of_write, new_id
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.changes import Change, WriteResult, Written
from careledger.domains.records.service.errors import (
    RESOURCE_GONE,
    RESOURCE_UNKNOWN,
    VERSION_CONFLICT,
)
from careledger.domains.records.service.index.results import Entry
from careledger.domains.records.service.package import Method
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_types import JsonObject
from careledger.storage.sqlite import Connection
from careledger.web.errors import REQUEST_MALFORMED, HttpRefused

_TAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_DIGITS_MAX: Final = 9


def id_not_given_here() -> HttpRefused:
    """Refusal of an update that would create: the same for what is not there and what may not be seen."""
    return HttpRefused(
        405,
        "ID_NOT_ASSIGNED_HERE",
        "There is no such resource, and this site assigns the ids of new ones itself: create it with POST.",
        headers=((b"allow", b"GET, POST"),),
    )


def read_if_match(request: FhirRequest) -> int | None:
    """Return the version that `If-Match` asks for; None for none, or for any.

    Raises:
        Rejected: REQUEST_MALFORMED; VERSION_CONFLICT for a tag that no version here can have.
    """
    text = request.header(b"if-match").strip()
    if not text or text == "*":
        return None
    match = _TAG.fullmatch(text)
    if match is None:
        raise Rejected(REQUEST_MALFORMED, 'If-Match must be an entity tag such as W/"1"')
    tag = match[1]
    if not tag.isascii() or not tag.isdigit() or len(tag) > _DIGITS_MAX:
        raise Rejected(VERSION_CONFLICT)
    return int(tag)


def keep_write(
    site: FhirSite, request: FhirRequest, action: Action, interaction: str, patients: PatientsOf
) -> AlsoWrite:
    """Return what keeps the access inside the write's own transaction."""
    event = AccessEvent(
        principal=request.access.principal,
        action=action,
        interaction=interaction,
        seen=(),
        request_id=request.request_id,
    )
    return site.trail.note_write(event, patients)


def patients_in(site: FhirSite, value: JsonObject) -> PatientsOf:
    """Return what says whose record a resource belongs to, from its new value."""
    own_base = site.searches.own_base
    return lambda written: patients_of(written.resource_type, written.resource_id, value, own_base)


def stored_patients(site: FhirSite, resource_type: str, resource_id: str) -> tuple[str, ...]:
    """Return the patient to whose record a stored resource belongs, if any."""
    try:
        stored = site.store.read(resource_type, resource_id)
    except Rejected:
        return ()  # gone meanwhile: the write itself will say so
    patient = site.trail.patient_of(stored.stream)
    return () if patient is None else (patient,)


def location_of(written: Written) -> str:
    """Return where a version stands, relative to the base."""
    return f"{written.resource_type}/{written.resource_id}/_history/{written.version}"


def answer_written(request: FhirRequest, status: int, result: WriteResult, what: str) -> FhirAnswer:
    """Return the answer to a create or update."""
    written = result.written[0]
    body, is_outcome = body_of_write(written.served, request.presentation.returns, what=what)
    return FhirAnswer(
        status=status,
        body=body,
        version=str(written.version),
        updated_ms=written.updated_ms,
        location=location_of(written),
        is_committed=result.is_committed,
        is_outcome=is_outcome,
    )


async def create(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `POST [type]`, with `If-None-Exist` where it is given."""
    name = request.resource_type
    request.access.require("c", name)
    value = await read_document(site, request)
    check_identity(value, name)
    check_references(value)
    resource_id = new_id()
    check_context(site, request.access, "c", name, resource_id, value)
    change = Change(
        method=Method.CREATE,
        resource_type=name,
        resource_id=resource_id,
        value=value,
        submitted=request.body,
    )
    also = keep_write(site, request, "create", "create", patients_in(site, value))
    if b"if-none-exist" not in request.headers:
        result = await site.writer.write((change,), also=also)
        return answer_written(request, 201, result, "The resource was created.")
    found, result = await _create_unless(site, request, change, also)
    if found is None:
        return answer_written(request, 201, result, "The resource was created.")
    return await _answer_existing(site, request, found)


async def _create_unless(
    site: FhirSite, request: FhirRequest, change: Change, also: AlsoWrite
) -> tuple[Entry | None, WriteResult]:
    """Create unless the criteria find a resource; return what they found."""
    scope = request.access.require("s", change.resource_type)
    criteria = read_criteria(site, change.resource_type, request.header(b"if-none-exist"))
    found: Entry | None = None

    def decide(connection: Connection) -> Sequence[Change]:
        nonlocal found
        found = find_one(site.searches.index_on(connection), criteria, scope)
        return () if found is not None else (change,)

    result = await write_decided(site, decide, also)
    return found, result


async def _answer_existing(site: FhirSite, request: FhirRequest, found: Entry) -> FhirAnswer:
    """Answer a conditional create that found its resource: 200, and the resource itself only on demand."""
    answer = FhirAnswer(
        status=200,
        version=str(found.version),
        updated_ms=found.last_updated_ms,
        location=f"{found.resource_type}/{found.resource_id}/_history/{found.version}",
    )
    if request.presentation.returns == "representation":
        stored = find_current(site, request.access, "r", found.resource_type, found.resource_id)
        answer.body = site.store.open(stored).served
        await keep_read(site, request, "create", stored)
    return answer


async def update(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `PUT [type]/[id]`, with `If-Match` where it is given."""
    name, resource_id = request.resource_type, request.resource_id
    request.access.require("u", name)
    value = await read_document(site, request)
    check_identity(value, name, resource_id)
    check_references(value)
    check_context(site, request.access, "u", name, resource_id, value)
    state = is_visible(site, request.access, "u", name, resource_id)
    if state is None:
        raise id_not_given_here()
    if request.header(b"if-none-match").strip() == "*":
        raise Rejected(EXISTS_ALREADY)
    change = Change(
        method=Method.UPDATE,
        resource_type=name,
        resource_id=resource_id,
        value=value,
        submitted=request.body,
        if_match=read_if_match(request),
    )
    also = keep_write(site, request, "update", "update", patients_in(site, value))
    result = await site.writer.write((change,), also=also)
    status = 201 if state.is_deleted else 200
    return answer_written(request, status, result, "The resource was updated.")


async def delete(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `DELETE [type]/[id]`; deleting once more is content."""
    name, resource_id = request.resource_type, request.resource_id
    state = is_visible(site, request.access, "d", name, resource_id)
    if state is None:
        raise Rejected(RESOURCE_UNKNOWN)
    if state.is_deleted:
        return FhirAnswer(status=204, version=str(state.version), updated_ms=state.last_updated_ms)
    change = Change(
        method=Method.DELETE,
        resource_type=name,
        resource_id=resource_id,
        if_match=read_if_match(request),
    )
    patients = stored_patients(site, name, resource_id)
    also = keep_write(site, request, "delete", "delete", lambda _: patients)
    try:
        result = await site.writer.write((change,), also=also)
    except Rejected as refusal:
        if refusal.code is RESOURCE_GONE:  # somebody else deleted it meanwhile
            return FhirAnswer(status=204)
        raise
    return answer_deleted(request, result)


def answer_deleted(request: FhirRequest, result: WriteResult) -> FhirAnswer:
    """Return the answer to a delete."""
    written = result.written[0]
    body, is_outcome = b"", False
    if request.presentation.returns == "OperationOutcome":
        body, is_outcome = body_of_write(b"", "OperationOutcome", what="The resource was deleted.")
    return FhirAnswer(
        status=200 if body else 204,
        body=body,
        version=str(written.version),
        updated_ms=written.updated_ms,
        is_committed=result.is_committed,
        is_outcome=is_outcome,
    )


async def update_where(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `PUT [type]?criteria`: update the one match, or create where there is none."""
    name, access = request.resource_type, request.access
    scope = access.require("s", name)
    access.require("u", name)
    criteria = read_criteria(site, name, request.query)
    value = await read_document(site, request)
    check_identity(value, name)
    check_references(value)
    created_id = new_id()
    if_match = read_if_match(request)
    is_created = False

    def decide(connection: Connection) -> Sequence[Change]:
        nonlocal is_created
        index = site.searches.index_on(connection)
        found = find_one(index, criteria, scope)
        is_created = found is None
        if found is None:
            if "id" in value:
                raise Rejected(RESOURCE_UNKNOWN)
            check_context(site, access, "c", name, created_id, value)
            return (_change(Method.CREATE, created_id),)
        if not is_allowed(index, access, "u", name, found.resource_id):
            raise Rejected(RESOURCE_UNKNOWN)
        check_identity({**value, "id": value.get("id", found.resource_id)}, name, found.resource_id)
        check_context(site, access, "u", name, found.resource_id, value)
        return (_change(Method.UPDATE, found.resource_id, if_match),)

    def _change(method: Method, resource_id: str, version: int | None = None) -> Change:
        return Change(
            method=method,
            resource_type=name,
            resource_id=resource_id,
            value=value,
            submitted=request.body,
            if_match=version,
        )

    also = keep_write(site, request, "update", "update", patients_in(site, value))
    try:
        result = await write_decided(site, decide, also)
    except Rejected as refusal:
        if refusal.code is RESOURCE_UNKNOWN:
            raise id_not_given_here() from None
        raise
    return answer_written(request, 201 if is_created else 200, result, "The resource was created or updated.")


async def delete_where(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `DELETE [type]?criteria`: delete the one match; several are refused."""
    name, access = request.resource_type, request.access
    scope = access.require("s", name)
    access.require("d", name)
    criteria = read_criteria(site, name, request.query)
    if_match = read_if_match(request)

    patients: tuple[str, ...] = ()

    def decide(connection: Connection) -> Sequence[Change]:
        nonlocal patients
        index = site.searches.index_on(connection)
        found = find_one(index, criteria, scope)
        if found is None or not is_allowed(index, access, "d", name, found.resource_id):
            raise Rejected(RESOURCE_UNKNOWN)
        patients = stored_patients(site, name, found.resource_id)
        return (
            Change(
                method=Method.DELETE, resource_type=name, resource_id=found.resource_id, if_match=if_match
            ),
        )

    also = keep_write(site, request, "delete", "delete", lambda _: patients)
    result = await write_decided(site, decide, also)
    return answer_deleted(request, result)
