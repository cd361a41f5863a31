"""FHIR R4 search: parameters, extraction of index rows, requests. Pure; no I/O."""
