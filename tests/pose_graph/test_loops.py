"""Loop closures of drives in which the robot returns: measured poses, and pose graphs that GTSAM optimizes and evo judges."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.conftest import DATA, has_data
from tests.pose_graph.drives import DRAWN_CAMERA, drawn_laps, drifted, kitti_there_and_back, opposed_drive
from vpr_aesvc import Frame, PlaceMap, Pose, RecognizerSettings, open_backbone, train
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.transforms import angle, distance, relative_pose


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Fitted on a street that is in none of the drives."""
    frames = [Frame(str(at), image=one.image) for at, one in enumerate(opposed_drive(seed=9))]
    return train(frames, open_backbone("hog"), tmp_path_factory.mktemp("model") / "model", method="aesvc")


@pytest.fixture(scope="module", params=["drawn laps", "kitti_clip there and back"])
def drive(request):
    """Views, and the intrinsics of their camera."""
    if request.param == "drawn laps":
        return drawn_laps(), DRAWN_CAMERA
    if not has_data("kitti_clip"):
        pytest.skip(f"real data is absent: {DATA / 'kitti_clip'} (set VPR_TEST_DATA)")
    return kitti_there_and_back(DATA / "kitti_clip")


@pytest.fixture(scope="module")
def drifted_map(drive, model, tmp_path_factory):
    """Path of a map of the drive as odometry that drifts by 2 % has it."""
    return mapped(
        tmp_path_factory.mktemp("map") / "drive.vprmap", model, *drive, drifted([one.pose for one in drive[0]])
    )


def mapped(path, model, seen, camera, poses):
    frames = [Frame(str(at), stamp=one.stamp, pose=poses[at]) for at, one in enumerate(seen)]
    with PlaceMap.create(path, model) as place_map:
        descriptors = np.stack([model.describe(one.image) for one in seen])
        place_map.add(frames, descriptors, [one.image for one in seen], "drive")
        if camera is not None:
            place_map.set_camera("drive", camera, seen[0].image.shape[1::-1])
        learn_map(place_map)
    return path


def closed_on_board(path, model, seen, camera, recent_meters=15.0):
    """The loop closures of mode ``slam``, with exact odometry."""
    settings, found = RecognizerSettings(recent_seconds=4.0, recent_meters=recent_meters), []
    with PlaceMap.create(path, model) as place_map:
        engine = Engine(place_map, model, "slam", settings, KeyframeSettings(), "drive")
        for at, one in enumerate(seen):
            image, pose = partial(np.asarray, one.image), partial(replace, one.pose)
            found.append(
                engine.process(
                    IncomingFrame("", Frame(str(at), stamp=one.stamp), image, pose, (camera, one.image.shape[1::-1]))
                )
            )
            for thread in threading.enumerate():  # on a robot, learning ends before the next frame
                if thread.name.startswith("vpr_aesvc learning"):
                    thread.join()
    return [outcome.loop_closure for outcome in found if outcome.loop_closure is not None]


def errors_of(closures, seen):
    """Meters and degrees between the measured and the exact relative poses."""
    pairs = [
        (one.relative_pose, relative_pose(seen[one.from_place - 1].pose, seen[one.to_place - 1].pose))
        for one in closures
    ]
    return np.array([distance(*pair) for pair in pairs]), np.degrees([angle(*pair) for pair in pairs])


def trajectory_error(poses, seen):
    """Root mean square of the absolute trajectory error in meters, after alignment, as evo computes it."""
    from evo.core.metrics import APE, PoseRelation, StatisticsType
    from evo.core.trajectory import PoseTrajectory3D

    estimate, truth = (
        PoseTrajectory3D(
            positions_xyz=np.array([pose.as_tuple()[:3] for pose in some]),
            orientations_quat_wxyz=np.array([(pose.qw, pose.qx, pose.qy, pose.qz) for pose in some]),
            timestamps=np.array([one.stamp for one in seen]),
        )
        for some in (poses, [one.pose for one in seen])
    )
    estimate.align(truth)
    metric = APE(PoseRelation.translation_part)
    metric.process_data((truth, estimate))
    return metric.get_statistic(StatisticsType.rmse)


def optimized(path, seen):
    """The poses after GTSAM has optimized a graph, by place."""
    import gtsam

    graph, start = gtsam.readG2o(str(path), True)
    assert list(start.keys()) == list(range(1, len(seen) + 1))
    first = gtsam.noiseModel.Diagonal.Sigmas(np.full(6, 1e-6))
    graph.add(gtsam.PriorFactorPose3(1, start.atPose3(1), first))
    best = gtsam.LevenbergMarquardtOptimizer(graph, start).optimize()
    found = []
    for place in range(1, len(seen) + 1):
        turn = best.atPose3(place).rotation().toQuaternion()
        found.append(Pose(*best.atPose3(place).translation(), turn.x(), turn.y(), turn.z(), turn.w()))
    return found


