"""sensor_msgs/Image and CompressedImage to RGB, for message objects of rosbags and of rclpy.

rosbags-image converts the colors. This file checks and handles what it does not: sizes, padded rows, the planes of NV12, cameras that use
fewer than 16 bits, and truncated compressed images.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import as_rgb, decode_image

_MAX_PIXELS = 64_000_000  # a larger image is damage; decoding it would fill the memory
_CHANNELS = {
    "mono8": 1, "8uc1": 1, "bgr8": 3, "rgb8": 3, "8uc3": 3, "bgra8": 4, "rgba8": 4, "8uc4": 4,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2, "nv12": 1, "nv21": 1,
}  # fmt: skip
_16_BITS = {"mono16": "mono8", "bgr16": "bgr8", "rgb16": "rgb8", "bgra16": "bgra8", "rgba16": "rgba8"}
_16_BITS |= {f"bayer_{order}16": f"bayer_{order}8" for order in ("rggb", "bggr", "gbrg", "grbg")}
_ALIASES = {"8uc1": "mono8", "8uc3": "bgr8", "8uc4": "bgra8"}  # OpenCV's names; its order of colors is BGR
_DEPTH = {"16uc1", "32fc1", "64fc1"}
_PNG = b"\x89PNG\r\n\x1a\n"
_SEMIPLANAR = {"nv12", "nv21"}
_SUBSAMPLED = {"yuv422", "uyvy", "yuv422_yuy2", "yuyv", *_SEMIPLANAR}


def rgb_of(message: Any, name: str) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] of a message. If the message holds RGB without padding, the result is a view into it: do not write to it.

    Args:
        message: ``data`` may be bytes, bytearray, array.array, memoryview or a numpy array.
        name: for errors.

    Raises:
        VprError: no pixels or too many; an unsupported encoding; ``step`` or ``data`` too short for the size; or a compressed image that is
            truncated or cannot be decoded.
    """
    return _compressed(message, name) if hasattr(message, "format") else _raw(message, name)


def coded_size(data: Any) -> tuple[int, int] | None:
    """(width, height) in the header of a JPEG or PNG; None for another format or a damaged header."""
    coded = memoryview(data).cast("B")
    if bytes(coded[:8]) == _PNG and len(coded) >= 24:
        return int.from_bytes(coded[16:20], "big"), int.from_bytes(coded[20:24], "big")
    offset = 2
    while bytes(coded[:2]) == b"\xff\xd8" and offset + 9 <= len(coded) and coded[offset] == 0xFF:
        marker = coded[offset + 1]
        if marker == 0xFF:
            offset += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            width, height = coded[offset + 7 : offset + 9], coded[offset + 5 : offset + 7]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        elif marker == 1 or 0xD0 <= marker <= 0xD8:  # a marker without a segment
            offset += 2
        else:
            offset += 2 + int.from_bytes(coded[offset + 2 : offset + 4], "big")
    return None


def _raw(message: Any, name: str) -> NDArray[np.uint8]:
    width, height, step = int(message.width), int(message.height), int(message.step)
    encoding = str(message.encoding).lower()
    _check_size(width, height, name)
    encoding_8 = _16_BITS.get(encoding, encoding)
    if encoding_8 not in _CHANNELS:
        reason = "a depth image; choose a topic with color or gray images" if encoding in _DEPTH else "not supported"
        raise VprError(f"{name}: encoding {message.encoding!r} is {reason}")
    if encoding in _SUBSAMPLED and (width % 2 or (encoding in _SEMIPLANAR and height % 2)):
        raise VprError(f"{name}: {width} x {height} pixels in {encoding}, which needs even numbers")
    row_bytes = width * _CHANNELS[encoding_8] * (2 if encoding in _16_BITS else 1)
    rows = height * 3 // 2 if encoding in _SEMIPLANAR else height
    data = np.frombuffer(message.data, np.uint8)
    if step < row_bytes:
        raise VprError(f"{name}: step is {step} bytes, but a row of {width} pixels in {encoding} has {row_bytes}")
    if len(data) < step * (rows - 1) + row_bytes:
        raise VprError(
            f"{name}: {len(data)} bytes of pixels, expected {step * rows} for {width} x {height} in {encoding}"
        )
    if len(data) < step * rows:  # the padding of the last row may be missing
        data = np.concatenate([data, np.zeros(step * rows - len(data), np.uint8)])
    pixels = data[: step * rows].reshape(rows, step)[:, :row_bytes]
    if encoding in _16_BITS:
        pixels = _to_8_bits(np.ascontiguousarray(pixels).view(">u2" if message.is_bigendian else "<u2"))
    return _to_rgb(pixels, width, _ALIASES.get(encoding_8, encoding_8))


def _to_rgb(pixels: NDArray[np.uint8], width: int, encoding: str) -> NDArray[np.uint8]:
    """Converts rows without padding, in an encoding of 8 bits."""
    from rosbags.image import image_to_cvimage

    image = SimpleNamespace(height=len(pixels), width=width, encoding=encoding, is_bigendian=0)
    image.data = np.ascontiguousarray(pixels)  # copies only if rows are padded
    return np.asarray(image_to_cvimage(cast(Any, image), "rgb8"), np.uint8)


def _compressed(message: Any, name: str) -> NDArray[np.uint8]:
    data = message.data if isinstance(message.data, bytes) else bytes(memoryview(message.data).cast("B"))
    size = coded_size(data)
    if size is not None:
        _check_size(*size, name)
    if data[:8] == _PNG and data[24:25] == b"\x10":  # 16 bits
        decode_image(data, name)  # checks that the image is complete
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return as_rgb(_to_8_bits(np.asarray(pixels)), "bgr")
    return decode_image(data, name)


def _to_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Drops the low bits. Cameras of 10, 12 and 14 bits leave the upper bits at zero; the brightest pixel tells the number of bits."""
    brightest = int(pixels.max())
    bits = next((bits for bits in (10, 12, 14) if brightest < 1 << bits), 16)
    return (pixels.astype(np.uint16, copy=False) >> (bits - 8)).astype(np.uint8)


def _check_size(width: int, height: int, name: str) -> None:
    if width <= 0 or height <= 0:
        raise VprError(f"{name}: an image of {width} x {height} pixels")
    if width * height > _MAX_PIXELS:
        limit = _MAX_PIXELS // 10**6
        raise VprError(
            f"{name}: {width} x {height} pixels, more than the limit of {limit} million; the message is damaged"
        )
