"""What every input becomes: frames in order, with what is known of each. ``vpr_aesvc.open_input`` makes one of whatever a user has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.types import Frame, Intrinsics

VIDEO_SUFFIXES = {".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"}
VIDEO_SUFFIXES |= {".ts", ".mts", ".m2ts", ".3gp", ".wmv", ".flv"}
_EXAMPLES = 3


@dataclass
class SkipCounts:
    """What could not be used: a count for each reason, and a few examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        self.counts[reason] += count
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(example)

    def include(self, other: SkipCounts) -> None:
        """Adds the counts and examples of another one."""
        for reason, examples in other.examples.items():
            for example in examples:
                self.add(reason, example)
            self.counts[reason] += other.counts[reason] - len(examples)

    def clear(self) -> None:
        self.counts.clear()
        self.examples.clear()

    def __len__(self) -> int:
        return sum(self.counts.values())

    def lines(self) -> list[str]:
        """One line for each reason, the most frequent first."""
        examples = {reason: ", ".join(some) for reason, some in self.examples.items()}
        ordered = self.counts.most_common()
        return [f"{n} {reason}: {examples[reason]}{' ...' if n > _EXAMPLES else ''}" for reason, n in ordered]


class FrameSource(Protocol):
    """Frames of one input, in order. ``for frame in source`` reads it from the beginning, each time anew; the images stay coded until
    ``image_of`` decodes one. ``len(source)`` is the expected number of frames, for progress bars.

    Attributes:
        path: what the user named.
        kind: what it is, for people, such as ``frames.csv`` or ``ROS 2 bag (mcap)``.
        is_recording: the frames are a camera's stream, as of a bag or a video. Places are made of its keyframes, not of all frames.
        is_run: the frames belong to drives with stamps and poses, or to a recording: a sequence filter can follow them.
        intrinsics: of the camera in pixels of the images, if the input has them.
        image_size: (width, height) of the images; None only where the intrinsics are unknown.
        notes: what was found and chosen (topics, where the camera is mounted, what is missing), one sentence each.
        skip_counts: images and poses that could not be used; complete after a whole iteration.
        embeddings: of the frames, if they were computed elsewhere; they take the backbone's place.
    """

    path: Path
    kind: str
    intrinsics: Intrinsics | None
    image_size: tuple[int, int] | None
    notes: list[str]
    skip_counts: SkipCounts
    embeddings: GivenEmbeddings | None
    is_recording: bool

    @property
    def is_run(self) -> bool: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]:
        """Raises VprError: the input is damaged and was opened without ``keep_good``."""
        ...

    def split(self, name: str) -> FrameSource:
        """The frames of split ``database`` or ``query``; all of them if the input has no splits."""
        ...


@dataclass(frozen=True)
class InputOptions:
    """What a user says about an input beside its path. ``vpr_aesvc.open_input`` refuses an option that does not fit the input.

    Attributes:
        image_topic: of a bag; by default the only one.
        pose_topic: of a bag, ``tf`` or ``none``; by default the only one of the first kind that the bag holds.
        base_frame: TF frame of the robot, for a pose source that does not name it.
        map_frame: fixed TF frame, if poses are taken from TF; of a topic that has poses in several frames, the one to take. So may ``base_frame``.
        trajectory: a TUM or KITTI file with the poses of a folder of images or of a video.
        camera: a calibration file; by default ``camera_info`` of a bag, and ``calib.txt`` of a folder with a trajectory.
        pose_gap: an image between two poses gets an interpolated pose if they are at most this many seconds apart.
        keep_good: use the part of a damaged recording before the damage.
        embeddings: a file of embeddings of these images, computed elsewhere.
    """

    image_topic: str | None = None
    pose_topic: str | None = None
    base_frame: str | None = None
    map_frame: str | None = None
    trajectory: Path | None = None
    camera: Path | None = None
    pose_gap: float = 0.5
    keep_good: bool = False
    embeddings: Path | None = None