def test_the_closures_of_mode_slam_are_measured_poses(drive, model, tmp_path):
    closures = closed_on_board(tmp_path / "m.vprmap", model, *drive)
    metric = [one for one in closures if one.metric]
    again = sum(one.part == 2 for one in drive[0])
    assert len(metric) >= 0.3 * again and len(metric) >= 0.9 * len(closures)
    meters, degrees = errors_of(metric, drive[0])
    print(
        f"{len(closures)} closures of {again} frames, {len(metric)} metric: median {np.median(meters):.3f} m, {np.median(degrees):.3f} degrees"
    )
    assert np.median(meters) <= 0.1 and np.median(degrees) <= 0.2, (np.median(meters), np.median(degrees))
    assert np.quantile(meters, 0.9) <= 0.3 and meters.max() <= 0.5
    coarse = [one.covariance[0, 0] for one in closures if not one.metric]
    assert max(one.covariance[0, 0] for one in metric) < min(coarse, default=1.0)


def test_vpr_map_loops_halves_the_trajectory_error(drive, drifted_map, tmp_path):
    pytest.importorskip("gtsam", reason="pip install gtsam")
    pytest.importorskip("evo", reason="pip install evo")
    done = vpr("map", "loops", drifted_map, "-o", tmp_path / "graph.g2o", "--recent-seconds", 4)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(drifted_map) as place_map:
        before = [place.pose for place in place_map.places().values()]
    errors = [trajectory_error(poses, drive[0]) for poses in (before, optimized(tmp_path / "graph.g2o", drive[0]))]
    print(f"{done.stdout} trajectory error {errors[0]:.3f} m, then {errors[1]:.3f} m")
    assert errors[1] <= errors[0] / 2, errors


@pytest.fixture(scope="module")
def car():
    """``kitti_clip`` there and back, without its intrinsics."""
    if not has_data("kitti_clip"):
        pytest.skip(f"real data is absent: {DATA / 'kitti_clip'} (set VPR_TEST_DATA)")
    return kitti_there_and_back(DATA / "kitti_clip")[0]


def test_without_intrinsics_closures_are_coarse_and_said_to_be(car, model, tmp_path):
    path = mapped(tmp_path / "m.vprmap", model, car, None, [one.pose for one in car])
    done = vpr("map", "loops", path, "-o", tmp_path / "pairs.tum", "--recent-seconds", 4)
    assert done.returncode == 0 and ", 0 of them with a measured translation" in done.stdout, done.stderr
    assert "cameras with intrinsics" in " ".join(done.stdout.split())
    pairs, stamps = np.loadtxt(tmp_path / "pairs.tum"), np.array([one.stamp for one in car])
    assert len(pairs) >= 10 and f": {len(pairs)} loop closures of 51 places" in done.stdout
    for older, newer, *numbers in pairs:
        one, other = (int(np.abs(stamps - stamp).argmin()) for stamp in (older, newer))
        assert one < other and distance(car[one].pose, car[other].pose) < 8  # a nearer place may be too recent
        assert numbers[:3] == [0, 0, 0]


def test_opposed_views_close_no_loop(model, tmp_path):
    seen = opposed_drive()
    assert closed_on_board(tmp_path / "m.vprmap", model, seen, DRAWN_CAMERA, recent_meters=40.0) == []
    path = mapped(tmp_path / "back.vprmap", model, seen, DRAWN_CAMERA, [one.pose for one in seen])
    done = vpr("map", "loops", path, "-o", tmp_path / "graph.g2o")  # 15 m: the same houses are in view
    assert done.returncode == 0 and " 0 loop closures" in done.stdout, done.stdout


def test_what_cannot_be_written_is_refused_before_a_long_run(drawn_map, model, tmp_path):
    refused(vpr("map", "loops", drawn_map, "-o", tmp_path / "graph.csv"), "ends in .g2o")
    with PlaceMap.create(tmp_path / "m.vprmap", model) as place_map:
        place_map.add([Frame("a")], np.eye(1, model.sizes[-1], dtype=np.float32), None, "drive")
    refused(vpr("map", "loops", tmp_path / "m.vprmap", "-o", tmp_path / "graph.g2o"), "no place has a pose")
    assert not (tmp_path / "graph.g2o").exists()
