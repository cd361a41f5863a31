"""The organisation's off-ledger work in the supply chain: secrets, certificates, verification, EPCIS events."""
