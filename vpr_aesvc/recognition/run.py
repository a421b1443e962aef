"""Recognizes a run frame by frame, with the odometry of their poses."""

from dataclasses import replace

from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.transforms import heading, relative_pose
from vpr_aesvc.types import Descriptor, Frame, Intrinsics, Odometry, Pose


class RunFollower:
    """Recognizes frames in the order they were taken. Their poses are odometry poses, in any fixed frame.

    The ROS node, ``vpr query`` of a bag, ``vpr replay`` and ``vpr eval`` all use this class, so they give the same answers.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self._previous: Frame | None = None

    def recognize(
        self, frame: Frame, descriptor: Descriptor | None = None, intrinsics: Intrinsics | None = None
    ) -> Recognition:
        """Like ``Recognizer.recognize``. There is no odometry if this frame or the previous one has no pose, or if the clock jumped back.

        Raises:
            VprError: the image cannot be read, or the map is damaged. The sequence is unchanged.
        """
        odometry = None if self._previous is None else motion_between(self._previous, frame)
        result = self.recognizer.recognize(frame, odometry, descriptor, intrinsics)
        self._previous = replace(frame, image=None, decode=None)
        return result

    def reset(self, reason: str | None = None) -> None:
        """Starts another run; ``reason`` is the message of the next recognition."""
        self._previous = None
        self.recognizer.reset(reason)


def motion_between(previous: Frame, frame: Frame) -> Odometry | None:
    """The motion from one frame to the next by their poses; None if one has no pose, or the clock jumped back."""
    if previous.pose is None or frame.pose is None:
        return None
    if previous.stamp is not None and frame.stamp is not None and frame.stamp < previous.stamp:
        return None
    return odometry_between(previous.pose, frame.pose)


def odometry_between(first: Pose, second: Pose) -> Odometry:
    """Motion from the first pose to the second, both in the same fixed frame, in the plane of the first."""
    step = relative_pose(first, second)
    return Odometry(step.x, step.y, heading(step))
