"""Pure rules of governance: when a vote has passed, and which values parameters may have."""
