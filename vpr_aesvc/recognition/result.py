"""The answer of the :class:`~vpr_aesvc.recognition.recognizer.Recognizer`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.geometry.verification import Geometry
from vpr_aesvc.types import Match, Pose


@dataclass(frozen=True)
class Candidate:
    """A place that was proposed for a frame.

    Attributes:
        match: the place and its similarity.
        posterior: the probability that the robot is at this very place, before geometry; those of all places and ``Recognition.lost`` sum to 1.
        geometry: what the key points say; None where they were not compared.
    """

    match: Match
    posterior: float
    geometry: Geometry | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Recognition:
    """What a frame shows of the map.

    Attributes:
        accepted: whether ``best`` may be acted upon: ``false_positive_rate`` is at most the one asked for.
        why: it was accepted or not, in words.
        best: the best match, also where it is not accepted; None where no place could be found.
        candidates: best first; the first is ``best``.
        probability: that ``best`` is right.
        false_positive_rate: part of the frames from places that the map lacks that would be accepted at this level; 1 where nothing can be promised.
        inliers: key points of the frame that ``best`` explains; None where they were not compared.
        pose: of the best match, in the map frame; None where it has none.
        covariance: float64 [6, 6] of ``pose``: x, y, z in meters and rotations about the map's x, y, z axes in radians; None without a pose.
        lost: the probability that the robot is not in the map, or where places were left out, before geometry.
        message: what happened besides, in words, such as why the sequence began anew; else None.
    """

    accepted: bool
    why: str
    best: Match | None = None
    candidates: tuple[Candidate, ...] = ()
    probability: float = 0.0
    false_positive_rate: float = 1.0
    inliers: int | None = None
    pose: Pose | None = None
    covariance: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    lost: float = 1.0
    message: str | None = None
