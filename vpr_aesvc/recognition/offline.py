"""A whole run at once: each frame is recognized by the frames after it as well as by those before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.sequence.forward_backward import smooth

if TYPE_CHECKING:
    from vpr_aesvc.recognition.recognizer import Recognizer
    from vpr_aesvc.recognition.sequence.motion_model import Odometry
    from vpr_aesvc.types import Frame


def recognize_run(
    recognizer: Recognizer,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32] | None = None,
    odometry: Sequence[Odometry | None] | None = None,
) -> list[Recognition]:
    """Where each frame of a run was taken. As :meth:`Recognizer.recognize`, with the forward-backward algorithm in place of the filter;
    ``lost`` and the candidates' posterior are those of the whole run. What the recognizer follows online is not changed.

    Args:
        recognizer: of the map, with a sequence in its settings, which say about geometry, size and what is left out as well.
        frames: of one run, in order, with images or paths. In memory it takes 24 bytes a frame and place of the map.
        descriptors: float32 [q, d_max], unit norm, where they are known.
        odometry: q entries, each of the robot since the frame before.

    Raises:
        VprError: no sequence is wanted, lengths do not agree, an image cannot be read, a number is not finite, or the map is damaged.
    """
    for what, given in (("descriptors", descriptors), ("odometry", odometry)):
        if given is not None and len(given) != len(frames):
            raise VprError(f"expected {what} for {len(frames)} frames, found {len(given)}")
    if not recognizer.settings.sequence:
        raise VprError("a run is recognized by its sequence, which these settings leave out")
    recognizer.prepare()
    known, settings = recognizer.snapshot, recognizer.settings
    similarities = np.empty((len(frames), len(known)), np.float32)
    for at, frame in enumerate(frames):
        descriptor = (
            recognizer.describer.describe(recognizer.image_of(frame)) if descriptors is None else descriptors[at]
        )
        similarities[at] = known.similarities(descriptor, settings.where(frame))
    if not len(known):
        return [Recognition(False, "the map is empty") for _ in frames]
    follower = recognizer.filter
    stamps = [frame.stamp for frame in frames]
    found = smooth(similarities, known.track, follower.settings, follower.likelihood, stamps, odometry)
    return [
        recognizer.judge(recognizer.image_of(frame) if settings.geometry else None, row, belief)
        for frame, row, belief in zip(frames, similarities, found.beliefs, strict=True)
    ]
