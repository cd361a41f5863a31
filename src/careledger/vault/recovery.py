"""Getting a wallet back: a file sealed by a passphrase, or two of three shares.

Owns the export file and who holds which share. Does not decide when a custodian gives its share out: that
takes delay and notice, and is the records service's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from careledger.primitives.codec import CodecError, decode, encode
from careledger.vault.errors import SealBroken, ShareInvalid
from careledger.vault.keys import RootSecret, SecretWire
from careledger.vault.passphrase import (
    DEFAULT_PARAMETERS,
    PassphraseParameters,
    open_with_passphrase,
    seal_with_passphrase,
)
from careledger.vault.sharing import Share, combine_shares, split_secret
from careledger.vault.wallet import HeldKeys, Wallet

RECOVERY_THRESHOLD: Final = 2

_CONTEXT = b"careledger/wallet-export/v1"
_VERSION = 1


class ShareHolder(IntEnum):
    """Who keeps which of the three shares, by the share's number."""

    DEVICE = 1
    """The patient's own second device or paper."""
    CONTACT = 2
    """A person the patient trusts."""
    CUSTODIAN = 3
    """A custodian, in escrow, given out after delay and notice only."""


class _Export(SecretWire, frozen=True):
    version: int
    root: bytes
    held: bytes


def export_wallet(
    wallet: Wallet,
    held: HeldKeys,
    passphrase: str,
    *,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> bytes:
    """Seal a wallet's root and its wrapped keys under a passphrase, as the bytes of one file.

    Raises:
        ValueError: The passphrase is empty or too long.
    """
    content = encode(_Export(_VERSION, wallet.root.reveal(), held.to_bytes()))
    return seal_with_passphrase(content, passphrase, context=_CONTEXT, parameters=parameters)


def import_wallet(exported: bytes, passphrase: str) -> tuple[Wallet, HeldKeys]:
    """Open an exported wallet.

    Raises:
        PassphraseWrong: The passphrase does not open it.
        ParametersRefused: The file asks for more work than is allowed.
        SealBroken: Not an exported wallet, or changed.
        WrapBroken: Its wrapped keys are malformed.
        ValueError: The passphrase is empty or too long.
    """
    content = open_with_passphrase(exported, passphrase, context=_CONTEXT)
    try:
        export = decode(content, _Export)
    except CodecError as error:
        raise SealBroken(f"not an exported wallet: {error}") from None
    if export.version != _VERSION or len(export.root) != RootSecret.SIZE_BYTES:
        raise SealBroken("an exported wallet of an unknown version or size")
    return Wallet(RootSecret(export.root)), HeldKeys.from_bytes(export.held)


def split_wallet(wallet: Wallet) -> dict[ShareHolder, Share]:
    """Split a wallet's root into three shares, any two of which give it back.

    Shares of two calls do not combine: after splitting anew, the old ones still open the same root together.
    """
    shares = split_secret(wallet.root.reveal(), threshold=RECOVERY_THRESHOLD, count=len(ShareHolder))
    return {ShareHolder(share.number): share for share in shares}


def recover_wallet(shares: Sequence[Share]) -> Wallet:
    """Give a wallet back from two or three of its shares. Its wrapped keys come from the custodians again.

    Raises:
        ShareInvalid: Too few, of different sets, or not of a wallet.
    """
    secret = combine_shares(shares)
    if len(secret) != RootSecret.SIZE_BYTES:
        raise ShareInvalid("the shares are not those of a wallet")
    return Wallet(RootSecret(secret))
