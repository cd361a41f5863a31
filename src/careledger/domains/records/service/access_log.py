"""Who looked at a patient's record: every custodian's log, verified against the ledger, with its gaps named.

The access log's key follows from the wallet, so the agent computes every tag of a custodian's log itself and asks
the ledger what stands there. What the custodian shows must be what it committed to; what it committed to and does
not show is named; a position that is missing is looked past, up to 64 of them. Where another organisation looked,
its own entry is looked for, too. Machines are shown like people.

This finds insiders, and one side that is dishonest. It does not find two organisations that agree to log nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.agent.sessions import CellSession, Sessions
from careledger.domains.records.service.audit_events import access_commitment
from careledger.domains.records.service.consent.commands import (
    ACCESS_LOG,
    LogFrom,
    LogItem,
    LogPage,
    read_body,
)
from careledger.domains.records.service.consent.vocabulary import ORGANISATION_SYSTEM
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Directory
from careledger.domains.records.service.exchange.entries import read_exchanges
from careledger.domains.records.service.exchange.mirror import has_mirror
from careledger.domains.records.service.streams import FIRST_EPOCH
from careledger.primitives.errors import CodedError
from careledger.sdk.context import View
from careledger.standards.fhir.json_types import JsonObject
from careledger.vault.keys import IndexKey
from careledger.vault.streams import tag

LOOK_AHEAD: Final = 64
PAGES_MAX: Final = 10_000


class GapKind(StrEnum):
    """What is wrong at a position of a log."""

    HIDDEN = "hidden"
    """The ledger has an entry that the custodian does not show."""
    ALTERED = "altered"
    """What is shown is not what was committed to."""
    MISSING = "missing"
    """The ledger has nothing there, and has something later."""
    NO_MIRROR = "no-mirror"
    """The organisation that looked has not committed an entry of its own."""
    UNREACHABLE = "unreachable"
    """The custodian could not be asked; what the ledger has of its log is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One entry of a log, as it was committed to."""

    custodian: str
    position: int
    height: int
    """Block that carries it; 0 while it is not on the ledger yet."""
    event: JsonObject
    """The AuditEvent."""

    def __repr__(self) -> str:
        """Show no one."""
        return f"<Look at {self.custodian}, position {self.position}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that does not add up."""

    custodian: str
    kind: GapKind
    position: int
    """Position in the custodian's log; for `UNREACHABLE`, how many entries the ledger has."""


@dataclass(slots=True)
class AccessReport:
    """Who looked, everywhere."""

    looks: list[Look] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """One custodian's log and the key that its tags follow from."""

    custodian: str
    organisation: int
    key: IndexKey
    items: Sequence[LogItem]


def verify_log(view: View, source: LogSource, find_organisation: Callable[[str], int | None]) -> AccessReport:
    """Compare what a custodian shows with what the ledger has.

    Args:
        view: the own view of the ledger.
        source: what is shown.
        find_organisation: number of an organisation by its short name.
    """
    report = AccessReport()
    shown = {item.position: item for item in source.items}
    absent: list[int] = []
    position = 0
    while len(absent) < LOOK_AHEAD:
        of = tag(source.key, position)
        entry = keeper.access_entry(view.store, source.organisation, of)
        item = shown.pop(position, None)
        if entry is None:
            absent.append(position)
            if item is not None:
                report.looks.append(_look(source, item, 0))
        else:
            report.gaps += [
                Gap(custodian=source.custodian, kind=GapKind.MISSING, position=missing)
                for missing in absent
                if not _is_shown(report, source, missing)
            ]
            absent = []
            if item is None:
                report.gaps.append(Gap(custodian=source.custodian, kind=GapKind.HIDDEN, position=position))
            elif access_commitment(of, item.salt, item.event) != entry.commitment:
                report.gaps.append(Gap(custodian=source.custodian, kind=GapKind.ALTERED, position=position))
            else:
                report.looks.append(_look(source, item, entry.height))
                if _lacks_mirror(view, source, item, find_organisation):
                    report.gaps.append(
                        Gap(custodian=source.custodian, kind=GapKind.NO_MIRROR, position=position)
                    )
        position += 1
    # What is shown past the end the ledger knows is not on the ledger yet.
    report.looks += [_look(source, shown[position], 0) for position in sorted(shown)]
    return report


