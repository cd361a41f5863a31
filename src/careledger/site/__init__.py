"""One organisation's installation: configuration, wiring, lifecycle, exchange."""
