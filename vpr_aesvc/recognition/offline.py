"""Recognizes a whole run at once: each frame uses the frames before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.sequence.forward_backward import smooth

if TYPE_CHECKING:
    from vpr_aesvc.recognition.recognizer import Recognizer
    from vpr_aesvc.types import Frame, Odometry


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
        similarities[at] = snapshot.similarities(descriptor, settings.where(frame))
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
