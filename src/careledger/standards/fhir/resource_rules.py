"""Rules between elements of the resources a care ledger meets: FHIR R4's invariants of severity error.

Left out are those of resources that define others: profiles, test scripts, maps, capability statements. Rules of
bundles stand in ``bundle_rules``.
"""

from decimal import Decimal
from typing import cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.rules import (
    Rule,
    has_choice,
    has_element,
    is_coded,
    is_ordered,
    needs,
    not_both,
    one_of,
    some_of,
)

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_UCUM_PERCENT = ("http://unitsofmeasure.org", "%")
_LENGTH_TYPES = frozenset(("boolean", "decimal", "integer", "string", "text", "url", "open-choice"))
_OPTION_TYPES = frozenset(
    ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
)


def check_observation(value: JsonObject) -> str | None:
    """obs-6, obs-7: a value excludes a reason for its absence, and a component with the observation's own code."""
    if not has_choice(value, "value"):
        return None
    if "dataAbsentReason" in value:
        return "a value excludes a reason for its absence (obs-6)"
    components = value.get("component")
    if isinstance(components, list):
        own = _list_codings(value.get("code"))
        if any(not own.isdisjoint(_list_codings(component.get("code"))) for component in components):
            return "a component repeats the code that has a value (obs-7)"
    return None


def _list_codings(concept: Json) -> set[tuple[Json, Json]]:
    """Return the (system, code) pairs of a CodeableConcept."""
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return {(coding.get("system"), coding.get("code")) for coding in codings if "code" in coding}


def check_allergy(value: JsonObject) -> str | None:
    """ait-1, ait-2: the clinical status is given unless the entry was an error, and then it is not."""
    system = _TERMINOLOGY + "allergyintolerance-verification"
    is_error = is_coded(value.get("verificationStatus"), system, "entered-in-error")
    if is_error == ("clinicalStatus" in value):
        return "clinicalStatus is needed unless entered in error (ait-1, ait-2)"
    return None


def check_condition(value: JsonObject) -> str | None:
    """con-4, con-5: an abated condition is not active; one entered in error has no clinical status."""
    status = value.get("clinicalStatus")
    is_over = is_coded(status, _TERMINOLOGY + "condition-clinical", "resolved", "remission", "inactive")
    if has_choice(value, "abatement") and not is_over:
        return "an abated condition must be resolved, in remission or inactive (con-4)"
    is_error = is_coded(
        value.get("verificationStatus"), _TERMINOLOGY + "condition-ver-status", "entered-in-error"
    )
    return "entered in error excludes a clinical status (con-5)" if is_error and status is not None else None


def check_appointment(value: JsonObject) -> str | None:
    """app-2, app-3, app-4: start and end come together, are needed once booked; a reason needs a cancellation."""
    if ("start" in value) != ("end" in value):
        return "start and end come together (app-2)"
    status = value.get("status")
    if "start" not in value and status not in ("proposed", "cancelled", "waitlist"):
        return "start and end are needed for this status (app-3)"
    if "cancelationReason" in value and status not in ("noshow", "cancelled"):
        return "a cancellation reason needs a cancellation (app-4)"
    return None


def check_family_history(value: JsonObject) -> str | None:
    """fhs-1, fhs-2: age excludes birth; estimated needs an age."""
    has_age = has_choice(value, "age")
    if has_age and has_choice(value, "born"):
        return "age and birth exclude each other (fhs-1)"
    return "estimatedAge needs an age (fhs-2)" if "estimatedAge" in value and not has_age else None


def check_dispense(value: JsonObject) -> str | None:
    """mdd-1: nothing is handed over before it is prepared."""
    in_order = is_ordered(value.get("whenPrepared"), value.get("whenHandedOver"))
    return None if in_order else "handed over before it was prepared (mdd-1)"


def check_task(value: JsonObject) -> str | None:
    """inv-1: a task is not modified before it is written."""
    in_order = is_ordered(value.get("authoredOn"), value.get("lastModified"))
    return None if in_order else "modified before it was authored (inv-1)"


