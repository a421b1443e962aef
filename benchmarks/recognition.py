"""What each part of recognition adds, what it costs, and where it does not help.

    python benchmarks/recognition.py INPUT -m MODEL [--seconds] [--half-of COLUMN] [--outside INPUT] [--rate 0.01 0.05] [--json FILE]

A map of the database frames is asked for the query frames, sequence by sequence in the order of their index, by the `Recognizer` with
none, some and all of its parts. `similarity` accepts every best match. `best gained` and `best lost` are the queries whose best
place is right only with, or only without, the parts: there they do not help. `recall` is the part of the queries with a right place whose
accepted match is right; `outside` the part of the frames that are not in the map whose match is accepted: of INPUT's queries in the other half of the
values of COLUMN, and of all frames of another INPUT. `ECE` is the expected calibration error of the probability of the best match.
Milliseconds are those of recognition, without describing the frame. Nothing is fitted on a query.

The parts in detail: recognition_probability.py, recognition_sequence.py, recognition_geometry.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.datasets import open_input
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.images import read_image
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.calibration import reliability
from vpr_aesvc.recognition.recognition import Recognition
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

PARTS: dict[str, dict[str, bool] | None] = {
    "similarity": None,
    "+ probability": {"sequence": False, "geometry": False},
    "+ sequence": {"sequence": True, "geometry": False},
    "+ geometry": {"sequence": False, "geometry": True},
    "all": {"sequence": True, "geometry": True},
}


@dataclass(frozen=True)
class Part:
    """Frames in the order in which they are asked about, and their descriptors float32 [n, d]."""

    frames: list[Frame]
    descriptors: NDArray[np.float32]

    @classmethod
    def of(cls, frames: list[Frame], describer: Describer) -> Part:
        if not frames:
            return cls([], np.empty((0, describer.dim), np.float32))
        order = sorted(range(len(frames)), key=lambda at: (frames[at].sequence or "", frames[at].index or 0.0, at))
        rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
        return cls([frames[at] for at in order], rows[order])


@dataclass(frozen=True)
class Task:
    """A map's file, the queries with their right places bool [q, n] by place id - 1, and frames from outside."""

    path: Path
    queries: Part
    right: NDArray[np.bool_]
    outside: Part


def prepare(args: argparse.Namespace, folder: Path) -> tuple[Task, Describer]:
    inputs = open_input(args.input)
    given = None if args.embeddings is None else read_embeddings(args.embeddings, inputs.frames)
    stamped = {
        frame.label: replace(frame, stamp=frame.index if args.seconds else frame.stamp) for frame in inputs.frames
    }
    describer = Describer.open(args.model, given)
    stored, asked = ([stamped[one.label] for one in inputs.split(name).frames] for name in ("database", "query"))
    outside: list[Frame] = []
    if args.half_of:
        mapped = set(sorted({frame.extra[args.half_of] for frame in stored})[args.half :: 2])
        outside = [frame for frame in asked if frame.extra[args.half_of] not in mapped]
        stored, asked = ([one for one in part if one.extra[args.half_of] in mapped] for part in (stored, asked))
    places, queries, elsewhere = (Part.of(part, describer) for part in (stored, asked, outside))
    if args.outside:
        other = Part.of(list(open_input(args.outside).frames), Describer.open(args.model))
        elsewhere = Part(elsewhere.frames + other.frames, np.vstack([elsewhere.descriptors, other.descriptors]))
    known = positives(queries.frames, places.frames, inputs.tolerance)
    if known is None:
        raise SystemExit(f"{args.input}: the frames do not say who is near whom")
    path = folder / "benchmark.vprmap"
    with PlaceMap.create(path, describer) as place_map:
        images = (read_image(frame.path) for frame in places.frames if frame.path)
        place_map.add(places.frames, places.descriptors, images)
    return Task(path, queries, known.table(len(places.frames)), elsewhere), describer


def ask(
    place_map: PlaceMap, describer: Describer, settings: RecognizerSettings, part: Part
) -> tuple[list[Recognition], float]:
    """The answers, and the median time of one in milliseconds."""
    recognizer = Recognizer(place_map, describer, settings)
    recognizer.prepare()
    answers, times = [], []
    sequence: str | None = None
    for frame, descriptor in zip(part.frames, part.descriptors, strict=True):
        image = read_image(frame.path) if frame.path else None
        if frame.sequence != sequence:
            recognizer.reset()
            sequence = frame.sequence
        start = time.perf_counter()
        answers.append(recognizer.recognize(replace(frame, image=image), descriptor=descriptor))
        times.append(time.perf_counter() - start)
    return answers, 1000 * float(np.median(times)) if times else 0.0


