"""sensor_msgs/Image and CompressedImage to RGB, for the message objects of rosbags and of rclpy alike.

rosbags-image turns colors into each other. What it takes on trust is looked at here: sizes, padded rows, the planes of NV12, the
bits that a 16-bit camera really has, and whether a compressed picture is whole.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import as_rgb, decode_image

LARGEST = 64_000_000
"""Pixels: what claims to be larger is damage, and would only fill the memory."""
_CHANNELS = {
    "mono8": 1, "8uc1": 1, "bgr8": 3, "rgb8": 3, "8uc3": 3, "bgra8": 4, "rgba8": 4, "8uc4": 4,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2, "nv12": 1, "nv21": 1,
}  # fmt: skip
_DEEP = {"mono16": "mono8", "bgr16": "bgr8", "rgb16": "rgb8", "bgra16": "bgra8", "rgba16": "rgba8"}
_DEEP |= {f"bayer_{order}16": f"bayer_{order}8" for order in ("rggb", "bggr", "gbrg", "grbg")}
_SAME = {"8uc1": "mono8", "8uc3": "bgr8", "8uc4": "bgra8"}  # OpenCV's names; its order of colors is BGR
_DEPTH = {"16uc1", "32fc1", "64fc1"}
_HALF_TALL = {"nv12", "nv21"}
_PAIRS = {"yuv422", "uyvy", "yuv422_yuy2", "yuyv", *_HALF_TALL}


def rgb_of(message: Any, name: str) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] of a message; rows that are RGB already are a view into it, which must not be written to.

    Args:
        message: ``data`` may be bytes, bytearray, array.array, memoryview or a numpy array.
        name: for errors.

    Raises:
        VprError: no pixels or too many, an encoding that is no picture, a ``step`` or ``data`` too short for the size, or a compressed
            picture that is truncated or cannot be decoded.
    """
    return _compressed(message, name) if hasattr(message, "format") else _raw(message, name)


def coded_size(data: Any) -> tuple[int, int] | None:
    """(width, height) that a JPEG or PNG says of itself; None for another format, or where its header is damaged."""
    head = memoryview(data).cast("B")
    if bytes(head[:8]) == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    at = 2
    while bytes(head[:2]) == b"\xff\xd8" and at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        else:
            at += 2 if marker == 1 or 0xD0 <= marker <= 0xD8 else 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _raw(message: Any, name: str) -> NDArray[np.uint8]:
    width, height, step = int(message.width), int(message.height), int(message.step)
    encoding = str(message.encoding).lower()
    _check_size(width, height, name)
    eight = _DEEP.get(encoding, encoding)
    if eight not in _CHANNELS:
        kind = (
            "a depth image, choose a topic of color or gray" if encoding in _DEPTH else "not an encoding that is known"
        )
        raise VprError(f"{name}: encoding {message.encoding!r} is {kind}")
    if encoding in _PAIRS and (width % 2 or (encoding in _HALF_TALL and height % 2)):
        raise VprError(f"{name}: {width} x {height} pixels in {encoding}, which goes by pairs")
    wide = width * _CHANNELS[eight] * (2 if encoding in _DEEP else 1)
    rows = height * 3 // 2 if encoding in _HALF_TALL else height
    data = np.frombuffer(message.data, np.uint8)
    if step < wide:
        raise VprError(f"{name}: step is {step} bytes, but a row of {width} pixels in {encoding} has {wide}")
    if len(data) < step * (rows - 1) + wide:
        raise VprError(
            f"{name}: {len(data)} bytes of pixels, expected {step * rows} for {width} x {height} in {encoding}"
        )
    if len(data) < step * rows:  # the padding of the last row may be missing
        data = np.concatenate([data, np.zeros(step * rows - len(data), np.uint8)])
    pixels = data[: step * rows].reshape(rows, step)[:, :wide]
    if encoding in _DEEP:
        deep = np.ascontiguousarray(pixels).view(">u2" if message.is_bigendian else "<u2")
        pixels = _eight_bits(deep)
    return _colored(pixels, width, _SAME.get(eight, eight))


def _colored(pixels: NDArray[np.uint8], width: int, encoding: str) -> NDArray[np.uint8]:
    """Rows of bytes without padding, in an encoding of 8 bits, to RGB."""
    from rosbags.image import image_to_cvimage

    plain = SimpleNamespace(height=len(pixels), width=width, encoding=encoding, is_bigendian=0)
    plain.data = np.ascontiguousarray(pixels)  # a copy only where rows were padded
    return np.asarray(image_to_cvimage(cast(Any, plain), "rgb8"), np.uint8)


def _compressed(message: Any, name: str) -> NDArray[np.uint8]:
    data = message.data if isinstance(message.data, bytes) else bytes(memoryview(message.data).cast("B"))
    size = coded_size(data)
    if size is not None:
        _check_size(*size, name)
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:25] == b"\x10":
        decode_image(data, name)  # whole, or it says why not
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return as_rgb(_eight_bits(np.asarray(deep)), "bgr")
    return decode_image(data, name)


def _eight_bits(deep: NDArray[Any]) -> NDArray[np.uint8]:
    """Cameras of 10, 12 and 14 bits leave the upper bits of 16 at zero: the brightest pixel tells which it is."""
    top = int(deep.max())
    bits = next((bits for bits in (10, 12, 14) if top < 1 << bits), 16)
    return (deep.astype(np.uint16, copy=False) >> (bits - 8)).astype(np.uint8)


def _check_size(width: int, height: int, name: str) -> None:
    if width <= 0 or height <= 0:
        raise VprError(f"{name}: an image of {width} x {height} pixels")
    if width * height > LARGEST:
        raise VprError(
            f"{name}: an image of {width} x {height} pixels, more than {LARGEST // 10**6} million, is taken for damage"
        )
