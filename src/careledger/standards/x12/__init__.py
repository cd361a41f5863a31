"""X12 005010 transaction sets: claims, remittances and their acknowledgements. Pure, no I/O.

From bytes upwards: `header` and `tokens` (delimiters, segments, limits), `envelope` (ISA/GS/ST nesting),
`walker` (loops by the tables in `tables`), `checks` and `patterns` (elements), `validate` (a whole set). On
these stand `acknowledge` and `acknowledge_write` (TA1, 999), `claim_read` and `claim_write` (837P, 837I),
`claim_status` (277CA), `remittance_read`, `remittance_write` and `balance` (835), and `interchange` (whole
inputs, byte for byte). The format as this package takes it is described in `docs/formats/x12.md`.
"""
