"""What the façades and the pages of all domains share."""
