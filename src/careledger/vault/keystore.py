"""The key store of one site: names and secret bytes in a file of their own, sealed by a passphrase.

Owns two files and their agreement:

    PATH        SQLite, every page encrypted (ChaCha20-Poly1305, sqlite3mc); tables in `keystore_slots`
    PATH.seal   the random data key, sealed under the passphrase

Every value is sealed once more with its name as associated data, so that swapping rows fails. Pages are
encrypted so that names, which tell who is a patient where, do not lie in the open. The store is separate from
the site's database so that copies of one are useless without the other. Does not cache opened keys and does
not know what they are for.

SQLite rather than files or LMDB: one durable transaction over many entries, an ordered index for prefixes,
and bytes that can be overwritten where they lie. LMDB is copy-on-write and leaves destroyed bytes in free
pages; a file per key cannot change many at once.

Durability: WAL with `synchronous=FULL`, each asked back from SQLite and checked. A commit that fails to
become durable closes the store for good (`KeystoreBroken`), because what is on disk is unknown then.

Destruction: `destroy` removes, `erase_now` also empties the write-ahead log. What a file system or disk keeps
of overwritten blocks is out of reach; neither file belongs into ordinary backups (see `backup`).

One object serves one thread; several processes may have the same store open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from careledger.storage.faults import declare, fault_point
from careledger.vault import keystore_slots
from careledger.vault.derivation import derive
from careledger.vault.errors import KeyNotHeld, KeystoreBroken, KeystoreBusy
from careledger.vault.keys import DataKey
from careledger.vault.keystore_file import connect, remove
from careledger.vault.passphrase import (
    DEFAULT_PARAMETERS,
    PassphraseParameters,
    open_with_passphrase,
    seal_with_passphrase,
)
from careledger.vault.private_files import (
    OWNER_ONLY,
    read_file,
    replace_and_overwrite,
    replace_file,
    sync_folder,
)

SEAL_SUFFIX: Final = ".seal"
_CREATING_SUFFIX = ".creating"
NAME_CHARACTERS_MAX: Final = 200
SECRET_BYTES_MAX: Final = 64 * 1024

_BEFORE_COMMIT = declare("vault.keystore.before_commit")
_AFTER_COMMIT = declare("vault.keystore.after_commit")
_BEFORE_ERASE = declare("vault.keystore.before_erase")
_BEFORE_STORE = declare("vault.keystore.before_store")
_BEFORE_SEAL = declare("vault.keystore.before_seal")

_NAME = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]*\Z")
_CONTEXT = b"careledger/keystore/v1"
_SEAL_BYTES_MAX = 4096
_ENTRY_VERSION = b"\x01"
_NONCE_BYTES = 12
_LENGTH_BYTES = 2
_ENTRY_OVERHEAD = len(_ENTRY_VERSION) + _NONCE_BYTES + _LENGTH_BYTES + 16


def seal_path_of(path: Path) -> Path:
    """Where the sealed data key of the store at `path` lies."""
    return path.with_name(path.name + SEAL_SUFFIX)


class Keystore:
    """An open key store. Use `create` or `open`, and close it."""

    __slots__ = ("_broken", "_cipher", "_connection", "_in_batch", "path")

    def __init__(self, path: Path, data_key: DataKey) -> None:
        self.path = path
        """The SQLite file."""
        self._in_batch = False
        self._broken = False
        self._cipher = AESGCM(derive(data_key.reveal(), "keystore-entries"))
        self._connection = connect(path, derive(data_key.reveal(), "keystore-pages"))

    @classmethod
    def create(
        cls, path: Path, passphrase: str, *, parameters: PassphraseParameters = DEFAULT_PARAMETERS
    ) -> Self:
        """Make a new store under a new random data key.

        1. The sealed data key becomes durable under a name that says the store is being made.
        2. The store is made.
        3. The sealed key takes its final name.

        A crash before step 3 leaves a store nobody was given; making it again starts afresh.

        Raises:
            FileExistsError: There is a store, or a part of one whose other part is lost.
            ValueError: The passphrase is empty or too long.
        """
        unfinished = path.with_name(path.name + _CREATING_SUFFIX)
        if unfinished.exists() and not seal_path_of(path).exists():
            remove(path)
        if path.exists() or seal_path_of(path).exists():
            raise FileExistsError(f"{path.name} or its sealed key is there already")
        data_key = DataKey.random()
        # 1.
        sealed = seal_with_passphrase(data_key.reveal(), passphrase, context=_CONTEXT, parameters=parameters)
        replace_file(unfinished, [sealed])
        # 2.
        fault_point(_BEFORE_STORE)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY))
        store = cls(path, data_key)
        # 3.
        fault_point(_BEFORE_SEAL)
        unfinished.replace(seal_path_of(path))
        sync_folder(path.parent)
        return store

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Open a store.

        Raises:
            PassphraseWrong: The passphrase does not open the data key.
            ParametersRefused: The sealed key asks for more work than is allowed.
            KeystoreBroken: The files do not belong together, are changed, or the store's own is lost.
            FileNotFoundError: There is no sealed data key.
        """
        data_key = _read_seal(path, passphrase)
        if not path.exists():
            raise KeystoreBroken("the sealed key is there, the store is lost")
        return cls(path, data_key)

    @staticmethod
    def change_passphrase(
        path: Path,
        passphrase: str,
        new_passphrase: str,
        *,
        parameters: PassphraseParameters = DEFAULT_PARAMETERS,
    ) -> None:
        """Seal the same data key under another passphrase, atomically. Open stores stay open.

        Whoever kept a copy of the old `PATH.seal` and knows the old passphrase still has the data key.

        Raises:
            PassphraseWrong: The present passphrase is wrong.
        """
        data_key = _read_seal(path, passphrase)
        sealed = seal_with_passphrase(
            data_key.reveal(), new_passphrase, context=_CONTEXT, parameters=parameters
        )
        replace_and_overwrite(seal_path_of(path), sealed)

    def put(self, name: str, secret: bytes) -> None:
        """Store one secret, in place of an earlier one of that name; durable on return outside a batch.

        Args:
            name: 1 to 200 of `A-Z a-z 0-9 . _ : / -`, starting with a small letter or digit.
            secret: 1 to 65,536 bytes.

        Raises:
            ValueError: Name or secret is out of bounds.
            KeystoreBroken: The commit failed.
            KeystoreBusy: Another connection held the store for too long.
        """
        self.put_many({name: secret})

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        """Store several secrets in one transaction; see `put`."""
        sealed = {name: self._seal(name, secret) for name, secret in entries.items()}
        with self._transaction(), self._failing():
            keystore_slots.write(self._connection, sealed)

    def get(self, name: str) -> bytes:
        """Fetch one secret.

        Raises:
            KeyNotHeld: There is none of that name.
            KeystoreBroken: The entry was changed, or the store failed before.
        """
        sealed = self._sealed(name)
        if sealed is None:
            raise KeyNotHeld("the key store has no entry of that name")
        return self._open(name, sealed)

    def has(self, name: str) -> bool:
        """Whether there is an entry of that name."""
        return self._sealed(name) is not None

    def names(self, prefix: str = "") -> list[str]:
        """Names that start with the prefix, in order."""
        if prefix:
            _checked(prefix)
        with self._failing():
            return keystore_slots.names(self._use(), prefix)

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """Walk over all names and secrets in order, as of one moment.

        Raises:
            KeystoreBroken: An entry was changed.
        """
        with self._failing():
            for name, sealed in keystore_slots.walk(self._use()):
                yield name, self._open(name, sealed)

    def destroy(self, names: Iterable[str]) -> int:
        """Remove entries; their sealed bytes are overwritten. Names without an entry are passed over.

        Until `erase_now`, earlier pages may stand in the write-ahead log.

        Returns:
            How many were there.

        Raises:
            KeystoreBroken: The commit failed.
            KeystoreBusy: Another connection held the store for too long.
        """
        wanted = {_checked(name) for name in names}
        with self._transaction(), self._failing():
            return keystore_slots.clear(self._connection, sorted(wanted))

    def erase_now(self) -> None:
        """Carry everything committed into the main file and empty the write-ahead log, durably.

        Raises:
            KeystoreBusy: A reader holds an earlier state; the log still has it.
            KeystoreBroken: The store failed.
            ValueError: Called inside a batch.
        """
        if self._in_batch:
            raise ValueError("nothing can be erased before the batch is committed")
        fault_point(_BEFORE_ERASE)
        with self._failing():
            answer = self._use().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if answer is None or answer[0] != 0:
            raise KeystoreBusy("a reader keeps the write-ahead log from being emptied")

    def compact(self) -> None:
        """Write the whole file anew, then `erase_now`: names of destroyed entries are gone after it, too.

        Takes memory for the whole store and keeps writers out meanwhile; for quiet hours.

        Raises:
            KeystoreBusy: Another connection is in the way.
            KeystoreBroken: The store failed.
            ValueError: Called inside a batch.
        """
        if self._in_batch:
            raise ValueError("nothing can be compacted before the batch is committed")
        with self._failing():
            self._use().execute("VACUUM")
        self.erase_now()

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Join what is done inside into one durable transaction; an exception drops all of it.

        Raises:
            ValueError: Inside another batch.
            KeystoreBroken: The commit failed.
            KeystoreBusy: Another connection held the store for too long.
        """
        if self._in_batch:
            raise ValueError("a batch does not nest")
        with self._transaction():
            self._in_batch = True
            try:
                yield self
            finally:
                self._in_batch = False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._in_batch:
            yield
            return
        connection = self._use()
        with self._failing():
            connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            fault_point(_BEFORE_COMMIT)
            with self._failing():
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        fault_point(_AFTER_COMMIT)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except apsw.BusyError:
            raise KeystoreBusy("another connection holds the key store") from None
        except apsw.Error as error:
            self._broken = True
            raise KeystoreBroken(f"the key store failed ({type(error).__name__}) and is closed") from error

    def _use(self) -> apsw.Connection:
        if self._broken:
            raise KeystoreBroken("the key store failed before and must be opened anew")
        return self._connection

    def _sealed(self, name: str) -> bytes | None:
        with self._failing():
            return keystore_slots.read(self._use(), _checked(name))

    def _seal(self, name: str, secret: bytes) -> bytes:
        if not 1 <= len(secret) <= SECRET_BYTES_MAX:
            raise ValueError(f"a secret is 1 to {SECRET_BYTES_MAX} bytes")
        room = keystore_slots.slot_size_bytes(len(secret) + _ENTRY_OVERHEAD) - _ENTRY_OVERHEAD
        padded = (len(secret) - 1).to_bytes(_LENGTH_BYTES, "big") + secret.ljust(room, b"\0")
        nonce = os.urandom(_NONCE_BYTES)
        return _ENTRY_VERSION + nonce + self._cipher.encrypt(nonce, padded, _checked(name).encode("ascii"))

    def _open(self, name: str, sealed: bytes) -> bytes:
        if len(sealed) <= _ENTRY_OVERHEAD or not sealed.startswith(_ENTRY_VERSION):
            raise KeystoreBroken("an entry is not of a known version")
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        try:
            padded = self._cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], name.encode("ascii"))
        except InvalidTag:
            raise KeystoreBroken("an entry does not open under its name") from None
        size = int.from_bytes(padded[:_LENGTH_BYTES], "big") + 1
        return padded[_LENGTH_BYTES : _LENGTH_BYTES + size]

    def close(self) -> None:
        """Close the connection; the object is of no more use."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Keystore {self.path.name}>"


def _checked(name: str) -> str:
    if len(name) > NAME_CHARACTERS_MAX or _NAME.match(name) is None:
        raise ValueError("the name of an entry is 1 to 200 of A-Z a-z 0-9 . _ : / -")
    return name


def _read_seal(path: Path, passphrase: str) -> DataKey:
    sealed = read_file(seal_path_of(path), size_bytes_max=_SEAL_BYTES_MAX)
    return DataKey(open_with_passphrase(sealed, passphrase, context=_CONTEXT))
