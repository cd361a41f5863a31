"""Transactions, receipts, blocks, the state machine, history, the light client."""
