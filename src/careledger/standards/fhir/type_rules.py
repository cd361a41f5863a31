"""Rules between elements of FHIR R4's data types: every invariant of severity error that a value can break.

Those of ElementDefinition are left out: they concern authors of profiles.
"""

from decimal import Decimal
from typing import cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.rules import Rule, has_choice, is_ordered, needs, not_both, one_of, some_of

UCUM = "http://unitsofmeasure.org"
_MEALS = frozenset(("C", "CM", "CD", "CV"))


def check_period(value: JsonObject) -> str | None:
    """per-1: a period does not end before it starts."""
    return None if is_ordered(value.get("start"), value.get("end")) else "ends before it starts (per-1)"


def check_range(value: JsonObject) -> str | None:
    """rng-2: the low end of a range is not above the high end, where their units can be compared."""
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict) or low.get("code") != high.get("code"):
        return None
    if low.get("system") != high.get("system") or low.get("unit") != high.get("unit"):
        return None
    first, last = low.get("value"), high.get("value")
    if isinstance(first, int | Decimal) and isinstance(last, int | Decimal) and first > last:
        return "low is above high (rng-2)"
    return None


def check_ratio(value: JsonObject) -> str | None:
    """rat-1: numerator and denominator come together, or there is an extension instead."""
    is_whole = "numerator" in value and "denominator" in value
    is_absent = "numerator" not in value and "denominator" not in value
    if is_whole or (is_absent and "extension" in value):
        return None
    return "needs numerator and denominator (rat-1)"


def check_extension(value: JsonObject) -> str | None:
    """ext-1: an extension has either a value or extensions of its own."""
    if ("extension" in value) == has_choice({key.lstrip("_"): None for key in value}, "value"):
        return "needs either a value or extensions, not both (ext-1)"
    return None


def check_duration(value: JsonObject) -> str | None:
    """drt-1: a coded duration is in UCUM and has a value."""
    if "code" in value and (value.get("system") != UCUM or "value" not in value):
        return "a coded duration needs a value in UCUM (drt-1)"
    return None


def check_age(value: JsonObject) -> str | None:
    """age-1: an age is coded in UCUM and above zero."""
    amount = value.get("value")
    if "value" in value and "code" not in value:
        return "a value needs a code (age-1)"
    if value.get("system", UCUM) != UCUM:
        return "must be in UCUM (age-1)"
    return "must be above zero (age-1)" if isinstance(amount, int | Decimal) and amount <= 0 else None


def check_repeat(value: JsonObject) -> str | None:
    """tim-4, tim-5, tim-9: amounts of time are not negative; an offset needs an event other than a meal."""
    for name in ("duration", "period"):
        amount = value.get(name)
        if isinstance(amount, int | Decimal) and amount < 0:
            return "an amount of time must not be negative (tim-4, tim-5)"
    if "offset" in value:
        when = cast("list[Json]", value.get("when", []))
        if not when or not _MEALS.isdisjoint(code for code in when if isinstance(code, str)):
            return "an offset needs an event that is no meal (tim-9)"
    return None


def check_count(value: JsonObject) -> str | None:
    """cnt-3: a count is a whole number of UCUM's unit 1."""
    amount = value.get("value")
    if isinstance(amount, Decimal) and amount != amount.to_integral_value():
        return "a count must be a whole number (cnt-3)"
    if "value" in value and value.get("code") != "1":
        return "a count is coded as 1 (cnt-3)"
    return "must be in UCUM (cnt-3)" if value.get("system", UCUM) != UCUM else None


def check_distance(value: JsonObject) -> str | None:
    """dis-1: a distance with a value is coded in UCUM."""
    if "value" in value and "code" not in value:
        return "a value needs a code (dis-1)"
    return "must be in UCUM (dis-1)" if value.get("system", UCUM) != UCUM else None


def check_trigger(value: JsonObject) -> str | None:
    """trd-3: the kind of a trigger decides what it needs."""
    kind = value.get("type")
    if kind == "named-event" and "name" not in value:
        return "a named event needs a name (trd-3)"
    if kind == "periodic" and not has_choice(value, "timing"):
        return "a periodic trigger needs a timing (trd-3)"
    if isinstance(kind, str) and kind.startswith("data-") and "data" not in value:
        return "a data trigger needs data (trd-3)"
    return None


TYPE_RULES: dict[str, tuple[Rule, ...]] = {
    "Age": (check_age,),
    "Attachment": (needs("data needs a contentType (att-1)", "data", "contentType"),),
    "ContactPoint": (needs("a value needs a system (cpt-2)", "value", "system"),),
    "Count": (check_count,),
    "DataRequirement.codeFilter": (one_of("needs a path or a searchParam (drq-1)", "path", "searchParam"),),
    "DataRequirement.dateFilter": (one_of("needs a path or a searchParam (drq-2)", "path", "searchParam"),),
    "Distance": (check_distance,),
    "Duration": (check_duration,),
    "Expression": (some_of("needs an expression or a reference (exp-1)", "expression", "reference"),),
    "Extension": (check_extension,),
    "Period": (check_period,),
    "Quantity": (needs("a code needs a system (qty-3)", "code", "system"),),
    "Range": (check_range,),
    "Ratio": (check_ratio,),
    "Timing.repeat": (
        needs("a duration needs a unit (tim-1)", "duration", "durationUnit"),
        needs("a period needs a unit (tim-2)", "period", "periodUnit"),
        needs("periodMax needs a period (tim-6)", "periodMax", "period"),
        needs("durationMax needs a duration (tim-7)", "durationMax", "duration"),
        needs("countMax needs a count (tim-8)", "countMax", "count"),
        not_both("timeOfDay and when exclude each other (tim-10)", "timeOfDay", "when"),
        check_repeat,
    ),
    "TriggerDefinition": (check_trigger, needs("a condition needs data (trd-2)", "condition", "data")),
}
"""Per data type, its rules."""
