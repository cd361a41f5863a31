"""The deterministic, metered contract runtime."""
