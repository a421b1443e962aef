"""Transforms against scipy's rotations."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from vpr_aesvc import transforms as t
from vpr_aesvc.types import Pose


def random_poses(count, seed=0):
    draw = np.random.default_rng(seed)
    turns = Rotation.random(count, random_state=seed).as_quat()
    return [Pose(*place, *turn) for place, turn in zip(draw.normal(0, 5, (count, 3)), turns, strict=True)]


def parts(pose):
    values = pose.as_tuple()
    return np.array(values[:3]), Rotation.from_quat(values[3:])


def same(one, other, within=1e-9):
    return t.distance(one, other) < within and t.angle(one, other) < max(within, 1e-7)


PAIRS = list(zip(random_poses(50), random_poses(50, 1), strict=True))


def test_compose_and_inverse():
    for first, second in PAIRS:
        (p, r), (q, s) = parts(first), parts(second)
        got = t.compose(first, second)
        place, turn = parts(got)
        assert np.allclose(place, p + r.apply(q)) and (turn * (r * s).inv()).magnitude() < 1e-9
        assert same(t.compose(first, t.inverse(first)), t.IDENTITY)
        assert same(t.compose(t.inverse(first), first), t.IDENTITY)
        assert same(t.compose(first, t.relative_pose(first, second)), second)


def test_rotate_and_matrix():
    for first, second in PAIRS:
        vector = parts(second)[0]
        turn = parts(first)[1]
        assert np.allclose(t.rotate(first, tuple(vector)), turn.apply(vector))
        assert np.allclose(t.rotation_matrix(first), turn.as_matrix())


def test_interpolate():
    for first, second in PAIRS:
        slerp = Slerp([0, 1], Rotation.concatenate([parts(first)[1], parts(second)[1]]))
        for part in (0.0, 0.25, 0.9, 1.0):
            place, turn = parts(t.interpolate(first, second, part))
            assert np.allclose(place, (1 - part) * parts(first)[0] + part * parts(second)[0])
            assert (turn * slerp(part).inv()).magnitude() < 1e-7


def test_interpolate_takes_the_shorter_arc():
    """A quaternion and its negative are the same rotation."""
    one = Pose.planar(0, 0, 0.1)
    other = Pose.planar(0, 0, 0.3)
    flipped = Pose(0, 0, 0, -other.qx, -other.qy, -other.qz, -other.qw)
    assert t.heading(t.interpolate(one, flipped, 0.5)) == pytest.approx(0.2)
    assert same(t.interpolate(one, one, 0.3), one)


def test_distance_angle_heading():
    for first, second in PAIRS:
        (p, r), (q, s) = parts(first), parts(second)
        assert t.distance(first, second) == pytest.approx(np.linalg.norm(p - q))
        assert t.angle(first, second) == pytest.approx((r * s.inv()).magnitude(), abs=1e-6)
        ahead = r.apply([1, 0, 0])
        assert t.heading(first) == pytest.approx(math.atan2(ahead[1], ahead[0]))
    assert t.heading(Pose.planar(3, 4, 2.5)) == pytest.approx(2.5)


def test_optical():
    """Optical z is the body's x, optical x is its -y, optical y is its -z."""
    assert np.allclose(t.rotate(t.OPTICAL, (0, 0, 1)), (1, 0, 0))
    assert np.allclose(t.rotate(t.OPTICAL, (1, 0, 0)), (0, -1, 0))
    assert np.allclose(t.rotate(t.OPTICAL, (0, 1, 0)), (0, 0, -1))


def test_a_long_chain_keeps_unit_length():
    step, pose = random_poses(1)[0], t.IDENTITY
    for _ in range(10_000):
        pose = t.compose(pose, Pose(0, 0, 0, step.qx, step.qy, step.qz, step.qw))
    assert math.hypot(pose.qx, pose.qy, pose.qz, pose.qw) == pytest.approx(1, abs=1e-12)


def test_normalized_pose():
    pose = t.normalized_pose(1, 2, 3, 0, 0, 0, 1.05)
    assert pose == Pose(1, 2, 3)
    for bad in ((0, 0, 0, 0), (0, 0, 0, math.nan), (2, 0, 0, 0), (0, 0, math.inf, 0)):
        with pytest.raises(ValueError, match="unit quaternion"):
            t.normalized_pose(0, 0, 0, *bad)
    with pytest.raises(ValueError, match="finite"):
        t.normalized_pose(math.nan, 0, 0, 0, 0, 0, 1)
