"""`POST [base]`: batches and transactions (FHIR R4 §3.1.0.11).

A transaction is refused as a whole for any fault in it. The entries of a batch are requests of their own, answered
one by one through the same table of routes; a faulty entry costs only itself. Entries of one kind run side by side,
so that their writes share a database transaction.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import groupby
from typing import Final

import msgspec

from careledger.domains.records.api.documents import without_collection
from careledger.domains.records.api.entry_bytes import slice_entries
from careledger.domains.records.api.errors import BUNDLE_ENTRY_FORBIDDEN, OPERATION_INPUT
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import (
    JSON_PATCH,
    PLAIN,
    RESOURCE_TYPES_ALLOWED,
    check_content_type,
)
from careledger.domains.records.api.outcomes import is_unforeseen, refusal_of
from careledger.domains.records.api.patching import Patch, read_patch
from careledger.domains.records.api.routing import Shape, parse_address
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.api.transactions import Planned, Transaction
from careledger.domains.records.api.writing import location_of
from careledger.domains.records.service.changes import WriteResult
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.bundle import Requests, read_requests
from careledger.standards.fhir.bundle_answers import Answer, build_response
from careledger.standards.fhir.bundle_requests import Entry
from careledger.standards.fhir.instants import InstantError, parse_instant_ms
from careledger.standards.fhir.issues import FhirError, Issue
from careledger.standards.fhir.json_reader import Limits, read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.outcome import build_outcome
from careledger.standards.fhir.validate import check_resource
from careledger.web.logs import Safe, describe_error

AT_ONCE: Final = 128
"""Entries of a batch that are under way at the same time."""
_NOT_CARRIED: Final = frozenset({"batch", "capabilities"})
_FORMS: Final = frozenset({Shape.SYSTEM_SEARCH, Shape.TYPE_SEARCH, Shape.COMPARTMENT_SEARCH})
"""Searches by POST bring a form, which no entry can."""
_LOG = logging.getLogger(__name__)
_PENDING: Final = Issue("informational", "", "durable at this site; not yet on the ledger", "information")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBundle:
    """A bundle of requests, read and checked."""

    requests: Requests
    slices: list[bytes]
    """Exact bytes of each entry's resource."""
    faults: dict[int, FhirError]
    """What is wrong with the resources of single entries of a batch."""


def read_bundle(raw: bytes, limits: Limits) -> ReadBundle:
    """Read a batch or transaction.

    Raises:
        JsonError: The document is malformed or beyond a limit.
        ValidationError: A transaction, or the frame of a batch, is no valid bundle.
        BundleError: It is no batch or transaction; or a transaction with a faulty entry.
        Rejected: OPERATION_INPUT, it is no bundle.
    """
    with without_collection():
        value = read_resource(raw, limits)
        if value["resourceType"] != "Bundle":
            raise Rejected(OPERATION_INPUT, "the base takes a Bundle; other resources go to their types")
        faults: dict[int, FhirError] = {}
        if value.get("type") == "batch":
            faults = _check_batch(value)
        else:
            check_resource(value)
        return ReadBundle(requests=read_requests(value), slices=slice_entries(raw), faults=faults)


def _check_batch(value: JsonObject) -> dict[int, FhirError]:
    """Check the frame of a batch as a whole, and the resource of every entry by itself."""
    items = value.get("entry", [])
    entries = items if isinstance(items, list) else []
    frame = [
        {name: item for name, item in entry.items() if name != "resource"}
        if isinstance(entry, dict)
        else entry
        for entry in entries
    ]
    check_resource({**value, "entry": frame} if entries else value)
    faults: dict[int, FhirError] = {}
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if resource is not None:
            try:
                check_resource(resource)
            except FhirError as error:
                faults[index] = error
    return faults


