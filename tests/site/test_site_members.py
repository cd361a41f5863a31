from careledger.domains.identity.chain.messages import RotateKey
from careledger.domains.records.service.exchange.directory import Directory
from careledger.ledger.transaction import build_transaction
from careledger.ledger.view import LedgerView
from careledger.primitives.signing import public_key_of
from careledger.site.members import RegistryDirectory
from kit.ledgers import CHAIN_ID, START_MS, TestLedger, seed_of


def directory_of(ledger: TestLedger) -> Directory:
    return RegistryDirectory(
        LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    )


def test_members_and_keys_come_from_the_registry_and_go_with_a_revocation() -> None:
    ledger = TestLedger()
    directory = directory_of(ledger)
    key = public_key_of(seed_of("hospital-b"))
    member = directory.by_slug("hospital-b")
    assert member is not None
    assert (member.organisation, member.roles) == (2, frozenset({"hospital"}))
    assert directory.by_number(2) == member
    assert directory.exchange_key_owner(key) == member
    assert directory.records_key_owner(key, now=True) == 2
    assert directory.by_slug("nobody") is None
    assert directory.by_number(99) is None
    assert directory.exchange_key_owner(bytes(32)) is None
    assert directory.records_key_owner(bytes(32), now=False) is None
    new = public_key_of(bytes(range(32)))
    rotate = build_transaction(
        chain_id=CHAIN_ID,
        module="identity",
        message=RotateKey(2, key, new),
        expires_at_ms=START_MS + 300_000,
        seeds=[seed_of("hospital-b"), bytes(range(32))],
    )
    assert ledger.slugs(rotate) == [""]
    assert directory.exchange_key_owner(key) is None
    assert directory.records_key_owner(key, now=True) is None
    assert directory.records_key_owner(key, now=False) == 2, "what it signed before still counts"
    assert directory.exchange_key_owner(new) == member
