"""The size of a coded picture, from its header: nothing is decoded."""

import re
import struct
from collections.abc import Iterator
from typing import Any

from vpr_aesvc.errors import VprError

MAX_PIXELS = 64_000_000  # a larger picture is damage or a scan; decoding it would fill the memory
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def check_size(width: int, height: int, name: str) -> None:
    """Raises VprError for a picture without pixels or with more than 64 million; ``name`` is for the message."""
    if width <= 0 or height <= 0:
        raise VprError(f"{name}: an image of {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        limit = f"the limit of {MAX_PIXELS // 10**6} million"
        raise VprError(f"{name}: {width} x {height} pixels, more than {limit}; scale it down")


def coded_size(data: Any) -> tuple[int, int] | None:
    """(width, height) in the header of a JPEG, PNG, TIFF, WebP, BMP or PNM; None for another format or a damaged header."""
    coded = memoryview(data).cast("B")
    start = bytes(coded[:256])
    try:
        if start.startswith(b"\xff\xd8"):
            return _jpeg(coded)
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", start, 16)
        if start[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(coded, "<" if start[:1] == b"I" else ">")
        if start[8:15] == b"WEBPVP8" and len(start) >= 30:
            return _webp(start)
        if start.startswith(b"BM"):
            width, height = struct.unpack_from("<HH" if start[14] == 12 else "<ii", start, 18)
            return width, abs(height)  # a negative height counts from the top
    except (struct.error, IndexError):
        return None
    found = _PNM.match(start)
    return (int(found[1]), int(found[2])) if found else None


def jpeg_markers(coded: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """(marker, its offset) of each segment of a JPEG, up to the start of scan (0xDA); marker 0 where something else is."""
    offset = 2
    while offset + 4 <= len(coded):
        marker = coded[offset + 1] if coded[offset] == 0xFF else 0
        if marker != 0xFF:  # not a fill byte
            yield marker, offset
        if marker in (0, 0xDA):
            return
        if marker == 0xFF:
            offset += 1
        elif marker == 1 or 0xD0 <= marker <= 0xD8:  # a marker without a segment
            offset += 2
        else:
            offset += 2 + int.from_bytes(coded[offset + 2 : offset + 4], "big")


def _jpeg(coded: memoryview) -> tuple[int, int] | None:
    for marker, offset in jpeg_markers(coded):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack_from(">HH", coded, offset + 5)
            return width, height
    return None


def _tiff(coded: memoryview, order: str) -> tuple[int, int] | None:
    """ImageWidth (tag 256) and ImageLength (257) of the first directory."""
    (at,) = struct.unpack_from(f"{order}I", coded, 4)
    (count,) = struct.unpack_from(f"{order}H", coded, at)
    size = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", coded, entry)
        if tag in (256, 257):
            (size[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), coded, entry + 8)
    return (size[256], size[257]) if len(size) == 2 else None


def _webp(start: bytes) -> tuple[int, int]:
    if start[15:16] == b"X":
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if start[15:16] == b"L":
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", start, 26)
    return width & 0x3FFF, height & 0x3FFF
