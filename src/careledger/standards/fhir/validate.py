"""Is this value a FHIR R4 resource? Every finding, located, without repeating what the document says.

The public face of the checks: ``element_checks`` (structure), ``primitive_checks`` (formats), ``narrative``,
``reference_checks``, ``type_rules``, ``resource_rules`` and ``bundle_rules`` (invariants). Not checked: bindings
whose codes FHIR 4.0.1 does not list itself, profiles, terminology, whether a reference leads anywhere outside the
resource, and the invariants of definitional resources.
"""

from careledger.standards.fhir.element_checks import check_whole_resource, object_check
from careledger.standards.fhir.findings import FINDINGS_MAX
from careledger.standards.fhir.issues import FhirError, Issue
from careledger.standards.fhir.json_types import Json
from careledger.standards.fhir.structure import is_resource_type, type_facts


class ValidationError(FhirError):
    """A value is no valid FHIR R4 resource or element."""


def validate_resource(value: Json) -> list[Issue]:
    """Return what is wrong with a resource, worst first; an empty list for a faultless one.

    At most 100 findings are reported.
    """
    found = check_whole_resource(value)
    if found is None:
        return []
    kind = value.get("resourceType") if isinstance(value, dict) else None
    root = str(kind) if is_resource_type(kind) else "Resource"
    issues = [finding.to_issue(root) for finding in found[:FINDINGS_MAX]]
    return sorted(issues, key=lambda issue: not issue.is_error)


def validate_element(type_name: str, value: Json) -> list[Issue]:
    """Return what is wrong with one value of a complex type, such as ``Period``.

    Raises:
        KeyError: FHIR R4 has no such type.
    """
    type_facts(type_name)
    return [finding.to_issue(type_name) for finding in object_check(type_name)(value) or []]


def check_resource(value: Json) -> None:
    """Refuse a resource that is not valid; warnings do not refuse it.

    Raises:
        ValidationError: With every finding.
    """
    issues = validate_resource(value)
    if any(issue.is_error for issue in issues):
        raise ValidationError(*issues)
