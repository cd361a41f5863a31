"""Bindings generated from `engine.proto` by `tools/abci_wire.py`; nobody edits them."""
