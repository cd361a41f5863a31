"""Random searches over the worlds of the differential tests, and their spelling in a request."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from domains.records.index.search_naive import (
    COMPOSITES,
    OWN_BASE,
    PARAMETERS,
    TARGETS,
    AnyCondition,
    Chained,
    Condition,
    Reversed,
)
from domains.records.index.search_worlds import (
    CODES,
    DATES,
    DISPLAYS,
    ENCOUNTERS,
    FOREIGN,
    NAMES,
    NUMBERS,
    OBSERVATIONS,
    ORGANISATIONS,
    PATIENTS,
    SYSTEMS,
    URLS,
)

PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MODIFIERS = {
    "token": ("", "", "", "not", "text", "missing"),
    "string": ("", "", "exact", "contains", "missing"),
    "phonetic": ("", "missing"),
    "date": ("", "", "", "missing"),
    "number": ("", "", "", "missing"),
    "quantity": ("", "", "", "missing"),
    "reference": ("", "", "", "identifier", "missing"),
    "uri": ("", "below", "above", "missing"),
    "special": ("", "missing"),
}
CHAINS = (
    ("Observation", "subject", "Patient"),
    ("Observation", "patient", "Patient"),
    ("Observation", "encounter", "Encounter"),
    ("Observation", "has-member", "Observation"),
    ("Encounter", "subject", "Patient"),
    ("Encounter", "service-provider", "Organization"),
    ("Patient", "organization", "Organization"),
    ("Organization", "partof", "Organization"),
)
GENDERS = ("male", "female")
OWN_CODES = {
    "gender": (("http://hl7.org/fhir/administrative-gender", ""), GENDERS),
    "status": (("http://hl7.org/fhir/observation-status", ""), ("final", "amended", "finished")),
    "active": (("",), ("true", "false")),
    "deceased": (("",), ("true", "false")),
    "identifier": (("urn:local", "urn:mrn", ""), ("1", "2", "3")),
    "email": (("",), ("a@b", "1")),
    "telecom": (("",), ("a@b", "1")),
}


def token_parts(code: str) -> st.SearchStrategy[tuple[str, ...]]:
    systems, codes = OWN_CODES.get(code, (SYSTEMS, CODES))
    return st.one_of(
        st.sampled_from(codes).map(lambda text: (text,)),
        st.tuples(st.sampled_from(systems), st.sampled_from(codes)),
        st.sampled_from([system for system in systems if system] or ["urn:none"]).map(
            lambda text: (text, "")
        ),
    )


def prefixed(texts: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(PREFIXES), st.sampled_from(texts)).map("".join)


quantity_parts = st.one_of(
    prefixed(NUMBERS).map(lambda text: (text,)),
    st.tuples(
        prefixed(NUMBERS),
        st.sampled_from(["http://unitsofmeasure.org", "urn:local", ""]),
        st.sampled_from(["mg", "kg", "milligram", ""]),
    ),
)
PATIENT_TEXTS = (
    *PATIENTS,
    *(f"Patient/{name}" for name in PATIENTS),
    f"{OWN_BASE}Patient/p0",
    FOREIGN,
    "Patient/p1/_history/1",
)
REFERENCE_TEXTS = {
    "organization": (*ORGANISATIONS, "Organization/g0"),
    "service-provider": (*ORGANISATIONS, "Organization/g0"),
    "partof": (*ORGANISATIONS, "Organization/g0"),
    "encounter": (*ENCOUNTERS, "Encounter/e0"),
    "has-member": (*OBSERVATIONS, "Observation/o0"),
}


def parts_of(kind: str, code: str, modifier: str) -> st.SearchStrategy[tuple[str, ...]]:
    if modifier == "missing":
        return st.sampled_from([("true",), ("false",)])
    if modifier == "text":
        return st.sampled_from([("alpha",), ("ALPHA B",), ("beta",), ("rec",), ("Béta  x",)])
    if modifier == "identifier":
        return token_parts("identifier")
    if modifier == "of-type":
        return st.tuples(
            st.sampled_from([system for system in SYSTEMS if system]),
            st.sampled_from(CODES),
            st.sampled_from(["1", "2"]),
        )
    if kind == "token":
        return token_parts(code)
    if kind in {"string", "phonetic"}:
        return st.sampled_from([*NAMES, "an", "WEIS", "B", "er", "kol", "ö"]).map(lambda text: (text,))
    if kind == "date":
        return prefixed(DATES).map(lambda text: (text,))
    if kind == "number":
        return prefixed(NUMBERS).map(lambda text: (text,))
    if kind == "quantity":
        return quantity_parts
    if kind == "reference":
        return st.sampled_from(REFERENCE_TEXTS.get(code, PATIENT_TEXTS)).map(lambda text: (text,))
    if kind == "special":
        return st.sampled_from(
            [
                ("50", "7", "1", "km"),
                ("50", "7", "2", "km"),
                ("0", "-180", "1", "km"),
                ("-90", "0", "5", "km"),
            ]
        )
    return st.sampled_from([*URLS, "http://x.org/fhir/"]).map(lambda text: (text,))


@st.composite
def plain_conditions(draw: st.DrawFn, resource_type: str) -> Condition:
    known = PARAMETERS[resource_type]
    composites = COMPOSITES.get(resource_type, {})
    code = draw(st.sampled_from([*known, *composites, "_id"]))
    if code == "_id":
        ids = st.sampled_from([*PATIENTS, *OBSERVATIONS, *ENCOUNTERS]).map(lambda text: (text,))
        return Condition(
            "_id", draw(st.sampled_from(["", "not"])), tuple(draw(st.lists(ids, min_size=1, max_size=3)))
        )
    if code in composites:
        pair = st.builds(
            lambda token, quantity: (*token, "$", *quantity), token_parts("code"), quantity_parts
        )
        return Condition(code, "", tuple(draw(st.lists(pair, min_size=1, max_size=2))))
    kind, _ = known[code]
    modifier = draw(st.sampled_from(MODIFIERS[kind]))
    if code == "identifier" and draw(st.booleans()):
        modifier = "of-type"
    if kind == "reference" and not modifier and code == "subject" and draw(st.booleans()):
        modifier = "Patient"
    count = 1 if modifier == "missing" else 2
    values = draw(st.lists(parts_of(kind, code, modifier), min_size=1, max_size=count))
    if modifier == "Patient":
        values = [parts for parts in values if "/" not in parts[0]] or [("p0",)]
    return Condition(code, modifier, tuple(values))


@st.composite
def any_conditions(draw: st.DrawFn, resource_type: str, depth: int = 2) -> AnyCondition:
    chains = [chain for chain in CHAINS if chain[0] == resource_type]
    reverse = [chain for chain in CHAINS if chain[2] == resource_type]
    pick = draw(st.integers(0, 5)) if depth else 0
    if pick == 1 and chains:
        _, code, target = draw(st.sampled_from(chains))
        return Chained(code, target, draw(any_conditions(target, depth - 1)))
    if pick == 2 and reverse:
        source, code, _ = draw(st.sampled_from(reverse))
        return Reversed(source, code, draw(any_conditions(source, depth - 1)))
    return draw(plain_conditions(resource_type))


def escape(text: str) -> str:
    return re.sub(r"([\\,|$])", r"\\\1", text)


def spell_value(values: tuple[str, ...]) -> str:
    if "$" in values:
        split = values.index("$")
        return f"{spell_value(values[:split])}${spell_value(values[split + 1 :])}"
    return "|".join(escape(part) for part in values)


def spell(condition: AnyCondition) -> tuple[str, str]:
    """Name and value of a condition in a request."""
    if isinstance(condition, Chained):
        name, value = spell(condition.inner)
        return f"{condition.code}:{condition.target}.{name}", value
    if isinstance(condition, Reversed):
        name, value = spell(condition.inner)
        return f"_has:{condition.source}:{condition.code}:{name}", value
    name = f"{condition.code}:{condition.modifier}" if condition.modifier else condition.code
    return name, ",".join(spell_value(parts) for parts in condition.values)


SEARCHED = tuple(PARAMETERS)
"""Resource types searched."""
assert set(TARGETS) >= {code for _, code, _ in CHAINS}
assert "" in DISPLAYS
