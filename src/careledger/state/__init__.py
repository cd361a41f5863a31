"""The ordered store port, overlays, keys, the bucket tree and its proofs."""
