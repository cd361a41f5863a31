"""The search index of a site: writing resources into it, and searching with authorisation inside the query."""
