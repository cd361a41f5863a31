import re
import struct
import zlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from careledger.standards.gs1 import png, symbols
from careledger.standards.gs1.element_string import make, parse_raw
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.keys import GTIN, SGTIN
from careledger.standards.gs1.png import GreyImage, read_png, write_png
from careledger.standards.gs1.scan import Outcome, diagnose_scan
from careledger.standards.gs1.symbols import Symbol
from standards.gs1.gs1_strategies import sgtins

GTIN_1 = "04006381333931"
# More than the largest symbol holds.
TOO_MUCH = make(
    *((f"{n}", "a" * 90) for n in range(91, 100)),
    *((f"723{n}", "AA" + "b" * 28) for n in range(10)),
    *((f"703{n}", "100" + "c" * 27) for n in range(10)),
    *((f"43{n:02}", "d" * 70) for n in (*range(2, 7), *range(12, 17))),
    ("8110", "e" * 70),
    ("8112", "f" * 70),
)
PACK = make(("01", GTIN_1), ("17", "271200"), ("10", "ABC-1"), ("21", "XY12Z"))


@pytest.mark.parametrize(("symbol", "identifier"), [(Symbol.DATA_MATRIX, "]d2"), (Symbol.QR, "]Q3")])
def test_what_is_printed_is_read_back(symbol: Symbol, identifier: str) -> None:
    (reading,) = symbols.read_image(symbols.symbol_png(PACK, symbol=symbol))
    assert reading.text.startswith(identifier)
    assert parse_raw(reading.text).elements == PACK.elements
    assert diagnose_scan(reading.text).outcome is Outcome.READ
    assert len(reading.corners) == 4


@settings(max_examples=25)
@given(sgtins)
@example(SGTIN(gtin=GTIN(digits=GTIN_1), serial="0:0:0:0:0:_0:"))  # once drawn as a symbol foreign to GS1
def test_any_pack_survives_its_symbol(pack: SGTIN) -> None:
    string = make(("01", pack.gtin.digits), ("21", pack.serial))
    try:
        image = symbols.symbol_png(string, scale=4)
    except GS1Error:
        # The symbol library takes bracketed text; a value with brackets is refused, never misprinted.
        assert "(" in pack.serial
        return
    (reading,) = symbols.read_image(image)
    assert parse_raw(reading.text).elements == string.elements


def test_a_link_in_a_qr_code() -> None:
    uri = f"https://id.gs1.org/01/{GTIN_1}/21/XY12Z?17=271200"
    (reading,) = symbols.read_image(symbols.link_png(uri))
    assert reading.text == "]Q1" + uri
    assert diagnose_scan(reading.text).outcome is Outcome.READ
    root = ET.fromstring(symbols.link_svg(uri))
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "GS1 Digital Link"


def test_the_drawing_is_the_symbol() -> None:
    svg = symbols.symbol_svg(PACK, title="Pack 1")
    root = ET.fromstring(svg)
    width, height = (int(size) for size in root.attrib["viewBox"].split()[2:])
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "Pack 1"
    pixels = bytearray(b"\xff" * (width * height))
    path = root.findall("{http://www.w3.org/2000/svg}path")[1].attrib["d"]
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1", path):
        start = int(y) * width + int(x)
        pixels[start : start + int(length)] = bytes(int(length))
    big = bytearray()
    for y in range(height):
        row = b"".join(bytes([pixels[y * width + x]]) * 4 for x in range(width))
        big += row * 4
    (reading,) = symbols.read_pixels(GreyImage(width=width * 4, height=height * 4, pixels=bytes(big)))
    assert parse_raw(reading.text).elements == PACK.elements


