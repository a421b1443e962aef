"""Which frames of a recording become places, with their pictures: chosen by stamp and pose first, so that only chosen ones are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.keyframes.gate import KeyframeGate, KeyframeSettings
from vpr_aesvc.keyframes.image_quality import ImageQuality
from vpr_aesvc.recordings.decoded import UNREADABLE
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Frame

_MOVED_METERS, _MOVED_RADIANS = 0.2, 0.05  # by so much, a picture cannot but change


@dataclass
class Seen:
    """What a selection came across, complete when it has ended.

    Attributes:
        frames: of the recording. tried: chosen by stamp and pose, and so decoded. taken: of use, and so given out.
        meters: traveled from frame to frame, where both have a pose. seconds: gone by, where both have a stamp. Neither counts where the
            clock jumped back, as in a bag that was played again.
        first: stamp of the recording's first frame, in seconds.
    """

    frames: int = 0
    tried: int = 0
    taken: int = 0
    meters: float = 0.0
    seconds: float = 0.0
    first: float | None = None

    def note(self, frame: Frame, before: Frame | None) -> None:
        """Counts a frame of the recording."""
        self.frames += 1
        if self.first is None:
            self.first = frame.stamp
        if before is None:
            return
        if before.stamp is not None and frame.stamp is not None:
            if frame.stamp < before.stamp:
                return
            self.seconds += frame.stamp - before.stamp
        if before.pose is not None and frame.pose is not None:
            self.meters += distance(before.pose, frame.pose)

    def line(self) -> str:
        """In words."""
        time = f" in {self.seconds:.1f} s" if self.first is not None else ""
        way = f", {self.meters:.1f} m traveled" if self.meters else ""
        return f"{self.frames} images{time}{way}; {self.taken} became places, {self.tried - self.taken} tried were of no use"


def keyframes(
    recording: Recording,
    settings: KeyframeSettings | None = None,
    seen: Seen | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Frame]:
    """Frames with an image, in the order they were recorded, in constant memory. A frame that shows nothing of use does not count as a
    place: the next is tried instead. What is left out is noted in ``recording.skip_counts``.

    One after the other, without a thread that decodes ahead: whether a frame is chosen depends on whether the picture before was of use,
    and decoding takes a fraction of the time that describing takes.

    Args:
        seen: is kept up to date while this runs.
        progress: called with (frames of the recording seen, frames it should have).

    Raises:
        VprError: the recording ends in damage, unless it was opened to keep what is good.
    """
    gate, quality, seen = KeyframeGate(settings), ImageQuality(), seen or Seen()
    before: Frame | None = None
    taken: Frame | None = None
    for recorded in recording.frames():
        frame = recorded.frame
        seen.note(frame, before)
        before = frame
        if progress:
            progress(min(seen.frames, recording.images), recording.images)
        if not gate.wants(frame):
            continue
        seen.tried += 1
        try:
            image = recorded.decode()
        except VprError as error:
            recording.skip_counts.add(UNREADABLE, str(error))
            continue
        reason = quality.reason(image, None if taken is None else moved_between(taken, frame))
        if reason is not None:
            recording.skip_counts.add(reason, frame.label)
            continue
        gate.took(frame)
        taken = frame
        seen.taken += 1
        yield replace(frame, image=image)


def moved_between(before: Frame, after: Frame) -> bool | None:
    """Whether the camera moved by so much that its picture must have changed; None where the poses are not known."""
    if before.pose is None or after.pose is None:
        return None
    far = distance(before.pose, after.pose) >= _MOVED_METERS
    return far or angle(before.pose, after.pose) >= _MOVED_RADIANS


def name_of(recording: Path) -> str:
    """What a recording at this path is called: its file without the suffix, or its folder."""
    path = recording.expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "recording"


def nothing_found(recording: Recording) -> VprError:
    """The error for a recording without a single picture of use."""
    why = "; ".join(recording.skip_counts.lines()) or "it holds none"
    return VprError(f"{recording.path}: no picture could be used ({why})")
