"""All that the FHIR face offers, in one table: every interaction and every operation with what answers it."""

from __future__ import annotations

from typing import Final

from careledger.domains.records.api import (
    bundles,
    capability,
    everything,
    histories,
    matching,
    patching,
    reading,
    searching,
    shared_history,
    validating,
    writing,
)
from careledger.domains.records.api.routing import Operation, Route, RouteTable, Shape

_HL7: Final = "http://hl7.org/fhir/OperationDefinition"
_OWN: Final = "urn:careledger:operation"
_PATIENT: Final = frozenset({"Patient"})

ROUTES: Final = (
    Route(
        shape=Shape.METADATA,
        method="GET",
        interaction="capabilities",
        handler=capability.show,
        needs_token=False,
    ),
    Route(shape=Shape.SMART, method="GET", interaction="", handler=capability.show_smart, needs_token=False),
    Route(shape=Shape.SYSTEM, method="GET", interaction="search-system", handler=searching.search),
    Route(shape=Shape.SYSTEM, method="POST", interaction="batch", handler=bundles.process, takes_body=True),
    Route(
        shape=Shape.SYSTEM_SEARCH,
        method="POST",
        interaction="search-system",
        handler=searching.search,
        takes_body=True,
    ),
    Route(shape=Shape.SYSTEM_HISTORY, method="GET", interaction="history-system", handler=histories.history),
    Route(shape=Shape.TYPE, method="GET", interaction="search-type", handler=searching.search),
    Route(shape=Shape.TYPE, method="POST", interaction="create", handler=writing.create, takes_body=True),
    Route(
        shape=Shape.TYPE, method="PUT", interaction="update", handler=writing.update_where, takes_body=True
    ),
    Route(
        shape=Shape.TYPE, method="PATCH", interaction="patch", handler=patching.patch_where, takes_body=True
    ),
    Route(shape=Shape.TYPE, method="DELETE", interaction="delete", handler=writing.delete_where),
    Route(
        shape=Shape.TYPE_SEARCH,
        method="POST",
        interaction="search-type",
        handler=searching.search,
        takes_body=True,
    ),
    Route(shape=Shape.TYPE_HISTORY, method="GET", interaction="history-type", handler=histories.history),
    Route(shape=Shape.INSTANCE, method="GET", interaction="read", handler=reading.read),
    Route(shape=Shape.INSTANCE, method="PUT", interaction="update", handler=writing.update, takes_body=True),
    Route(shape=Shape.INSTANCE, method="PATCH", interaction="patch", handler=patching.patch, takes_body=True),
    Route(shape=Shape.INSTANCE, method="DELETE", interaction="delete", handler=writing.delete),
    Route(
        shape=Shape.INSTANCE_HISTORY, method="GET", interaction="history-instance", handler=histories.history
    ),
    Route(shape=Shape.VERSION, method="GET", interaction="vread", handler=reading.vread),
    Route(shape=Shape.COMPARTMENT, method="GET", interaction="search-type", handler=searching.search),
    Route(
        shape=Shape.COMPARTMENT_SEARCH,
        method="POST",
        interaction="search-type",
        handler=searching.search,
        takes_body=True,
    ),
)

OPERATIONS: Final = (
    Operation(
        name="$everything",
        levels=frozenset({"instance"}),
        types=_PATIENT,
        methods=("GET", "POST"),
        definition=f"{_HL7}/Patient-everything",
        text="The patient, all of the patient's compartment, and what that refers to.",
        handler=everything.everything,
    ),
    Operation(
        name="$match",
        levels=frozenset({"type"}),
        types=_PATIENT,
        methods=("POST",),
        definition=f"{_HL7}/Patient-match",
        text="Which patients here may be the person described; never links two records.",
        handler=matching.match,
    ),
    Operation(
        name="$validate",
        levels=frozenset({"type", "instance"}),
        types=None,
        methods=("GET", "POST"),
        definition=f"{_HL7}/Resource-validate",
        text="What is wrong with a resource under FHIR R4 itself; profiles are not checked.",
        handler=validating.validate,
    ),
    Operation(
        name="$meta",
        levels=frozenset({"instance", "version"}),
        types=None,
        methods=("GET",),
        definition=f"{_HL7}/Resource-meta",
        text="The metadata of a resource or of one of its versions.",
        handler=reading.metadata,
    ),
    Operation(
        name="$submitted",
        levels=frozenset({"instance", "version"}),
        types=None,
        methods=("GET",),
        definition=f"{_OWN}:submitted",
        text="Exactly the bytes that were submitted; for a version that came about by a patch, the patch.",
        handler=reading.submitted,
    ),
    Operation(
        name="$proof",
        levels=frozenset({"instance", "version"}),
        types=None,
        methods=("GET",),
        definition=f"{_OWN}:proof",
        text="Evidence that a version is unaltered since its block on the ledger, verified without this site.",
        handler=reading.proof,
        is_offered=lambda site: site.proofs is not None,
    ),
    Operation(
        name="$shared-history",
        levels=frozenset({"instance"}),
        types=_PATIENT,
        methods=("POST",),
        definition=f"{_OWN}:shared-history",
        text="The record as far as other organisations hold it and the patient allows, each part with its proof.",
        handler=shared_history.shared_history,
        is_offered=lambda site: site.shared_history is not None,
    ),
)

TABLE: Final = RouteTable(ROUTES, OPERATIONS)
