"""Rules between the fields of one event.

Owns what EPCIS 2.0 §7.4 asks of each event type beyond its single fields: what must be present, what an action
allows, what master data may accompany. Whether the goods were where the event says is for the supply domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from careledger.standards.epcis.errors import ProblemCode
from careledger.standards.epcis.scope import Scope

Check: TypeAlias = Callable[[Mapping[str, object], Scope], None]
"""Takes the attributes read, by their names in the model, and the scope."""


_ALWAYS = {"event_time": "eventTime", "event_time_zone_offset": "eventTimeZoneOffset"}
_WITH_ACTION = {**_ALWAYS, "action": "action"}


def _require(needed: Mapping[str, str], attributes: Mapping[str, object], scope: Scope) -> None:
    if not needed.keys() <= attributes.keys():
        for attribute, name in needed.items():
            if attribute not in attributes:
                scope.report(ProblemCode.MISSING_FIELD, name, f"{name} is missing")


def check_times(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check what every event needs: its time and its time zone offset."""
    _require(_ALWAYS, attributes, scope)


def check_object(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check an object event: objects, or a sensor at a place; master data only when objects are added."""
    _require(_WITH_ACTION, attributes, scope)
    if "epcs" not in attributes and not attributes.get("quantities"):
        if not attributes.get("sensor_elements") or "read_point" not in attributes:
            message = "epcList, quantityList, or sensorElementList with readPoint is missing"
            scope.report(ProblemCode.MISSING_FIELD, "epcList", message)
    elif not (attributes.get("epcs") or attributes.get("quantities") or attributes.get("sensor_elements")):
        scope.warn(ProblemCode.EMPTY, "epcList", "the event names no objects")
    if "ilmd" in attributes and attributes.get("action") != "ADD":
        message = "instance or lot master data belongs to events with action ADD"
        scope.report(ProblemCode.ACTION_RULE, "ilmd", message)


def _check_children(attributes: Mapping[str, object], scope: Scope) -> None:
    _require(_WITH_ACTION, attributes, scope)
    has_children = attributes.get("child_epcs") or attributes.get("child_quantities")
    if not has_children and attributes.get("action") != "DELETE":
        message = "childEPCs or childQuantityList may be missing only with action DELETE"
        scope.report(ProblemCode.MISSING_FIELD, "childEPCs", message)


def check_aggregation(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check an aggregation: children unless everything is taken out; a parent unless only observed."""
    _check_children(attributes, scope)
    if "parent_id" not in attributes and attributes.get("action") in ("ADD", "DELETE"):
        message = "parentID may be missing only with action OBSERVE"
        scope.warn(ProblemCode.MISSING_FIELD, "parentID", message)


def check_association(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check an association: always a parent, children unless everything is detached."""
    _check_children(attributes, scope)
    if "parent_id" not in attributes:
        scope.report(ProblemCode.MISSING_FIELD, "parentID", "parentID is missing")


def check_transaction(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check a transaction event: at least one transaction; objects unless all are released."""
    _require(_WITH_ACTION, attributes, scope)
    if not attributes.get("biz_transactions"):
        message = "at least one business transaction is expected"
        scope.report(ProblemCode.MISSING_FIELD, "bizTransactionList", message)
    has_objects = "epcs" in attributes or attributes.get("quantities")
    if not has_objects and attributes.get("action") != "DELETE":
        message = "epcList or quantityList may be missing only with action DELETE"
        scope.report(ProblemCode.MISSING_FIELD, "epcList", message)


def check_transformation(attributes: Mapping[str, object], scope: Scope) -> None:
    """Check a transformation: inputs and outputs, or one of them under a transformation's identifier."""
    _require(_ALWAYS, attributes, scope)
    has_inputs = attributes.get("input_epcs") or attributes.get("input_quantities")
    has_outputs = attributes.get("output_epcs") or attributes.get("output_quantities")
    if "transformation_id" in attributes:
        if not has_inputs and not has_outputs:
            scope.report(ProblemCode.MISSING_FIELD, "inputEPCList", "inputs or outputs are missing")
        return
    message = "may be missing only when a transformationID ties several events together"
    if not has_inputs:
        scope.report(ProblemCode.MISSING_FIELD, "inputEPCList", f"inputs {message}")
    if not has_outputs:
        scope.report(ProblemCode.MISSING_FIELD, "outputEPCList", f"outputs {message}")
