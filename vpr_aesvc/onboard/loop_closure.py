"""Loop closures: constraints between two places, for a SLAM back end."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.onboard.relocalization import AGREEMENT, DRIFT, SIGMAS, Sighting
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.transforms import IDENTITY, OPTICAL, compose, distance, pose_of_rotation, rotation_matrix
from vpr_aesvc.types import Place, Pose

UNKNOWN_METERS = 10.0
UNKNOWN_RADIANS = np.pi / 4
"""Standard deviations if the matched place has no pose."""
_SCALE_NOISE = 0.02  # standard deviation of the scale of the odometry, which pictures do not show
_RECENT = 5  # measured closures with which the next one is compared
_MEASURED_RADIANS = np.radians(5.0)  # standard deviation of a rotation from the key points of a thumbnail


@dataclass(frozen=True)
class LoopClosure:
    """A constraint between an older and a newer place.

    Attributes:
        from_place, to_place: ids of the older and the newer place.
        from_stamp: of the older place, seconds; None if it has none.
        from_camera: that mapped the older place; empty if it is not known.
        relative_pose: of the camera at ``to_place`` in the frame of the camera at ``from_place`` (x forward, y left, z up). Unless ``metric``,
            the translation is not measured and is zero; without intrinsics the rotation is the identity.
        covariance: float64 [6, 6]: x, y, z in meters, and rotations about the axes of the camera at ``from_place`` in radians.
        metric: whether the whole relative pose was measured.
    """

    from_place: int
    to_place: int
    from_stamp: float | None
    from_camera: str
    probability: float
    relative_pose: Pose
    covariance: NDArray[np.float64] = field(repr=False, compare=False)
    metric: bool = False


def loop_closure(recognition: Recognition, to_place: int) -> LoopClosure:
    """The constraint of an accepted recognition; ``to_place`` is the id of the place added for its frame."""
    assert recognition.best is not None
    older = recognition.best.place
    covariance = np.diag([UNKNOWN_METERS**2] * 3 + [UNKNOWN_RADIANS**2] * 3)
    if recognition.covariance is not None and older.pose is not None:  # if measured, with the noise of the older pose
        turn = np.kron(np.eye(2), rotation_matrix(older.pose).T)  # map axes -> axes of the older camera
        covariance = turn @ recognition.covariance @ turn.T
    pose = IDENTITY
    geometry = recognition.candidates[0].geometry if recognition.candidates else None
    if recognition.metric is not None:
        pose = recognition.metric.relative_pose
        step = _SCALE_NOISE * np.array(pose.as_tuple()[:3])
        covariance[:3, :3] += np.outer(step, step)
    elif geometry is not None and geometry.rotation is not None:
        axes = rotation_matrix(OPTICAL)  # the rotation is between optical frames
        pose = pose_of_rotation(axes @ geometry.rotation @ axes.T)
        covariance[3:, :] = covariance[:, 3:] = 0
        covariance[3:, 3:] = np.eye(3) * _MEASURED_RADIANS**2
    return LoopClosure(
        older.id,
        to_place,
        from_stamp=older.stamp,
        from_camera=older.extra.get("camera", ""),
        probability=recognition.probability,
        relative_pose=pose,
        covariance=covariance,
        metric=recognition.metric is not None,
    )


class ConsistencyCheck:
    """Whether measured closures agree with the odometry and with each other, as in pairwise consistency maximization (Mangelson et al., 2018)."""

    def __init__(self) -> None:
        self._recent: deque[tuple[str, Sighting]] = deque(maxlen=_RECENT)  # with the traverse of the older place
        self._meters: dict[int, float] = {}  # driven until each place of this drive
        self._last: Pose | None = None

    def add(self, place: int, pose: Pose | None) -> None:
        """Takes a new place of the drive; ``pose``: of its camera by odometry."""
        if pose is not None:
            driven = next(reversed(self._meters.values()), 0.0)
            self._meters[place] = driven + (0.0 if self._last is None else distance(self._last, pose))
            self._last = pose

    def accepts(self, closure: LoopClosure, older: Place, odometry: Pose | None) -> bool:
        """False if the closure contradicts the odometry since the older place, or no recent measured closure agrees with it. ``odometry``: pose of the
        camera at the newer place, which was added; without it, and for a closure that was not measured, nothing can be compared."""
        if not closure.metric or older.pose is None or odometry is None:
            return True
        turn = np.kron(np.eye(2), rotation_matrix(older.pose))
        here = Sighting(compose(older.pose, closure.relative_pose), turn @ closure.covariance @ turn.T, odometry, True)
        if older.id in self._meters:
            driven = self._meters[closure.to_place] - self._meters[older.id]
            if distance(here.base, odometry) > SIGMAS * DRIFT * driven + AGREEMENT[0]:
                return False
        before = [here.moved(one) for traverse, one in self._recent if traverse == older.traverse]
        self._recent.append((older.traverse, here))
        return any(here.agrees(one.base, one.covariance, AGREEMENT) for one in before)
