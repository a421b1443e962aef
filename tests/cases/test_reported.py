"""The cases that users reported, as processes. Inputs of the same kinds that the tests write themselves are in the other files of this folder."""

import math
import shutil

import numpy as np
import pytest

from tests.cases import test_encoders as of_encoders
from tests.cases import test_pictures as of_pictures
from tests.cases import test_robot_poses as of_poses
from tests.cases import test_units as of_units
from tests.cases.folder import CASES, case
from tests.cases.test_units import built
from tests.command import refused, vpr
from vpr_aesvc.placemap import PlaceMap

if not CASES.is_dir():
    pytest.skip(f"the cases are absent: {CASES} (set VPR_TEST_CASES)", allow_module_level=True)


@pytest.mark.parametrize("name", ["drive.bag.active", "."])
def test_active_bag(drawn_model, tmp_path, name):
    bag, output = case("bag-active") / name, tmp_path / "map"
    done = vpr("bag", "info", bag)
    assert done.returncode == 1 and "94 messages over 6.0 s come before" in done.stdout
    assert "rosbag reindex" in done.stdout and "rename it to drive.bag" in done.stdout
    refused(vpr("map", "build", bag, "-m", drawn_model, "-o", output), "--keep-good")
    done = vpr("map", "build", bag, "-m", drawn_model, "-o", output, "--keep-good")
    assert done.returncode == 0 and "12 images in 5.5 s" in done.stdout, done.stderr


def test_images_with_metadata_yaml(drawn_model, tmp_path):
    done = vpr("map", "build", case("images-with-metadata-yaml"), "-m", drawn_model, "-o", tmp_path / "map")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "map") as places:
        assert len(places.places()) == 6


def test_h264(drawn_model, tmp_path):
    bag = case("bag-info-of-h264") / "drive"
    done = vpr("bag", "info", bag)
    assert done.returncode == 1 and "no map can be built" in done.stdout and "its format is 'h264'" in done.stdout
    refused(vpr("map", "build", bag, "-m", drawn_model, "-o", tmp_path / "map"), "h264")
    assert not (tmp_path / "map").exists()


def test_the_case_of_half_precision(tmp_path):
    done = of_encoders.trained(case("encoder-half-input"), tmp_path)
    assert done.returncode == 0 and (tmp_path / "model" / "model.json").is_file(), done.stderr


def test_the_case_of_another_size(tmp_path):
    done = of_encoders.trained(case("encoder-other-size"), tmp_path)
    refused(done, "32, 32")
    assert "16, 16" in done.stderr


def test_the_case_of_weights_beside(tmp_path):
    encoder = tmp_path / "encoder"
    shutil.copytree(case("encoder-weights-beside"), encoder)
    done = of_encoders.trained(encoder, tmp_path)
    assert done.returncode == 0, done.stderr
    (encoder / "encoder.onnx.data").chmod(0o644)
    (encoder / "encoder.onnx.data").write_bytes(bytes((encoder / "encoder.onnx.data").stat().st_size))
    done = vpr("map", "build", tmp_path / "photos", "-m", tmp_path / "model", "-o", tmp_path / "place.vprmap")
    refused(done, "fingerprint")


def test_thermal_pictures_have_contrast(model, tmp_path):
    _, pictures = of_pictures.built(model, case("thermal-16-bit"), tmp_path / "m.vprmap")
    assert len(pictures) == 12
    assert all(len(np.unique(picture)) > 50 and np.ptp(picture) > 200 for picture in pictures.values())


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("rgb-and-depth", 8, "left out: 8 depth images, by their name and their look"),
        ("nas-thumbnails", 6, "left out: 12 copies that a system keeps"),
        ("heic-among-jpeg", 3, "left out: 6 .heic files, a format that is not read: convert them to JPEG"),
        ("huge-picture", 4, "map_scan.png: 30000 x 30000 pixels, more than the limit of 64 million"),
        ("csv-repeated-rows", 8, "left out: 8 rows that repeat an earlier row"),
    ],
)
def test_places_and_what_was_left_out(model, tmp_path, name, count, words):
    said, pictures = of_pictures.built(model, case(name), tmp_path / "m.vprmap")
    assert len(pictures) == count and words in said


def test_linked_folder(model, tmp_path):
    shutil.copytree(case("linked-folder"), tmp_path / "in", symlinks=True)
    link = tmp_path / "in" / "all" / "day1"
    if not link.is_symlink():  # a copy without links: the word is there, and the link can be made again
        said, _ = of_pictures.built(model, tmp_path / "in" / "all", tmp_path / "without.vprmap")
        assert "1 links to a folder that were copied as text" in said
        target = link.read_text().strip()
        link.unlink()
        link.symlink_to(target)
    said, pictures = of_pictures.built(model, tmp_path / "in" / "all", tmp_path / "m.vprmap")
    assert len(pictures) == 9 and "left out:" not in said and "day1/3.jpg" in pictures


