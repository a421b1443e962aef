"""What each stage of recognition adds, what it costs, and where it does not help.

    python benchmarks/recognition.py INPUT -m MODEL [--size 64] [--seconds] [--half-of COLUMN] [--outside INPUT] [--rate 0.01 0.05] [--json FILE]

The `Recognizer` looks up the query frames in a map of the database frames, sequence by sequence in the order of their index, with none,
some and all of its stages.

`similarity` accepts every best match. `best gained` and `best lost` are the queries whose best place is right only with, or only without, the
stage. `recall` is the part of the queries with a right place whose accepted match is right. `outside` is the part of the frames from outside
the map whose match is accepted: all frames of INPUT in the other half of the values of COLUMN, and all frames of another INPUT.
`wrong at recall` is the number of wrong matches accepted when a recall is first reached, most certain match first: by similarity if there is
nothing else, then by false-positive rate. `ECE` is the expected calibration error of the probability of the best match. `ECE half outside` is the same over queries and outside frames,
both of equal weight, and `p outside` the mean probability of the latter. Milliseconds do not
include the description of the frame: its descriptor is given, and its key points are not detected meanwhile. `beyond description` are those of the
recognizer as a robot runs it, from the image, less the median time of a description alone; key points are then detected while the frame is
described. Nothing is fitted to a query.

The stages in detail: recognition_probability.py, recognition_sequence.py, recognition_geometry.py.
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

from benchmarks.recognition_variants import (
    VARIANTS,
    VariantAnswers,
    VariantResult,
    accepted_matches,
    recording_order,
    run_variant,
    score_variant,
    write_map,
)
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.datasets.positives import Positives, positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.evaluation.drive import Variant
from vpr_aesvc.images import image_of
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.projections.neighbor_pooling import follows, pooled
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

RECALLS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Part:
    """Frames in the order in which they are recognized, and their descriptors float32 [n, d]."""

    frames: list[Frame]
    descriptors: NDArray[np.float32]

    @classmethod
    def of(cls, frames: list[Frame], describer: Describer) -> Part:
        if not frames:
            return cls([], np.empty((0, describer.dim), np.float32))
        order = recording_order(frames)
        rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
        return cls([frames[at] for at in order], rows[order])


@dataclass(frozen=True)
class Task:
    """The file of a map, the queries with their right rows, and frames from outside the map."""

    path: Path
    places: int
    queries: Part
    right: Positives
    outside: Part

    def hits(self, answers: VariantAnswers) -> NDArray[np.bool_]:
        return self.right.hits(answers.rows[:, None])[:, 0]


def prepare(args: argparse.Namespace, folder: Path) -> tuple[Task, Describer]:
    inputs = open_input(args.input)
    given = None if args.embeddings is None else read_embeddings(args.embeddings, inputs.frames)
    stamped = {
        frame.label: replace(frame, stamp=frame.index if args.seconds else frame.stamp) for frame in inputs.frames
    }
    describer = Describer.open(args.model, given)
    stored, queried = ([stamped[one.label] for one in inputs.split(name).frames] for name in ("database", "query"))
    outside: list[Frame] = []
    if args.half_of:
        mapped = set(sorted({frame.extra[args.half_of] for frame in stored})[args.half :: 2])
        outside = [frame for frame in [*stored, *queried] if frame.extra[args.half_of] not in mapped]
        stored, queried = ([one for one in part if one.extra[args.half_of] in mapped] for part in (stored, queried))
    places, queries, elsewhere = (Part.of(part, describer) for part in (stored, queried, outside))
    if args.outside:
        other = Part.of(list(open_input(args.outside).frames), Describer.open(args.model))
        elsewhere = Part(elsewhere.frames + other.frames, np.vstack([elsewhere.descriptors, other.descriptors]))
    known = positives(queries.frames, places.frames, inputs.tolerance)
    if known is None:
        raise SystemExit(
            f"{args.input}: the frames have no positions, indices or categories, so right places are unknown"
        )
    path = folder / "benchmark.vprmap"
    stored_rows = pooled(places.descriptors, follows(places.frames), args.neighbor_weight)
    write_map(path, describer, places.frames, stored_rows, with_images=True)
    return Task(path, len(places.frames), queries, known, elsewhere), describer


def answer(task: Task, describer: Describer, form: Variant, size: int | None) -> tuple[VariantAnswers, VariantAnswers]:
    """The answers to the queries, and to the frames from outside the map."""
    settings = RecognizerSettings(size=size)
    with PlaceMap.open(task.path, describer) as place_map:
        queries, outside = (
            run_variant(place_map, describer, form, part.frames, part.descriptors, settings)
            for part in (task.queries, task.outside)
        )
    return queries, outside


def beyond_description(task: Task, describer: Describer, size: int | None) -> tuple[float, NDArray[np.float64]]:
    """Milliseconds of one description alone, the median, and by how much longer each query takes with all stages, from its image."""
    with PlaceMap.open(task.path, describer) as place_map:
        recognizer = VARIANTS[-1].open_recognizer(place_map, describer, RecognizerSettings(size=size))
        recognizer.prepare()
        took, previous = np.empty((2, len(task.queries.frames))), None
        for at, frame in enumerate(task.queries.frames):
            if previous is not None and frame.sequence != previous.sequence:
                recognizer.reset()
            previous, image = frame, image_of(frame)
            start = time.perf_counter()
            describer.describe(image)
            took[0, at] = time.perf_counter() - start
            start = time.perf_counter()
            recognizer.recognize(replace(frame, image=image))
            took[1, at] = time.perf_counter() - start
    description = float(1000 * np.median(took[0]))
    return description, 1000 * took[1] - description


def calibration_half_outside(
    probabilities: NDArray[np.float64], hits: NDArray[np.bool_], outside: NDArray[np.float64], bins: int = 15
) -> float | None:
    if not len(outside) or np.isnan(probabilities).any():
        return None
    given, right = np.concatenate([probabilities, outside]), np.concatenate([hits, np.zeros(len(outside))])
    weight = np.repeat([0.5 / len(hits), 0.5 / len(outside)], [len(hits), len(outside)])
    bin_of = np.minimum((given * bins).astype(np.int64), bins - 1)
    return round(float(np.abs(np.bincount(bin_of, weight * (given - right), bins)).sum()), 3)


def figures(
    task: Task, part: VariantResult, answers: VariantAnswers, outside: VariantAnswers, rates: list[float]
) -> dict[str, Any]:
    """The printed and written numbers of one stage; ``at`` by rate."""
    hits, known = task.hits(answers), task.right.counts > 0
    found: dict[str, Any] = {
        "R@1": round(part.recall_at_1, 3),
        "best gained": part.gained,
        "best lost": part.lost,
        "ECE": None if part.reliability is None else round(part.reliability.error, 3),
        "ECE half outside": calibration_half_outside(answers.probabilities, hits, outside.probabilities),
        "p outside": round(float(outside.probabilities.mean()), 3) if len(outside.rows) else None,
        "ms": round(part.ms, 2),
        "ms 95 %": round(float(np.quantile(answers.ms, 0.95)), 2),
        "recall at precision 1": None if part.curve is None else round(part.curve.recall_at_full_precision, 3),
        "wrong at recall": wrong_at_recall(answers.levels, hits, known),
        "at": {},
    }
    for rate in rates if part.reliability is not None else rates[:1]:
        accepted = answers.accepted(rate)
        counts = accepted_matches(accepted, hits, known)
        count, first = counts.right + counts.wrong, np.flatnonzero(accepted & hits)
        found["at"][f"{rate:g}" if part.reliability is not None else "any"] = {
            "accepted": count,
            "right": counts.right,
            "wrong": counts.wrong,
            "recall": round(counts.recall, 3),
            "precision": round(counts.right / count, 3) if count else None,
            "outside": round(float(outside.accepted(rate).mean()), 4) if len(outside.rows) else None,
            "first right": int(first[0]) + 1 if len(first) else None,
        }
    if part.reliability is not None:
        found["reliability"] = {
            name: np.round(np.nan_to_num(getattr(part.reliability, name), nan=-1), 3).tolist()
            for name in ("predicted", "observed", "counts")
        }
    return found


def wrong_at_recall(
    levels: NDArray[np.int64], hits: NDArray[np.bool_], known: NDArray[np.bool_]
) -> dict[str, int | None]:
    """Recall -> wrong matches accepted when it is first reached, None where it is not. Matches of equal level are accepted together."""
    right, wrong = (np.cumsum(np.bincount(levels, weights)[::-1]) for weights in (hits, ~hits))
    counts: dict[str, int | None] = {}
    for recall in RECALLS:
        reached = np.flatnonzero(right >= recall * known.sum() - 1e-9)
        counts[f"{recall:g}"] = int(wrong[reached[0]]) if len(reached) else None
    return counts


def format_line(line: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in line.items() if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--embeddings", type=Path, help="embeddings of INPUT, computed elsewhere")
    parser.add_argument("--size", type=int, help="of the descriptors; by default the full size")
    parser.add_argument("--seconds", action="store_true", help="use the index of a frame as its stamp, in seconds")
    parser.add_argument("--half-of", help="a column; the map holds every second of its values")
    parser.add_argument("--half", type=int, default=0, choices=(0, 1), help="which half")
    parser.add_argument("--neighbor-weight", type=float, default=0.0, help="of a place's neighbors in its descriptor")
    parser.add_argument("--outside", type=Path, help="an input whose frames are not in the map")
    parser.add_argument("--rate", type=float, nargs="+", default=[0.01, 0.05], help="requested false-positive rates")
    parser.add_argument("--json", type=Path, help="write the numbers, and the reliability diagram of each stage")
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
        for form in VARIANTS:
            answers, outside = answer(task, describer, form, args.size)
            hits = task.hits(answers)
            before = hits if before is None else before
            part = score_variant(answers, hits, known, before)
            line = results[form.name] = figures(task, part, answers, outside, args.rate)
            print(
                f"{form.name:14}",
                format_line(
                    {
                        key: line[key]
                        for key in (
                            "R@1",
                            "best gained",
                            "best lost",
                            "ECE",
                            "ECE half outside",
                            "p outside",
                            "ms",
                            "ms 95 %",
                        )
                    }
                ),
            )
            for rate, counts in line["at"].items():
                print(f"   at rate {rate:5}", format_line(counts))
            print("   wrong at recall", format_line(line["wrong at recall"]), flush=True)
        if args.embeddings is None:
            described, beyond = beyond_description(task, describer, args.size)
            median, most = np.quantile(beyond, [0.5, 0.95])
            results["all"] |= {"ms description": described, "ms beyond": median, "ms beyond 95 %": most}
            print(
                f"all, from the image: {described:.1f} ms description, beyond description {median:.1f}, 95 % {most:.1f}"
            )
    if args.json:
        args.json.write_text(json.dumps({"size": size, "parts": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
