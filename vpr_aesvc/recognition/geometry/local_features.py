"""Local features of one image, and of the places of a map.

SIFT, with descriptors converted to RootSIFT (Arandjelovic and Zisserman, CVPR 2012), recognizes more. ORB is several times faster and
smaller. OpenCV 4 and 5 have both.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import as_rgb, thumbnail
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.types import Image, Rows

Kind = Literal["sift", "orb"]
LONGEST_SIDE = 480
"""Key points are detected in images of at most this many pixels along the longer side, which bounds the time."""
KEYPOINT_COUNT = 500

_SIFT_BIAS = 0.25  # pixels right and down: OpenCV maps pixel i of the doubled image to i / 2
_LENGTH = {"sift": 128, "orb": 32}  # bytes in a descriptor
ROOTSIFT_SCALE = 510.0  # entries of a RootSIFT descriptor hardly exceed 0.5
_CACHED = 512  # places whose key points stay in memory, at most 66 kB each
_OLD_SIDE = 240  # pixels, of pictures in older maps
_MIN_SIDE = 32  # pixels; in smaller images the borders of the detectors leave nothing


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The key points of one image, strongest first.

    Attributes:
        xy: float32 [k, 2], x to the right and y down, in pixels of the full image; (0, 0) is the center of its first pixel.
        descriptors: uint8 [k, 128] (RootSIFT) or [k, 32] (ORB, 256 bits).
        width, height: of the full image, in pixels.
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
        """The first ``count`` key points."""
        return Keypoints(self.xy[:count], self.descriptors[:count], self.width, self.height, self.kind)


def detect_keypoints(image: Image, kind: Kind = "sift", count: int = KEYPOINT_COUNT) -> Keypoints:
    """The ``count`` strongest key points of an image; none if it has no texture or is smaller than 32 pixels.

    Args:
        image: RGB uint8 [H, W, 3] (gray and alpha accepted), any size.

    Raises:
        VprError: not an image array, an unknown kind, or a count below 1.
    """
    if kind not in _LENGTH:
        raise VprError(f"no key points of kind {kind!r}; choose sift or orb")
    if count < 1:
        raise VprError(f"the number of key points must be at least 1, found {count}")
    image = as_rgb(image)
    height, width = image.shape[:2]
    gray = cv2.cvtColor(thumbnail(image, LONGEST_SIDE), cv2.COLOR_RGB2GRAY)
    points: Any = ()
    if min(gray.shape) >= _MIN_SIDE:
        points, descriptors = _detector(kind, count).detectAndCompute(gray, None)
    if not len(points):
        return Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, _LENGTH[kind]), np.uint8), width, height, kind)
    order = np.argsort([-point.response for point in points], kind="stable")[:count]  # stable: deterministic for ties
    ratio = np.array([width / gray.shape[1], height / gray.shape[0]])
    bias = _SIFT_BIAS if kind == "sift" else 0.0
    xy = (np.array([point.pt for point in points])[order] - bias + 0.5) * ratio - 0.5
    chosen = descriptors[order]
    return Keypoints(xy.astype(np.float32), _rootsift(chosen) if kind == "sift" else chosen, width, height, kind)


def _detector(kind: Kind, count: int) -> Any:
    # Both thresholds are at most half of OpenCV's defaults: corridors and rooms at night have little contrast.
    if kind == "sift":
        return cv2.SIFT_create(nfeatures=count, contrastThreshold=0.02)  # type: ignore[attr-defined]
    return cv2.ORB_create(nfeatures=count, fastThreshold=7)  # type: ignore[attr-defined]


def _rootsift(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 [k, 128] -> uint8 [k, 128]. Euclidean distances become those of the Hellinger kernel on SIFT histograms."""
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return np.minimum(np.rint(np.sqrt(descriptors / sums) * ROOTSIFT_SCALE), 255).astype(np.uint8)


class StoredKeypoints:
    """Key points of the places of a map, by row of the map snapshot, detected in their thumbnails at first use. A place without a
    thumbnail has none.

    Attributes:
        ids: int64 [n], the place of each row; replaced as the map grows.
    """

    def __init__(self, place_map: OpenMap) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self._map = place_map
        self._of_place = lru_cache(maxsize=_CACHED)(self._detect)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Keypoints:
        return self._of_place(int(self.ids[row]))

    @cached_property
    def longest_side(self) -> int | None:
        """To which a frame is scaled for comparison: that of the pictures of older maps; None if they are scaled by their number of pixels."""
        picture = self._map.thumbnail(int(self.ids[0])) if len(self.ids) else None
        return _OLD_SIDE if picture is not None and max(picture.shape) <= _OLD_SIDE else None

    def detect_all(self, seconds: float = math.inf) -> None:
        """Of a map of up to 512 places: some seconds, or as many places as fit into ``seconds``."""
        end = time.monotonic() + seconds
        for row in range(len(self) if len(self) <= _CACHED else 0):
            if time.monotonic() > end:
                break
            self[row]

    def _detect(self, place: int) -> Keypoints:
        picture = self._map.thumbnail(place)
        return detect_keypoints(np.zeros((1, 1, 3), np.uint8) if picture is None else picture)
