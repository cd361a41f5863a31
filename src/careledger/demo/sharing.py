"""The part of the story between organisations: a grant, a read with proof, a snoop, a revocation, an emergency."""

from __future__ import annotations

from typing import Final

from careledger.demo.population import NUMBERS, heroine
from careledger.demo.stage import Stage, StoryBroken
from careledger.demo.story import Cast
from careledger.domains.records.service.agent.authority import ByPatient
from careledger.domains.records.service.agent.cell_work import HeldGrant
from careledger.domains.records.service.audit_events import Reader
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.consent.vocabulary import ORGANISATION_SYSTEM
from careledger.domains.records.service.exchange.emergency import Emergency
from careledger.domains.records.service.exchange.entries import VerifiedRead
from careledger.domains.records.service.exchange.messages import Demographics
from careledger.domains.records.service.exchange.reading import Question
from careledger.primitives.errors import CodedError
from careledger.standards.fhir.json_types import JsonObject

AUTHORITY: Final = ByPatient(name="Mira Sample1")
TREATMENT: Final = "TREAT"


def consent(patient_id: str, reader: str) -> JsonObject:
    """The patient's decision as a FHIR Consent: this organisation may read the normal record for treatment."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient_id}"},
        "dateTime": "2026-11-22",
        "policyRule": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]
        },
        "provision": {
            "type": "permit",
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": TREATMENT}],
            "actor": [
                {
                    "role": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                "code": "IRCP",
                            }
                        ]
                    },
                    "reference": {"identifier": {"system": ORGANISATION_SYSTEM, "value": reader}},
                }
            ],
        },
    }


async def grant(cast: Cast, custodian: str, reader: str) -> list[HeldGrant]:
    """Have the agent at a custodian turn a Consent into a grant."""
    patient_id = cast.patient_ids[custodian]
    policy = read_consent(consent(patient_id, reader), patient=f"Patient/{patient_id}")
    agent = cast.network.site(custodian).sharing.agent
    return await agent.grant(patient_id, custodian, policy, authority=AUTHORITY, recipients=[reader])


async def read(cast: Cast, reader: str, custodian: str, *, person: str) -> VerifiedRead:
    """Read at another organisation what a grant opens, every part of it verified here."""
    held = cast.network.site(custodian).sharing.custody.find_patient(cast.patient_ids[custodian])
    if held is None:
        raise StoryBroken(f"the patient has no cell at {custodian}")
    return await cast.network.site(reader).sharing.reader.read(
        Question(
            custodian=custodian,
            cell=held.cell,
            purpose=TREATMENT,
            reader=Reader(identifier=person, organisation=reader, role="clinician"),
            patient_id=cast.patient_ids.get(reader),
        )
    )


async def find_the_allergy(stage: Stage, cast: Cast) -> list[HeldGrant]:
    """An allergy recorded at one hospital is found at the other before a drug is prescribed."""
    with stage.step(
        "The allergy is found at the other hospital",
        who="Clinician at hospital-b:",
        stake="penicillin is about to be prescribed to somebody who must not have it.",
    ):
        grants = await grant(cast, "hospital-a", "hospital-b")
        stage.happened(
            "The patient allows hospital-b to read at hospital-a, for treatment. On the ledger this is one update "
            "of a consent cell, like any other."
        )
        found = await read(cast, "hospital-b", "hospital-a", person="dr-b")
        kinds = [entry.resource_type for entry in found.entries]
        stage.check("AllergyIntolerance" in kinds, "the allergy comes over")
        allergy = next(entry for entry in found.entries if entry.resource_type == "AllergyIntolerance")
        codes = (allergy.value or {}).get("code")
        stage.check("penicillin" in str(codes).lower(), "it is the allergy to penicillin")
        stage.check("370143000" not in str([entry.value for entry in found.entries]), "no restricted record")
        stage.happened(
            f"{len(found.entries)} records come over; among them an allergy to penicillin. Another drug is chosen."
        )
        stage.proved(
            f"Each is unaltered since its block (the allergy: block {allergy.height}), and they are complete as to "
            f"what hospital-a committed in what was shared. hospital-a logged the look before it answered."
        )
        stage.not_proved("That nothing was withheld in other compartments: other information may exist.")
        return grants


async def fill_the_form(stage: Stage, cast: Cast) -> None:
    """The intake form fills itself from what two organisations hold."""
    with stage.step(
        "The intake form fills itself",
        who="Patient at hospital-b's desk:",
        stake="the same questions, a tenth time, from memory.",
    ):
        await grant(cast, "practice", "hospital-b")
        reads = [
            await read(cast, "hospital-b", custodian, person="desk-b")
            for custodian in ("hospital-a", "practice")
        ]
        form = {
            name: [entry for found in reads for entry in found.entries if entry.resource_type == kind]
            for name, kind in (
                ("allergies", "AllergyIntolerance"),
                ("problems", "Condition"),
                ("medicines", "MedicationRequest"),
                ("vaccinations", "Immunization"),
            )
        }
        stage.check(all(form.values()), "every section has something")
        sections = ", ".join(f"{len(entries)} {name}" for name, entries in form.items())
        stage.happened(
            f"Name, birth date, {sections}: filled in from hospital-a and the practice, each with its source."
        )
        stage.proved("Every line leads to a commitment of the organisation that recorded it.")
        stage.not_proved("That the list is complete: other organisations and compartments may hold more.")


async def reuse_a_result(stage: Stage, cast: Cast) -> None:
    """A recent result is found, so a test is not repeated."""
    with stage.step(
        "A recent result is found, so the test is not repeated",
        who="Family practice:",
        stake="a second needle, a second bill.",
    ):
        await grant(cast, "hospital-b", "practice")
        found = await read(cast, "practice", "hospital-b", person="dr-practice")
        results = [
            entry.value or {}
            for entry in found.entries
            if entry.resource_type == "Observation" and "4548-4" in str((entry.value or {}).get("code"))
        ]
        stage.check(len(results) == 1, "the HbA1c result is found")
        stage.happened(
            "The practice finds the HbA1c of ten days ago at hospital-b and orders none of its own."
        )
        stage.proved("The number is the one that was committed then, to the last digit: 6.80 stays 6.80.")
        stage.check(b'"value":6.80' in _served(found, "4548-4"), "6.80 stays 6.80")
        stage.not_proved("That the laboratory measured well.")


def _served(found: VerifiedRead, code: str) -> bytes:
    for entry in found.entries:
        if code.encode() in entry.served:
            return entry.served
    raise StoryBroken("the result is not among what was read")


async def see_the_snoop_and_revoke(stage: Stage, cast: Cast, grants: list[HeldGrant]) -> None:
    """The patient sees who looked, finds a snooping login, and revokes."""
    with stage.step(
        "The patient sees who looked, and revokes",
        who="Patient:",
        stake="a neighbour works at hospital-b.",
    ):
        await read(cast, "hospital-b", "hospital-a", person="nosy-neighbour")
        sharing = cast.network.site("hospital-a").sharing
        report = await sharing.access_log.who_looked(cast.patient_ids["hospital-a"])
        seen = [str(look.event) for look in report.looks]
        stage.check(any("nosy-neighbour" in look for look in seen), "the snooping login is in the list")
        stage.happened(
            f"{len(report.looks)} looks are listed; one is by 'nosy-neighbour', who treats nobody."
        )
        stage.proved("Every entry shown matches the access log on the ledger, machine pulls included.")
        await sharing.agent.revoke(
            cast.patient_ids["hospital-a"],
            "hospital-a",
            [held.name for held in grants],
            authority=AUTHORITY,
        )
        try:
            await read(cast, "hospital-b", "hospital-a", person="nosy-neighbour")
        except CodedError as refusal:
            stage.check(refusal.code.slug == "NOT_GRANTED", f"refused with {refusal.code.name}")
        else:
            raise StoryBroken("a read after the revocation was answered")
        stage.happened("The patient revokes. The very next request is refused.")
        stage.proved("No further release: the keys are new, and the cell says so to everybody who asks.")
        stage.not_proved("That copies already opened are gone: they cannot be recalled.")


async def break_the_glass(stage: Stage, cast: Cast) -> None:
    """An unconscious patient is matched and read by break-glass, and later sees it."""
    with stage.step(
        "An unconscious patient is read by break-glass",
        who="Emergency clinician at the practice:",
        stake="no grant, no time, and a patient who cannot speak.",
    ):
        person = heroine()
        demographics = Demographics(
            family=person.family,
            given=(person.given,),
            birth_date=person.birth_date,
            gender=person.gender,
            postal_code="",
            city="",
            phone="",
            identifiers=((NUMBERS, person.number),),
        )
        outcome = await cast.network.site("practice").sharing.emergency_reader.break_glass(
            ["hospital-a", "hospital-b"],
            Emergency(
                demographics=demographics,
                practitioner="dr-practice",
                affiliation="the practice's emergency service",
                reason="found unconscious",
                is_bona_fide_emergency=True,
                nature="unconscious, cause unknown",
            ),
        )
        stage.check(outcome.opened, f"a hospital opens: {outcome.failed} {outcome.silent}")
        count = sum(len(found.entries) for found in outcome.opened)
        stage.happened(
            f"{len(outcome.opened)} hospitals are certain who it is and open {count} records, for four hours, "
            f"with the reason on file."
        )
        report = await cast.network.site("hospital-a").sharing.access_log.who_looked(
            cast.patient_ids["hospital-a"]
        )
        stage.check(any("dr-practice" in str(look.event) for look in report.looks), "the patient sees it")
        stage.proved(
            "The look was logged before any answer; the patient sees it, and a review waits at both sides."
        )
        stage.not_proved("That it was an emergency: that is for the review.")