def check_parameter(value: JsonObject) -> str | None:
    """inv-1: a parameter has a value, a resource or parts, and only one of these."""
    count = ("part" in value) + ("resource" in value) + has_choice(value, "value")
    return None if count == 1 else "needs exactly one of value, resource and part (inv-1)"


def check_group(value: JsonObject) -> str | None:
    """grp-1: only a group of actual things lists members."""
    return (
        "only an actual group has members (grp-1)"
        if "member" in value and value.get("actual") is not True
        else None
    )


def check_list(value: JsonObject) -> str | None:
    """lst-1 to lst-3: an empty list has no entries; deleted and date depend on the mode."""
    entries = [entry for entry in cast("list[Json]", value.get("entry", [])) if isinstance(entry, dict)]
    if "emptyReason" in value and entries:
        return "a reason for emptiness excludes entries (lst-1)"
    mode = value.get("mode")
    if mode != "changes" and any("deleted" in entry for entry in entries):
        return "only a list of changes has deleted entries (lst-2)"
    if mode != "working" and any("date" in entry for entry in entries):
        return "only a working list has dates (lst-3)"
    return None


def check_organization(value: JsonObject) -> str | None:
    """org-1 to org-3: an organisation has an identifier or a name, and no home."""
    if not has_element(value, "identifier") and not has_element(value, "name"):
        return "needs an identifier or a name (org-1)"
    contacts = [*cast("list[Json]", value.get("address", [])), *cast("list[Json]", value.get("telecom", []))]
    if any(isinstance(contact, dict) and contact.get("use") == "home" for contact in contacts):
        return "an organisation has no home (org-2, org-3)"
    return None


def check_consent(value: JsonObject) -> str | None:
    """ppc-1: a consent names a policy or a policy rule."""
    return None if "policy" in value or "policyRule" in value else "needs a policy or a policyRule (ppc-1)"


def check_questionnaire_item(value: JsonObject) -> str | None:
    """que-1, que-3 to que-13: what an item may hold depends on its type."""
    kind = value.get("type")
    if (kind == "group") > ("item" in value) or (kind == "display" and "item" in value):
        return "a group needs items, a display has none (que-1)"
    if kind == "display" and not value.keys().isdisjoint(("code", "required", "repeats", "readOnly")):
        return "a display has no code and no answers (que-3, que-6, que-9)"
    if kind in ("group", "display") and "initial" in value:
        return "a group or display has no initial value (que-8)"
    if kind not in _OPTION_TYPES and not value.keys().isdisjoint(("answerOption", "answerValueSet")):
        return "the type has no answer options (que-5)"
    if kind not in _LENGTH_TYPES and "maxLength" in value:
        return "the type has no length (que-10)"
    initial = value.get("initial")
    if isinstance(initial, list) and len(initial) > 1 and value.get("repeats") is not True:
        return "several initial values need repeats (que-13)"
    conditions = value.get("enableWhen")
    if isinstance(conditions, list) and len(conditions) > 2 and "enableBehavior" not in value:
        return "several conditions need an enableBehavior (que-12)"
    return None


def check_questionnaire(value: JsonObject) -> str | None:
    """que-2: every linkId is unique in the questionnaire."""
    seen: set[str] = set()
    waiting = [cast("Json", value)]
    while waiting:
        group = waiting.pop()
        items = group.get("item", []) if isinstance(group, dict) else []
        for item in items:
            link_id = item.get("linkId")
            if link_id in seen:
                return "a linkId occurs twice (que-2)"
            seen.add(link_id)
            waiting.append(item)
    return None


def check_prediction(value: JsonObject) -> str | None:
    """ras-1, ras-2: a probability is in percent and at most 100."""
    probability = value.get("probabilityDecimal")
    if isinstance(probability, int | Decimal):
        return "a probability is at most 100 (ras-2)" if probability > 100 else None
    ends = value.get("probabilityRange")
    for end in (ends.get("low"), ends.get("high")) if isinstance(ends, dict) else ():
        if isinstance(end, dict) and (end.get("system"), end.get("code")) != _UCUM_PERCENT:
            return "a range of probability is in percent (ras-1)"
    return None


