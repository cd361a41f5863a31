"""Wallets on their way: enrolment elsewhere by a code, shares, stolen wallets replaced, and taken along."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from careledger.domains.records.service.agent.authority import ByPatient, ByStaff
from careledger.domains.records.service.agent.enrolment import parse_code
from careledger.domains.records.service.agent.errors import (
    ALREADY_ENROLLED,
    DUAL_CONTROL,
    ENROLMENT_INVALID,
    NO_CELL_THERE,
    RECOVERY_NOT_READY,
    SHARES_WRONG,
    WALLET_UNKNOWN,
)
from careledger.domains.records.service.agent.wallets import SPARE_WALLETS, WalletStore, wallet_name
from careledger.domains.records.service.consent.errors import CELL_UNKNOWN_HERE, NOT_GRANTED
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.exchange.errors import CODE_UNKNOWN, NOT_THE_AGENT, PEER_UNREACHABLE
from careledger.domains.records.service.exchange.messages import EnrolAnswer, EnrolRequest
from careledger.primitives.errors import Rejected, Unavailable
from careledger.vault.errors import PassphraseWrong
from careledger.vault.recovery import ShareHolder
from careledger.vault.share_text import share_from_text
from careledger.vault.wallet import Wallet
from domains.records.consent.consent_samples import consent, permission
from domains.records.exchange.exchange_sites import BASES, ExchangeSite, Network, SharedNetwork
from kit.samples import create, observation, patient
from kit.sites import CHEAP

PATIENT = ByPatient(name="the patient")
STAFF = ByStaff(people=("one", "two"), reason="lost the telephone")
Story = Callable[[Network], Awaitable[None]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("wallets"), "hospital-a", "hospital-b", "practice")
    yield network
    network.close()


async def refused(code: object, wait: Awaitable[object]) -> None:
    with pytest.raises((Rejected, Unavailable)) as refusal:
        await wait
    assert refusal.value.code is code


async def enrol(agent: ExchangeSite, custodian: ExchangeSite, who: str) -> str:
    """The patient of one site becomes a patient of another by a code; returns their id there."""
    code = await agent.sharing.enrolments.make_code(who)
    keys = await custodian.sharing.newcomers.redeem(code.text)
    change = create(patient("Elsewhere"))
    change.enrolment = keys
    await custodian.writer.write([change], wait_ms=5_000)
    await custodian.writer.flush()
    return change.resource_id


async def allow(agent: ExchangeSite, who: str, custodian: str, to: str) -> list[bytes]:
    policy = read_consent(consent(who, permission(to)), patient=f"Patient/{who}")
    held = await agent.sharing.agent.grant(who, custodian, policy, authority=PATIENT)
    return [grant.name for grant in held]


async def read(site: ExchangeSite, custodian: ExchangeSite, there: str) -> int:
    result = await site.sharing.reader.read(site.question(custodian.slug, custodian.cell(there)))
    return len(result.entries)


# -- enrolment -----------------------------------------------------------------------------------------------


def test_a_patient_is_enrolled_elsewhere_by_a_code_and_the_agent_acts_there(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        there = await enrol(a, b, who)
        await b.add_results(there, 3)
        subject = b.sharing.custody.find_patient(there)
        assert subject is not None
        assert subject.agent == "hospital-a"
        assert await a.sharing.sessions.custodians(who) == ["hospital-a", "hospital-b"]
        # The custodian holds no root: nothing in its keystore is named for this cell.
        assert not b.context.keystore.has(wallet_name(subject.cell))
        names = await allow(a, who, "hospital-b", "practice")
        assert await read(c, b, there) == 4
        await a.sharing.agent.refresh(who, "hospital-b")
        await a.sharing.agent.revoke(who, "hospital-b", names, authority=PATIENT)
        await refused(NOT_GRANTED, read(c, b, there))
        # Somebody else than the agent brings a command of the wallet: not obeyed.
        session = await a.sharing.sessions.open(who, "hospital-b")
        assert session.custodian.slug == "hospital-b"
        await b.writer.in_transaction(
            lambda connection: connection.execute(
                "UPDATE subject SET agent = 'practice' WHERE patient_id = ?", (there,)
            ).fetchall()
        )
        await refused(NOT_THE_AGENT, a.sharing.agent.refresh(who, "hospital-b"))

    shared.play(story)


def test_where_a_patient_is_known_the_grant_says_so(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        there = await enrol(a, b, who)
        await allow(a, who, "hospital-a", "hospital-b")
        for _ in range(200):
            if b.sharing.held_grants.of_patient(there):
                break
            await a.sharing.outgoing._send_due()
        [known] = b.sharing.held_grants.of_patient(there)
        assert known.cell == a.cell(who)
        stranger = await a.add_patient()
        await allow(a, stranger, "hospital-a", "hospital-b")
        await a.sharing.outgoing._send_due()
        cells = {grant.cell for grant in b.sharing.held_grants.unlinked()}
        assert a.cell(stranger) in cells

    shared.play(story)


def test_a_code_counts_once_and_for_one_organisation(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        code = await a.sharing.enrolments.make_code(who)
        assert parse_code(f"  {code.text.replace(':', ': ').lower()} ") == code
        first = await b.sharing.newcomers.redeem(code.text)
        again = await b.sharing.newcomers.redeem(code.text)
        assert again.cell_contents == first.cell_contents
        assert again.index_keys == first.index_keys
        await refused(CODE_UNKNOWN, c.sharing.newcomers.redeem(code.text))
        another = await a.sharing.enrolments.make_code(who)
        await refused(ALREADY_ENROLLED, b.sharing.newcomers.redeem(another.text))
        own = await a.sharing.enrolments.make_code(who)
        await refused(ALREADY_ENROLLED, a.sharing.enrolments.redeem(member(a), EnrolRequest(1, own.secret)))
        late = await a.sharing.enrolments.make_code(who, life_ms=-1)
        await refused(CODE_UNKNOWN, c.sharing.newcomers.redeem(late.text))
        for text in (
            "",
            "hospital-a",
            "hospital-a:",
            "hospital-a:AAAA",
            "Hospital A:" + "A" * 26,
            ":" + "A" * 26,
        ):
            await refused(CODE_UNKNOWN, c.sharing.newcomers.redeem(text))
        await refused(CODE_UNKNOWN, c.sharing.newcomers.redeem(f"hospital-a:{'A' * 26}"))
        await refused(WALLET_UNKNOWN, a.sharing.enrolments.make_code("nobody"))
        assert "not shown" in repr(code)

    shared.play(story)


def member(site: ExchangeSite) -> Any:
    found = site.directory.by_slug(site.slug)
    assert found is not None
    return found


def test_an_enrolment_that_does_not_fit_together_is_refused(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who, other = await a.add_patient(), await a.add_patient()
        answers = []
        for one in (who, other):
            code = await a.sharing.enrolments.make_code(one)
            answers.append(await a.sharing.enrolments.redeem(member(b), EnrolRequest(1, code.secret)))
        good, foreign = answers
        desk = b.sharing.newcomers
        desk._read(good, member(a))

        def changed(**parts: object) -> EnrolAnswer:
            return msgspec.structs.replace(good, **parts)

        for bad in (
            changed(cell_contents=foreign.cell_contents),
            changed(cell_contents=good.cell_contents[:-1]),
            changed(index_keys=foreign.index_keys),
            changed(index_keys=good.index_keys[:-1]),
            changed(index_keys=good.index_keys[::-1]),
            changed(access_key=foreign.access_key),
            changed(manifests=foreign.manifests),
            changed(manifests=good.manifests[1:]),
            changed(identity=foreign.identity),
            changed(recipient=b"short"),
            changed(agent="hospital-b"),
        ):
            with pytest.raises(Rejected) as refusal:
                desk._read(bad, member(a))
            assert refusal.value.code is ENROLMENT_INVALID

    shared.play(story)


def test_wallets_are_made_ahead_and_none_is_lost(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        await a.add_patient()
        names = a.context.keystore.names("cell-wallet/")
        taken = {a.cell(row) for row in await patients(a)}
        spare = [name for name in names if bytes.fromhex(name.removeprefix("cell-wallet/")) not in taken]
        assert 0 < len(spare) <= SPARE_WALLETS
        # A site that starts anew takes them up again.
        store = WalletStore(a.context)
        assert await a.writer.in_transaction(store.reclaim) == len(spare)

    shared.play(story)


async def patients(site: ExchangeSite) -> list[str]:
    with site.context.database.snapshot() as connection:
        rows = connection.execute("SELECT patient_id FROM subject WHERE row <> 0 AND agent = ?", (site.slug,))
        return [str(row[0]) for row in rows]


# -- lost ----------------------------------------------------------------------------------------------------


def test_two_of_three_shares_give_a_lost_wallet_back(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        there = await enrol(a, b, who)
        await b.add_results(there, 1)
        await allow(a, who, "hospital-b", "practice")
        texts = await a.sharing.recovery.issue_shares(who, "hospital-b")
        assert set(texts) == {ShareHolder.DEVICE, ShareHolder.CONTACT}
        await a.writer.in_transaction(lambda connection: a.sharing.wallets.destroy(connection, who))
        await refused(WALLET_UNKNOWN, a.sharing.agent.grants(who))
        # The custodian's share: two people ask, the agent is told, and it takes its time.
        cell = b.cell(there)
        await refused(DUAL_CONTROL, a.sharing.recovery.ask_for_share("hospital-b", cell, ("one", "one")))
        await refused(
            CELL_UNKNOWN_HERE, a.sharing.recovery.ask_for_share("hospital-b", os.urandom(32), ("one", "two"))
        )
        _, share = await a.sharing.recovery.ask_for_share("hospital-b", cell, ("one", "two"))
        assert share is None
        await b.sharing.outgoing._send_due()
        assert [notice.kind for notice in a.sharing.notices.read(who)][-1] == "recovery-asked"
        # Somebody else's question starts the delay anew, for both.
        await c.sharing.recovery.ask_for_share("hospital-b", cell, ("x", "y"))
        _, share = await a.sharing.recovery.ask_for_share("hospital-b", cell, ("one", "two"))
        assert share is None
        share = await wait_for_share(a, cell)
        for wrong in (
            [texts[ShareHolder.DEVICE]],
            [texts[ShareHolder.DEVICE], texts[ShareHolder.DEVICE]],
            ["not a share", texts[ShareHolder.DEVICE]],
        ):
            await refused(SHARES_WRONG, a.sharing.recovery.recover(who, wrong, authority=STAFF))
        alone = ByStaff(people=("one",), reason="lost")
        await refused(
            DUAL_CONTROL,
            a.sharing.recovery.recover(who, [share, texts[ShareHolder.CONTACT]], authority=alone),
        )
        other = await a.add_patient()
        await refused(
            SHARES_WRONG,
            a.sharing.recovery.recover(other, [share, texts[ShareHolder.CONTACT]], authority=STAFF),
        )
        await a.sharing.recovery.recover(who, [share, texts[ShareHolder.CONTACT]], authority=STAFF)
        [held] = await a.sharing.agent.grants(who)
        await a.sharing.agent.revoke(who, "hospital-b", [held.name], authority=PATIENT)
        await refused(NOT_GRANTED, read(c, b, there))

    shared.play(story)


async def wait_for_share(site: ExchangeSite, cell: bytes) -> Any:
    for _ in range(100):
        _, share = await site.sharing.recovery.ask_for_share("hospital-b", cell, ("one", "two"))
        if share is not None:
            return share
        await asyncio.sleep(0.02)
    pytest.fail("the share was never given")


def test_a_wallet_that_is_there_keeps_its_share(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        there = await enrol(a, b, who)
        await a.sharing.recovery.issue_shares(who, "hospital-b")
        cell = b.cell(there)
        await c.sharing.recovery.ask_for_share("hospital-b", cell, ("thief", "helper"))
        await a.sharing.recovery.keep_share(who, "hospital-b")
        await asyncio.sleep(0.3)
        _, share = await c.sharing.recovery.ask_for_share("hospital-b", cell, ("thief", "helper"))
        assert share is None  # the delay began anew, and the patient was told anew

    shared.play(story)


# -- stolen --------------------------------------------------------------------------------------------------


def test_a_stolen_wallet_is_replaced_at_every_custodian(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        there = await enrol(a, b, who)
        results = await b.add_results(there, 2)
        await allow(a, who, "hospital-b", "practice")
        stolen = await a.writer.in_transaction(lambda connection: a.sharing.wallets.load(connection, who))
        await refused(RECOVERY_NOT_READY, a.sharing.recovery.complete_replacement(who))
        alone = ByStaff(people=("one",), reason="stolen")
        await refused(DUAL_CONTROL, a.sharing.recovery.begin_replacement(who, authority=alone))
        ready_ms = await a.sharing.recovery.begin_replacement(who, authority=PATIENT)
        assert ready_ms > a.context.clock_ms()
        await refused(RECOVERY_NOT_READY, a.sharing.recovery.complete_replacement(who))
        assert await a.sharing.recovery.begin_replacement(who, authority=PATIENT) == ready_ms
        await asyncio.sleep((ready_ms - a.context.clock_ms()) / 1_000 + 0.05)
        await a.sharing.recovery.complete_replacement(who)
        new = await a.writer.in_transaction(lambda connection: a.sharing.wallets.load(connection, who))
        assert new.root != stolen.root
        # Old grants count no more; the thief's wallet moves nothing; the patient goes on with the new one.
        await refused(NOT_GRANTED, read(c, b, there))
        await check_thief(a, who, stolen)
        await allow(a, who, "hospital-b", "practice")
        assert await read(c, b, there) == 1 + len(results)
        await b.add_results(there, 1)
        assert await read(c, b, there) == 2 + len(results)
        [held] = await a.sharing.agent.grants(who)
        await a.sharing.agent.revoke(who, "hospital-b", [held.name], authority=PATIENT)
        assert "wallet-replaced" in [notice.kind for notice in a.sharing.notices.read(who)]

    shared.play(story)


async def check_thief(a: ExchangeSite, who: str, stolen: Wallet) -> None:
    session = await a.sharing.sessions.open(who, "hospital-b", wallet=stolen)
    from careledger.domains.records.service.agent.errors import CELL_KEY_LOST
    from careledger.domains.records.service.agent.updates import CellUpdater
    from careledger.domains.records.service.consent.commands import STOP, Names
    from careledger.domains.records.service.consent.errors import COMMAND_INVALID

    updater = CellUpdater(a.context, a.writer, a.sharing.sessions)
    with pytest.raises(Rejected) as refusal:
        updater.find_key(session, updater.require_cell(session))
    assert refusal.value.code is CELL_KEY_LOST
    await refused(COMMAND_INVALID, session.command(STOP, Names((bytes(32),))))


# -- taken along ---------------------------------------------------------------------------------------------


def test_a_wallet_is_taken_to_another_agent(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        there = await enrol(a, b, who)
        await a.add_results(who, 1)
        names = await allow(a, who, "hospital-a", "practice")
        file = await a.sharing.handover.export(who, "a passphrase", parameters=CHEAP)
        with pytest.raises(PassphraseWrong):
            await b.sharing.handover.take_over(there, file, "another")
        stranger = await b.add_patient()
        await refused(WALLET_UNKNOWN, b.sharing.handover.take_over(stranger, file, "a passphrase"))
        told = await b.sharing.handover.take_over(there, file, "a passphrase")
        assert told == ["hospital-b", "hospital-a"]
        await a.sharing.handover.retire(who)
        await refused(WALLET_UNKNOWN, a.sharing.agent.grants(who))
        assert [grant.name for grant in await b.sharing.agent.grants(there)] == names
        assert await read(c, a, who) == 2
        await b.sharing.agent.revoke(there, "hospital-a", names, authority=PATIENT)
        await refused(NOT_GRANTED, read(c, a, who))
        await refused(NO_CELL_THERE, b.sharing.agent.refresh(there, "practice"))
        # What happens at the first hospital is now told to the second.
        subject = a.sharing.custody.find_patient(who)
        assert subject is not None
        assert subject.agent == "hospital-b"

    shared.play(story)


def test_an_agent_that_is_away_is_tried_again(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await enrol(a, b, who)
        host = BASES["hospital-b"].removeprefix("http://")
        network.switchboard.down.add(host)
        await refused(PEER_UNREACHABLE, a.sharing.agent.refresh(who, "hospital-b"))
        network.switchboard.down.discard(host)
        await a.sharing.agent.refresh(who, "hospital-b")

    shared.play(story)


def test_shares_are_read_from_paper() -> None:
    from careledger.vault.errors import ShareInvalid

    with pytest.raises(ShareInvalid):
        share_from_text("AAAAA")
    assert observation("p")["resourceType"] == "Observation"
