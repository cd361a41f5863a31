"""Greyscale PNG images, written and read.

Owns just enough of PNG (ISO/IEC 15948) to print symbols and to read pictures of them without an image
library: it writes 8-bit greyscale and reads non-interlaced images of 1 to 8 bits per sample, greyscale,
colour or palette, with or without transparency. Size is checked before anything is unpacked, so a small
file cannot become a large image. Not a general decoder: other formats, JPEG among them, are refused.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import msgspec

from careledger.standards.gs1.errors import GS1Code, GS1Error

PIXELS_MAX: Final = 16_000_000
FILE_BYTES_MAX: Final = 32 * 1024 * 1024

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_HEAD = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_CRC_BYTES = 4
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = (1, 2, 4, 8)
_FULL_DEPTH = 8
# Integer weights of ITU-R BT.601 luma, out of 256.
_RED, _GREEN, _BLUE = 77, 150, 29
_WHITE = 255
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


class GreyImage(msgspec.Struct, frozen=True, kw_only=True):
    """Pixels from white (255) to black (0), row by row, one byte each."""

    width: int
    height: int
    pixels: bytes


def _refuse(message: str) -> GS1Error:
    return GS1Error(GS1Code.IMAGE, message)


def write_png(image: GreyImage) -> bytes:
    """Write an 8-bit greyscale PNG."""
    header = _HEADER.pack(image.width, image.height, _FULL_DEPTH, _GREY, 0, 0, 0)
    rows = b"".join(
        b"\0" + image.pixels[start : start + image.width]
        for start in range(0, image.width * image.height, image.width)
    )
    return b"".join(
        (_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return _CHUNK_HEAD.pack(len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def read_png(data: bytes) -> GreyImage:
    """Read a PNG as greyscale; transparent pixels count as white.

    Raises:
        GS1Error: IMAGE when it is not a PNG, is damaged, interlaced, of 16 bits per sample, or larger
            than `PIXELS_MAX` pixels or `FILE_BYTES_MAX` bytes.
    """
    if not data.startswith(_SIGNATURE):
        raise _refuse("not a PNG image")
    if len(data) > FILE_BYTES_MAX:
        raise _refuse("the image file is too large")
    chunks = _chunks(data)
    header = chunks.get(b"IHDR", b"")
    if len(header) != _HEADER.size:
        raise _refuse("the PNG has no header")
    width, height, depth, colour, compression, filtering, interlaced = _HEADER.unpack(header)
    if not 0 < width * height <= PIXELS_MAX:
        raise _refuse("the image has no pixels or too many")
    channels = _CHANNELS.get(colour)
    if channels is None or depth not in _DEPTHS or (depth != _FULL_DEPTH and colour not in (_GREY, _PALETTE)):
        raise _refuse("this kind of PNG is not supported")
    if compression or filtering or interlaced:
        raise _refuse("interlaced PNG is not supported")
    row_bytes = (width * channels * depth + 7) // 8
    raw = _inflate(chunks.get(b"IDAT", b""), height * (row_bytes + 1))
    samples = _unfilter(raw, row_bytes, height, max(1, channels * depth // 8))
    if depth != _FULL_DEPTH:
        samples = _widen(samples, width, row_bytes, depth, is_grey=colour == _GREY)
    return GreyImage(width=width, height=height, pixels=_to_grey(samples, colour, chunks))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Collect the chunks by kind, image data joined; checksums are verified."""
    found: dict[bytes, list[bytes]] = {}
    position = len(_SIGNATURE)
    while position + _CHUNK_HEAD.size <= len(data):
        length, kind = _CHUNK_HEAD.unpack_from(data, position)
        start = position + _CHUNK_HEAD.size
        end = start + length
        if end + _CRC_BYTES > len(data):
            raise _refuse("the PNG breaks off")
        if zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + _CRC_BYTES], "big"):
            raise _refuse("the PNG is damaged")
        found.setdefault(kind, []).append(data[start:end])
        position = end + _CRC_BYTES
        if kind == b"IEND":
            break
    return {kind: b"".join(parts) for kind, parts in found.items()}


