"""Who asks: one authenticated requester, as every domain sees them.

Owns the structure only; `tokens` makes it from an access token, and each domain decides what its roles may.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from careledger.web.smart_scopes import GrantedScopes


class Purpose(Enum):
    """Why somebody asks: the purposes of use of HL7's PurposeOfUse that this network knows."""

    TREATMENT = "TREAT"
    EMERGENCY = "ETREAT"
    PAYMENT = "HPAYMT"
    OPERATIONS = "HOPERAT"
    PATIENT_REQUEST = "PATRQT"
    RESEARCH = "HRESCH"
    PUBLIC_HEALTH = "PUBHLTH"
    LEGAL = "HLEGAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One requester with what its token says."""

    organisation: str
    """Short name of the organisation whose site issued the token."""
    subject: str
    """Who, as the issuer names them; never logged."""
    client_id: str
    """Application that asks on their behalf."""
    role: str
    """What they are there, such as `clinician`, `patient` or `system`."""
    scopes: GrantedScopes
    purpose: Purpose = Purpose.TREATMENT
    fhir_user: str = ""
    """`Practitioner/…` or `Patient/…` who uses the application; empty for a system."""
    patient: str = ""
    """Id of the patient in context, from the launch; or empty."""
    token_id: str = ""
    """Identifies the token, for revocation and audit."""
    expires_at_ms: int = 0
    """When the token ends."""

    def __repr__(self) -> str:
        """Show no one."""
        return f"<Principal: {self.role} of {self.organisation}>"
