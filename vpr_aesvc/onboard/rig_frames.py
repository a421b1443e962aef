"""Groups the images of several cameras by their stamps, so that those of one moment are recognized together."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
RIG = "rig"
"""Name of all cameras together, where that of one camera is expected."""
# Seconds.
TOLERANCE = 0.05  # between the stamps of one rig frame: half a period of cameras at 10 Hz that are not synchronized
_WAIT = 0.25  # by stamps, for the other cameras
_CLOCK_RESET = 1.0  # a larger step back of the stamps: a bag was restarted
_MISSED = 5  # rig frames in a row that lack a camera before the others no longer wait for it


class RigFrames(Generic[Item]):
    """Holds images until all cameras have one of the same moment. A complete rig frame drops all older images: only the latest count.

    If a camera fails, rig frames go on without it, first after a wait, then at once, until it has images of the same moments again.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._missed = dict.fromkeys(cameras, 0)
        self._waiting: list[dict[str, tuple[float, Item]]] = []  # by camera: stamp and image
        self._done: deque[float] = deque(maxlen=30)  # stamps of the last rig frames

    @property
    def missing(self) -> list[str]:
        """Cameras that the others do not wait for."""
        return [camera for camera, missed in self._missed.items() if missed >= _MISSED]

    def add(self, camera: str, stamp: float, item: Item) -> list[Item] | None:
        """Adds an image with its stamp in seconds. Returns the images of a rig frame, in the order of the cameras, if one is ready."""
        if self._done and stamp < self._done[-1] - _CLOCK_RESET:
            self._waiting.clear()
            self._done.clear()
        if camera in self.missing and any(abs(stamp - done) <= TOLERANCE for done in self._done):
            self._missed[camera] = 0  # from the next moment on the others wait for it
            return None
        if self._done and stamp <= self._done[-1]:
            return None  # too late
        images = next((images for images in self._waiting if _fits(images, camera, stamp)), None)
        if images is None:
            images = {}
            self._waiting.append(images)
        images[camera] = stamp, item
        if len(images) > 1:
            self._missed |= dict.fromkeys(images, 0)
        expected = set(self._missed) - set(self.missing)
        if not expected <= set(images):
            images = min(self._waiting, key=_newest)
            if stamp - _newest(images) <= _WAIT:
                return None
            for absent in expected - set(images):
                self._missed[absent] += 1
        self._done.append(_newest(images))
        self._waiting = [other for other in self._waiting if _newest(other) > self._done[-1]]
        return [images[name][1] for name in self._missed if name in images]


def _fits(images: dict[str, tuple[float, Item]], camera: str, stamp: float) -> bool:
    return camera not in images and all(abs(stamp - other) <= TOLERANCE for other, _ in images.values())


def _newest(images: dict[str, tuple[float, Item]]) -> float:
    return max(stamp for stamp, _ in images.values())
