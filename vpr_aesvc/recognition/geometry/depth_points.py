"""The points of a place whose picture was stored with its depth: no neighbor is needed, so they are there where the robot only turned, too."""

import numpy as np

from vpr_aesvc.recognition.geometry.triangulation import MAX_POINTS, PlacePoints, View
from vpr_aesvc.types import Floats

_DISPARITY_NOISE = (
    0.003  # 1/m, of the inverse depth; structured light has half of it (Khoshelham and Elberink, Sensors 2012)
)
_RELATIVE_NOISE = 0.01  # of a depth, of each point alone (time of flight, rounding), and of all together (calibration)


def points_of_depth(place: View, meters: Floats) -> PlacePoints:
    """The strongest key points of known depth. ``meters``: float64 [k], along the optical axis, of the key points; NaN where unknown."""
    rows = np.flatnonzero(np.isfinite(meters) & np.isfinite(place.bearings).all(1))[:MAX_POINTS]
    inverse = 1 / meters[rows]
    noise = np.zeros((len(rows), 3, 3))
    noise[:, [0, 1], [0, 1]] = place.pixel**2
    noise[:, 2, 2] = _DISPARITY_NOISE**2 + (_RELATIVE_NOISE * inverse) ** 2
    scale = np.zeros((len(rows), 3, 1), np.float32)
    scale[:, 2, 0] = _RELATIVE_NOISE * inverse
    reach = float(np.median(meters[rows])) if len(rows) else 0.0
    points = np.column_stack([place.bearings[rows], inverse])
    return PlacePoints(place.keypoints, rows, points, noise, scale, sigma=place.pixel, reach=reach)
