"""The result of ``Recognizer``."""

from dataclasses import dataclass, field

from vpr_aesvc.recognition.geometry.metric_pose import MetricPose
from vpr_aesvc.recognition.geometry.verification import Geometry
from vpr_aesvc.recognition.patches.matching import PatchMatch
from vpr_aesvc.types import Floats, Match, Pose


@dataclass(frozen=True)
class Candidate:
    """A place proposed for a frame.

    Attributes:
        match: the place and its similarity.
        posterior: probability that the robot is at this place, before geometry. Those of all places and ``Recognition.lost`` sum to 1.
        geometry: the geometric verification; None if it was not done, as for a candidate that cannot be better than the best.
        patches: the comparison of patches; None if it was not done, or the place has none.
    """

    match: Match
    posterior: float
    geometry: Geometry | None = field(default=None, repr=False)
    patches: PatchMatch | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Recognition:
    """The match of a frame, and whether to use it.

    Attributes:
        accepted: ``false_positive_rate`` is at most the requested one.
        why: the reason in words.
        best: the best match, accepted or not; None if no place could be proposed.
        candidates: best first; the first is ``best``.
        probability: that ``best`` is right.
        false_positive_rate: part of the frames from outside the map that are accepted if this match is; 1 if nothing can be promised.
        inliers: matched key points of ``best`` that fit one rigid model; None if they were not compared: without geometry, or while the sequence is sure.
        pose: of the camera in the map frame: ``metric`` from the best match if there is one, else the pose of the best match; None if that
            has none.
        covariance: float64 [6, 6] of ``pose``: x, y, z in meters and rotations about the map's x, y, z axes in radians; None without pose.
        metric: the measured pose of the camera relative to the best match; None if it could not be measured.
        metric_refusal: why there is no metric pose; empty if there is one, or it was not asked for.
        posterior: probability that the sequence gives to the places near ``best``, before geometry.
        lost: probability that the robot is not in the map, or at an excluded place, before geometry.
        message: another event, such as the reason for a new sequence; else None.
    """

    accepted: bool
    why: str
    best: Match | None = None
    candidates: tuple[Candidate, ...] = ()
    probability: float = 0.0
    false_positive_rate: float = 1.0
    inliers: int | None = None
    pose: Pose | None = None
    covariance: Floats | None = field(default=None, repr=False, compare=False)
    metric: MetricPose | None = field(default=None, compare=False)
    metric_refusal: str = ""
    posterior: float = 0.0
    lost: float = 1.0
    message: str | None = None
