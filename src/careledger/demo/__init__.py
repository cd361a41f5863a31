"""The synthetic network and its story, deterministic from a seed."""
