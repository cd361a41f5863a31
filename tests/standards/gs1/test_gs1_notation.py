import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from careledger.standards.gs1 import (
    GLN,
    GTIN,
    LGTIN,
    PGLN,
    SGLN,
    SGTIN,
    SSCC,
    GS1Code,
    GS1Error,
    Key,
    notation,
)
from careledger.standards.gs1.canonical import URI_CHARS_MAX, canonical_uri, checked_canonical_uri
from careledger.standards.gs1.digital_link import parse_link, write_link
from careledger.standards.gs1.element_string import make, parse, write_raw
from careledger.standards.gs1.epc_urn import parse_urn, write_urn
from careledger.standards.gs1.prefixes import CompanyPrefixes
from standards.gs1.gs1_strategies import keys, lgtins, sgtins

# The same thing in every notation. Values after the EPC Tag Data Standard and GS1 Digital Link, made up here.
TABLE: list[tuple[Key, int, str, str, str]] = [
    (
        SGTIN(gtin=GTIN(digits="80614141123458"), serial="6789"),
        7,
        "urn:epc:id:sgtin:0614141.812345.6789",
        "https://id.gs1.org/01/80614141123458/21/6789",
        "0180614141123458216789",
    ),
    (
        SGTIN(gtin=GTIN(digits="80614141123458"), serial='a/b&c"%?(1)'),
        7,
        "urn:epc:id:sgtin:0614141.812345.a%2Fb%26c%22%25%3F(1)",
        "https://id.gs1.org/01/80614141123458/21/a%2Fb%26c%22%25%3F%281%29",
        '018061414112345821a/b&c"%?(1)',
    ),
    (
        LGTIN(gtin=GTIN(digits="04012345123456"), lot="Lot-7"),
        7,
        "urn:epc:class:lgtin:4012345.012345.Lot-7",
        "https://id.gs1.org/01/04012345123456/10/Lot-7",
        "010401234512345610Lot-7",
    ),
    (
        GTIN(digits="04012345666663"),
        7,
        "urn:epc:idpat:sgtin:4012345.066666.*",
        "https://id.gs1.org/01/04012345666663",
        "0104012345666663",
    ),
    (
        SSCC(digits="340123451111111111"),
        7,
        "urn:epc:id:sscc:4012345.3111111111",
        "https://id.gs1.org/00/340123451111111111",
        "00340123451111111111",
    ),
    (
        SGLN(gln=GLN(digits="4012345000054")),
        7,
        "urn:epc:id:sgln:4012345.00005.0",
        "https://id.gs1.org/414/4012345000054",
        "4144012345000054",
    ),
    (
        SGLN(gln=GLN(digits="4012345000054"), extension="122"),
        7,
        "urn:epc:id:sgln:4012345.00005.122",
        "https://id.gs1.org/414/4012345000054/254/122",
        "4144012345000054254122",
    ),
    (
        PGLN(gln=GLN(digits="9999999999994")),
        12,
        "urn:epc:id:pgln:999999999999.",
        "https://id.gs1.org/417/9999999999994",
        "4179999999999994",
    ),
]


@pytest.mark.parametrize(("key", "length", "urn", "link", "raw"), TABLE)
def test_every_notation_in_both_directions(key: Key, length: int, urn: str, link: str, raw: str) -> None:
    assert notation.to_urn(key, length) == urn
    assert notation.from_urn(urn) == key
    assert notation.to_link(key) == link
    assert notation.from_link(link) == key
    assert write_raw(notation.to_element_string(key)) == raw
    assert notation.from_element_string(parse(raw)) == key
    assert checked_canonical_uri(urn) == checked_canonical_uri(link) == link


