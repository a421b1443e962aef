"""Folders of images with a trajectory, laid out as the research sets are: the corridor's frames, linked."""

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.images import image
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import FrameSource, InputOptions
from vpr_aesvc.images import image_of
from vpr_aesvc.inputs import open_input
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.transforms import OPTICAL, angle, compose, distance, inverse, rotation_matrix


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:20]


def write_poses(path, stamped):
    lines = [" ".join(f"{number:.9f}" for number in (stamp, *pose.as_tuple())) for stamp, pose in stamped]
    path.write_text("# a trajectory\n" + "\n".join(lines) + "\n")
    return path


def write_kitti(path, poses):
    rows = [np.hstack([rotation_matrix(pose), [[pose.x], [pose.y], [pose.z]]]).ravel() for pose in poses]
    path.write_text("\n".join(" ".join(f"{number:.9e}" for number in row) for row in rows) + "\n")
    return path


def opened(folder, trajectory, **options) -> FrameSource:
    return open_input(folder, InputOptions(trajectory=trajectory, **options))


def links(folder: Path, frames, name) -> Path:
    folder.mkdir(parents=True)
    for frame in frames:
        (folder / name(frame)).symlink_to(frame.path)
    return folder


def same(found, expected):
    return distance(found, expected) < 1e-4 and angle(found, expected) < 1e-3


def optical(pose):
    """The same camera's optical frame."""
    return compose(pose, OPTICAL)


def in_first_image(pose, first):
    """As KITTI and ORB-SLAM have it: optical axes, in those of the first image."""
    return compose(inverse(optical(first)), optical(pose))


def test_names_that_are_nanoseconds_and_a_robots_trajectory(frames, tmp_path):
    folder = links(tmp_path / "data", frames, lambda frame: f"{round(frame.stamp * 1e9)}.jpg")
    trajectory = write_poses(tmp_path / "robot.txt", [(frame.stamp, frame.pose) for frame in frames])
    assert not open_input(folder).is_recording
    recording = opened(folder, trajectory, pose_gap=0.6)
    assert recording.is_recording and recording.is_run
    found = list(recording)
    assert [one.stamp for one in found] == pytest.approx([frame.stamp for frame in frames])
    assert all(same(one.pose, frame.pose) for one, frame in zip(found, frames, strict=True))
    assert found[0].label == f"{round(frames[0].stamp * 1e9)}.jpg"
    assert image_of(found[3]).shape == (384, 512, 3)
    assert any("look along x" in note for note in recording.notes)


def test_names_that_are_seconds_in_another_order(frames, tmp_path):
    names = {frame.number: f"{frame.stamp - 1_700_000_000 + 5:.2f}.jpg" for frame in frames}  # 5.00 to 14.50
    folder = links(tmp_path / "data", frames, lambda frame: names[frame.number])
    stamped = [(frame.stamp - 1_700_000_000 + 5, frame.pose) for frame in frames]
    found = list(opened(folder, write_poses(tmp_path / "t.txt", stamped)))
    assert [one.stamp for one in found] == [5 + 0.5 * at for at in range(20)]


def test_tum_rgbd(frames, tmp_path):
    links(tmp_path / "set" / "rgb", frames, lambda frame: f"{frame.stamp:.6f}.jpg")
    listing = "".join(f"{frame.stamp:.6f} rgb/{frame.stamp:.6f}.jpg\n" for frame in frames)
    (tmp_path / "set" / "rgb.txt").write_text(f"# color images\n{listing}")
    stamped = [(frame.stamp + 0.001, optical(frame.pose)) for frame in frames]  # of another clock, as ground truth is
    recording = opened(tmp_path / "set", write_poses(tmp_path / "set" / "groundtruth.txt", stamped))
    found = list(recording)
    assert len(found) == len(recording) == 20
    assert found[0].pose is not None
    assert all(distance(one.pose, frame.pose) < 0.01 for one, frame in zip(found[1:], frames[1:], strict=True))
    assert all(angle(one.pose, frame.pose) < 0.01 for one, frame in zip(found[1:], frames[1:], strict=True))


def test_kitti(frames, tmp_path):
    folder = links(tmp_path / "00" / "image_2", frames, lambda frame: f"{frame.number - 1:06d}.jpg")
    (tmp_path / "00" / "times.txt").write_text("".join(f"{frame.stamp - frames[0].stamp:e}\n" for frame in frames))
    poses = [in_first_image(frame.pose, frames[0].pose) for frame in frames]
    assert poses[3].z > 1  # ahead, in optical axes
    recording = opened(folder, write_kitti(tmp_path / "00.txt", poses))
    found = list(recording)
    assert [one.stamp for one in found] == [0.5 * at for at in range(20)]
    # the first pose of the corridor is the identity with a body's axes, so that nothing is left to turn back
    assert all(same(one.pose, frame.pose) for one, frame in zip(found, frames, strict=True))
    (tmp_path / "00" / "times.txt").unlink()
    assert [one.stamp for one in opened(folder, tmp_path / "00.txt")] == [None] * 20


