"""Grants and cells: what is planned, signed, sealed and opened; forged ones are never accepted."""

from __future__ import annotations

import random
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.cells import (
    MANIFEST_SLOTS,
    SLOTS,
    CellContents,
    CellOpening,
    LeafProof,
    build_update,
    compute_commitment,
    decode_opening,
    encode_opening,
    new_filler_commitment,
    new_opening,
    prove_leaf,
    prove_leaves,
    read_contents,
    read_manifest_leaf,
    verify_leaf,
)
from careledger.domains.records.service.consent.coverage import PlannedGrant, is_whole, plan_grants
from careledger.domains.records.service.consent.errors import (
    CELL_FULL,
    GRANT_INVALID,
    OPENING_INVALID,
    PART_2_INCOMPLETE,
    RECIPIENT_MISSING,
)
from careledger.domains.records.service.consent.grants import (
    GrantedScope,
    GrantTerms,
    issue_grant,
    open_grant_keys,
    verify_grant,
)
from careledger.domains.records.service.consent.policy import Policy
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import Commitment, OrganisationID, PublicKey
from careledger.primitives.signing import public_key_of
from careledger.vault.keys import SigningSeed
from domains.records.consent.consent_samples import (
    CELL,
    CHAIN,
    DISCLOSURE_KEY,
    GRANTEE,
    INDEX_KEY,
    STRANGER,
    WALLET,
    actor,
    label,
    permission,
    policy_of,
    purpose,
    resource_class,
)

IDENTITY = PublicKey(public_key_of(WALLET.identity_seed().reveal()))
NAME = sha256(b"name").digest()
UNTIL = {"period": {"end": "2030-01-01"}}
NOTHING_ELSE = frozenset({GRANT_INVALID})


def issued(
    policy: Policy | None = None,
    *,
    whole: tuple[Compartment, ...] = (Compartment.NORMAL,),
    compartments: tuple[Compartment, ...] = (Compartment.NORMAL,),
    slot: int = 7,
    seed: SigningSeed | None = None,
    expires_at_ms: int = 0,
) -> tuple[bytes, bytes]:
    terms = GrantTerms(
        organisation=OrganisationID(2),
        recipient=GRANTEE.recipient,
        purpose="TREAT",
        policy=policy or policy_of(permission()),
        compartments=compartments,
        whole=whole,
        expires_at_ms=expires_at_ms,
    )
    return issue_grant(
        terms,
        chain=CHAIN,
        cell=CELL,
        slot=slot,
        name=NAME,
        seed=seed or WALLET.identity_seed(),
        secrets=dict.fromkeys(COMPARTMENTS, (3, INDEX_KEY, DISCLOSURE_KEY)),
    )


def verified(raw: bytes, scope: bytes) -> GrantedScope:
    return verify_grant(raw, scope, chain=CHAIN, cell=CELL, identity=IDENTITY)


def plan(*exceptions: object, **root: object) -> tuple[PlannedGrant, ...]:
    return plan_grants(policy_of(*exceptions, **root))  # type: ignore[arg-type]


# -- what follows from a policy ------------------------------------------------------------------------------


def test_a_permission_becomes_one_grant_per_recipient_and_purpose() -> None:
    planned = plan(permission("hospital-b", "practice", purpose=[purpose("TREAT"), purpose("HPAYMT")]))
    assert [(one.organisation, one.purpose) for one in planned] == [
        ("hospital-b", "TREAT"),
        ("hospital-b", "HPAYMT"),
        ("practice", "TREAT"),
        ("practice", "HPAYMT"),
    ]
    assert all(one.whole == (Compartment.NORMAL,) == one.compartments for one in planned)


def test_a_recipient_is_shown_nothing_of_the_others() -> None:
    planned = plan(permission("hospital-b"), permission("practice", securityLabel=[label("HIV")]))
    raw = {one.organisation: encode(one.policy) for one in planned}
    assert b"practice" not in raw["hospital-b"]
    assert b"hospital-b" not in raw["practice"]