class AccessLogReader:
    """Gathers and verifies logs on behalf of patients whose wallets are here."""

    def __init__(self, site: SiteContext, directory: Directory, sessions: Sessions) -> None:
        self._site = site
        self._directory = directory
        self._sessions = sessions

    async def who_looked(self, patient_id: str) -> AccessReport:
        """Every look at a patient's record, at this site and at every other custodian.

        Raises:
            Rejected: WALLET_UNKNOWN.
        """
        report = AccessReport()
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            one = await self._read(session)
            report.looks += one.looks
            report.gaps += one.gaps
        report.looks.sort(key=lambda look: str(look.event.get("recorded", "")))
        return report

    async def _read(self, session: CellSession) -> AccessReport:
        key = session.keys.access_log_key(FIRST_EPOCH)
        organisation = session.custodian.organisation
        try:
            items = await fetch_log(session.command)
        except CodedError:
            with self._site.view.at_head() as view:
                count = _count(view, organisation, key)
            gap = Gap(custodian=session.custodian.slug, kind=GapKind.UNREACHABLE, position=count)
            return AccessReport(gaps=[gap])
        source = LogSource(custodian=session.custodian.slug, organisation=organisation, key=key, items=items)
        with self._site.view.at_head() as view:
            return verify_log(view, source, self._find_organisation)

    def _find_organisation(self, slug: str) -> int | None:
        member = self._directory.by_slug(slug)
        return None if member is None else member.organisation


async def fetch_log(command: Callable[[str, LogFrom], Awaitable[bytes]]) -> list[LogItem]:
    """All pages of a custodian's log.

    Raises:
        Rejected: What the custodian refuses with; COMMAND_INVALID for an answer that is none.
        Unavailable: It cannot be reached.
    """
    items: list[LogItem] = []
    first = 0
    for _ in range(PAGES_MAX):
        page = read_body(await command(ACCESS_LOG, LogFrom(first)), LogPage)
        items += page.items
        if page.next_first <= first:
            break
        first = page.next_first
    return items


def _look(source: LogSource, item: LogItem, height: int) -> Look:
    try:
        event = msgspec.json.decode(item.event)
    except msgspec.DecodeError:
        event = None
    return Look(
        custodian=source.custodian,
        position=item.position,
        height=height,
        event=event if isinstance(event, dict) else {},
    )


def _is_shown(report: AccessReport, source: LogSource, position: int) -> bool:
    """Whether an entry that the ledger does not have is shown all the same; then it is pending, not missing."""
    return any(look.custodian == source.custodian and look.position == position for look in report.looks)


def _lacks_mirror(
    view: View, source: LogSource, item: LogItem, find_organisation: Callable[[str], int | None]
) -> bool:
    """Whether another organisation looked and has not committed to it."""
    exchanges = read_exchanges(item.event)
    if not exchanges:
        return False
    others = [
        number
        for number in (find_organisation(slug) for slug in _organisations(item.event))
        if number is not None and number != source.organisation
    ]
    try:
        names = [bytes.fromhex(name) for name in exchanges]
    except ValueError:
        return True
    return bool(others) and not any(
        has_mirror(view.store, number, name) for number in others for name in names
    )


def _organisations(event: bytes) -> list[str]:
    """Short names of organisations that an event names as agents."""
    try:
        value = msgspec.json.decode(event)
    except msgspec.DecodeError:
        return []
    found = []
    agents = value.get("agent", []) if isinstance(value, dict) else []
    for agent in agents if isinstance(agents, list) else []:
        who = agent.get("who") if isinstance(agent, dict) else None
        identifier = who.get("identifier") if isinstance(who, dict) else None
        if isinstance(identifier, dict) and identifier.get("system") == ORGANISATION_SYSTEM:
            found.append(str(identifier.get("value")))
    return found


def _count(view: View, organisation: int, key: IndexKey) -> int:
    count = position = missing = 0
    while missing < LOOK_AHEAD:
        if keeper.access_entry(view.store, organisation, tag(key, position)) is None:
            missing += 1
        else:
            count, missing = count + 1, 0
        position += 1
    return count
