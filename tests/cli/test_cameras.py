"""The calibration of a camera, from the command line to the map and back."""

import json

import pytest

from tests.command import refused, vpr
from tests.conftest import _folder
from tests.recordings.bags.bags import FX, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Intrinsics

KITTI = Intrinsics(707.0912, 707.0912, 601.8873, 183.1104), (1226, 370)
FILE = """image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 319.5, 0, 500, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0.01, 0, 0, 0]}
"""


def answer(*words):
    done = vpr(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    """Every fourth image of the clip, with its poses, and the calibration in another folder."""
    clip, folder = _folder("kitti_clip"), tmp_path_factory.mktemp("kitti")
    (folder / "image_0").mkdir()
    for file in sorted((clip / "image_0").iterdir())[::4]:
        (folder / "image_0" / file.name).symlink_to(file)
    (folder / "poses.txt").write_text("".join((clip / "poses.txt").read_text().splitlines(keepends=True)[::4]))
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "calib.txt").symlink_to(clip / "calib.txt")
    return folder


def test_a_map_without_a_camera_is_given_one(kitti, loop_model, tmp_path):
    path, file = tmp_path / "m.vprmap", kitti / "elsewhere" / "calib.txt"
    answer("map", "build", kitti / "image_0", "--trajectory", kitti / "poses.txt", "-m", loop_model, "-o", path)
    assert "camera:" not in answer("map", "info", path)
    refused(vpr("map", "set-camera", path, file, "--traverse", "other"), "check --traverse and --camera")
    assert "1226 x 370 pixels, fx 707.1" in answer("map", "set-camera", path, file)
    assert "    camera: 1226 x 370 pixels, fx 707.1, fy 707.1, cx 601.9, cy 183.1" in answer("map", "info", path)
    (listed,) = json.loads(answer("map", "info", path, "--json"))["traverses"]
    assert listed["cameras"][""][0]["fx"] == 707.0912 and listed["cameras"][""][1] == [1226, 370]
    with PlaceMap.open(path) as place_map:
        assert all(place_map.camera_of(place) == KITTI for place in place_map.places().values())
    (tmp_path / "camera.yaml").write_text(FILE)
    refused(vpr("map", "set-camera", path, tmp_path / "camera.yaml"), "another aspect ratio")
    (tmp_path / "camera.yaml").write_text(FILE.replace("640", "1226").replace("480", "370"))
    refused(vpr("map", "set-camera", path, tmp_path / "camera.yaml"), "has another camera already")
    answer("map", "set-camera", path, tmp_path / "camera.yaml", "--replace")
    assert "fx 500.0, fy 500.0, cx 319.5, cy 239.5, plumb_bob" in answer("map", "info", path)
    assert "is whole" in answer("map", "check", path)


def test_build_add_and_query_take_a_calibration(kitti, loop_model, tmp_path):
    path, file = tmp_path / "m.vprmap", kitti / "elsewhere" / "calib.txt"
    given = "--trajectory", kitti / "poses.txt", "--camera", file
    done = answer("map", "build", kitti / "image_0", *given, "-m", loop_model, "-o", path, "--traverse", "one")
    answer("map", "add", path, kitti / "image_0", *given, "--traverse", "two")
    with PlaceMap.open(path) as place_map:
        assert place_map.cameras() == {("one", ""): KITTI, ("two", ""): KITTI}
    done = vpr("query", path, kitti / "image_0", *given, "--json")
    assert done.returncode == 0 and "(calib.txt, P0)" in done.stderr
    refused(vpr("query", path, kitti / "image_0", "--camera", kitti / "poses.txt"), "expected a camera calibration")


def test_a_bag_brings_its_camera(loop_folder, loop_model, tmp_path):
    bag = write_bag(tmp_path / "bag", corridor_frames(loop_folder)[:12], compressed=True)
    answer("map", "build", bag, "-m", loop_model, "-o", tmp_path / "m.vprmap")
    with PlaceMap.open(tmp_path / "m.vprmap") as place_map:
        (camera,) = place_map.cameras().values()
    assert camera[0].fx == FX and camera[0].distortion_model == "none"
    assert camera[1] == (2 * camera[0].cx + 1, 2 * camera[0].cy + 1)
