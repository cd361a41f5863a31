"""Between organisations: signed requests, disclosures with proof, what the other side checks.

directory, messages   who the others are; bodies on the wire
client, dialling      outgoing requests: registry addresses only, pinned, no redirects
heads                 signed heads of streams, and what two that differ prove
release, disclosing   the custodian's side of a read
verifying, reading    the requester's side
history               several organisations' entries as one FHIR history
"""
