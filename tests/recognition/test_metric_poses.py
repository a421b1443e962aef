"""Metric poses of a car, against surveyed poses: a map of every second image, asked with the others."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.command import vpr
from vpr_aesvc import PlaceMap, Recognizer, build_map, open_backbone, read_image, train
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.transforms import distance, relative_pose, rotation_matrix
from vpr_aesvc.types import Frame, Intrinsics, Pose

CAMERA, SIZE = Intrinsics(707.0912, 707.0912, 601.8873, 183.1104), (1226, 370)


@pytest.fixture(scope="module")
def clip(kitti_clip):
    poses = read_trajectory(kitti_clip / "poses.txt").poses
    return [
        Frame(file.name, path=file, image=read_image(file), pose=pose, stamp=1e9 + 0.1 * at, sequence="clip")
        for at, (file, pose) in enumerate(zip(sorted((kitti_clip / "image_0").iterdir()), poses, strict=True))
    ]


@pytest.fixture(scope="module")
def model(clip, tmp_path_factory):
    return train(clip[::2], open_backbone("hog"), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def street(clip, model, tmp_path):
    """A new map, which knows its camera."""
    build_map(clip[::2], model, tmp_path / "street.vprmap")
    with PlaceMap.open(tmp_path / "street.vprmap") as place_map:
        place_map.set_camera("clip", CAMERA, SIZE)
        yield place_map


def answers(street, model, clip, camera=CAMERA, queries=slice(1, None, 2), **settings):
    recognizer = Recognizer(street, model, RecognizerSettings(**settings), camera)
    return [recognizer.recognize(frame) for frame in clip[queries]]


def error_of(result, frame):
    """float64 [6] in map axes: meters, radians."""
    turn = rotation_matrix(frame.pose) @ rotation_matrix(result.pose).T
    return np.concatenate(
        [np.subtract(frame.pose.as_tuple()[:3], result.pose.as_tuple()[:3]), cv2.Rodrigues(turn)[0].ravel()]
    )


def test_every_second_image(street, model, clip):
    found = answers(street, model, clip)
    measured = [(one, frame) for one, frame in zip(found, clip[1::2], strict=True) if one.metric is not None]
    assert len(measured) >= 0.95 * len(found)
    errors = np.array([error_of(*pair) for pair in measured])
    meters, degrees = np.linalg.norm(errors[:, :3], axis=1), np.degrees(np.linalg.norm(errors[:, 3:], axis=1))
    assert np.median(meters) <= 0.05 and np.quantile(meters, 0.9) <= 0.15 and np.median(degrees) <= 0.1
    squared = np.array([e @ np.linalg.solve(one.covariance, e) for e, (one, _) in zip(errors, measured, strict=True)])
    assert np.mean((squared > 1.24) & (squared < 14.45)) >= 0.85
    assert np.median([distance(one.best.place.pose, frame.pose) for one, frame in measured]) > 1.0
    assert not any(one.metric_refusal for one, _ in measured)


def test_without_cameras_or_turned_off(street, model, clip, tmp_path):
    few = slice(1, 9, 2)
    for one in answers(street, model, clip, None, few):
        assert one.metric is None and "intrinsics" in one.metric_refusal and one.pose == one.best.place.pose
    for one in answers(street, model, clip, queries=few, metric_pose=False):
        assert one.metric is None and not one.metric_refusal and one.pose == one.best.place.pose
    build_map(clip[::2], model, tmp_path / "other.vprmap")
    with PlaceMap.open(tmp_path / "other.vprmap") as other:
        for one in answers(other, model, clip, queries=few):
            assert one.metric is None and "does not know its camera" in one.metric_refusal


def test_wrong_intrinsics_give_no_wrong_pose(street, model, clip):
    for share in (0.8, 1.2):
        wrong = Intrinsics(share * CAMERA.fx, share * CAMERA.fy, CAMERA.cx, CAMERA.cy)
        street.set_camera("clip", wrong, SIZE, replace=True)
        for camera in (CAMERA, wrong):
            for one, frame in zip(answers(street, model, clip, camera), clip[1::2], strict=True):
                assert one.metric is None or np.linalg.norm(error_of(one, frame)[:3]) < 0.5


def test_the_scale_of_the_map(street, model, clip):
    """Poses that are twice as far apart, as of a camera alone: so are the results."""
    poses = {one: place.pose for one, place in street.places().items()}
    street.set_poses({at: Pose(2 * p.x, 2 * p.y, 2 * p.z, *p.as_tuple()[3:]) for at, p in poses.items()})
    frames = [
        replace(f, pose=Pose(2 * f.pose.x, 2 * f.pose.y, 2 * f.pose.z, *f.pose.as_tuple()[3:])) for f in clip[1:12:2]
    ]
    found = answers(street, model, clip, queries=slice(1, 12, 2))
    assert np.median([np.linalg.norm(error_of(*pair)[:3]) for pair in zip(found, frames, strict=True)]) < 0.1


@pytest.mark.parametrize("kind", ["shuffled", "noisy", "equal", "turned", "without"])
def test_poses_that_are_wrong(street, model, clip, kind):
    """Poor odometry, two places with one pose, places without poses: no wrong metric pose."""
    recognizer = Recognizer(street, model, RecognizerSettings(), CAMERA)
    assert recognizer.recognize(clip[21]).metric is not None
    random, poses = np.random.default_rng(0), {one: place.pose for one, place in street.places().items()}
    ids = list(poses)
    if kind == "shuffled":
        changed = dict(zip(ids, [poses[at] for at in random.permutation(ids)], strict=True))
    elif kind == "noisy":
        changed = {
            at: replace(pose, x=pose.x + random.normal(0, 0.5), y=pose.y + random.normal(0, 0.5))
            for at, pose in poses.items()
        }
    elif kind == "equal":
        changed = {after: poses[before] for before, after in zip(ids[::2], ids[1::2], strict=False)}
    elif kind == "turned":
        changed = {at: replace(pose, qx=0.0, qy=0.0, qz=1.0, qw=0.0) for at, pose in poses.items()}
    else:
        street.remove(ids)
        street.add(
            [replace(one, pose=None) for one in clip[::2]],
            model.describe_batch([one.image for one in clip[::2]]),
            [one.image for one in clip[::2]],
        )
        changed = {}
    street.set_poses(changed)
    measured = []
    for frame in clip[1::4]:
        one = recognizer.recognize(frame)
        if one.metric is None:
            assert one.metric_refusal and one.pose == one.best.place.pose
            continue
        true = relative_pose(poses[one.best.place.id], frame.pose)
        measured.append(distance(true, one.metric.relative_pose))
    # Of places with one neighbor the poses may fit by chance, and some places keep their neighbors.
    assert len(measured) <= (3 if kind in ("noisy", "equal") else 0) and max(measured, default=0) < 0.5


def test_opposed_views(street, model, clip):
    """The pictures of a mirrored street: nothing may be claimed."""
    for one in answers(
        street, model, [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1])) for frame in clip]
    ):
        assert one.metric is None


@pytest.mark.parametrize("every", [2, 4])
def test_the_commands(clip, model, tmp_path, every):
    """`vpr query` and `vpr eval` of a folder with a trajectory and a calibration; the map is of every second or fourth image."""
    asked = [frame for at, frame in enumerate(clip[:20]) if at % every]
    for name, frames in (("map", clip[::every]), ("ask", asked)):
        (tmp_path / name / "image_0").mkdir(parents=True)
        for frame in frames:
            (tmp_path / name / "image_0" / frame.label).write_bytes(frame.path.read_bytes())
        poses = (clip[0].path.parents[1] / "poses.txt").read_text().splitlines()
        rows = [poses[int(frame.label[:6])] for frame in frames]
        (tmp_path / name / "poses.txt").write_text("\n".join(rows) + "\n")
        (tmp_path / name / "times.txt").write_text("".join(f"{frame.stamp - 1e9:.2f}\n" for frame in frames))
    camera = clip[0].path.parents[1] / "calib.txt"

    def run(command, name, *words):
        pictures, poses = tmp_path / name / "image_0", tmp_path / name / "poses.txt"
        done = vpr(*command, *words[:1], pictures, "--trajectory", poses, *words[1:])
        assert done.returncode == 0, done.stderr
        return done

    street = tmp_path / "street.vprmap"
    done = vpr("map", "build", tmp_path / "map" / "image_0", "--trajectory", tmp_path / "map" / "poses.txt", "--camera", camera, "-m", model.path, "-o", street)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = run(("query",), "ask", street, "--camera", camera, "--json")
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(lines) == len(asked) and "accepted matches have a metric pose" in found.stderr
    for line, frame in zip(lines, asked, strict=True):
        assert line["metric"]["inliers"] >= 15 and not line["metric_refusal"]
        assert np.linalg.norm(np.subtract(line["pose"][:3], frame.pose.as_tuple()[:3])) < 0.2
    without = run(("query",), "ask", street, "--json")
    assert all(json.loads(line)["metric"] is None for line in without.stdout.splitlines())
    assert without.stderr.count("the intrinsics of the camera are unknown") == 1  # said once
    out = tmp_path / "report"
    done = vpr("eval", tmp_path / "ask" / "image_0", "--trajectory", tmp_path / "ask" / "poses.txt", "--camera", camera, "--map", street, "-o", out)  # fmt: skip
    assert done.returncode == 0 and "accepted matches have a metric pose" in done.stdout, done.stderr
    errors = json.loads((out / "drive.json").read_text())["forms"]["with both"]["pose_errors"]
    assert errors["metric_poses"] >= 5 and errors["meters_median"] < 0.05 and errors["degrees_median"] < 0.1
    assert errors["place_meters_median"] > 1.0 and (out / "pose_errors.png").is_file()
