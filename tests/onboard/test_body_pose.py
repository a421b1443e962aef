"""Poses of the base from poses of the camera: exact answers, and covariances against sampled poses."""

import numpy as np
import pytest

from vpr_aesvc.onboard.body_pose import base_pose, relative_base_pose
from vpr_aesvc.recognition.pose_covariance import pose_differences
from vpr_aesvc.transforms import IDENTITY, compose, distance, inverse, pose_from_euler, relative_pose
from vpr_aesvc.types import Pose

MOUNT = pose_from_euler(0.4, -0.2, 0.6, 0.1, 0.2, 2.5)
COVARIANCE = np.diag([0.04, 0.02, 0.01, 1e-4, 2e-4, 9e-4]) + 1e-4


def disturbed(pose, rng):
    """Random poses near a pose: translation and rotation vector in the parent's axes, distributed by ``COVARIANCE``."""
    for error in rng.multivariate_normal(np.zeros(6), COVARIANCE, 20_000):
        turn = np.linalg.norm(error[3:])
        axis = np.sin(turn / 2) * error[3:] / turn
        rotated = compose(Pose(0, 0, 0, *axis, np.cos(turn / 2)), Pose(0, 0, 0, pose.qx, pose.qy, pose.qz, pose.qw))
        yield Pose(pose.x + error[0], pose.y + error[1], pose.z + error[2], *rotated.as_tuple()[3:])


def test_a_camera_that_looks_back_turns_the_base_round():
    base, _ = base_pose(Pose(10, 5), COVARIANCE, pose_from_euler(-0.5, 0, 1, 0, 0, np.pi))
    assert distance(base, Pose(9.5, 5, -1)) < 1e-9
    assert np.allclose(np.abs(base.as_tuple()[3:]), (0, 0, 1, 0), atol=1e-9)


@pytest.mark.parametrize("other", [MOUNT, pose_from_euler(-0.5, 0, 1, 0, 0, np.pi)])
def test_the_relative_pose_of_the_bases(other):
    first, second = pose_from_euler(1, 2, 0, 0, 0, 0.5), pose_from_euler(3, 1, 0, 0, 0, -1)
    cameras = relative_pose(compose(first, other), compose(second, MOUNT))
    bases, _ = relative_base_pose(cameras, COVARIANCE, (other, MOUNT))
    assert np.allclose(bases.as_tuple(), relative_pose(first, second).as_tuple())
    unmoved, _ = relative_base_pose(IDENTITY, COVARIANCE, (MOUNT, MOUNT))
    assert np.allclose(unmoved.as_tuple(), IDENTITY.as_tuple())


@pytest.mark.parametrize("what", ["base", "relative"])
def test_the_covariance_is_that_of_sampled_poses(what):
    rng = np.random.default_rng(0)
    camera = pose_from_euler(3, 1, 0.5, 0, 0.1, -2)
    if what == "base":
        expected, covariance = base_pose(camera, COVARIANCE, MOUNT)
        samples = [compose(sample, inverse(MOUNT)) for sample in disturbed(camera, rng)]
    else:
        expected, covariance = relative_base_pose(camera, COVARIANCE, (MOUNT, MOUNT))
        samples = [compose(compose(MOUNT, sample), inverse(MOUNT)) for sample in disturbed(camera, rng)]
    errors = pose_differences(np.array(expected.as_tuple()), np.array([sample.as_tuple() for sample in samples]))
    sampled = errors.T @ errors / len(errors)
    assert np.abs(sampled - covariance).max() < 0.05 * np.abs(covariance).max()