# Keys without a type of their own: URN, company prefix length, canonical link.
OTHERS = [
    ("urn:epc:id:grai:4012345.00022.334455", 7, "https://id.gs1.org/8003/04012345000221334455"),
    ("urn:epc:id:giai:4012345.ABC345", 7, "https://id.gs1.org/8004/4012345ABC345"),
    ("urn:epc:id:gsrn:4012345.0000006765", 7, "https://id.gs1.org/8018/401234500000067657"),
    ("urn:epc:id:gsrnp:4012345.0000000007", 7, "https://id.gs1.org/8017/401234500000000074"),
    ("urn:epc:id:gdti:4012345.00009.PO-4711", 7, "https://id.gs1.org/253/4012345000092PO-4711"),
    ("urn:epc:id:gdti:987659999999..9", 12, "https://id.gs1.org/253/98765999999929"),
    ("urn:epc:id:sgcn:4012345.67890.04711", 7, "https://id.gs1.org/255/401234567890104711"),
    ("urn:epc:id:cpi:0614141.5PQ7%2FZ43.12345", 7, "https://id.gs1.org/8010/06141415PQ7%2FZ43/8011/12345"),
    ("urn:epc:id:ginc:0614141.xyz47%2F11", 7, "https://id.gs1.org/401/0614141xyz47%2F11"),
    ("urn:epc:id:gsin:4012345.222333444", 7, "https://id.gs1.org/402/40123452223334442"),
    ("urn:epc:id:itip:4012345.011111.01.02.987", 7, "https://id.gs1.org/8006/040123451111180102/21/987"),
    ("urn:epc:id:upui:1234567.098765.51qIgY", 7, "https://id.gs1.org/01/01234567987651/235/51qIgY"),
    ("urn:epc:idpat:grai:4012345.00022.*", 7, "https://id.gs1.org/8003/04012345000221"),
    ("urn:epc:idpat:gdti:4012345.00009.*", 7, "https://id.gs1.org/253/4012345000092"),
    ("urn:epc:idpat:sgcn:4012345.67890.*", 7, "https://id.gs1.org/255/4012345678901"),
    ("urn:epc:idpat:cpi:0614141.5PQ7%2FZ43.*", 7, "https://id.gs1.org/8010/06141415PQ7%2FZ43"),
    ("urn:epc:idpat:itip:4012345.011111.01.02.*", 7, "https://id.gs1.org/8006/040123451111180102"),
]


@pytest.mark.parametrize(("urn", "length", "link"), OTHERS)
def test_other_keys_are_normalised_and_written_back(urn: str, length: int, link: str) -> None:
    assert canonical_uri(urn) == link
    assert canonical_uri(link) == link
    assert write_urn(parse_urn(urn), length) == urn


@given(keys, st.integers(6, 12))
def test_urns_round_trip(key: Key, length: int) -> None:
    urn = notation.to_urn(key, length)
    assert notation.from_urn(urn) == key
    assert canonical_uri(urn) == notation.to_link(key)


@given(keys)
def test_links_round_trip(key: Key) -> None:
    link = notation.to_link(key)
    assert notation.from_link(link) == key
    assert checked_canonical_uri(link) == link
    assert notation.from_link(notation.to_link(key, stem="https://qr.example.org/a/b/")) == key


@given(keys)
def test_element_strings_round_trip(key: Key) -> None:
    assert notation.from_element_string(notation.to_element_string(key)) == key


