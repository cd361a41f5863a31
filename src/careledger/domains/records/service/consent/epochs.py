"""New epochs at the custodian: a new stream with a new index key, and what of the earlier ones stays visible.

In three steps, each repeatable:

    open    the wallet sends the new index key; from that moment new versions go to the new stream
    state   once everything of the ended epochs is on the ledger, the custodian states what stays visible
    seal    the wallet signs the manifest that says so; the custodian signs it too and commits it at position 0

The key that grantees unwrap record keys with, the *disclosure key*, is random and new in each epoch, and is apart
from the key that wraps them at rest: after a revocation nothing leaves that an earlier grantee's key opens, and
an erasure, which changes the key at rest, leaves grants as they are.

Functions here run on the writer thread, inside the caller's transaction.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.commands import CompartmentBytes, EpochState
from careledger.domains.records.service.consent.errors import (
    EPOCH_MISMATCH,
    EPOCH_NOT_READY,
    MANIFEST_INVALID,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.outbox import Batch, build_entries_message, insert_batch
from careledger.domains.records.service.rows import fetch_all, fetch_one, fetch_value
from careledger.domains.records.service.schema import BATCH_RECORDS, ENTRY_MANIFEST, ENTRY_RECORD
from careledger.domains.records.service.streams import (
    NewEntry,
    Registry,
    RowNumbers,
    compartment_key_name,
    index_key_name,
)
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.identifiers import CellID, Commitment, PublicKey, Tag
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import add_signature, verify_envelope
from careledger.vault.errors import EnvelopeInvalid, OpeningInvalid
from careledger.vault.keys import CompartmentKey, IndexKey
from careledger.vault.keystore import Keystore
from careledger.vault.streams import (
    MANIFEST_PAYLOAD_TYPE,
    Manifest,
    decode_manifest,
    encode_manifest,
    key_digest,
    manifest_commitment,
    new_salt,
    tag,
)

_EARLIER: Final = (
    "SELECT entry.stream, entry.position, entry.kind, entry.commitment, entry.sealed IS NULL, "
    "entry.batch, coalesce(batch.height, 0) "
    "FROM stream JOIN entry ON entry.stream = stream.row LEFT JOIN batch ON batch.row = entry.batch "
    "WHERE stream.subject = ? AND stream.compartment = ? AND stream.epoch < ? "
    "ORDER BY stream.epoch, entry.position"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKeys:
    """What this site holds of one stream."""

    stream: int
    epoch: int
    index_key: IndexKey
    at_rest: CompartmentKey
    """Wraps record keys in the database."""


def disclosure_key_name(subject: int, compartment: Compartment, epoch: int) -> str:
    """Name in the keystore of the key that grantees of an epoch unwrap record keys with."""
    return f"dk/{subject}/{compartment.label}/{epoch}"


def disclosure_key(keystore: Keystore, subject: int, compartment: Compartment, epoch: int) -> CompartmentKey:
    """The disclosure key of an epoch, made when it is first needed."""
    name = disclosure_key_name(subject, compartment, epoch)
    if not keystore.has(name):
        keystore.put(name, os.urandom(CompartmentKey.SIZE_BYTES))
    return CompartmentKey(keystore.get(name))


def latest_epoch(connection: Connection, subject: int, compartment: Compartment) -> int:
    """Number of the epoch that new versions go to."""
    return int(
        fetch_value(
            connection,
            "SELECT max(epoch) FROM stream WHERE subject = ? AND compartment = ?",
            (subject, compartment),
        )
    )


def sealed_epoch(connection: Connection, subject: int, compartment: Compartment) -> int:
    """Number of the latest epoch that has its manifest."""
    return int(
        fetch_value(
            connection,
            "SELECT max(stream.epoch) FROM stream JOIN entry ON entry.stream = stream.row "
            f"WHERE stream.subject = ? AND stream.compartment = ? AND entry.kind = {ENTRY_MANIFEST}",
            (subject, compartment),
        )
    )


def read_keys(
    connection: Connection, keystore: Keystore, subject: int, compartment: Compartment
) -> list[EpochKeys]:
    """Keys of all epochs of a compartment, earliest first."""
    rows = fetch_all(
        connection,
        "SELECT row, epoch FROM stream WHERE subject = ? AND compartment = ? ORDER BY epoch",
        (subject, compartment),
    )
    return [
        EpochKeys(
            stream=row,
            epoch=epoch,
            index_key=IndexKey(keystore.get(index_key_name(subject, compartment, epoch))),
            at_rest=CompartmentKey(keystore.get(compartment_key_name(subject, compartment, epoch))),
        )
        for row, epoch in rows
    ]


def open_epoch(
    connection: Connection,
    site: SiteContext,
    registry: Registry,
    subject: int,
    compartment: Compartment,
    epoch: int,
    index_key: IndexKey,
) -> None:
    """Make the stream of a new epoch; its manifest comes later.

    Raises:
        Rejected: EPOCH_MISMATCH, not the epoch after the latest, or opened with another key before.
    """
    latest = latest_epoch(connection, subject, compartment)
    name = index_key_name(subject, compartment, epoch)
    if epoch == latest and epoch > 0:
        if IndexKey(site.keystore.get(name)) != index_key:
            raise Rejected(EPOCH_MISMATCH, at=compartment.label)
        return
    if epoch != latest + 1:
        raise Rejected(EPOCH_MISMATCH, at=compartment.label)
    # Durable in the keystore before any row speaks of them; without the row they are of no use.
    site.keystore.put_many(
        {
            name: index_key.reveal(),
            compartment_key_name(subject, compartment, epoch): os.urandom(CompartmentKey.SIZE_BYTES),
            disclosure_key_name(subject, compartment, epoch): os.urandom(CompartmentKey.SIZE_BYTES),
        }
    )
    row = fetch_value(connection, "SELECT coalesce(max(row), 0) + 1 FROM stream")
    connection.execute("INSERT INTO stream VALUES (?, ?, ?, ?, 1, 0)", (row, subject, compartment, epoch))
    registry.forget()


def epoch_state(
    connection: Connection, site: SiteContext, subject: int, compartment: Compartment, *, require_ledger: bool
) -> EpochState:
    """What of the ended epochs stays visible in the latest one.

    Raises:
        Unavailable: EPOCH_NOT_READY, something of them is not yet on the ledger.
    """
    epoch = latest_epoch(connection, subject, compartment)
    keys = {held.stream: held for held in read_keys(connection, site.keystore, subject, compartment)}
    visible: list[tuple[bytes, bytes]] = []
    left_out: list[bytes] = []
    for row in fetch_all(connection, _EARLIER, (subject, compartment, epoch)):
        stream, position, kind, commitment, is_gone, batch, height = row
        if require_ledger and height == 0 and batch >= 0:
            raise Unavailable(EPOCH_NOT_READY)
        of = tag(keys[stream].index_key, position)
        if kind == ENTRY_RECORD and not is_gone:
            visible.append((of, commitment))
        elif kind != ENTRY_MANIFEST:
            left_out.append(of)
    return EpochState(int(compartment), epoch, tuple(visible), tuple(left_out))


def seal_epochs(
    connection: Connection,
    site: SiteContext,
    registry: Registry,
    subject: int,
    cell: CellID,
    identity: PublicKey,
    manifests: Sequence[CompartmentBytes],
) -> tuple[list[CompartmentBytes], Batch | None]:
    """Sign manifests of new epochs beside the wallet and commit them, all in one batch.

    Returns:
        The manifests as they are stored, and the batch if there was anything new in them.

    Raises:
        Rejected: MANIFEST_INVALID, one does not state what was prepared; EPOCH_MISMATCH.
        Unavailable: EPOCH_NOT_READY.
    """
    final: list[CompartmentBytes] = []
    entries: list[tuple[int, NewEntry]] = []
    for item in manifests:
        compartment = Compartment(item.compartment)
        if item.epoch != latest_epoch(connection, subject, compartment):
            raise Rejected(EPOCH_MISMATCH, at=compartment.label)
        held = read_keys(connection, site.keystore, subject, compartment)[-1]
        known = fetch_one(
            connection,
            f"SELECT sealed FROM entry WHERE stream = ? AND position = 0 AND kind = {ENTRY_MANIFEST}",
            (held.stream,),
        )
        if known is not None:
            final.append(CompartmentBytes(item.compartment, item.epoch, known[0]))
            continue
        _check_manifest(connection, site, subject, compartment, cell, identity, held, item.value)
        envelope = add_signature(item.value, site.records_seed)
        entries.append((held.stream, _insert_manifest(connection, held, envelope)))
        final.append(CompartmentBytes(item.compartment, item.epoch, envelope))
    if not entries:
        return final, None
    message = build_entries_message(site, BATCH_RECORDS, [entry for _, entry in entries])
    batch = insert_batch(connection, site, BATCH_RECORDS, message)
    for stream, entry in entries:
        connection.execute("UPDATE entry SET batch = ? WHERE row = ?", (batch.row, entry.row))
        connection.execute("UPDATE stream SET batch = ? WHERE row = ?", (batch.row, stream))
    registry.forget()
    return final, batch


def read_manifests(
    connection: Connection, subject: int, compartments: Sequence[Compartment]
) -> list[CompartmentBytes]:
    """Latest sealed manifest of each compartment, as stored."""
    found = []
    for compartment in compartments:
        epoch = sealed_epoch(connection, subject, compartment)
        found.append(
            CompartmentBytes(int(compartment), epoch, read_manifest(connection, subject, compartment, epoch))
        )
    return found


def read_manifest(connection: Connection, subject: int, compartment: Compartment, epoch: int) -> bytes:
    """Manifest's envelope of a sealed epoch, as stored."""
    return bytes(
        fetch_value(
            connection,
            "SELECT entry.sealed FROM stream JOIN entry ON entry.stream = stream.row WHERE stream.subject = ? "
            f"AND stream.compartment = ? AND stream.epoch = ? AND entry.kind = {ENTRY_MANIFEST}",
            (subject, compartment, epoch),
        )
    )


