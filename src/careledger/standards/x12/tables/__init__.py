"""The implementations this package knows, by functional group and convention.

Owns the registry only; each table is a module of its own, compiled when first asked for. A set added later
(270/271, 276/277, 278, the dental claim) is one module more and one line here.
"""

from careledger.standards.x12.tables.acknowledgement import (
    claim_acknowledgement,
    implementation_acknowledgement,
)
from careledger.standards.x12.tables.claim_institutional import institutional_claim
from careledger.standards.x12.tables.claim_professional import professional_claim
from careledger.standards.x12.tables.notation import TransactionSpec
from careledger.standards.x12.tables.remittance import remittance_advice

_TABLES = (
    professional_claim,
    institutional_claim,
    remittance_advice,
    implementation_acknowledgement,
    claim_acknowledgement,
)


def find_table(functional_id: str, version: str) -> TransactionSpec | None:
    """Return the table for a functional group (GS01, GS08), or None if this package has none."""
    for table in _TABLES:
        spec = table()
        if spec.functional_id == functional_id and version in spec.versions:
            return spec
    return None


def is_functional_id_known(functional_id: str) -> bool:
    """Tell whether any table serves functional groups of this kind (GS01)."""
    return any(table().functional_id == functional_id for table in _TABLES)
