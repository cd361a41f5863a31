"""On whose word: delegations end, reach no further than the one before, and go at most two deep."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any

import pytest

from careledger.domains.records.service.agent.authority import (
    Act,
    ByDelegate,
    ByPatient,
    ByStaff,
    describe,
    require_authority,
    sign_delegated_request,
    sign_delegation,
)
from careledger.domains.records.service.agent.errors import DELEGATION_INVALID, DUAL_CONTROL
from careledger.domains.records.service.compartments import Compartment
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import ChainID, PublicKey
from careledger.primitives.signing import public_key_of
from careledger.vault.envelope import parse_envelope
from careledger.vault.keys import SigningSeed

CHAIN = ChainID("test-chain")
NOW, DAY = 1_795_000_000_000, 86_400_000
PATIENT, PARENT, CARER, THIRD = (SigningSeed(sha256(name).digest()) for name in (b"1", b"2", b"3", b"4"))
NORMAL, RESTRICTED = Compartment.NORMAL, Compartment.SEXUAL_REPRODUCTIVE


def key(seed: SigningSeed) -> PublicKey:
    return PublicKey(public_key_of(seed.reveal()))


def delegation(by: SigningSeed, to: SigningSeed, **parts: Any) -> bytes:
    values: dict[str, Any] = {
        "chain": CHAIN,
        "to_key": key(to),
        "actions": (Act.GRANT, Act.REVOKE),
        "compartments": (NORMAL,),
        "not_before_ms": NOW - DAY,
        "expires_at_ms": NOW + DAY,
        **parts,
    }
    return sign_delegation(by, **values)


def check(
    *delegations: bytes,
    by: SigningSeed,
    action: Act = Act.GRANT,
    compartments: Collection[Compartment] = (NORMAL,),
    at_ms: int = NOW,
    request: bytes | None = None,
    ended: Collection[bytes] = (),
) -> None:
    signed = request or sign_delegated_request(
        by, chain=CHAIN, action=action, patient=key(PATIENT), issued_ms=at_ms
    )
    require_authority(
        ByDelegate(delegations=delegations, request=signed),
        chain=CHAIN,
        identity=key(PATIENT),
        action=action,
        compartments=compartments,
        at_ms=at_ms,
        ended=ended,
    )


FIRST = delegation(PATIENT, PARENT, depth=1)


def test_a_delegate_may_do_what_was_delegated() -> None:
    check(FIRST, by=PARENT)
    check(FIRST, delegation(PARENT, CARER, expires_at_ms=NOW + 1), by=CARER)
    check(FIRST, by=PARENT, action=Act.REVOKE, compartments=())


REFUSED: list[tuple[str, tuple[bytes, ...], dict[str, Any]]] = [
    ("nobody", (), {"by": PARENT}),
    ("expired", (FIRST,), {"by": PARENT, "at_ms": NOW + DAY}),
    ("not yet", (FIRST,), {"by": PARENT, "at_ms": NOW - DAY - 1}),
    ("another act", (FIRST,), {"by": PARENT, "action": Act.LOOK}),
    ("an act that is never delegated", (FIRST,), {"by": PARENT, "action": Act.RECOVER}),
    ("a compartment the parents do not hold", (FIRST,), {"by": PARENT, "compartments": (RESTRICTED,)}),
    ("another delegate's key", (FIRST,), {"by": CARER}),
    ("signed by a stranger", (delegation(THIRD, PARENT),), {"by": PARENT}),
    ("three deep", (FIRST, delegation(PARENT, CARER), delegation(CARER, THIRD)), {"by": THIRD}),
    ("no depth left", (delegation(PATIENT, PARENT), delegation(PARENT, CARER)), {"by": CARER}),
    ("deeper on", (FIRST, delegation(PARENT, CARER, depth=1)), {"by": CARER}),
    (
        "longer than the one before",
        (FIRST, delegation(PARENT, CARER, expires_at_ms=NOW + 2 * DAY)),
        {"by": CARER},
    ),
    (
        "more compartments than the one before",
        (FIRST, delegation(PARENT, CARER, compartments=(NORMAL, RESTRICTED))),
        {"by": CARER},
    ),
    (
        "more acts than the one before",
        (FIRST, delegation(PARENT, CARER, actions=(Act.GRANT, Act.LOOK))),
        {"by": CARER},
    ),
    ("not in order", (delegation(PARENT, CARER), FIRST), {"by": CARER}),
    ("another ledger", (delegation(PATIENT, PARENT, chain=ChainID("other-chain")),), {"by": PARENT}),
    ("altered", (FIRST[:-1] + bytes((FIRST[-1] ^ 1,)),), {"by": PARENT}),
]


@pytest.mark.parametrize(("name", "delegations", "parts"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_a_delegation_does_not_reach(
    name: str, delegations: tuple[bytes, ...], parts: dict[str, Any]
) -> None:
    with pytest.raises(Rejected) as refusal:
        check(*delegations, **parts)
    assert refusal.value.code is DELEGATION_INVALID


def test_a_request_is_for_one_act_and_one_patient_and_not_old() -> None:
    for request in (
        sign_delegated_request(PARENT, chain=CHAIN, action=Act.REVOKE, patient=key(PATIENT), issued_ms=NOW),
        sign_delegated_request(PARENT, chain=CHAIN, action=Act.GRANT, patient=key(THIRD), issued_ms=NOW),
        sign_delegated_request(
            PARENT, chain=CHAIN, action=Act.GRANT, patient=key(PATIENT), issued_ms=NOW - 300_001
        ),
        sign_delegated_request(CARER, chain=CHAIN, action=Act.GRANT, patient=key(PATIENT), issued_ms=NOW),
    ):
        with pytest.raises(Rejected):
            check(FIRST, by=PARENT, request=request)


def test_a_delegation_can_be_ended_early() -> None:
    from careledger.domains.records.service.agent.authority import Delegation

    nonce = decode(parse_envelope(FIRST).payload, Delegation).nonce
    with pytest.raises(Rejected):
        check(FIRST, by=PARENT, ended={nonce})


@pytest.mark.parametrize(
    "parts",
    [
        {"expires_at_ms": NOW - 2 * DAY},
        {"depth": 2},
        {"depth": -1},
        {"actions": (Act.RECOVER,)},
    ],
)
def test_a_delegation_without_end_or_beyond_bounds_is_not_signed(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="delegation"):
        delegation(PATIENT, PARENT, **parts)


@pytest.mark.parametrize(
    ("people", "reason", "allowed"),
    [
        (("a", "b"), "the patient asked by telephone", True),
        (("a", "a"), "the patient asked", False),
        (("a",), "the patient asked", False),
        (("a", ""), "the patient asked", False),
        (("a", "b"), " ", False),
    ],
)
def test_no_single_member_of_the_staff_acts_for_a_patient(
    people: tuple[str, ...], reason: str, allowed: bool
) -> None:
    authority = ByStaff(people=people, reason=reason)

    def ask() -> None:
        require_authority(
            authority,
            chain=CHAIN,
            identity=key(PATIENT),
            action=Act.RECOVER,
            compartments=(),
            at_ms=NOW,
        )

    if allowed:
        ask()
        assert "a and b" in describe(authority)
    else:
        with pytest.raises(Rejected) as refusal:
            ask()
        assert refusal.value.code is DUAL_CONTROL


def test_the_patient_needs_nobody() -> None:
    require_authority(
        ByPatient(name="me"),
        chain=CHAIN,
        identity=key(PATIENT),
        action=Act.RECOVER,
        compartments=tuple(Compartment),
        at_ms=NOW,
    )
