"""Loop closures of mode slam: how exact, how honest their covariances, and what the check of their consistency costs.

    python benchmarks/loop_closures.py kitti FOLDER              # kitti_clip (image_0, poses.txt, calib.txt), there and back
    python benchmarks/loop_closures.py street [--seeds 0 1 2]    # two laps of a drawn circuit; of the last seed, the second lap in the evening
    python benchmarks/loop_closures.py opposed [--seeds 3 4]     # a drawn street there and back: opposed views, houses that look alike

Each drive is driven twice: with exact odometry, and with one that ends 2 % of the distance away from the true end (`--exact`: the first alone). Errors are
against the exact relative pose of the two cameras. Inside: the part of the closures whose error is within the 95 % bound of chi squared with 6 degrees of
freedom. Sigma: root of the trace of the position's covariance; across: without the direction from one camera to the other, in which the scale of the
odometry is. Held back: measured closures that the engine does not publish, and how many of these were wrong by more than WRONG meters. The model is
fitted on another drawn street.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.pose_graph.drives import DRAWN_CAMERA, Seen, drawn_laps, drifted, kitti_there_and_back, opposed_drive
from vpr_aesvc import Describer, Frame, Intrinsics, PlaceMap, Pose, RecognizerSettings, open_backbone, train
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.onboard.loop_closure import LoopClosure, loop_closure
from vpr_aesvc.transforms import relative_pose, rotation_matrix

BOUND = 12.592  # of chi squared with 6 degrees of freedom, 95 %
WRONG = 1.0  # meters


def driven(
    model: Describer, seen: list[Seen], camera: Intrinsics, poses: list[Pose], recent: float
) -> tuple[list[LoopClosure], list[LoopClosure]]:
    """The closures that are published, and those that were held back."""
    settings, published, held = RecognizerSettings(recent_seconds=4.0, recent_meters=recent), [], []
    with tempfile.TemporaryDirectory() as folder, PlaceMap.create(Path(folder) / "m.vprmap", model) as place_map:
        engine = Engine(place_map, model, "slam", settings, KeyframeSettings(), "drive")
        for at, one in enumerate(seen):
            outcome = engine.process(
                IncomingFrame(
                    "",
                    Frame(str(at), stamp=one.stamp),
                    partial(np.asarray, one.image),
                    partial(replace, poses[at]),
                    (camera, one.image.shape[1::-1]),
                )
            )
            for thread in threading.enumerate():  # on a robot, learning ends before the next frame
                if thread.name.startswith("vpr_aesvc learning"):
                    thread.join()
            if outcome.loop_closure is not None:
                published.append(outcome.loop_closure)
            elif outcome.recognition is not None and outcome.recognition.accepted and outcome.place_id is not None:
                held.append(loop_closure(outcome.recognition, outcome.place_id))
    return published, held


def error_of(closure: LoopClosure, seen: list[Seen]) -> np.ndarray:
    """float64 [6], meters and radians, along and about the axes of the older camera."""
    exact = relative_pose(seen[closure.from_place - 1].pose, seen[closure.to_place - 1].pose)
    turn = cv2.Rodrigues(rotation_matrix(exact) @ rotation_matrix(closure.relative_pose).T)[0].ravel()
    return np.concatenate([np.subtract(exact.as_tuple()[:3], closure.relative_pose.as_tuple()[:3]), turn])


def sigmas(closure: LoopClosure) -> tuple[float, float]:
    """Of the position: whole, and across the direction to the other camera; meters."""
    covariance, step = closure.covariance[:3, :3], np.array(closure.relative_pose.as_tuple()[:3])
    ahead = step / np.linalg.norm(step)
    total = float(np.trace(covariance))
    return total**0.5, float(total - ahead @ covariance @ ahead) ** 0.5


def report(name: str, seen: list[Seen], found: tuple[list[LoopClosure], list[LoopClosure]]) -> None:
    metric = [one for one in found[0] if one.metric]
    held = [float(np.linalg.norm(error_of(one, seen)[:3])) for one in found[1]]
    row = [f"{len(found[0])} ({len(metric)})", f"{len(held)} ({sum(one > WRONG for one in held)})"]
    if metric:
        errors = np.array([error_of(one, seen) for one in metric])
        meters = np.linalg.norm(errors[:, :3], axis=1)
        squared = [
            float(error @ np.linalg.solve(one.covariance, error)) for error, one in zip(errors, metric, strict=True)
        ]
        widths = np.median([sigmas(one) for one in metric], axis=0)
        row += [
            f"{np.median(meters):.3f} / {np.quantile(meters, 0.9):.3f} / {meters.max():.2f}",
            f"{widths[0]:.3f} ({widths[1]:.3f})",
        ]
        row += [
            f"{np.degrees(np.median(np.linalg.norm(errors[:, 3:], axis=1))):.2f}",
            f"{np.mean(np.array(squared) < BOUND):.2f}",
        ]
    print("| " + " | ".join([name, *row]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kitti", "street", "opposed"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--recent-meters", type=float, default=15.0)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    drives: dict[str, tuple[list[Seen], Intrinsics]] = {}
    if given.what == "kitti":
        drives["kitti_clip"] = kitti_there_and_back(given.folder)
    for seed in given.seeds if given.what != "kitti" else ():
        if given.what == "street":
            evening = len(given.seeds) > 1 and seed == given.seeds[-1]
            seen = drawn_laps(seed=seed, evening=evening)
        else:
            seen = opposed_drive(seed=seed)
        drives[f"{given.what} {seed}"] = seen, DRAWN_CAMERA
    print(
        "| drive | published (metric) | held back (wrong) | m, median / 90 % / most | sigma (across) | degrees | inside |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        frames = [Frame(str(at), image=one.image) for at, one in enumerate(opposed_drive(seed=9))]
        model = train(frames, open_backbone("hog"), Path(folder) / "model", method="aesvc")
        for name, (seen, camera) in drives.items():
            exact = [one.pose for one in seen]
            report(f"{name}, exact", seen, driven(model, seen, camera, exact, given.recent_meters))
            if not given.exact:
                report(f"{name}, drifts", seen, driven(model, seen, camera, drifted(exact), given.recent_meters))


if __name__ == "__main__":
    main()
