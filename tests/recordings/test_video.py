"""Videos of the corridor's frames, as OpenCV writes them."""

import cv2
import numpy as np
import pytest

from tests.recordings.corridor import corridor_frames, pose_at
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions, SkipCounts
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import keyframes
from vpr_aesvc.recordings.decoded import decoded
from vpr_aesvc.transforms import distance

CODERS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "XVID"}


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:30]


@pytest.fixture(scope="module", params=sorted(CODERS))
def video(request, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / f"walk{request.param}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODERS[request.param]), 2, (512, 384))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV does not write {CODERS[request.param]}")
    for frame in frames:
        writer.write(cv2.imread(str(frame.path)))
    writer.release()
    return path


def write_trajectory(path, start):
    rows = [(start + at / 10, pose_at(1 + at / 5)) for at in range(160)]
    path.write_text("".join(" ".join(map(str, (stamp, *pose.as_tuple()))) + "\n" for stamp, pose in rows))
    return path


def test_frames_and_stamps(video, frames):
    recording = open_input(video)
    assert recording.is_recording
    found = list(recording)
    assert len(found) == len(recording) == 30
    assert [one.stamp for one in found] == pytest.approx([0.5 * at for at in range(30)], abs=1e-3)
    assert len({one.label for one in found}) == 30
    # pictures may be asked for late, and in any order
    for at in (29, 0, 7):
        picture = found[at].decode()
        assert picture.shape == (384, 512, 3)
        assert np.abs(picture.astype(int) - read_image(frames[at].path)).mean() < 8  # red is where red was


def test_decoding_ahead_in_a_thread_gives_the_same_pictures(video):
    recording = open_input(video)
    skip_counts = SkipCounts()
    ahead = [frame.image.tobytes() for frame in decoded(recording, skip_counts)]
    assert ahead == [one.decode().tobytes() for one in recording] and not len(skip_counts)


def test_keyframes_by_time_and_by_pose(video, frames, tmp_path):
    assert len(list(keyframes(open_input(video), KeyframeSettings(seconds=2)))) == 8
    trajectory = write_trajectory(tmp_path / "t.txt", 0)
    recording = open_input(video, InputOptions(trajectory=trajectory))
    poses = [one.pose for one in recording]
    assert all(distance(pose, frame.pose) < 0.01 for pose, frame in zip(poses, frames, strict=True))
    # on a circle of 3.77 m, two frames lie 5 m apart where ten steps are between them
    assert len(list(keyframes(recording, KeyframeSettings(meters=5, degrees=180)))) == 3


def test_a_trajectory_on_another_clock(video, tmp_path):
    with pytest.raises(VprError, match="seconds from the beginning of"):
        open_input(video, InputOptions(trajectory=write_trajectory(tmp_path / "t.txt", 1.7e9)))
    (tmp_path / "kitti.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(VprError, match="KITTI format, which has no stamps"):
        open_input(video, InputOptions(trajectory=tmp_path / "kitti.txt"))


def test_units_and_lost_poses_are_said(video, frames, tmp_path):
    times = [at / 2 for at in range(len(frames) + 2)]

    def said(name, stamps):
        (tmp_path / name).write_text("".join(f"{stamp} {at} 0 0 0 0 0 1\n" for at, stamp in enumerate(stamps)))
        recording = open_input(video, InputOptions(trajectory=tmp_path / name))
        posed = [frame.pose for frame in recording]
        assert len(list(recording)) == len(posed)  # a second time, which says nothing twice
        return [note for note in recording.notes if "stamps" in note or "no pose" in note], posed

    assert said("s.txt", times)[0] == []
    for power, unit in ((3, "milliseconds"), (6, "microseconds"), (9, "nanoseconds")):
        notes, posed = said(unit, [f"{at * 10**power:.0f}" for at in times])
        assert notes == [f"stamps of the trajectory: taken to be {unit}, which fit the others"] and None not in posed
        assert posed[4].x == pytest.approx(4, abs=0.01)
    for name, stamps in (("part.txt", times[: len(times) // 8]), ("sparse.txt", times[::5])):
        (note,), posed = said(name, stamps)
        assert note.startswith(f"{posed.count(None)} of {len(frames)} images have no pose") and posed.count(None) > 2


def test_cut_short(video, tmp_path):
    cut = tmp_path / video.name
    cut.write_bytes(video.read_bytes()[: int(0.6 * video.stat().st_size)])
    if video.suffix == ".mp4":  # its index stood at the end
        with pytest.raises(VprError, match="was not closed has no index"):
            open_input(cut)
        return
    with pytest.raises(VprError, match=r"pictures end after [\d.]+ of 15.0 s.*--keep-good"):
        list(open_input(cut))
    recording = open_input(cut, InputOptions(keep_good=True))
    assert 10 < len(list(recording)) < 25
    assert list(recording.skip_counts.counts) == ["the rest of the video, damaged"]


def test_not_a_video(tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear reader")
    with pytest.raises(VprError, match=r"letter\.mp4: not a video"):
        open_input(tmp_path / "letter.mp4")
    (tmp_path / "empty.avi").touch()
    with pytest.raises(VprError, match=r"empty\.avi: not a video"):
        open_input(tmp_path / "empty.avi")
