"""Metric poses in scenes of points with known poses: what is measured, and when nothing is."""

import cv2
import numpy as np
import pytest

from vpr_aesvc.recognition.geometry.local_features import Keypoints
from vpr_aesvc.recognition.geometry.metric_pose import MetricPose, pose_in_map, solve_metric_pose
from vpr_aesvc.recognition.geometry.triangulation import View, triangulate
from vpr_aesvc.recognition.geometry.verification import match_keypoints
from vpr_aesvc.transforms import OPTICAL, compose, inverse, pose_from_euler, relative_pose, rotation_matrix
from vpr_aesvc.types import Intrinsics, Pose

CAMERA, SIZE = Intrinsics(270.0, 270.0, 200.0, 80.0), (400, 160)
ROAD = [
    Pose.planar(2.0 * at, 0.1 * (at % 2), 0.02 * at) for at in range(5)
]  # five places, 2 m apart; the third is asked
PLACE = 2


def scene(seed=0, count=500, plane=None):
    """Points along a road that leads east, float64 [count, 3], meters; of a facade ``plane`` meters ahead of the start."""
    random = np.random.default_rng(seed)
    x = random.uniform(8, 60, count) if plane is None else np.full(count, plane)
    return np.column_stack([x, random.uniform(-12, 12, count), random.uniform(-1.5, 6, count)])


def picture(points, pose, noise=0.4, seed=1, camera=CAMERA):
    """Key points of a camera (body axes): those of the points that it sees."""
    random = np.random.default_rng(seed)
    eye = compose(pose, OPTICAL)
    seen = (points - [eye.x, eye.y, eye.z]) @ rotation_matrix(eye)
    xy = seen[:, :2] / seen[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    inside = (seen[:, 2] > 1) & (xy > 0).all(1) & (xy < SIZE).all(1)
    descriptors = np.random.default_rng(7).integers(0, 256, (len(points), 128)).astype(np.uint8)
    xy = xy[inside] + random.normal(0, noise, (inside.sum(), 2))
    return Keypoints(xy.astype(np.float32), descriptors[inside], *SIZE, "sift")


def view(keypoints, pose, place, camera=CAMERA):
    seen_from = relative_pose(compose(place, OPTICAL), compose(pose, OPTICAL))
    position = np.array([seen_from.x, seen_from.y, seen_from.z])
    bearings = camera.bearings(keypoints.xy.astype(np.float64), 1.0)
    return View(keypoints, bearings, 1 / camera.fx, rotation_matrix(seen_from), position)


def place_points(points, said=None, true=None, camera=CAMERA):
    """The points of the third place; its pictures were taken at ``true``, the map says ``said``."""
    true = true or ROAD
    said = said or true
    views = [view(picture(points, pose, seed=at), said[at], said[PLACE], camera) for at, pose in enumerate(true)]
    return triangulate(views[PLACE], [one for at, one in enumerate(views) if at != PLACE])


def solved(points, place, query, camera=CAMERA, noise=0.4, seed=99):
    keypoints = picture(points, query, noise, seed)
    return solve_metric_pose(keypoints, camera, match_keypoints(keypoints, place.keypoints), place)


def error_of(pose, true):
    """float64 [6] in map axes: meters, radians."""
    turn = cv2.Rodrigues(rotation_matrix(true) @ rotation_matrix(pose).T)[0].ravel()
    return np.concatenate([np.subtract(true.as_tuple()[:3], pose.as_tuple()[:3]), turn])


def test_the_pose_and_its_covariance():
    squared, errors = [], []
    for seed in range(30):
        points = scene(seed)
        random = np.random.default_rng(seed)
        offset = pose_from_euler(*random.uniform((-0.9, -1.5, -0.2), (0.9, 1.5, 0.2)), *random.uniform(-0.08, 0.08, 3))
        query = compose(ROAD[PLACE], offset)
        found = solved(points, place_points(points), query, seed=seed + 100)
        assert isinstance(found, MetricPose) and found.inliers > 60
        pose, covariance = pose_in_map(ROAD[PLACE], found)
        error = error_of(pose, query)
        errors.append([np.linalg.norm(error[:3]), np.degrees(np.linalg.norm(error[3:]))])
        squared.append(error @ np.linalg.solve(covariance, error))
    assert np.median(errors, axis=0)[0] < 0.03 and np.median(errors, axis=0)[1] < 0.1
    assert np.max(errors, axis=0)[0] < 0.2
    assert np.mean(np.array(squared) < 14.45) >= 0.85 and np.mean(squared) > 1.0


def test_points_at_infinity_and_noise_of_the_map():
    points = scene(3)
    quiet, said = place_points(points), list(ROAD)
    random = np.random.default_rng(0)
    for at in (0, 1, 3, 4):
        said[at] = compose(ROAD[at], pose_from_euler(*random.normal(0, 0.04, 3), *random.normal(0, 0.006, 3)))
    noisy = place_points(points, said, ROAD)
    assert not quiet.refusal and not noisy.refusal
    assert (noisy.pose_noise > 1.5 * quiet.pose_noise).all() and (noisy.place_noise(1.0) > quiet.place_noise(1.0)).all()


def test_the_scale_is_the_map_s():
    points = scene(1)
    half = [Pose(p.x / 2, p.y / 2, p.z / 2, *p.as_tuple()[3:]) for p in ROAD]
    query = compose(ROAD[PLACE], Pose(0.8, 0.6, 0.0))
    found, small = (solved(points, place_points(points, said, ROAD), query) for said in (ROAD, half))
    ratio = np.array(found.relative_pose.as_tuple()[:3]) / small.relative_pose.as_tuple()[:3]
    assert np.allclose(ratio[:2], 2.0, atol=0.02)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([Pose.planar(2.0 * at, 0.0, 0.02 * at + (0.1 if at != PLACE else 0.0)) for at in range(5)], "contradict"),
        ([Pose.planar(0.0, 2.0 * at) for at in range(5)], "contradict"),  # mounted another way than the map says
        ([ROAD[0], ROAD[1], ROAD[2], Pose.planar(9.0, 0.1, 0.06), Pose.planar(16.0, 0.0, 0.08)], "contradict"),
    ],
    ids=["turns", "directions", "scale jumps"],
)
def test_poses_that_contradict_the_pictures(said, words):
    found = place_points(scene(2), said, ROAD)
    assert words in found.refusal and not len(found)


