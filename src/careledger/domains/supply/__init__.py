"""The drug supply chain: packs, containers, custody, recall."""
