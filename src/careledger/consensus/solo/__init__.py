"""The embedded engine: one sequencer, group commit, durable before it answers."""
