"""Recognition in a map of a million places: milliseconds a frame, memory, and whether the decisions are those of the dense way.

    python benchmarks/million.py IE_TOWER -m MODEL [--places 1000000] [--dense 10000] [--folder FOLDER] [--json FILE]

The map holds the database frames of ie_tower, described by a model that was trained on them, among places drawn as `search.py` draws them; the
first 256 components of the descriptors are used. Each clip of ie_tower is a traverse, and so are 50 drawn clips; they have one frame a second
and, made up, one meter a frame along a line of their own. No image is stored: there is no geometry. The frames, clip by clip: the queries of ie_tower, visits to drawn clips (frames as similar to
their places as queries are), and clips from elsewhere. Each is answered with stamps alone, and with odometry.

`ms` is one `Recognizer.recognize` with a given descriptor, CPU time of its one thread. Memory is what the open map and the recognizer add to the process. At
`--dense` places every frame is answered twice, by comparison with all places and by the funnel's shortlist and the sample: a decision is equal
if both accept or both do not, and, if they do, the matched places are within three frames of each other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from search import _CLIP, DIM, _held_mb, draw_places

from vpr_aesvc import Describer, PlaceMap, Recognizer, open_input
from vpr_aesvc.placemap import index as place_index
from vpr_aesvc.placemap.description import metadata_of
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.recognition import map_snapshot
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Odometry, Pose

_PIECE, _DRIVE = 20_000, 50 * _CLIP  # places added at once; places of a drawn traverse
_VISITS, _ELSEWHERE = 40, 15  # drawn clips that are visited, and clips from outside the map
_SIMILARITY = 0.45  # of a drawn visit to its place; of ie_tower's queries .44 is the median
_WINDOW = 3
Clip = list[tuple[Frame, np.ndarray]]


def real_clips(source: Path, model: Path) -> tuple[list[Frame], np.ndarray, list[Frame], np.ndarray]:
    """Database frames and query frames of ie_tower by clip, and their descriptors float32 [n, 256]."""
    inputs, describer = open_input(source), Describer.open(model)
    found: list[Any] = []
    for split in ("database", "query"):
        frames = sorted(inputs.split(split).frames, key=lambda frame: (frame.sequence, frame.index))
        rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
        found += [frames, unit(rows[:, :DIM])]
    return tuple(found)


def write_map(path: Path, meta: dict[str, str], count: int, real: list[Frame], rows: np.ndarray) -> np.ndarray:
    """A map of ``count`` places, the real ones in the middle. Returns the drawn descriptors."""
    drawn = draw_places(count - len(real))
    middle = len(drawn) // 2 // _CLIP * _CLIP
    with PlaceMap.create_like(path, meta) as place_map:
        for start in range(0, middle, _PIECE):
            end = min(start + _PIECE, middle)
            place_map.add_stored(drawn_frames(start, end), drawn[start:end], [None] * (end - start))
        clips = {name: at for at, name in enumerate(dict.fromkeys(frame.sequence for frame in real))}
        posed = [stamped(frame, 100_000 + clips[frame.sequence], frame.index) for frame in real]
        place_map.add_stored(posed, rows.astype(np.float16), [None] * len(real))
        for start in range(middle, len(drawn), _PIECE):
            end = min(start + _PIECE, len(drawn))
            place_map.add_stored(drawn_frames(start, end), drawn[start:end], [None] * (end - start))
    return drawn


def drawn_frames(start: int, end: int) -> list[Frame]:
    drives = [divmod(at, _DRIVE) for at in range(start, end)]
    return [stamped(Frame(f"{drive}/{at}", sequence=f"drawn {drive}"), drive, at) for drive, at in drives]


def stamped(frame: Frame, line: int, at: float) -> Frame:
    """As frame ``at`` of a traverse on a line of its own."""
    return replace(frame, stamp=2.0 * _DRIVE * line + at, pose=Pose.planar(at, 30.0 * line, 0.0))


def drives(queries: list[Frame], rows: np.ndarray, drawn: np.ndarray) -> Iterator[Clip]:
    """The clips that are asked about; their stamps are after those of the map."""
    random = np.random.default_rng(3)
    for name in dict.fromkeys(frame.sequence for frame in queries):
        yield [(frame, row) for frame, row in zip(queries, rows, strict=True) if frame.sequence == name]
    for clip in random.choice(len(drawn) // _CLIP, _VISITS, replace=False):
        visited = unit(drawn[clip * _CLIP : (clip + 1) * _CLIP])
        change = unit(random.standard_normal(visited.shape, np.float32))
        rows = unit(_SIMILARITY * visited + np.sqrt(1 - _SIMILARITY**2) * change)
        yield [(Frame(f"visit {clip}", index=at), row) for at, row in enumerate(rows)]
    elsewhere = draw_places(_ELSEWHERE * _CLIP, seed=4).reshape(_ELSEWHERE, _CLIP, DIM)
    for rows in elsewhere:
        yield [(Frame("elsewhere", index=at), unit(row)) for at, row in enumerate(rows)]


def answer(recognizer: Recognizer, clips: list[Clip], odometry: bool) -> tuple[list[Recognition], list[float]]:
    """The answer to each frame, and the milliseconds it took."""
    answers, took, stamp = [], [], 1e9
    for clip in clips:
        recognizer.reset()
        before: float | None = None
        for frame, row in clip:
            step = 1.0 if before is None else frame.index - before
            stamp, before = stamp + step, frame.index
            motion = Odometry(step, 0.0, 0.0) if odometry else None
            start = time.thread_time()
            answers.append(recognizer.recognize(Frame("frame", stamp=stamp), motion, descriptor=row))
            took.append(1000 * (time.thread_time() - start))
    return answers, took


def measure(path: Path, clips: list[Clip], sparse: bool) -> tuple[dict[str, Any], list[Recognition]]:
    """Figures of one map, and its answers to all frames, with stamps and then with odometry."""
    map_snapshot.DENSE_PLACES = place_index.FUNNEL_FROM = 0 if sparse else 10**9
    before = _held_mb()
    with PlaceMap.open(path) as place_map:
        place_map.store_learned_parameters(f"similarities/{DIM}", {})  # each way learns for itself
        start = time.perf_counter(), time.process_time()
        recognizer = Recognizer(place_map, None, RecognizerSettings(geometry=False))
        recognizer.prepare()
        figures: dict[str, Any] = {"places": len(place_map), "sparse": sparse}
        figures["prepare_s"] = round(time.perf_counter() - start[0], 1)
        figures["prepare_cpu_s"] = round(time.process_time() - start[1], 1)
        answers = []
        for name, odometry in (("stamps", False), ("odometry", True)):
            found, took = answer(recognizer, clips, odometry)
            answers += found
            figures[f"ms_{name}"], figures[f"ms95_{name}"] = np.percentile(took, (50, 95)).round(2).tolist()
        figures["bytes_per_place"] = round((_held_mb() - before) * 2**20 / len(place_map))
        figures |= {"frames": len(answers), "accepted": sum(one.accepted for one in answers)}
        figures["load"] = round(os.getloadavg()[0], 1)
        store = place_map.learned_parameters(f"similarities/{DIM}")
        figures |= {
            "segments": store["worth"]["null"]["stretches"],
            "sharpness": store["worth"]["evidence"]["sharpness"],
        }
    print(json.dumps(figures), flush=True)
    return figures, answers


def right_matches(answers: list[Recognition], clips: list[Clip]) -> tuple[int, int]:
    """Accepted matches of ie_tower's queries that are right, and that are wrong."""
    frames = [frame for clip in clips for frame, _ in clip] * 2
    counts = [0, 0]
    for frame, one in zip(frames, answers, strict=True):
        if frame.path is not None and one.accepted and one.best is not None:
            place = one.best.place
            right = place.traverse == frame.sequence and abs(float(place.extra["index"]) - frame.index) <= _WINDOW
            counts[not right] += 1
    return counts[0], counts[1]


