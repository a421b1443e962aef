"""The frames of one input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vpr_aesvc.datasets.positives import Tolerance, guess_tolerance
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame


@dataclass(frozen=True)
class FrameSet:
    """Frames of one input, in order.

    Attributes:
        root: the folder or file they came from.
        kind: which reader read it, in words.
        has_times_and_panoramas: whether ``extra`` of queries holds a ``time`` of day and that of database frames the ``panorama`` they
            were cut from, as in Tokyo 24/7; a user's own columns of these names mean nothing here.
        stated: when a database frame is a right answer, where the set says so itself.
    """

    root: Path
    kind: str
    frames: tuple[Frame, ...]
    stated: Tolerance | None = None
    has_times_and_panoramas: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    def split(self, name: str) -> FrameSet:
        """The frames of split ``database`` or ``query``; all of them where the input has no splits.

        Raises:
            VprError: the input has splits, but none of that name.
        """
        if all(frame.split is None for frame in self.frames):
            return self
        chosen = tuple(frame for frame in self.frames if frame.split == name)
        if not chosen:
            found = sorted({str(frame.split) for frame in self.frames})
            raise VprError(f"{self.root}: no row has split {name!r}; found {', '.join(found)}")
        return replace(self, frames=chosen)

    @property
    def tolerance(self) -> Tolerance | None:
        """When a database frame is a right answer; None where neither the set nor its frames say."""
        return self.stated or guess_tolerance(self.frames)
