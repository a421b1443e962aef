"""sensor_msgs/Image and CompressedImage to RGB, for message objects of rosbags and of rclpy.

rosbags-image converts the colors. This file checks and handles what it does not: sizes, padded rows, the planes of NV12, pictures of more
than 8 bits, compressed Bayer mosaics, and truncated compressed images.
"""

import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.deep_images import to_8_bits
from vpr_aesvc.depth import DepthImage, in_meters
from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import check_size
from vpr_aesvc.images import as_rgb, decode_pixels

_CHANNELS = {
    "mono8": 1, "8uc1": 1, "bgr8": 3, "rgb8": 3, "8uc3": 3, "bgra8": 4, "rgba8": 4, "8uc4": 4,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2, "nv12": 1, "nv21": 1,
}  # fmt: skip
_16_BITS = {"mono16": "mono8", "bgr16": "bgr8", "rgb16": "rgb8", "bgra16": "bgra8", "rgba16": "rgba8"}
_WITHOUT_ALPHA = {"bgra16": "bgr8", "rgba16": "rgb8"}
_16_BITS |= {f"bayer_{order}16": f"bayer_{order}8" for order in ("rggb", "bggr", "gbrg", "grbg")}
_ALIASES = {"8uc1": "mono8", "8uc3": "bgr8", "8uc4": "bgra8"}  # OpenCV's names; its order of colors is BGR
_DEPTH = {"16uc1", "32fc1", "64fc1"}
_MOSAIC = re.compile(r"(bayer_(?:rggb|bggr|gbrg|grbg))(?:8|16)\b(?!.*compressed +mono)")
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


def depth_of(message: Any, name: str) -> DepthImage:
    """Meters, float32 [H, W], of a sensor_msgs/Image of depth (REP 118: 16UC1 in mm or 32FC1 in meters). Raises VprError: another encoding, or
    ``step`` or ``data`` too short for the size."""
    width, height, step = int(message.width), int(message.height), int(message.step)
    check_size(width, height, name)
    kind = {"16uc1": "u2", "mono16": "u2", "32fc1": "f4"}.get(str(message.encoding).lower())
    if kind is None:
        raise VprError(f"{name}: encoding {message.encoding!r} is no depth; expected 16UC1 (mm) or 32FC1 (m)")
    dtype, data = np.dtype((">" if message.is_bigendian else "<") + kind), np.frombuffer(message.data, np.uint8)
    if step < width * dtype.itemsize or len(data) < step * height:
        raise VprError(f"{name}: {len(data)} bytes of depth in rows of {step}, too few for {width} x {height} pixels")
    rows = data[: step * height].reshape(height, step)[:, : width * dtype.itemsize]
    return in_meters(np.ascontiguousarray(rows).view(dtype).astype(dtype.newbyteorder("="), copy=False))


def is_deep(message: Any) -> bool:
    """Whether an image message has more than 8 bits a channel."""
    if not hasattr(message, "format"):
        return str(message.encoding).lower() in _16_BITS
    return bytes(message.data[:4]) == b"\x89PNG" and bytes(message.data[24:25]) == b"\x10"


def _raw(message: Any, name: str) -> NDArray[np.uint8]:
    width, height, step = int(message.width), int(message.height), int(message.step)
    encoding = str(message.encoding).lower()
    check_size(width, height, name)
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
        deep = np.ascontiguousarray(pixels).view(">u2" if message.is_bigendian else "<u2").astype(np.uint16, copy=False)
        colors = deep.reshape(height, width, -1)[:, :, :3]
        encoding_8 = _WITHOUT_ALPHA.get(encoding, encoding_8)
        pixels = to_8_bits(colors).reshape(height, -1)
    return _to_rgb(pixels, width, _ALIASES.get(encoding_8, encoding_8))


def _to_rgb(pixels: NDArray[np.uint8], width: int, encoding: str) -> NDArray[np.uint8]:
    """Converts rows without padding, in an encoding of 8 bits."""
    from rosbags.image import image_to_cvimage

    image = SimpleNamespace(height=len(pixels), width=width, encoding=encoding, is_bigendian=0)
    image.data = np.ascontiguousarray(pixels)  # copies only if rows are padded
    return np.asarray(image_to_cvimage(cast(Any, image), "rgb8"), np.uint8)


def _compressed(message: Any, name: str) -> NDArray[np.uint8]:
    data = message.data if isinstance(message.data, bytes) else bytes(memoryview(message.data).cast("B"))
    pixels = decode_pixels(data, name)
    mosaic = _MOSAIC.match(str(message.format).lower())
    if mosaic and pixels.ndim == 2:
        return _to_rgb(pixels, pixels.shape[1], f"{mosaic[1]}8")
    return as_rgb(pixels, "bgr")
