"""A wallet's keys follow from its root, differ from each other, and one custodian's say nothing of another's."""

import itertools
from collections.abc import Callable

import msgspec
import pytest

from careledger.primitives.codec import decode_plain, encode
from careledger.primitives.identifiers import CellID, ChainID, OrganisationID
from careledger.vault.derivation import EXPAND_BYTES_MAX, derivation_info, derive, hkdf_expand
from careledger.vault.errors import KeyNotHeld, WrapBroken
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, CustodianRoot, KEMSeed, RootSecret
from careledger.vault.wallet import Custodian, CustodianKeys, HeldKey, HeldKeys, Wallet
from careledger.vault.wrapping import GrantInfo, grant_key

ROOT = RootSecret(bytes(range(32)))
CHAIN = ChainID("care-1")
HOSPITAL = Custodian(chain=CHAIN, organisation=OrganisationID(7))
PHARMACY = Custodian(chain=CHAIN, organisation=OrganisationID(8))
HOSPITAL_ELSEWHERE = Custodian(chain=ChainID("care-2"), organisation=OrganisationID(7))


def all_secrets(wallet: Wallet) -> dict[str, bytes]:
    found = {
        "identity": wallet.identity_seed().reveal(),
        "hpke": wallet.opening_key().recipient.digest,
        "root": wallet.root.reveal(),
    }
    for custodian in (HOSPITAL, PHARMACY, HOSPITAL_ELSEWHERE):
        keys = wallet.custodian(custodian)
        at = f"{custodian.chain}/{custodian.organisation}"
        found[f"{at} root"] = keys.root.reveal()
        for position in (0, 1, 256, 2**64 - 1):
            found[f"{at} cell {position}"] = keys.cell_seed(position).reveal()
            found[f"{at} recovery {position}"] = wallet.recovery_seed(custodian, position).reveal()
        for epoch in (0, 1, 2**32 - 1):
            found[f"{at} log {epoch}"] = keys.access_log_key(epoch).reveal()
            for compartment in ("normal", "hiv", "index", "access-log", "normal\x00"):
                found[f"{at} {compartment} {epoch}"] = keys.index_key(compartment, epoch).reveal()
    return found


def test_every_key_differs_from_every_other() -> None:
    found = all_secrets(Wallet(ROOT))
    assert len(set(found.values())) == len(found) > 80


def test_the_same_root_gives_the_same_keys_and_another_root_others() -> None:
    first = all_secrets(Wallet(ROOT))
    assert all_secrets(Wallet(RootSecret(ROOT.reveal()))) == first
    assert not set(all_secrets(Wallet.create()).values()) & set(first.values())