NARROWER = [
    ("type", {"class": [resource_class("Observation")]}),
    ("records' time", {"dataPeriod": {"start": "2025"}}),
    ("code", {"code": [{"coding": [{"system": "s", "code": "c"}]}]}),
    ("author", {"data": [{"meaning": "authoredby", "reference": {"reference": "Practitioner/1"}}]}),
    ("instance", {"data": [{"meaning": "instance", "reference": {"reference": "Observation/1"}}]}),
    ("related", {"data": [{"meaning": "related", "reference": {"reference": "Encounter/1"}}]}),
    ("a period of its own", {"period": {"end": "2030"}}),
    (
        "a person",
        {"actor": [{**actor(), "reference": {"reference": "Practitioner/1"}}]},
    ),
]


@pytest.mark.parametrize(("name", "parts"), NARROWER, ids=[row[0] for row in NARROWER])
def test_grants_narrower_than_a_compartment_carry_no_keys(name: str, parts: dict[str, object]) -> None:
    planned = plan_grants(policy_of(permission(**parts)), recipients=["hospital-b"])
    assert [one.whole for one in planned] == [()]
    raw, scope = issued(planned[0].policy, whole=planned[0].whole)
    assert verified(raw, scope).grant.sealed_keys == ()
    with pytest.raises(Rejected) as refusal:
        open_grant_keys(verified(raw, scope), GRANTEE, Compartment.NORMAL)
    assert refusal.value.code is GRANT_INVALID


@pytest.mark.parametrize(("name", "parts"), NARROWER[:6], ids=[row[0] for row in NARROWER[:6]])
def test_a_denial_of_some_records_takes_the_whole_away(name: str, parts: dict[str, object]) -> None:
    policy = policy_of(permission(), {"type": "deny", "actor": [actor()], **parts})
    assert not is_whole(policy, "hospital-b", "TREAT", Compartment.NORMAL)


def test_a_denial_to_others_does_not() -> None:
    policy = policy_of(permission(), {"type": "deny", "actor": [actor("practice")]})
    assert is_whole(policy, "hospital-b", "TREAT", Compartment.NORMAL)


def test_a_denial_for_another_purpose_does_not() -> None:
    policy = policy_of(permission(), {"type": "deny", "actor": [actor()], "purpose": [purpose("HRESCH")]})
    assert is_whole(policy, "hospital-b", "TREAT", Compartment.NORMAL)


def test_a_more_specific_permission_stands_against_a_general_denial() -> None:
    policy = policy_of(permission(), {"type": "deny"})
    assert is_whole(policy, "hospital-b", "TREAT", Compartment.NORMAL)


@pytest.mark.parametrize("code", [None, "R", "N"])
def test_a_general_grant_never_opens_substance_use_records(code: str | None) -> None:
    labels = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}]
    planned = plan(permission(**({"securityLabel": labels} if code else {})), **UNTIL)
    assert planned
    assert all(Compartment.SUBSTANCE_USE not in one.compartments for one in planned)


@pytest.mark.parametrize(
    ("exception", "root"),
    [
        (permission(securityLabel=[label("ETH")]), {}),  # no end
        ({"type": "permit", "actor": [actor()], "securityLabel": [label("ETH")]}, UNTIL),  # no purpose
    ],
)
def test_substance_use_needs_purpose_and_end(exception: dict[str, object], root: dict[str, object]) -> None:
    with pytest.raises(Rejected) as refusal:
        plan(exception, **root)
    assert refusal.value.code is PART_2_INCOMPLETE


def test_substance_use_named_with_recipient_purpose_and_end_is_granted() -> None:
    planned = plan(permission(securityLabel=[label("ETH")]), **UNTIL)
    assert [one.whole for one in planned] == [(Compartment.SUBSTANCE_USE,)]


def test_a_permission_to_nobody_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        plan({"type": "permit"})
    assert refusal.value.code is RECIPIENT_MISSING


def test_denials_alone_plan_nothing() -> None:
    assert plan({"type": "deny", "actor": [actor()]}) == ()


# -- grants --------------------------------------------------------------------------------------------------


def test_a_grant_gives_its_recipient_the_keys_and_nobody_else() -> None:
    granted = verified(*issued())
    assert open_grant_keys(granted, GRANTEE, Compartment.NORMAL) == (3, INDEX_KEY, DISCLOSURE_KEY)
    with pytest.raises(Rejected):
        open_grant_keys(granted, STRANGER, Compartment.NORMAL)


