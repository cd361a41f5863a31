"""Configuration: a network folder's TOML file, overridden by environment variables.

`network.toml` is written by `careledger init` and names the ledger and the organisations that this installation
hosts. Every setting has an environment variable with the prefix `CARELEDGER_`, listed in
`docs/reference/configuration.md`. Secrets are never in either; they are in the keystores.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from careledger.primitives.identifiers import is_chain_id, is_slug

NETWORK_FILE = "network.toml"


class ConfigurationInvalid(Exception):  # noqa: N818 - what the user is told
    """The configuration cannot be used; the message says what is wrong and where."""


class Settings(BaseSettings):
    """What an operator may set; each by `CARELEDGER_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="CARELEDGER_", extra="ignore")

    host: str = Field("127.0.0.1", description="Address that gateways listen on.")
    heartbeat_ms: int = Field(
        20_000, ge=100, le=30_000, description="Longest time without a block, in milliseconds."
    )
    group_wait_ms: int = Field(
        2,
        ge=0,
        le=1_000,
        description="How long the engine waits for others to join a block, in milliseconds.",
    )
    commit_wait_ms: int = Field(
        250,
        ge=0,
        le=60_000,
        description="How long an answer waits for the ledger before it says `pending`, in milliseconds.",
    )
    write_group_ms: int = Field(
        3,
        ge=0,
        le=1_000,
        description="How long a site collects writes into one transaction, in milliseconds.",
    )
    restricted_delay_ms_min: int = Field(
        2_000, ge=0, description="Least delay of restricted compartments' ledger entries, in milliseconds."
    )
    restricted_delay_ms_max: int = Field(
        10_000,
        ge=0,
        description="Greatest delay of restricted compartments' ledger entries, in milliseconds.",
    )
    passphrase: str = Field("", description="Passphrase of the keystores; better given as a file.")
    passphrase_file: Path | None = Field(None, description="File that holds the passphrase of the keystores.")
    log_level: str = Field("INFO", description="Least severity that is logged.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEntry:
    """One organisation that this installation hosts."""

    slug: str
    """Short name, as registered on the ledger."""
    organisation: int
    """Number on the ledger."""
    role: str
    """What it is: hospital, practice, …"""
    port: int
    """TCP port of its gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """One network folder."""

    root: Path
    chain_id: str
    sites: tuple[SiteEntry, ...]

    @property
    def ledger_root(self) -> Path:
        """Folder of the replica."""
        return self.root / "ledger"

    def site_root(self, slug: str) -> Path:
        """Folder of one organisation's site."""
        return self.root / "sites" / slug

    def site(self, slug: str) -> SiteEntry:
        """Entry of one organisation.

        Raises:
            ConfigurationInvalid: It is not hosted here.
        """
        for entry in self.sites:
            if entry.slug == slug:
                return entry
        known = ", ".join(entry.slug for entry in self.sites)
        raise ConfigurationInvalid(f"no organisation {slug!r} here; there are: {known}")


def read_network(root: Path) -> NetworkConfig:
    """Read a network folder's configuration.

    Raises:
        ConfigurationInvalid: There is none, or it is malformed.
    """
    path = root / NETWORK_FILE
    try:
        document = tomllib.loads(path.read_text())
        config = NetworkConfig(
            root=root,
            chain_id=str(document["chain_id"]),
            sites=tuple(
                SiteEntry(
                    slug=str(site["slug"]),
                    organisation=int(site["organisation"]),
                    role=str(site["role"]),
                    port=int(site["port"]),
                )
                for site in document["site"]
            ),
        )
    except FileNotFoundError:
        raise ConfigurationInvalid(f"there is no network in {root}: run `careledger init` first") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationInvalid(f"{path} is malformed: {error}") from None
    if not is_chain_id(config.chain_id) or not all(is_slug(site.slug) for site in config.sites):
        raise ConfigurationInvalid(f"{path}: a name is malformed")
    return config


def write_network(config: NetworkConfig) -> None:
    """Write a network folder's configuration."""
    lines = [
        "# Written by `careledger init`.",
        f'chain_id = "{config.chain_id}"',
    ]
    for site in config.sites:
        lines += [
            "",
            "[[site]]",
            f'slug = "{site.slug}"',
            f"organisation = {site.organisation}",
            f'role = "{site.role}"',
            f"port = {site.port}",
        ]
    (config.root / NETWORK_FILE).write_text("\n".join(lines) + "\n")


def read_passphrase(settings: Settings, root: Path) -> str:
    """Find the keystores' passphrase: environment, named file, or the folder's own file.

    Raises:
        ConfigurationInvalid: There is none.
    """
    if settings.passphrase:
        return settings.passphrase
    path = settings.passphrase_file or root / "passphrase"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise ConfigurationInvalid(
            "no passphrase: set CARELEDGER_PASSPHRASE_FILE to a file that holds it"
        ) from None
