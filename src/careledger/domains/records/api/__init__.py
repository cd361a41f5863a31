"""FHIR R4 over HTTP: industry documents in, industry documents out. Storing, sealing and searching are `service/`'s."""
