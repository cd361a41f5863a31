"""A patient whose wallet is here becomes a patient elsewhere, by a code that the patient brings along.

The agent makes a code; the patient shows it at the other organisation; that organisation redeems it here, signed
as itself, and is given exactly what a custodian needs: keys for its own streams, sealed to it, the contents of a
new cell, and manifests signed by the wallet. The root never leaves, and what one custodian is given says nothing
of another's.

A code is 128 random bits, counts for a short time and for one organisation; redeeming it again, after a lost
answer, gives that organisation the same.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain.types import CELL_CONTENTS_BYTES, compute_cell_id
from careledger.domains.records.service.agent.errors import ALREADY_ENROLLED, ENROLMENT_INVALID
from careledger.domains.records.service.agent.wallets import (
    WalletStore,
    identity_of,
    new_cell_contents,
    sign_first_manifests,
)
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.commands import custodian_key_info
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.directory import Directory, Member, require_member
from careledger.domains.records.service.exchange.errors import CODE_UNKNOWN
from careledger.domains.records.service.exchange.messages import (
    VERSION,
    EnrolAnswer,
    EnrolRequest,
    read_answer,
)
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.streams import FIRST_EPOCH, SubjectKeys
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import labelled
from careledger.primitives.identifiers import CellID, PublicKey, is_slug
from careledger.primitives.timestamps import MINUTE_MS
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import verify_envelope
from careledger.vault.errors import EnvelopeInvalid, VaultError
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import IndexKey
from careledger.vault.streams import MANIFEST_PAYLOAD_TYPE, Manifest, encode_manifest, key_digest
from careledger.vault.wallet import Custodian, Wallet
from careledger.vault.wrapping import grant_key, open_granted_key

CODE_BYTES: Final = 16
CODE_LIFE_MS: Final = 15 * MINUTE_MS
ENROL_PATH: Final = "/enrol"
ACCESS_LOG: Final = "access-log"

_CODE_LABEL: Final = "careledger/enrolment-code/1"


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """What a patient shows at another organisation."""

    agent: str
    """Who keeps the wallet."""
    secret: bytes

    @property
    def text(self) -> str:
        """The code in writing, and in a QR code: `agent:SECRET`."""
        return f"{self.agent}:{base64.b32encode(self.secret).decode().rstrip('=')}"

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<EnrolmentCode of {self.agent}: not shown>"


def parse_code(text: str) -> EnrolmentCode:
    """Read a code; spaces, hyphens and small letters do not matter.

    Raises:
        Rejected: CODE_UNKNOWN, it cannot be one.
    """
    agent, separator, secret = text.strip().partition(":")
    compact = secret.replace(" ", "").replace("-", "").upper()
    try:
        raw = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except ValueError:
        raise Rejected(CODE_UNKNOWN) from None
    if not separator or not is_slug(agent) or len(raw) != CODE_BYTES:
        raise Rejected(CODE_UNKNOWN)
    return EnrolmentCode(agent, raw)


class EnrolmentOffice:
    """The agent's side: makes codes and redeems them."""

    def __init__(self, site: SiteContext, writer: RecordWriter, wallets: WalletStore) -> None:
        self._site = site
        self._writer = writer
        self._wallets = wallets

    async def make_code(self, patient_id: str, *, life_ms: int = CODE_LIFE_MS) -> EnrolmentCode:
        """Make a code for a patient of this agent; durable on return.

        Raises:
            Rejected: WALLET_UNKNOWN.
        """
        code = EnrolmentCode(self._site.slug, os.urandom(CODE_BYTES))
        expires_ms = self._site.clock_ms() + life_ms

        def write(connection: Connection) -> None:
            self._wallets.load(connection, patient_id)
            connection.execute("DELETE FROM agent_code WHERE expires_ms < ?", (self._site.clock_ms(),))
            connection.execute(
                "INSERT INTO agent_code VALUES (?, ?, ?, 0, NULL)",
                (_digest(code.secret), patient_id, expires_ms),
            )

        await self._writer.in_transaction(write)
        return code

    async def redeem(self, custodian: Member, request: EnrolRequest) -> EnrolAnswer:
        """Give a custodian what it needs of the wallet behind a code.

        Raises:
            Rejected: CODE_UNKNOWN, ALREADY_ENROLLED; PEER_UNKNOWN, the custodian receives no sealed keys.
        """
        recipient = custodian.recipient()
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> tuple[Wallet, bytes]:
            row = fetch_one(
                connection,
                "SELECT wallet, custodian, contents FROM agent_code WHERE digest = ? AND expires_ms >= ?",
                (_digest(request.code), now_ms),
            )
            if row is None or row[1] not in (0, custodian.organisation):
                raise Rejected(CODE_UNKNOWN)
            wallet = self._wallets.load(connection, row[0])
            if row[2] is not None:
                return wallet, row[2]
            if custodian.organisation == self._site.organisation or fetch_one(
                connection,
                "SELECT 1 FROM agent_cell WHERE wallet = ? AND custodian = ?",
                (row[0], custodian.organisation),
            ):
                raise Rejected(ALREADY_ENROLLED)
            contents = new_cell_contents(wallet, self._name(custodian))
            cell = compute_cell_id(self._site.chain_id, custodian.organisation, contents)
            connection.execute(
                "UPDATE agent_code SET custodian = ?, contents = ? WHERE digest = ?",
                (custodian.organisation, contents, _digest(request.code)),
            )
            connection.execute(
                "INSERT INTO agent_cell VALUES (?, ?, ?, NULL)", (cell, row[0], custodian.organisation)
            )
            return wallet, contents

        wallet, contents = await self._writer.in_transaction(write)
        return self._answer(wallet, custodian, contents, recipient)

    def _name(self, custodian: Member) -> Custodian:
        return Custodian(chain=self._site.chain_id, organisation=custodian.organisation)

    def _answer(
        self, wallet: Wallet, custodian: Member, contents: bytes, recipient: RecipientKey
    ) -> EnrolAnswer:
        name = self._name(custodian)
        cell = CellID(compute_cell_id(self._site.chain_id, custodian.organisation, contents))
        keys = wallet.custodian(name)

        def seal(key: IndexKey, subject: str) -> bytes:
            return grant_key(
                key, recipient, custodian_key_info(self._site.chain_id, cell, subject, FIRST_EPOCH)
            )

        manifests = sign_first_manifests(wallet, name, cell)
        return EnrolAnswer(
            VERSION,
            tuple(
                (one.value, seal(keys.index_key(one.label, FIRST_EPOCH), one.label)) for one in COMPARTMENTS
            ),
            seal(keys.access_log_key(FIRST_EPOCH), ACCESS_LOG),
            contents,
            identity_of(wallet),
            wallet.opening_key().recipient.raw,
            self._site.slug,
            tuple((one.value, manifests[one]) for one in COMPARTMENTS),
        )


