"""Becoming a member: a candidate with its keystore, the proposal to admit it, and the votes.

A candidate's keys prove possession, so nobody can register a key that another holds. Who is admitted is decided by
the members' votes on the ledger; here the transactions are made, and a hosted newcomer gets its entry in the network
file once it has its number.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import AdmitOrganisation, Outcome
from careledger.domains.identity.chain.types import Candidate, CandidateKey, Role, Usage, possession_bytes
from careledger.ledger.receipt import Receipt
from careledger.ledger.transaction import build_transaction
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of, sign
from careledger.sdk.messages import Message
from careledger.site.config import ConfigurationInvalid, NetworkConfig, SiteEntry, write_network
from careledger.site.setup import (
    ADMIN_KEY,
    CURSOR_KEY,
    DATABASE_KEY,
    EXCHANGE_KEY,
    LEDGER_KEY,
    OPENING_KEY,
    RECORDS_KEY,
    TOKEN_KEY,
    WITNESS_KEY,
)
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import KEMSeed
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import DEFAULT_PARAMETERS, PassphraseParameters

EXPIRY_MS: Final = 300_000
_USAGES: Final = {
    LEDGER_KEY: Usage.LEDGER,
    EXCHANGE_KEY: Usage.EXCHANGE,
    ADMIN_KEY: Usage.ADMIN,
    RECORDS_KEY: Usage.RECORDS,
}
_FURTHER: Final = (TOKEN_KEY, WITNESS_KEY, OPENING_KEY, DATABASE_KEY, CURSOR_KEY)


def create_candidate(
    site_root: Path,
    *,
    chain_id: str,
    slug: str,
    role: Role,
    endpoints: Sequence[str],
    passphrase: str,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> bytes:
    """Make a keystore in a new folder, and the candidate's canonical bytes to put to the vote.

    Raises:
        ConfigurationInvalid: The folder holds something already.
    """
    if site_root.exists() and any(site_root.iterdir()):
        raise ConfigurationInvalid(f"{site_root} is not empty")
    site_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    seeds = {name: secrets.token_bytes(32) for name in (*_USAGES, *_FURTHER)}
    with Keystore.create(site_root / "keystore.db", passphrase, parameters=parameters) as keystore:
        keystore.put_many(seeds)
    keys = []
    for name, usage in _USAGES.items():
        public_key = public_key_of(seeds[name])
        to_sign = possession_bytes(chain_id=chain_id, slug=slug, public_key=public_key, usages=int(usage))
        keys.append(CandidateKey(public_key, int(usage), sign(seeds[name], to_sign)))
    return encode(
        Candidate(
            slug=slug,
            roles=(role,),
            endpoints=tuple(endpoints),
            hpke_public_key=OpeningKey(KEMSeed(seeds[OPENING_KEY])).recipient.raw,
            admin_threshold=1,
            keys=tuple(sorted(keys, key=lambda key: key.public_key)),
        )
    )


def propose_admission(
    *, chain_id: str, organisation: int, candidate: bytes, admin_seed: bytes, now_ms: int
) -> bytes:
    """Transaction that puts a candidate to the vote; it counts as the proposer's approval."""
    return _signed(chain_id, Propose(organisation, AdmitOrganisation(candidate)), admin_seed, now_ms)


def cast_vote(
    *, chain_id: str, organisation: int, proposal: int, is_approval: bool, admin_seed: bytes, now_ms: int
) -> bytes:
    """Transaction that votes on a proposal."""
    return _signed(chain_id, Vote(organisation, proposal, is_approval), admin_seed, now_ms)


def _signed(chain_id: str, message: Message, admin_seed: bytes, now_ms: int) -> bytes:
    return build_transaction(
        chain_id=chain_id,
        module="governance",
        message=message,
        expires_at_ms=now_ms + EXPIRY_MS,
        seeds=[admin_seed],
    )


def read_outcome(receipt: Receipt) -> Outcome:
    """What a proposal or a vote led to.

    Raises:
        Rejected: It was refused in its block.
    """
    code = receipt.rejection()
    if code is not None:
        raise Rejected(code)
    return decode(receipt.data, Outcome)


def host_site(config: NetworkConfig, *, slug: str, organisation: int, role: str, port: int) -> NetworkConfig:
    """Enter an admitted organisation into the network file, so that it is served from here.

    Raises:
        ConfigurationInvalid: The name or the port is in use here.
    """
    if any(site.slug == slug or site.port == port for site in config.sites):
        raise ConfigurationInvalid(f"{slug} or port {port} is in use in this network folder")
    entry = SiteEntry(slug=slug, organisation=organisation, role=role, port=port)
    changed = replace(config, sites=(*config.sites, entry))
    write_network(changed)
    return changed
