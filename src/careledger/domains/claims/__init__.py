"""Insurance: plans, agreements, adjudications, settlement."""