class EnrolmentDesk:
    """The custodian's side: redeems the code a new patient brings along."""

    def __init__(
        self,
        site: SiteContext,
        directory: Directory,
        client: ExchangeClient,
        opening_key: OpeningKey,
    ) -> None:
        self._site = site
        self._directory = directory
        self._client = client
        self._opening_key = opening_key

    async def redeem(self, text: str) -> SubjectKeys:
        """Redeem a code; what comes back goes into the creation of the Patient (`Change.enrolment`).

        Raises:
            Rejected: CODE_UNKNOWN; ENROLMENT_INVALID, what the agent gave does not fit together.
            Unavailable: The agent cannot be reached.
        """
        code = parse_code(text)
        agent = require_member(self._directory, code.agent)
        body = await self._client.call(agent, ENROL_PATH, encode(EnrolRequest(VERSION, code.secret)))
        return self._read(read_answer(body, EnrolAnswer), agent)

    def _read(self, answer: EnrolAnswer, agent: Member) -> SubjectKeys:
        """Open and check: keys for all compartments, and manifests that the wallet signed over them."""
        if len(answer.cell_contents) != CELL_CONTENTS_BYTES or answer.agent != agent.slug:
            raise Rejected(ENROLMENT_INVALID, at="cell_contents")
        cell = CellID(compute_cell_id(self._site.chain_id, self._site.organisation, answer.cell_contents))
        expected = [one.value for one in COMPARTMENTS]
        if [number for number, _ in answer.index_keys] != expected or (
            [number for number, _ in answer.manifests] != expected
        ):
            raise Rejected(ENROLMENT_INVALID, "a compartment is missing", at="index_keys")
        index_keys = {
            Compartment(number): self._open(cell, sealed, Compartment(number).label)
            for number, sealed in answer.index_keys
        }
        manifests = {Compartment(number): envelope for number, envelope in answer.manifests}
        for compartment, envelope in manifests.items():
            manifest = Manifest(1, key_digest(index_keys[compartment]), cell, FIRST_EPOCH, ())
            try:
                payload = verify_envelope(
                    envelope, payload_type=MANIFEST_PAYLOAD_TYPE, signers=[PublicKey(answer.identity)]
                )
            except EnvelopeInvalid as error:
                raise Rejected(ENROLMENT_INVALID, str(error), at="manifests") from None
            if payload != encode_manifest(manifest):
                raise Rejected(ENROLMENT_INVALID, "a manifest of another key or cell", at="manifests")
        try:
            RecipientKey(answer.recipient)
        except ValueError:
            raise Rejected(ENROLMENT_INVALID, at="recipient") from None
        return SubjectKeys(
            index_keys=index_keys,
            access_key=self._open(cell, answer.access_key, ACCESS_LOG),
            cell_contents=answer.cell_contents,
            identity=answer.identity,
            recipient=answer.recipient,
            agent=agent.slug,
            manifests=manifests,
        )

    def _open(self, cell: CellID, sealed: bytes, subject: str) -> IndexKey:
        info = custodian_key_info(self._site.chain_id, cell, subject, FIRST_EPOCH)
        try:
            return open_granted_key(sealed, self._opening_key, info, IndexKey)
        except (VaultError, ValueError):
            raise Rejected(ENROLMENT_INVALID, "a key does not open", at="index_keys") from None


def _digest(secret: bytes) -> bytes:
    return labelled(_CODE_LABEL, secret)
