"""X12 5010 transaction sets."""
