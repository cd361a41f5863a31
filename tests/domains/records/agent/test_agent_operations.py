"""The agent at work: grants, revocations, refreshes, restrictions, epochs; and what outsiders can see of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from careledger.domains.records.chain.messages import CommitRecords, UpdateCell
from careledger.domains.records.service.agent.authority import ByPatient, ByStaff
from careledger.domains.records.service.agent.errors import (
    CONTENTS_LOST,
    CUSTODIAN_DIFFERS,
    DUAL_CONTROL,
    NO_CELL_THERE,
    WALLET_UNKNOWN,
)
from careledger.domains.records.service.agent.sessions import CellSession
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent import commands
from careledger.domains.records.service.consent.cells import (
    compute_commitment,
    decode_opening,
    encode_opening,
    new_opening,
    read_contents,
)
from careledger.domains.records.service.consent.commands import Names, pad_opening, sign_command
from careledger.domains.records.service.consent.errors import (
    CELL_UNKNOWN_HERE,
    COMMAND_INVALID,
    COMMAND_STALE,
    GRANT_UNKNOWN,
    NOT_GRANTED,
    OPENING_INVALID,
)
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.consent.grants import open_grant_keys
from careledger.domains.records.service.exchange.errors import NOT_THE_AGENT
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import SigningSeed
from careledger.vault.wrapping import GrantInfo, open_granted_key
from domains.records.consent.consent_samples import consent, label, permission, resource_class
from domains.records.exchange.exchange_sites import ExchangeSite, Network, SharedNetwork, kem_seed

PATIENT = ByPatient(name="the patient")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNetwork]:
    network = SharedNetwork(tmp_path_factory.mktemp("operations"), "hospital-a", "hospital-b", "practice")
    yield network
    network.close()


async def allow(site: ExchangeSite, patient_id: str, *exceptions: Any, **parts: Any) -> list[bytes]:
    policy = read_consent(consent(patient_id, *exceptions), patient=f"Patient/{patient_id}")
    held = await site.sharing.agent.grant(patient_id, site.slug, policy, **{"authority": PATIENT, **parts})
    return [grant.name for grant in held]


async def read(site: ExchangeSite, custodian: ExchangeSite, patient_id: str) -> list[str]:
    result = await site.sharing.reader.read(site.question(custodian.slug, custodian.cell(patient_id)))
    return sorted(f"{entry.resource_type}/{entry.resource_id}" for entry in result.entries)


async def is_refused(wait: Awaitable[object]) -> bool:
    try:
        await wait
    except Rejected as refusal:
        return refusal.code is NOT_GRANTED
    return False


def transactions(network: Network) -> list[tuple[int, CommitRecords | UpdateCell]]:
    """What outsiders see of records and cells: heights and messages of all blocks, in order."""
    found: list[tuple[int, CommitRecords | UpdateCell]] = []
    view = network.process.view()
    for height in range(1, view.position().height + 1):
        for raw in view.block(height).transactions:
            content = decode_transaction(raw).content
            if content.message == "UpdateCell":
                found.append((height, decode(content.payload, UpdateCell)))
            elif content.message == "CommitRecords":
                found.append((height, decode(content.payload, CommitRecords)))
    return found


def test_a_revocation_ends_reading_and_leaves_the_others(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b, c = (network[slug] for slug in ("hospital-a", "hospital-b", "practice"))
        who = await a.add_patient()
        first = await a.add_results(who, 3)
        [to_b] = await allow(a, who, permission("hospital-b"))
        [to_c] = await allow(a, who, permission("practice"))
        assert len(await read(b, a, who)) == len(await read(c, a, who)) == 4
        before = (await c.sharing.reader.read(c.question(a.slug, a.cell(who)))).granted
        assert before is not None
        await a.sharing.agent.revoke(who, a.slug, [to_b], authority=PATIENT)
        assert await is_refused(read(b, a, who))
        # The other one reads on, earlier and later versions, with keys the first never had.
        later = await a.add_results(who, 2)
        assert await read(c, a, who) == sorted(
            [f"Patient/{who}", *(f"Observation/{one}" for one in (*first, *later))]
        )
        after = (await c.sharing.reader.read(c.question(a.slug, a.cell(who)))).granted
        assert after is not None
        opening_key = OpeningKey(kem_seed("practice"))
        old = open_grant_keys(before, opening_key, Compartment.NORMAL)
        new = open_grant_keys(after, opening_key, Compartment.NORMAL)
        assert (old[0], new[0]) == (0, 1)
        assert old[1] != new[1]
        assert old[2] != new[2]
        assert after.name == before.name == to_c
        assert [grant.organisation for grant in await a.sharing.agent.grants(who)] == ["practice"]
        texts = [notice.text for notice in a.sharing.notices.read(who)]
        assert "copies already opened cannot be recalled" in texts[-1]

    shared.play(story)


def test_a_revocation_and_a_refresh_look_the_same(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        await a.add_results(who, 3)
        start = len(transactions(network))
        seen: dict[str, list[tuple[str, int, int]]] = {}
        apart: dict[str, int] = {}

        async def watch(name: str, act: Callable[[], Awaitable[Any]]) -> Any:
            await a.writer.flush()
            await a.recorder.flush()
            before = len(transactions(network))
            result = await act()
            await a.writer.flush()
            new = transactions(network)[before:]
            seen[name] = sorted(
                (
                    type(message).__name__,
                    len(encode(message)),
                    len(message.tags) // 32 if isinstance(message, CommitRecords) else 0,
                )
                for _, message in new
            )
            apart[name] = max(height for height, _ in new) - min(height for height, _ in new)
            return result

        to_b = await watch("grant", lambda: allow(a, who, permission("hospital-b")))
        narrow = permission("practice", **{"class": [resource_class("Observation")]})
        to_c = await watch("narrow grant", lambda: allow(a, who, narrow))
        agent = a.sharing.agent
        await watch("refresh", lambda: agent.refresh(who, a.slug))
        await watch("narrow revocation", lambda: agent.revoke(who, a.slug, to_c, authority=PATIENT))
        await watch("revocation", lambda: agent.revoke(who, a.slug, to_b, authority=PATIENT))
        await watch("refresh again", lambda: agent.refresh(who, a.slug))
        await watch("restriction", lambda: agent.restrict(who, a.slug, authority=PATIENT))
        # One batch of 8 and one update of 180 bytes, at the same time, whatever it was.
        assert all(each == [("CommitRecords", 520, 8), ("UpdateCell", 180, 0)] for each in seen.values()), (
            seen
        )
        assert max(apart.values()) <= 1, apart
        # And no two updates have a byte of contents in common, although nothing was changed by a refresh.
        updates = [message for _, message in transactions(network)[start:] if isinstance(message, UpdateCell)]
        assert len({update.commitment for update in updates}) == len(updates) == 7
        assert len({update.key for update in updates}) == 7
        assert len({update.next_key_commitment for update in updates}) == 7
        assert len({update.recovery_commitment for update in updates}) == 7

    shared.play(story)


def test_what_goes_to_the_custodian_is_padded(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        sizes = []
        for act in ("grant", "refresh"):
            if act == "grant":
                await allow(a, who, permission("hospital-b"))
            else:
                await a.sharing.agent.refresh(who, a.slug)
            cell = a.sharing.custody.cell_on_ledger(a.cell(who))
            assert cell is not None
            raw = a.sharing.custody.stored_opening(a.cell(who), cell.commitment)
            assert raw is not None
            sizes.append(len(encode(pad_opening(raw))))
        assert max(sizes) - min(sizes) <= 8

    shared.play(story)


def test_a_restriction_stops_everything_until_it_is_taken_back(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission(), permission(securityLabel=[label("HIV")]))
        await a.sharing.agent.restrict(who, a.slug, authority=PATIENT)
        assert await is_refused(read(b, a, who))
        await allow(a, who, permission())
        assert await is_refused(read(b, a, who))
        await a.sharing.agent.unrestrict(who, a.slug, authority=PATIENT)
        assert len(await read(b, a, who)) == 1

    shared.play(story)


def test_an_amendment_replaces_and_a_renewal_keeps(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        [result] = await a.add_results(who, 1)
        old = await allow(a, who, permission())
        await allow(a, who, permission(**{"class": [resource_class("Observation")]}), replacing=old)
        assert await read(b, a, who) == [f"Observation/{result}"]
        await a.sharing.agent.renew(who, a.slug, [Compartment.NORMAL])
        assert await read(b, a, who) == [f"Observation/{result}"]
        whole = await allow(
            a, who, permission(), replacing=[one.name for one in await a.sharing.agent.grants(who)]
        )
        await a.sharing.agent.renew(who, a.slug, [Compartment.NORMAL])
        assert len(await read(b, a, who)) == 2
        again = await b.sharing.reader.read(b.question(a.slug, a.cell(who)))
        assert again.granted is not None
        assert again.granted.name == whole[0]
        assert again.granted.grant.sealed_keys[0].epoch == 3

    shared.play(story)


def test_nothing_is_done_on_one_persons_word_and_the_patient_is_told(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        alone = ByStaff(people=("one",), reason="the patient asked")
        with pytest.raises(Rejected) as refusal:
            await allow(a, who, permission(), authority=alone)
        assert refusal.value.code is DUAL_CONTROL
        assert await a.sharing.agent.grants(who) == []
        both = ByStaff(people=("one", "two"), reason="the patient asked")
        names = await allow(a, who, permission(), authority=both)
        with pytest.raises(Rejected):
            await a.sharing.agent.revoke(who, a.slug, names, authority=alone)
        assert [notice.kind for notice in a.sharing.notices.read(who)] == ["granted"]
        assert "one and two" in a.sharing.notices.read(who)[0].text
        [notice] = a.sharing.notices.read(who)
        await a.sharing.notices.mark_read(who, [notice.number])
        assert a.sharing.notices.read(who)[0].read_ms > 0

    shared.play(story)


def test_what_cannot_be_done_is_refused_by_name(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        for code, wait in (
            (GRANT_UNKNOWN, a.sharing.agent.revoke(who, a.slug, [os.urandom(32)], authority=PATIENT)),
            (GRANT_UNKNOWN, a.sharing.agent.revoke(who, a.slug, [], authority=PATIENT)),
            (NO_CELL_THERE, a.sharing.agent.refresh(who, "hospital-b")),
            (WALLET_UNKNOWN, a.sharing.agent.refresh("nobody", a.slug)),
        ):
            with pytest.raises(Rejected) as refusal:
                await wait
            assert refusal.value.code is code

    shared.play(story)


# -- commands ------------------------------------------------------------------------------------------------


async def session_of(site: ExchangeSite, patient_id: str) -> CellSession:
    return await site.sharing.sessions.open(patient_id, site.slug)


def test_a_custodian_obeys_the_wallet_alone_in_order_and_by_its_agent(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who, other = await a.add_patient("One"), await a.add_patient("Two")
        mine, foreign = await session_of(a, who), await session_of(a, other)
        seed = mine.wallet.identity_seed()
        body = Names((os.urandom(32),))

        def stop(seeds: tuple[SigningSeed, ...], cell: CellID, issued_ms: int, kind: str = "stop") -> bytes:
            return sign_command(
                kind, body, chain=a.context.chain_id, cell=cell, issued_ms=issued_ms, seeds=seeds
            )

        now = a.context.clock_ms() + 10_000
        first = stop((seed,), mine.cell, now)
        await a.sharing.desk.execute("stop", first, brought_by="hospital-a")
        assert a.sharing.custody.is_stopped(mine.cell, body.names[0])
        cases = [
            (COMMAND_STALE, "stop", first, "hospital-a"),
            (COMMAND_STALE, "stop", stop((seed,), mine.cell, now - 1), "hospital-a"),
            (COMMAND_STALE, "lift", stop((seed,), mine.cell, now - 1, "lift"), "hospital-a"),
            (COMMAND_INVALID, "lift", stop((seed,), mine.cell, now + 1), "hospital-a"),
            (
                COMMAND_INVALID,
                "stop",
                stop((foreign.wallet.identity_seed(),), mine.cell, now + 1),
                "hospital-a",
            ),
            (COMMAND_INVALID, "stop", stop((seed, SigningSeed(bytes(32))), mine.cell, now + 1), "hospital-a"),
            (COMMAND_INVALID, "stop", first[:-1] + bytes((first[-1] ^ 1,)), "hospital-a"),
            (COMMAND_INVALID, "no-such-kind", first, "hospital-a"),
            (COMMAND_INVALID, "stop", b"", "hospital-a"),
            (NOT_THE_AGENT, "stop", stop((seed,), mine.cell, now + 1), "hospital-b"),
            (CELL_UNKNOWN_HERE, "stop", stop((seed,), CellID(os.urandom(32)), now + 1), "hospital-a"),
        ]
        for code, kind, envelope, brought_by in cases:
            with pytest.raises(Rejected) as refusal:
                await a.sharing.desk.execute(kind, envelope, brought_by=brought_by)
            assert refusal.value.code is code, (code, kind)
        assert a.sharing.custody.is_stopped(mine.cell, body.names[0])
        assert b.sharing.custody.find(mine.cell) is None

    shared.play(story)


def test_openings_that_cannot_be_served_are_refused(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who, other = await a.add_patient("One"), await a.add_patient("Two")
        await allow(a, who, permission())
        await allow(a, other, permission())
        mine, theirs = await session_of(a, who), await session_of(a, other)
        assert mine.opening is not None
        assert theirs.opening is not None
        present = decode_opening(mine.opening)
        contents = read_contents(present)
        strange = read_contents(decode_opening(theirs.opening))
        version = present.cell_version

        def opened(**parts: Any) -> bytes:
            held = dataclasses.replace(contents, **{key: parts[key] for key in parts if key != "version"})
            return encode_opening(new_opening(mine.cell, parts.get("version", version + 1), held))

        grant, normal = contents.grants[7], contents.manifests[Compartment.NORMAL][1]
        bad = [
            encode_opening(new_opening(theirs.cell, version + 1, contents)),
            opened(version=version),
            opened(version=version + 2),
            opened(manifests={}),
            opened(manifests={**contents.manifests, Compartment.NORMAL: (0, bytes(32))}),
            opened(manifests={**contents.manifests, Compartment.NORMAL: (1, normal)}),
            opened(manifests={**contents.manifests, Compartment.NORMAL: contents.manifests[Compartment.HIV]}),
            opened(grants={8: grant}),
            opened(grants=strange.grants),
            opened(grants={7: (grant[0][:-1] + bytes((grant[0][-1] ^ 1,)), grant[1])}),
            opened(grants={7: (grant[0], strange.grants[7][1] + b"x")}),
            opened(grants={7: (b"\x80", b"")}),
            b"\x80",
        ]
        for raw in bad:
            with pytest.raises(Rejected):
                await mine.command(commands.OPENING, pad_opening(raw))
        await mine.command(commands.OPENING, pad_opening(opened()))

    shared.play(story)


def test_a_key_under_other_terms_does_not_open(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        await allow(a, who, permission())
        granted = (await b.sharing.reader.read(b.question(a.slug, a.cell(who)))).granted
        assert granted is not None
        grant, sealed = granted.grant, granted.grant.sealed_keys[0]
        info = GrantInfo(
            a.context.chain_id,
            CellID(grant.cell),
            "normal",
            "TREAT",
            0,
            grant.expires_at_ms,
            grant.scope_hash,
        )
        from careledger.vault.keys import IndexKey

        key = OpeningKey(kem_seed("hospital-b"))
        open_granted_key(sealed.index_key, key, info, IndexKey)
        for parts in (
            {"cell": bytes(32)},
            {"subject": "hiv"},
            {"purpose": "HPAYMT"},
            {"epoch": 1},
            {"expires_at_ms": 1},
            {"policy_hash": bytes(32)},
        ):
            with pytest.raises(WrapBroken):
                open_granted_key(sealed.index_key, key, msgspec.structs.replace(info, **parts), IndexKey)

    shared.play(story)


# -- what gets lost ------------------------------------------------------------------------------------------


def test_positions_of_one_time_keys_follow_from_the_ledger(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a, b = network["hospital-a"], network["hospital-b"]
        who = await a.add_patient()
        for _ in range(3):
            await a.sharing.agent.refresh(who, a.slug)
        await allow(a, who, permission())

        # The agent's own tables are gone, as after a restore: the custodian still has the opening.
        def lose(connection: Any) -> None:
            for table in ("agent_cell", "agent_update", "agent_task"):
                connection.execute(f"DELETE FROM {table}")

        await a.writer.in_transaction(lose)
        [held] = await a.sharing.agent.grants(who)
        await a.sharing.agent.revoke(who, a.slug, [held.name], authority=PATIENT)
        assert await is_refused(read(b, a, who))
        # Both are gone: nobody can say what stood, and it is said so.
        await a.writer.in_transaction(lose)
        await a.writer.in_transaction(lambda connection: connection.execute("DELETE FROM opening").fetchall())
        a.sharing.custody.forget(a.cell(who))
        with pytest.raises(Rejected) as refusal:
            await a.sharing.agent.grants(who)
        assert refusal.value.code is CONTENTS_LOST

    shared.play(story)


def test_a_custodian_that_hides_records_at_a_new_epoch_is_found_out(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        [hidden, _] = await a.add_results(who, 2)
        names = await allow(a, who, permission())
        await a.writer.in_transaction(
            lambda connection: connection.execute("DELETE FROM entry WHERE id = ?", (hidden,)).fetchall()
        )
        with pytest.raises(Rejected) as refusal:
            await a.sharing.agent.revoke(who, a.slug, names, authority=PATIENT)
        assert refusal.value.code is CUSTODIAN_DIFFERS

    shared.play(story)


def test_an_opening_is_of_the_present_version_only(shared: SharedNetwork) -> None:
    async def story(network: Network) -> None:
        a = network["hospital-a"]
        who = await a.add_patient()
        await allow(a, who, permission())
        session = await session_of(a, who)
        assert session.opening is not None
        await a.sharing.agent.refresh(who, a.slug)
        with pytest.raises(Rejected) as refusal:
            await session.command(commands.OPENING, pad_opening(session.opening))
        assert refusal.value.code is OPENING_INVALID
        cell = a.sharing.custody.cell_on_ledger(session.cell)
        assert cell is not None
        now = await session_of(a, who)
        assert now.opening is not None
        assert compute_commitment(decode_opening(now.opening)) == cell.commitment
        assert len(read_contents(decode_opening(now.opening)).manifests) == len(COMPARTMENTS)

    shared.play(story)
