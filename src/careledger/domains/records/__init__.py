"""Patient records: versions, consent cells, the access log."""
