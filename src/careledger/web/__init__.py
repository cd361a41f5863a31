"""What the HTTP faces of all domains share: errors, principals, tokens, limits, logs, metrics, the page shell."""
