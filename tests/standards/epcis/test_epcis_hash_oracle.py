"""The released reference implementation as a second opinion on pre-hash strings.

Only features that it handles as its own vectors ask are compared; where it differs from them (truth values,
half milliseconds, leading zeros, namespaces without a final slash) the vectors and `docs/formats/epcis.md` decide.
"""

import copy
import json
from typing import Any

import pytest
from epcis_event_hash_generator import hash_generator, json_to_py

from careledger.standards.epcis.event_hash import pre_hash
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import (
    aggregation_event,
    association_event,
    document,
    object_event,
    sensor_event,
    transaction_event,
    transformation_event,
)

PARTY = "urn:epc:id:pgln:4012345.00001"
EVENTS: list[Any] = [
    object_event(),
    object_event(
        sourceList=[{"type": "owning_party", "source": PARTY}, {"type": "possessing_party", "source": PARTY}],
        destinationList=[{"type": "location", "destination": "urn:epc:id:sgln:4012345.00002.7"}],
        bizTransactionList=[
            {"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:PO1"},
            {"type": "desadv", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:D1"},
        ],
        certificationInfo="https://example.com/certificates/1",
        bizLocation={"id": "urn:epc:id:sgln:4012345.00002.0"},
        persistentDisposition={"set": ["recalled"], "unset": ["expired"]},
    ),
    object_event(
        action="ADD",
        quantityList=[
            {"epcClass": "urn:epc:class:lgtin:4012345.022222.L2", "quantity": 2.5, "uom": "KGM"},
            {"epcClass": "urn:epc:class:lgtin:4012345.022222.L1", "quantity": 10},
        ],
        ilmd={"example:grade": "A", "example:batch": {"example:line": "7", "example:hall": "2"}},
        sourceList=[{"type": "owning_party", "source": PARTY}],
        **{"example:b": "2", "example:a": {"example:d": ["y", "x"]}},
    ),
    aggregation_event(
        childQuantityList=[{"epcClass": "urn:epc:idpat:sgtin:4012345.044444.*", "quantity": 3}]
    ),
    association_event(),
    transaction_event(parentID="urn:epc:id:sscc:4012345.3111111111"),
    transformation_event(ilmd=None, transformationID="urn:epc:id:gdti:4012345.00009.T1"),
    sensor_event(
        {"type": "Temperature", "value": 5.1, "uom": "CEL", "time": "2026-03-04T10:30:00Z"},
        {"type": "AbsoluteHumidity", "minValue": 12.1, "maxValue": 13, "uom": "A93"},
        bizTransactionList=[{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:PO1"}],
        destinationList=[{"type": "owning_party", "destination": PARTY}],
    ),
]


# The reference reads its packaged context through a function that the standard library is phasing out.
@pytest.mark.filterwarnings("ignore:open_text is deprecated:DeprecationWarning")
@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_agrees_with_the_reference_implementation(number: int) -> None:
    data = document(EVENTS[number])
    (event,) = parse_document(data).events
    members = copy.deepcopy(json.loads(data))
    theirs = hash_generator.derive_prehashes_from_events(
        json_to_py.event_list_from_epcis_document_json(members)
    )
    assert pre_hash(event) == theirs[0]