def _check_manifest(
    connection: Connection,
    site: SiteContext,
    subject: int,
    compartment: Compartment,
    cell: CellID,
    identity: PublicKey,
    held: EpochKeys,
    envelope: bytes,
) -> None:
    state = epoch_state(connection, site, subject, compartment, require_ledger=True)
    expected = Manifest(
        1,
        key_digest(held.index_key),
        cell,
        held.epoch,
        tuple((Tag(of), Commitment(commitment)) for of, commitment in state.visible),
    )
    try:
        payload = verify_envelope(envelope, payload_type=MANIFEST_PAYLOAD_TYPE, signers=[identity])
        decode_manifest(payload)
    except (EnvelopeInvalid, OpeningInvalid) as error:
        raise Rejected(MANIFEST_INVALID, str(error), at=compartment.label) from None
    if payload != encode_manifest(expected):
        raise Rejected(MANIFEST_INVALID, at=compartment.label)


def _insert_manifest(connection: Connection, held: EpochKeys, envelope: bytes) -> NewEntry:
    first = tag(held.index_key, 0)
    salt = new_salt()
    commitment = manifest_commitment(first, salt, envelope)
    row = RowNumbers(connection).take()
    values: tuple[Any, ...] = (row, held.stream, ENTRY_MANIFEST, commitment, envelope, salt)
    connection.execute(
        "INSERT INTO entry (row, stream, position, kind, commitment, batch, sealed, secret) "
        "VALUES (?, ?, 0, ?, ?, 0, ?, ?)",
        values,
    )
    return NewEntry(row, first, commitment)
