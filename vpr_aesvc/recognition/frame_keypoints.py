"""When the key points of a frame are detected: ahead of the frame, in another thread, and not at all while a sequence is sure."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np

from vpr_aesvc.images import as_rgb, thumbnail
from vpr_aesvc.recognition.geometry.local_features import Keypoints, StoredKeypoints, detect_keypoints
from vpr_aesvc.types import Image


class Ahead(NamedTuple):
    """A frame to come. ``number``: in the order in which they were announced. ``image``: RGB uint8 [H, W, 3]; it is kept, so that no other one gets its
    id. ``keypoints``: None if it is not expected to need them."""

    number: int
    image: Image
    keypoints: Future[Keypoints] | None


class Confirmed(NamedTuple):
    """A frame whose match is certain by its key points alone. ``row``: of the place. ``inliers``: the distinctive ones. ``moved``: the confirmed frame
    before it was at another place, or had this set."""

    number: int
    row: int
    inliers: int
    moved: bool


class FrameKeypoints:
    """The key points of the frames of one camera. After two frames that key points confirmed at two places, and while every verified frame is
    confirmed, only one in ``every`` frames needs them, if the sequence is sure.

    Args:
        stored: those of the map; while it is empty, or with None, none are detected.
    """

    def __init__(self, stored: StoredKeypoints | None, every: int) -> None:
        self._stored, self._every = stored, every
        self._confirmed: Confirmed | None = None
        self._numbers = count(1)
        self._ahead: dict[int, Ahead] = {}  # by id of the image, oldest first

    def look_ahead(self, image: Image) -> None:
        """Begins to detect the key points of a frame in another thread, if it is expected to need them. For any thread. Of the last two images they
        are kept."""
        if not self._stored or id(image) in self._ahead:
            return
        number, last = next(self._numbers), self._confirmed
        is_needed = last is None or not last.moved or (number - last.number) % self._every == 0
        for old in list(self._ahead)[:-1]:
            if (unused := self._ahead.pop(old, None)) is not None and unused.keypoints is not None:
                unused.keypoints.cancel()
        self._ahead[id(image)] = Ahead(number, image, self._detected(image) if is_needed else None)

    def decode_ahead(self, decode: Callable[[], Image]) -> Future[Image]:
        """The image of a frame to come, decoded in another thread, where ``look_ahead`` follows. For any thread."""

        def work() -> Image:
            image = decode()
            self.look_ahead(image)
            return image

        return _detection_thread().submit(work)

    def take(self, image: Image) -> Ahead | None:
        """The frame, which is then forgotten; None if none are detected."""
        self.look_ahead(image)
        return self._ahead.pop(id(image), None)

    def of(self, frame: Ahead) -> Keypoints:
        """Its key points, at the size of the stored pictures, on which the models were learned. Waits for them."""
        return (frame.keypoints or self._detected(frame.image)).result()

    def confirm(self, frame: Ahead, row: int, inliers: int) -> None:
        """After a frame was verified: its match is certain by key points alone."""
        last = self._confirmed
        self._confirmed = Confirmed(frame.number, row, inliers, last is not None and (last.moved or last.row != row))

    def forget_confirmed(self) -> None:
        """After a frame was verified whose match is not certain, and where a sequence begins."""
        self._confirmed = None

    def confirmed_before(self, frame: Ahead) -> Confirmed | None:
        """The last confirmed frame, if this one needs no key points while the sequence is sure; else None."""
        last = self._confirmed
        return last if last is not None and last.moved and frame.number - last.number < self._every else None

    def _detected(self, image: Image) -> Future[Keypoints]:
        assert self._stored is not None
        return _detection_thread().submit(_detect, image, self._stored.longest_side)


def _detect(image: Image, longest_side: int | None) -> Keypoints:
    """Gray before it is scaled: a third of the work."""
    gray = np.asarray(cv2.cvtColor(as_rgb(image), cv2.COLOR_RGB2GRAY), np.uint8)
    return detect_keypoints(thumbnail(gray, longest_side))


@cache
def _detection_thread() -> ThreadPoolExecutor:
    """In the main thread of a process glibc gives the memory of each image pyramid back to the system, and SIFT takes twice as long."""
    return ThreadPoolExecutor(1, "key points")
