"""The queue of what must be looked at afterwards: every breaking of the glass, at both organisations.

Whoever broke the glass does not judge it. Owns the queue; how a verdict is acted on is the organisation's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from careledger.domains.records.service.agent.errors import DUAL_CONTROL
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.errors import RESOURCE_UNKNOWN
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.storage.sqlite import Connection

_COLUMNS = (
    "row, side, kind, at_ms, session, patient_id, organisation, practitioner, affiliation, reason, nature, "
    "part_2, verdict, reviewed_by, reviewed_ms, remark"
)


class Side(StrEnum):
    """Which side of it this site was."""

    CUSTODIAN = "custodian"
    REQUESTER = "requester"


class Verdict(StrEnum):
    """What a review found."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not-justified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One thing to be looked at."""

    number: int
    side: str
    kind: str
    """`break-glass`, or `match-uncertain`: somebody was looked for, and it was not certain who."""
    at_ms: int
    session: bytes
    patient_id: str | None
    organisation: str
    """The other one."""
    practitioner: str
    affiliation: str
    reason: str
    nature: str
    """Nature of the emergency (42 CFR 2.51(c))."""
    part_2: bool
    """Whether substance use records were opened."""
    verdict: str | None
    reviewed_by: str | None
    reviewed_ms: int | None
    remark: str | None

    def __repr__(self) -> str:
        """Show no one."""
        return f"<Review {self.number}: {self.kind}, {self.verdict or 'open'}>"


def insert_review(
    connection: Connection,
    *,
    side: Side,
    kind: str,
    at_ms: int,
    session: bytes,
    patient_id: str | None,
    organisation: str,
    practitioner: str,
    affiliation: str,
    reason: str,
    nature: str,
    part_2: bool,
) -> None:
    """Queue a review inside the caller's transaction."""
    connection.execute(
        "INSERT INTO review (side, kind, at_ms, session, patient_id, organisation, practitioner, affiliation, "
        "reason, nature, part_2) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            side.value,
            kind,
            at_ms,
            session,
            patient_id,
            organisation,
            practitioner,
            affiliation,
            reason,
            nature,
            int(part_2),
        ),
    )


class ReviewQueue:
    """Reviews of one site."""

    def __init__(self, site: SiteContext, writer: RecordWriter) -> None:
        self._site = site
        self._writer = writer

    def read(self, *, open_only: bool = True, after: int = 0, count: int = 100) -> list[Review]:
        """Reviews in the order they came in."""
        clause = "AND verdict IS NULL" if open_only else ""
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                f"SELECT {_COLUMNS} FROM review WHERE row > ? {clause} ORDER BY row LIMIT ?",
                (after, count),
            )
        return [
            Review(
                number=row[0],
                side=row[1],
                kind=row[2],
                at_ms=row[3],
                session=row[4],
                patient_id=row[5],
                organisation=row[6],
                practitioner=row[7],
                affiliation=row[8],
                reason=row[9],
                nature=row[10],
                part_2=bool(row[11]),
                verdict=row[12],
                reviewed_by=row[13],
                reviewed_ms=row[14],
                remark=row[15],
            )
            for row in rows
        ]

    async def decide(self, number: int, verdict: Verdict, *, by: str, remark: str) -> None:
        """Close a review.

        Raises:
            Rejected: DUAL_CONTROL, by who broke the glass, or without a remark; RESOURCE_UNKNOWN.
        """
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> None:
            row = fetch_one(
                connection, "SELECT practitioner FROM review WHERE row = ? AND verdict IS NULL", (number,)
            )
            if row is None:
                raise Rejected(RESOURCE_UNKNOWN)
            if not by.strip() or not remark.strip() or by == row[0]:
                raise Rejected(DUAL_CONTROL)
            connection.execute(
                "UPDATE review SET verdict = ?, reviewed_by = ?, reviewed_ms = ?, remark = ? WHERE row = ?",
                (verdict.value, by, now_ms, remark, number),
            )

        await self._writer.in_transaction(write)
