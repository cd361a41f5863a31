"""Everything that touches a secret: sealing, key wrapping, wallets, the keystore."""
