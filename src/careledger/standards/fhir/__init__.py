"""FHIR R4: parsing, validation, references, search parameters."""
