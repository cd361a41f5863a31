"""The organisation's repository of EPCIS events: captured once, corrected by declaration, found by query."""
