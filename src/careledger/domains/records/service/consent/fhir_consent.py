"""FHIR R4 Consent to a policy, refusing what cannot be enforced.

Follows IHE PCF: the root `provision` is the base rule and says `permit` or `deny`, its nested provisions are the
exceptions, one level deep. Everything in a provision is either understood or refused with its place; nothing is
left out silently, since a rule that is not read is a decision of the patient that is not kept.

Does not validate the resource's structure otherwise (`standards.fhir.validate` does), and decides nothing.

Source: FHIR R4 Consent; IHE ITI PCF, Explicit Consent profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.policy import (
    EXCEPTIONS_MAX,
    POLICY_VERSION,
    TEXT_CHARACTERS_MAX,
    VALUES_MAX,
    Actor,
    ActorKind,
    Policy,
    Rule,
)
from careledger.domains.records.service.consent.vocabulary import (
    ACT_REASON,
    CONSENT_ACTION,
    CONSENT_SCOPE,
    ORGANISATION_SYSTEM,
    PARTICIPATION,
    RESOURCE_TYPES,
    compartments_of_label,
    default_compartments,
)
from careledger.standards.fhir.instants import InstantError, parse_range
from careledger.standards.fhir.issues import FhirError, Issue, IssueType, printable_name
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.structure import is_resource_type

_UNREADABLE: Final = ("implicitRules", "_implicitRules", "modifierExtension")
_PROVISION: Final = frozenset(
    {
        "type",
        "period",
        "actor",
        "action",
        "securityLabel",
        "purpose",
        "class",
        "code",
        "dataPeriod",
        "data",
        "provision",
    }
)
_ACTIONS: Final = frozenset({"access", "use", "disclose"})
_RECIPIENT_ROLES: Final = frozenset({"IRCP", "PRCP"})


class ConsentRefused(FhirError):  # noqa: N818 - what the reader is told
    """A Consent that cannot be enforced as it stands; carries the place and the reason."""


def read_consent(
    consent: JsonObject, *, patient: str, organisations: Mapping[str, str] | None = None
) -> Policy:
    """Read a Consent of a patient into a policy.

    Args:
        consent: the resource, structurally valid.
        patient: reference of the patient it must be of, `Patient/id`.
        organisations: short names of organisations by their references at this site, `Organization/id`.

    Raises:
        ConsentRefused: It is not active, not about sharing records, of another patient, or says something that
            is not enforced here.
    """
    at = "Consent"
    if consent.get("resourceType") != "Consent":
        raise _refused("structure", "", "the resource is no Consent")
    for name in _UNREADABLE:
        if name in consent:
            raise _refused(
                "not-supported", f"{at}.{name}", "rules that change the meaning are not understood"
            )
    if consent.get("status") != "active":
        raise _refused("business-rule", f"{at}.status", "only an active consent can be enforced")
    _check_scope(consent.get("scope"), f"{at}.scope")
    holder = consent.get("patient")
    if not isinstance(holder, dict) or holder.get("reference") != patient:
        raise _refused("value", f"{at}.patient", "the consent is another patient's")
    root = consent.get("provision")
    if not isinstance(root, dict):
        raise _refused("required", f"{at}.provision", "there is no base rule")
    known = organisations or {}
    base = _read_rule(root, f"{at}.provision", known)
    nested = _list(root.get("provision"), f"{at}.provision.provision", EXCEPTIONS_MAX)
    exceptions = []
    for index, each in enumerate(nested):
        place = f"{at}.provision.provision[{index}]"
        rule = _object(each, place)
        if "provision" in rule:
            raise _refused("not-supported", f"{place}.provision", "exceptions of exceptions are not enforced")
        exceptions.append(_read_rule(rule, place, known))
    return Policy(POLICY_VERSION, base, tuple(exceptions))


def _read_rule(provision: JsonObject, at: str, known: Mapping[str, str]) -> Rule:
    for name in provision:
        if name not in _PROVISION:
            raise _refused("not-supported", f"{at}.{printable_name(name)}", "not understood in a provision")
    kind = provision.get("type")
    if kind not in ("permit", "deny"):
        raise _refused("required", f"{at}.type", "a provision says `permit` or `deny`")
    is_permit = kind == "permit"
    _check_actions(provision.get("action"), f"{at}.action")
    period = _read_period(provision.get("period"), f"{at}.period")
    data_period = _read_period(provision.get("dataPeriod"), f"{at}.dataPeriod")
    compartments, has_labels = _read_labels(
        provision.get("securityLabel"), f"{at}.securityLabel", is_permit=is_permit
    )
    data = _read_data(provision.get("data"), f"{at}.data")
    return Rule(
        is_permit=is_permit,
        actors=_read_actors(provision.get("actor"), f"{at}.actor", known),
        purposes=_read_codings(provision.get("purpose"), f"{at}.purpose", ACT_REASON),
        from_ms=period[0],
        until_ms=period[1],
        data_from_ms=data_period[0],
        data_until_ms=data_period[1],
        compartments=tuple(sorted(compartments)),
        has_labels=has_labels,
        types=_read_types(provision.get("class"), f"{at}.class"),
        codes=_read_concepts(provision.get("code"), f"{at}.code"),
        authors=data["authoredby"],
        instances=data["instance"],
        related=data["related"],
    )


def _check_scope(scope: Json, at: str) -> None:
    for system, code in _concept(scope, at):
        if (system, code) == (CONSENT_SCOPE, "patient-privacy"):
            return
    raise _refused("not-supported", at, "only consents about privacy are enforced")


def _check_actions(actions: Json, at: str) -> None:
    """Sharing is what is decided here; a rule about collecting or correcting would be kept by nobody."""
    for index, each in enumerate(_list(actions, at)):
        place = f"{at}[{index}]"
        for system, code in _concept(each, place):
            if system != CONSENT_ACTION or code not in _ACTIONS:
                raise _refused("not-supported", place, "only access, use and disclosure are enforced")


def _read_labels(labels: Json, at: str, *, is_permit: bool) -> tuple[frozenset[Compartment], bool]:
    """Compartments that carry all labels, as FHIR has it for several labels of one provision."""
    listed = _list(labels, at)
    if not listed:
        return default_compartments(is_permit=is_permit), False
    meant = frozenset(COMPARTMENTS)
    for index, each in enumerate(listed):
        place = f"{at}[{index}]"
        system, code = _coding(each, place)
        found = compartments_of_label(system, code, is_permit=is_permit)
        if found is None:
            raise _refused("not-supported", place, "a label that no compartment stands for")
        meant &= found
    if not meant:
        raise _refused("not-supported", at, "no record has all of these labels; use a provision for each")
    return meant, True


def _read_actors(actors: Json, at: str, known: Mapping[str, str]) -> tuple[Actor, ...]:
    read = []
    for index, each in enumerate(_list(actors, at)):
        place = f"{at}[{index}]"
        actor = _object(each, place)
        for name in actor:
            if name not in ("id", "role", "reference"):
                raise _refused(
                    "not-supported", f"{place}.{printable_name(name)}", "not understood in an actor"
                )
        for system, code in _concept(actor.get("role"), f"{place}.role"):
            if system != PARTICIPATION or code not in _RECIPIENT_ROLES:
                raise _refused(
                    "not-supported", f"{place}.role", "only recipients of information are enforced"
                )
        named = _object(actor.get("reference"), f"{place}.reference")
        read.append(_read_actor(named, f"{place}.reference", known))
    return tuple(read)


def _read_actor(reference: JsonObject, at: str, known: Mapping[str, str]) -> Actor:
    literal = reference.get("reference")
    if isinstance(literal, str):
        literal = _text(literal, at)
        kind = literal.partition("/")[0]
        if kind == "Organization":
            if literal not in known:
                raise _refused("not-found", at, "an organisation that is no member of the ledger")
            return Actor(ActorKind.ORGANISATION, known[literal])
        if kind in ("Practitioner", "PractitionerRole"):
            return Actor(ActorKind.PRACTITIONER, literal)
        raise _refused("not-supported", at, "actors are organisations, practitioners and their roles")
    system, value = _identifier(reference.get("identifier"), f"{at}.identifier")
    if system == ORGANISATION_SYSTEM:
        return Actor(ActorKind.ORGANISATION, value)
    named = _text(f"{system}|{value}", at)
    if reference.get("type") == "PractitionerRole":
        return Actor(ActorKind.ROLE, named)
    if reference.get("type") == "Practitioner":
        return Actor(ActorKind.PRACTITIONER, named)
    raise _refused("not-supported", at, "an identifier of an unknown system, or of an unsupported type")


def _read_codings(codings: Json, at: str, system: str) -> tuple[str, ...]:
    read = []
    for index, each in enumerate(_list(codings, at)):
        found, code = _coding(each, f"{at}[{index}]")
        if found != system:
            raise _refused("not-supported", f"{at}[{index}].system", f"only {system} is understood")
        read.append(code)
    return tuple(read)


def _read_types(classes: Json, at: str) -> tuple[str, ...]:
    types = _read_codings(classes, at, RESOURCE_TYPES)
    for index, name in enumerate(types):
        if not is_resource_type(name):
            raise _refused("code-invalid", f"{at}[{index}].code", "not a resource type of FHIR R4")
    return types


def _read_concepts(concepts: Json, at: str) -> tuple[str, ...]:
    return tuple(
        _text(f"{system}|{code}", at)
        for index, each in enumerate(_list(concepts, at))
        for system, code in _concept(each, f"{at}[{index}]")
    )


def _read_data(data: Json, at: str) -> dict[str, tuple[str, ...]]:
    read: dict[str, list[str]] = {"instance": [], "related": [], "authoredby": []}
    for index, each in enumerate(_list(data, at)):
        place = f"{at}[{index}]"
        item = _object(each, place)
        meaning = item.get("meaning")
        if not isinstance(meaning, str) or meaning not in read:
            raise _refused(
                "not-supported", f"{place}.meaning", "only instance, related and authoredby are enforced"
            )
        reference = _object(item.get("reference"), f"{place}.reference").get("reference")
        if not isinstance(reference, str) or "/" not in reference or reference.startswith("#"):
            raise _refused("not-supported", f"{place}.reference", "only literal references are understood")
        read[meaning].append(_text(reference, f"{place}.reference"))
    return {meaning: tuple(values) for meaning, values in read.items()}


def _read_period(period: Json, at: str) -> tuple[int | None, int | None]:
    if period is None:
        return None, None
    value = _object(period, at)
    for name in value:
        if name not in ("start", "end"):
            raise _refused("not-supported", f"{at}.{printable_name(name)}", "not understood in a period")
    first = _read_bound(value.get("start"), f"{at}.start", lambda found: found[0])
    last = _read_bound(value.get("end"), f"{at}.end", lambda found: found[1])
    if first is None and last is None:
        raise _refused("required", at, "a period has a start or an end")
    if first is not None and last is not None and last < first:
        raise _refused("invariant", at, "the period ends before it starts")
    return first, last


def _read_bound(text: Json, at: str, choose: Callable[[tuple[int, int]], int]) -> int | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise _refused("structure", at, "not a text")
    try:
        return choose(parse_range(text))
    except InstantError as error:
        raise _refused("value", at, str(error)) from None


def _identifier(identifier: Json, at: str) -> tuple[str, str]:
    value = _object(identifier, at)
    system, name = value.get("system"), value.get("value")
    if not isinstance(system, str) or not isinstance(name, str) or not system or not name:
        raise _refused("required", at, "an identifier needs system and value")
    return system, _text(name, at)


def _concept(concept: Json, at: str) -> list[tuple[str, str]]:
    value = _object(concept, at)
    codings = _list(value.get("coding"), f"{at}.coding")
    if not codings:
        raise _refused("not-supported", at, "a concept without codes is not understood")
    return [_coding(each, f"{at}.coding[{index}]") for index, each in enumerate(codings)]


def _coding(coding: Json, at: str) -> tuple[str, str]:
    value = _object(coding, at)
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str) or not isinstance(code, str) or not code:
        raise _refused("required", at, "a code needs its system")
    return system, _text(code, at)


def _object(value: Json, at: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _refused("required", at, "an object is needed here")
    return value


def _list(value: Json, at: str, most: int = VALUES_MAX) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _refused("structure", at, "a list is needed here")
    if len(value) > most:
        raise _refused("too-long", at, f"more than {most} entries")
    return value


def _text(text: str, at: str) -> str:
    if not 1 <= len(text) <= TEXT_CHARACTERS_MAX:
        raise _refused("too-long", at, f"a text of more than {TEXT_CHARACTERS_MAX} characters")
    return text


def _refused(code: IssueType, at: str, text: str) -> ConsentRefused:
    return ConsentRefused(Issue(code, at, text))
