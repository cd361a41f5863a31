"""Packaged tables of FHIR R4 (4.0.1) facts, written by ``tools/fhir_tables.py``.

The JSON files beside this module are generated and never edited by hand. They carry names, types,
cardinalities, codes and expressions; they carry no prose of the standard.
"""
