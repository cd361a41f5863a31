"""CareLedger: one shared ledger for health care's facts, with the people kept off it."""

__version__ = "0.1.0"