def test_compressed_bayer_has_colors(model, tmp_path):
    _, pictures = of_pictures.built(model, case("bayer-compressed") / "drive", tmp_path / "m.vprmap")
    assert len(pictures) == 12
    for picture in pictures.values():
        assert np.ptp(picture.astype(int), axis=2).mean() > 5  # not gray
        rows = picture[::2].astype(int) - picture[1::2]
        assert np.abs(rows).mean() < 12  # not a chequered mosaic


def test_video_with_dropped_frames(model, tmp_path):
    said, pictures = of_pictures.built(model, case("video-dropped-frames") / "drive.mkv", tmp_path / "m.vprmap")
    assert len(pictures) == 10 and "left out:" not in said and "10.0 s of 96 x 72 pixels" in said


def test_degrees_in_names(drawn_model, tmp_path):
    refused(
        vpr("map", "build", case("names-in-degrees"), "-m", drawn_model, "-o", tmp_path / "map"),
        "looks like degrees: 48.85",
    )
    assert not list(tmp_path.iterdir())


def test_one_name_without_utm(drawn_model, tmp_path):
    said, places = built(drawn_model, case("one-name-without-utm"), tmp_path / "map")
    assert [place.pose and place.pose.x for place in places] == [365000.0 + 10 * i for i in range(8)] + [None]
    assert "left out: 1 poses (no UTM in the name): preview.jpg" in said


def test_photos_with_gps(drawn_model, tmp_path):
    said, places = built(drawn_model, case("photos-with-gps"), tmp_path / "map")
    assert len(places) == 6 and "the photos hold GPS positions (EXIF); to use them" in said
    assert "exiftool -csv" in said and "frames.csv" in said


def test_goal_beside_tf(drawn_model, tmp_path):
    said, poses = of_poses.built(drawn_model, case("goal-beside-tf") / "drive", tmp_path / "map")
    assert len(poses) == 12 and "6.6 m traveled" in said
    assert "poses: TF, odom > base_link" in said and "/move_base/current_goal" in said


def test_two_odometries_on_one_topic(drawn_model, tmp_path):
    said, poses = of_poses.built(drawn_model, case("two-odometries-one-topic") / "drive", tmp_path / "map")
    assert poses[0].x == pytest.approx(0.02, abs=0.01) and poses[-1].x < 7
    assert "70 poses of another frame on /odom: of base_footprint in map, not of base_link in odom" in said
    done = vpr("bag", "info", case("two-odometries-one-topic") / "drive")
    assert (
        done.returncode == 0 and "left out: 70 poses of another frame on /odom: of base_footprint in map" in done.stdout
    )


def test_satellites_before_they_have_a_fix(drawn_model, tmp_path):
    said, poses = of_poses.built(drawn_model, case("gps-zero-before-fix") / "drive", tmp_path / "map")
    way = [pose.y for pose in poses if pose is not None]
    assert 5 < max(way) - min(way) < 11
    assert "messages of /gps/fix without a position: latitude 0, longitude 0" in said
    done = vpr("bag", "info", case("gps-zero-before-fix") / "drive")
    assert "left out: 4 messages of /gps/fix without a position" in done.stdout


def test_slow_map_to_odom(drawn_model, tmp_path):
    said, poses = of_poses.built(drawn_model, case("slow-map-to-odom") / "drive", tmp_path / "map")
    assert len(poses) == 12 and all(poses)
    assert "TF map > odom comes every 1 s: an image between two at most 1.5 s apart gets a pose" in said


@pytest.mark.parametrize(
    ("name", "trajectory", "start", "words"),
    [
        ("names-in-microseconds", "traj.tum", 1418132416.5, "stamps: the images' names, in microseconds"),
        ("names-in-microseconds", "kitti.txt", 1418132416.5, "stamps: the images' names, in microseconds"),
        ("trajectory-in-nanoseconds", "f_run.txt", 1403636579.763555584, "stamps in nanoseconds"),
        ("trajectory-qw-first", "traj.csv", 1403636579.75, "q_w q_x q_y q_z"),
        ("trajectory-with-bom", "traj.tum", 1403636579.75, "TUM"),
    ],
)
def test_reported_trajectories(name, trajectory, start, words, drawn_model, tmp_path):
    found = case(name)
    said, places = of_units.built(drawn_model, found / "img", tmp_path / "map", "--trajectory", found / trajectory)
    assert len(places) == 12 and words in said
    if name == "trajectory-qw-first":
        done = vpr("map", "import", found / trajectory, tmp_path / "map")
        assert "12 places" in done.stdout and "columns as its header names them" in done.stdout
    assert [place.stamp for place in places] == [start + 0.25 * i for i in range(12)]
    assert [place.pose.x for place in places] == pytest.approx([0.6 * i for i in range(12)])
    turn = 0.05 if name == "trajectory-qw-first" else 0.0
    assert [place.pose.qz for place in places] == pytest.approx([math.sin(turn * i / 2) for i in range(12)], abs=1e-5)
    assert all(place.pose.qx == place.pose.qy == 0 for place in places)
