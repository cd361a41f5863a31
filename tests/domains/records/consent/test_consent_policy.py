"""The decision table, line by line, and what holds for every policy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.policy import (
    BASE,
    Actor,
    ActorKind,
    Asker,
    Decision,
    Policy,
    PolicyInvalid,
    Reason,
    RecordFacts,
    Rule,
    decide,
    decode_policy,
    encode_policy,
    policy_hash,
    specificity,
)

ALL = tuple(one.value for one in COMPARTMENTS)
NOW = 1_795_000_000_000
DAY = 86_400_000
ANYBODY = Rule(
    is_permit=True,
    actors=(),
    purposes=(),
    from_ms=None,
    until_ms=None,
    data_from_ms=None,
    data_until_ms=None,
    compartments=ALL,
    has_labels=False,
    types=(),
    codes=(),
    authors=(),
    instances=(),
    related=(),
)
HOSPITAL_B = Actor(ActorKind.ORGANISATION, "hospital-b")
DR_B = Actor(ActorKind.PRACTITIONER, "Practitioner/b")
NURSE = Actor(ActorKind.ROLE, "roles|nurse")
ASKER = Asker(
    organisations=frozenset({"hospital-b"}),
    purpose="TREAT",
    at_ms=NOW,
    practitioners=frozenset({"Practitioner/b"}),
    roles=frozenset({"roles|nurse"}),
)
RESULT = RecordFacts(
    compartment=Compartment.NORMAL,
    resource_type="Observation",
    reference="Observation/1",
    time_ms=(NOW - 10 * DAY, NOW - 10 * DAY),
    codes=frozenset({"loinc|718-7"}),
    authors=frozenset({"Practitioner/a"}),
    references=frozenset({"Patient/p", "Encounter/e"}),
)


def rule(base: Rule = ANYBODY, **parts: Any) -> Rule:
    return msgspec.structs.replace(base, **parts)


def permit(**parts: Any) -> Rule:
    return rule(is_permit=True, **parts)


def deny(**parts: Any) -> Rule:
    return rule(is_permit=False, **parts)


def policy(base: Rule, *exceptions: Rule) -> Policy:
    return Policy(1, base, exceptions)


def facts(**parts: Any) -> RecordFacts:
    values = {name: getattr(RESULT, name) for name in RecordFacts.__dataclass_fields__}
    return RecordFacts(**{**values, **parts})


def asker(**parts: Any) -> Asker:
    values = {name: getattr(ASKER, name) for name in Asker.__dataclass_fields__}
    return Asker(**{**values, **parts})


PERMITTED = (True, Reason.PERMITTED)

LINES: list[tuple[str, Policy, Asker, RecordFacts, tuple[bool, Reason, int]]] = [
    (
        "1 substance use is not for legal purposes, whatever is permitted",
        policy(permit()),
        asker(purpose="HLEGAL"),
        facts(compartment=Compartment.SUBSTANCE_USE),
        (False, Reason.LEGAL_PURPOSE, BASE),
    ),
    (
        "1 and only substance use",
        policy(permit()),
        asker(purpose="HLEGAL"),
        RESULT,
        (True, Reason.PERMITTED, BASE),
    ),
    (
        "2 before the consent's period",
        policy(permit(from_ms=NOW + 1), permit()),
        ASKER,
        RESULT,
        (False, Reason.NOT_YET_VALID, BASE),
    ),
    (
        "3 expired is nothing, exceptions included",
        policy(permit(until_ms=NOW - 1), permit()),
        ASKER,
        RESULT,
        (False, Reason.EXPIRED, BASE),
    ),
    (
        "3 the last instant still counts",
        policy(permit(until_ms=NOW)),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, BASE),
    ),
    (
        "4 an exception permits against the base",
        policy(deny(), permit(actors=(HOSPITAL_B,))),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, 0),
    ),
    (
        "4 an exception denies against the base",
        policy(permit(), deny(actors=(HOSPITAL_B,))),
        ASKER,
        RESULT,
        (False, Reason.EXCEPTION, 0),
    ),
    (
        "4 of several, the most specific: practitioner over organisation",
        policy(deny(), deny(actors=(HOSPITAL_B,)), permit(actors=(DR_B,))),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, 1),
    ),
    (
        "4 practitioner over role",
        policy(permit(), permit(actors=(NURSE,)), deny(actors=(DR_B,))),
        ASKER,
        RESULT,
        (False, Reason.EXCEPTION, 1),
    ),
    (
        "4 role over organisation",
        policy(deny(), permit(actors=(NURSE,)), deny(actors=(HOSPITAL_B,))),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, 0),
    ),
    (
        "4 more criteria over fewer",
        policy(deny(), deny(actors=(HOSPITAL_B,)), permit(actors=(HOSPITAL_B,), types=("Observation",))),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, 1),
    ),
    (
        "4 a named record over everything else",
        policy(permit(), permit(actors=(DR_B,), types=("Observation",)), deny(instances=("Observation/1",))),
        ASKER,
        RESULT,
        (False, Reason.EXCEPTION, 1),
    ),
    (
        "4 equally specific: the denial wins, in whichever order",
        policy(permit(), permit(actors=(HOSPITAL_B,)), deny(actors=(HOSPITAL_B,))),
        ASKER,
        RESULT,
        (False, Reason.EXCEPTION, 1),
    ),
    (
        "4 equally specific, the other order",
        policy(permit(), deny(actors=(HOSPITAL_B,)), permit(actors=(HOSPITAL_B,))),
        ASKER,
        RESULT,
        (False, Reason.EXCEPTION, 0),
    ),
    (
        "5 an unknown actor gets the base rule",
        policy(permit(), deny(actors=(HOSPITAL_B,))),
        asker(organisations=frozenset({"stranger"})),
        RESULT,
        (True, Reason.PERMITTED, BASE),
    ),
    (
        "5 base permits and its criteria match",
        policy(permit(actors=(HOSPITAL_B,), purposes=("TREAT",))),
        ASKER,
        RESULT,
        (True, Reason.PERMITTED, BASE),
    ),
    (
        "6 base permits others only",
        policy(permit(actors=(Actor(ActorKind.ORGANISATION, "hospital-c"),))),
        ASKER,
        RESULT,
        (False, Reason.NOT_COVERED, BASE),
    ),
    (
        "6 base permits another compartment only",
        policy(permit(compartments=(0,))),
        ASKER,
        facts(compartment=Compartment.HIV),
        (False, Reason.NOT_COVERED, BASE),
    ),
    (
        "7 base denies an unknown actor",
        policy(deny(), permit(actors=(HOSPITAL_B,))),
        asker(organisations=frozenset({"stranger"})),
        RESULT,
        (False, Reason.BASE_DENIES, BASE),
    ),
    ("7 base denies", policy(deny()), ASKER, RESULT, (False, Reason.BASE_DENIES, BASE)),
]


@pytest.mark.parametrize(("line", "held", "who", "what", "expected"), LINES, ids=[line[0] for line in LINES])
def test_line_of_the_decision_table(
    line: str, held: Policy, who: Asker, what: RecordFacts, expected: tuple[bool, Reason, int]
) -> None:
    assert decide(held, who, what) == Decision(*expected)


CRITERIA: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # name, the rule's criterion, facts or asker that match it, facts or asker that do not
    ("purpose", {"purposes": ("TREAT",)}, {"purpose": "TREAT"}, {"purpose": "HRESCH"}),
    ("included purpose", {"purposes": ("TREAT",)}, {"purpose": "ETREAT"}, {"purpose": "HPAYMT"}),
    ("narrower purpose", {"purposes": ("ETREAT",)}, {"purpose": "ETREAT"}, {"purpose": "TREAT"}),
    ("period", {"from_ms": NOW, "until_ms": NOW}, {"at_ms": NOW}, {"at_ms": NOW + 1}),
    ("type", {"types": ("Observation",)}, {}, {"resource_type": "Condition"}),
    ("code", {"codes": ("loinc|718-7",)}, {}, {"codes": frozenset({"loinc|1"})}),
    ("author", {"authors": ("Practitioner/a",)}, {}, {"authors": frozenset({"Practitioner/z"})}),
    ("instance", {"instances": ("Observation/1",)}, {}, {"reference": "Observation/2"}),
    ("related", {"related": ("Encounter/e",)}, {}, {"references": frozenset({"Encounter/f"})}),
    ("related itself", {"related": ("Observation/1",)}, {}, {"reference": "Observation/2"}),
    ("data period", {"data_from_ms": NOW - 20 * DAY, "data_until_ms": NOW}, {}, {"time_ms": (1, 2)}),
    ("compartment", {"compartments": (0, 1)}, {}, {"compartment": Compartment.GENETICS}),
]


@pytest.mark.parametrize(("name", "criterion", "hit", "miss"), CRITERIA, ids=[row[0] for row in CRITERIA])
def test_each_criterion_narrows(
    name: str, criterion: dict[str, Any], hit: dict[str, Any], miss: dict[str, Any]
) -> None:
    held = policy(deny(), permit(**criterion))

    def ask(parts: dict[str, Any]) -> bool:
        of_asker = {key: value for key, value in parts.items() if key in Asker.__dataclass_fields__}
        of_facts = {key: value for key, value in parts.items() if key not in of_asker}
        return decide(held, asker(**of_asker), facts(**of_facts)).is_permitted

    assert ask(hit)
    assert not ask(miss)


@pytest.mark.parametrize(
    ("criterion", "unknown"),
    [
        ({"authors": ("Practitioner/a",)}, {"authors": None}),
        ({"data_from_ms": NOW - DAY}, {"time_ms": None}),
    ],
)
def test_what_is_not_known_matches_denials_only(criterion: dict[str, Any], unknown: dict[str, Any]) -> None:
    assert not decide(policy(deny(), permit(**criterion)), ASKER, facts(**unknown)).is_permitted
    assert not decide(policy(permit(), deny(**criterion)), ASKER, facts(**unknown)).is_permitted


def test_a_record_reaching_out_of_the_period_is_denied_either_way() -> None:
    across = facts(time_ms=(NOW - 2 * DAY, NOW))
    window = {"data_from_ms": NOW - DAY, "data_until_ms": NOW}
    assert not decide(policy(deny(), permit(**window)), ASKER, across).is_permitted
    assert not decide(policy(permit(), deny(**window)), ASKER, across).is_permitted


RULES = st.builds(
    rule,
    is_permit=st.booleans(),
    actors=st.sampled_from([(), (HOSPITAL_B,), (DR_B,), (NURSE,), (Actor(1, "other"),)]),
    purposes=st.sampled_from([(), ("TREAT",), ("HRESCH",)]),
    from_ms=st.sampled_from([None, NOW - 1, NOW + 1]),
    until_ms=st.sampled_from([None, NOW - 1, NOW + 1]),
    compartments=st.sampled_from([ALL, (0,), (2,), (0, 4)]),
    has_labels=st.booleans(),
    types=st.sampled_from([(), ("Observation",), ("Condition",)]),
    authors=st.sampled_from([(), ("Practitioner/a",)]),
    instances=st.sampled_from([(), ("Observation/1",)]),
)
POLICIES = st.builds(lambda base, more: policy(base, *more), RULES, st.lists(RULES, max_size=4))
FACTS = st.builds(
    facts,
    compartment=st.sampled_from(COMPARTMENTS),
    resource_type=st.sampled_from(["Observation", "Condition"]),
    authors=st.sampled_from([None, frozenset({"Practitioner/a"})]),
)


@given(POLICIES, FACTS)
def test_a_policy_reads_back_and_decides_the_same(held: Policy, what: RecordFacts) -> None:
    raw = encode_policy(held)
    assert decode_policy(raw) == held
    assert decide(decode_policy(raw), ASKER, what) == decide(held, ASKER, what)
    assert len(policy_hash(raw)) == 32


@given(POLICIES, FACTS)
def test_one_more_denial_never_permits_more(held: Policy, what: RecordFacts) -> None:
    stricter = policy(
        held.base, *held.exceptions, deny(instances=("Observation/1",), types=(what.resource_type,))
    )
    if not decide(held, ASKER, what).is_permitted:
        assert not decide(stricter, ASKER, what).is_permitted


@given(POLICIES, FACTS)
def test_without_a_matching_permission_nothing_is_permitted(held: Policy, what: RecordFacts) -> None:
    denials = policy(
        rule(held.base, is_permit=False), *(rule(each, is_permit=False) for each in held.exceptions)
    )
    assert not decide(denials, ASKER, what).is_permitted


@given(RULES)
def test_a_criterion_more_is_more_specific(each: Rule) -> None:
    assert specificity(rule(each, codes=("a|b",))) > specificity(rule(each, codes=()))


BROKEN = [
    Policy(2, ANYBODY, ()),
    policy(rule(compartments=())),
    policy(rule(compartments=(1, 0))),
    policy(rule(compartments=(0, 7))),
    policy(rule(actors=(Actor(9, "x"),))),
    policy(rule(types=("",))),
    policy(rule(codes=("x" * 300,))),
    policy(ANYBODY, *[ANYBODY] * 65),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_policy_out_of_bounds_is_refused(broken: Policy) -> None:
    with pytest.raises(PolicyInvalid):
        encode_policy(broken)


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xff", encode_policy(policy(ANYBODY)) + b"\x00"])
def test_bytes_that_are_no_policy_are_refused(raw: bytes) -> None:
    with pytest.raises(PolicyInvalid):
        decode_policy(raw)
