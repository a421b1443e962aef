"""What each part of recognition adds, what it costs, and where it does not help.

    python benchmarks/recognition.py INPUT -m MODEL [--size 64] [--seconds] [--half-of COLUMN] [--outside INPUT] [--rate 0.01 0.05] [--json FILE]

A map of the database frames is asked for the query frames, sequence by sequence in the order of their index, by the `Recognizer` with
none, some and all of its parts, as `vpr bench` does, and here at any size, from a part of the map, and with frames from outside it.
`similarity` accepts every best match. `best gained` and `best lost` are the queries whose best place is right only with, or only without,
the parts: there they do not help. `recall` is the part of the queries with a right place whose accepted match is right; `outside` the part of
the frames that are not in the map whose match is accepted: of INPUT's queries in the other half of the values of COLUMN, and of all frames of
another INPUT. `wrong at recall` is how many wrong matches are accepted where a recall is first reached, from the surest match down: the
similarity where there is nothing else, then the false-positive rate. `ECE` is the expected calibration error of the probability of the
best match. Milliseconds are those of recognition, without describing the frame. Nothing is fitted on a query.

The parts in detail: recognition_probability.py, recognition_sequence.py, recognition_geometry.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.datasets import open_input
from vpr_aesvc.datasets.positives import Positives, positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.evaluation.recognition_ablation import AblationVariant, Answers, ask, forms, in_order, write_map
from vpr_aesvc.evaluation.recognition_measures import accepted_matches, measure_part
from vpr_aesvc.evaluation.results import PartResult
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame


@dataclass(frozen=True)
class Part:
    """Frames in the order in which they are asked about, and their descriptors float32 [n, d]."""

    frames: list[Frame]
    descriptors: NDArray[np.float32]

    @classmethod
    def of(cls, frames: list[Frame], describer: Describer) -> Part:
        if not frames:
            return cls([], np.empty((0, describer.dim), np.float32))
        order = in_order(frames)
        rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
        return cls([frames[at] for at in order], rows[order])


@dataclass(frozen=True)
class Task:
    """A map's file, the queries with their right rows, and frames from outside."""

    path: Path
    places: int
    queries: Part
    right: Positives
    outside: Part

    def hits(self, answers: Answers) -> NDArray[np.bool_]:
        return self.right.hits(answers.rows[:, None])[:, 0]


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
    write_map(path, describer, places.frames, places.descriptors, pictures=True)
    return Task(path, len(places.frames), queries, known, elsewhere), describer


def answer(task: Task, describer: Describer, form: AblationVariant, size: int | None) -> tuple[Answers, Answers]:
    """To the queries and to the frames from outside."""
    settings = RecognizerSettings(size=size)
    with PlaceMap.open(task.path, describer) as place_map:
        queries, outside = (
            ask(place_map, describer, form, part.frames, part.descriptors, settings)
            for part in (task.queries, task.outside)
        )
    return queries, outside


def figures(task: Task, part: PartResult, answers: Answers, outside: Answers, rates: list[float]) -> dict[str, Any]:
    """As they are printed and written; ``at`` by rate."""
    hits, known = task.hits(answers), task.right.counts > 0
    found: dict[str, Any] = {
        "R@1": round(part.recall_at_1, 3),
        "best gained": part.gained,
        "best lost": part.lost,
        "ECE": None if part.reliability is None else round(part.reliability.error, 3),
        "ms": round(part.ms, 2),
        "recall at precision 1": None if part.curve is None else round(part.curve.recall_at_full_precision, 3),
        "wrong at recall": {f"{recall:g}": wrong for recall, wrong in part.wrong_at_recall.items()},
        "at": {},
    }
    for rate in rates if part.reliability is not None else rates[:1]:
        accepted = answers.accepted(rate)
        seen = accepted_matches(accepted, hits, known)
        count, first = seen.right + seen.wrong, np.flatnonzero(accepted & hits)
        found["at"][f"{rate:g}" if part.reliability is not None else "any"] = {
            "accepted": count,
            "right": seen.right,
            "wrong": seen.wrong,
            "recall": round(seen.recall, 3),
            "precision": round(seen.right / count, 3) if count else None,
            "outside": round(float(outside.accepted(rate).mean()), 4) if len(outside.rows) else None,
            "first right": int(first[0]) + 1 if len(first) else None,
        }
    if part.reliability is not None:
        found["reliability"] = {
            name: np.round(np.nan_to_num(getattr(part.reliability, name), nan=-1), 3).tolist()
            for name in ("predicted", "observed", "counts")
        }
    return found


def words(line: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in line.items() if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--embeddings", type=Path, help="of INPUT, computed elsewhere")
    parser.add_argument("--size", type=int, help="of the descriptors; by default the full size")
    parser.add_argument("--seconds", action="store_true", help="the index of a frame counts seconds: it is its stamp")
    parser.add_argument("--half-of", help="a column; the map holds every other of its values")
    parser.add_argument("--half", type=int, default=0, choices=(0, 1), help="which half")
    parser.add_argument("--outside", type=Path, help="an input whose frames are not in the map")
    parser.add_argument("--rate", type=float, nargs="+", default=[0.01, 0.05], help="false-positive rates asked for")
    parser.add_argument("--json", type=Path, help="the figures, and the reliability diagram of each part")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task, describer = prepare(args, Path(folder))
        size = args.size or describer.dim
        print(
            f"{len(task.queries.frames)} queries, {task.places} places, {len(task.outside.frames)} outside, size {size}"
        )
        known = task.right.counts > 0
        before: NDArray[np.bool_] | None = None
        results: dict[str, dict[str, Any]] = {}
        for form in forms(sequence=True, geometry=True):
            answers, outside = answer(task, describer, form, args.size)
            hits = task.hits(answers)
            before = hits if before is None else before
            part = measure_part(form.name, answers, hits, known, before, min(args.rate))
            line = results[form.name] = figures(task, part, answers, outside, args.rate)
            print(
                f"{form.name:14}", words({key: line[key] for key in ("R@1", "best gained", "best lost", "ECE", "ms")})
            )
            for rate, seen in line["at"].items():
                print(f"   at rate {rate:5}", words(seen))
            print("   wrong at recall", words(line["wrong at recall"]), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"size": size, "parts": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
