"""Sealing one record version: served bytes, package, key, leaf, commitment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from careledger.domains.records.service.changes import Change, Written
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.package import Package, build_leaf, encode_package, new_salts
from careledger.domains.records.service.streams import Stream
from careledger.primitives.identifiers import Commitment, Tag
from careledger.primitives.timestamps import format_instant
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.vault.leaves import leaf_commitment
from careledger.vault.sealing import new_record_key, seal
from careledger.vault.streams import tag
from careledger.vault.wrapping import WrapContext, wrap_record_key


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """One version ready for its row."""

    stream: int
    position: int
    tag: Tag
    commitment: Commitment
    sealed: bytes
    wrapped: bytes
    written: Written

    def row_values(self, row: int, batch: int) -> tuple[object, ...]:
        """Values of the table `entry` in the order of the insertion."""
        written = self.written
        return (
            row,
            self.stream,
            self.position,
            self.commitment,
            batch,
            written.resource_type,
            written.resource_id,
            written.version,
            written.method.value,
            written.updated_ms,
            self.sealed,
            self.wrapped,
        )


_instant = lru_cache(maxsize=8)(format_instant)
"""All versions of one transaction have one time."""


def build_served(value: JsonObject, resource_id: str, version: int, updated_ms: int) -> JsonObject:
    """Resource as it is served: `id`, and `meta` with version and time; all else stays as submitted."""
    meta = value.get("meta")
    served: JsonObject = {
        "resourceType": value["resourceType"],
        "id": resource_id,
        "meta": {
            **(meta if isinstance(meta, dict) else {}),
            "versionId": str(version),
            "lastUpdated": _instant(updated_ms),
        },
    }
    for name, item in value.items():
        if name not in served:
            served[name] = item
    return served


def seal_context(site: SiteContext, resource_type: str, resource_id: str, version: int) -> bytes:
    """Names a version's blob where it is sealed and opened."""
    return f"{site.chain_id}/{site.organisation}/{resource_type}/{resource_id}/{version}".encode()


def wrap_context(stream: Stream, resource_id: str, version: int, commitment: Commitment) -> WrapContext:
    """Names a version's key where it is wrapped and unwrapped."""
    return WrapContext(resource_id.encode(), version, stream.compartment.label, stream.epoch, commitment)


def seal_version(
    site: SiteContext, stream: Stream, *, change: Change, version: int, updated_ms: int
) -> SealedVersion:
    """Take the stream's next position and seal a version for it."""
    served = b""
    if change.value is not None:
        served = write_json(build_served(change.value, change.resource_id, version, updated_ms))
    package = Package(
        salts=new_salts(),
        compartment=stream.compartment,
        method=change.method,
        version=version,
        updated_ms=updated_ms,
        served=served,
        submitted=change.submitted,
    )
    plaintext = encode_package(package)
    key = new_record_key()
    context = seal_context(site, change.resource_type, change.resource_id, version)
    sealed = seal(plaintext, key, context=context)
    position = stream.next_position
    stream.next_position = position + 1
    stream.is_changed = True
    of = tag(stream.index_key, position)
    commitment = leaf_commitment(build_leaf(of, change.resource_type, sealed, plaintext, package))
    wrapped = wrap_record_key(
        key, stream.compartment_key, wrap_context(stream, change.resource_id, version, commitment)
    )
    written = Written(
        resource_type=change.resource_type,
        resource_id=change.resource_id,
        version=version,
        updated_ms=updated_ms,
        method=change.method,
        served=served,
    )
    return SealedVersion(stream.row, position, of, commitment, sealed, wrapped, written)
