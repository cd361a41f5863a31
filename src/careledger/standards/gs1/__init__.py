"""GS1 identifiers and their three notations."""
