"""HTTP handlers of the protocol between sites."""
