"""A wallet comes back from its file or from two of three shares, the same as it was."""

import itertools

import pytest

from careledger.primitives.codec import encode
from careledger.primitives.identifiers import CellID, ChainID, OrganisationID
from careledger.vault.errors import PassphraseWrong, SealBroken, ShareInvalid
from careledger.vault.keys import CompartmentKey
from careledger.vault.passphrase import PassphraseParameters, seal_with_passphrase
from careledger.vault.recovery import ShareHolder, export_wallet, import_wallet, recover_wallet, split_wallet
from careledger.vault.share_text import share_from_text, share_to_text
from careledger.vault.sharing import split_secret
from careledger.vault.wallet import Custodian, HeldKey, HeldKeys, Wallet
from careledger.vault.wrapping import GrantInfo, grant_key

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
HOSPITAL = Custodian(chain=ChainID("care-1"), organisation=OrganisationID(7))


def test_an_exported_wallet_comes_back_with_the_keys_it_holds() -> None:
    wallet, held, key = Wallet.create(), HeldKeys(), CompartmentKey.random()
    info = GrantInfo(HOSPITAL.chain, CellID(bytes(32)), "normal", "PATRQT", 0, 0, bytes(32))
    held.add(HeldKey(HOSPITAL.organisation, info, grant_key(key, wallet.opening_key().recipient, info)))
    exported = export_wallet(wallet, held, "a passphrase", parameters=CHEAP)
    assert wallet.root.reveal() not in exported
    again, held_again = import_wallet(exported, "a passphrase")
    assert again.root == wallet.root
    assert held_again.open_key(again.opening_key(), HOSPITAL, "normal", 0) == key


def test_an_export_needs_its_passphrase_and_every_bit() -> None:
    exported = export_wallet(Wallet.create(), HeldKeys(), "a passphrase", parameters=CHEAP)
    with pytest.raises(PassphraseWrong):
        import_wallet(exported, "another passphrase")
    for place in (0, 4, 13, 30, 70, 95, len(exported) - 1):
        wrong = bytearray(exported)
        wrong[place] ^= 1
        with pytest.raises((PassphraseWrong, SealBroken)):
            import_wallet(bytes(wrong), "a passphrase")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        encode([2, bytes(32), HeldKeys().to_bytes()]),
        encode([1, bytes(31), HeldKeys().to_bytes()]),
        encode([1]),
    ],
)
def test_an_export_of_something_else_is_refused(content: bytes) -> None:
    sealed = seal_with_passphrase(content, "x", context=b"careledger/wallet-export/v1", parameters=CHEAP)
    with pytest.raises(SealBroken, match="wallet"):
        import_wallet(sealed, "x")


def test_bytes_sealed_for_another_purpose_are_no_wallet() -> None:
    content = encode([1, bytes(32), HeldKeys().to_bytes()])
    with pytest.raises(PassphraseWrong):
        import_wallet(seal_with_passphrase(content, "x", context=b"other", parameters=CHEAP), "x")


def test_any_two_holders_bring_the_wallet_back() -> None:
    wallet = Wallet.create()
    shares = split_wallet(wallet)
    assert list(shares) == [ShareHolder.DEVICE, ShareHolder.CONTACT, ShareHolder.CUSTODIAN]
    printed = {holder: share_to_text(share) for holder, share in shares.items()}
    for pair in itertools.permutations(ShareHolder, 2):
        again = recover_wallet([share_from_text(printed[holder]) for holder in pair])
        assert again.root == wallet.root
        assert again.custodian(HOSPITAL).cell_seed(3) == wallet.custodian(HOSPITAL).cell_seed(3)
    assert recover_wallet(list(shares.values())).root == wallet.root


def test_one_holder_alone_brings_nothing_back() -> None:
    for share in split_wallet(Wallet.create()).values():
        with pytest.raises(ShareInvalid):
            recover_wallet([share])


def test_shares_of_two_splits_do_not_mix() -> None:
    wallet = Wallet.create()
    old, new = split_wallet(wallet), split_wallet(wallet)
    with pytest.raises(ShareInvalid, match="another set"):
        recover_wallet([old[ShareHolder.DEVICE], new[ShareHolder.CONTACT]])


def test_shares_of_something_else_are_no_wallet() -> None:
    with pytest.raises(ShareInvalid, match="not those of a wallet"):
        recover_wallet(split_secret(bytes(16), threshold=2, count=3))
