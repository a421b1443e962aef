"""The metric pose of a camera relative to a place of the map."""

from dataclasses import dataclass, field

from vpr_aesvc.types import Floats, Pose


@dataclass(frozen=True, eq=False)
class MetricPose:
    """The pose of the query's camera, measured against points that were triangulated from the matched place and its neighbors.

    Attributes:
        relative_pose: of the query's camera in the frame of the place's camera; both have body axes (x forward, y left, z up), meters.
        covariance: float64 [6, 6] of ``relative_pose``: x, y, z in meters, and rotations in radians, along and about the axes of the place's
            camera. It holds the noise of the pixels and of the map's poses.
        inliers: points that fit. points: points of the place that were matched.
    """

    relative_pose: Pose
    covariance: Floats = field(repr=False)
    inliers: int
    points: int
