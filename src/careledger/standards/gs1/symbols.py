"""GS1 DataMatrix and QR symbols, created and read.

Owns the calls into zxing-cpp (GS1 symbols, reading) and segno (QR codes of Digital Links). Creating always goes
through a checked element string and says `gs1=True`, since zxing-cpp otherwise makes a symbol without the GS1
mark and says nothing. Images come and go as bytes; nothing touches a camera, a file or a network.
"""

from __future__ import annotations

import enum
import io
from typing import Final, cast

import msgspec
import segno
import zxingcpp

from careledger.standards.gs1.ai import IDENTIFIERS
from careledger.standards.gs1.digital_link import parse_link
from careledger.standards.gs1.element_string import GROUP_SEPARATOR, ElementString, write_bracketed
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.png import PIXELS_MAX, GreyImage, read_png, write_png

SCALE_MAX: Final = 32
"""Most pixels per module."""

_READABLE = (zxingcpp.BarcodeFormat.DataMatrix, zxingcpp.BarcodeFormat.QRCode)
_LINEAR = (
    zxingcpp.BarcodeFormat.EAN13,
    zxingcpp.BarcodeFormat.EAN8,
    zxingcpp.BarcodeFormat.UPCA,
    zxingcpp.BarcodeFormat.ITF,
    zxingcpp.BarcodeFormat.Code128,
)
_SYMBOLS_PER_IMAGE_MAX = 64


class Symbol(enum.StrEnum):
    """Symbols that carry element strings."""

    DATA_MATRIX = "data-matrix"
    QR = "qr"


_FORMATS = {
    Symbol.DATA_MATRIX: zxingcpp.BarcodeFormat.DataMatrix,
    Symbol.QR: zxingcpp.BarcodeFormat.QRCode,
}


