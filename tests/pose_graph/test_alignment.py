"""The transform between two frames, from pairs of positions or of poses of which some are wrong."""

import math

import numpy as np
import pytest

from vpr_aesvc import Pose, VprError
from vpr_aesvc.pose_graph.alignment import Transform, find_alignment, tolerance_of
from vpr_aesvc.transforms import distance, heading, pose_from_euler, pose_of_rotation, relative_pose, rotation_matrix

YAW, SHIFT = math.radians(35), (12.0, -7.0, 1.0)
FLAT = Transform(pose_from_euler(*SHIFT, 0, 0, YAW))
TILTED = Transform(pose_from_euler(*SHIFT, 0.3, -0.2, YAW))


def way(count=40, seed=0, rise=0.02):
    """float64 [count, 3]: an L of 2 m steps, on a slope."""
    half = count // 2
    x = np.r_[np.arange(half), np.full(count - half, half)] * 2.0
    y = np.r_[np.zeros(half), np.arange(count - half) * 2.0]
    return np.c_[x, y, rise * x] + np.random.default_rng(seed).normal(0, 0.2, (count, 3))


def posed(transform, positions, seed=0, meters=0.03, radians=0.004):
    """Target positions and turns of pairs whose poses were measured with noise."""
    rng = np.random.default_rng(seed)
    noisy = [pose_of_rotation(rotation_matrix(pose_from_euler(0, 0, 0, *rng.normal(0, radians, 3)))) for _ in positions]
    turns = np.array([rotation_matrix(one) @ rotation_matrix(transform.pose) for one in noisy])
    return transform.positions(positions) + rng.normal(0, meters, positions.shape), turns


@pytest.mark.parametrize("wrong", [0, 8, 15])
def test_a_shift_is_found_among_wrong_matches(wrong):
    source = way()
    target = FLAT.positions(source)
    target[:wrong] = np.random.default_rng(1).uniform(-80, 80, (wrong, 3))
    found = find_alignment(source, target, 1.0)
    assert found.contradicts and 40 - wrong <= found.inliers <= 40 - wrong + 2
    pose = found.transform.pose
    assert heading(pose) == pytest.approx(YAW, abs=0.02)
    assert pose.as_tuple()[:3] == pytest.approx(SHIFT, abs=0.6)
    assert np.abs(found.transform.positions(source)[wrong:] - target[wrong:]).max() < 1.0


@pytest.mark.parametrize("scale", [0.1, 3.7])
def test_another_scale_needs_sim3(scale):
    source = way(rise=0.3)
    target = Transform(TILTED.pose, scale).positions(source)
    for kind in ("se2", "se3"):
        with pytest.raises(VprError, match="do not agree on one transform"):
            find_alignment(source, target, 0.3, kind)
    found = find_alignment(source, target, 0.3, "sim3")
    assert found.transform.scale == pytest.approx(scale, rel=0.02) and found.inliers == 40


def test_a_tilt_needs_se3():
    source = way()
    target = TILTED.positions(source)
    with pytest.raises(VprError, match="do not agree"):
        find_alignment(source, target, 0.2, "se2")
    found = find_alignment(source, target, 0.2, "se3")
    assert np.allclose(found.transform.positions(source), target, atol=1e-6) and found.transform.scale == 1


def test_equal_origins_are_no_shift():
    found = find_alignment(way(), way(seed=1), 1.0)
    assert not found.contradicts and found.as_given >= 38
    assert abs(heading(found.transform.pose)) < 0.05 and distance(found.transform.pose, Pose(0, 0)) < 1.0


def test_what_is_not_determined_is_refused_with_the_reason():
    source, random = way(), np.random.default_rng(2)
    for wrong, why in (
        (random.uniform(-50, 50, (40, 3)), "do not agree on one transform: at most"),
        (FLAT.positions(source)[:4], "4 matches are too few"),
    ):
        with pytest.raises(VprError, match=why):
            find_alignment(source[: len(wrong)], wrong, 1.0)
    standing = np.tile([[3.0, 4.0, 0.0]], (30, 1)) + random.normal(0, 0.1, (30, 3))
    other = FLAT.positions(standing) + random.normal(0, 0.1, (30, 3))
    with pytest.raises(VprError, match="do not determine the rotation of a se2"):
        find_alignment(standing, other, 1.0)
    straight = np.c_[np.arange(30) * 2.0, np.zeros(30), np.zeros(30)]
    assert heading(find_alignment(straight, FLAT.positions(straight), 0.5).transform.pose) == pytest.approx(YAW)
    for kind in ("se3", "sim3"):
        with pytest.raises(VprError, match=f"do not determine the rotation of a {kind} transform: they lie on a line"):
            find_alignment(straight, FLAT.positions(straight), 0.5, kind)


def test_poses_determine_what_positions_on_a_line_do_not():
    straight = np.c_[np.arange(30) * 2.0, np.zeros(30), np.zeros(30)]
    truth = Transform(TILTED.pose, 2.5)
    target, turns = posed(truth, straight)
    found = find_alignment(straight, target, 0.5, "sim3", turns)
    assert found.transform.scale == pytest.approx(2.5, rel=0.01) and found.inliers == 30
    error = relative_pose(truth.pose, found.transform.pose)
    assert abs(heading(error)) < 0.01 and distance(truth.pose, found.transform.pose) < 0.2
    target, turns = posed(truth, np.tile(straight[3], (8, 1)))
    with pytest.raises(VprError, match="do not determine the scale"):
        find_alignment(np.tile(straight[3], (8, 1)), target, 0.5, "sim3", turns)


@pytest.mark.parametrize("kind", ["se2", "se3", "sim3"])
def test_the_covariance_is_that_of_repeated_alignments(kind):
    source = way(20, rise=0.2)
    truth = Transform((FLAT if kind == "se2" else TILTED).pose, 1.3 if kind == "sim3" else 1.0)
    middle, squared = source.mean(0), []
    for seed in range(100):
        target, turns = posed(truth, source, seed)
        found = find_alignment(source, target, 0.5, kind, turns)
        error = rotation_matrix(found.transform.pose) @ rotation_matrix(truth.pose).T
        turn = (error - error.T)[(2, 0, 1), (1, 2, 0)] / 2
        shift = (found.transform.positions(middle[None]) - truth.positions(middle[None]))[0]
        values = np.array([*shift, *turn, math.log(found.transform.scale / truth.scale)])
        known = np.diag(found.covariance) > 0
        squared.append(
            values[known] @ np.linalg.solve(found.covariance[np.ix_(known, known)], values[known]) / known.sum()
        )
    assert 0.75 < np.mean(squared) < 1.3


def test_a_transform_moves_poses_as_it_moves_positions():
    pose = pose_from_euler(3, -1, 0.5, 0.1, 0.2, 2.0)
    moved = Transform(TILTED.pose, 2.0).moved(pose)
    assert np.allclose(moved.as_tuple()[:3], Transform(TILTED.pose, 2.0).positions(np.array([pose.as_tuple()[:3]]))[0])
    assert np.allclose(rotation_matrix(moved), rotation_matrix(TILTED.pose) @ rotation_matrix(pose))


def test_the_tolerance_follows_the_steps():
    assert tolerance_of(way()) == pytest.approx(3, abs=0.5) and tolerance_of(np.zeros((5, 3))) == 1.0
