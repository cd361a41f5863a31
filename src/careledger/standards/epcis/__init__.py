"""EPCIS 2.0 and CBV 2.0 documents and event hashes."""
