"""Finding one resource on a requester's behalf: what they may not see is answered as what is not there."""

from __future__ import annotations

from typing import Final

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.ports import Seen
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.errors import RESOURCE_GONE, RESOURCE_UNKNOWN
from careledger.domains.records.service.index.results import ResourceState
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected

VERSION_DIGITS_MAX: Final = 9


def is_visible(
    site: FhirSite, access: Access, letter: str, resource_type: str, resource_id: str
) -> ResourceState | None:
    """Return what the index knows of a resource, deleted ones included, if the requester may know of it."""
    scope = access.require(letter, resource_type)
    found = site.searches.now(
        lambda index: index.find_visible(resource_type, (resource_id,), scope, with_deleted=True)
    )
    return found.get(resource_id)


def find_current(
    site: FhirSite, access: Access, letter: str, resource_type: str, resource_id: str
) -> StoredVersion:
    """Return the current version of a resource that the requester may see.

    Raises:
        Rejected: SCOPE_INSUFFICIENT for the type as a whole; RESOURCE_UNKNOWN; RESOURCE_GONE.
    """
    access.require(letter, resource_type)
    try:
        stored = site.store.read(resource_type, resource_id)
    except Rejected as refusal:
        if refusal.code is RESOURCE_GONE and not is_visible(site, access, letter, resource_type, resource_id):
            raise Rejected(RESOURCE_UNKNOWN) from None
        raise
    sees = access.sees(letter, resource_type, site.store.stream_keys(stored.stream).compartment)
    if sees is None:
        sees = is_visible(site, access, letter, resource_type, resource_id) is not None
    if not sees:
        raise Rejected(RESOURCE_UNKNOWN)
    return stored


def find_version(
    site: FhirSite, access: Access, resource_type: str, resource_id: str, version: str
) -> StoredVersion:
    """Return one version that the requester may see: by itself, and as part of the resource as it is now.

    Raises:
        Rejected: SCOPE_INSUFFICIENT for the type as a whole; RESOURCE_UNKNOWN; RESOURCE_GONE for a deletion.
    """
    access.require("r", resource_type)
    if not version.isascii() or not version.isdigit() or len(version) > VERSION_DIGITS_MAX:
        raise Rejected(RESOURCE_UNKNOWN)
    stored = site.store.vread(resource_type, resource_id, int(version))
    compartment = site.store.stream_keys(stored.stream).compartment
    if access.sees("r", resource_type, compartment) is False or not is_visible(
        site, access, "r", resource_type, resource_id
    ):
        raise Rejected(RESOURCE_UNKNOWN)
    if stored.method is Method.DELETE:
        raise Rejected(RESOURCE_GONE)
    return stored


def seen_of(stored: StoredVersion) -> Seen:
    """Return a version as an access names it."""
    return Seen(
        resource_type=stored.resource_type,
        resource_id=stored.resource_id,
        version=stored.version,
        stream=stored.stream,
    )
