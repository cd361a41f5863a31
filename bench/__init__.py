"""Measurements: `python -m bench [--only key,key]`; figures go to docs/performance.md with their command."""
