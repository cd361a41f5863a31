"""Codes that consents are written in, as facts of HL7 terminology, and what they mean here.

Owns three mappings: sensitivity labels to compartments, purposes to the purposes they include, and how an
organisation is named in a Consent. Knows no Consent's structure.
"""

from __future__ import annotations

from typing import Final

from careledger.domains.records.service.compartments import COMPARTMENTS, RESTRICTED, Compartment

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
ORGANISATION_SYSTEM: Final = "urn:careledger:organisation"
"""System of the identifier by which a Consent names an organisation on the ledger; the value is its short name."""

TREATMENT: Final = "TREAT"
EMERGENCY: Final = "ETREAT"
BREAK_GLASS: Final = "BTG"
LEGAL_PURPOSES: Final = frozenset({"HLEGAL", "LEGAL"})
"""42 CFR 2.12(d): substance use records are not for use against the patient, whatever else is agreed."""

ANY_PURPOSE: Final = "*"

_INCLUDED_IN: Final = {
    # v3-ActReason: each code under the broader one
    "CAREMGT": TREATMENT,
    "CLINTRCH": "HRESCH",
    "CLINTRCHPC": "CLINTRCH",
    "COC": TREATMENT,
    EMERGENCY: TREATMENT,
    "POPHLTH": TREATMENT,
    "PHYRCV": TREATMENT,
    "CLMATTCH": "HPAYMT",
    "COVAUTH": "HPAYMT",
    "COVERAGE": "HPAYMT",
    "REMITADV": "HPAYMT",
    "HDM": "HOPERAT",
    "HQUALIMP": "HOPERAT",
    "PATADMIN": "HOPERAT",
    "PATSFTY": "HOPERAT",
}

SENSITIVITY: Final[dict[tuple[str, str], Compartment]] = {
    (ACT_CODE, "ETH"): Compartment.SUBSTANCE_USE,
    (ACT_CODE, "SUD"): Compartment.SUBSTANCE_USE,
    (ACT_CODE, "42CFRPart2"): Compartment.SUBSTANCE_USE,
    (ACT_CODE, "PSY"): Compartment.MENTAL_HEALTH,
    (ACT_CODE, "MH"): Compartment.MENTAL_HEALTH,
    (ACT_CODE, "BH"): Compartment.MENTAL_HEALTH,
    (ACT_CODE, "SEX"): Compartment.SEXUAL_REPRODUCTIVE,
    (ACT_CODE, "STD"): Compartment.SEXUAL_REPRODUCTIVE,
    (ACT_CODE, "HIV"): Compartment.HIV,
    (ACT_CODE, "GDIS"): Compartment.GENETICS,
    (ACT_CODE, "SDV"): Compartment.VIOLENCE,
    (ACT_CODE, "VIO"): Compartment.VIOLENCE,
}
PSYCHOTHERAPY_NOTE: Final = (ACT_CODE, "PSYTHPN")
"""Label of notes that no break-glass and no grant opens (45 CFR 164.508(a)(2))."""

PART_2_LABEL: Final = (ACT_CODE, "42CFRPart2")
NO_REDISCLOSURE_LABEL: Final = (ACT_CODE, "NORDSCLCD")
LABEL_OF: Final[dict[Compartment, tuple[str, str]]] = {
    Compartment.NORMAL: (CONFIDENTIALITY, "N"),
    Compartment.MENTAL_HEALTH: (ACT_CODE, "PSY"),
    Compartment.SUBSTANCE_USE: (ACT_CODE, "ETH"),
    Compartment.SEXUAL_REPRODUCTIVE: (ACT_CODE, "SEX"),
    Compartment.HIV: (ACT_CODE, "HIV"),
    Compartment.GENETICS: (ACT_CODE, "GDIS"),
    Compartment.VIOLENCE: (ACT_CODE, "SDV"),
}
"""Security label that a disclosed entry of a compartment carries."""


def purpose_covers(allowed: str, asked: str) -> bool:
    """Whether a rule for one purpose is also one for another, which it includes."""
    current: str | None = asked
    while current is not None:
        if allowed in (ANY_PURPOSE, current):
            return True
        current = _INCLUDED_IN.get(current)
    return False


def compartments_of_label(system: str, code: str, *, is_permit: bool) -> frozenset[Compartment] | None:
    """Compartments whose records carry a label; None for a label that is not known.

    `R` (restricted) stands for all restricted compartments, but permits no substance use records: those a
    consent must name (42 CFR 2.31).
    """
    found = SENSITIVITY.get((system, code))
    if found is not None:
        return frozenset({found})
    if (system, code) == (CONFIDENTIALITY, "N"):
        return frozenset({Compartment.NORMAL})
    if (system, code) == (CONFIDENTIALITY, "R"):
        return RESTRICTED - {Compartment.SUBSTANCE_USE} if is_permit else RESTRICTED
    return None


def default_compartments(*, is_permit: bool) -> frozenset[Compartment]:
    """Compartments of a rule without labels: a permission is for normal records only, a denial is for all.

    FHIR leaves open what silence about sensitive records means; here they are shared only where they are named.
    """
    return frozenset({Compartment.NORMAL}) if is_permit else frozenset(COMPARTMENTS)
