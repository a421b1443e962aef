"""Odometry that stands still while the camera moves is told; a camera that stands is not."""

import cv2
import numpy as np
import pytest

from tests.recordings.corridor import corridor_frames
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.selection import keyframes
from vpr_aesvc.keyframes.standing import StandingPoses
from vpr_aesvc.types import Frame, Pose

STILL = Pose(3, 4)


@pytest.fixture(scope="module")
def pictures(loop_folder):
    """Of every second frame of the loop, 1.2 m apart."""
    return [read_image(frame.path) for frame in corridor_frames(loop_folder)[:38:2]]


def told(pictures, poses=None, start=100.0, period=1.0):
    watch = StandingPoses()
    for i, picture in enumerate(pictures):
        pose = STILL if poses is None else poses[i]
        watch.add(Frame(str(i), image=picture, stamp=start + period * i, pose=pose))
    return watch.note()


def test_odometry_that_stopped(pictures):
    note = told(pictures)
    assert "101.0 to 118.0 s (18 images compared)" in note and "its odometry stopped" in note
    assert told([picture for picture in pictures for _ in range(3)], period=1 / 3) is not None
    assert told([pictures[0]] * 30 + pictures) is not None  # it stood before


def test_odometry_that_stops_on_the_way(pictures):
    poses = [Pose(min(i, 8), 0) for i in range(len(pictures))]
    assert "109.0 to 118.0 s" in told(pictures, poses)


def test_small_noise_of_odometry_that_stopped(pictures):
    random = np.random.default_rng(0)
    assert told(pictures, [Pose(*random.normal(0, 0.01, 2)) for _ in pictures]) is not None


@pytest.mark.parametrize("step", [0.06, 0.5, 20])
def test_poses_that_move(pictures, step):
    assert told(pictures, [Pose(step * i, 0) for i in range(len(pictures))]) is None


def test_poses_that_turn(pictures):
    assert told(pictures, [Pose.planar(0, 0, 0.1 * i) for i in range(len(pictures))]) is None


def test_no_poses_and_few_images(pictures):
    assert told(pictures, [None] * len(pictures)) is None
    assert told(pictures[:6]) is None
    assert told([]) is None


def test_a_camera_that_stands(pictures):
    """With noise, changing light, one switch of the light, and a person who walks by, a third of the image wide."""
    random = np.random.default_rng(0)
    for picture in pictures[::4]:
        noisy, dimmed, walked = [], [], []
        height, width = picture.shape[:2]
        for i in range(18):
            noisy.append(np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8))
            dimmed.append(np.clip(picture * (0.5 + 0.03 * i), 0, 255).astype(np.uint8))
            person = noisy[-1].copy()
            left = int(width * (i % 6) / 6)
            person[height // 8 :, left : left + width // 3] = (40, 60, 90)
            walked.append(person)
        lit = noisy[:9] + [255 - one // 2 for one in noisy[9:]]
        assert [told(some) for some in (noisy, dimmed, walked, lit)] == [None] * 4


def test_few_images_are_decoded(pictures):
    decoded = []

    def decode():
        decoded.append(1)
        return pictures[0]

    watch = StandingPoses()
    for i in range(300):  # ten seconds of driving at 1 m/s, then ten of standing
        pose = Pose(min(i / 30, 5), 0)
        watch.add(Frame(str(i), stamp=i / 30, pose=pose, decode=decode))
    assert len(decoded) == 4


def test_images_that_cannot_be_read(pictures):
    def decode():
        raise VprError("damaged")

    watch = StandingPoses()
    for i in range(20):
        watch.add(Frame(str(i), stamp=float(i), pose=STILL, decode=decode))
    assert watch.note() is None


def test_a_clock_that_jumps_back(pictures):
    watch = StandingPoses()
    for run in range(8):  # three images each: no row is long enough
        for i in range(3):
            watch.add(Frame("", image=pictures[2 * run + i], stamp=100.0 + i, pose=STILL))
    assert watch.note() is None


@pytest.mark.parametrize("folder", ["kitti_clip/image_0", "ie_tower/floor4"])
def test_real_cameras_that_move(folder):
    from tests.conftest import _folder

    files = sorted(_folder(folder).glob("*"))[:: 5 if "kitti" in folder else 1][:11]
    assert told([read_image(file) for file in files]) is not None


def test_the_recording_tells_it_once(pictures, tmp_path):
    """With the command's own path from files to notes."""
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{1_700_000_000 + i}.000000.jpg"), picture[:, :, ::-1])
    trajectory = tmp_path / "poses.txt"
    trajectory.write_text("".join(f"{1_700_000_000 + i} 1 2 0 0 0 0 1\n" for i in range(len(pictures))))
    from vpr_aesvc.frame_source import InputOptions

    recording = open_input(tmp_path, InputOptions(trajectory=trajectory, pose_gap=2.0))
    for _ in range(2):
        assert len(list(keyframes(recording))) == 1
        assert sum("the poses stand still" in note for note in recording.notes) == 1
