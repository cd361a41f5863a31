"""Consent: what a patient decided, what follows from it, and how it is enforced.

policy, vocabulary   the rules of a decision, and the pure function that applies them
fhir_consent         FHIR R4 Consent (as IHE PCF constrains it) to a policy
coverage             what a policy opens as a whole: grants of keys instead of single records
grants               signed grants with sealed keys
cells                contents of a consent cell, openings, updates
custody              the custodian's side: openings, stops, epochs
"""
