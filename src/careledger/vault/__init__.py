"""Everything that touches a secret: sealing, key wrapping, wallets, the keystore.

keys, derivation        kinds of secrets; HKDF with labels
sealing, wrapping, kem  sealed blobs; record keys under compartment keys; keys handed over by HPKE
wallet, recovery        a patient's derived keys; export, import, two of three shares (sharing, share_text)
streams, leaves         tags, manifests, voids; a record's commitment and the opening of its fields
envelope                signed payloads
passphrase              Argon2id
keystore, backup        a site's keys at rest (keystore_file, keystore_slots); backups that end with an erasure
                        (escrow, private_files)

Every format is in `docs/formats/vault.md`. Knows no domain, no ledger and no site.
"""
