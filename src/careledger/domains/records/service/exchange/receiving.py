"""What other organisations may ask of a site, by path: from a checked sender and a body to an answer's body.

Owns the table of paths. Signatures and HTTP are the routes' (`api.exchange`), and whether anything is allowed is
each desk's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from careledger.domains.records.service.agent.enrolment import ENROL_PATH, EnrolmentOffice
from careledger.domains.records.service.agent.notices import NoticeBoard
from careledger.domains.records.service.break_glass import EmergencyDesk
from careledger.domains.records.service.consent.command_desk import CommandDesk
from careledger.domains.records.service.consent.commands import KINDS
from careledger.domains.records.service.consent.escrow import EscrowDesk
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.disclosing import DisclosureDesk
from careledger.domains.records.service.exchange.errors import MESSAGE_INVALID
from careledger.domains.records.service.exchange.grants_held import HeldGrants
from careledger.domains.records.service.exchange.messages import (
    BreakGlassRequest,
    EnrolRequest,
    GrantDelivery,
    MatchRequest,
    Notice,
    ReadRequest,
    ShareRequest,
    read_request,
)
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected

CELLS_PATH: Final = "/cells/"

Handler = Callable[[Member, bytes], Awaitable[bytes]]


class ExchangeDesk:
    """Hands what comes in to who is responsible."""

    def __init__(
        self,
        *,
        disclosures: DisclosureDesk,
        emergencies: EmergencyDesk,
        desk: CommandDesk,
        enrolments: EnrolmentOffice,
        escrow: EscrowDesk,
        notices: NoticeBoard,
        held_grants: HeldGrants,
    ) -> None:
        self._disclosures = disclosures
        self._emergencies = emergencies
        self._desk = desk
        self._enrolments = enrolments
        self._escrow = escrow
        self._notices = notices
        self._held_grants = held_grants
        self._handlers: dict[str, Handler] = {
            ENROL_PATH: self._enrol,
            "/read": self._read,
            "/match": self._match,
            "/break-glass": self._break_glass,
            "/grants": self._grants,
            "/notices": self._notice,
            "/shares": self._share,
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path below `/exchange/v1`."""
        return (*self._handlers, *(f"{CELLS_PATH}{kind}" for kind in KINDS))

    async def receive(self, sender: Member, path: str, body: bytes) -> bytes:
        """Answer a request whose sender was checked.

        Raises:
            Rejected: MESSAGE_INVALID for an unknown path, or what the desk refuses with.
            Unavailable: What passes.
        """
        if path.startswith(CELLS_PATH):
            return await self._desk.execute(path.removeprefix(CELLS_PATH), body, brought_by=sender.slug)
        handler = self._handlers.get(path)
        if handler is None:
            raise Rejected(MESSAGE_INVALID, "an unknown path")
        return await handler(sender, body)

    async def _enrol(self, sender: Member, body: bytes) -> bytes:
        return encode(await self._enrolments.redeem(sender, read_request(body, EnrolRequest)))

    async def _read(self, sender: Member, body: bytes) -> bytes:
        return encode(await self._disclosures.read(sender, read_request(body, ReadRequest)))

    async def _match(self, sender: Member, body: bytes) -> bytes:
        return encode(await self._emergencies.match(sender, read_request(body, MatchRequest)))

    async def _break_glass(self, sender: Member, body: bytes) -> bytes:
        return encode(await self._emergencies.open(sender, read_request(body, BreakGlassRequest)))

    async def _grants(self, sender: Member, body: bytes) -> bytes:
        await self._held_grants.receive(sender, read_request(body, GrantDelivery))
        return b""

    async def _notice(self, sender: Member, body: bytes) -> bytes:
        await self._notices.receive(sender, read_request(body, Notice))
        return b""

    async def _share(self, sender: Member, body: bytes) -> bytes:
        return encode(await self._escrow.ask(sender, read_request(body, ShareRequest)))