def equal(one: Recognition, other: Recognition) -> bool:
    if one.accepted != other.accepted or one.best is None or other.best is None:
        return one.accepted == other.accepted
    return not one.accepted or abs(one.best.place.id - other.best.place.id) <= _WINDOW


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ie_tower", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--dense", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="keeps the maps and uses them again; by default they are temporary")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    real, rows, queries, asked = real_clips(args.ie_tower, args.model)
    meta = metadata_of(Describer.open(args.model)) | {"dim": str(DIM), "sizes": f"[{DIM}]"}
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for count in dict.fromkeys((args.dense, args.places)):
            path = folder / f"{count}.vprmap"
            drawn = draw_places(count - len(real)) if path.exists() else write_map(path, meta, count, real, rows)
            clips = list(drives(queries, asked, drawn))
            del drawn
            results[str(count)], answers = measure(path, clips, sparse=True)
            results[str(count)]["real_right_wrong"] = right_matches(answers, clips)
            if count == args.dense:
                results["dense"], dense = measure(path, clips, sparse=False)
                results["dense"]["real_right_wrong"] = right_matches(dense, clips)
                same = [equal(one, other) for one, other in zip(answers, dense, strict=True)]
                results["equal_decisions"] = {
                    name: round(float(np.mean(part)), 4)
                    for name, part in (("stamps", same[: len(same) // 2]), ("odometry", same[len(same) // 2 :]))
                }
                best = [a.best and a.best.place.id == b.best.place.id for a, b in zip(answers, dense, strict=True)]
                results["equal_best_places"] = round(float(np.mean(best)), 4)
                print(results["equal_decisions"], results["equal_best_places"], flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
