"""Organisations and keys: what each message does, and every way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec
import pytest

from careledger.domains.identity.chain import errors as codes
from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.genesis import genesis_document, import_genesis
from careledger.domains.identity.chain.messages import (
    RegisterKey,
    RevokeKey,
    RotateKey,
    SetAdminThreshold,
    SetEndpoints,
    SetHPKEKey,
)
from careledger.domains.identity.chain.queries import (
    PAGE_MAX,
    KeyByPublicKey,
    Keys,
    OrganisationByID,
    OrganisationBySlug,
    Organisations,
    OrganisationsPage,
)
from careledger.domains.identity.chain.types import (
    KEYS_IN_FORCE_MAX,
    USAGES_ALL,
    CandidateKey,
    Counter,
    EndpointsChanged,
    Key,
    KeyRegistered,
    KeyRevoked,
    OrganisationAdmitted,
    OrganisationRemoved,
    Role,
    Usage,
    pack_key,
    possession_bytes,
    unpack_key,
)
from careledger.primitives.errors import Code, InvariantViolated, Rejected
from careledger.primitives.signing import public_key_of, sign
from careledger.sdk.messages import Message
from careledger.state.overlay import Overlay
from domains.identity.chain_network import (
    CHAIN_ID,
    Network,
    admin,
    candidate,
    check_rejected,
    empty_store,
    genesis_organisation,
    ledger,
    seed,
    validator,
)

NEW = seed("new")
NEW_KEY = public_key_of(NEW)
LEDGER_KEY = public_key_of(ledger(1))


# -- Success ---------------------------------------------------------------------------------------------


def test_a_registered_key_signs_from_its_height_on() -> None:
    network = Network()
    network.run(RegisterKey(1, NEW_KEY, int(Usage.LEDGER), network.height + 2), admin(1), NEW)
    assert network.events == [KeyRegistered(1, NEW_KEY, int(Usage.LEDGER), network.height + 2)]
    with pytest.raises(Rejected) as caught:
        keeper.require_ledger_signer(network.context(NEW), 1)
    assert caught.value.code == codes.KEY_NOT_YET_VALID
    network.next_block(blocks=2)
    assert keeper.require_ledger_signer(network.context(NEW), 1) == NEW_KEY
    network.check()
    network.check_round_trip()


def test_rotation_is_atomic_and_inherits_uses() -> None:
    network = Network()
    network.run(RotateKey(1, LEDGER_KEY, NEW_KEY), admin(1), NEW)
    uses = int(Usage.LEDGER | Usage.EXCHANGE)
    assert network.events == [KeyRevoked(1, LEDGER_KEY), KeyRegistered(1, NEW_KEY, uses, network.height)]
    assert keeper.require_signer(network.context(NEW), 1, uses) == NEW_KEY
    with pytest.raises(Rejected) as caught:
        keeper.require_ledger_signer(network.context(ledger(1)), 1)
    assert caught.value.code == codes.KEY_REVOKED
    network.check()
    network.check_round_trip()


def test_an_organisation_can_rotate_its_only_admin_key_but_not_revoke_it() -> None:
    network = Network()
    only = public_key_of(admin(1))
    check_rejected(network, codes.ADMINS_LOCKED_OUT, lambda n: n.run(RevokeKey(1, only), admin(1)))
    network.run(RotateKey(1, only, NEW_KEY), admin(1), NEW)
    check_rejected(network, codes.ADMINS_TOO_FEW, lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)))
    network.run(RevokeKey(1, LEDGER_KEY), NEW)
    network.check()


def test_a_full_set_of_keys_can_still_be_rotated() -> None:
    network = Network()
    _fill_keys(network)
    network.run(RotateKey(1, LEDGER_KEY, NEW_KEY), admin(1), NEW)
    network.check()


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_no_change_of_keys_or_addresses_by_fewer_admins_than_the_rule_asks_for(threshold: int) -> None:
    """Threat row 7: there is no single-person path."""
    changes = (
        RegisterKey(1, NEW_KEY, int(Usage.LEDGER), 0),
        RotateKey(1, LEDGER_KEY, NEW_KEY),
        RevokeKey(1, LEDGER_KEY),
        SetEndpoints(1, ("https://elsewhere.example",)),
        SetHPKEKey(1, b"\x01" * 32),
        SetAdminThreshold(1, 1),
    )
    for change in changes:
        network = Network(admins=3, admin_threshold=threshold)
        admins = [admin(1, number) for number in range(1, threshold + 1)]
        too_few = [*admins[:-1], ledger(1), admin(2), NEW]
        check_rejected(network, codes.ADMINS_TOO_FEW, partial(_run, change, too_few))
        network.run(change, *admins, NEW)
        network.check()


def test_the_same_admin_counts_once() -> None:
    network = Network(admins=2, admin_threshold=2)
    context = network.context(admin(1, 1), admin(1, 1))
    with pytest.raises(Rejected) as caught:
        keeper.require_admins(context, 1)
    assert caught.value.code == codes.ADMINS_TOO_FEW


def test_addresses_wrap_key_and_rule_change() -> None:
    network = Network(admins=3)
    network.run(SetEndpoints(1, ("https://a.example", "http://[::1]:9/x")), admin(1))
    assert network.events == [EndpointsChanged(1)]
    network.run(SetHPKEKey(1, b"\x07" * 1_216), admin(1))
    network.run(SetAdminThreshold(1, 3), admin(1))
    found = keeper.organisation(network.store, 1)
    assert found is not None
    assert (found.endpoints, found.hpke_public_key, found.admin_threshold) == (
        ("https://a.example", "http://[::1]:9/x"),
        b"\x07" * 1_216,
        3,
    )
    network.check()
    network.check_round_trip()


def test_an_admitted_organisation_signs_at_once_and_a_removed_one_never_again() -> None:
    network = Network()
    held = seed("candidate", "corner-pharmacy")
    context = network.context()
    number = keeper.admit(context, candidate("corner-pharmacy"))
    assert number == 2
    assert context.events[0] == OrganisationAdmitted(2, "corner-pharmacy")
    assert keeper.members(network.store) == (1, 2)
    assert keeper.require_ledger_signer(network.context(held), 2) == public_key_of(held)
    network.check()
    network.next_block()
    context = network.context()
    keeper.remove(context, 2)
    assert context.events == [KeyRevoked(2, public_key_of(held)), OrganisationRemoved(2)]
    assert not keeper.is_member(network.store, 2)
    with pytest.raises(Rejected) as caught:
        keeper.require_ledger_signer(network.context(held), 2)
    assert caught.value.code == codes.KEY_REVOKED
    assert keeper.admit(network.context(), candidate("next-pharmacy")) == 3
    network.check()
    network.check_round_trip()


def test_a_key_counts_in_the_blocks_from_its_first_to_the_one_before_its_revocation() -> None:
    key = Key(bytes(32), 1, 1, 5, 9)
    assert [height for height in range(12) if key.is_valid_at(height)] == [5, 6, 7, 8]
    assert unpack_key(bytes(32), pack_key(key)) == key


def test_a_signature_for_another_organisation_does_not_count() -> None:
    network = Network(2)
    assert keeper.require_ledger_signer(network.context(ledger(1), ledger(2)), 2) == public_key_of(ledger(2))
    with pytest.raises(Rejected) as caught:
        keeper.require_ledger_signer(network.context(ledger(1)), 2)
    assert caught.value.code == codes.NOT_SIGNED


def test_one_good_signer_is_enough_whoever_else_signed() -> None:
    network = Network()
    network.run(RevokeKey(1, public_key_of(validator(1))), admin(1))
    signer = keeper.require_ledger_signer(network.context(validator(1), admin(1), ledger(1), NEW), 1)
    assert signer == LEDGER_KEY


def test_queries() -> None:
    network = Network(3)
    module = network.identity
    by_id = network.query(module, "organisation", OrganisationByID(2))
    assert by_id == network.query(module, "organisation_by_slug", OrganisationBySlug("organisation-2"))
    page = network.query(module, "organisations", OrganisationsPage(1))
    assert isinstance(page, Organisations)
    assert ([each.id for each in page.organisations], page.next_after) == ([2, 3], 0)
    held = network.query(module, "key", KeyByPublicKey(LEDGER_KEY))
    assert held == Key(LEDGER_KEY, 1, int(Usage.LEDGER | Usage.EXCHANGE), 0, 0)
    keys = network.query(module, "keys", OrganisationByID(1))
    assert isinstance(keys, Keys)
    assert held in keys.keys
    assert len(keys.keys) == 3


def test_pages_of_organisations_join_without_gap() -> None:
    store = empty_store()
    members = [genesis_organisation(number) for number in range(1, PAGE_MAX + 3)]
    import_genesis(store, genesis_document(members))
    network = Network()
    network.store = store
    first = network.query(network.identity, "organisations", OrganisationsPage(0))
    assert isinstance(first, Organisations)
    assert (len(first.organisations), first.next_after) == (PAGE_MAX, PAGE_MAX)
    rest = network.query(network.identity, "organisations", OrganisationsPage(first.next_after))
    assert isinstance(rest, Organisations)
    assert ([each.id for each in rest.organisations], rest.next_after) == ([PAGE_MAX + 1, PAGE_MAX + 2], 0)


# -- Refusals --------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    name: str
    code: Code
    act: Callable[[Network], object]
    arrange: Callable[[Network], object] = lambda _: None


def _run(message: Message, seeds: list[bytes], network: Network) -> object:
    return network.run(message, *seeds)


def _fill_keys(network: Network) -> None:
    held = len(keeper.keys_in_force(network.store, 1))
    for number in range(KEYS_IN_FORCE_MAX - held):
        more = seed("more", number)
        network.run(RegisterKey(1, public_key_of(more), int(Usage.RECORDS), 0), admin(1), more)


def _remove_second(network: Network) -> None:
    keeper.remove(network.context(), 2)


def _admit(network: Network, raw: bytes) -> object:
    return keeper.admit(network.context(store=Overlay(network.store)), raw)


def _register(network: Network, **changes: object) -> object:
    message = RegisterKey(1, NEW_KEY, int(Usage.LEDGER), 0)
    return network.run(msgspec.structs.replace(message, **changes), admin(1), NEW)


def _signed_for(slug: str, usages: int) -> CandidateKey:
    signed = possession_bytes(chain_id=CHAIN_ID, slug=slug, public_key=NEW_KEY, usages=usages)
    return CandidateKey(NEW_KEY, usages, sign(NEW, signed))


def _key_of(slug: str) -> CandidateKey:
    return _signed_for(slug, USAGES_ALL)


REFUSALS = (
    Refusal("unknown number", codes.ORGANISATION_UNKNOWN, lambda n: n.run(SetEndpoints(9, ()), admin(1))),
    Refusal(
        "query of an unknown number",
        codes.ORGANISATION_UNKNOWN,
        lambda n: n.query(n.identity, "organisation", OrganisationByID(-1)),
    ),
    Refusal(
        "query of an unknown short name",
        codes.ORGANISATION_UNKNOWN,
        lambda n: n.query(n.identity, "organisation_by_slug", OrganisationBySlug("x" * 70_000)),
    ),
    Refusal(
        "removed organisation",
        codes.ORGANISATION_REMOVED,
        lambda n: n.run(SetEndpoints(2, ()), admin(2)),
        _remove_second,
    ),
    Refusal("removing twice", codes.ORGANISATION_REMOVED, _remove_second, _remove_second),
    Refusal("nobody signed", codes.NOT_SIGNED, lambda n: keeper.require_ledger_signer(n.context(), 1)),
    Refusal("a stranger signed", codes.NOT_SIGNED, lambda n: keeper.require_ledger_signer(n.context(NEW), 1)),
    Refusal(
        "revoked key",
        codes.KEY_REVOKED,
        lambda n: keeper.require_ledger_signer(n.context(ledger(1)), 1),
        lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)),
    ),
    Refusal(
        "key of later",
        codes.KEY_NOT_YET_VALID,
        lambda n: keeper.require_ledger_signer(n.context(NEW), 1),
        lambda n: _register(n, valid_from_height=n.height + 1),
    ),
    Refusal(
        "key for another use", codes.KEY_USAGE, lambda n: keeper.require_ledger_signer(n.context(admin(1)), 1)
    ),
    Refusal(
        "key with one of two uses",
        codes.KEY_USAGE,
        lambda n: keeper.require_signer(n.context(ledger(1)), 1, int(Usage.LEDGER | Usage.ADMIN)),
    ),
    Refusal("no admin", codes.ADMINS_TOO_FEW, lambda n: n.run(RevokeKey(1, LEDGER_KEY), ledger(1))),
    Refusal("admin of another", codes.ADMINS_TOO_FEW, lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(2))),
    Refusal(
        "key of another organisation",
        codes.KEY_TAKEN,
        lambda n: n.run(RegisterKey(2, NEW_KEY, 1, 0), admin(2), NEW),
        _register,
    ),
    Refusal(
        "revoked key comes back",
        codes.KEY_TAKEN,
        lambda n: n.run(RegisterKey(1, LEDGER_KEY, 1, 0), admin(1), ledger(1)),
        lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)),
    ),
    Refusal(
        "rotation to a revoked key",
        codes.KEY_TAKEN,
        lambda n: n.run(RotateKey(1, public_key_of(validator(1)), LEDGER_KEY), admin(1), ledger(1)),
        lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)),
    ),
    Refusal(
        "candidate with a registered key",
        codes.KEY_TAKEN,
        lambda n: _admit(n, candidate("new-one", keys=(_key_of("new-one"),))),
        _register,
    ),
    Refusal(
        "rotation of another's key",
        codes.KEY_UNKNOWN,
        lambda n: n.run(RotateKey(1, public_key_of(ledger(2)), NEW_KEY), admin(1), NEW),
    ),
    Refusal(
        "revoking twice",
        codes.KEY_UNKNOWN,
        lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)),
        lambda n: n.run(RevokeKey(1, LEDGER_KEY), admin(1)),
    ),
    Refusal(
        "query of an unknown key",
        codes.KEY_UNKNOWN,
        lambda n: n.query(n.identity, "key", KeyByPublicKey(b"short")),
    ),
    Refusal(
        "new key did not sign",
        codes.KEY_NOT_POSSESSED,
        lambda n: n.run(RegisterKey(1, NEW_KEY, 1, 0), admin(1)),
    ),
    Refusal(
        "rotation's new key did not sign",
        codes.KEY_NOT_POSSESSED,
        lambda n: n.run(RotateKey(1, LEDGER_KEY, NEW_KEY), admin(1)),
    ),
    Refusal(
        "candidate's key signed for another candidate",
        codes.KEY_NOT_POSSESSED,
        lambda n: _admit(n, candidate("new-one", keys=(_key_of("new-two"),))),
    ),
    Refusal(
        "candidate's key signed for other uses",
        codes.KEY_NOT_POSSESSED,
        lambda n: _admit(
            n, candidate("new-one", keys=(msgspec.structs.replace(_signed_for("new-one", 4), usages=5),))
        ),
    ),
    Refusal(
        "rule that cannot be kept",
        codes.ADMINS_LOCKED_OUT,
        lambda n: n.run(SetAdminThreshold(1, 2), admin(1)),
    ),
    Refusal(
        "candidate without an admin",
        codes.ADMINS_LOCKED_OUT,
        lambda n: _admit(n, candidate("new-one", keys=(_signed_for("new-one", int(Usage.LEDGER)),))),
    ),
    Refusal("short name in use", codes.SLUG_TAKEN, lambda n: _admit(n, candidate("organisation-1"))),
    Refusal(
        "short name of a past member",
        codes.SLUG_TAKEN,
        lambda n: _admit(n, candidate("organisation-2")),
        _remove_second,
    ),
    Refusal(
        "genesis with one number twice",
        codes.SLUG_TAKEN,
        lambda _: genesis_document([genesis_organisation(1), genesis_organisation(1)]),
    ),
    Refusal("short name with capitals", codes.SLUG_INVALID, lambda n: _admit(n, candidate("New"))),
    Refusal(
        "too many addresses", codes.ENDPOINT_INVALID, lambda n: n.run(SetEndpoints(1, ("http://a",) * 9))
    ),
    Refusal(
        "two keys alike", codes.KEY_INVALID, lambda n: _admit(n, candidate("n1", keys=(_key_of("n1"),) * 2))
    ),
    Refusal("short key", codes.KEY_INVALID, lambda n: _register(n, public_key=b"short")),
    Refusal("rotation to itself", codes.KEY_INVALID, lambda n: n.run(RotateKey(1, NEW_KEY, NEW_KEY))),
    Refusal("no use", codes.USAGES_INVALID, lambda n: _register(n, usages=0)),
    Refusal("unknown use", codes.USAGES_INVALID, lambda n: _register(n, usages=USAGES_ALL + 1)),
    Refusal("rule of none", codes.THRESHOLD_INVALID, lambda n: n.run(SetAdminThreshold(1, 0))),
    Refusal("rule of four", codes.THRESHOLD_INVALID, lambda n: n.run(SetAdminThreshold(1, 4))),
    Refusal("long wrap key", codes.HPKE_KEY_INVALID, lambda n: n.run(SetHPKEKey(1, bytes(2_049)))),
    Refusal("no role", codes.ROLES_INVALID, lambda n: _admit(n, candidate("new-one", roles=()))),
    Refusal(
        "roles twice",
        codes.ROLES_INVALID,
        lambda n: _admit(n, candidate("new-one", roles=(Role.INSURER, Role.INSURER))),
    ),
    Refusal("one key too many", codes.KEYS_TOO_MANY, _register, _fill_keys),
    Refusal(
        "candidate with too many keys",
        codes.KEYS_TOO_MANY,
        lambda n: _admit(n, candidate("new-one", keys=(_key_of("new-one"),) * (KEYS_IN_FORCE_MAX + 1))),
    ),
    Refusal("valid from before", codes.VALID_FROM_INVALID, lambda n: _register(n, valid_from_height=-1)),
    Refusal(
        "valid from the block before",
        codes.VALID_FROM_INVALID,
        lambda n: _register(n, valid_from_height=n.height - 1),
        lambda n: n.next_block(blocks=5),
    ),
    Refusal(
        "valid in a far future",
        codes.VALID_FROM_INVALID,
        lambda n: _register(n, valid_from_height=2**63),
    ),
    Refusal("number 0", codes.ORGANISATION_OUT_OF_RANGE, lambda n: n.run(SetEndpoints(0, ()))),
    Refusal("number 2^32", codes.ORGANISATION_OUT_OF_RANGE, lambda n: n.run(SetEndpoints(2**32, ()))),
    Refusal("candidate of noise", codes.CANDIDATE_MALFORMED, lambda n: _admit(n, b"\x80")),
    Refusal("query of noise", codes.QUERY_INVALID, lambda n: n.query(n.identity, "organisation", b"\xff")),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_refused(refusal: Refusal) -> None:
    network = Network(2)
    refusal.arrange(network)
    check_rejected(network, refusal.code, refusal.act)
    network.check()


def test_every_code_is_reached() -> None:
    assert {refusal.code for refusal in REFUSALS} == set(codes.IDENTITY_CODES.codes())


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://site.example",
        "https://",
        "https://user@site.example",
        "https://user:word@site.example",
        "https://site.example?patient=1",
        "https://site.example#x",
        "https://site.example/a b",
        "https://site.example:0",
        "https://site.example:65536",
        "https://-site.example",
        "https://site..example",
        "https://sité.example",
        "https://site.example\n",
        "//site.example",
        "https://site.example/" + "a" * 200,
    ],
)
def test_an_address_is_plain(endpoint: str) -> None:
    check_rejected(Network(), codes.ENDPOINT_INVALID, lambda n: n.run(SetEndpoints(1, (endpoint,)), admin(1)))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:8080",
        "https://a.b-c.example./x/y.z~/",
        "http://10.0.0.1",
        "https://[2001:db8::1]:443/",
    ],
)
def test_plain_addresses_pass(endpoint: str) -> None:
    Network().run(SetEndpoints(1, (endpoint,)), admin(1))


def test_a_broken_key_record_stops_the_node() -> None:
    for raw in (b"", b"\x02" + bytes(22), b"\x01" + bytes(23)):
        with pytest.raises(InvariantViolated):
            unpack_key(bytes(32), raw)


def test_invariants_find_what_is_wrong() -> None:
    cases: list[tuple[str, Callable[[Network], None]]] = [
        ("slugs_and_numbers_agree", lambda n: keeper.SLUGS.set(n.store, "organisation-1", bytes(4))),
        ("slugs_and_numbers_agree", lambda n: keeper.SLUGS.set(n.store, "stray", bytes(4))),
        ("slugs_and_numbers_agree", lambda n: keeper.COUNTER.set(n.store, Counter(1))),
        ("keys_belong_and_are_listed", lambda n: keeper.KEYS_IN_FORCE.delete(n.store, (1, LEDGER_KEY))),
        ("keys_belong_and_are_listed", lambda n: keeper.KEYS_IN_FORCE.add(n.store, (1, NEW_KEY))),
        ("keys_belong_and_are_listed", lambda n: keeper.write_key(n.store, Key(NEW_KEY, 9, 1, 0, 0))),
        ("members_can_act", lambda n: keeper.write_key(n.store, Key(public_key_of(admin(1)), 1, 4, 0, 1))),
        ("members_can_act", lambda n: keeper.write_key(n.store, Key(NEW_KEY, 2, 1, 0, 0))),
    ]
    for name, break_state in cases:
        network = Network(2)
        keeper.remove(network.context(), 2)
        network.check()
        break_state(network)
        assert network.identity.invariants[name](network.view()), name


def test_genesis_refuses_what_a_vote_could_not_make() -> None:
    good = genesis_organisation(1)
    wrong = (
        {"id": 0},
        {"slug": "Ä"},
        {"roles": ()},
        {"endpoints": ("no",)},
        {"admin_threshold": 9},
        {"keys": (*good.keys, good.keys[0])},
        {"keys": (msgspec.structs.replace(good.keys[0], valid_from_height=2**64),)},
    )
    for changes in wrong:
        with pytest.raises(Rejected):
            genesis_document([msgspec.structs.replace(good, **changes)])
    with pytest.raises(msgspec.ValidationError):
        import_genesis(empty_store(), {"organisations": [], "next_id": 1, "surplus": 0})
