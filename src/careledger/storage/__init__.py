"""Adapters to LMDB, SQLite and PostgreSQL."""
