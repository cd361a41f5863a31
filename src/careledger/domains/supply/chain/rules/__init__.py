"""Pure rules of the supply module."""
