"""Find where the poses stand still although the camera moves: odometry that stopped, whose frames would all be taken for one place.

While the poses stand, one image a second is compared with the one before, in blocks of a small gray copy without its brightness and contrast.
In nine of ten pairs of real images a second apart (a robot in a corridor, a car, a phone on stairs) 75 % of the blocks change, or more. Of a camera
that stands none does, under noise and changing exposure; a person who fills a third of the image changes half of them. Only an unbroken
row of changes counts.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Frame, Image

_METERS, _RADIANS = 0.05, 0.03  # poses that differ by less stand still
_SECONDS, _IN_A_ROW = 1.0, 5
_CHANGED, _SHARE = 0.25, 0.7  # mean difference of a block in standard deviations of the image; share of the blocks


class StandingPoses:
    """Watches the frames of one recording in their order. Images are decoded only where the poses stand for a second and more."""

    def __init__(self) -> None:
        self._first: Frame | None = None  # of the frames that stand
        self._last: tuple[float, NDArray[np.float32] | None] = 0.0, None  # stamp, and what was seen
        self._row: list[float] = []  # stamps of images that each differ from the one before
        self._found: list[list[float]] = []

    def add(self, frame: Frame) -> None:
        if frame.pose is None or frame.stamp is None:
            return
        first = self._first
        if (
            first is None
            or first.pose is None
            or distance(first.pose, frame.pose) > _METERS
            or angle(first.pose, frame.pose) > _RADIANS
            or frame.stamp < self._last[0]
        ):
            self._end_row()
            self._first, self._last = frame, (frame.stamp, None)
            return
        before, seen = self._last
        if frame.stamp - before < _SECONDS - 1e-6:
            return
        try:
            now = _blocks(image_of(frame))
        except VprError:
            return  # counted where the image is needed
        self._last = frame.stamp, now
        if seen is not None and float((np.abs(now - seen).mean(axis=(1, 3)) > _CHANGED).mean()) >= _SHARE:
            self._row = [*(self._row or [before]), frame.stamp]
        elif seen is not None:
            self._end_row()

    def note(self) -> str | None:
        """Where the poses stood although the images changed; None if they did not."""
        self._end_row()
        if not self._found:
            return None
        spans = ", ".join(f"{row[0]:.1f} to {row[-1]:.1f} s ({len(row)} images compared)" for row in self._found[:3])
        more = f" and {len(self._found) - 3} more" if len(self._found) > 3 else ""
        return f"the poses stand still while the images change, {spans}{more}: if the robot drove, its odometry stopped, and the map lacks these places"

    def _end_row(self) -> None:
        if len(self._row) > _IN_A_ROW:
            self._found.append(self._row)
        self._row = []


def _blocks(image: Image) -> NDArray[np.float32]:
    """float32 [6, 5, 8, 5]: 6 rows of 8 blocks of 5 x 5 pixels, of mean 0 and standard deviation 1 in all."""
    small = cv2.resize(image, (40, 30), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray((gray - gray.mean()) / max(float(gray.std()), 2.0), np.float32).reshape(6, 5, 8, 5)
