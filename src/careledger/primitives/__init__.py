"""Codec, hashing, signing, identifiers, money, timestamps, error categories."""
