"""A network folder on this machine, as commands use it: configuration, passphrase, the replica, keystores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from careledger.cli.failures import Refused

if TYPE_CHECKING:
    from careledger.consensus.client import LedgerClient
    from careledger.ledger.view import LedgerView
    from careledger.site.config import NetworkConfig, Settings

T = TypeVar("T")

Say = Callable[[str], None]
"""Told what is being done, in plain sentences."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work to its end."""
    return asyncio.run(work)


def open_network(folder: Path) -> NetworkConfig:
    """Read a network folder.

    Raises:
        Refused: There is none, or it cannot be used.
    """
    from careledger.site.config import ConfigurationInvalid, read_network

    try:
        return read_network(folder)
    except ConfigurationInvalid as error:
        raise Refused(f"{error} (name another folder with --network)") from None


def read_settings() -> Settings:
    """Settings from the environment.

    Raises:
        Refused: One is out of range.
    """
    from pydantic import ValidationError

    from careledger.site.config import Settings

    try:
        return Settings.model_validate({})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise Refused(f"CARELEDGER_{name}: {first['msg']}") from None


def passphrase_of(config: NetworkConfig, settings: Settings | None = None) -> str:
    """Passphrase of a network's keystores.

    Raises:
        ConfigurationInvalid: There is none.
    """
    from careledger.site.config import read_passphrase

    return read_passphrase(settings or read_settings(), config.root)


@contextmanager
def open_ledger(config: NetworkConfig) -> Iterator[tuple[LedgerView, LedgerClient]]:
    """The replica's files, and a connection to its process, which may or may not run.

    Raises:
        Refused: There is no replica yet.
    """
    from careledger.consensus.client import LedgerClient
    from careledger.site.ledger_process import LedgerPaths
    from careledger.site.runtime_ledger import opened_view
    from careledger.state.store import StorageFailed

    paths = LedgerPaths(config.ledger_root)
    with ExitStack() as stack:
        try:
            view = stack.enter_context(opened_view(paths))
        except (OSError, StorageFailed):
            raise Refused(
                f"there is no ledger in {paths.root} yet: it begins with the first `careledger serve`"
            ) from None
        yield view, LedgerClient(paths.socket)


def read_key(config: NetworkConfig, slug: str, name: str) -> bytes:
    """One secret of a hosted organisation's keystore.

    Raises:
        ConfigurationInvalid: The organisation is not hosted here, or there is no passphrase.
        VaultError: The keystore does not open.
    """
    from careledger.site.runtime_ledger import read_seed

    config.site(slug)
    return read_seed(config.site_root(slug) / "keystore.db", passphrase_of(config), name)


def parse_hex(text: str, what: str, size_bytes: int = 32) -> bytes:
    """Read a digest as people paste it.

    Raises:
        Refused: It is none.
    """
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != size_bytes:
        raise Refused(f"{what} is {2 * size_bytes} hexadecimal digits")
    return raw


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        Refused: It is there.
    """
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise Refused(f"{path} is there already") from None
