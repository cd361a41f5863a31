"""The sensitivity rule table: which compartment a resource belongs to, decided when it is written.

Sources' data carry no labels, so codes decide: explicit security labels first (HL7 ActCode), then codes of
diagnoses, procedures, results and drugs. The table is versioned; a later table relabels by new versions in a
new epoch, never silently. What no rule knows is normal: a rule that is missing here discloses too much, which
is why sites extend the table (`docs/adr`), and why grants name compartments.

Codes are facts of SNOMED CT, LOINC, RxNorm, ICD-10 and HL7; no descriptions are carried over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.standards.fhir.json_types import JsonObject

RULES_VERSION: Final = 1

_SNOMED: Final = "http://snomed.info/sct"
_LOINC: Final = "http://loinc.org"
_RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ICD_10: Final = frozenset(("http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"))

_LABELS: Final = {
    "ETH": Compartment.SUBSTANCE_USE,
    "SUD": Compartment.SUBSTANCE_USE,
    "PSY": Compartment.MENTAL_HEALTH,
    "MH": Compartment.MENTAL_HEALTH,
    "BH": Compartment.MENTAL_HEALTH,
    "PSYTHPN": Compartment.MENTAL_HEALTH,
    "SEX": Compartment.SEXUAL_REPRODUCTIVE,
    "STD": Compartment.SEXUAL_REPRODUCTIVE,
    "HIV": Compartment.HIV,
    "GDIS": Compartment.GENETICS,
    "SDV": Compartment.VIOLENCE,
    "VIO": Compartment.VIOLENCE,
}

_BY_COMPARTMENT: Final[dict[Compartment, dict[str, str]]] = {
    Compartment.MENTAL_HEALTH: {
        _SNOMED: "370143000 36923009 35489007 80583007 197480006 47505003 58214004 13746004 6471006 82313006 "
        "231504006 192080009 191736004 69322001 74732009 710841007 228557008 866148006 370221004",
        _LOINC: "44249-1 55758-7 69737-5 70274-6 89204-2 73831-0 71354-5",
        _RXNORM: "32937 36437 4493 35636 51272 46303 6448 2626 5093",
    },
    Compartment.SUBSTANCE_USE: {
        _SNOMED: "66214007 5602001 7200002 55680006 6525002 191816009 428493005 724656008 361055000 15167005 "
        "56294008 313071005 266707007 386449006 182969009 707166002",
        _LOINC: "82667-7 72109-2 75626-2 82666-9 3426-4 82810-3",
        _RXNORM: "6813 1819 7243 3554 1010600 1012382 1049640 1488634 7242",
    },
    Compartment.SEXUAL_REPRODUCTIVE: {
        _SNOMED: "72892002 19169002 79586000 57797005 386639001 169553002 240589008 15628003 76272004 22033007 "
        "417364008 56165001 35999006 156073000 47200007 398254007 169449000 65200003 287664005 428251000124104",
        _LOINC: "2106-3 2118-8 21613-5 24111-7 20507-0",
        _RXNORM: "748856 748962 751905 807283 831533 1359133 748879",
    },
    Compartment.HIV: {
        _SNOMED: "86406008 62479008 165816005 91947003 402901009 31676001 171121004",
        _LOINC: "75622-1 25836-8 20447-9 7917-8 68961-2 56888-1 57975-5",
        _RXNORM: "276237 300195 324913 1999673 1486838 68244 190521",
    },
    Compartment.GENETICS: {
        _SNOMED: "412734009 412738007 405824009 405823003 15238009 400157002",
        _LOINC: "81247-9 51969-4 55232-3 48018-6 69548-6 53037-8 81252-9 21636-6 21639-0",
    },
    Compartment.VIOLENCE: {
        _SNOMED: "706893006 371422002 95930005 288292000 213014005 248110007 225827008 397940009 371775004",
        _LOINC: "76499-3 76500-8 76501-6 93038-8",
    },
}

_CODES: Final = {
    (system, code): compartment
    for compartment, systems in _BY_COMPARTMENT.items()
    for system, codes in systems.items()
    for code in codes.split()
}

_ICD_10_PREFIXES: Final = (
    *((f"F1{digit}", Compartment.SUBSTANCE_USE) for digit in range(10)),
    ("F", Compartment.MENTAL_HEALTH),
    *((f"B2{digit}", Compartment.HIV) for digit in range(5)),
    ("Z21", Compartment.HIV),
    *((f"A{number}", Compartment.SEXUAL_REPRODUCTIVE) for number in range(50, 65)),
    ("O", Compartment.SEXUAL_REPRODUCTIVE),
    *((f"Z3{digit}", Compartment.SEXUAL_REPRODUCTIVE) for digit in range(10)),
    ("T74", Compartment.VIOLENCE),
    ("T76", Compartment.VIOLENCE),
    ("Y07", Compartment.VIOLENCE),
    ("Z15", Compartment.GENETICS),
)

_CODED: Final = (
    "code",
    "category",
    "medicationCodeableConcept",
    "reasonCode",
    "vaccineCode",
    "type",
    "diagnosis",
    "productOrService",
    "item",
)
_DEPTH_MAX: Final = 4


_KNOWN: Final = frozenset(code.encode() for _, code in _CODES)
_QUOTED_CODE: Final = re.compile(rb'"([0-9][0-9-]{3,17})"')
_NEEDS_A_LOOK: Final = re.compile(rb"\\|v3-ActCode|/icd-10")


def has_no_sensitive_code(raw: bytes) -> bool:
    """Whether JSON bytes can be seen at a glance to hold no code that a rule knows.

    A quick no is never wrong: an escape in the bytes, which could hide a code, or a system that is judged by
    prefixes, gives no quick answer.
    """
    return _NEEDS_A_LOOK.search(raw) is None and _KNOWN.isdisjoint(_QUOTED_CODE.findall(raw))


def choose_compartment(resource_type: str, value: JsonObject, raw: bytes = b"") -> Compartment:
    """Compartment of a resource: its labels' if it has any, else that of the first code a rule knows.

    Where several rules apply, the one with the highest number wins; a patient's demographics are normal.

    Args:
        resource_type: type of the resource.
        value: the resource.
        raw: the JSON bytes the value was read from, where they are at hand: most resources need no closer look.
    """
    if resource_type == "Patient" or (raw and has_no_sensitive_code(raw)):
        return Compartment.NORMAL
    chosen = Compartment.NORMAL
    meta = value.get("meta")
    if isinstance(meta, dict):
        for coding in _list(meta.get("security")):
            if isinstance(coding, dict) and coding.get("system") == _ACT_CODE:
                chosen = max(chosen, _LABELS.get(str(coding.get("code")), Compartment.NORMAL))
    if chosen is not Compartment.NORMAL:
        return chosen
    for name in _CODED:
        item = value.get(name)
        if item is not None:
            for coding in _codings(item, _DEPTH_MAX):
                chosen = max(chosen, compartment_of_code(coding.get("system"), coding.get("code")))
    return chosen


def compartment_of_code(system: object, code: object) -> Compartment:
    """Compartment that one code asks for."""
    if not isinstance(system, str) or not isinstance(code, str):
        return Compartment.NORMAL
    found = _CODES.get((system, code))
    if found is not None:
        return found
    if system in _ICD_10:
        for prefix, compartment in _ICD_10_PREFIXES:
            if code.startswith(prefix):
                return compartment
    return Compartment.NORMAL


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _codings(item: object, depth: int) -> Iterator[JsonObject]:
    """Find codings in a concept, a list of them, or a backbone element that holds one."""
    if isinstance(item, list):
        for each in item:
            yield from _codings(each, depth)
    elif isinstance(item, dict):
        if "code" in item and "system" in item:
            yield item
        elif depth:
            for each in item.values():
                if isinstance(each, (dict, list)):
                    yield from _codings(each, depth - 1)