def test_the_axes_show_in_the_way_the_camera_went(frames, tmp_path):
    """A robot's poses, those of a SLAM in optical axes, and optical poses in a world with z up."""
    stamped = [(frame.stamp, frame.pose) for frame in frames]
    slam = [(stamp, in_first_image(pose, frames[0].pose)) for stamp, pose in stamped]
    upright = [(stamp, optical(pose)) for stamp, pose in stamped]
    for at, one in enumerate((stamped, slam, upright)):
        found = read_trajectory(write_poses(tmp_path / f"{at}.txt", one)).poses
        assert all(same(pose, frame.pose) for pose, frame in zip(found, frames, strict=True)), at


def test_a_gap_in_the_trajectory(frames, tmp_path):
    folder = links(tmp_path / "data", frames, lambda frame: f"{round(frame.stamp * 1e9)}.jpg")
    kept = [(frame.stamp + 0.1, frame.pose) for frame in frames if not 5 <= frame.number <= 8]
    trajectory = write_poses(tmp_path / "t.txt", kept)
    recording = opened(folder, trajectory)
    without = [at for at, one in enumerate(recording, 1) if one.pose is None]
    assert without == [1, 5, 6, 7, 8, 9]  # before the first pose, and where poses are 2.5 s apart
    assert any("6 of 20 images have no pose" in note for note in recording.notes)
    assert sum(one.pose is None for one in opened(folder, trajectory, pose_gap=3)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1 2 3\n", "found 3 columns"),
        ("timestamp,p_x,p_y\n", "found 3 columns"),
        ("", "holds no pose"),
        ("# only words\n\n", "holds no pose"),
        ("1 0 0 0 0 0 0 1\n2 0 0 0 0 0 0 x\n", "line 2: expected `stamp x y z"),
        ("1 0 0 0 0 0 0 0\n", "unit quaternion"),
        ("1 0 0 nan 0 0 0 1\n", "line 1"),
        ("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 2 0 0 0 0 1 0\n", "line 2: expected the 12 numbers"),
        ("1 0 0 0 0 1 0 0 0 0 1 nan\n", "line 1: expected the 12 numbers"),
        ("1 0 0 0 0 1 0 0 0 0 -1 0\n", "with a rotation in it"),
    ],
)
def test_bad_trajectories(content, words, tmp_path):
    (tmp_path / "t.txt").write_text(content)
    with pytest.raises(VprError, match=r"t\.txt") as caught:
        read_trajectory(tmp_path / "t.txt")
    assert words in str(caught.value)


def test_a_trajectory_that_does_not_belong_to_the_images(frames, tmp_path):
    folder = links(tmp_path / "data", frames, lambda frame: f"{frame.number:06d}.jpg")
    stamped = [(frame.stamp, frame.pose) for frame in frames]
    with pytest.raises(VprError, match="cannot tell when the images were taken"):
        opened(folder, write_poses(tmp_path / "t.txt", stamped))
    with pytest.raises(VprError, match="found 19 poses and 20 images"):
        opened(folder, write_kitti(tmp_path / "k.txt", [pose for _, pose in stamped][1:]))
    (folder / "times.txt").write_text("1\n2\n")
    with pytest.raises(VprError, match="expected a line for each of the 20 images"):
        opened(folder, tmp_path / "t.txt")
    (folder / "times.txt").write_text("".join(f"{at}\n" for at in range(20)))
    with pytest.raises(VprError, match="no image of"):
        opened(folder, tmp_path / "t.txt")
    (folder / "times.txt").write_text("".join(f"{at}\n" for at in range(19)) + "x\n")
    with pytest.raises(VprError, match="line 20: expected a number of seconds"):
        opened(folder, tmp_path / "t.txt")
    with pytest.raises(VprError, match="cannot be read"):
        opened(folder, tmp_path / "missing.txt")
    (tmp_path / "binary.txt").write_bytes(bytes(range(128, 256)))
    with pytest.raises(VprError, match="cannot be read"):
        opened(folder, tmp_path / "binary.txt")


def test_lines_of_a_listing_that_repeat(tmp_path):
    for number in range(3):
        image(tmp_path / "rgb" / f"{number}.png", 40 * number)
    rows = [f"{number}.5 rgb/{number}.png\n" for number in range(3)]
    (tmp_path / "rgb.txt").write_text("".join(rows + rows))
    (tmp_path / "t.tum").write_text("".join(f"{number}.5 {number} 0 0 0 0 0 1\n" for number in range(3)))
    recording = open_input(tmp_path, InputOptions(trajectory=tmp_path / "t.tum"))
    assert len(list(recording)) == 3 and len(recording.skip_counts) == 3
