"""A video file as a recording. Stamps are on the video's own clock, which starts near 0."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import as_rgb
from vpr_aesvc.recordings.pose_history import PoseTrack
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.types import Frame

_SHORT = 0.02  # a container's own count is an estimate in some formats


class VideoRecording(Recording):
    """A video. Its frames build on each other, so all are decoded; only the conversion to RGB waits until an image is used.

    Raises:
        VprError: OpenCV cannot read it, or the trajectory is not one.
    """

    def __init__(self, path: Path, options: InputOptions) -> None:
        super().__init__(path, options, "video")
        capture = self._open()
        self.images = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if 0 < fps < 1000 else None
        size = f"{capture.get(cv2.CAP_PROP_FRAME_WIDTH):.0f} x {capture.get(cv2.CAP_PROP_FRAME_HEIGHT):.0f}"
        capture.release()
        self.notes = [f"video: {self.images} frames of {size}" + (f" at {fps:.3g} a second" if self._fps else "")]
        self._track: PoseTrack | None = None
        if options.trajectory is None:
            self.notes.append("no poses: keyframes go by time")
            return
        trajectory = read_trajectory(options.trajectory)
        if trajectory.stamps is None:
            raise VprError(
                f"{options.trajectory}: is in KITTI format, which has no stamps; a video needs a TUM file with seconds from its beginning"
            )
        self.notes.append(trajectory.note)
        table = [pose.as_tuple() for pose in trajectory.poses]
        self._track = PoseTrack(trajectory.stamps, table, options.pose_gap)
        ends = self.images / self._fps if self._fps else float("inf")
        if trajectory.stamps[0] > ends or trajectory.stamps[-1] < 0:
            raise VprError(
                f"{options.trajectory}: expected stamps in seconds from the beginning of {path}, which lasts {ends:.1f} s; "
                f"found {trajectory.stamps[0]:.3f} to {trajectory.stamps[-1]:.3f}"
            )

    def __iter__(self) -> Iterator[Frame]:
        """As they are shown. Raises VprError where the file ends before its end, unless it was opened with ``keep_good``."""
        self.skip_counts.clear()
        capture, number, last = self._open(), 0, -1.0
        try:
            while True:
                done, picture = capture.read()
                if not done:
                    break
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if stamp <= last:  # a container without stamps
                    stamp = number / self._fps if self._fps else last + 1 / 30
                last = stamp
                pose = None if self._track is None else self._track.at(stamp)
                yield Frame(f"frame {number:06d}", stamp=stamp, pose=pose, decode=partial(_rgb, picture))
                number += 1
        finally:
            capture.release()
        if number < self.images * (1 - _SHORT) - 1:
            words = f"ends after {number} of {self.images} frames: it was cut short or is damaged"
            if not self.options.keep_good:
                raise VprError(f"{self.path}: {words}; --keep-good uses what comes before the damage")
            self.skip_counts.add("the rest of the video, damaged", words)

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise VprError(
                f"{self.path}: not a video that OpenCV can read, or one that was cut short: an mp4 that was not closed has no index and must "
                "be repaired first (untrunc), other formats can be read up to the cut"
            )
        return capture


def _rgb(picture: Any) -> NDArray[np.uint8]:
    return as_rgb(np.asarray(picture, np.uint8), "bgr")
