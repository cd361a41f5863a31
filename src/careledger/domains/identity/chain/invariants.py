"""Whole-state predicates of the identity module: for tests and the doctor, never in consensus."""

from __future__ import annotations

from collections.abc import Mapping

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.types import Usage, unpack_key
from careledger.sdk.context import View
from careledger.sdk.module import Invariant


def slugs_and_numbers_agree(view: View) -> list[str]:
    """Every organisation is found by its short name, and every short name leads to its organisation."""
    wrong = []
    slugs = {key[2:].decode(): int.from_bytes(raw, "big") for key, raw in keeper.SLUGS.scan_raw(view.store)}
    next_id = keeper.COUNTER.require(view.store).next_id
    found = 0
    for each in keeper.organisations(view.store):
        found += 1
        if slugs.get(each.slug) != each.id:
            wrong.append(f"organisation {each.id} is not found by its short name")
        if each.id >= next_id:
            wrong.append(f"organisation {each.id} has a number that is yet to be given")
    if found != len(slugs):
        wrong.append("there are short names without an organisation")
    return wrong


def keys_belong_and_are_listed(view: View) -> list[str]:
    """Every key belongs to an organisation and is listed in force exactly while it is not revoked."""
    wrong = []
    listed = {key: True for key, _ in keeper.KEYS_IN_FORCE.scan_raw(view.store)}
    in_force = 0
    for public_key, raw in keeper.KEYS.scan_raw(view.store):
        found = unpack_key(public_key, raw)
        if keeper.organisation(view.store, found.organisation) is None:
            wrong.append(f"a key belongs to organisation {found.organisation}, which does not exist")
        is_listed = found.organisation.to_bytes(4, "big") + public_key in listed
        if is_listed is bool(found.revoked_at_height):
            wrong.append(f"a key of organisation {found.organisation} is listed in force wrongly")
        in_force += not found.revoked_at_height
    if in_force != len(listed):
        wrong.append("a key is listed in force that does not exist")
    return wrong


def members_can_act(view: View) -> list[str]:
    """Every member has as many admin keys as its own rule asks for; a past member has no key in force."""
    wrong = []
    for each in keeper.organisations(view.store):
        held = keeper.keys_in_force(view.store, each.id)
        if not each.is_active and held:
            wrong.append(f"organisation {each.id} is no longer a member and has keys in force")
        admins = sum(1 for key in held if key.usages & Usage.ADMIN)
        if each.is_active and admins < each.admin_threshold:
            wrong.append(f"organisation {each.id} has fewer admin keys than its own rule asks for")
    return wrong


INVARIANTS: Mapping[str, Invariant] = {
    "slugs_and_numbers_agree": slugs_and_numbers_agree,
    "keys_belong_and_are_listed": keys_belong_and_are_listed,
    "members_can_act": members_can_act,
}
