"""The nouns of the pipeline: plain dataclasses, numpy arrays inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError

Image = NDArray[np.uint8]  # RGB, [H, W, 3]
Points = NDArray[np.float64]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]  # row numbers of an array
Progress = Callable[[int, int], None]  # called with (done, total)
StageProgress = Callable[[str, int, int], None]  # called with (stage, done, total)
Descriptor = NDArray[np.float32]  # unit norm, [d]
_COEFFICIENTS = {"none": (0,), "plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
_SAME_ASPECT = 0.01
FARTHEST = 1e9  # meters: no robot was there, and squares of larger numbers soon overflow


@dataclass(frozen=True)
class Pose:
    """Where the camera was: position in meters and orientation as a unit quaternion, both in the map frame (right-handed, z
    up; x is east and y is north where the input is georeferenced). Raises ValueError: a number is NaN or infinite, or
    farther than a million kilometers."""

    x: float
    y: float
    z: float = 0.0
    qx: float = 0.0
    qy: float = 0.0
    qz: float = 0.0
    qw: float = 1.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.as_tuple())):
            raise ValueError(f"a pose must be finite, found {self.as_tuple()}")
        if max(abs(self.x), abs(self.y), abs(self.z)) > FARTHEST:
            raise ValueError(f"a position must be within {FARTHEST:g} m of the origin, found {self.as_tuple()[:3]}")

    def as_tuple(self) -> tuple[float, float, float, float, float, float, float]:
        return self.x, self.y, self.z, self.qx, self.qy, self.qz, self.qw

    @classmethod
    def planar(cls, x: float, y: float, heading: float = 0.0) -> Pose:
        """A pose on the plane; ``heading`` in radians, counter-clockwise from the x axis (east)."""
        return cls(x, y, 0.0, 0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2))


@dataclass(frozen=True)
class Frame:
    """One image with what is known of it. Its pixels are in ``image`` (RGB uint8 [H, W, 3]), or ``decode`` gives them, or ``path`` names the file
    (``image_of``).

    ``stamp`` is in seconds; ``sequence`` names the clip or traverse and ``index`` is the position along it;
    ``category`` is what the image shows, in sets where positives share one;
    ``label`` is how the input names the frame (its path relative to the input); ``extra`` keeps unread CSV columns.
    ``depth`` gives the depth of the image's view, float32 [h, w] in meters, 0 or not finite where unknown.
    """

    label: str
    path: Path | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    stamp: float | None = None
    pose: Pose | None = None
    sequence: str | None = None
    index: float | None = None
    category: str | None = None
    split: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    decode: Callable[[], NDArray[np.uint8]] | None = field(default=None, repr=False, compare=False)
    depth: Callable[[], NDArray[np.float32] | None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Place:
    """One stored place of a map, without its descriptor (see ``PlaceMap.descriptors``)."""

    id: int
    label: str
    traverse: str
    path: str | None = None
    stamp: float | None = None
    pose: Pose | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """A place proposed for a frame. ``similarity`` is the cosine of the two descriptors at the size searched, in [-1, 1]."""

    place: Place
    similarity: float


@dataclass(frozen=True)
class Odometry:
    """Motion of the robot since the previous frame, in the robot's frame at that time: ``forward`` (negative in reverse) and ``left``
    in meters, ``turn`` in radians, counter-clockwise."""

    forward: float
    left: float = 0.0
    turn: float = 0.0

    @property
    def distance(self) -> float:
        """Meters; negative in reverse."""
        return math.copysign(math.hypot(self.forward, self.left), self.forward)


@dataclass(frozen=True)
class Intrinsics:
    """A camera, in pixels of the query image; (0, 0) is the center of its first pixel.

    ``distortion_model``: ``none``, or a model of ROS and OpenCV: ``plumb_bob``, ``rational_polynomial`` or ``equidistant`` (OpenCV's fisheye);
    ``distortion``: its 4 or 5, 8, or 4 coefficients.

    Raises:
        VprError: not finite, a focal length that is not positive, an unknown model, or another number of coefficients.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "distortion", tuple(map(float, self.distortion)))
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(map(math.isfinite, numbers)) or min(self.fx, self.fy) <= 0:
            raise VprError(f"intrinsics must be finite with focal lengths above 0, found {self}")
        if len(self.distortion) not in _COEFFICIENTS.get(self.distortion_model, ()):
            found = f"distortion model {self.distortion_model!r} with {len(self.distortion)} coefficients"
            known = "plumb_bob with 4 or 5, rational_polynomial with 8, equidistant with 4, or none"
            raise VprError(f"{found}: expected {known}")

    def __str__(self) -> str:
        lens = "" if self.distortion_model == "none" else f", {self.distortion_model}"
        return f"fx {self.fx:.1f}, fy {self.fy:.1f}, cx {self.cx:.1f}, cy {self.cy:.1f}{lens}"

    def resized(self, before: tuple[int, ...], after: tuple[int, ...]) -> Intrinsics:
        """Of the image scaled from one shape (height, width, ...) to another."""
        y, x = after[0] / before[0], after[1] / before[1]
        center = (self.cx + 0.5) * x - 0.5, (self.cy + 0.5) * y - 0.5
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=center[0], cy=center[1])

    def fitted(self, size: tuple[int, int], images: tuple[int, int]) -> Intrinsics:
        """Of images of another size; both are (width, height). Raises VprError if the aspect ratios differ by more than 1 %."""
        if abs(images[0] * size[1] / (images[1] * size[0]) - 1) > _SAME_ASPECT:
            found = f"of {size[0]} x {size[1]} pixels, the images have {images[0]} x {images[1]}: another aspect ratio"
            raise VprError(f"the calibration is {found}; calibrate with images like these")
        return self if size == images else self.resized(size[::-1], images[::-1])

    def bearings(self, xy: Points, ratio: float) -> Points:
        """Pixels [k, 2] of an image ``ratio`` times as large as the query -> float64 [k, 2], on the plane one unit ahead, without the
        distortion. NaN where the distortion cannot be undone."""
        pixels = (xy + 0.5) / ratio - 0.5
        if self.distortion_model == "none":
            return np.asarray((pixels - (self.cx, self.cy)) / (self.fx, self.fy))
        from vpr_aesvc.lens import undistorted  # imports OpenCV

        matrix = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])
        return undistorted(pixels, matrix, np.array(self.distortion), self.distortion_model == "equidistant")
