"""Checks the structure of a MATLAB file before scipy reads it: on damaged ones scipy crashes or fills the memory.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf (MAT-file level 5)
"""

import math
import struct
import zlib

_TYPES_OF_SIZE = {1: (1, 2, 16), 2: (3, 4, 17), 4: (5, 6, 7, 18), 8: (9, 12, 13)}  # bytes of a number -> types
_SIZES = {kind: size for size, kinds in _TYPES_OF_SIZE.items() for kind in kinds}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, range(6, 16)  # classes of arrays
_LARGEST = 1 << 28  # bytes of a compressed variable, unpacked


def check_mat(data: bytes) -> None:
    """Raises ValueError for a file of level 5 whose elements do not add up, or that holds other classes of arrays than cells, structs, text and
    numbers, or for a file of MATLAB 7.3."""
    if data[124:126] in (b"\0\2", b"\2\0"):
        raise ValueError("a MATLAB 7.3 file")
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(data[124:128], "")
    if not order:
        raise ValueError("no header of a MATLAB 5 file")
    for kind, content in _elements(memoryview(data)[128:], order):
        if kind == _COMPRESSED:
            unpacked = zlib.decompressobj().decompress(content, _LARGEST)
            (kind, content), *more = _elements(memoryview(unpacked), order)
            if more:
                raise ValueError("a compressed element that holds several")
        _check_array(kind, content, order)


_Element = tuple[int, memoryview]


def _elements(data: memoryview, order: str) -> list[_Element]:
    """Type and content of the elements that follow each other in ``data``."""
    found, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start, step = at + 8, 8
        if kind >> 16:  # up to four bytes within the tag
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 4
        end = start + size
        if end > len(data) or (step == 4 and size > 4) or kind not in (*_SIZES, _MATRIX, _COMPRESSED):
            raise ValueError(f"bytes that are no element, {len(data) - at} before the end")
        found.append((kind, data[start:end]))
        at = at + 8 if step == 4 else end if kind == _COMPRESSED else start + (size + 7) // 8 * 8
    return found


def _check_array(kind: int, content: memoryview, order: str) -> None:
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} in place of an array")
    if not content:
        return  # an empty one, as in a cell without content
    (flags, about), (dims, shape), (name, _), *rest = _elements(content, order)
    if (flags, len(about), dims, name) != (_UINT32, 8, _INT32, _INT8) or len(shape) < 8 or len(shape) % 4:
        raise ValueError("an array without its class, size and name")
    sizes = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    count, array_class = math.prod(sizes), struct.unpack_from(f"{order}I", about)[0] & 0xFF
    if array_class in (_CELL, _STRUCT):
        if array_class == _STRUCT:
            (length_kind, length), (names_kind, names), *rest = rest
            if (length_kind, names_kind, len(length)) != (_INT32, _INT8, 4):
                raise ValueError("a struct without names of fields")
            count *= len(names) // max(1, struct.unpack(f"{order}i", length)[0])
        for inner in rest:
            _check_array(*inner, order)
        is_whole = len(rest) == count
    else:
        is_whole = array_class in (_CHAR, *_NUMBERS) and (len(rest) in (1, 2) or not count)
        is_whole = is_whole and all(
            one in _SIZES and len(bytes_) >= count * (1 if array_class == _CHAR else _SIZES[one])
            for one, bytes_ in rest
        )
    if min(sizes) < 0 or not is_whole:
        raise ValueError(f"an array of class {array_class} and size {sizes} without as many values")
