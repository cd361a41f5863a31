"""Evidence about a record version: what `careledger verify` reads, for the one asked about and no other.

Opens the leaf's type and metadata, and adds the document as it is served, so that whoever holds the file can show
these very bytes and when they were committed. Says nothing about whether they are true.
"""

from __future__ import annotations

import asyncio
import json

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.package import build_leaf, decode_package
from careledger.domains.records.service.store import RecordStore, StoredVersion
from careledger.ledger.errors import HEIGHT_PRUNED, NOT_FOUND
from careledger.ledger.evidence import Disclosure, DocumentForm, Evidence, RecordClaim, write_evidence
from careledger.ledger.evidence_making import EvidenceMaker
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.site.ledger_reading import note_of_any, read_trust_in_force
from careledger.site.runtime_ledger import RunningLedger
from careledger.standards.fhir.json_types import JsonObject
from careledger.vault.leaves import LeafField, open_fields
from careledger.vault.streams import tag

_ATTEMPTS = 40
_WAIT_S = 0.25


class RecordProofs:
    """Makes evidence files for records of one site."""

    def __init__(self, site: SiteContext, store: RecordStore, ledger: RunningLedger) -> None:
        self._site = site
        self._store = store
        self._ledger = ledger

    async def prove(self, resource_type: str, resource_id: str, version: int) -> JsonObject:
        """Evidence file as a JSON document; see `evidence`."""
        raw = write_evidence(await self.evidence(resource_type, resource_id, version))
        document: JsonObject = json.loads(raw)
        return document

    async def evidence(self, resource_type: str, resource_id: str, version: int) -> Evidence:
        """Evidence that a version is unaltered since its block, with the document.

        Waits a few seconds for a checkpoint that covers the version and has the witnesses' cosignatures.

        Raises:
            Rejected: RESOURCE_UNKNOWN, ERASED.
            Unavailable: It is not on the ledger yet, or not yet under a cosigned checkpoint.
        """
        for _ in range(_ATTEMPTS):
            stored = self._store.vread(resource_type, resource_id, version)
            if stored.is_committed:
                evidence = await self._make(stored)
                if evidence is not None:
                    return evidence
            await asyncio.sleep(_WAIT_S)
        raise Unavailable(NOT_FOUND, "no cosigned checkpoint covers this version yet")

    async def _make(self, stored: StoredVersion) -> Evidence | None:
        trust = read_trust_in_force(self._ledger.view)
        try:
            note = await note_of_any(
                self._ledger.client, self._ledger.view, trust, needs_witnesses=trust.quorum > 0
            )
        except Rejected:
            return None
        maker = EvidenceMaker(self._ledger.view, trust, note)
        of = tag(self._store.stream_keys(stored.stream).index_key, stored.position)
        try:
            claim = maker.record(self._site.organisation, of).claim
        except Rejected as refusal:
            if refusal.code is HEIGHT_PRUNED:
                return None  # the checkpoint is of a state that is no longer kept: a newer one will come
            raise
        if not isinstance(claim, RecordClaim) or claim.commitment is None:
            return None  # the checkpoint is older than the version
        plaintext = self._store.open_plaintext(stored)
        package = decode_package(plaintext)
        leaf = build_leaf(of, stored.resource_type, stored.sealed or b"", plaintext, package)
        opening = encode(open_fields(leaf, LeafField.TYPE, LeafField.METADATA))
        form = DocumentForm.SERVED if package.served else DocumentForm.NONE
        return maker.record(self._site.organisation, of, Disclosure(opening, form, package.served))
