"""A list of frames with what they say about who is near whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame

FRAME_TOLERANCE = 3.0
"""Frames of one sequence this far apart in ``index``, or nearer, show the same place."""
METRE_TOLERANCE = 25.0
"""Frames this near in metres show the same place: the field's usual tolerance (NetVLAD, Arandjelovic et al., 2016)."""


@dataclass(frozen=True)
class FrameSet:
    """Frames of one input, in order. ``root`` is the folder or CSV they came from; ``kind`` names the reader."""

    root: Path
    kind: str
    frames: tuple[Frame, ...]

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


def positives(
    queries: tuple[Frame, ...], database: tuple[Frame, ...], metres: float = METRE_TOLERANCE
) -> NDArray[np.bool_] | None:
    """Which database frames show the place of which query: bool [q, n], or None where the frames do not say.

    Poses decide where every frame has one (within ``metres`` on the plane), else ``sequence`` and ``index``
    (same sequence, at most ``FRAME_TOLERANCE`` apart).
    """
    every = (*queries, *database)
    if all(frame.pose is not None for frame in every):
        xy = [
            np.array([[f.pose.x, f.pose.y] for f in part if f.pose], np.float64).reshape(-1, 2)
            for part in (queries, database)
        ]
        return np.asarray(np.linalg.norm(xy[0][:, None] - xy[1][None], axis=2) <= metres)
    if all(frame.sequence is not None and frame.index is not None for frame in every):
        names = [np.array([f.sequence for f in part], dtype=object) for part in (queries, database)]
        index = [np.array([f.index for f in part], np.float64) for part in (queries, database)]
        near = np.abs(index[0][:, None] - index[1][None]) <= FRAME_TOLERANCE
        return np.asarray((names[0][:, None] == names[1][None]) & near)
    return None
