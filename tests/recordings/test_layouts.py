"""Sequences of EuRoC, TUM RGB-D and KITTI as they unpack: the corridor's frames, linked, and a clip of KITTI itself."""

import os

import cv2
import numpy as np
import pytest

from tests.command import refused, vpr
from tests.conftest import DATA, has_data
from tests.recordings.corridor import corridor_frames
from tests.recordings.test_image_folder import in_first_image, links, optical, same, write_kitti, write_poses
from vpr_aesvc import PlaceMap, VprError, open_input
from vpr_aesvc.transforms import compose, inverse, pose_of_rotation, rotation_matrix

# EuRoC's camera on its IMU, rounded, with a translation that can be told from rounding.
T_BS = np.array(
    [[0.0149, -0.9999, 0.0041, -0.2], [0.9996, 0.015, 0.0257, -0.6], [-0.0258, 0.0038, 0.9997, 0.1], [0, 0, 0, 1]]
)
SENSOR = """#General sensor definitions.
sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: {matrix}
rate_hz: 20
resolution: [512, 384]
camera_model: pinhole
intrinsics: [458.654, 457.296, 267.215, 148.375]
distortion_model: radial-tangential
distortion_coefficients: [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
"""


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:20]


def mount():
    left, _, right = np.linalg.svd(T_BS[:3, :3])
    return left @ right, T_BS[:3, 3]


