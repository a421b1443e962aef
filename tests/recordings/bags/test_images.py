"""`vpr bag images`: the keyframes of a bag as files that the other commands read."""

import pytest

from tests.command import refused, vpr
from tests.recordings.bags.bags import camera_pose, write_bag
from tests.recordings.corridor import SMEARED, corridor_frames
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.transforms import heading


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[24:44]


def test_keyframes_become_files_with_stamps_and_poses(frames, tmp_path):
    bag = write_bag(tmp_path / "lap", frames, "mcap", compressed=True)
    done = vpr("bag", "images", bag, "-o", tmp_path / "an office", "--keyframe-meters", "1")
    assert done.returncode == 0, done.stderr
    kept = [one for one in frames[::2] if one.number != SMEARED]
    found = open_input(tmp_path / "an office").frames
    assert [one.stamp for one in found] == [one.stamp for one in kept] and "10 images of 20" in done.stdout
    assert {one.sequence for one in found} == {"lap"} and [one.index for one in found] == list(range(1, 11))
    for one, taken in zip(found, kept, strict=True):
        pose = camera_pose(taken)
        assert abs(one.pose.x - pose.x) < 1e-3 and abs(one.pose.y - pose.y) < 1e-3
        assert abs(heading(one.pose) - heading(pose)) < 1e-3
        assert abs(read_image(one.path).astype(int) - read_image(taken.path)).mean() < 3  # JPEG, twice
    refused(vpr("bag", "images", bag, "-o", tmp_path / "an office"), "exists already")


def test_without_poses_or_pictures(frames, tmp_path):
    bag = write_bag(tmp_path / "lap", frames[:6], poses=None)
    assert vpr("bag", "images", bag, "-o", tmp_path / "out").returncode == 0
    assert [one.pose for one in open_input(tmp_path / "out").frames] == [None] * 3  # one a second
    refused(vpr("bag", "images", bag, "-o", tmp_path / "none", "--image-topic", "/x"), "no such topic")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lap", "out"]