def best_of(answers: list[Recognition]) -> NDArray[np.int64]:
    """Column of the right table of each answer's best place."""
    return np.array([answer.best.place.id - 1 if answer.best else 0 for answer in answers])


def run(task: Task, describer: Describer, parts: dict[str, bool] | None, rates: list[float]) -> dict[str, Any]:
    """R@1, milliseconds, calibration, and what is accepted at each rate; ``hits`` bool [q] says where the best place is right."""
    rows = np.arange(len(task.queries.frames))
    with PlaceMap.open(task.path, describer) as place_map:
        if parts is None:
            start = time.perf_counter()
            found = place_map.search(task.queries.descriptors, 1)
            spent = 1000 * (time.perf_counter() - start) / len(found)
            hits = task.right[rows, [one[0].place.id - 1 for one in found]]
            everything = accepted_of(hits, np.ones(len(hits), np.bool_), task, [True] * len(task.outside.frames))
            return {"R@1": recall_at_1(hits, task), "ms": round(spent, 2), "at": {"any": everything}, "hits": hits}
        settings = RecognizerSettings(false_positive_rate=min(rates), **parts)
        answers, spent = ask(place_map, describer, settings, task.queries)
        elsewhere, _ = ask(place_map, describer, settings, task.outside)
    hits = task.right[rows, best_of(answers)]
    diagram = reliability(np.array([answer.probability for answer in answers]), hits)
    reached = np.array([answer.false_positive_rate for answer in answers])
    return {
        "R@1": recall_at_1(hits, task),
        "ms": round(spent, 2),
        "ECE": round(diagram.error, 3),
        "at": {
            f"{rate:g}": accepted_of(
                hits, reached <= rate, task, [one.false_positive_rate <= rate for one in elsewhere]
            )
            for rate in rates
        },
        "reliability": {
            name: np.round(np.nan_to_num(getattr(diagram, name), nan=-1), 3).tolist()
            for name in ("predicted", "observed", "counts")
        },
        "hits": hits,
    }


def recall_at_1(hits: NDArray[np.bool_], task: Task) -> float:
    return round(float(hits[task.right.any(1)].mean()), 3)


def accepted_of(
    hits: NDArray[np.bool_], accepted: NDArray[np.bool_], task: Task, outside: list[bool]
) -> dict[str, Any]:
    right, count = int((hits & accepted).sum()), int(accepted.sum())
    first = np.flatnonzero(accepted & hits)
    return {
        "accepted": count,
        "right": right,
        "wrong": count - right,
        "recall": round(float((hits & accepted)[task.right.any(1)].mean()), 3),
        "precision": round(right / count, 3) if count else None,
        "outside": round(float(np.mean(outside)), 4) if outside else None,
        "first right": int(first[0]) + 1 if len(first) else None,
    }


def words(figures: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in figures.items() if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--embeddings", type=Path, help="of INPUT, computed elsewhere")
    parser.add_argument("--seconds", action="store_true", help="the index of a frame counts seconds: it is its stamp")
    parser.add_argument("--half-of", help="a column; the map holds every other of its values")
    parser.add_argument("--half", type=int, default=0, choices=(0, 1), help="which half")
    parser.add_argument("--outside", type=Path, help="an input whose frames are not in the map")
    parser.add_argument("--rate", type=float, nargs="+", default=[0.01, 0.05], help="false-positive rates asked for")
    parser.add_argument("--json", type=Path, help="the figures, and the reliability diagram of each part")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task, describer = prepare(args, Path(folder))
        print(f"{len(task.queries.frames)} queries, {task.right.shape[1]} places, {len(task.outside.frames)} outside")
        results: dict[str, dict[str, Any]] = {}
        for name, parts in PARTS.items():
            line = results[name] = run(task, describer, parts, args.rate)
            before = results["similarity"]["hits"]
            line["best gained"] = int((line["hits"] & ~before).sum())
            line["best lost"] = int((~line["hits"] & before).sum())
            print(
                f"{name:14}",
                words({key: line[key] for key in ("R@1", "best gained", "best lost", "ECE", "ms") if key in line}),
                flush=True,
            )
            for rate, figures in line["at"].items():
                print(f"   at rate {rate:5}", words(figures), flush=True)
    if args.json:
        plain = {name: {key: value for key, value in line.items() if key != "hits"} for name, line in results.items()}
        args.json.write_text(json.dumps({"parts": plain}, indent=1))


if __name__ == "__main__":
    main()