def test_striped_codes_only_on_request() -> None:
    modules = "000110101001110111101"  # a few bars are not a code
    image = GreyImage(width=42, height=20, pixels=bytes(255 * (bit == "0") for bit in modules * 2) * 20)
    assert symbols.read_pixels(image) == ()
    assert symbols.read_pixels(image, include_linear=True) == ()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda: symbols.symbol_png(make(("01", GTIN_1), ("21", "1(10)2"))), GS1Code.SYMBOL),
        (lambda: symbols.symbol_png(PACK, scale=0), GS1Code.SYMBOL),
        (lambda: symbols.symbol_png(PACK, scale=33), GS1Code.SYMBOL),
        (lambda: symbols.symbol_svg(PACK, title="<script>"), GS1Code.CHARACTER),
        (lambda: symbols.symbol_png(TOO_MUCH), GS1Code.SYMBOL),
        (lambda: symbols.link_png("https://example.org/leaflet"), GS1Code.LINK_SYNTAX),
        (lambda: symbols.link_png(f"https://id.gs1.org/01/{GTIN_1}", scale=99), GS1Code.SYMBOL),
        (lambda: symbols.link_svg(f"https://id.gs1.org/01/{GTIN_1}?x=" + "y" * 3000), GS1Code.SYMBOL),
        (lambda: symbols.read_pixels(GreyImage(width=2, height=2, pixels=b"123")), GS1Code.IMAGE),
        (lambda: symbols.read_pixels(GreyImage(width=0, height=0, pixels=b"")), GS1Code.IMAGE),
        (lambda: symbols.read_image(b"\xff\xd8\xff\xe0JFIF"), GS1Code.IMAGE),
    ],
)
def test_refused(act: object, code: GS1Code) -> None:
    assert callable(act)
    with pytest.raises(GS1Error) as caught:
        act()
    assert caught.value.code is code


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40))
def test_png_round_trips(width: int, height: int) -> None:
    pixels = bytes((x * 37 + width) % 256 for x in range(width * height))
    image = GreyImage(width=width, height=height, pixels=pixels)
    assert read_png(write_png(image)) == image


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def build(
    width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"", tail: bytes = b"\0\0\0"
) -> bytes:
    header = struct.pack(">IIBB", width, height, depth, colour) + tail
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (build(2, 1, 8, 2, b"\0" + bytes([255, 255, 255, 0, 0, 0])), bytes([255, 0])),
        (build(2, 1, 8, 6, b"\0" + bytes([0, 0, 0, 255, 0, 0, 0, 0])), bytes([0, 255])),
        (build(2, 1, 8, 4, b"\0" + bytes([10, 255, 10, 0])), bytes([10, 255])),
        (build(9, 1, 1, 0, b"\0\xaa\x80"), bytes([255, 0] * 4 + [255])),
        (build(3, 1, 2, 0, b"\0\x1b"), bytes([0, 85, 170])),
        (build(2, 1, 4, 3, b"\0\x10", chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255]))), bytes([255, 0])),
        (
            build(2, 1, 8, 3, b"\0\x00\x01", chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0")),
            bytes([255, 0]),
        ),
        (build(3, 1, 8, 0, b"\x01\x01\x01\x01"), bytes([1, 2, 3])),
        (build(2, 2, 8, 0, b"\0\x05\x06\x02\x01\x01"), bytes([5, 6, 6, 7])),
        (build(2, 2, 8, 0, b"\0\x04\x08\x03\x01\x01"), bytes([4, 8, 3, 6])),
        (build(2, 2, 8, 0, b"\0\x04\x08\x04\x01\x01"), bytes([4, 8, 5, 9])),
    ],
)
def test_kinds_of_png(data: bytes, pixels: bytes) -> None:
    assert read_png(data).pixels == pixels


GOOD = build(2, 1, 8, 0, b"\0\x05\x06")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:8],
        GOOD[:30],
        GOOD[:20] + b"\xff" + GOOD[21:],
        build(100_000, 100_000, 8, 0, b""),
        build(0, 1, 8, 0, b""),
        build(2, 1, 16, 0, b"\0\x05\x06"),
        build(2, 1, 4, 2, b"\0\x05\x06"),
        build(2, 1, 8, 5, b"\0\x05\x06"),
        build(2, 1, 8, 0, b"\0\x05\x06", tail=b"\0\0\1"),
        build(2, 1, 8, 0, b"\0\x05"),
        build(2, 1, 8, 0, b"\x09\x05\x06"),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", GOOD[16:29]) + chunk(b"IDAT", b"nonsense"),
    ],
)
def test_damaged_and_hostile_png(data: bytes) -> None:
    with pytest.raises(GS1Error) as caught:
        read_png(data)
    assert caught.value.code is GS1Code.IMAGE


def test_a_bomb_is_not_unpacked() -> None:
    bomb = build(2, 1, 8, 0, bytes(50_000_000))
    assert len(bomb) < 100_000
    assert read_png(bomb).pixels == b"\0\0"
    assert len(bomb) < png.FILE_BYTES_MAX
