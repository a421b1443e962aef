"""Recordings -> keyframes: real bags of the corridor, with what goes wrong on a robot written into them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.recordings.bags.bags import BagWriter, write_bag
from tests.recordings.corridor import PERIOD, START, STEP, corridor_frames, pose_at
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import SelectionStats, keyframes, write_keyframes


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)


@pytest.fixture(scope="module")
def lap(frames, tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "lap", frames[:39], compressed=True, static_tf=False)


def numbers(chosen):
    return [round((frame.stamp - START) / PERIOD) + 1 for frame in chosen]


def chosen_of(path, **settings):
    recording, stats = open_input(path), SelectionStats()
    chosen = [replace(f, image=None) for f in keyframes(recording, KeyframeSettings(**settings), stats)]
    return chosen, recording, stats


class CountingRecording:
    """A recording that counts the decoded images."""

    def __init__(self, recording):
        self.recording, self.decoded = recording, 0
        self.skip_counts, self.path = recording.skip_counts, recording.path

    def __len__(self):
        return len(self.recording)

    def __iter__(self):
        for frame in self.recording:
            yield replace(frame, decode=lambda frame=frame: self._decode(frame))

    def _decode(self, frame):
        self.decoded += 1
        return frame.decode()


def test_by_distance_and_by_angle(lap):
    every, _, stats = chosen_of(lap)
    assert numbers(every) == list(range(1, 40))
    assert (stats.frames, stats.tried, stats.taken) == (39, 39, 39)
    assert stats.meters == pytest.approx(38 * STEP, rel=0.01)
    # steps of 9.1 degrees and .6 m (.5994 m as the crow flies): two are more than 1 m and more than 15 degrees
    assert numbers(chosen_of(lap, meters=1.0, degrees=180)[0]) == list(range(1, 40, 2))
    assert numbers(chosen_of(lap, meters=100, degrees=15)[0]) == list(range(1, 40, 2))
    assert numbers(chosen_of(lap, meters=100, degrees=40)[0]) == list(range(1, 40, 5))


def test_by_time_without_poses(frames, tmp_path):
    bag = write_bag(tmp_path / "no_poses", frames[:20], compressed=True, poses=None)
    assert numbers(chosen_of(bag)[0]) == list(range(1, 20, 2))
    assert numbers(chosen_of(bag, seconds=2)[0]) == list(range(1, 20, 4))
    assert len(chosen_of(bag, seconds=0)[0]) == 20


def test_a_run_that_was_played_twice_does_not_drive_from_its_end_to_its_start(frames, tmp_path):
    with BagWriter(tmp_path / "twice") as bag:
        for play in (0, 100):
            for one in frames[:11]:
                bag.odometry(one.pose, one.stamp, received=one.stamp + play)
                bag.compressed(one.path.read_bytes(), one.stamp, received=one.stamp + play)
    stats = SelectionStats()
    assert len(list(keyframes(open_input(tmp_path / "twice"), stats=stats))) == 22
    assert "22 images in 10.0 s, 12.0 m traveled" in stats.line()


def test_only_chosen_frames_are_decoded(lap):
    recording, stats = CountingRecording(open_input(lap)), SelectionStats()
    assert len(list(keyframes(recording, KeyframeSettings(meters=2, degrees=180), stats))) == 10
    assert recording.decoded == stats.tried == 10 and stats.frames == 39


def write_run(path: Path, pictures, step=0.1) -> Path:
    """Pictures ``step`` seconds apart along the loop, at one frame number (0.6 m) a second."""
    with BagWriter(path) as bag:
        for at, picture in enumerate(pictures):
            stamp = START + at * step
            bag.odometry(pose_at(1 + at * step), stamp)
            if isinstance(picture, bytes):
                bag.compressed(picture, stamp)
            else:
                bag.compressed(Path(picture).read_bytes(), stamp)
    return path


def test_what_shows_nothing_is_left_out_and_the_next_is_tried(frames, tmp_path):
    import cv2

    black = bytes(cv2.imencode(".jpg", np.zeros((384, 512, 3), np.uint8))[1])
    whole = [frames[int(at / 10)].path for at in range(100)]  # each picture for a second: ten times 6 cm
    pictures = list(whole)
    pictures[30] = pictures[31] = black
    pictures[50] = Path(frames[5].path).read_bytes()[:4000]  # cut off
    found, recording, stats = chosen_of(write_run(tmp_path / "run", pictures), meters=0.6 - 0.002, degrees=180)
    taken = [round((frame.stamp - START) * 10) for frame in found]
    # 0, 10, 20; 30 and 31 are black, 32 is taken, and distances are measured from there; 50 is not asked for
    assert taken == [0, 10, 20, 32, 42, 52, 62, 72, 82, 92]
    assert recording.skip_counts.counts == {"black": 2}
    assert stats.tried == 12 and stats.taken == 10
    pictures[52] = pictures[50]
    found, recording, _ = chosen_of(write_run(tmp_path / "worse", pictures), meters=0.6 - 0.002, degrees=180)
    assert [round((frame.stamp - START) * 10) for frame in found][5:7] == [53, 63]
    assert recording.skip_counts.counts == {"black": 2, "images that cannot be read": 1}
    assert "truncated" in recording.skip_counts.examples["images that cannot be read"][0]


def test_a_camera_that_hangs_gives_one_place(frames, tmp_path):
    pictures = [frames[0].path] * 10 + [frames[1].path] * 60 + [frames[7].path] * 10
    found, recording, _ = chosen_of(write_run(tmp_path / "hangs", pictures))
    taken = [round((frame.stamp - START) * 10) for frame in found]
    assert taken[0] == 0 and taken[1] == 10 and taken[2] == 70
    assert set(recording.skip_counts.counts) == {"frozen"}


def test_two_passes_give_the_same(lap):
    recording = open_input(lap)
    first = [(f.label, f.stamp, f.image.tobytes()) for f in keyframes(recording)]
    again = [(f.label, f.stamp, f.image.tobytes()) for f in keyframes(recording)]
    assert first == again and len(first) == 39


def test_as_files(lap, tmp_path):
    found = write_keyframes(open_input(lap), tmp_path, KeyframeSettings(meters=2, degrees=180))
    assert [frame.path.name for frame in found] == [f"{number:06d}.jpg" for number in range(1, 11)]
    assert all(frame.sequence == "lap" and frame.pose is not None for frame in found)
    original = next(iter(open_input(lap))).decode()
    assert np.abs(read_image(found[0].path).astype(int) - original).mean() < 3


def test_nothing_of_use_is_said_so(tmp_path):
    import cv2

    black = bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1])
    with pytest.raises(VprError, match=r"no image can be used \(5 black"):
        write_keyframes(open_input(write_run(tmp_path / "dark", [black] * 5, step=2)), tmp_path)