def test_a_grant_counts_from_and_until() -> None:
    granted = verified(*issued(expires_at_ms=1_000))
    assert granted.is_in_force(999)
    assert not granted.is_in_force(1_000)


def test_another_wallets_signature_does_not_count() -> None:
    with pytest.raises(Rejected) as refusal:
        verified(*issued(seed=SigningSeed(bytes(32))))
    assert refusal.value.code is GRANT_INVALID


@pytest.mark.parametrize(
    "parts",
    [
        {"purpose": "HRESCH"},
        {"expires_at_ms": 2**40},
        {"not_before_ms": 0, "expires_at_ms": 1},
        {"leaf_index": 8},
        {"to_key": bytes(32)},
        {"scope_hash": bytes(32)},
        {"nonce": bytes(32)},
        {"sealed_keys": ()},
        {"cell": bytes(32)},
        {"chain_id": "other-chain"},
        {"from_key": bytes(32)},
    ],
)
def test_a_changed_field_is_refused(parts: dict[str, object]) -> None:
    raw, scope = issued()
    granted = verified(raw, scope)
    with pytest.raises(Rejected) as refusal:
        verified(encode(msgspec.structs.replace(granted.grant, **parts)), scope)
    assert refusal.value.code is GRANT_INVALID


def test_the_scope_of_another_grant_is_refused() -> None:
    raw, _ = issued()
    _, other = issued(
        policy_of(permission(securityLabel=[label("HIV")])), compartments=(Compartment.HIV,), whole=()
    )
    with pytest.raises(Rejected):
        verified(raw, other)


def mutate(raw: bytes, chance: random.Random) -> bytes:
    """One change: a bit, a byte, a cut, a doubled or an exchanged part."""
    kind = chance.randrange(5)
    at = chance.randrange(len(raw))
    if kind == 0:
        return raw[:at] + bytes((raw[at] ^ 1 << chance.randrange(8),)) + raw[at + 1 :]
    if kind == 1:
        return raw[:at] + bytes((chance.randrange(256),)) + raw[at + 1 :]
    if kind == 2:
        return raw[:at]
    if kind == 3:
        return raw[:at] + raw[at : at + 32] + raw[at:]
    other = chance.randrange(len(raw))
    first, second = sorted((at, other))
    return raw[:first] + raw[second : second + 8] + raw[first + 8 :]


def test_mutated_grants_are_never_accepted() -> None:
    raw, scope = issued()
    chance = random.Random(7)
    accepted = 0
    for _ in range(3_000):
        of_grant, of_scope = raw, scope
        if chance.random() < 0.7:
            of_grant = mutate(raw, chance)
        else:
            of_scope = mutate(scope, chance)
        if (of_grant, of_scope) == (raw, scope):
            continue
        try:
            verified(of_grant, of_scope)
        except Rejected as refusal:
            assert refusal.code in NOTHING_ELSE  # noqa: PT017 - the fuzz counts, and looks at each refusal
        else:
            accepted += 1
    assert accepted == 0


# -- cells ---------------------------------------------------------------------------------------------------


def contents(grants: int = 2) -> CellContents:
    held = CellContents({one: (0, sha256(one.label.encode()).digest()) for one in COMPARTMENTS})
    for number in range(grants):
        held.grants[MANIFEST_SLOTS + number] = issued(slot=MANIFEST_SLOTS + number)
    return held


def opening(grants: int = 2) -> CellOpening:
    return new_opening(CELL, 2, contents(grants))


def test_an_opening_reads_back_and_leads_to_its_commitment() -> None:
    held = opening()
    again = decode_opening(encode_opening(held))
    assert again == held
    assert compute_commitment(again) == compute_commitment(held)
    assert read_contents(again) == contents_of(held)


def contents_of(held: CellOpening) -> CellContents:
    found = CellContents({one: (0, sha256(one.label.encode()).digest()) for one in COMPARTMENTS})
    for number, slot in enumerate(held.slots):
        if number >= MANIFEST_SLOTS and slot.content:
            found.grants[number] = (slot.content, slot.scope)
    return found


