"""A video file as a recording. Stamps are on the video's own clock, which starts near 0."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import as_rgb
from vpr_aesvc.recordings.pose_checks import odd_motion
from vpr_aesvc.recordings.pose_history import PoseTrack, fit_units
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.recordings.video_decoders import open_video
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.types import Frame

_SHORT, _SHORT_SECONDS = 0.02, 0.5  # the length in a container is an estimate, and sound may last a little longer
_PACKET = {".ts": 188, ".mts": 192, ".m2ts": 192}  # bytes
_WITHOUT_LENGTH = {".mpg", ".mpeg", *_PACKET}  # a reader takes the last stamp for the end


class VideoRecording(Recording):
    """A video. Its frames build on each other, so all are decoded; only the conversion to RGB waits until an image is used.

    A video from which a recorder dropped frames, or which pauses, is whole. It is cut short where its last stamp is before the end that the
    container tells.

    Raises:
        VprError: it cannot be read, or the trajectory is not one.
    """

    def __init__(self, path: Path, options: InputOptions) -> None:
        super().__init__(path, options, "video")
        self._video = video = open_video(path)
        self.images = video.count
        length = f"{video.seconds:.1f} s of" if video.seconds else "frames of"
        rate = f", {video.rate:.3g} frames a second" if video.rate else ""
        self.notes = [f"video: {length} {video.size} pixels{rate}"]
        if video.seconds is None or path.suffix.lower() in _WITHOUT_LENGTH:
            self.notes.append("the file does not tell its length: if its end is missing, nobody sees it")
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
        stamps, table = np.array(trajectory.stamps), np.array([pose.as_tuple() for pose in trajectory.poses])
        track = PoseTrack(stamps, table, options.pose_gap)
        if video.seconds and video.count:  # as if its frames came evenly
            even = np.linspace(0, video.seconds, min(video.count, 1000), endpoint=False)
            _, fitted, said = fit_units(even, track)
            if said and fitted is not track:
                self.notes.append(said)
                track, stamps, table = fitted, fitted.stamps, fitted.table
        self._track = track
        self.notes += odd_motion(stamps, table, f"trajectory {options.trajectory.name}")
        ends = video.seconds or float("inf")
        if stamps[0] > ends or stamps[-1] < 0:
            raise VprError(
                f"{options.trajectory}: expected stamps in seconds from the beginning of {path}, which lasts {ends:.1f} s; "
                f"found {stamps[0]:.3f} to {stamps[-1]:.3f}"
            )

    def __iter__(self) -> Iterator[Frame]:
        """As they are shown.

        Raises:
            VprError: the file ends before its end, unless it was opened with ``keep_good``.
        """
        self.skip_counts.clear()
        number, last, without = 0, -1.0, 0
        for number, (picture, stamp) in enumerate(self._video.pictures(), 1):
            if stamp <= last:  # a container without stamps
                stamp = (number - 1) / self._video.rate if self._video.rate else last + 1 / 30
            last = stamp
            pose = None if self._track is None else self._track.at(stamp)
            without += pose is None
            yield Frame(f"frame {number - 1:06d}", stamp=stamp, pose=pose, decode=partial(as_rgb, picture, "bgr"))
        if words := self._cut_short(last):
            if not self.options.keep_good:
                raise VprError(f"{self.path}: {words}; --keep-good uses what comes before the damage")
            self.skip_counts.add("the rest of the video, damaged", words)
        words = f"{without} of {number} images have no pose: outside the trajectory, or in a gap of it (--pose-gap)"
        if self._track is not None and without and words not in self.notes:
            self.notes.append(words)

    def _cut_short(self, last: float) -> str | None:
        """What is wrong with the end; None if the video is whole."""
        ends, suffix = self._video.seconds or 0.0, self.path.suffix.lower()
        if self.path.stat().st_size % _PACKET.get(suffix, 1):
            return "its last packet is incomplete: it was cut short"
        slack = max(_SHORT_SECONDS, _SHORT * ends) + 1.5 / (self._video.rate or 30)
        if suffix in _WITHOUT_LENGTH or ends - last <= slack:
            return None
        return (
            f"its pictures end after {last:.1f} of {ends:.1f} s: it was cut short or is damaged, or its sound is longer"
        )
