"""The decision table of patient matching, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.search.match_score import (
    SCORE_MAX,
    WEIGHTS,
    Agreement,
    Grade,
    candidate_searches,
    compare_patients,
    is_one_edit_apart,
)
from careledger.standards.fhir.search.request import parse_search

MRN = "urn:mrn"


def person(
    family: str = "Mustermann",
    given: str = "Erika",
    born: str = "1964-08-12",
    gender: str = "female",
    mrn: str = "",
    city: str = "",
    phone: str = "",
    use: str = "official",
) -> dict[str, object]:
    value: dict[str, object] = {"resourceType": "Patient"}
    if family or given:
        value["name"] = [{"family": family, "given": given.split()}]
    if born:
        value["birthDate"] = born
    if gender:
        value["gender"] = gender
    if mrn:
        value["identifier"] = [{"system": MRN, "value": mrn, "use": use}]
    if city:
        value["address"] = [{"postalCode": "51147", "city": city, "line": ["Heidestraße 17"]}]
    if phone:
        value["telecom"] = [{"system": "phone", "value": phone}]
    return value


ERIKA = person(mrn="1", city="Köln", phone="+49 221 123456")


@pytest.mark.parametrize(
    ("other", "grade"),
    [
        # An identifier agrees.
        (ERIKA, Grade.CERTAIN),
        (person(mrn="1", born=""), Grade.CERTAIN),
        (person(mrn="1", given="", gender=""), Grade.CERTAIN),
        (person(mrn="1", born="1964-12-08"), Grade.CERTAIN),
        (person(mrn="1", given="E."), Grade.CERTAIN),
        # ... but something contradicts, or no name agrees: never certain.
        (person(mrn="1", born="1990-01-01"), Grade.POSSIBLE),
        (person(mrn="1", gender="male"), Grade.PROBABLE),
        (person(mrn="1", family="Schmidt"), Grade.PROBABLE),
        (person(mrn="1", family="", given=""), Grade.PROBABLE),
        (person(mrn="1", family="Schmidt", given="Otto"), Grade.POSSIBLE),
        (person(mrn="1", family="Schmidt", given="Otto", born="1990-01-01"), Grade.CERTAINLY_NOT),
        # No identifier: the score decides, and never makes it certain.
        (person(city="Köln", phone="0221 123456"), Grade.PROBABLE),
        (person(city="KOLN"), Grade.POSSIBLE),
        (person(), Grade.POSSIBLE),
        (person(family="Musterman"), Grade.POSSIBLE),
        (person(family="MÜSTERMANN", given="ERIKA  Maria"), Grade.POSSIBLE),
        (person(born="1964-08-21"), Grade.POSSIBLE),
        (person(born="1964-12-08"), Grade.POSSIBLE),
        (person(born="1964"), Grade.POSSIBLE),
        (person(family="Erika", given="Mustermann"), Grade.POSSIBLE),
        (person(gender="male"), Grade.CERTAINLY_NOT),
        (person(born="1990-01-01"), Grade.CERTAINLY_NOT),
        (person(born=""), Grade.CERTAINLY_NOT),
        # Twins: everything but the given name.
        (person(given="Otto", city="Köln", phone="0221 123456"), Grade.POSSIBLE),
        (person(given="Otto", mrn="2", city="Köln", phone="0221 123456", gender="male"), Grade.CERTAINLY_NOT),
        # Same household, other people.
        (person(given="Otto", born="1990-01-01", city="Köln", phone="0221 123456"), Grade.CERTAINLY_NOT),
        (
            person(family="Schmidt", given="Otto", born="1990-01-01", city="Köln", phone="0221 123456"),
            Grade.CERTAINLY_NOT,
        ),
        # Nothing to compare.
        ({}, Grade.CERTAINLY_NOT),
        (
            {"name": "x", "identifier": [1], "telecom": {}, "address": [None], "birthDate": 4},
            Grade.CERTAINLY_NOT,
        ),
    ],
)
def test_decision_table(other: dict[str, object], grade: Grade) -> None:
    assert compare_patients(ERIKA, other).grade is grade
    assert compare_patients(other, ERIKA).grade is grade


def test_an_old_or_temporary_identifier_proves_nothing() -> None:
    for use in ("old", "temp"):
        outcome = compare_patients(person(mrn="1"), person(mrn="1", use=use))
        assert outcome.agreements["identifier"] is Agreement.UNKNOWN
        assert outcome.grade is not Grade.CERTAIN


def test_another_identifier_of_the_same_system_weighs_against() -> None:
    assert (
        compare_patients(person(mrn="1"), person(mrn="2")).score
        == compare_patients(person(), person()).score - 50
    )


def test_everything_the_same_is_the_whole_score() -> None:
    assert sum(same for same, _, _ in WEIGHTS.values()) == SCORE_MAX
    assert compare_patients(ERIKA, ERIKA).score == SCORE_MAX


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("abcde", "abcde", False),
        ("abcde", "abde", True),
        ("abcde", "abXcde", True),
        ("abcde", "abXde", True),
        ("abcde", "abdce", True),
        ("abcde", "bacde", True),
        ("abcde", "abced", True),
        ("abcde", "abc", False),
        ("abcde", "badce", False),
        ("", "a", True),
        ("", "", False),
    ],
)
def test_one_edit(first: str, second: str, apart: bool) -> None:
    assert is_one_edit_apart(first, second) is apart
    assert is_one_edit_apart(second, first) is apart


def test_candidate_searches_are_searches_of_patient() -> None:
    searches = candidate_searches(person(family="O,Neil", mrn="a|b", phone="1,2"))
    assert searches == (
        (("identifier", "urn:mrn|a\\|b"),),
        (("telecom", "1\\,2"),),
        (("phonetic", "erika,o\\,neil"), ("birthdate", "1964-08-12")),
        (("phonetic", "o\\,neil"), ("phonetic", "erika")),
    )
    for search in searches:
        assert parse_search("Patient", search, now_ms=0).branches[0].conditions
    assert candidate_searches(person(family="李", given="")) == ((("birthdate", "1964-08-12"),),)
    assert candidate_searches({}) == ()


texts = st.text(st.characters(codec="utf-8"), max_size=12)
people = st.builds(
    person,
    family=texts,
    given=texts,
    born=st.sampled_from(["", "1964", "1964-08", "1964-08-12", "1990-01-01", "x"]),
    gender=st.sampled_from(["", "male", "female", "unknown"]),
    mrn=texts,
    city=texts,
    phone=texts,
)


@given(people, people)
def test_comparison_does_not_depend_on_the_order(first: dict[str, object], second: dict[str, object]) -> None:
    assert compare_patients(first, second) == compare_patients(second, first)
    assert 0 <= compare_patients(first, second).score <= SCORE_MAX
