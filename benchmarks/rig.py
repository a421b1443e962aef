"""Several cameras of one robot as a rig, beside each camera alone and beside accepting whatever any camera is sure of, in one run.

    python benchmarks/rig.py IE_TOWER CORRIDOR_LOOP --backbone SPEC [--json FILE]

Each column is a requested false-positive rate, each cell: frames accepted / right / wrong inside the map / accepted outside the map.
`best camera` is the one with the most right matches, chosen in hindsight at each rate. `any camera` takes the match with the lowest
false-positive rate, if that is within the requested one. `the rig` is `decide_rig`, as in the ROS node with `rig: true`.

Corridor: a map of lap 1 of CORRIDOR_LOOP. Inside are laps 2 and 3, with odometry and in sequence; a match is right if it puts the robot within
3 frames (1.8 m). Outside are the query clips of IE_TOWER. Two or four cameras have real pictures 10 frames (6 m) apart along the loop, and
look at different places. Halves of a picture are two cameras that look at nearly the same.

Tower: a map of every second floor of IE_TOWER, halves of a picture, one frame at a time, no poses. Outside are all frames of the other floors;
a match is right if its place is of the same clip and within 3 s.

The model is trained on the database frames of each set, by whitening. Nothing is fitted to a query. Takes about 5 minutes
on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.recordings.corridor import LAP, SMEARED, START, STEP, CorridorFrame, corridor_frames, pose_at
from vpr_aesvc import Describer, PlaceMap, open_backbone, open_input, read_image, train
from vpr_aesvc.backbones import BACKBONE_HELP
from vpr_aesvc.images import image_of
from vpr_aesvc.onboard.body_pose import base_pose
from vpr_aesvc.onboard.relocalization import Sighting
from vpr_aesvc.onboard.rig import RigView, decide_rig
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.run import RunFollower
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.transforms import compose, distance, relative_pose
from vpr_aesvc.types import Frame, Image, Pose

RATES = 0.003, 0.01, 0.02, 0.05, 0.1
SPACING = 10  # frames of the corridor from one camera to the next
HALVES = {"left": Pose.planar(0, 0, 0.26), "right": Pose.planar(0, 0, -0.26)}  # mounts: 15 degrees to each side
ANY, RIG = "any camera", "the rig"
Mounts = dict[str, Pose]  # of the cameras in the base frame
Views = dict[str, RigView]  # by camera
Counts = NDArray[np.float64]  # [3]: right, wrong, accepted from outside


@dataclass(frozen=True)
class RigFrame:
    """One frame of each camera, taken at the same time. ``truth``: where, by pose or by clip and stamp; None outside the map."""

    frames: dict[str, Frame]
    truth: Frame | None

    def is_right(self, view: RigView) -> bool:
        assert self.truth is not None
        if self.truth.pose is not None:
            return view.base is not None and distance(view.base.base, self.truth.pose) <= 3 * STEP + 0.01
        place = view.recognition.best.place
        return place.traverse == self.truth.sequence and abs(place.stamp - self.truth.stamp) <= 3


@dataclass(frozen=True)
class Setup:
    """Each of ``runs`` is recognized as a new sequence."""

    title: str
    mounts: Mounts
    places: list[Frame]
    runs: list[list[RigFrame]]
    sequence: bool = True


Found = list[tuple[RigFrame, Views]]


def frames_of(paths: Iterable[Path], mounts: Mounts, stamp: float, base: Pose | None = None) -> dict[str, Frame]:
    """By camera, each with its own picture."""
    poses = {camera: None if base is None else compose(base, mount) for camera, mount in mounts.items()}
    return {
        camera: Frame(f"{path}/{camera}", stamp=stamp, pose=poses[camera], decode=partial(cut, path, camera))
        for camera, path in zip(mounts, paths, strict=True)
    }


def cut(path: Path, camera: str) -> Image:
    """A picture, or the half of it that the camera is named after."""
    image = read_image(path)
    middle = image.shape[1] // 2
    return np.ascontiguousarray({"left": image[:, :middle], "right": image[:, middle:]}.get(camera, image))


def corridor_setup(title: str, folder: Path, tower: Sequence[Frame], mounts: Mounts) -> Setup:
    """Unless the cameras are halves of one picture, the map has the pictures of the first one only."""
    spacing = 0 if mounts is HALVES else SPACING
    usable = [frame for frame in corridor_frames(folder) if frame.number != SMEARED]
    later = [frame for frame in usable if frame.lap > 1]
    mapped = dict(list(mounts.items())[: 1 if spacing else None])
    stored = [frames_of([one.path] * len(mapped), mapped, one.stamp, one.pose) for one in usable if one.lap == 1]
    inside = []
    for one in later:
        paths = [picture_at(later, one.number + spacing * at).path for at in range(len(mounts))]
        inside.append(RigFrame(frames_of(paths, mounts, one.stamp, one.pose), Frame("truth", pose=one.pose)))
    outside = [clip_run(clip, mounts, spacing > 0) for clip in clips(tower) if clip[0].split == "query"]
    return Setup(title, mounts, [frame for frames in stored for frame in frames.values()], [inside, *outside])


def picture_at(later: Sequence[CorridorFrame], number: int) -> CorridorFrame:
    """The frame of this number; beyond the last one the next along the loop, from its begin."""
    return min(later, key=lambda frame: (frame.number - number) % LAP)


def tower_setup(title: str, tower: Sequence[Frame]) -> Setup:
    mapped = set(sorted({frame.extra["floor"] for frame in tower})[::2])
    places, runs = [], []
    for clip in clips(tower):
        is_mapped, run = clip[0].extra["floor"] in mapped, clip_run(clip, HALVES, apart=False)
        if is_mapped and clip[0].split == "database":
            places += [replace(one, sequence=clip[0].sequence) for each in run for one in each.frames.values()]
        else:
            truths = clip if is_mapped else [None] * len(clip)
            runs.append([replace(one, truth=truth) for one, truth in zip(run, truths, strict=True)])
    return Setup(title, HALVES, places, runs, sequence=False)


def clips(frames: Iterable[Frame]) -> list[list[Frame]]:
    """The frames by clip, in order, with stamps."""
    found = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: (frame.split, frame.sequence, frame.index)):
        found[frame.split, frame.sequence].append(replace(frame, stamp=START + frame.index))
    return list(found.values())


def clip_run(clip: Sequence[Frame], mounts: Mounts, apart: bool) -> list[RigFrame]:
    """All cameras see the same picture of the clip, or ``apart`` different parts of it."""
    step = max(1, len(clip) // len(mounts)) if apart else 0
    paths = [[clip[(at + step * camera) % len(clip)].path for camera in range(len(mounts))] for at in range(len(clip))]
    return [RigFrame(frames_of(each, mounts, frame.stamp), None) for each, frame in zip(paths, clip, strict=True)]


def recognize(setup: Setup, describer: Describer, path: Path) -> Found:
    """Makes the map, and recognizes each camera of each rig frame in it."""
    settings, found = RecognizerSettings(sequence=setup.sequence), []
    with PlaceMap.create(path, describer) as place_map:
        images = [image_of(frame) for frame in setup.places]
        place_map.add(setup.places, np.stack([describer.describe(image) for image in images]), images)
        learned = Recognizer(place_map, describer, settings).learned
        recognizers = {name: Recognizer(place_map, describer, settings, learned=learned) for name in setup.mounts}
        followers = {name: RunFollower(recognizer) for name, recognizer in recognizers.items()}
        for run in setup.runs:
            for follower in followers.values():
                follower.reset()
            for one in run:
                views = {name: view(followers[name], frame, setup.mounts[name]) for name, frame in one.frames.items()}
                found.append((one, views))
    return found


def view(follower: RunFollower, frame: Frame, mount: Pose) -> RigView:
    match = follower.recognize(frame)
    known = match.pose is not None and match.covariance is not None
    return RigView(match, Sighting(*base_pose(match.pose, match.covariance, mount)) if known else None)


def rate_of(view: RigView) -> float:
    return view.recognition.false_positive_rate


def accepted_view(decision: str, views: Views, rate: float) -> RigView | None:
    """The view whose match is accepted at this rate by ``decision``: ANY, RIG, or a camera."""
    decided = {
        camera: replace(view, recognition=replace(view.recognition, accepted=rate_of(view) <= rate))
        for camera, view in views.items()
    }
    if decision == RIG:
        camera, joint = decide_rig(decided, rate)
        return decided[camera] if joint.accepted else None
    one = min(decided.values(), key=rate_of) if decision == ANY else decided[decision]
    return one if one.recognition.accepted else None


def count(found: Found, decision: str, rate: float) -> Counts:
    counts = np.zeros(3)
    for one, views in found:
        accepted = accepted_view(decision, views, rate)
        if accepted is not None:
            counts[2 if one.truth is None else 0 if one.is_right(accepted) else 1] += 1
    return counts


def rows(found: Found, cameras: Iterable[str], rate: float) -> dict[str, Counts]:
    alone = [count(found, camera, rate) for camera in cameras]
    if len(alone) == 1:
        return {"the camera": alone[0]}
    best = max(alone, key=lambda counts: (counts[0], *-counts[1:]))
    joint = {decision: count(found, decision, rate) for decision in (ANY, RIG)}
    return {"best camera": best, "each camera, mean": np.mean(alone, axis=0), **joint}


def report(setup: Setup, found: Found) -> dict[float, dict[str, list[float]]]:
    """Prints a table, and returns its numbers."""
    outside = [views for one, views in found if one.truth is None]
    inside = len(found) - len(outside)
    print(f"{setup.title}: {len(setup.places)} places, {inside} frames inside, {len(outside)} outside")
    table = {rate: rows(found, setup.mounts, rate) for rate in RATES}
    print(" " * 18 + "".join(f"{rate:>18.1%}" for rate in RATES))
    for name in table[RATES[0]]:
        cells = [(counts[0] + counts[1], *counts) for counts in (table[rate][name] for rate in RATES)]
        print(f"{name:18}" + "".join(f"{'/'.join(f'{number:.3g}' for number in cell):>18}" for cell in cells))
    deceived = [list(views.values()) for views in outside if accepted_view(ANY, views, 0.05)]
    agree = sum(all(one.agrees(other) for one, other in combinations(views, 2)) for views in deceived)
    if deceived:
        print(f"outside, a camera below 5 %: {len(deceived)} frames; all cameras agree at {agree} of them")
    print(flush=True)
    return {rate: {name: counts.tolist() for name, counts in lines.items()} for rate, lines in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ie_tower", type=Path)
    parser.add_argument("corridor_loop", type=Path)
    parser.add_argument("--backbone", required=True, help=BACKBONE_HELP)
    parser.add_argument("--json", type=Path, help="write the numbers: right, wrong, accepted outside, by rate")
    args = parser.parse_args()
    tower = list(open_input(args.ie_tower).frames)
    cameras = {f"camera {at + 1}": relative_pose(pose_at(1), pose_at(1 + SPACING * at)) for at in range(4)}
    rigs = {f"cameras: {number}": dict(list(cameras.items())[:number]) for number in (1, 2, 4)}
    rigs["halves of a picture"] = HALVES
    setups = [corridor_setup(f"Corridor, {name}", args.corridor_loop, tower, mounts) for name, mounts in rigs.items()]
    setups.append(tower_setup("Tower, halves of a picture", tower))
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        models = {}
        for folder, name in ((args.ie_tower, "Tower"), (args.corridor_loop, "Corridor")):
            source = open_input(folder).split("database")
            models[name] = train(source, open_backbone(args.backbone), Path(temporary, name), method="aesvc")
        for setup in setups:
            describer = models[setup.title.split(",")[0]]
            results[setup.title] = report(setup, recognize(setup, describer, Path(temporary, f"{setup.title}.vprmap")))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
