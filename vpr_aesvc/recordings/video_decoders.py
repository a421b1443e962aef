"""The frames of a video file with the container's own stamps, by OpenCV."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError


@dataclass(frozen=True)
class VideoFile:
    """What a container says, and how to read it.

    Attributes:
        seconds: its length; None if it does not say. count: of the frames; an estimate in some formats, 0 if unknown.
        rate: mean frames a second, None if unknown. size: of a frame, as text.
    """

    path: Path
    seconds: float | None
    count: int
    rate: float | None
    size: str

    def pictures(self) -> Generator[tuple[NDArray[np.uint8], float], None, None]:
        """From the beginning, as far as it can be decoded: BGR [H, W, 3], upright, and seconds from the first frame."""
        capture = cv2.VideoCapture(str(self.path))
        try:
            while True:
                done, picture = capture.read()
                if not done:
                    return
                yield np.asarray(picture, np.uint8), capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        finally:
            capture.release()


def open_video(path: Path) -> VideoFile:
    """Opens a video of which at least one frame can be decoded.

    Raises:
        VprError: it is no video, or OpenCV cannot decode it.
    """
    capture = cv2.VideoCapture(str(path))
    count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    size = f"{capture.get(cv2.CAP_PROP_FRAME_WIDTH):.0f} x {capture.get(cv2.CAP_PROP_FRAME_HEIGHT):.0f}"
    is_video, has_frame = capture.isOpened(), capture.read()[0]
    capture.release()
    if not is_video:
        raise VprError(
            f"{path}: not a video that OpenCV can read, or one that was cut short: an mp4 that was not closed has no index and must "
            "be repaired first (untrunc), other formats can be read up to the cut"
        )
    if not has_frame:
        raise VprError(
            f"{path}: a video of which OpenCV cannot decode any frame: it is empty or damaged, or of a codec that OpenCV lacks (AV1): "
            "`ffmpeg -i IN -fps_mode passthrough -c:v libx264 OUT.mp4` converts it"
        )
    seconds = count / rate if count > 0 and rate > 0 else None
    return VideoFile(path, seconds, max(0, int(count)), rate if 0 < rate < 1000 else None, size)
