"""Consents, policies and wallets for tests; nobody's."""

from __future__ import annotations

from hashlib import sha256

from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.consent.policy import Policy
from careledger.domains.records.service.consent.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    CONSENT_SCOPE,
    ORGANISATION_SYSTEM,
    PARTICIPATION,
    RESOURCE_TYPES,
)
from careledger.primitives.identifiers import CellID, ChainID, OrganisationID
from careledger.standards.fhir.json_types import JsonObject
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, IndexKey, KEMSeed, RootSecret
from careledger.vault.wallet import Custodian, Wallet

CHAIN = ChainID("test-chain")
CELL = CellID(sha256(b"cell").digest())
WALLET = Wallet(RootSecret(sha256(b"root").digest()))
CUSTODIAN = Custodian(chain=CHAIN, organisation=OrganisationID(1))
GRANTEE = OpeningKey(KEMSeed(sha256(b"grantee").digest()))
STRANGER = OpeningKey(KEMSeed(sha256(b"stranger").digest()))
INDEX_KEY = IndexKey(sha256(b"index").digest())
DISCLOSURE_KEY = CompartmentKey(sha256(b"disclosure").digest())


def actor(slug: str = "hospital-b", system: str = ORGANISATION_SYSTEM) -> JsonObject:
    """A recipient."""
    return {
        "role": {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]},
        "reference": {"identifier": {"system": system, "value": slug}},
    }


def purpose(code: str = "TREAT") -> JsonObject:
    """A purpose of use."""
    return {"system": ACT_REASON, "code": code}


def label(code: str) -> JsonObject:
    """A sensitivity label."""
    return {"system": ACT_CODE, "code": code}


def resource_class(name: str) -> JsonObject:
    """A resource type as a content class."""
    return {"system": RESOURCE_TYPES, "code": name}


def permission(*slugs: str, **parts: object) -> JsonObject:
    """A nested provision that permits."""
    return {
        "type": "permit",
        "actor": [actor(slug) for slug in slugs or ("hospital-b",)],
        "purpose": [purpose()],
        **parts,
    }


def consent(patient_id: str, *exceptions: JsonObject, **root: object) -> JsonObject:
    """A Consent with a base rule that denies."""
    provision: JsonObject = {"type": "deny", **root}
    if exceptions:
        provision["provision"] = list(exceptions)
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient_id}"},
        "provision": provision,
    }


def policy_of(*exceptions: JsonObject, **root: object) -> Policy:
    """The policy of such a Consent."""
    return read_consent(consent("p", *exceptions, **root), patient="Patient/p")
