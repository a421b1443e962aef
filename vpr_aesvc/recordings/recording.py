"""A recording: what a camera saw on one run, in the order it was recorded, and where it was. Pictures are decoded only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Frame, Intrinsics

Image = NDArray[np.uint8]
_EXAMPLES = 3


@dataclass(frozen=True)
class RecordedFrame:
    """A frame whose picture is still coded.

    Attributes:
        frame: without an image. Its label tells it from all others of the recording; ``stamp`` in seconds, of the image's header;
            ``pose`` of the camera (x where it looks, y left, z up) in the frame of the pose source, None where it is not known.
        decode: gives RGB uint8 [H, W, 3]; raises VprError, naming the frame, where the picture is damaged or of a kind that cannot be read.
    """

    frame: Frame
    decode: Callable[[], Image] = field(repr=False, compare=False)


@dataclass
class SkipCounts:
    """What was not used, by reason, with how often and a few examples."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _EXAMPLES:
            shown.append(example)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def lines(self) -> list[str]:
        """One line a reason, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: -item[1])
        return [
            f"{count} {reason}: {', '.join(self.examples[reason])}{' ...' if count > _EXAMPLES else ''}"
            for reason, count in ordered
        ]


class Recording(Protocol):
    """A bag, a folder of images with a trajectory, or a video file.

    Attributes:
        path: what the user pointed at.
        kind: what it is, in words, such as ``ROS 2 bag (mcap)``.
        images: how many there should be, for progress; the file's own count.
        intrinsics: of the camera, where the recording says; in pixels of the images as they are recorded.
        notes: in words, what was found and chosen: topics, the camera's place on the robot, what is missing.
        skip_counts: images and poses that could not be used; complete when :meth:`frames` has ended.
    """

    path: Path
    kind: str
    images: int
    intrinsics: Intrinsics | None
    notes: list[str]
    skip_counts: SkipCounts

    def frames(self) -> Iterator[RecordedFrame]:
        """From the beginning, as recorded; each call reads the recording anew, in constant memory.

        Raises:
            VprError: the recording ends in damage, unless it was opened with ``keep_good``.
        """
        ...


@dataclass(frozen=True)
class RecordingOptions:
    """What a user says of a recording, beyond its path.

    Attributes:
        image_topic, pose_topic: of a bag; by default the only one of its kind.
        base_frame: the robot's frame, where poses are taken from TF or a pose source that does not say whose pose it gives.
        map_frame: the fixed frame, where poses are taken from TF.
        trajectory: a TUM or KITTI file for a folder of images or a video.
        pose_gap: seconds that two poses may lie apart for an image between them to get one.
        keep_good: use what comes before damage instead of stopping there.
    """

    image_topic: str | None = None
    pose_topic: str | None = None
    base_frame: str | None = None
    map_frame: str | None = None
    trajectory: Path | None = None
    pose_gap: float = 0.5
    keep_good: bool = False
