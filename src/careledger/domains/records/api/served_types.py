"""Which resource types the site serves: the one list that routing, access and the CapabilityStatement go by.

Left out are types that are no records: `Parameters` and `OperationOutcome` only travel in messages. `AuditEvent` is
readable but written by the site alone, so that nobody can forge who looked. `Subscription` is left out because
nothing here would act on it.
"""

from __future__ import annotations

from typing import Final

from careledger.standards.fhir.structure import resource_types

SERVED_TYPES: Final = resource_types() - {"Parameters", "OperationOutcome", "Subscription", "AuditEvent"}
"""Types with addresses of their own."""
WRITABLE_TYPES: Final = SERVED_TYPES
"""Types that clients may create, update and delete."""