def _inflate(packed: bytes, expected_bytes: int) -> bytes:
    decoder = zlib.decompressobj()
    try:
        raw = decoder.decompress(packed, expected_bytes)
    except zlib.error as error:
        raise _refuse("the PNG is damaged") from error
    if len(raw) != expected_bytes:
        raise _refuse("the PNG holds fewer pixels than it says")
    return raw


def _unfilter(raw: bytes, row_bytes: int, height: int, step: int) -> bytes:
    """Undo the prediction of each row (ISO/IEC 15948 §9)."""
    out = bytearray()
    above = bytearray(row_bytes)
    for number in range(height):
        start = number * (row_bytes + 1)
        kind = raw[start]
        row = bytearray(raw[start + 1 : start + 1 + row_bytes])
        if kind == _SUB:
            for i in range(step, row_bytes):
                row[i] = (row[i] + row[i - step]) & 0xFF
        elif kind == _UP:
            for i in range(row_bytes):
                row[i] = (row[i] + above[i]) & 0xFF
        elif kind == _AVERAGE:
            for i in range(row_bytes):
                left = row[i - step] if i >= step else 0
                row[i] = (row[i] + (left + above[i]) // 2) & 0xFF
        elif kind == _PAETH:
            _unfilter_paeth(row, above, step)
        elif kind:
            raise _refuse("the PNG is damaged")
        out += row
        above = row
    return bytes(out)


def _unfilter_paeth(row: bytearray, above: bytearray, step: int) -> None:
    for i in range(len(row)):
        left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
        up = above[i]
        estimate = left + up - corner
        to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
        nearest = up if to_up <= to_corner else corner
        if to_left <= to_up and to_left <= to_corner:
            nearest = left
        row[i] = (row[i] + nearest) & 0xFF


def _widen(samples: bytes, width: int, row_bytes: int, depth: int, *, is_grey: bool) -> bytes:
    """Unpack samples of 1, 2 or 4 bits to one byte each; grey ones are stretched to 0..255."""
    most = (1 << depth) - 1
    scale = _WHITE // most if is_grey else 1
    shifts = range(8 - depth, -1, -depth)
    unpacked = [bytes(((octet >> shift) & most) * scale for shift in shifts) for octet in range(256)]
    out = bytearray()
    for start in range(0, len(samples), row_bytes):
        out += b"".join(map(unpacked.__getitem__, samples[start : start + row_bytes]))[:width]
    return bytes(out)


def _to_grey(samples: bytes, colour: int, chunks: dict[bytes, bytes]) -> bytes:
    if colour == _GREY:
        return samples
    if colour == _PALETTE:
        palette = chunks.get(b"PLTE", b"")
        greys = _luma(palette[0::3], palette[1::3], palette[2::3])
        table = _over_white(greys, chunks.get(b"tRNS", b"").ljust(len(greys), b"\xff"))
        return samples.translate(table.ljust(256, b"\xff"))
    channels = _CHANNELS[colour]
    if colour == _GREY_ALPHA:
        return _over_white(samples[0::2], samples[1::2])
    grey = _luma(samples[0::channels], samples[1::channels], samples[2::channels])
    return _over_white(grey, samples[3::4]) if colour == _RGBA else grey


def _luma(red: bytes, green: bytes, blue: bytes) -> bytes:
    return bytes((_RED * r + _GREEN * g + _BLUE * b) >> 8 for r, g, b in zip(red, green, blue, strict=False))


def _over_white(grey: bytes, alpha: bytes) -> bytes:
    if alpha.count(_WHITE) == len(alpha):
        return grey
    return bytes((value * a + _WHITE * (_WHITE - a)) // _WHITE for value, a in zip(grey, alpha, strict=False))
