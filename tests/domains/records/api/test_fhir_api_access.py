"""Rights as computed, and the short way of naming a resource's patients, held to the long one."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.domains.records.api.access import AccessPolicy
from careledger.domains.records.api.patients import patients_of
from careledger.domains.records.api.ports import NoConsents, Restriction
from careledger.domains.records.api.rendering import new_id
from careledger.domains.records.api.roles import ROLES, denied_bits, open_compartments
from careledger.domains.records.api.served_types import SERVED_TYPES
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.index.scope import DENY_ALL
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.compartment import find_patients
from careledger.standards.fhir.search.extract import Extractor
from careledger.web.principal import Principal, Purpose
from careledger.web.smart_scopes import parse_scopes
from domains.records.api.minimal_resources import build_minimal

BASE = "http://hospital-a.example/fhir/"


def principal(scopes: str, role: str = "clinician", **more: object) -> Principal:
    facts: dict[str, object] = {
        "organisation": "hospital-a",
        "subject": "s",
        "client_id": "c",
        "role": role,
        "scopes": parse_scopes(scopes),
        "token_id": scopes + role + str(more),
        **more,
    }
    return Principal(**facts)  # type: ignore[arg-type]  # given by name


def policy(consents: NoConsents | None = None) -> AccessPolicy:
    return AccessPolicy(consents or NoConsents(), own_base=BASE, clock_ms=lambda: 0)


def test_letters_and_types_come_from_the_scopes() -> None:
    access = policy().access_of(principal("user/Patient.rs user/Observation.c"))
    assert access.may("r", "Patient")
    assert access.may("s", "Patient")
    assert access.may("c", "Observation")
    for letter, name in (("c", "Patient"), ("r", "Observation"), ("u", "Observation"), ("r", "Condition")):
        assert not access.may(letter, name)
        with pytest.raises(Rejected, match="SCOPE_INSUFFICIENT"):
            access.require(letter, name)
    everything = policy().access_of(principal("system/*.cruds"))
    assert set(everything.scopes["d"].by_type) == set(SERVED_TYPES)
    assert everything.patients is None


@pytest.mark.parametrize(
    ("scopes", "role", "more", "patients"),
    [
        ("user/*.rs", "clinician", {}, None),
        ("patient/*.rs", "clinician", {"patient": "p1"}, {"p1"}),
        ("patient/*.rs", "clinician", {}, set()),
        ("patient/*.rs user/*.rs", "clinician", {"patient": "p1"}, {"p1"}),
        ("user/*.rs", "patient", {"fhir_user": "Patient/p1"}, {"p1"}),
        ("patient/*.rs", "patient", {"fhir_user": "Patient/p1", "patient": "p1"}, {"p1"}),
        ("patient/*.rs", "patient", {"fhir_user": "Patient/p1", "patient": "p2"}, set()),
        ("system/*.rs", "patient", {}, set()),
    ],
)
def test_whose_records_are_open(
    scopes: str, role: str, more: dict[str, object], patients: set[str] | None
) -> None:
    access = policy().access_of(principal(scopes, role, **more))
    assert access.patients == (None if patients is None else frozenset(patients))
    for letter in "cud":
        assert access.scopes[letter].shared_types == frozenset()


def test_roles_and_purposes_close_compartments() -> None:
    assert open_compartments("clinician", Purpose.TREATMENT) == {Compartment.NORMAL}
    assert open_compartments("records-officer", Purpose.TREATMENT) == set(COMPARTMENTS)
    assert open_compartments("records-officer", Purpose.PAYMENT) == {Compartment.NORMAL}
    assert Compartment.SUBSTANCE_USE not in open_compartments("records-officer", Purpose.LEGAL)
    assert open_compartments("nobody-knows", Purpose.TREATMENT) == frozenset()
    for role in ROLES:
        for purpose in Purpose:
            assert Compartment.NORMAL in open_compartments(role, purpose)
            denied = denied_bits(role, purpose)
            for compartment in COMPARTMENTS:
                is_open = compartment in open_compartments(role, purpose)
                assert bool(denied & compartment.bit) is not is_open


def test_an_unknown_role_sees_nothing() -> None:
    access = policy().access_of(principal("user/*.cruds", "invented"))
    assert access.scopes["r"].denied_labels == DENY_ALL
    assert access.sees("r", "Patient", Compartment.NORMAL) is False


def test_a_role_may_be_held_to_types() -> None:
    access = policy().access_of(principal("user/*.cruds", "front-desk"))
    assert access.may("u", "Appointment")
    assert not access.may("r", "Observation")


def test_a_scope_that_cannot_be_applied_allows_nothing() -> None:
    for query in ("nonsense=1", "subject.name=x", "category=", "_has:Observation:subject:code=x", "date=x"):
        access = policy().access_of(principal(f"user/Observation.rs?{query}"))
        assert not access.may("r", "Observation"), query
    both = policy().access_of(principal("user/Observation.rs?nonsense=1 user/Observation.rs?category=x"))
    assert len(both.scopes["r"].by_type["Observation"].alternatives) == 1
    wider = policy().access_of(principal("user/Observation.rs?category=x user/Observation.r"))
    assert wider.scopes["r"].by_type["Observation"].alternatives == ()
    assert wider.scopes["s"].by_type["Observation"].alternatives != ()


def test_the_index_is_asked_only_where_it_must_be() -> None:
    plain = policy().access_of(principal("user/*.rs"))
    assert plain.sees("r", "Patient", Compartment.NORMAL) is True
    assert plain.sees("r", "Patient", Compartment.HIV) is False
    narrow = policy().access_of(principal("user/Observation.rs?category=x"))
    assert narrow.sees("r", "Observation", Compartment.NORMAL) is None
    assert narrow.sees("r", "Observation", Compartment.HIV) is False
    held = policy().access_of(principal("patient/*.rs", patient="p"))
    assert held.sees("r", "Patient", Compartment.NORMAL) is None


def test_rights_follow_the_consents_at_once() -> None:
    class Changing(NoConsents):
        number = 0

        def version(self) -> int:
            return self.number

        def restrict(self, principal: Principal) -> Restriction:
            del principal
            return Restriction(denials=(("p1", self.number),), version=bytes([self.number]))

    consents = Changing()
    asked = policy(consents)
    who = principal("user/*.rs")
    first = asked.access_of(who)
    assert asked.access_of(who) is first
    consents.number = 2
    second = asked.access_of(who)
    assert second.scopes["s"].patient_denials == (("p1", 2),)
    assert second.scopes["s"].digest() != first.scopes["s"].digest()
    other = asked.access_of(principal("patient/*.rs", patient="p2"))
    assert other.scopes["s"].patient_denials == ()


def test_page_links_outlive_a_token_but_not_its_holder() -> None:
    first = policy().access_of(principal("user/*.rs", token_id="1"))
    renewed = policy().access_of(principal("user/*.rs", token_id="2"))
    somebody = policy().access_of(principal("user/*.rs", token_id="1", subject="other"))
    assert first.scopes["s"].digest() == renewed.scopes["s"].digest()
    assert first.scopes["s"].digest() != somebody.scopes["s"].digest()


EXTRACTOR = Extractor(BASE)
TEXTS = st.sampled_from(
    [
        *("Patient/a", "Patient/b", "Group/a", "Practitioner/a", f"{BASE}Patient/c", "Patient/a/_history/3"),
        *(
            "http://elsewhere.example/fhir/Patient/d",
            "#a",
            "urn:uuid:x",
            "Patient",
            "Patient/",
            "Patient?x=1",
        ),
    ]
)
REFERENCES = st.fixed_dictionaries({"reference": TEXTS})
MEMBERS = (
    *("subject", "patient", "performer", "focus", "author", "recorder", "asserter", "participant", "actor"),
    *("individual", "beneficiary", "subscriber", "payee", "party", "link", "other", "sender", "recipient"),
    *("member", "entity", "who", "target", "agent", "policyHolder", "insured", "account", "result"),
)
VALUES = st.recursive(
    REFERENCES | st.lists(REFERENCES, max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3)
        | st.lists(st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=2), max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(SERVED_TYPES)), st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4))
def test_patients_the_short_way_are_those_of_the_long_one(name: str, members: dict[str, object]) -> None:
    value: JsonObject = build_minimal(name, "m") | members
    expected = find_patients(name, "own", EXTRACTOR.extract(name, value))
    assert patients_of(name, "own", value, BASE) == expected


def test_ids_are_random_uuids() -> None:
    made = [new_id() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    for one in made:
        parsed = uuid.UUID(one)
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
        assert str(parsed) == one
    free = [uuid.UUID(one).int.bit_count() for one in made]
    assert 60 < sum(free) / len(free) < 65
