"""Recognizes a run: frame by frame with the odometry of their poses, or as a whole."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.sequence.forward_backward import smooth
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
        """Like ``Recognizer.recognize``. There is no odometry if this frame or the previous one has no pose, or if the clock jumped back. At another
        ``sequence`` another run starts.

        Raises:
            VprError: the image cannot be read, or the map is damaged. The sequence is unchanged.
        """
        if self._previous is not None and frame.sequence != self._previous.sequence:
            self.reset()
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


def recognize_run(
    recognizer: Recognizer,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32] | None = None,
    odometry: Sequence[Odometry | None] | None = None,
) -> list[Recognition]:
    """Like ``Recognizer.recognize`` for each frame, with the forward-backward algorithm in place of the filter. ``lost`` and the
    posterior of the candidates are those given the whole run. Does not change the recognizer's filter.

    Args:
        recognizer: with ``sequence`` in its settings. Its other settings apply as well.
        frames: of one run, in order, with images or paths. Needs 24 bytes of memory per frame and place of the map.
        descriptors: float32 [q, d_max], unit norm, if known.
        odometry: q entries, each since the previous frame.

    Raises:
        VprError: the settings exclude the sequence, lengths do not agree, an image cannot be read, a number is not finite, or the map is
            damaged.
    """
    for what, given in (("descriptors", descriptors), ("odometry", odometry)):
        if given is not None and len(given) != len(frames):
            raise VprError(f"expected {what} for {len(frames)} frames, found {len(given)}")
    settings, snapshot = recognizer.settings, recognizer.snapshot
    if not settings.sequence:
        raise VprError("smoothing a run needs the sequence; set sequence=True in the settings of the recognizer")
    recognizer.prepare()
    similarities = np.empty((len(frames), len(snapshot)), np.float32)
    for at, frame in enumerate(frames):
        descriptor = recognizer.describer.describe(image_of(frame)) if descriptors is None else descriptors[at]
        similarities[at] = snapshot.all_similarities(descriptor, settings.where(frame))
    if not len(snapshot):
        return [Recognition(False, "the map is empty") for _ in frames]
    beliefs = smooth(
        similarities,
        snapshot.track,
        settings=recognizer.filter.settings,
        likelihood=recognizer.filter.likelihood,
        stamps=[frame.stamp for frame in frames],
        odometry=odometry,
    )
    return [
        recognizer.decide_match(image_of(frame) if settings.geometry else None, row, belief)
        for frame, row, belief in zip(frames, similarities, beliefs, strict=True)
    ]
