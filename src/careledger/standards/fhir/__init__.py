"""FHIR R4 (4.0.1) as pure functions on bytes and plain values.

| module | what it owns | |---|---| | ``json_reader``, ``json_writer``, ``json_types`` | bytes to values and back;
limits, exact numbers | | ``structure``, ``tables`` | the facts of the standard | | ``validate`` and the ``*_checks``,
``*_rules`` beside it, ``narrative`` | is a value a resource? | | ``references`` | what refers to what; replacing
links | | ``bundle``, ``bundle_requests``, ``bundle_answers`` | batches and transactions read; responses, search sets
and histories built | | ``patch``, ``path_patch``, ``patch_paths`` | JSON Patch and FHIRPath Patch | | ``meta`` | id,
version and labels of served resources; ``_summary`` and ``_elements`` | | ``instants`` | dates as ranges of
milliseconds | | ``issues``, ``outcome`` | what is wrong, and the OperationOutcome that says so | | ``search`` |
search parameters: queries read, index values extracted |

Values are plain ``dict``, ``list``, ``str``, ``int``, ``Decimal``, ``bool`` and ``None``. No function here changes
its input, reads a clock or performs I/O.
"""
