from careledger.consensus.cosignatures import CosignatureStore
from careledger.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign, parse_note, sign_checkpoint
from careledger.ledger.meta import TABLES
from careledger.primitives.signing import public_key_of
from careledger.storage.memory_tables import MemoryTables

SEQUENCER, ONE, TWO = (bytes([number]) * 32 for number in (1, 2, 3))
STATEMENT = Checkpoint(chain_id="demo", size=7, root=bytes(32), height=9, time_ms=1)


def test_cosignatures_of_one_checkpoint_come_together_and_a_repeated_one_replaces_itself() -> None:
    tables = MemoryTables(TABLES)
    keys = {"one": public_key_of(ONE), "two": public_key_of(TWO)}
    store = CosignatureStore(
        tables, chain_id="demo", sequencer=public_key_of(SEQUENCER), witnesses=lambda: keys
    )
    signed = sign_checkpoint(STATEMENT, "demo/sequencer", SEQUENCER)
    for time_s in range(5):
        for name, seed in (("one", ONE), ("two", TWO)):
            line = cosign(signed, name, seed, time_s=time_s)
            store.add(SignedCheckpoint(STATEMENT, signed.text, (*signed.signatures, line)).note())
    kept = store.newest()
    assert kept is not None
    lines = parse_note(kept).signatures
    assert [one.name for one in lines] == ["demo/sequencer", "one", "two"]
    assert [int.from_bytes(one.signature[:8], "big") for one in lines[1:]] == [4, 4]
