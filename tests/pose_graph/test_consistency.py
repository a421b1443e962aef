"""Closures that contradict each other, among closures with noise of a known covariance and odometry that drifts."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from tests.pose_graph.drives import drifted
from vpr_aesvc import Pose
from vpr_aesvc.onboard.loop_closure import LoopClosure
from vpr_aesvc.pose_graph.consistency import body_covariance, find_conflicts
from vpr_aesvc.pose_graph.graph_file import write_g2o
from vpr_aesvc.pose_graph.odometry import DrivenPlaces, matrix_of
from vpr_aesvc.transforms import compose, distance, pose_from_euler, pose_of_rotation, relative_pose, rotation_matrix
from vpr_aesvc.types import Place

SIGMAS = np.array([0.05, 0.03, 0.02, 0.004, 0.003, 0.005])
LAP = 80


def circle(count=2 * LAP):
    """Two laps of a circle of 160 m."""
    angles = 2 * np.pi * np.arange(count) / LAP
    return [
        pose_from_euler(25 * math.cos(a), 25 * math.sin(a), 0.1 * math.sin(3 * a), 0, 0, a + np.pi / 2) for a in angles
    ]


def driven(poses, traverses=None):
    traverses = np.zeros(len(poses), np.int64) if traverses is None else traverses
    places = [Place(at + 1, str(at), "t", stamp=float(at), pose=pose) for at, pose in enumerate(poses)]
    steps = np.array([0.0, *(distance(one, other) for one, other in itertools.pairwise(poses))])
    ids = np.arange(1, len(poses) + 1)
    return DrivenPlaces(places, ids, traverses, ids - 1.0, np.stack([matrix_of(p) for p in poses]), np.cumsum(steps))


def closure(truth, older, newer, rng, error=None):
    """As measured: with noise along and about the axes of the older camera, or with a gross error."""
    exact = relative_pose(truth[older], truth[newer])
    noise = SIGMAS * rng.normal(size=6)
    turn = rotation_matrix(pose_from_euler(0, 0, 0, *noise[3:])) @ rotation_matrix(exact)
    pose = pose_of_rotation(turn, *(np.array(exact.as_tuple()[:3]) + noise[:3]).tolist())
    pose = pose if error is None else compose(error, pose)
    return LoopClosure(older + 1, newer + 1, float(older), "", 0.9, pose, np.diag(SIGMAS**2), metric=True)


def test_a_closure_that_contradicts_the_odometry_is_marked_also_where_it_is_alone():
    truth, rng = circle(), np.random.default_rng(0)
    far = closure(truth, 10, 25, rng, relative_pose(truth[25], truth[10]))  # 15 places on: it looks alike
    same = driven(drifted(truth))
    assert find_conflicts([far], same, 0.02) == ["contradicts the odometry between its places"]
    assert find_conflicts([closure(truth, 10, 90, rng)], same, 0.02) == [""]


@pytest.mark.parametrize("seed", range(3))
def test_wrong_closures_are_marked_and_right_ones_are_kept(seed):
    truth, rng = circle(), np.random.default_rng(seed)
    closures = [closure(truth, at, at + LAP + 1, rng) for at in range(0, LAP - 2, 2)]
    wrong = [closure(truth, int(at), int(at) + LAP, rng, Pose(*rng.normal(0, 3, 3))) for at in rng.choice(LAP, 12)]
    elsewhere = [
        closure(truth, 10, 115, rng, relative_pose(truth[10], truth[30])) for _ in range(3)
    ]  # alike: they agree
    conflicts = find_conflicts([*closures, *wrong, *elsewhere], driven(drifted(truth, 0.02, seed)), 0.02)
    assert sum(not one for one in conflicts[: len(closures)]) >= len(closures) - 1
    assert all("contradicts" in one for one in conflicts[len(closures) :])


def test_closures_between_other_traverses_are_judged_apart():
    truth, rng = circle(), np.random.default_rng(0)
    traverses = np.repeat([0, 1, 2, 3], LAP // 2)
    right = [closure(truth, at, at + LAP, rng) for at in range(0, 20, 2)]  # of traverses 0 and 2
    alone = closure(truth, 60, 60 + LAP, rng, Pose(4, 0))  # the only one of 1 and 3: nothing contradicts it
    assert find_conflicts([*right, alone], driven(truth, traverses), 0.02) == [""] * 11
    two = [alone, closure(truth, 65, 65 + LAP, rng)]
    assert all("contradicts 1 of the 1 others" in one for one in find_conflicts(two, driven(truth, traverses), 0.02))
    assert find_conflicts([], driven(truth), 0.02) == []


def test_a_drift_that_is_larger_than_stated_marks_closures_that_are_far_apart():
    truth, rng = circle(), np.random.default_rng(1)
    closures = [closure(truth, at, at + LAP, rng) for at in range(0, LAP, 4)]
    poses = drifted(truth, 0.15, 3)
    two = np.repeat([0, 1], LAP)
    assert sum(map(bool, find_conflicts(closures, driven(poses, two), 0.001))) > 5
    assert not any(find_conflicts(closures, driven(poses, two), 0.3))


def test_the_covariance_of_an_edge_is_that_of_errors_that_follow_it():
    truth, rng = circle(), np.random.default_rng(0)
    errors = []
    exact = relative_pose(truth[0], truth[30])
    for _ in range(4000):
        one = closure(truth, 0, 30, rng)
        after = relative_pose(exact, one.relative_pose)
        errors.append([after.x, after.y, after.z, 2 * after.qx, 2 * after.qy, 2 * after.qz])
    sampled = np.cov(np.array(errors).T)
    expected = body_covariance(one)
    assert np.abs(sampled - expected).max() < 0.06 * expected.max()


def test_the_file_has_a_vertex_for_each_place_and_comments_for_conflicts(tmp_path: Path):
    truth, rng = circle(), np.random.default_rng(0)
    closures = [closure(truth, at, at + LAP, rng) for at in (0, 9)]
    write_g2o(tmp_path / "graph.g2o", driven(truth), closures, ["", "contradicts 1 of the 1 others"], 0.02)
    lines = [line.split() for line in (tmp_path / "graph.g2o").read_text().splitlines()]
    assert [words[0] for words in lines] == ["VERTEX_SE3:QUAT"] * 160 + ["EDGE_SE3:QUAT"] * 160 + ["#"]
    assert [float(word) for word in lines[5][1:]] == pytest.approx([6, *truth[5].as_tuple()])
    step = relative_pose(truth[5], truth[6])
    assert [float(word) for word in lines[165][1:10]] == pytest.approx([6, 7, *step.as_tuple()])
    edge = [float(word) for word in lines[319][1:]]
    assert edge[:2] == [1, 81] and len(edge) == 2 + 7 + 21
    information = np.zeros((6, 6))
    information[np.triu_indices(6)] = edge[9:]
    full = information + np.triu(information, 1).T
    assert np.allclose(np.linalg.inv(full), body_covariance(closures[0]), rtol=1e-5, atol=1e-9)
