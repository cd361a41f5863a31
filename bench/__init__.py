"""Measurements: `python -m bench [--only key,key]`. Figures go to docs/performance.md with the command that made them."""
