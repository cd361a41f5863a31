"""What can go wrong with sealed bytes, keys, shares and their files.

Every exception here says what failed and where, never a value: no key, no plaintext, no name of a person.
Refusals with a numbered code belong to the layers above, which know what the caller asked for.
"""

from __future__ import annotations


class VaultError(Exception):
    """Base of everything the vault raises on purpose."""


class SealBroken(VaultError):  # noqa: N818 - verification raises the outcome's name
    """Sealed bytes that are not what was sealed: changed, cut, reordered, or opened in another context."""


class KeyMismatch(SealBroken):
    """The key commitment does not stand: another key, another context, or a changed header."""


class WrapBroken(VaultError):  # noqa: N818 - see SealBroken
    """A wrapped key that does not open: another key, another context, or changed bytes."""


class PassphraseWrong(VaultError):  # noqa: N818 - see SealBroken
    """The passphrase does not open the file, or its parameters were changed; the two look the same."""


class ParametersRefused(VaultError):  # noqa: N818 - see SealBroken
    """Passphrase parameters outside the limits: a hostile file must not cost unbounded memory or time."""


class ShareInvalid(VaultError):  # noqa: N818 - see SealBroken
    """A share of a secret that cannot be used; the message says which one and what is wrong with it."""


class OpeningInvalid(VaultError):  # noqa: N818 - see SealBroken
    """An opening that does not lead to the commitment."""


class EnvelopeInvalid(VaultError):  # noqa: N818 - see SealBroken
    """An envelope that is malformed, of another type, or not signed by exactly those who had to."""


class KeyNotHeld(VaultError):  # noqa: N818 - see SealBroken
    """A key that is asked for and not there."""


class KeystoreBroken(VaultError):  # noqa: N818 - see SealBroken
    """A key store whose files do not belong together, were changed, or failed to become durable."""


class KeystoreBusy(VaultError):  # noqa: N818 - see SealBroken
    """Another connection kept the key store from finishing; nothing was lost, try again."""


class BackupBroken(VaultError):  # noqa: N818 - see SealBroken
    """A key backup or escrow file that is malformed, cut or changed."""


class BackupSuperseded(VaultError):  # noqa: N818 - see SealBroken
    """A key backup whose epoch key no longer exists: keys were erased since, and it stays closed for ever."""
