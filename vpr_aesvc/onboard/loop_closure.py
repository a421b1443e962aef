"""A loop closure: what a recognition says of two places, in the form that a SLAM back end takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.transforms import IDENTITY, OPTICAL, rotation_matrix
from vpr_aesvc.types import Pose

if TYPE_CHECKING:
    from vpr_aesvc.recognition.result import Recognition

UNKNOWN_METERS = 10.0
UNKNOWN_RADIANS = np.pi / 4
"""Standard deviations where the map has no poses to say how far apart its places are."""
_MEASURED_RADIANS = np.radians(5.0)  # of a rotation from the key points of a small picture


@dataclass(frozen=True)
class LoopClosure:
    """Attributes:
    first, second: ids of the older and the newer place.
    stamp: of the older one, seconds; None where it has none.
    pose: of the camera at the newer place in that at the older (x where it looks, y left, z up). The translation is not
        observed and stands at zero; so does the rotation where the intrinsics are not known.
    covariance: float64 [6, 6], x, y, z in meters and rotations about the older camera's axes in radians.
    """

    first: int
    second: int
    stamp: float | None
    probability: float
    pose: Pose
    covariance: NDArray[np.float64] = field(repr=False, compare=False)


def loop_closure(found: Recognition, place: int) -> LoopClosure:
    """Of an accepted recognition and the place that was made of its frame."""
    assert found.best is not None
    older = found.best.place
    spread = np.diag([UNKNOWN_METERS**2] * 3 + [UNKNOWN_RADIANS**2] * 3)
    if found.covariance is not None and older.pose is not None:
        turn = np.kron(np.eye(2), rotation_matrix(older.pose).T)  # from the map's axes to the older camera's
        spread = turn @ found.covariance @ turn.T
    pose = IDENTITY
    geometry = found.candidates[0].geometry if found.candidates else None
    if geometry is not None and geometry.rotation is not None:
        pose = _turned(geometry.rotation)
        spread[3:, :] = spread[:, 3:] = 0
        spread[3:, 3:] = np.eye(3) * _MEASURED_RADIANS**2
    return LoopClosure(older.id, place, older.stamp, found.probability, pose, spread)


def _turned(rotation: NDArray[np.float64]) -> Pose:
    """A rotation between optical frames [3, 3] as a pose between cameras with a body's axes."""
    axes = rotation_matrix(OPTICAL)
    vector = cv2.Rodrigues(axes @ rotation @ axes.T)[0].ravel()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle else vector
    x, y, z = (np.sin(angle / 2) * axis).tolist()
    return Pose(0.0, 0.0, 0.0, x, y, z, float(np.cos(angle / 2)))
