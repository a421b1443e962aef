"""Select keyframes of a recording: first by stamp and pose, so that only candidates are decoded, then by image quality.

Steps that need all keyframes at once, such as training, get them as image files.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vpr_aesvc.datasets.frames_csv import frames_as_csv
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import os_errors_named, write_file
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.images import encode_jpeg, image_of
from vpr_aesvc.keyframes.gate import KeyframeGate, KeyframeSettings
from vpr_aesvc.keyframes.image_quality import ImageQuality
from vpr_aesvc.recordings.decoded import UNREADABLE
from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Frame, Progress

_MOVED_METERS, _MOVED_RADIANS = 0.2, 0.05  # after such a motion, the image must have changed
_QUALITY = 95  # the JPEG loss is far below the change between two visits


@dataclass
class SelectionStats:
    """Counts of one selection, complete at its end.

    Attributes:
        frames: frames of the recording. tried: far enough by stamp and pose, hence decoded. taken: good images, hence keyframes.
        meters: path length over frames with a pose. seconds: time between frames with a stamp. Neither counts a step whose stamp goes back.
        first: stamp of the first frame, seconds.
    """

    frames: int = 0
    tried: int = 0
    taken: int = 0
    meters: float = 0.0
    seconds: float = 0.0
    first: float | None = None

    def add(self, frame: Frame, previous: Frame | None) -> None:
        """Counts a frame of the recording."""
        self.frames += 1
        if self.first is None:
            self.first = frame.stamp
        if previous is None:
            return
        if previous.stamp is not None and frame.stamp is not None:
            if frame.stamp < previous.stamp:
                return
            self.seconds += frame.stamp - previous.stamp
        if previous.pose is not None and frame.pose is not None:
            self.meters += distance(previous.pose, frame.pose)

    def line(self) -> str:
        """One sentence for the user."""
        time = f" in {self.seconds:.1f} s" if self.first is not None else ""
        path = f", {self.meters:.1f} m traveled" if self.meters else ""
        rejected = self.tried - self.taken
        return f"{self.frames} images{time}{path}; {self.taken} became places, {rejected} rejected for image quality"


def keyframes(
    recording: FrameSource,
    settings: KeyframeSettings | None = None,
    stats: SelectionStats | None = None,
    progress: Progress | None = None,
) -> Iterator[Frame]:
    """Keyframes with their images, in the order recorded, in constant memory. If the image of a candidate is bad, the next
    frame is tried; the reason is counted in ``recording.skip_counts``.

    Images are not decoded ahead in a thread: the choice of a frame depends on the image before it, and decoding takes a
    fraction of the time of describing. ``stats``: is kept up to date. ``progress``: called with (frames read, frames
    expected). Raises VprError: the recording is damaged, unless it was opened with ``keep_good``."""
    gate, quality, stats = KeyframeGate(settings), ImageQuality(), stats or SelectionStats()
    previous: Frame | None = None
    last_keyframe: Frame | None = None
    expected = len(recording)
    for frame in recording:
        stats.add(frame, previous)
        previous = frame
        if progress:
            progress(min(stats.frames, expected), expected)
        if not gate.is_far_enough(frame):
            continue
        stats.tried += 1
        try:
            image = image_of(frame)
        except VprError as error:
            recording.skip_counts.add(UNREADABLE, str(error))
            continue
        reason = quality.reason(image, None if last_keyframe is None else moved_between(last_keyframe, frame))
        if reason is not None:
            recording.skip_counts.add(reason, frame.label)
            continue
        gate.set_last(frame)
        last_keyframe = frame
        stats.taken += 1
        yield replace(frame, image=image, decode=None)


def moved_between(before: Frame, after: Frame) -> bool | None:
    """Whether the camera moved so far that its image must have changed; None without both poses."""
    if before.pose is None or after.pose is None:
        return None
    is_far = distance(before.pose, after.pose) >= _MOVED_METERS
    return is_far or angle(before.pose, after.pose) >= _MOVED_RADIANS


def name_of(recording: Path) -> str:
    """The name of a recording: its file name without the suffix, or its folder name."""
    path = recording.expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "recording"


def nothing_found(recording: FrameSource) -> VprError:
    """The error for a recording without a usable image."""
    reasons = "; ".join(recording.skip_counts.lines()) or "it holds none"
    return VprError(f"{recording.path}: no image can be used ({reasons})")


def write_keyframes(
    recording: FrameSource,
    folder: Path,
    settings: KeyframeSettings | None = None,
    stats: SelectionStats | None = None,
    progress: Progress | None = None,
) -> list[Frame]:
    """Writes the keyframes into an existing folder, as ``000001.jpg`` and so on. Returns frames in the order recorded,
    labeled with the file names; their sequence is the name of the recording. Raises VprError: the recording is damaged, has
    no keyframe, or a file cannot be written."""
    frames: list[Frame] = []
    name = name_of(recording.path)
    for number, frame in enumerate(keyframes(recording, settings, stats, progress), 1):
        if frame.image is None:
            continue
        path = folder / f"{number:06d}.jpg"
        with os_errors_named(path, "image"):
            path.write_bytes(encode_jpeg(frame.image, _QUALITY))
        frames.append(replace(frame, label=path.name, path=path, image=None, sequence=name, index=float(number)))
    if not frames:
        raise nothing_found(recording)
    return frames


def write_table(frames: Iterable[Frame], path: Path) -> None:
    """Writes ``frames.csv`` for frames of ``write_keyframes``. Of a pose it holds x, y and the heading. Raises VprError:
    the file cannot be written."""
    rows = [replace(frame, path=None, split="database") for frame in frames]  # the labels are paths beside the table
    write_file(path, frames_as_csv(rows).encode(), "table")
