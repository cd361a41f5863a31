"""The organisation's off-ledger work on records: stores, indexes, workflows."""
