"""A population that never lived: patients and their records, the same for the same seed.

Names are made of syllables and end in a number, so that nobody can be taken for a real person. Codes are real
(SNOMED CT, LOINC, RxNorm, CVX), so that search, labels and pages have something to work on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from careledger.standards.fhir.json_types import JsonObject

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
UCUM: Final = "http://unitsofmeasure.org"
NUMBERS: Final = "urn:careledger:demo:health-number"

_SYLLABLES: Final = tuple(
    "al be cor da el fi gan ho is jo ka lum mar nel or pa qui ros sil ta ul vin wen xa yl zor".split()  # noqa: SIM905 - a list of words reads as words
)

_CONDITIONS: Final = (
    ("44054006", "Type 2 diabetes mellitus"),
    ("38341003", "Hypertensive disorder"),
    ("195967001", "Asthma"),
    ("40055000", "Chronic sinusitis"),
    ("239873007", "Osteoarthritis of knee"),
    ("370143000", "Major depressive disorder"),
    ("66214007", "Substance abuse"),
    ("72892002", "Normal pregnancy"),
)
_DRUGS: Final = (
    ("860975", "Metformin 500 mg tablet"),
    ("314076", "Lisinopril 10 mg tablet"),
    ("745679", "Albuterol inhaler"),
    ("310965", "Ibuprofen 200 mg tablet"),
    ("308136", "Amlodipine 2.5 mg tablet"),
)
_RESULTS: Final = (
    ("4548-4", "Haemoglobin A1c", "%", "%", 48, 92),
    ("2160-0", "Creatinine", "mg/dL", "mg/dL", 6, 14),
    ("718-7", "Haemoglobin", "g/dL", "g/dL", 115, 168),
    ("2339-0", "Glucose", "mg/dL", "mg/dL", 700, 1_600),
    ("8867-4", "Heart rate", "/min", "/min", 580, 960),
)
_VACCINES: Final = (("140", "Influenza, seasonal"), ("113", "Td adult"), ("33", "Pneumococcal"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One made-up patient and what each organisation recorded."""

    number: str
    """Made-up health number."""
    family: str
    given: str
    gender: str
    birth_date: str
    records: dict[str, list[JsonObject]] = field(default_factory=dict)
    """Organisation -> resources without id; the subject is written as `Patient/SELF`."""

    def patient(self) -> JsonObject:
        """The Patient resource."""
        return {
            "resourceType": "Patient",
            "identifier": [{"system": NUMBERS, "value": self.number}],
            "name": [{"use": "official", "family": self.family, "given": [self.given]}],
            "gender": self.gender,
            "birthDate": self.birth_date,
        }


def concept(system: str, code: str, display: str) -> JsonObject:
    """CodeableConcept with one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


SELF: Final = {"reference": "Patient/SELF"}


def allergy(code: str, display: str, date: str) -> JsonObject:
    """An active allergy."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": concept(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "Active"
        ),
        "verificationStatus": concept(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "confirmed", "Confirmed"
        ),
        "criticality": "high",
        "code": concept(SNOMED, code, display),
        "patient": dict(SELF),
        "recordedDate": date,
    }


def condition(code: str, display: str, date: str) -> JsonObject:
    """An active condition."""
    return {
        "resourceType": "Condition",
        "clinicalStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"
        ),
        "verificationStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "Confirmed"
        ),
        "code": concept(SNOMED, code, display),
        "subject": dict(SELF),
        "onsetDateTime": date,
    }


def medication(code: str, display: str, date: str) -> JsonObject:
    """A prescription."""
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(RXNORM, code, display),
        "subject": dict(SELF),
        "authoredOn": date,
    }


def result(code: str, display: str, value: str, unit: str, unit_code: str, date: str) -> JsonObject:
    """A laboratory result."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory")
        ],
        "code": concept(LOINC, code, display),
        "subject": dict(SELF),
        "effectiveDateTime": date,
        "valueQuantity": {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit_code},
    }


def immunization(code: str, display: str, date: str) -> JsonObject:
    """A vaccination."""
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": concept(CVX, code, display),
        "patient": dict(SELF),
        "occurrenceDateTime": date,
    }


def heroine() -> Person:
    """The patient that the story is about."""
    return Person(
        number="900-000-001",
        family="Sample1",
        given="Mira",
        gender="female",
        birth_date="1968-04-12",
        records={
            "hospital-a": [
                allergy("91936005", "Allergy to penicillin", "2021-06-03"),
                condition("44054006", "Type 2 diabetes mellitus", "2017-02-14"),
                condition("370143000", "Major depressive disorder", "2019-10-01"),
            ],
            "hospital-b": [
                result("4548-4", "Haemoglobin A1c", "6.80", "%", "%", "2026-11-12T09:15:00Z"),
                result("2160-0", "Creatinine", "0.9", "mg/dL", "mg/dL", "2026-11-12T09:15:00Z"),
            ],
            "practice": [
                medication("860975", "Metformin 500 mg tablet", "2024-05-20"),
                immunization("140", "Influenza, seasonal", "2026-10-07"),
            ],
        },
    )


def population(seed: int, count: int, organisations: tuple[str, ...]) -> Iterator[Person]:
    """Further patients, each with records at one to all organisations."""
    chance = random.Random(seed)
    for index in range(count):
        family = "".join(chance.choices(_SYLLABLES, k=2)).capitalize()
        given = "".join(chance.choices(_SYLLABLES, k=2)).capitalize()
        places = chance.sample(organisations, chance.randint(1, len(organisations)))
        yield Person(
            number=f"900-{index // 1_000:03d}-{index % 1_000 + 2:03d}",
            family=f"{family}{chance.randint(10, 99)}",
            given=f"{given}{chance.randint(10, 99)}",
            gender=chance.choice(("female", "male", "other")),
            birth_date=f"{chance.randint(1935, 2019)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}",
            records={place: _records(chance) for place in places},
        )


def _records(chance: random.Random) -> list[JsonObject]:
    records: list[JsonObject] = []
    for code, display in chance.sample(_CONDITIONS, chance.randint(0, 2)):
        records.append(condition(code, display, _date(chance)))
    for code, display in chance.sample(_DRUGS, chance.randint(0, 2)):
        records.append(medication(code, display, _date(chance)))
    for code, display, unit, unit_code, low, high in chance.sample(_RESULTS, chance.randint(2, 5)):
        value = chance.randint(low, high)
        records.append(
            result(
                code, display, f"{value // 10}.{value % 10}", unit, unit_code, _date(chance) + "T08:00:00Z"
            )
        )
    code, display = chance.choice(_VACCINES)
    records.append(immunization(code, display, _date(chance)))
    return records


def _date(chance: random.Random) -> str:
    return f"{chance.randint(2016, 2025)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
