"""The frames of a video file with the container's own stamps: by OpenCV, or by PyAV where it is installed and OpenCV cannot (AV1)."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError

# BGR [H, W, 3], upright; seconds from the first frame
Pictures = Generator[tuple[NDArray[np.uint8], float], None, None]


@dataclass(frozen=True)
class VideoFile:
    """What a container says, and how to read it.

    Attributes:
        seconds: its length; None if it does not say. count: of the frames; an estimate in some formats, 0 if unknown.
        rate: mean frames a second, None if unknown. size: of a frame, as text.
        pictures: reads it from the beginning, as far as it can be decoded. reader: PyAV in words, empty for OpenCV.
    """

    seconds: float | None
    count: int
    rate: float | None
    size: str
    pictures: Callable[[], Pictures]
    reader: str = ""


def open_video(path: Path) -> VideoFile:
    """Opens a video of which at least one frame can be decoded.

    Raises:
        VprError: it is no video, has no frame, or needs PyAV.
    """
    found = _with_opencv(path)
    if found is None or not _has_frame(found):
        other = _with_pyav(path) if find_spec("av") else None
        if other is not None and _has_frame(other):
            return other
    if found is None:
        raise VprError(
            f"{path}: not a video that OpenCV can read, or one that was cut short: an mp4 that was not closed has no index and must "
            "be repaired first (untrunc), other formats can be read up to the cut"
        )
    if not _has_frame(found):
        hint = "it is empty or damaged" if find_spec("av") else "pip install av, which reads more formats (AV1)"
        raise VprError(f"{path}: a video of which OpenCV cannot decode any frame: {hint}")
    return found


def _has_frame(video: VideoFile) -> bool:
    with closing(video.pictures()) as pictures:
        return any(True for _ in islice(pictures, 1))


def _with_opencv(path: Path) -> VideoFile | None:
    capture = cv2.VideoCapture(str(path))
    count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    size = f"{capture.get(cv2.CAP_PROP_FRAME_WIDTH):.0f} x {capture.get(cv2.CAP_PROP_FRAME_HEIGHT):.0f}"
    is_video = capture.isOpened()
    capture.release()
    if not is_video:
        return None
    seconds = count / rate if count > 0 and rate > 0 else None

    def pictures() -> Pictures:
        capture = cv2.VideoCapture(str(path))
        try:
            while True:
                done, picture = capture.read()
                if not done:
                    return
                yield np.asarray(picture, np.uint8), capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        finally:
            capture.release()

    return VideoFile(seconds, max(0, int(count)), rate if 0 < rate < 1000 else None, size, pictures)


def _with_pyav(path: Path) -> VideoFile | None:
    import av

    def pictures() -> Pictures:
        first: float | None = None
        try:
            with av.open(str(path)) as container:
                for frame in container.decode(video=0):
                    picture = np.rot90(frame.to_ndarray(format="bgr24"), getattr(frame, "rotation", 0) // 90)
                    stamp = frame.time or 0.0
                    first = stamp if first is None else first
                    yield np.ascontiguousarray(picture), stamp - first
        except Exception:  # damaged from here on, or without a video: PyAV raises many kinds
            return

    try:
        with av.open(str(path)) as container:
            stream: Any = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            seconds = container.duration / 1e6 if container.duration else None
            if stream.duration:  # not that of the sound
                seconds = float(stream.duration * stream.time_base)
            count = stream.frames or int((seconds or 0) * rate)
            return VideoFile(seconds, count, rate or None, f"{stream.width} x {stream.height}", pictures, ", by PyAV")
    except Exception:  # PyAV raises many kinds for damaged files
        return None
