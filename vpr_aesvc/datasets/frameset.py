"""Images with what is known of each, all listed in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.datasets.positives import Tolerance, guess_tolerance
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.types import Frame, Intrinsics


@dataclass
class FrameSet:
    """A ``FrameSource`` whose frames are listed in memory; the images stay on disk.

    Attributes:
        path: the folder or file that the user named.
        kind: which reader read it, for people.
        has_times_and_panoramas: whether ``extra`` of queries holds a ``time`` of day and that of database frames the ``panorama`` they
            were cut from, as in Tokyo 24/7; a user's own columns of these names mean nothing here.
        stated: when a database frame is a right answer, if the set says so itself.
        embeddings: of the frames, if they were computed elsewhere; they take the backbone's place.
    """

    path: Path
    kind: str
    frames: tuple[Frame, ...]
    stated: Tolerance | None = None
    has_times_and_panoramas: bool = False
    embeddings: GivenEmbeddings | None = field(default=None, repr=False, compare=False)
    intrinsics: Intrinsics | None = None
    image_size: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    skip_counts: SkipCounts = field(default_factory=SkipCounts)

    is_recording = False

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @property
    def is_run(self) -> bool:
        """Whether every frame has a stamp and a pose, so that the motion between frames is known."""
        return bool(self.frames) and all(frame.stamp is not None and frame.pose is not None for frame in self.frames)

    def split(self, name: str) -> FrameSet:
        """The frames of split ``database`` or ``query``; all of them if the input has no splits.

        Raises:
            VprError: the input has splits, but none of that name.
        """
        if all(frame.split is None for frame in self.frames):
            return self
        chosen = tuple(frame for frame in self.frames if frame.split == name)
        if not chosen:
            found = sorted({str(frame.split) for frame in self.frames})
            raise VprError(f"{self.path}: no row has split {name!r}; found {', '.join(found)}")
        return replace(self, frames=chosen)

    @property
    def tolerance(self) -> Tolerance | None:
        """When a database frame is a right answer; None if neither the set nor its frames say."""
        return self.stated or guess_tolerance(self.frames)
