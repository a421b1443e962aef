"""`vpr eval`: the scores of a drive, counted again here from the poses alone."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recordings.bags.bags import camera_pose, write_bag
from tests.recordings.corridor_bags import corridor_bags  # noqa: F401
from vpr_aesvc import Match, Place, PlaceMap, Pose
from vpr_aesvc.evaluation.drive import VARIANTS, Drive, DriveFrame, FrameAnswer
from vpr_aesvc.evaluation.drive_measures import Elapsed, FirstFix, counted_distances, measure_drive
from vpr_aesvc.images import read_image
from vpr_aesvc.recognition.result import Recognition

NAMES = [variant.name for variant in VARIANTS]


def evaluated(folder, *words):
    done = vpr("eval", *words, "-o", folder)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "drive.json").read_text()), done


def positions(frames):
    return np.array([camera_pose(frame).as_tuple()[:3] for frame in frames])


def count(found, variant, errors, nearest, distance):
    """Recall, precision and recall of the accepted matches, by loops over frames."""
    accepted = [frame["answers"][variant]["accepted"] for frame in found["frames"]]
    recognizable = sum(near <= distance for near in nearest)
    right = sum(error <= distance for error in errors)
    kept = sum(error <= distance and yes for error, yes in zip(errors, accepted, strict=True))
    return right / recognizable, kept / sum(accepted) if any(accepted) else None, kept / recognizable


def check_counts(found, distances, errors, nearest):
    for variant, numbers in found["forms"].items():
        for distance in distances:
            recall, precision, kept = count(found, variant, errors[variant], nearest, distance)
            key = f"{distance:g}"
            assert numbers["recall"][key] == pytest.approx(recall)
            assert numbers["accepted_recall"][key] == pytest.approx(kept)
            assert numbers["precision"][key] == (None if precision is None else pytest.approx(precision))


def test_a_run_in_a_map(corridor_bags, tmp_path):  # noqa: F811
    found, done = evaluated(tmp_path / "out", corridor_bags.later, "--map", corridor_bags.map)
    run, places = positions(corridor_bags.later_frames), positions(corridor_bags.frames[:40])
    frames = found["frames"]
    assert not found["loops"] and np.allclose([frame["position"] for frame in frames], run, atol=1e-6)
    apart = np.linalg.norm(run[:, None] - places, axis=2)
    assert np.allclose([frame["nearest"] for frame in frames], apart.min(1), atol=1e-6)
    errors = {
        name: [apart[at, frame["answers"][name]["place"] - 1] for at, frame in enumerate(frames)] for name in NAMES
    }
    check_counts(found, (1, 5, 10, 25), errors, apart.min(1))
    both = found["forms"]["with both"]
    assert both["recall"]["1"] >= 0.97 and both["precision"]["5"] == 1 and both["accepted_recall"]["1"] > 0.65
    assert both["precision"]["1"] >= 0.97  # a frame that is not verified may be answered by the place after the nearest
    assert found["forms"]["single frame"]["accepted"] == 0  # forty places teach nothing at 1 %
    assert both["first_fix"] == {"seconds": 0.0, "meters": 0.0, "right": True}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["drive.json", "report.html"]
        + [f"{name}.{kind}" for name in ("trajectory", "precision_recall", "reliability") for kind in ("png", "svg")]
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 3 and "<script" not in page and "url(http" not in page
    assert not re.search(r'src="(?!data:image/jpeg)', page)
    refused_frames = [
        frame["answers"]["with both"] for frame in frames if not frame["answers"]["with both"]["accepted"]
    ]
    gallery = page.split("<h2>Failures</h2>")[1].split("</p>", 1)[1]
    far = sum(
        frame["answers"]["with both"]["accepted"] and error > 1
        for frame, error in zip(frames, errors["with both"], strict=True)
    )
    assert 0 < gallery.count("– not accepted") <= min(24, len(refused_frames)) and gallery.count("✗") == far <= 1
    assert all(f'<p class="reason">{one["why"]}</p>' in page for one in refused_frames[:1])
    assert page.index("<p>Out of 100 frames") < page.index("in 9 of 10 cases") < page.index("It fails longest from")
    assert (
        page.index("It fails longest from")
        < page.index("<svg")
        < page.index("44 of them lie within 1 m of a place of the map")
    )
    placed = found["forms"]["with both"]["accepted"] / len(frames) * 100
    right, wrong = (float(re.search(rf"([\d.]+) are placed {which}", done.stdout)[1]) for which in ("right", "wrong"))
    assert right + wrong == pytest.approx(placed, abs=0.11)
    assert "44 of them lie within 1 m of a place of the map" in page and f"{both['recall']['1']:.3f}" in done.stdout
    picture = read_image(tmp_path / "out" / "trajectory.png").astype(int)
    green = (np.abs(picture - (21, 127, 61)).sum(2) < 30).sum()
    red = (np.abs(picture - (214, 39, 40)).sum(2) < 30).sum()
    assert green > 2000 and (red > 0) == (far > 0)


@pytest.fixture(scope="module")
def loops(corridor_bags, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("loops") / "out"
    return evaluated(folder, corridor_bags.whole, "-m", corridor_bags.model, "--keyframe-meters", "1.1")


def test_loops_within_a_run(corridor_bags, loops):  # noqa: F811
    found, done = loops
    frames = found["frames"]
    assert found["loops"] and 40 <= len(frames) <= 43 and "Distances above 10 m are not counted" in done.stdout
    stamps = np.array([frame["stamp"] for frame in frames])
    where = np.array([frame["position"] for frame in frames])
    by_stamp = {frame.stamp: camera_pose(frame).as_tuple()[:3] for frame in corridor_bags.frames}
    assert np.allclose(where, [by_stamp[stamp] for stamp in stamps], atol=1e-6)
    driven = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(where[:, :2], axis=0), axis=1))])
    nearest, errors = [], {name: [] for name in NAMES}
    for at, frame in enumerate(frames):
        old = [
            before for before in range(at) if stamps[at] - stamps[before] >= 10 and driven[at] - driven[before] >= 15
        ]
        nearest.append(min((np.linalg.norm(where[at] - where[before]) for before in old), default=math.inf))
        for name in NAMES:
            place = frame["answers"][name]["place"] - 1  # places are numbered as they were added
            assert place in old if old else place == -2
            errors[name].append(np.linalg.norm(where[at] - where[place]) if old else math.inf)
    assert np.allclose([math.inf if f["nearest"] is None else f["nearest"] for f in frames], nearest, atol=1e-6)
    check_counts(found, (1, 5, 10), errors, nearest)
    assert set(found["forms"]["with both"]["recall"]) == {"1", "5", "10"}
    assert "an earlier place that is not recent" in done.stdout


def test_loops_of_the_real_corridor_are_found(corridor_loop, mobilenet, loops):
    both = loops[0]["forms"]["with both"]
    assert both["recall"]["1"] > 0.8 and both["precision"]["1"] == 1
    assert both["accepted"] >= 3  # of so few places little is learned


def drive_of(errors, accepted, nearest=None, step=2.0):
    """A straight run, one frame per second, ``step`` meters apart; all variants give the same answers."""
    drive = Drive(loops=False, recent_meters=0.0)
    for at, (error, yes) in enumerate(zip(errors, accepted, strict=True)):
        answer = FrameAnswer(at, (step * at, error, 0.0), error, 0.9 - 0.01 * at, 0.001 if yes else 0.5, yes)
        answers = dict.fromkeys(NAMES, answer)
        near = 0.5 if nearest is None else nearest[at]
        drive.frames.append(DriveFrame(str(at), 100.0 + at, (step * at, 0.0, 0.0), step * at, near, answers))
    return drive


def test_fixes_are_timed():
    yes = [False, False, True, True, False, False, False, True, False, False]
    one = measure_drive(drive_of([0, 0, 9, 0, 0, 0, 0, 0, 0, 0], yes), threshold=1.0).variants["with both"]
    assert one.first_fix == FirstFix(2.0, 4.0, right=False)
    assert one.without_fix == Elapsed(4.0, 8.0) and one.accepted == 3  # from 3 to 7; the wrong fix at 2 is none
    assert one.gap == (3, 7) and math.isinf(one.wait.seconds)  # from 2 of 10 frames on there is none
    last = measure_drive(drive_of([0] * 10, [*yes[:9], True]), threshold=1.0).variants["with both"]
    assert last.wait == Elapsed(2.0, 4.0)  # waits of 2, 1, 0, 0, 3, 2, 1, 0, 1 and 0 s
    assert one.precision == {1.0: pytest.approx(2 / 3), 5.0: pytest.approx(2 / 3), 10.0: 1.0, 25.0: 1.0}
    assert one.recall[1.0] == 0.9 and one.accepted_recall[1.0] == 0.2 and one.accepted_recall[10.0] == 0.3
    never = measure_drive(drive_of([0] * 4, [False] * 4), threshold=1.0).variants["with both"]
    assert never.first_fix is None and never.without_fix == Elapsed(3.0, 6.0) and math.isnan(never.precision[1.0])
    # An interval counts only where frames are recognizable.
    away = measure_drive(drive_of([99] * 3 + [0] * 4, [False] * 6 + [True], [99] * 3 + [0.5] * 4), threshold=1.0)
    assert away.recognizable == {1.0: 4, 5.0: 4, 10.0: 4, 25.0: 4}
    both = away.variants["with both"]
    assert both.first_fix == FirstFix(3.0, 6.0, right=True) and both.without_fix == Elapsed(3.0, 6.0)


def test_a_clock_that_jumps_back_takes_no_time():
    drive = drive_of([0] * 6, [True] + [False] * 4 + [True])
    stamps = [100.0, 101.0, 102.0, 90.0, 91.0, 92.0]
    drive.frames = [replace(frame, stamp=stamp) for frame, stamp in zip(drive.frames, stamps, strict=True)]
    assert drive.times.tolist() == [0, 1, 2, 2, 3, 4]
    assert measure_drive(drive, threshold=1.0).variants["with both"].without_fix.seconds == 4.0


def test_the_distance_that_counts_follows_the_run():
    assert measure_drive(drive_of([0] * 5, [True] * 5)).threshold == 1.0
    assert measure_drive(drive_of([0] * 5, [True] * 5, step=30.0)).threshold == 5.0
    assert measure_drive(drive_of([0] * 5, [True] * 5, step=300.0)).threshold == 25.0
    asked = measure_drive(drive_of([0, 2, 4, 6, 8], [True] * 5), threshold=3.0)
    assert asked.threshold == 3.0 and asked.variants["with both"].precision[3.0] == 0.4 and 3.0 in asked.recognizable
    loops = drive_of([0] * 5, [True] * 5)
    loops.loops, loops.recent_meters = True, 10.0
    assert counted_distances(loops) == (1.0, 5.0)


def test_a_match_with_a_place_without_a_pose_is_neither_right_nor_wrong():
    where = np.zeros(3)
    posed = [Place(1, "a", "run", pose=Pose(9.0, 0.0)), Place(2, "b", "run"), Place(3, "c", "run", pose=Pose(0.2, 0.0))]
    drive = Drive(loops=False, recent_meters=0.0)
    answers = [drive.answer("with both", where, Recognition(True, "", Match(place, 0.9))) for place in posed]
    assert [answer.accepted for answer in answers] == [True, False, True] and drive.unjudged["with both"] == 1
    assert [answer.error for answer in answers] == [9.0, np.inf, pytest.approx(0.2)]


def test_what_cannot_be_judged(corridor_bags, tmp_path):  # noqa: F811
    out = ("-o", tmp_path / "out")
    refused(vpr("eval", corridor_bags.later, *out), "-m MODEL")
    unposed = write_bag(tmp_path / "unposed", corridor_bags.later_frames[:2], compressed=True, poses=None)
    for words in (["--map", corridor_bags.map], ["-m", corridor_bags.model]):
        refused(vpr("eval", unposed, *words, *out), "no frame has a pose")
    moved = tmp_path / "moved.vprmap"
    shutil.copy(corridor_bags.map, moved)
    with PlaceMap.open(moved) as place_map:
        place_map.set_poses({place: Pose(300.0, 400.0) for place in place_map.places()})
    refused(vpr("eval", corridor_bags.later, "--map", moved, *out), "no frame lies within 25 m")
    refused(vpr("eval", corridor_bags.later, "--map", moved, "-o", tmp_path), "exists already")
    near = ("--within", "15")
    refused(
        vpr("eval", corridor_bags.whole, "-m", corridor_bags.model, *near, *out), "must be less than --recent-meters"
    )
    idle = [("--rate", "2"), ("--recent-meters", "0.5")]
    for words in idle:
        refused(vpr("eval", corridor_bags.whole, "-m", corridor_bags.model, *words, *out), words[0])
    for words in [("--keyframe-meters", "2"), ("--recent-seconds", "3")]:
        refused(vpr("eval", corridor_bags.later, "--map", corridor_bags.map, *words, *out), f"{words[0]} is for loops")
    rate = ("--false-positive-rate", "0.9")
    refused(vpr("eval", corridor_bags.later, "--map", corridor_bags.map, *rate, *out), "--false-positive-rate")
    assert not (tmp_path / "out").exists()
