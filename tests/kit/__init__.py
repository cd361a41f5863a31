"""What several test folders share: small ledgers made of the real parts."""
