"""Settled tree to result: closures, which are normative, and the rewritten twin."""
