"""The HTTP process: mounts each domain's router and pages, and the token endpoints."""
