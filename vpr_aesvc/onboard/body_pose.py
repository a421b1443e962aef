"""From poses of the camera to poses of the robot's base, with their covariances.

A covariance is float64 [6, 6]: x, y, z in meters, then rotations about the axes of the parent frame in radians.
"""

import numpy as np

from vpr_aesvc.transforms import compose, cross_matrices, inverse, rotate, rotation_matrix
from vpr_aesvc.types import Floats, Pose


def base_pose(camera: Pose, covariance: Floats, mount: Pose) -> tuple[Pose, Floats]:
    """Pose and covariance of the base in the frame in which those of the camera are given.

    Args:
        mount: pose of the camera (x forward, y left, z up) in the base frame.
    """
    back = inverse(mount)
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -cross_matrices(
        np.array(rotate(camera, (back.x, back.y, back.z)))
    )  # a rotation error of the camera moves the base
    return compose(camera, back), jacobian @ covariance @ jacobian.T


def relative_base_pose(relative: Pose, covariance: Floats, mounts: tuple[Pose, Pose]) -> tuple[Pose, Floats]:
    """Pose of the second base in the frame of the first, from that of the second camera in the frame of the first camera.

    Args:
        mounts: of the first and the second camera, which may be two cameras of the robot.
    """
    camera = compose(mounts[0], relative)
    base = compose(camera, inverse(mounts[1]))
    axes = np.kron(np.eye(2), rotation_matrix(mounts[0]))
    # A rotation error turns the second camera about itself, and its base with it: lever arm from the second camera to its base.
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -cross_matrices(np.array([base.x - camera.x, base.y - camera.y, base.z - camera.z]))
    jacobian = jacobian @ axes
    return base, jacobian @ covariance @ jacobian.T
