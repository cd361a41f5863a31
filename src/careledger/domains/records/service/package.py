"""The package: what is sealed for one record version, byte by byte.

    0x01 | salts (128) | compartment (1) | method (1) | version (4) | updated_ms (8) | served length (4) |
    served bytes | submitted bytes

All numbers are big-endian. Submitted bytes that equal the served ones are left out. The four salts are those
of the leaf: they live and die with the record. The leaf's metadata is derived from the package, so that it can
be shown alone, with both hashes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception class with a lower-case name
from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.primitives.identifiers import Tag
from careledger.vault.leaves import SALTS_BYTES, Leaf

_HEAD: Final = Struct(f">B{SALTS_BYTES}sBBIQI")
_METADATA: Final = Struct(">BBBIQ32s32s")
_SCHEMA: Final = 1


class Method(IntEnum):
    """What made a version."""

    CREATE = 1
    UPDATE = 2
    DELETE = 3


class PackageBroken(Exception):  # noqa: N818 - reading raises the outcome's name
    """Unsealed bytes that are no package: a fault of ours, since the seal stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One record version in the clear."""

    salts: bytes
    compartment: Compartment
    method: Method
    version: int
    updated_ms: int
    served: bytes
    """FHIR JSON as it is served; empty for a deletion."""
    submitted: bytes
    """The bytes as they were submitted; empty for a deletion."""

    def __repr__(self) -> str:
        """Show nothing of the content."""
        return f"<Package of version {self.version}: not shown>"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a leaf states about a version besides its type and content."""

    compartment: Compartment
    method: Method
    version: int
    updated_ms: int
    submitted_hash: bytes
    served_hash: bytes


def new_salts() -> bytes:
    """Salts of a new leaf."""
    return os.urandom(SALTS_BYTES)


def encode_package(package: Package) -> bytes:
    """Bytes to seal."""
    submitted = b"" if package.submitted == package.served else package.submitted
    return (
        _HEAD.pack(
            _SCHEMA,
            package.salts,
            package.compartment,
            package.method,
            package.version,
            package.updated_ms,
            len(package.served),
        )
        + package.served
        + submitted
    )


def decode_package(raw: bytes) -> Package:
    """Read unsealed bytes.

    Raises:
        PackageBroken: They are no package.
    """
    try:
        schema, salts, compartment, method, version, updated_ms, length = _HEAD.unpack_from(raw)
        end = _HEAD.size + length
        if schema != _SCHEMA or end > len(raw):
            raise PackageBroken("the package's layout is unknown")
        served = raw[_HEAD.size : end]
        return Package(
            salts=salts,
            compartment=Compartment(compartment),
            method=Method(method),
            version=version,
            updated_ms=updated_ms,
            served=served,
            submitted=raw[end:] or served,
        )
    except (ValueError, StructError) as error:
        raise PackageBroken("the package cannot be read") from error


def encode_metadata(package: Package) -> bytes:
    """Metadata of the leaf: schema (1) | compartment (1) | method (1) | version (4) | updated_ms (8) | hashes."""
    return _METADATA.pack(
        _SCHEMA,
        package.compartment,
        package.method,
        package.version,
        package.updated_ms,
        sha256(package.submitted).digest(),
        sha256(package.served).digest(),
    )


def decode_metadata(raw: bytes) -> Metadata:
    """Read a leaf's metadata.

    Raises:
        PackageBroken: It is not of that layout.
    """
    if len(raw) != _METADATA.size or raw[0] != _SCHEMA:
        raise PackageBroken("the metadata's layout is unknown")
    _, compartment, method, version, updated_ms, submitted, served = _METADATA.unpack(raw)
    return Metadata(Compartment(compartment), Method(method), version, updated_ms, submitted, served)


def build_leaf(tag: Tag, record_type: str, sealed: bytes, plaintext: bytes, package: Package) -> Leaf:
    """Leaf of a version: what its commitment is made of."""
    return Leaf(
        tag,
        record_type,
        sha256(sealed).digest(),
        sha256(plaintext).digest(),
        encode_metadata(package),
        package.salts,
    )