class SymbolReading(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol found in an image."""

    text: str
    """What a hand scanner would send: symbology identifier, then the content with ASCII 29 for FNC1."""

    format: str
    """Kind of symbol, such as `DataMatrix`."""

    corners: tuple[tuple[int, int], ...]
    """Corners in pixels, clockwise from the top left."""


def symbol_png(string: ElementString, *, symbol: Symbol = Symbol.DATA_MATRIX, scale: int = 6) -> bytes:
    """Draw a GS1 symbol as PNG, quiet zone included.

    Args:
        string: content, already checked.
        symbol: DataMatrix for packs, QR elsewhere.
        scale: pixels per module, 1 to `SCALE_MAX`.

    Raises:
        GS1Error: SYMBOL when the content does not fit the symbol, holds brackets that the symbol library
            would take for identifiers, or `scale` is out of range.
    """
    return write_png(_matrix(string, symbol, scale))


def symbol_svg(
    string: ElementString, *, symbol: Symbol = Symbol.DATA_MATRIX, title: str = "GS1 symbol"
) -> str:
    """Draw a GS1 symbol as an SVG element, to be embedded in a page or saved.

    The drawing has one unit per module, one path, no script and no document type. `title` is its text for
    screen readers and must not hold markup.

    Raises:
        GS1Error: as `symbol_png`; CHARACTER when `title` holds markup.
    """
    if any(sign in title for sign in "<>&\"'"):
        raise GS1Error(GS1Code.CHARACTER, "a title is plain text")
    image = _matrix(string, symbol, 1)
    path = "".join(_runs(image))
    size = f"{image.width} {image.height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {size}" shape-rendering="crispEdges">'
        f'<title>{title}</title><path fill="#fff" d="M0 0h{image.width}v{image.height}H0z"/>'
        f'<path fill="#000" d="{path}"/></svg>'
    )


def _runs(image: GreyImage) -> list[str]:
    """Describe each horizontal run of dark modules as one rectangle."""
    commands = []
    for y in range(image.height):
        row = image.pixels[y * image.width : (y + 1) * image.width]
        x = row.find(0)
        while x >= 0:
            end = x
            while end < image.width and row[end] == 0:
                end += 1
            commands.append(f"M{x} {y}h{end - x}v1H{x}z")
            x = row.find(0, end)
    return commands


def _matrix(string: ElementString, symbol: Symbol, scale: int) -> GreyImage:
    if not 1 <= scale <= SCALE_MAX:
        raise GS1Error(GS1Code.SYMBOL, f"the scale must be 1 to {SCALE_MAX}")
    try:
        # Left alone, the library sometimes picks a long DataMatrix that GS1 does not know and scanners misname.
        barcode = zxingcpp.create_barcode(
            write_bracketed(string), _FORMATS[symbol], gs1=True, force_square=True
        )
    except ValueError as error:
        raise GS1Error(GS1Code.SYMBOL, "the content does not fit this symbol") from error
    if barcode.content_type != zxingcpp.ContentType.GS1:
        raise GS1Error(GS1Code.SYMBOL, "the symbol came out without the GS1 mark")
    if barcode.bytes != _content(string):
        raise GS1Error(GS1Code.SYMBOL, "brackets inside a value cannot be drawn")
    image = barcode.to_image(scale=scale)
    height, width = image.shape
    if height != width:
        raise GS1Error(GS1Code.SYMBOL, "the symbol did not come out square")
    # The image offers the buffer protocol; its published types do not say so.
    return GreyImage(width=width, height=height, pixels=bytes(memoryview(cast("bytes", image))))


def _content(string: ElementString) -> bytes:
    """Give the bytes a symbol must hold: the elements in their order, separators where needed."""
    parts = []
    for element in string.elements:
        parts.append(element.ai + element.value)
        if IDENTIFIERS[element.ai].needs_separator:
            parts.append(GROUP_SEPARATOR)
    return "".join(parts).removesuffix(GROUP_SEPARATOR).encode("ascii")


def link_png(uri: str, *, scale: int = 6) -> bytes:
    """Draw a Digital Link as a QR code in PNG, error correction M or better.

    Raises:
        GS1Error: when `uri` is not an uncompressed Digital Link, or SYMBOL when `scale` is out of range.
    """
    stream = io.BytesIO()
    _link_qr(uri, scale).save(stream, kind="png", scale=scale)
    return stream.getvalue()


def link_svg(uri: str, *, title: str = "GS1 Digital Link") -> str:
    """Draw a Digital Link as a QR code in SVG, to be embedded in a page.

    Raises:
        GS1Error: as `link_png`.
    """
    stream = io.BytesIO()
    _link_qr(uri, 1).save(stream, kind="svg", xmldecl=False, title=title, omitsize=True, light="#fff")
    return stream.getvalue().decode()


def _link_qr(uri: str, scale: int) -> segno.QRCode:
    if not 1 <= scale <= SCALE_MAX:
        raise GS1Error(GS1Code.SYMBOL, f"the scale must be 1 to {SCALE_MAX}")
    parse_link(uri)
    try:
        return segno.make_qr(uri, error="m")
    except ValueError as error:
        raise GS1Error(GS1Code.SYMBOL, "the link does not fit a QR code") from error


def read_image(data: bytes, *, include_linear: bool = False) -> tuple[SymbolReading, ...]:
    """Find the symbols in a PNG image.

    Args:
        data: the file; other formats than PNG are refused (see `png`).
        include_linear: look for striped barcodes too, which takes longer.

    Returns:
        The readings, to be passed to `scan.diagnose_scan`; empty when nothing was found.

    Raises:
        GS1Error: IMAGE.
    """
    return read_pixels(read_png(data), include_linear=include_linear)


def read_pixels(image: GreyImage, *, include_linear: bool = False) -> tuple[SymbolReading, ...]:
    """Find the symbols in a greyscale image, such as a frame of a camera.

    Raises:
        GS1Error: IMAGE when the sizes do not agree or exceed `png.PIXELS_MAX`.
    """
    if image.width * image.height != len(image.pixels) or not 0 < len(image.pixels) <= PIXELS_MAX:
        raise GS1Error(GS1Code.IMAGE, "width, height and number of pixels do not agree")
    view = zxingcpp.ImageView(image.pixels, image.width, image.height, zxingcpp.ImageFormat.Lum)
    formats = zxingcpp.BarcodeFormats([*_READABLE, *(_LINEAR if include_linear else ())])
    found = zxingcpp.read_barcodes(view, formats=formats, text_mode=zxingcpp.TextMode.Plain)
    return tuple(_reading(barcode) for barcode in found[:_SYMBOLS_PER_IMAGE_MAX])


def _reading(barcode: zxingcpp.Barcode) -> SymbolReading:
    corners = barcode.position
    points = (corners.top_left, corners.top_right, corners.bottom_right, corners.bottom_left)
    return SymbolReading(
        text=barcode.symbology_identifier + barcode.text,
        format=str(barcode.format.name),
        corners=tuple((point.x, point.y) for point in points),
    )