def test_intrinsics_that_are_wrong():
    """Where the drive turns they contradict; on a straight drive nothing shows, and the error is a part of the offset."""
    wrong = Intrinsics(CAMERA.fx * 1.2, CAMERA.fy * 1.2, CAMERA.cx, CAMERA.cy)
    bend = [Pose.planar(2.0 * at, 0.25 * at * at, 0.25 * at) for at in range(5)]
    assert "contradict" in place_points(scene(5), bend, bend, wrong).refusal


@pytest.mark.parametrize("turns", [0.0, 0.06])
def test_no_parallax(turns):
    standing = [Pose.planar(1e-4 * at, 0.0, turns * at) for at in range(5)]
    assert "no parallax" in place_points(scene(4), standing, standing).refusal


def test_a_facade():
    """The points lie on one plane: either it is right, or it is refused."""
    points = scene(6, plane=40.0)
    place = place_points(points)
    for at in range(10):
        query = compose(ROAD[PLACE], pose_from_euler(0.3, 0.2 * at - 1, 0.0, 0.0, 0.0, 0.01 * at))
        found = solved(points, place, query, seed=at)
        if isinstance(found, MetricPose):
            error = error_of(pose_in_map(ROAD[PLACE], found)[0], query)
            deviations = np.sqrt(np.diag(pose_in_map(ROAD[PLACE], found)[1]))
            assert (np.abs(error) < 4 * deviations).all() and np.linalg.norm(error[:3]) < 0.5


def test_points_in_a_corner_and_too_few():
    points = scene(8, count=4000)
    place = place_points(points[:500])
    query = compose(ROAD[PLACE], Pose(0.5, 0.5))
    seen = picture(points[:500], query, seed=3)
    pairs = match_keypoints(seen, place.keypoints)
    corner = np.flatnonzero((seen.xy[pairs[:, 0]] < (130, 80)).all(1))
    rest = Keypoints(seen.xy[pairs[corner, 0]], seen.descriptors[pairs[corner, 0]], *SIZE, "sift")
    found = solve_metric_pose(rest, CAMERA, match_keypoints(rest, place.keypoints), place)
    if isinstance(found, MetricPose):
        pose, covariance = pose_in_map(ROAD[PLACE], found)
        assert (np.abs(error_of(pose, query)) < 4 * np.sqrt(np.diag(covariance))).all()
    few = rest.strongest(14)
    assert "fewer than 15" in solve_metric_pose(few, CAMERA, match_keypoints(few, place.keypoints), place)


def test_another_place_and_opposed_views():
    place = place_points(scene(9))
    elsewhere = solved(scene(10), place, ROAD[PLACE])  # other points, but the same descriptors: matches of chance
    assert "do not fit one pose" in elsewhere
    back = compose(ROAD[PLACE], Pose.planar(20.0, 0.0, np.pi))
    assert isinstance(solved(scene(9), place, back), str)


def test_the_pose_in_the_map():
    points = scene(11)
    place, query = place_points(points), compose(ROAD[PLACE], Pose.planar(0.5, -0.7, 0.05))
    found = solved(points, place, query)
    away = pose_from_euler(100.0, -50.0, 3.0, 0.1, -0.2, 2.0)
    pose, covariance = pose_in_map(compose(away, ROAD[PLACE]), found)
    near, near_covariance = pose_in_map(ROAD[PLACE], found)
    assert np.allclose(compose(inverse(away), pose).as_tuple()[:3], near.as_tuple()[:3], atol=1e-6)
    turn = np.kron(np.eye(2), rotation_matrix(away))
    assert np.allclose(covariance, turn @ near_covariance @ turn.T)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