def test_a_custodians_root_is_enough_for_its_keys_and_for_nothing_else() -> None:
    wallet = Wallet(ROOT)
    alone = CustodianKeys(CustodianRoot(wallet.custodian(HOSPITAL).root.reveal()))
    full = wallet.custodian(HOSPITAL)
    assert alone.index_key("normal", 3) == full.index_key("normal", 3)
    assert alone.cell_seed(5) == full.cell_seed(5)
    assert alone.access_log_key(0) == full.access_log_key(0)
    # Whatever it derives from its own root under the other branches' labels is not what the wallet derives.
    root = alone.root.reveal()
    elsewhere = {wallet.custodian(PHARMACY).root.reveal(), wallet.recovery_seed(HOSPITAL, 0).reveal()}
    elsewhere |= {wallet.identity_seed().reveal()}
    tried = {
        derive(root, label, *parts)
        for label in ("custodian", "recovery", "identity", "hpke")
        for parts in ((), HOSPITAL.parts(), PHARMACY.parts(), (*HOSPITAL.parts(), bytes(8)))
    }
    assert not tried & elsewhere


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda keys: keys.index_key("", 0), ValueError),
        (lambda keys: keys.index_key("x" * 65, 0), ValueError),
        (lambda keys: keys.index_key("normal", -1), OverflowError),
        (lambda keys: keys.index_key("normal", 2**32), OverflowError),
        (lambda keys: keys.access_log_key(2**32), OverflowError),
        (lambda keys: keys.cell_seed(-1), OverflowError),
        (lambda keys: keys.cell_seed(2**64), OverflowError),
    ],
)
def test_places_out_of_bounds_are_refused(
    ask: Callable[[CustodianKeys], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask(Wallet(ROOT).custodian(HOSPITAL))


@pytest.mark.parametrize(("chain", "organisation"), [("", 1), ("Care", 1), ("care-1", 0), ("care-1", 2**32)])
def test_a_custodian_is_a_ledger_and_a_number(chain: str, organisation: int) -> None:
    with pytest.raises(ValueError, match="ledger"):
        Custodian(chain=ChainID(chain), organisation=OrganisationID(organisation))


def test_no_two_lists_of_parts_are_encoded_alike() -> None:
    pieces = [b"", b"a", b"b", b"ab", b"\x00", b"\x00\x01a"]
    lists = [parts for count in range(4) for parts in itertools.product(pieces, repeat=count)]
    encoded = {derivation_info(label, *parts) for label in ("x", "xa") for parts in lists}
    assert len(encoded) == 2 * len(lists)


def test_derivation_has_limits() -> None:
    with pytest.raises(OverflowError):
        derivation_info("label", bytes(65_536))
    with pytest.raises(ValueError, match=r".+"):
        hkdf_expand(bytes(32), b"", EXPAND_BYTES_MAX + 1)


# Wrapped compartment keys


def held_key(
    wallet: Wallet, compartment: str, epoch: int, organisation: int = 7
) -> tuple[CompartmentKey, HeldKey]:
    key = CompartmentKey.random()
    info = GrantInfo(CHAIN, CellID(b"\x01" * 32), compartment, "PATRQT", epoch, 0, b"\x02" * 32)
    granted = grant_key(key, wallet.opening_key().recipient, info)
    return key, HeldKey(OrganisationID(organisation), info, granted)


def test_held_keys_open_with_the_wallets_key_only() -> None:
    wallet, held = Wallet(ROOT), HeldKeys()
    key, item = held_key(wallet, "normal", 2)
    held.add(item)
    assert held.open_key(wallet.opening_key(), HOSPITAL, "normal", 2) == key
    with pytest.raises(WrapBroken):
        held.open_key(OpeningKey(KEMSeed.random()), HOSPITAL, "normal", 2)
    for custodian, compartment, epoch in (
        (PHARMACY, "normal", 2),
        (HOSPITAL, "hiv", 2),
        (HOSPITAL, "normal", 1),
    ):
        with pytest.raises(KeyNotHeld):
            held.open_key(wallet.opening_key(), custodian, compartment, epoch)


def test_held_keys_are_replaced_forgotten_and_counted() -> None:
    wallet, held = Wallet(ROOT), HeldKeys()
    held.add(held_key(wallet, "normal", 0)[1])
    later, item = held_key(wallet, "normal", 0)
    held.add(item)
    held.add(held_key(wallet, "hiv", 0)[1])
    assert len(held) == 2
    assert held.open_key(wallet.opening_key(), HOSPITAL, "normal", 0) == later
    held.forget(HOSPITAL, "normal", 0)
    with pytest.raises(KeyNotHeld):
        held.forget(HOSPITAL, "normal", 0)
    assert [item.info.subject for item in held] == ["hiv"]


def test_held_keys_round_trip_in_one_form() -> None:
    wallet = Wallet(ROOT)
    items = [
        held_key(wallet, name, epoch, org)[1] for name in ("b", "a") for epoch in (1, 0) for org in (9, 7)
    ]
    forms = set()
    for order in (items, items[::-1]):
        held = HeldKeys()
        for item in order:
            held.add(item)
        forms.add(held.to_bytes())
        assert tuple(HeldKeys.from_bytes(held.to_bytes())) == tuple(held)
    assert len(forms) == 1


def test_held_keys_out_of_order_or_doubled_are_refused() -> None:
    wallet, held = Wallet(ROOT), HeldKeys()
    for name in ("a", "b"):
        held.add(held_key(wallet, name, 0)[1])
    version, (first, second) = decode_plain(held.to_bytes())
    for changed in (
        [version, [second, first]],
        [version, [first, first]],
        [version + 1, [first, second]],
        [version, [first, second[:2]]],
        [version],
    ):
        with pytest.raises(WrapBroken):
            HeldKeys.from_bytes(encode(changed))
    for raw in (b"", held.to_bytes()[:-1], held.to_bytes() + b"\x00"):
        with pytest.raises(WrapBroken):
            HeldKeys.from_bytes(raw)


def test_a_wallet_holds_a_bounded_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.vault.wallet.HELD_KEYS_MAX", 2)
    held = HeldKeys()
    _, item = held_key(Wallet(ROOT), "normal", 0)
    for epoch in (0, 1, 1):
        held.add(HeldKey(item.organisation, msgspec.structs.replace(item.info, epoch=epoch), item.granted))
    with pytest.raises(ValueError, match="at most 2"):
        held.add(HeldKey(item.organisation, msgspec.structs.replace(item.info, epoch=2), item.granted))


def test_a_wallet_does_not_show_itself() -> None:
    wallet = Wallet(ROOT)
    for thing in (wallet, wallet.custodian(HOSPITAL), wallet.opening_key(), HeldKeys()):
        assert ROOT.reveal().hex()[:8] not in repr(thing)
        assert "Wallet" in repr(wallet)
