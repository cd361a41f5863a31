"""Organisations, their keys, roles and endpoints."""