async def process(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer a batch or transaction."""
    check_content_type(request.header(b"content-type"), RESOURCE_TYPES_ALLOWED)
    raw, limits = request.body, site.settings.document_limits
    read = await site.beside(lambda: read_bundle(raw, limits), size_bytes=len(raw))
    if read.requests.kind == "transaction":
        return await _transact(site, request, read)
    answers = await _run_entries(site, request, read, read.requests.ordered())
    bundle = build_response("batch", [answers[entry.index] for entry in read.requests.entries])
    return FhirAnswer(status=200, body=write_json(bundle))


# -- transactions ---------------------------------------------------------------------------------------------


async def _transact(site: FhirSite, request: FhirRequest, read: ReadBundle) -> FhirAnswer:
    transaction = Transaction(site=site, access=request.access, requests=read.requests)
    transaction.plan(read.slices, _read_patches(request, read, site.settings.document_limits))
    result = await transaction.write(request.request_id)
    others = [
        entry
        for entry in read.requests.ordered()
        if entry.method in ("GET", "HEAD") or (entry.method == "POST" and not entry.is_create)
    ]
    answers = await _run_entries(site, request, read, others)
    wants_resource = request.presentation.returns == "representation"
    is_pending = result is not None and not result.is_committed
    for planned in transaction.planned:
        answers[planned.entry.index] = _answer(site, transaction, planned, wants_resource=wants_resource)
    if is_pending:
        first = transaction.planned[0].entry.index
        answers[first] = replace(answers[first], outcome=build_outcome([_PENDING]))
    bundle = build_response("transaction", [answers[entry.index] for entry in read.requests.entries])
    return FhirAnswer(status=200, body=write_json(bundle), is_committed=_committed(result))


def _committed(result: WriteResult | None) -> bool | None:
    return None if result is None else result.is_committed


def _read_patches(request: FhirRequest, read: ReadBundle, limits: Limits) -> dict[int, tuple[Patch, bytes]]:
    """Return what the patches of a transaction do, and their bytes."""
    patches = {}
    for entry in read.requests.entries:
        if entry.method == "PATCH":
            inner = _inner(request, entry, read.slices[entry.index])
            patches[entry.index] = (read_patch(inner, limits), inner.body)
    return patches


def _answer(site: FhirSite, transaction: Transaction, planned: Planned, *, wants_resource: bool) -> Answer:
    """Return what became of a changing entry."""
    written = transaction.written.get(planned.entry.index)
    identity = f"{planned.resource_type}/{planned.resource_id}"
    if written is None:
        return Answer(
            status=200,
            location=f"{identity}/_history/{planned.found_version}",
            version_id=str(planned.found_version),
            last_modified_ms=planned.found_ms,
        )
    if not written.served:
        return Answer(status=204, version_id=str(written.version), last_modified_ms=written.updated_ms)
    return Answer(
        status=201 if written.version == 1 else 200,
        location=location_of(written),
        version_id=str(written.version),
        last_modified_ms=written.updated_ms,
        resource=msgspec.Raw(written.served) if wants_resource else None,
        full_url=f"{site.base_url}/{identity}" if wants_resource else "",
    )


# -- entries as requests of their own ------------------------------------------------------------------------


async def _run_entries(
    site: FhirSite, request: FhirRequest, read: ReadBundle, entries: Sequence[Entry]
) -> dict[int, Answer]:
    """Answer entries one by one; those of the same method side by side."""
    answers: dict[int, Answer] = {}
    for _, same in groupby(entries, key=lambda entry: entry.method):
        waiting = list(same)
        for start in range(0, len(waiting), AT_ONCE):
            part = waiting[start : start + AT_ONCE]
            done = await asyncio.gather(*(_run_entry(site, request, read, entry) for entry in part))
            answers.update(zip((entry.index for entry in part), done, strict=True))
    return answers


async def _run_entry(site: FhirSite, request: FhirRequest, read: ReadBundle, entry: Entry) -> Answer:
    try:
        answer = await _dispatch(site, request, read, entry)
    except Exception as error:  # noqa: BLE001 - every fault of an entry is answered in its place
        return _refused(error, request)
    return _answer_of(site, answer)


async def _dispatch(site: FhirSite, request: FhirRequest, read: ReadBundle, entry: Entry) -> FhirAnswer:
    """Answer an entry through the table of routes, as if it had come by itself.

    Raises:
        Exception: Whatever the entry is refused for.
    """
    fault = FhirError(*entry.issues) if entry.issues else read.faults.get(entry.index)
    if fault is not None:
        raise fault
    inner = _inner(request, entry, read.slices[entry.index])
    address = parse_address("/".join(entry.url.segments))
    inner.resource_type, inner.resource_id = address.resource_type, address.resource_id
    inner.version, inner.operation = address.version, address.operation
    inner.inner_type = address.inner_type
    route = site.table.find(site, inner.method, address)
    if route.interaction in _NOT_CARRIED or address.shape in _FORMS:
        raise Rejected(BUNDLE_ENTRY_FORBIDDEN, at=f"Bundle.entry[{entry.index}]")
    return await route.handler(site, inner)


def _refused(error: Exception, request: FhirRequest) -> Answer:
    if is_unforeseen(error):
        _LOG.error(
            "entry of a batch failed",
            extra={"request_id": Safe(request.request_id), "failure": Safe(str(describe_error(error)))},
        )
    refusal = refusal_of(error, request.request_id)
    return Answer(status=refusal.status, outcome=refusal.outcome)


def _answer_of(site: FhirSite, answer: FhirAnswer) -> Answer:
    """Return an answer as an entry of the response."""
    identity = answer.location.partition("/_history/")[0]
    outcome = None
    if answer.is_committed is False:
        outcome = build_outcome([_PENDING])
    if answer.is_outcome:
        outcome = read_resource(answer.body)
    shows = answer.body and not answer.is_outcome and not answer.content_type
    return Answer(
        status=answer.status,
        location=answer.location,
        version_id=answer.version,
        last_modified_ms=answer.updated_ms,
        resource=msgspec.Raw(answer.body) if shows else None,
        full_url=f"{site.base_url}/{identity}" if shows and identity else "",
        outcome=outcome,
    )


def _inner(request: FhirRequest, entry: Entry, submitted: bytes) -> FhirRequest:
    """Return an entry as a request.

    Raises:
        Rejected: OPERATION_INPUT, a Binary that carries no patch.
    """
    headers: dict[bytes, bytes] = {}
    for name, text in (
        (b"if-none-exist", entry.if_none_exist),
        (b"if-match", f'W/"{entry.if_match}"' if entry.if_match else ""),
        (b"if-none-match", entry.if_none_match),
    ):
        if text:
            headers[name] = text.encode("utf-8", "replace")
    if entry.if_modified_since:
        try:
            since_ms = parse_instant_ms(entry.if_modified_since)
        except InstantError:
            raise Rejected(OPERATION_INPUT, "ifModifiedSince must be an instant") from None
        headers[b"if-modified-since"] = formatdate(since_ms // 1_000, usegmt=True).encode("ascii")
    document, body = entry.resource, submitted
    if entry.method == "PATCH" and document is not None and document.get("resourceType") == "Binary":
        body, document = _unpack_patch(document), None
        headers[b"content-type"] = JSON_PATCH.encode("ascii")
    returns = request.presentation.returns
    if entry.method not in ("GET", "HEAD") and not entry.url.operation:
        returns = returns or "minimal"
    return FhirRequest(
        method="GET" if entry.method == "HEAD" else entry.method,
        query=entry.url.query,
        headers=headers,
        body=body,
        document=document,
        access=request.access,
        request_id=request.request_id,
        received_ms=request.received_ms,
        presentation=replace(PLAIN, returns=returns, is_strict=request.presentation.is_strict),
        is_entry=True,
    )


def _unpack_patch(binary: JsonObject) -> bytes:
    """Return the JSON Patch that a Binary carries (FHIR R4 §3.1.0.11)."""
    data = binary.get("data")
    if binary.get("contentType") != JSON_PATCH or not isinstance(data, str):
        raise Rejected(OPERATION_INPUT, "a Binary in a PATCH holds application/json-patch+json")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Rejected(OPERATION_INPUT, "the Binary's data are not base64") from None
