"""Building the answer to a read, once everything that may refuse it has been asked.

Owns the cutting of long answers and the heads. Whether anything may be answered at all is `disclosing`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.cells import LeafProof
from careledger.domains.records.service.consent.facts import read_facts
from careledger.domains.records.service.consent.policy import RecordFacts
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.heads import (
    SINGLES,
    STREAM,
    Head,
    sign_head,
    singles_content,
    singles_name,
    stream_name,
)
from careledger.domains.records.service.exchange.messages import (
    ANSWER_CONTENT_BYTES,
    Item,
    Single,
    StreamAnswer,
)
from careledger.domains.records.service.exchange.release import (
    HeldStream,
    OpenedRecord,
    open_record,
    single_key_info,
    to_item,
    to_single,
)
from careledger.domains.records.service.schema import ENTRY_RECORD
from careledger.primitives.identifiers import CellID
from careledger.vault.kem import RecipientKey
from careledger.vault.keys import CompartmentKey
from careledger.vault.streams import manifest_hash

Permit = Callable[[RecordFacts], bool]
"""Whether one record may be released."""


class Room:
    """What is left of an answer's length."""

    def __init__(self, content_bytes: int = ANSWER_CONTENT_BYTES) -> None:
        self._left_bytes = content_bytes

    def take(self, size_bytes: int) -> bool:
        """Whether there is still room; the entry that exceeds it is still taken."""
        had_room = self._left_bytes > 0
        self._left_bytes -= size_bytes
        return had_room


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglesBasis:
    """Under what single records are released, and to whom."""

    cell: CellID
    name: bytes
    """The grant's name, or the emergency's; 32 bytes."""
    purpose: str
    expires_at_ms: int
    policy_hash: bytes
    recipient: RecipientKey


def build_stream(
    site: SiteContext,
    cell: CellID,
    stream: HeldStream,
    proof: LeafProof,
    disclosure: CompartmentKey,
    *,
    height: int,
    skip: int,
    room: Room,
) -> StreamAnswer:
    """One whole compartment, from an entry on and as far as there is room."""
    items: list[Item] = []
    for entry in stream.entries[skip:]:
        if not room.take(len(entry.sealed or b"") + 200):
            break
        items.append(to_item(site, stream, entry, disclosure))
    head = Head(
        1,
        STREAM,
        site.chain_id,
        site.organisation,
        stream_name(cell, stream.compartment, stream.epoch),
        manifest_hash(stream.manifest),
        stream.n,
        height,
    )
    return StreamAnswer(
        int(stream.compartment),
        stream.epoch,
        stream.manifest,
        stream.manifest_salt,
        proof,
        sign_head(head, site.records_seed),
        skip,
        tuple(items),
        len(stream.entries),
    )


def choose_singles(
    site: SiteContext, streams: Mapping[Compartment, HeldStream], permit: Permit
) -> list[tuple[Compartment, OpenedRecord]]:
    """Records that may be released one by one, in the order of compartments and positions.

    A deletion has no content to judge; it goes with the version that it ends.
    """
    chosen: list[tuple[Compartment, OpenedRecord]] = []
    for compartment, stream in streams.items():
        permitted: set[tuple[str, str]] = set()
        for entry in stream.entries:
            if entry.kind != ENTRY_RECORD or entry.sealed is None or entry.secret is None:
                continue
            opened = open_record(site, compartment, entry)
            name = (entry.resource_type, entry.resource_id)
            if opened.value is None:
                if name in permitted:
                    chosen.append((compartment, opened))
                continue
            if permit(read_facts(compartment, *name, opened.value)):
                permitted.add(name)
                chosen.append((compartment, opened))
    return chosen


def build_singles(
    chosen: Sequence[tuple[Compartment, OpenedRecord]],
    basis: SinglesBasis,
    site: SiteContext,
    *,
    skip: int,
    room: Room,
) -> tuple[Single, ...]:
    """Seal the keys of chosen records to who asks, one by one, as far as there is room."""
    singles: list[Single] = []
    for compartment, opened in chosen[skip:]:
        if not room.take(len(opened.held.sealed or b"") + 1_500):
            break
        singles.append(
            to_single(
                compartment,
                opened,
                basis.recipient,
                lambda held: single_key_info(
                    site.chain_id,
                    basis.cell,
                    held.tag,
                    basis.purpose,
                    held.keys.epoch,
                    basis.expires_at_ms,
                    basis.policy_hash,
                ),
            )
        )
    return tuple(singles)


def sign_singles_head(
    chosen: Sequence[tuple[Compartment, OpenedRecord]],
    basis: SinglesBasis,
    site: SiteContext,
    *,
    height: int,
) -> bytes:
    """Head over everything that is released one by one, whether it fits into this answer or not."""
    tags = [opened.held.tag for _, opened in chosen]
    head = Head(
        1,
        SINGLES,
        site.chain_id,
        site.organisation,
        singles_name(basis.cell, basis.name),
        singles_content(tags),
        len(tags),
        height,
    )
    return sign_head(head, site.records_seed)
