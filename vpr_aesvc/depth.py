"""The depth of a place's picture, from a depth camera or a stereo pair. It is stored as a small picture of its own within the JPEG of the place's
picture, in a segment that other programs pass over."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import coded_size, jpeg_markers
from vpr_aesvc.types import Floats

DepthImage = NDArray[np.float32]  # meters along the optical axis, [H, W]; 0 or not finite where unknown
_MARKER, _NAME = 0xE9, b"vpr_aesvc depth\0"
_NEAREST, _FARTHEST = 0.1, 100.0  # meters
_STEP = np.log(_FARTHEST / _NEAREST) / 254  # 2.7 %, of the logarithm of a depth
_SAME_SURFACE = (
    0.05  # largest difference of the depths around a pixel, as part of them; at an edge either side may be meant
)
_NOISE = 0.01  # 1/m, largest difference of the inverse depths around a pixel that is noise
_MOST = 0.7  # of the pixels that become one
_SAME_ASPECT = 0.01


def in_meters(pixels: NDArray[np.uint16 | np.float32], unit: float = 0.001) -> DepthImage:
    """Depth pixels [H, W] as ROS has them (REP 118): float32 are meters already; uint16 are in ``unit`` meters, by default mm."""
    return pixels.astype(np.float32) * np.float32(unit if pixels.dtype == np.uint16 else 1)


def with_depth(jpeg: bytes, depth: DepthImage) -> bytes:
    """The JPEG of a picture with the depth of each pixel, at half the picture's size. ``depth``: of the same view, of any size.

    Raises:
        VprError: the shapes differ, so the depth is of another view.
    """
    width, height = coded_size(jpeg) or (0, 0)
    if depth.ndim != 2 or not depth.size or abs(depth.shape[1] * height / (depth.shape[0] * width) - 1) > _SAME_ASPECT:
        found = " x ".join(map(str, depth.shape[::-1]))
        raise VprError(
            f"the depth image of {found} pixels is not of the view of the image: use the one that is aligned to the color image"
        )
    known = np.where((depth >= _NEAREST) & (depth <= _FARTHEST), depth, 0).astype(np.float32)  # NaN too becomes 0
    square = np.ones((3, 3), np.uint8)
    far, near = cv2.dilate(known, square), cv2.erode(known, square)
    smooth = ((far - near < near * (_SAME_SURFACE + _NOISE * far)) & (near > 0)).astype(np.float32)
    code = 1 + np.log(np.maximum(known, _NEAREST) / _NEAREST) / _STEP
    size = (-(-width // 2), -(-height // 2))
    part, small = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (smooth, code * smooth))
    small = np.where(part > _MOST, np.rint(small / np.maximum(part, _MOST)), 0)
    data = _NAME + bytes(cv2.imencode(".png", small.astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])
    if len(data) > 65_533:  # the most that a segment holds
        raise VprError(f"the depth of a picture of {width} x {height} pixels is too large to be stored")
    return b"".join([jpeg[:2], bytes([0xFF, _MARKER]), (len(data) + 2).to_bytes(2, "big"), data, jpeg[2:]])


def depth_at(jpeg: bytes, xy: NDArray[np.floating]) -> Floats | None:
    """Meters at pixels [k, 2] of a picture, NaN where unknown; None if the JPEG has no depth."""
    for marker, at in jpeg_markers(jpeg):
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == _MARKER and jpeg[at + 4 :].startswith(_NAME):
            code = cv2.imdecode(np.frombuffer(jpeg[at + 4 + len(_NAME) : end], np.uint8), cv2.IMREAD_GRAYSCALE)
            if code is None:
                return None
            at_x, at_y = ((xy + 0.5) / 2 - 0.5).astype(np.float32).T
            found, known = (
                cv2.remap(one.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).ravel()
                for one in (code, code > 0)
            )
            return np.where(known > 0.99, _NEAREST * np.exp((found - 1.0) * _STEP), np.nan)
    return None