def test_the_same_contents_never_give_the_same_leaves() -> None:
    first, second = (new_opening(CELL, 2, CellContents({}, {})) for _ in range(2))
    assert compute_commitment(first) != compute_commitment(second)
    assert not {slot.salt for slot in first.slots} & {slot.salt for slot in second.slots}
    assert new_filler_commitment() != new_filler_commitment()


@pytest.mark.parametrize("slot", [0, 6, 7, 8])
def test_one_slot_is_shown_without_the_others(slot: int) -> None:
    held = opening()
    proof = prove_leaf(held, slot)
    verify_leaf(proof, compute_commitment(held))
    assert proof == prove_leaves(held, {slot, 0})[slot]
    shown = encode(proof)
    others = {other.content for at, other in enumerate(held.slots) if at != slot and other.content}
    assert all(content not in shown for content in others)


def test_a_proof_of_an_unused_slot_is_none() -> None:
    held = opening()
    with pytest.raises(Rejected):
        verify_leaf(prove_leaf(held, 63), compute_commitment(held))


def test_a_leaf_at_another_place_or_of_another_version_is_refused() -> None:
    held, later = opening(), opening()
    proof = prove_leaf(held, 7)
    for wrong, commitment in (
        (msgspec.structs.replace(proof, slot=8), compute_commitment(held)),
        (msgspec.structs.replace(proof, slot=-1), compute_commitment(held)),
        (msgspec.structs.replace(proof, slot=SLOTS), compute_commitment(held)),
        (msgspec.structs.replace(proof, path=proof.path[:-1]), compute_commitment(held)),
        (msgspec.structs.replace(proof, content=prove_leaf(held, 8).content), compute_commitment(held)),
        (proof, compute_commitment(later)),
    ):
        with pytest.raises(Rejected) as refusal:
            verify_leaf(wrong, commitment)
        assert refusal.value.code is OPENING_INVALID


def test_mutated_openings_and_proofs_never_lead_to_the_commitment() -> None:
    held = opening()
    raw, commitment = encode_opening(held), compute_commitment(held)
    proof = prove_leaf(held, 7)
    proof_raw = encode(proof)
    chance = random.Random(11)
    for _ in range(400):
        try:
            again = decode_opening(mutate(raw, chance))
        except Rejected:
            continue
        # A scope is bound by its grant and not by the leaf; everything else must be as it was.
        leaves = [(slot.salt, slot.content) for slot in again.slots]
        if leaves != [(slot.salt, slot.content) for slot in held.slots]:
            assert compute_commitment(again) != commitment
    for _ in range(2_000):
        try:
            wrong = msgspec.convert(
                msgspec.to_builtins(decode_proof(mutate(proof_raw, chance)), builtin_types=(bytes,)),
                LeafProof,
                builtin_types=(bytes,),
            )
            if wrong == proof:
                continue
            verify_leaf(wrong, commitment)
        except (Rejected, ValueError):
            continue
        pytest.fail("a mutated proof was accepted")


def decode_proof(raw: bytes) -> LeafProof:
    from careledger.primitives.codec import decode

    return decode(raw, LeafProof)


def test_a_manifests_slot_holds_its_own_compartments_manifest() -> None:
    held = opening()
    with pytest.raises(Rejected):
        read_manifest_leaf(held.slots[1].content, Compartment.NORMAL)
    with pytest.raises(Rejected):
        read_manifest_leaf(held.slots[7].content, Compartment.NORMAL)


def test_a_cell_holds_57_grants_and_no_more() -> None:
    held = CellContents()
    for _ in range(SLOTS - MANIFEST_SLOTS):
        held.grants[held.free_slot()] = (b"grant", b"scope")
    with pytest.raises(Rejected) as refusal:
        held.free_slot()
    assert refusal.value.code is CELL_FULL


@given(st.integers(1, 2**63), st.binary(min_size=32, max_size=32))
def test_every_update_has_one_size(version: int, commitment: bytes) -> None:
    update = build_update(
        cell=CELL,
        version=version,
        seed=SigningSeed(commitment),
        next_key_commitment=bytes(32),
        recovery_commitment=bytes(32),
        commitment=Commitment(commitment),
    )
    update.check()
    assert len(encode(update)) == 180
