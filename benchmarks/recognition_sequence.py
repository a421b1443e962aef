"""What the sequence filter adds to a single frame on real runs, compared with SeqSLAM; and what a step costs.

    python benchmarks/recognition_sequence.py IE_TOWER CORRIDOR_LOOP --backbone SPEC [--json FILE]

The projection is closed-form whitening, fitted to the database frames of the set and shrunk by --shrinkage toward its mean eigenvalue. `R@1`
is the part of the queries whose best place is right, `at_full_precision` the recall at the lowest threshold that accepts nothing wrong (chosen
in hindsight); the other numbers are for the default threshold. A clip of IE_TOWER is a sequence; its index is in seconds. SeqSLAM is told the
number of places per frame within 20 %, and the direction; the filter is not.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.seqslam import SPEEDS, seqslam
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.linear import whitening
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, SequenceFilter, SequenceSettings
from vpr_aesvc.recognition.sequence.forward_backward import smooth
from vpr_aesvc.recognition.sequence.likelihood import learn_similarity_likelihood
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.types import Frame, Odometry

_EXCLUDED = 20  # the last frames of a growing map
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class EmbeddedSet:
    """The frames of one set, their embeddings, and the projection fitted to the database."""

    frames: list[Frame]
    embeddings: Floats
    projection: Projection

    @classmethod
    def read(cls, path: Path, backbone: str, embeddings: Path | None, shrinkage: float) -> EmbeddedSet:
        frames = list(open_input(path).frames)
        if embeddings:
            rows = read_embeddings(embeddings, frames).look_up(frames)
        else:
            rows = extract(open_backbone(backbone), frames).embeddings
        database = np.array([frame.split == "database" for frame in frames])
        fitted = whitening(TrainingData.of(rows[database]), shrinkage / (1 - shrinkage))
        return cls(frames, rows, fitted)

    def part(self, split: str) -> tuple[list[Frame], NDArray[np.int64]]:
        rows = np.array([at for at, frame in enumerate(self.frames) if frame.split == split])
        return [self.frames[at] for at in rows], rows


def score(rows: Floats, scores: Floats, right: NDArray[np.bool_], accepted: NDArray[np.bool_] | None) -> dict:
    hit = right[np.arange(len(rows)), np.asarray(rows, int)]
    level = scores[~hit].max(initial=-np.inf)
    line = {"R@1": float(hit.mean()), "at_full_precision": float((hit & (scores > level)).mean())}
    if accepted is not None:
        first = np.flatnonzero(accepted & hit)
        line |= {
            "recall": float((accepted & hit).mean()),
            "precision": float(hit[accepted].mean()) if accepted.any() else 1.0,
            "wrong": int((accepted & ~hit).sum()),
            "first_right": int(first[0]) + 1 if len(first) else None,
        }
    return line


def answers(beliefs: list[Belief]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    row, probability, accepted = zip(*((b.row, b.probability, b.accepted) for b in beliefs), strict=True)
    return np.array(row), np.array(probability), np.array(accepted)


def compare(run: EmbeddedSet, by_second: bool) -> dict[str, dict]:
    """Single frame, SeqSLAM, filter and smoother on the queries of a set."""
    database, places = run.part("database")
    queries, query_rows = run.part("query")
    described = run.projection(run.embeddings)
    similarities = described[query_rows] @ described[places].T
    names = [frame.sequence for frame in database]
    begins = np.array([at == 0 or queries[at - 1].sequence != frame.sequence for at, frame in enumerate(queries)])
    seconds = [np.array([frame.index for frame in part], float) for part in (database, queries)]
    track = PlaceTrack(names, stamps=seconds[0] if by_second else None)
    likelihood, settings = learn_similarity_likelihood(described[places], names), SequenceSettings()
    found = positives(queries, database)
    assert found is not None
    right = found.table(len(database))
    pace = 4.0 if by_second else 1.0  # of every five frames of a clip four are in the map
    speeds = tuple(pace * speed for speed in SPEEDS)
    window, whole = (seqslam(similarities, track.traverses, 10, speeds, begins, about) for about in (10, None))
    follower, beliefs = SequenceFilter(track, settings, likelihood), []
    smoothed: list[Belief] = []
    for at, row in enumerate(similarities):
        if begins[at]:
            follower.reset()
        beliefs.append(follower.step(row, float(seconds[1][at]) if by_second else None))
    for start, end in pairwise([*np.flatnonzero(begins), len(queries)]):
        stamps = seconds[1][start:end] if by_second else None
        smoothed += smooth(similarities[start:end], track, settings, likelihood, stamps)
    rows, sure, _ = answers(smoothed)
    return {
        "single frame": score(similarities.argmax(1), similarities.max(1), right, None),
        "SeqSLAM window": score(window.argmax(1), window.max(1), right, None),
        "SeqSLAM, whole row": score(whole.argmax(1), whole.max(1), right, None),
        "forward filter": score(*answers(beliefs)[:2], right, answers(beliefs)[2]),
        "forward-backward": score(rows, sure, right, sure >= settings.accept),
    }


def carried(run: EmbeddedSet, spliced: int = 60) -> dict[str, float]:
    """Kidnapping: half of one clip, then another clip."""
    database, places = run.part("database")
    queries, query_rows = run.part("query")
    described = run.projection(run.embeddings)
    similarities = described[query_rows] @ described[places].T
    names = [frame.sequence for frame in database]
    track = PlaceTrack(names, stamps=np.array([frame.index for frame in database], float))
    likelihood = learn_similarity_likelihood(described[places], names)
    right = positives(queries, database).table(len(database))
    clips: dict[str, list[int]] = {}
    for at, frame in enumerate(queries):
        clips.setdefault(str(frame.sequence), []).append(at)
    long = [clip for clip in clips.values() if len(clip) >= 5]
    random = np.random.default_rng(0)
    in_time, wrong, accepted = 0, 0, 0
    for _ in range(spliced):
        one, other = (long[at] for at in random.choice(len(long), 2, replace=False))
        follower = SequenceFilter(track, likelihood=likelihood)
        order = [*one[: len(one) // 2 + 1], *other]
        after = [(at, follower.step(similarities[at], 5.0 * step)) for step, at in enumerate(order)][-len(other) :]
        in_time += any(right[at, belief.row] for at, belief in after[:5])
        accepted += sum(belief.accepted for _, belief in after)
        wrong += sum(belief.accepted and not right[at, belief.row] for at, belief in after)
    return {"splices": spliced, "right_within_5": in_time / spliced, "accepted": accepted, "wrong": wrong}


def jumped(run: EmbeddedSet, places_on: int = 20) -> dict[str, float]:
    """Kidnapping: a jump by twenty places in a lap, at each of fifteen places."""
    database, places = run.part("database")
    queries, query_rows = run.part("query")
    described = run.projection(run.embeddings)
    similarities = described[query_rows] @ described[places].T
    names = [frame.sequence for frame in database]
    likelihood = learn_similarity_likelihood(described[places], names)
    right = positives(queries, database).table(len(database))
    waits, wrong, accepted = [], 0, 0
    for start in range(5, 20):
        follower = SequenceFilter(PlaceTrack(names), likelihood=likelihood)
        order = [*range(start), *range(start + places_on, len(queries))]
        after = [(at, follower.step(similarities[at])) for at in order][start:]
        waits.append(next(step for step, (at, belief) in enumerate(after, 1) if right[at, belief.row]))
        accepted += sum(belief.accepted for _, belief in after[:8])
        wrong += sum(belief.accepted and not right[at, belief.row] for at, belief in after[:8])
    return {"jumps": len(waits), "most_frames_to_right": max(waits), "accepted_in_8": accepted, "wrong": wrong}


def elsewhere(tower: EmbeddedSet, corridor: EmbeddedSet) -> dict[str, float]:
    """What is accepted outside the map: in another building, and on floors left out of the map."""
    database, places = tower.part("database")
    queries, query_rows = tower.part("query")
    described, other = tower.projection(tower.embeddings), tower.projection(corridor.embeddings)
    names = np.array([frame.sequence for frame in database])
    index = np.array([frame.index for frame in database], float)
    floors = np.array([frame.extra["floor"] for frame in database])
    likelihood = learn_similarity_likelihood(described[places], names)
    line: dict[str, float] = {}
    for pause in (1.0, 5.0):
        follower = SequenceFilter(PlaceTrack(names, stamps=index), likelihood=likelihood)
        beliefs = [follower.step(row @ described[places].T, pause * at) for at, row in enumerate(other)]
        line[f"other building, {pause:g} s apart"] = float(np.mean([belief.accepted for belief in beliefs]))
    accepted = []
    for floor in np.unique(floors):
        kept = floors != floor
        rows = described[places[kept]]
        follower = SequenceFilter(
            PlaceTrack(names[kept], stamps=index[kept]), likelihood=learn_similarity_likelihood(rows, names[kept])
        )
        before = None
        for at, frame in zip(query_rows, queries, strict=True):
            if frame.extra["floor"] != floor:
                continue
            if frame.sequence != before:
                follower.reset()
            before = frame.sequence
            accepted.append(follower.step(described[at] @ rows.T, frame.index).accepted)
    return line | {"floors left out": float(np.mean(accepted))}


def stream(run: EmbeddedSet, projection: Projection) -> dict[str, float]:
    """All frames in order with a growing map; the last 20 frames are excluded."""
    described = projection(run.embeddings)
    index = np.array([frame.index for frame in run.frames], float)
    follower = SequenceFilter(PlaceTrack([]))
    accepted, right = np.zeros(len(index), bool), np.zeros(len(index), bool)
    for at, row in enumerate(described):
        if at > _EXCLUDED:
            follower.track.append([0])
            count = len(follower.track)
            if count % 5 == 0:
                follower.likelihood = learn_similarity_likelihood(described[:count], [0] * count)
        belief = follower.step(row @ described[: len(follower.track)].T)
        accepted[at] = belief.accepted
        right[at] = belief.row is not None and abs(index[belief.row] - index[at]) <= 3
    wrong = int((accepted & ~right).sum())
    return {"accepted": int(accepted.sum()), "wrong": wrong, "recall_45_to_84": float((accepted & right)[44:].mean())}


def cost(places: int = 10_000, steps: int = 200) -> dict[str, float]:
    """Median milliseconds of one step, CPU time of its thread, on a drive along the map with noisy similarities."""
    random = np.random.default_rng(0)
    around = np.cumsum(random.uniform(0.5, 1.5, places)) / 30
    poses = np.zeros((places, 7))
    poses[:, 0], poses[:, 1] = 30 * np.cos(around), 30 * np.sin(around)
    poses[:, 5], poses[:, 6] = np.sin(around / 2 + np.pi / 4), np.cos(around / 2 + np.pi / 4)
    names, stamps = np.arange(places) // 1000, np.cumsum(random.uniform(0.8, 1.2, places))
    rows = random.normal(0, 0.1, (steps, places)).astype(np.float32)
    rows[np.arange(steps), 3000 + np.arange(steps)] = 0.7
    tracks = {
        "no stamps": PlaceTrack(names),
        "stamps": PlaceTrack(names, stamps=stamps),
        "odometry and poses": PlaceTrack(names, poses, stamps),
    }
    line = {}
    for name, track in tracks.items():
        follower, took = SequenceFilter(track), []
        for step in range(steps):
            stamp = step + 0.2 * random.random() if track.grid("seconds") else None
            odometry = Odometry(random.uniform(0.8, 1.2), 0, random.normal(0, 0.03)) if track.has_positions else None
            start = time.thread_time()
            follower.step(rows[step], stamp, odometry)
            took.append(1e3 * (time.thread_time() - start))
        line[name] = float(np.median(took))
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ie_tower", type=Path)
    parser.add_argument("corridor_loop", type=Path)
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--embeddings", type=Path, nargs=2, help="of both sets, computed earlier")
    parser.add_argument("--shrinkage", type=float, default=0.2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    given = args.embeddings or (None, None)
    paths = (args.ie_tower, args.corridor_loop)
    tower, corridor = (
        EmbeddedSet.read(path, args.backbone, rows, args.shrinkage) for path, rows in zip(paths, given, strict=True)
    )
    results = {
        "ie_tower, clips": compare(tower, by_second=True),
        "corridor_loop, laps 2 and 3": compare(corridor, by_second=False),
        "carried to another clip": carried(tower),
        "carried 20 places on": jumped(corridor),
        "not in the map, accepted": elsewhere(tower, corridor),
        "growing map, projection of ie_tower": stream(corridor, tower.projection),
        "growing map, projection of lap 1": stream(corridor, corridor.projection),
        "one step at 10,000 places, ms": cost(),
    }
    for title, lines in results.items():
        print(title)
        for name, value in lines.items():
            text = (
                "  ".join(f"{key} {_short(one)}" for key, one in value.items())
                if isinstance(value, dict)
                else _short(value)
            )
            print(f"  {name:<28} {text}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