def check_target(value: JsonObject) -> str | None:
    """gol-1: a target's detail needs a measure."""
    return (
        "a detail needs a measure (gol-1)" if has_choice(value, "detail") and "measure" not in value else None
    )


def check_linkage(value: JsonObject) -> str | None:
    """lnk-1: a linkage links at least two."""
    items = value.get("item")
    return None if isinstance(items, list) and len(items) > 1 else "needs two items (lnk-1)"


def check_dosage(value: JsonObject) -> str | None:
    """mad-1: an administered dosage has a dose or a rate."""
    return None if "dose" in value or has_choice(value, "rate") else "needs a dose or a rate (mad-1)"


RESOURCE_RULES: dict[str, tuple[Rule, ...]] = {
    "AllergyIntolerance": (check_allergy,),
    "Appointment": (check_appointment,),
    "Appointment.participant": (some_of("needs a type or an actor (app-1)", "type", "actor"),),
    "AppointmentResponse": (
        some_of("needs a participantType or an actor (apr-1)", "participantType", "actor"),
    ),
    "AuditEvent.entity": (not_both("name and query exclude each other (sev-1)", "name", "query"),),
    "CarePlan.activity": (
        not_both("detail and reference exclude each other (cpl-3)", "detail", "reference"),
    ),
    "Composition.section": (
        some_of("needs text, entries or sections (cmp-1)", "text", "entry", "section"),
        not_both("a reason for emptiness excludes entries (cmp-2)", "emptyReason", "entry"),
    ),
    "Condition": (check_condition,),
    "Condition.evidence": (some_of("needs a code or a detail (con-2)", "code", "detail"),),
    "Condition.stage": (some_of("needs a summary or an assessment (con-1)", "summary", "assessment"),),
    "Consent": (check_consent,),
    "CoverageEligibilityResponse.insurance.item": (
        one_of("needs a category or a productOrService (ces-1)", "category", "productOrService"),
    ),
    "FamilyMemberHistory": (check_family_history,),
    "Goal.target": (check_target,),
    "Group": (check_group,),
    "Immunization.education": (
        some_of("needs a documentType or a reference (imm-1)", "documentType", "reference"),
    ),
    "ImmunizationRecommendation.recommendation": (
        some_of("needs a vaccineCode or a targetDisease (imr-1)", "vaccineCode", "targetDisease"),
    ),
    "InsurancePlan": (some_of("needs an identifier or a name (ipn-1)", "identifier", "name"),),
    "Linkage": (check_linkage,),
    "List": (check_list,),
    "MedicationAdministration.dosage": (check_dosage,),
    "MedicationDispense": (check_dispense,),
    "Observation": (check_observation,),
    "Observation.referenceRange": (some_of("needs low, high or text (obs-3)", "low", "high", "text"),),
    "Organization": (check_organization,),
    "Parameters.parameter": (check_parameter,),
    "Patient.contact": (
        some_of(
            "needs a name, telecom, address or organization (pat-1)",
            "name",
            "telecom",
            "address",
            "organization",
        ),
    ),
    "Questionnaire": (check_questionnaire,),
    "Questionnaire.item": (
        check_questionnaire_item,
        not_both(
            "answerOption and answerValueSet exclude each other (que-4)", "answerOption", "answerValueSet"
        ),
        not_both("answerOption and initial exclude each other (que-11)", "answerOption", "initial"),
    ),
    "QuestionnaireResponse.item": (not_both("answer and item exclude each other (qrs-1)", "answer", "item"),),
    "RequestGroup.action": (one_of("needs a resource or an action (rqg-1)", "resource", "action"),),
    "RiskAssessment.prediction": (check_prediction,),
    "SearchParameter": (needs("an xpath needs its usage (spd-1)", "xpath", "xpathUsage"),),
    "ServiceRequest": (needs("order details need a code (prr-1)", "orderDetail", "code"),),
    "Task": (check_task,),
}
"""Per resource or backbone type, its rules."""
