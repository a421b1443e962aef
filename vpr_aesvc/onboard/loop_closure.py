"""Loop closures: constraints between two places, for a SLAM back end."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.transforms import IDENTITY, OPTICAL, pose_of_rotation, rotation_matrix
from vpr_aesvc.types import Pose

UNKNOWN_METERS = 10.0
UNKNOWN_RADIANS = np.pi / 4
"""Standard deviations if the matched place has no pose."""
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
    if recognition.covariance is not None and older.pose is not None:
        turn = np.kron(np.eye(2), rotation_matrix(older.pose).T)  # map axes -> axes of the older camera
        covariance = turn @ recognition.covariance @ turn.T
    pose = IDENTITY
    geometry = recognition.candidates[0].geometry if recognition.candidates else None
    if recognition.metric is not None:
        pose, covariance = recognition.metric.relative_pose, recognition.metric.covariance
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
