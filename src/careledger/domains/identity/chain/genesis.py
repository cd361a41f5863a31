"""Genesis of the identity module: a document with names, and the state it stands for.

The document is plain lists, dictionaries, numbers, texts and bytes, and importing what was exported gives the same keys
and values. Members agree on a genesis document outside the ledger, so no key in it proves possession.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.errors import KEY_TAKEN, SLUG_INVALID, SLUG_TAKEN, VALID_FROM_INVALID
from careledger.domains.identity.chain.messages import (
    check_admin_threshold,
    check_endpoints,
    check_hpke_public_key,
    check_organisation,
    check_public_key,
    check_roles,
    check_usages,
)
from careledger.domains.identity.chain.types import (
    SCHEMA,
    Counter,
    Key,
    Organisation,
    Role,
    Status,
    unpack_key,
)
from careledger.primitives.identifiers import is_slug
from careledger.sdk.context import StateStore, View
from careledger.sdk.errors import Rejected

_PLAIN_TYPES = (bytes,)


class GenesisKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the document."""

    public_key: bytes
    usages: int
    """Sum of `Usage` values."""
    valid_from_height: int = 0
    revoked_at_height: int = 0


class GenesisOrganisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation of the document with all keys it ever had."""

    id: int
    slug: str
    roles: tuple[Role, ...]
    endpoints: tuple[str, ...] = ()
    hpke_public_key: bytes = b""
    admin_threshold: int = 1
    keys: tuple[GenesisKey, ...]
    status: Status = Status.ACTIVE
    admitted_at_height: int = 0
    removed_at_height: int = 0


class GenesisDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole module."""

    organisations: tuple[GenesisOrganisation, ...]
    next_id: int
    """Number of the next organisation."""


def genesis_document(organisations: Sequence[GenesisOrganisation]) -> dict[str, Any]:
    """Document of a new ledger with these first members.

    Raises:
        Rejected: A part of an organisation is wrong, or two share a number, short name or key.
    """
    document = GenesisDocument(
        organisations=tuple(organisations),
        next_id=1 + max((each.id for each in organisations), default=0),
    )
    _check(document)
    return _plain(document)


def export_genesis(view: View) -> dict[str, Any]:
    """Document of the state as it stands."""
    keys: dict[int, list[GenesisKey]] = {}
    for public_key, raw in keeper.KEYS.scan_raw(view.store):
        found = unpack_key(public_key, raw)
        keys.setdefault(found.organisation, []).append(
            GenesisKey(
                public_key=public_key,
                usages=found.usages,
                valid_from_height=found.valid_from_height,
                revoked_at_height=found.revoked_at_height,
            )
        )
    organisations = [
        GenesisOrganisation(
            id=each.id,
            slug=each.slug,
            roles=each.roles,
            endpoints=each.endpoints,
            hpke_public_key=each.hpke_public_key,
            admin_threshold=each.admin_threshold,
            keys=tuple(keys.get(each.id, ())),
            status=each.status,
            admitted_at_height=each.admitted_at_height,
            removed_at_height=each.removed_at_height,
        )
        for each in keeper.organisations(view.store)
    ]
    next_id = keeper.COUNTER.require(view.store).next_id
    return _plain(GenesisDocument(organisations=tuple(organisations), next_id=next_id))


def import_genesis(store: StateStore, document: Any) -> None:
    """Write the state of a document into an empty store.

    Raises:
        msgspec.ValidationError: It is not such a document.
        Rejected: A part of it is wrong.
    """
    read = msgspec.convert(document, GenesisDocument, builtin_types=_PLAIN_TYPES)
    _check(read)
    keeper.COUNTER.set(store, Counter(read.next_id))
    for each in read.organisations:
        keeper.add_organisation(
            store,
            Organisation(
                schema=SCHEMA,
                id=each.id,
                slug=each.slug,
                status=each.status,
                roles=each.roles,
                endpoints=each.endpoints,
                hpke_public_key=each.hpke_public_key,
                admin_threshold=each.admin_threshold,
                admitted_at_height=each.admitted_at_height,
                removed_at_height=each.removed_at_height,
            ),
        )
        for held in each.keys:
            keeper.write_key(
                store,
                Key(held.public_key, each.id, held.usages, held.valid_from_height, held.revoked_at_height),
            )


def _check(document: GenesisDocument) -> None:
    slugs: dict[str, int] = {}
    keys: dict[bytes, int] = {}
    previous = 0
    for each in document.organisations:
        check_organisation(each.id)
        if not is_slug(each.slug):
            raise Rejected(SLUG_INVALID, at=f"organisation {each.id}")
        if each.slug in slugs or each.id <= previous:
            raise Rejected(SLUG_TAKEN, "numbers ascend and short names differ", at=f"organisation {each.id}")
        slugs[each.slug] = previous = each.id
        check_roles(each.roles)
        check_endpoints(each.endpoints)
        check_hpke_public_key(each.hpke_public_key)
        check_admin_threshold(each.admin_threshold)
        for held in each.keys:
            check_public_key(held.public_key)
            check_usages(held.usages)
            if not _is_height(held.valid_from_height) or not _is_height(held.revoked_at_height):
                raise Rejected(VALID_FROM_INVALID, at=f"organisation {each.id}")
            if held.public_key in keys:
                raise Rejected(KEY_TAKEN, at=f"organisation {each.id}")
            keys[held.public_key] = each.id
    check_organisation(document.next_id)


def _is_height(height: int) -> bool:
    return 0 <= height < 2**63


def _plain(document: GenesisDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document, builtin_types=_PLAIN_TYPES)
    return plain
