"""All that the replicated code of a domain may see."""
