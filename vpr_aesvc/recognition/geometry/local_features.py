"""Key points of one image: where they are, what they look like, and how they are stored with a place.

Two kinds, both in OpenCV 4 and 5: SIFT, stored as RootSIFT (Arandjelovic and Zisserman, CVPR 2012), which recognizes more, and ORB,
which is several times faster and smaller.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import as_rgb, thumbnail

Kind = Literal["sift", "orb"]
LONGEST_SIDE = 480
"""Images are looked at with at most this many pixels along the longer side, so that the time of a frame is bounded."""
KEYPOINT_COUNT = 500

_LENGTH = {"sift": 128, "orb": 32}  # numbers in a descriptor
_CODES: dict[int, Kind] = {1: "sift", 2: "orb"}
_MAGIC, _VERSION = b"VPRK", 1
_HEADER = struct.Struct("<4sBBHII")  # magic, version, kind, count, width, height
_STEPS = 65535  # a coordinate is stored as a 16-bit fraction of the longer side: 1/100 pixel at 640
_ROOTSIFT_SCALE = 510.0  # entries of a RootSIFT descriptor hardly exceed 0.5
_SMALLEST = 32  # no key point of either kind fits into fewer pixels than the detectors leave free at the border


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The key points of one image, strongest first.

    Attributes:
        xy: float32 [k, 2], x to the right and y down, in pixels of the full image; (0, 0) is the center of its first pixel.
        descriptors: uint8 [k, 128] (RootSIFT) or [k, 32] (ORB, 256 bits).
        width: of the full image, in pixels.
        height: of the full image, in pixels.
        kind: "sift" or "orb"; only key points of one kind can be compared.
    """

    xy: NDArray[np.float32] = field(repr=False)
    descriptors: NDArray[np.uint8] = field(repr=False)
    width: int
    height: int
    kind: Kind

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def longest_side(self) -> int:
        return max(self.width, self.height)

    def strongest(self, count: int) -> Keypoints:
        """The first ``count`` of them."""
        return Keypoints(self.xy[:count], self.descriptors[:count], self.width, self.height, self.kind)

    def to_bytes(self) -> bytes:
        """For storage: 16 bytes, then 132 (SIFT) or 36 (ORB) for each key point. The same on every machine."""
        code = next(code for code, kind in _CODES.items() if kind == self.kind)
        header = _HEADER.pack(_MAGIC, _VERSION, code, len(self), self.width, self.height)
        steps = np.clip(np.rint((self.xy + 0.5) * (_STEPS / self.longest_side)), 0, _STEPS).astype("<u2")
        return header + steps.tobytes() + np.ascontiguousarray(self.descriptors).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Keypoints:
        """What :meth:`to_bytes` made; positions come back to within 1/131,070 of the longer side, descriptors exactly.

        Raises:
            VprError: not key points, of a newer version, or damaged.
        """
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise VprError("these bytes are not stored key points; build the map again")
        _, version, code, count, width, height = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise VprError(f"key points of version {version}, this version reads {_VERSION}; update vpr_aesvc")
        if code not in _CODES or not width or not height:
            raise VprError(
                f"stored key points are damaged (kind {code}, image {width} x {height}); build the map again"
            )
        kind = _CODES[code]
        expected = _HEADER.size + count * (4 + _LENGTH[kind])
        if len(data) != expected:
            raise VprError(
                f"stored key points are damaged ({len(data)} bytes, expected {expected}); build the map again"
            )
        steps = np.frombuffer(data, "<u2", 2 * count, _HEADER.size).reshape(count, 2)
        descriptors = np.frombuffer(data, np.uint8, offset=_HEADER.size + 4 * count).reshape(count, _LENGTH[kind])
        xy = (steps * (max(width, height) / _STEPS) - 0.5).astype(np.float32)
        if (xy > (width, height)).any():
            raise VprError("stored key points are damaged (a point lies outside its image); build the map again")
        return cls(xy, descriptors, width, height, kind)


def detect_keypoints(image: NDArray[np.uint8], kind: Kind = "sift", count: int = KEYPOINT_COUNT) -> Keypoints:
    """The ``count`` strongest key points of an image; none where it has no texture or is smaller than 32 pixels.

    Args:
        image: RGB uint8 [H, W, 3] (gray and alpha accepted), any size.
        count: 1 to 65,535.

    Raises:
        VprError: not an image array, an unknown kind, or a count out of range.
    """
    if kind not in _LENGTH:
        raise VprError(f"no key points of kind {kind!r}; choose sift or orb")
    if not 1 <= count <= 65535:
        raise VprError(f"between 1 and 65535 key points can be asked for, found {count}")
    image = as_rgb(image)
    height, width = image.shape[:2]
    gray = cv2.cvtColor(thumbnail(image, LONGEST_SIDE), cv2.COLOR_RGB2GRAY)
    found: Any = ()
    if min(gray.shape) >= _SMALLEST:
        found, descriptors = _detector(kind, count).detectAndCompute(gray, None)
    if not len(found):
        return Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, _LENGTH[kind]), np.uint8), width, height, kind)
    # Points of equal strength keep the detector's order, so that the same image gives the same key points.
    order = np.argsort([-point.response for point in found], kind="stable")[:count]
    ratio = np.array([width / gray.shape[1], height / gray.shape[0]])
    xy = (np.array([point.pt for point in found])[order] + 0.5) * ratio - 0.5
    chosen = descriptors[order]
    return Keypoints(xy.astype(np.float32), _rootsift(chosen) if kind == "sift" else chosen, width, height, kind)


def _detector(kind: Kind, count: int) -> Any:
    # Both thresholds are half or less of OpenCV's: corridors and rooms at night have little contrast, and the count bounds the rest.
    if kind == "sift":
        return cv2.SIFT_create(nfeatures=count, contrastThreshold=0.02)  # type: ignore[attr-defined]
    return cv2.ORB_create(nfeatures=count, fastThreshold=7)  # type: ignore[attr-defined]


def _rootsift(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 [k, 128] -> uint8 [k, 128]: Euclidean distances are then those of the Hellinger kernel on SIFT histograms."""
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return np.minimum(np.rint(np.sqrt(descriptors / sums) * _ROOTSIFT_SCALE), 255).astype(np.uint8)