@given(st.one_of(sgtins, lgtins), st.integers(6, 12))
def test_the_short_cut_agrees_with_the_general_path(key: SGTIN | LGTIN, length: int) -> None:
    urn = notation.to_urn(key, length)
    assert checked_canonical_uri(urn) == write_link(make(*parse_urn(urn)))


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        (
            "https://id.gs1.de/01/04012345999990/21/XYZ-1234",
            "https://id.gs1.org/01/04012345999990/21/XYZ-1234",
        ),
        ("http://id.gs1.org/01/04012345999990", "https://id.gs1.org/01/04012345999990"),
        ("https://example.com/gtin/9780345418913/21/7?abc=1", "https://id.gs1.org/01/09780345418913/21/7"),
        ("https://example.com/a/b/gtin/9780345418913/lot/L1", "https://id.gs1.org/01/09780345418913/10/L1"),
        ("https://example.com/01/04012345999990/10/L/21/S", "https://id.gs1.org/01/04012345999990/21/S"),
        ("https://example.com/01/04012345999990/22/2A", "https://id.gs1.org/01/04012345999990"),
        ("https://example.com/01/04012345999990/22/2A/21/S#top", "https://id.gs1.org/01/04012345999990/21/S"),
        ("https://id.gs1.org/01/04012345999990/21/a!b", "https://id.gs1.org/01/04012345999990/21/a%21b"),
        ("https://id.gs1.org/01/04012345999990/21/a%2fb", "https://id.gs1.org/01/04012345999990/21/a%2Fb"),
        ("https://example.org/8004/401234599999", "https://id.gs1.org/8004/401234599999"),
        ("https://id.gs1.org/01/04012345999991", "https://id.gs1.org/01/04012345999991"),
        # Not GS1 identifiers: left alone.
        ("https://example.org/certificate/ABC12345", "https://example.org/certificate/ABC12345"),
        ("https://example.org/01/1", "https://example.org/01/1"),
        (
            "https://example.org/01/04012345999990/21/" + "x" * 21,
            "https://example.org/01/04012345999990/21/" + "x" * 21,
        ),
        ("https://[broken/01/04012345999990", "https://[broken/01/04012345999990"),
        ("geo:47.5,11.1", "geo:47.5,11.1"),
        ("urn:epc:id:gid:1.2.3", "urn:epc:id:gid:1.2.3"),
        ("urn:epc:id:sgtin:4012345.0111.1", "urn:epc:id:sgtin:4012345.0111.1"),
        ("urn:epcglobal:cbv:bt:4012345000009:A1", "urn:epcglobal:cbv:bt:4012345000009:A1"),
        ("", ""),
    ],
)
def test_canonical_form(uri: str, canonical: str) -> None:
    assert canonical_uri(uri) == canonical
    assert canonical_uri(canonical) == canonical


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("urn:epc:id:sgtin:4012345.0111.1", GS1Code.URN_SYNTAX),
        ("urn:epc:id:sgtin:4012345.011111", GS1Code.URN_SYNTAX),
        ("urn:epc:id:sgtin:40123.01111111.1", GS1Code.URN_SYNTAX),
        ("urn:epc:id:sgtin:4012345.01111x.1", GS1Code.URN_SYNTAX),
        ("urn:epc:id:sgtin:4012345.011111.", GS1Code.TRUNCATED),
        ("urn:epc:id:sgtin:4012345.011111." + "1" * 21, GS1Code.TOO_LONG),
        ("urn:epc:id:sgtin:4012345.011111.a%2", GS1Code.CHARACTER),
        ("urn:epc:id:sgtin:4012345.011111.a%C3%A4", GS1Code.CHARACTER),
        ("urn:epc:id:sgtin:4012345.011111.a b", GS1Code.CHARACTER),
        ("urn:epc:id:sscc:4012345.311111111", GS1Code.URN_SYNTAX),
        ("urn:epc:id:itip:4012345.011111.1.02.9", GS1Code.URN_SYNTAX),
        ("urn:epc:idpat:sgtin:4012345.*.*", GS1Code.URN_SYNTAX),
        ("urn:epc:idpat:sgtin:4012345.011111.7", GS1Code.URN_SYNTAX),
        ("https://id.gs1.org/01/04012345999991", GS1Code.CHECK_DIGIT),
        ("https://example.com/00/340123451111111112", GS1Code.CHECK_DIGIT),
        ("https://example.com/" + "x" * URI_CHARS_MAX, GS1Code.TOO_LONG),
    ],
)
def test_checked_canonical_form_refuses(uri: str, code: GS1Code) -> None:
    with pytest.raises(GS1Error) as caught:
        checked_canonical_uri(uri)
    assert caught.value.code is code


@given(st.text(max_size=80))
def test_canonical_form_never_fails_and_is_stable(uri: str) -> None:
    once = canonical_uri(uri)
    assert canonical_uri(once) == once


