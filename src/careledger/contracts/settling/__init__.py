"""Syntax tree to settled tree: scopes, calls, certain assignment, gas."""
