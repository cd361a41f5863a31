"""GS1 identifiers: keys, notations, scans and symbols.

`keys` holds the types, `notation` turns them into element strings, Digital Links and EPC URNs and back,
`canonical` makes spellings comparable, `scan` reads what a scanner sends and explains what it cannot
read, `symbols` draws and reads DataMatrix and QR. Company prefix tables come from the caller; compressed
Digital Links are not supported; nothing here looks anything up.
"""

from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.keys import GLN, GTIN, LGTIN, PGLN, SGLN, SGTIN, SSCC, Key

__all__ = ["GLN", "GTIN", "LGTIN", "PGLN", "SGLN", "SGTIN", "SSCC", "GS1Code", "GS1Error", "Key"]