def test_links_with_attributes() -> None:
    link = parse_link(
        "https://qr.example.org/p/01/04012345999990/10/L1/21/S%2F1?17=271200&linkType=gs1:pip&3103=000195"
    )
    assert link.stem == "https://qr.example.org/p"
    assert [(e.ai, e.value) for e in link.elements.elements] == [
        ("01", "04012345999990"),
        ("10", "L1"),
        ("21", "S/1"),
        ("17", "271200"),
        ("3103", "000195"),
    ]
    assert link.parameters == (("linkType", "gs1:pip"),)
    written = write_link(make(("17", "271200"), ("21", "S/1"), ("01", "04012345999990"), ("10", "L1")))
    assert written == "https://id.gs1.org/01/04012345999990/10/L1/21/S%2F1?17=271200"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("https://example.org/AQnYUc1gmiERBhQNECtwIWN2A", GS1Code.LINK_COMPRESSED),
        ("https://example.org/", GS1Code.LINK_SYNTAX),
        ("https://example.org/leaflet", GS1Code.LINK_SYNTAX),
        ("ftp://example.org/01/04012345999990", GS1Code.LINK_SYNTAX),
        ("https:///01/04012345999990", GS1Code.LINK_SYNTAX),
        ("https://[bad/01/04012345999990", GS1Code.LINK_SYNTAX),
        ("https://example.org/01/04012345999990/21/S/10/L", GS1Code.LINK_SYNTAX),
        ("https://example.org/01/04012345999990/254/1", GS1Code.LINK_SYNTAX),
        ("https://example.org/01/04012345999991", GS1Code.CHECK_DIGIT),
        ("https://example.org/01/04012345999990?17=271301", GS1Code.DATE),
        ("https://example.org/01/04012345999990/21/%zz", GS1Code.CHARACTER),
        ("https://example.org/" + "x" * 5000, GS1Code.TOO_LONG),
    ],
)
def test_links_that_are_refused(uri: str, code: GS1Code) -> None:
    with pytest.raises(GS1Error) as caught:
        parse_link(uri)
    assert caught.value.code is code


def test_company_prefix_table() -> None:
    table = CompanyPrefixes([("4012", 8), ("4012345", 7), ("0614141", 7)])
    pack = SGTIN(gtin=GTIN(digits="04012345123456"), serial="1")
    assert notation.to_urn(pack, table) == "urn:epc:id:sgtin:4012345.012345.1"
    other = SGTIN(gtin=GTIN.from_body("0401277712345"), serial="1")
    assert notation.to_urn(other, table) == "urn:epc:id:sgtin:40127771.02345.1"
    unknown = SSCC.from_body("39999999999999999")
    with pytest.raises(GS1Error) as caught:
        notation.to_urn(unknown, table)
    assert caught.value.code is GS1Code.PREFIX_LENGTH
    for bad in (5, 13):
        with pytest.raises(GS1Error):
            notation.to_urn(pack, bad)
        with pytest.raises(GS1Error):
            CompanyPrefixes([("1", bad)])
    with pytest.raises(GS1Error):
        CompanyPrefixes([("12a", 7)])


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: GTIN(digits="04012345123457"),
        lambda: GTIN(digits="4012345123456"),
        lambda: GTIN.parse("401234512345"),
        lambda: GTIN.parse("401234x"),
        lambda: SSCC(digits="340123451111111112"),
        lambda: GLN(digits="401234500005"),
        lambda: SGLN(gln=GLN(digits="4012345000054"), extension="x" * 21),
        lambda: SGTIN(gtin=GTIN(digits="04012345123456"), serial=""),
        lambda: LGTIN(gtin=GTIN(digits="04012345123456"), lot="a#"),
    ],
)
def test_keys_are_checked_when_made(make_key: object) -> None:
    assert callable(make_key)
    with pytest.raises(GS1Error):
        make_key()


def test_short_gtins_are_padded() -> None:
    for text in ("73513537", "036000291452", "4006381333931", "04006381333931"):
        assert GTIN.parse(text).digits == text.zfill(14)


@given(keys, keys)
def test_different_keys_have_different_canonical_forms(one: Key, other: Key) -> None:
    assume(one != other)
    assert notation.to_link(one) != notation.to_link(other)


def test_a_key_needs_a_primary_identifier() -> None:
    with pytest.raises(GS1Error):
        notation.from_element_string(make(("10", "A")))
    with pytest.raises(GS1Error):
        write_link(make(("10", "A")))
    assert notation.is_primary_key("01")
    assert not notation.is_primary_key("17")
