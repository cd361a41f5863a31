"""Read-only questions to the identity module at a height."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.errors import KEY_UNKNOWN, ORGANISATION_UNKNOWN, QUERY_INVALID
from careledger.domains.identity.chain.types import Key, Organisation
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.signing import PUBLIC_KEY_BYTES
from careledger.sdk.context import View
from careledger.sdk.errors import Rejected
from careledger.sdk.module import Query

PAGE_MAX = 500

W = TypeVar("W", bound=Wire)


class OrganisationByID(Wire, frozen=True):
    """Request of `organisation` and of `keys`."""

    organisation: int


class OrganisationBySlug(Wire, frozen=True):
    """Request of `organisation_by_slug`."""

    slug: str


class OrganisationsPage(Wire, frozen=True):
    """Request of `organisations`."""

    after: int
    """Number after which the page starts; 0 for the first."""


class KeyByPublicKey(Wire, frozen=True):
    """Request of `key`."""

    public_key: bytes


class Organisations(Wire, frozen=True):
    """A page of organisations, past members included."""

    organisations: tuple[Organisation, ...]
    """In order of their numbers, at most 500."""
    next_after: int
    """`after` of the next page; 0 if this is the last."""


class Keys(Wire, frozen=True):
    """Keys of one organisation that are in force."""

    keys: tuple[Key, ...]


def organisation(view: View, request: bytes) -> Organisation:
    """One organisation by number."""
    found = keeper.organisation(view.store, _read(request, OrganisationByID).organisation)
    if found is None:
        raise Rejected(ORGANISATION_UNKNOWN)
    return found


def organisation_by_slug(view: View, request: bytes) -> Organisation:
    """One organisation by short name."""
    found = keeper.organisation_by_slug(view.store, _read(request, OrganisationBySlug).slug)
    if found is None:
        raise Rejected(ORGANISATION_UNKNOWN)
    return found


def organisations(view: View, request: bytes) -> Organisations:
    """All organisations, page by page."""
    after = _read(request, OrganisationsPage).after
    page: list[Organisation] = []
    for found in keeper.organisations(view.store):
        if found.id <= after:
            continue
        if len(page) == PAGE_MAX:
            return Organisations(tuple(page), page[-1].id)
        page.append(found)
    return Organisations(tuple(page), 0)


def key(view: View, request: bytes) -> Key:
    """One key by public key, in force or revoked."""
    public_key = _read(request, KeyByPublicKey).public_key
    found = keeper.key(view.store, public_key) if len(public_key) == PUBLIC_KEY_BYTES else None
    if found is None:
        raise Rejected(KEY_UNKNOWN)
    return found


def keys(view: View, request: bytes) -> Keys:
    """All keys of one organisation that are in force."""
    found = organisation(view, request)
    return Keys(tuple(keeper.keys_in_force(view.store, found.id)))


def _read(request: bytes, kind: type[W]) -> W:
    try:
        return decode(request, kind)
    except CodecError:
        raise Rejected(QUERY_INVALID) from None


QUERIES: Mapping[str, Query] = {
    "organisation": organisation,
    "organisation_by_slug": organisation_by_slug,
    "organisations": organisations,
    "key": key,
    "keys": keys,
}
