"""One camera's run through a map: what the robot moved by between frames is taken from their poses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vpr_aesvc.recognition.sequence.motion_model import Odometry
from vpr_aesvc.transforms import heading, relative_pose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vpr_aesvc.recognition.recognizer import Recognizer
    from vpr_aesvc.recognition.result import Recognition
    from vpr_aesvc.types import Frame, Intrinsics, Pose


class Run:
    """Frames in the order they were taken; their poses are the odometry's, in whatever fixed frame it has.

    The node, ``vpr query`` of a bag, ``vpr replay`` and ``vpr eval`` recognize through this class, and so answer alike.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self._before: Frame | None = None

    def recognize(
        self, frame: Frame, descriptor: NDArray[np.float32] | None = None, intrinsics: Intrinsics | None = None
    ) -> Recognition:
        """As :meth:`Recognizer.recognize`. Where either of two frames has no pose, or the clock jumped back between them, there is no odometry.

        Raises:
            VprError: the image cannot be read, or the map is damaged. The sequence is as it was.
        """
        moved = None
        before = self._before
        if before is not None and before.pose is not None and frame.pose is not None and not _steps_back(before, frame):
            moved = odometry_between(before.pose, frame.pose)
        found = self.recognizer.recognize(frame, moved, descriptor, intrinsics)
        self._before = replace(frame, image=None)
        return found

    def reset(self, reason: str | None = None) -> None:
        """Another run begins; ``reason`` is the message of the next recognition."""
        self._before = None
        self.recognizer.reset(reason)


def odometry_between(before: Pose, after: Pose) -> Odometry:
    """What one moved by on its own plane between two poses in one fixed frame."""
    step = relative_pose(before, after)
    return Odometry(step.x, step.y, heading(step))


def _steps_back(before: Frame, frame: Frame) -> bool:
    return before.stamp is not None and frame.stamp is not None and frame.stamp < before.stamp
