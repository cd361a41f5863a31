"""EPCIS 2.0 and CBV 2.0: documents, events, hashes and queries.

`reading.parse_document` takes JSON-LD or XML (2.0, and 1.0 to 1.2) and gives a `Document` whose events are typed,
checked and located when wrong; `json_writer` and `xml_writer` write; `event_hash` computes the identity of an
event; `corrections` compares one with an earlier one; `query_parameters` and `query` are SimpleEventQuery;
`capture_job` is the answer to a capture. No I/O, no clock, nothing fetched.
"""