def write_euroc(folder, frames):
    links(folder / "mav0/cam0/data", frames, lambda frame: f"{round(frame.stamp * 1e9)}.png")
    rotation, translation = mount()
    matrix = [*np.hstack([rotation, translation[:, None]]).ravel().tolist(), 0.0, 0.0, 0.0, 1.0]
    (folder / "mav0/cam0/sensor.yaml").write_text(SENSOR.format(matrix=matrix))
    on_body = pose_of_rotation(rotation, *translation.tolist())
    lines = ["#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []"]
    for frame in frames:
        body = compose(optical(frame.pose), inverse(on_body))
        numbers = (body.x, body.y, body.z, body.qw, body.qx, body.qy, body.qz)
        lines.append(",".join([str(round(frame.stamp * 1e9)), *(f"{number:.9f}" for number in numbers)]))
    (folder / "mav0/state_groundtruth_estimate0").mkdir()
    (folder / "mav0/state_groundtruth_estimate0/data.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("inside", ["", "mav0"])
def test_euroc_poses_are_the_cameras(frames, tmp_path, inside):
    source = open_input(write_euroc(tmp_path / "MH_01_easy", frames) / inside)
    found = list(source)
    assert source.is_recording and len(found) == 20
    assert all(same(one.pose, frame.pose) for one, frame in zip(found, frames, strict=True))
    assert source.image_size == (512, 384) and source.intrinsics.distortion_model == "plumb_bob"
    assert source.intrinsics.fx == 458.654 and source.intrinsics.distortion[0] == -0.28340811
    assert "layout: EuRoC" in source.notes


def test_a_map_of_a_sequence_has_its_name(frames, tmp_path, monkeypatch):
    write_euroc(tmp_path / "MH_01_easy", frames)
    done = vpr("train", "MH_01_easy", "-o", "model", "--method", "aesvc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = vpr("map", "build", "MH_01_easy", "-m", "model", "-o", "map.vprmap", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "map.vprmap") as place_map:
        assert list(place_map.traverses()) == ["MH_01_easy"]
        place = next(iter(place_map.places().values()))
        assert place.label.startswith("MH_01_easy/mav0/cam0/data/")
        assert place_map.camera_of(place)[1] == (512, 384)


def test_tum_rgbd(frames, tmp_path):
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    links(folder / "rgb", frames, lambda frame: f"{frame.stamp:.6f}.png")
    (folder / "depth").mkdir()
    listing = [f"{frame.stamp:.6f} rgb/{frame.stamp:.6f}.png" for frame in frames]
    (folder / "rgb.txt").write_text("# color images\n# timestamp filename\n" + "\n".join(listing) + "\n")
    write_poses(folder / "groundtruth.txt", [(frame.stamp, optical(frame.pose)) for frame in frames])
    source = open_input(folder)
    found = list(source)
    assert source.notes[0] == "layout: TUM RGB-D"
    assert all(same(one.pose, frame.pose) for one, frame in zip(found, frames, strict=True))
    assert found[0].label == f"rgb/{frames[0].stamp:.6f}.png"
    assert not any(one.depth for one in found)


def test_depth_of_tum_rgbd(frames, tmp_path):
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    links(folder / "rgb", frames, lambda frame: f"{frame.stamp:.6f}.png")
    (folder / "rgb.txt").write_text("".join(f"{one.stamp:.6f} rgb/{one.stamp:.6f}.png\n" for one in frames))
    write_poses(folder / "groundtruth.txt", [(frame.stamp, optical(frame.pose)) for frame in frames])
    (folder / "depth").mkdir()
    rows = ["# depth maps"]
    for at, frame in enumerate(frames[::2]):
        pixels = np.full((48, 64), 5000 * 2 + at, np.uint16)  # 2 m
        pixels[:, :8] = 0
        cv2.imwrite(str(folder / f"depth/{at}.png"), pixels)
        rows.append(f"{frame.stamp + 0.015:.6f} depth/{at}.png")
    (folder / "depth.txt").write_text("\n".join(rows) + "\n")
    source = open_input(folder)
    found = list(source)
    assert f"depth: depth.txt, for {len(frames[::2])} of {len(frames)} images" in source.notes
    assert [one.depth is not None for one in found] == [at % 2 == 0 for at in range(len(frames))]
    meters = found[6].depth()
    assert meters.shape == (48, 64) and abs(meters[:, 8:] - (10003 / 5000)).max() < 1e-6 and not meters[:, :8].any()
    cv2.imwrite(str(folder / "depth/0.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(VprError, match="not a depth image"):
        found[0].depth()


@pytest.mark.parametrize("camera", ["image_0", "image_2"])
def test_kitti_odometry(frames, tmp_path, camera):
    folder = tmp_path / "dataset" / "sequences" / "07"
    links(folder / camera, frames, lambda frame: f"{frames.index(frame):06d}.png")
    (folder / "times.txt").write_text("\n".join(f"{at * 0.1:e}" for at in range(20)) + "\n")
    rows = [f"P{at}: {700 + at} 0 255 0 0 {700 + at} 191 0 0 0 1 0" for at in range(4)]
    (folder / "calib.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "dataset" / "poses").mkdir()
    first = frames[0].pose
    write_kitti(tmp_path / "dataset/poses/07.txt", [in_first_image(frame.pose, first) for frame in frames])
    source = open_input(folder)
    found = list(source)
    assert source.notes[0] == "layout: KITTI odometry"
    assert [one.stamp for one in found] == pytest.approx(np.arange(20) * 0.1)
    start = found[0].pose
    for one, frame in zip(found, frames, strict=True):
        there, truth = (compose(inverse(origin), pose) for origin, pose in ((start, one.pose), (first, frame.pose)))
        assert same(there, truth)
    assert source.intrinsics.fx == 700 + int(camera[-1])


@pytest.mark.skipif(not has_data("kitti_clip"), reason="real data is absent: kitti_clip")
def test_a_clip_of_kitti(monkeypatch):
    monkeypatch.chdir(DATA)
    source = open_input("kitti_clip")
    found = list(source)
    assert len(found) == 51 and source.notes[0] == "layout: KITTI odometry" and source.intrinsics.fx > 700
    last = found[-1].pose
    forward = rotation_matrix(found[0].pose)[:, 0] @ (np.array(last.as_tuple()[:3]) - found[0].pose.as_tuple()[:3])
    assert forward > 40 and found[0].label == f"image_0{os.sep}{found[0].path.name}"


def test_a_folder_that_holds_no_whole_layout_stays_a_set(frames, tmp_path):
    folder = write_euroc(tmp_path / "MH_01_easy", frames)
    (folder / "mav0/state_groundtruth_estimate0/data.csv").unlink()
    assert not open_input(folder).is_recording
    assert not open_input(folder / "mav0/cam0/data").is_recording


@pytest.mark.parametrize("before", ["T_BS", "data: [", "resolution: [512, 384]", "458.654, "])
def test_a_damaged_sensor_file_is_named(frames, tmp_path, before):
    folder = write_euroc(tmp_path / "MH_01_easy", frames)
    file = folder / "mav0/cam0/sensor.yaml"
    file.write_text(file.read_text().replace(before, ""))
    with pytest.raises(VprError, match=r"sensor\.yaml: expected EuRoC's sensor\.yaml"):
        open_input(folder)
    refused(vpr("map", "build", folder, "-m", "m", "-o", tmp_path / "x.vprmap"), "sensor.yaml")
