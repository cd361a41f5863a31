"""Making a network folder: organisations' keys, keystores, and the genesis that names them.

Everything secret goes into keystores at once and is never printed. The folder's own `passphrase` file is made
only where no other passphrase is given; it protects against nothing but a lost backup, and the command says so.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from careledger.domains.governance.chain import genesis as governance_genesis
from careledger.domains.governance.chain.types import (
    DEFAULT_LIMITS,
    Limits,
    ModuleActivation,
    Validator,
    Witness,
)
from careledger.domains.identity.chain import genesis as identity_genesis
from careledger.domains.identity.chain.types import Role, Usage
from careledger.domains.records.chain import genesis as records_genesis
from careledger.ledger.genesis import BUCKETS_LOG2_DEFAULT, GenesisDocument, ModuleGenesis, write_genesis
from careledger.primitives.signing import public_key_of
from careledger.site.config import ConfigurationInvalid, NetworkConfig, SiteEntry, write_network
from careledger.site.wiring import build_modules
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import KEMSeed
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import DEFAULT_PARAMETERS, PassphraseParameters

LEDGER_KEY = "key/ledger"
EXCHANGE_KEY = "key/exchange"
ADMIN_KEY = "key/admin"
RECORDS_KEY = "key/records"
TOKEN_KEY = "key/token"  # noqa: S105 - the name of an entry, not a secret
WITNESS_KEY = "key/witness"
OPENING_KEY = "key/opening"
DATABASE_KEY = "key/database"
CURSOR_KEY = "key/cursor"
SEQUENCER_KEY = "key/sequencer"

_USAGES = {
    LEDGER_KEY: Usage.LEDGER,
    EXCHANGE_KEY: Usage.EXCHANGE,
    ADMIN_KEY: Usage.ADMIN,
    RECORDS_KEY: Usage.RECORDS,
}
_ORGANISATION = re.compile(r"(?P<slug>[a-z][a-z0-9-]{1,39}):(?P<role>[a-z-]+)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationPlan:
    """An organisation that a new network starts with."""

    slug: str
    role: Role
    port: int


def parse_organisation(text: str, port: int) -> OrganisationPlan:
    """Read `slug:role`, such as `hospital-a:hospital`.

    Raises:
        ConfigurationInvalid: Not of that form, or an unknown role.
    """
    match = _ORGANISATION.match(text)
    roles = {role.name.lower().replace("_", "-"): role for role in Role}
    if match is None or match["role"] not in roles:
        raise ConfigurationInvalid(
            f"{text!r} is not of the form slug:role with one of the roles {', '.join(roles)}"
        )
    return OrganisationPlan(slug=match["slug"], role=roles[match["role"]], port=port)


def create_network(
    root: Path,
    *,
    chain_id: str,
    organisations: Sequence[OrganisationPlan],
    passphrase: str,
    genesis_time_ms: int,
    host: str = "127.0.0.1",
    limits: Limits = DEFAULT_LIMITS,
    buckets_log2: int = BUCKETS_LOG2_DEFAULT,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> NetworkConfig:
    """Create a network folder with an embedded ledger and a site for each organisation.

    Raises:
        ConfigurationInvalid: The folder already holds something, or the plan is wrong.
    """
    if root.exists() and any(root.iterdir()):
        raise ConfigurationInvalid(f"{root} is not empty")
    if not organisations or len({plan.slug for plan in organisations}) != len(organisations):
        raise ConfigurationInvalid("a network needs at least one organisation, each with a name of its own")
    (root / "ledger").mkdir(parents=True, mode=0o700)
    root.chmod(0o700)
    sequencer = _create_keystore(root / "ledger" / "keystore.db", passphrase, (SEQUENCER_KEY,), parameters)
    members, witnesses = [], []
    for number, plan in enumerate(organisations, start=1):
        site_root = root / "sites" / plan.slug
        site_root.mkdir(parents=True, mode=0o700)
        seeds = _create_keystore(
            site_root / "keystore.db",
            passphrase,
            (*_USAGES, TOKEN_KEY, WITNESS_KEY, OPENING_KEY, DATABASE_KEY, CURSOR_KEY),
            parameters,
        )
        members.append(_member(number, plan, seeds, host))
        if plan.role in (Role.REGULATOR, Role.WITNESS):
            witnesses.append(Witness(plan.slug, public_key_of(seeds[WITNESS_KEY])))
    states: dict[str, object] = {
        "identity": identity_genesis.genesis_document(members),
        "governance": governance_genesis.genesis_document(
            modules=[ModuleActivation(module.name, module.version, 0) for module in build_modules()],
            validators=[Validator(public_key_of(sequencer[SEQUENCER_KEY]), 1, 1)],
            limits=limits,
            witnesses=witnesses,
            witness_quorum=min(1, len(witnesses)),
        ),
        "records": records_genesis.genesis_document(),
    }
    document = GenesisDocument(
        chain_id=chain_id,
        genesis_time_ms=genesis_time_ms,
        buckets_log2=buckets_log2,
        modules=tuple(
            ModuleGenesis(module.name, module.version, states[module.name]) for module in build_modules()
        ),
        seen={},
    )
    (root / "ledger" / "genesis.json").write_bytes(write_genesis(document))
    config = NetworkConfig(
        root=root,
        chain_id=chain_id,
        sites=tuple(
            SiteEntry(slug=plan.slug, organisation=number, role=plan.role.name.lower(), port=plan.port)
            for number, plan in enumerate(organisations, start=1)
        ),
    )
    write_network(config)
    return config


def new_passphrase_file(root: Path) -> str:
    """Make a random passphrase and keep it in the network folder, readable by its owner only."""
    passphrase = secrets.token_urlsafe(32)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(root / "passphrase", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(passphrase + "\n")
    return passphrase


def _create_keystore(
    path: Path, passphrase: str, names: Sequence[str], parameters: PassphraseParameters
) -> dict[str, bytes]:
    seeds = {name: secrets.token_bytes(32) for name in names}
    keystore = Keystore.create(path, passphrase, parameters=parameters)
    try:
        keystore.put_many(seeds)
    finally:
        keystore.close()
    return seeds


def _member(
    number: int, plan: OrganisationPlan, seeds: dict[str, bytes], host: str
) -> identity_genesis.GenesisOrganisation:
    return identity_genesis.GenesisOrganisation(
        id=number,
        slug=plan.slug,
        roles=(plan.role,),
        endpoints=(f"http://{host}:{plan.port}",),
        hpke_public_key=OpeningKey(KEMSeed(seeds[OPENING_KEY])).recipient.raw,
        keys=tuple(
            identity_genesis.GenesisKey(public_key=public_key_of(seeds[name]), usages=int(usage))
            for name, usage in _USAGES.items()
        ),
    )
