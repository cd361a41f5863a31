"""One key, three notations.

Owns the translation between the typed keys of `keys` and element strings, Digital Links and EPC
URNs, in both directions. All of it goes through pairs of application identifier and value, so no two
notations can disagree.
"""

from __future__ import annotations

from careledger.standards.gs1.digital_link import CANONICAL_STEM, QUALIFIERS, parse_link, write_link
from careledger.standards.gs1.element_string import ElementString, make
from careledger.standards.gs1.epc_urn import Pairs, parse_urn, write_urn
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.keys import GLN, GTIN, LGTIN, PGLN, SGLN, SGTIN, SSCC, Key
from careledger.standards.gs1.prefixes import CompanyPrefixes

_NO_EXTENSION = "0"


def to_pairs(key: Key) -> Pairs:
    """Give the application identifiers and values of a key, primary key first."""
    match key:
        case GTIN():
            return (("01", key.digits),)
        case SGTIN():
            return ("01", key.gtin.digits), ("21", key.serial)
        case LGTIN():
            return ("01", key.gtin.digits), ("10", key.lot)
        case SSCC():
            return (("00", key.digits),)
        case PGLN():
            return (("417", key.gln.digits),)
        case SGLN():
            place = ("414", key.gln.digits)
            return (place, ("254", key.extension)) if key.extension else (place,)


def from_pairs(pairs: Pairs) -> Key:
    """Make the most specific key that the pairs name: a serial number wins over a lot.

    An extension `0` of a location means no extension, as in a URN.

    Raises:
        GS1Error: NOT_A_KEY when there is none of (00), (01), (414), (417).
    """
    values = dict(pairs)
    if "01" in values:
        gtin = GTIN(digits=values["01"])
        if "21" in values:
            return SGTIN(gtin=gtin, serial=values["21"])
        return LGTIN(gtin=gtin, lot=values["10"]) if "10" in values else gtin
    if "00" in values:
        return SSCC(digits=values["00"])
    if "414" in values:
        extension = values.get("254", "")
        return SGLN(gln=GLN(digits=values["414"]), extension="" if extension == _NO_EXTENSION else extension)
    if "417" in values:
        return PGLN(gln=GLN(digits=values["417"]))
    raise GS1Error(GS1Code.NOT_A_KEY, "no trade item, logistic unit, place or party is named")


def to_element_string(key: Key) -> ElementString:
    """Give a key as an element string."""
    return make(*to_pairs(key))


def from_element_string(string: ElementString) -> Key:
    """Take the key out of an element string.

    Raises:
        GS1Error: as `from_pairs`.
    """
    return from_pairs(tuple((element.ai, element.value) for element in string.elements))


def to_link(key: Key, *, stem: str = CANONICAL_STEM) -> str:
    """Write a key as a Digital Link."""
    return write_link(to_element_string(key), stem=stem)


def from_link(uri: str) -> Key:
    """Read a key from a Digital Link; attributes in the query string are ignored.

    Raises:
        GS1Error: as `digital_link.parse_link` and `from_pairs`.
    """
    link = parse_link(uri)
    return from_pairs(tuple((element.ai, element.value) for element in (link.key, *link.qualifiers)))


def to_urn(key: Key, prefix: int | CompanyPrefixes) -> str:
    """Write a key as an EPC URN.

    Args:
        key: what to write; a GTIN becomes a pattern, an LGTIN an EPC class.
        prefix: length of the company prefix in digits, or a table to look it up in.

    Raises:
        GS1Error: PREFIX_LENGTH when the length is wrong or the table does not know it.
    """
    pairs = to_pairs(key)
    length = prefix if isinstance(prefix, int) else prefix.length(*pairs[0])
    if length is None:
        raise GS1Error(GS1Code.PREFIX_LENGTH, "the table does not know this company prefix", ai=pairs[0][0])
    return write_urn(pairs, length)


def from_urn(urn: str) -> Key:
    """Read a key from an EPC URN.

    Raises:
        GS1Error: as `epc_urn.parse_urn` and `from_pairs`.
    """
    return from_pairs(parse_urn(urn))


def is_primary_key(ai: str) -> bool:
    """Tell whether an application identifier names a GS1 key by itself."""
    return ai in QUALIFIERS
