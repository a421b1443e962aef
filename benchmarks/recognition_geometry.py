"""What geometric verification adds, what it costs, and where it does not help.

    python benchmarks/recognition_geometry.py accept INPUT -m MODEL    # wrong matches accepted at equal recall, with and without
    python benchmarks/recognition_geometry.py storage INPUT -m MODEL   # the same from smaller stored pictures, or fewer key points
    python benchmarks/recognition_geometry.py time IMAGE [IMAGE ...]   # milliseconds, at three sizes

INPUT has splits and knows the right places. The best match of each query is accepted from some score up: the similarity without
verification, the inliers with it. Recall is the part of all queries with a right answer whose accepted match is right. Nothing is fitted
to the queries; the inlier model is learned from the database alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.images import decode_image, encode_jpeg, read_image, resize, thumbnail
from vpr_aesvc.inputs import open_input
from vpr_aesvc.recognition.geometry.local_features import Keypoints, Kind, detect_keypoints
from vpr_aesvc.recognition.geometry.verification import Geometry, geometric_verdict, rerank, verify
from vpr_aesvc.types import Frame, Image

TOP = 5
RECALLS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class SearchedSet:
    """One set after the search: the ``TOP`` most similar database rows of each query that has a right answer."""

    queries: list[Frame]
    database: list[Frame]
    descriptors: NDArray[np.float32]  # of the database
    top: NDArray[np.int64]  # [q, TOP]
    similarity: NDArray[np.float32]  # [q, TOP]
    right: NDArray[np.bool_]  # [q, TOP]


def search(source: Path, model: Path) -> SearchedSet:
    inputs, describer = open_input(source), Describer.open(model)
    splits = [list(inputs.split(name).frames) for name in ("query", "database")]
    query_rows, stored = (np.vstack([part for _, part, _ in describer.describe_frames(one, [])]) for one in splits)
    known = positives(*splits, inputs.tolerance)
    if known is None:
        raise SystemExit(f"{source}: the right places are unknown")
    table, has = known.table(len(splits[1])), known.counts > 0
    similarity = query_rows[has] @ stored.T
    top = np.argsort(-similarity, axis=1, kind="stable")[:, :TOP]
    queries = [frame for frame, one in zip(splits[0], has, strict=True) if one]
    near, right = (np.take_along_axis(values, top, 1) for values in (similarity, table[has]))
    return SearchedSet(queries, splits[1], stored, top, near, right)


def points_of(
    frames: list[Frame], kind: Kind, change: Callable[[Image], Image] = lambda image: image
) -> list[Keypoints]:
    return [detect_keypoints(change(read_image(frame.path)), kind) for frame in frames if frame.path]


def compare(
    searched: SearchedSet, query_points: list[Keypoints], place_points: dict[int, Keypoints]
) -> list[list[Geometry]]:
    return [
        [verify(one, place_points[int(row)]) for row in rows]
        for one, rows in zip(query_points, searched.top, strict=True)
    ]


def chosen(searched: SearchedSet, found: list[list[Geometry]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each query: the first candidate, [q], and its score, [q]: inliers, and the similarity between equal counts."""
    first = np.array([rerank(one)[0] for one in found])
    rows = np.arange(len(first))
    inliers = np.array([one[at].inliers for one, at in zip(found, first, strict=True)])
    return first, inliers + 1e-3 * searched.similarity[rows, first]


def wrong_at(score: NDArray[Any], right: NDArray[np.bool_]) -> dict[str, int | None]:
    """Wrong matches accepted when the recall is first reached; None if it never is."""
    order = np.argsort(-score, kind="stable")
    hits, misses = np.cumsum(right[order]), np.cumsum(~right[order])
    at = {recall: int(np.searchsorted(hits, np.ceil(recall * len(right) - 1e-9))) for recall in RECALLS}
    return {f"{recall:g}": int(misses[row]) if row < len(right) else None for recall, row in at.items()}


def summary(searched: SearchedSet, found: list[list[Geometry]] | None) -> dict[str, Any]:
    if found is None:
        first, score = np.zeros(len(searched.top), np.int64), searched.similarity[:, 0]
    else:
        first, score = chosen(searched, found)
    right = searched.right[np.arange(len(first)), first]
    return {"R@1": round(float(right.mean()), 3), "wrong at recall": wrong_at(score, right)}


def calibration_error(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins."""
    bins = np.minimum((probability * 10).astype(int), 9)
    parts = [bins == one for one in np.unique(bins)]
    return float(sum(abs(probability[part].mean() - right[part].mean()) * part.mean() for part in parts))


def accept(searched: SearchedSet, kind: Kind) -> dict[str, Any]:
    query_points = points_of(searched.queries, kind)
    place_points = dict(enumerate(points_of(searched.database, kind)))
    found = compare(searched, query_points, place_points)
    first, _ = chosen(searched, found)
    rows = np.arange(len(first))
    right, before = searched.right[rows, first], searched.right[:, 0]
    verdict = np.array([geometric_verdict(one[at]) for one, at in zip(found, first, strict=True)])
    result: dict[str, Any] = {
        "queries": len(first),
        "without": summary(searched, None),
        "with": summary(searched, found),
        "verdict on the first": {
            name: {"right": int((right & (verdict == name)).sum()), "wrong": int((~right & (verdict == name)).sum())}
            for name in ("supported", "unsupported", "cannot tell")
        },
        "first became right / wrong by re-ranking": [int((right & ~before).sum()), int((~right & before).sum())],
    }
    lost = ~right & (verdict == "supported")
    frames = [searched.database[searched.top[row, first[row]]] for row in rows]
    same = np.array([one.sequence == two.sequence for one, two in zip(searched.queries, frames, strict=True)])
    nearby = same & np.array(
        [abs((q.index or 0) - (d.index or 0)) <= 10 for q, d in zip(searched.queries, frames, strict=True)]
    )
    result["wrong although supported"] = {
        "same sequence, within 10": int((lost & nearby).sum()),
        "same sequence, further": int((lost & same & ~nearby).sum()),
        "elsewhere": int((lost & ~same).sum()),
    }
    return result


def storage(searched: SearchedSet) -> dict[str, Any]:
    """What to store with a place. The query is always the full frame."""
    query_points = {kind: points_of(searched.queries, kind) for kind in ("sift", "orb")}
    wanted = [int(row) for row in np.unique(searched.top)]
    frames = [searched.database[row] for row in wanted]
    result: dict[str, Any] = {}

    def note(name: str, kind: Kind, sizes: list[int], points: list[Keypoints]) -> None:
        found = compare(searched, query_points[kind], dict(zip(wanted, points, strict=True)))
        inliers = [
            one.inliers
            for row, ok in zip(found, searched.right, strict=True)
            for one, good in zip(row, ok, strict=True)
            if good
        ]
        median = float(np.median(inliers))
        result[name] = {
            "bytes": round(float(np.mean(sizes))),
            "inliers of right candidates, median": median,
            **summary(searched, found),
        }
        print(name, json.dumps(result[name]), flush=True)

    for longest in (160, 240, 320, 480):
        jpegs = [encode_jpeg(thumbnail(read_image(frame.path), longest)) for frame in frames if frame.path]
        small = [detect_keypoints(decode_image(data)) for data in jpegs]
        note(f"picture, longest side {longest}, sift", "sift", [len(data) for data in jpegs], small)
    for kind in ("sift", "orb"):
        full = points_of(frames, kind)  # type: ignore[arg-type]
        for count in (100, 200, 300, 500):
            kept = [points.strongest(count) for points in full]
            note(
                f"{count} key points, {kind}",
                kind,
                [16 + len(points) * (4 + points.descriptors.shape[1]) for points in kept],  # positions as 2 x 16 bits
                kept,
            )  # type: ignore[arg-type]
    return result


def measure_time(paths: list[Path], kind: Kind, repeat: int = 5) -> dict[str, Any]:
    """Median and 95th percentile, in ms: key points of one frame, and the comparison with one and with five candidates."""
    result: dict[str, Any] = {"kind": kind, "threads": cv2.getNumThreads()}
    for width, height in ((320, 180), (512, 384), (640, 480)):
        images = [resize(read_image(path), height, width) for path in paths]
        points = [detect_keypoints(image, kind) for image in images]
        once, five = [], []
        for at, image in enumerate(images * repeat):
            start = time.perf_counter()
            query = detect_keypoints(image, kind)
            middle = time.perf_counter()
            for step in range(1, TOP + 1):
                verify(query, points[(at + step) % len(points)])
            five.append(time.perf_counter() - middle)
            once.append(middle - start)
        whole = np.add(once, five)
        rows = {"key points": once, "one candidate": np.divide(five, TOP), "frame with five": whole}
        numbers = {
            name: [round(1e3 * float(np.percentile(part, q)), 1) for q in (50, 95)] for name, part in rows.items()
        }
        result[f"{width}x{height}"] = {**numbers, "median key points": float(np.median([len(one) for one in points]))}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["accept", "storage", "time"])
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT")
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("--kind", choices=["sift", "orb"], default="sift")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    if args.what == "time":
        found = measure_time(args.inputs, args.kind)
    elif args.model is None:
        parser.error("accept and storage need -m MODEL")
    else:
        searched = search(args.inputs[0], args.model)
        found = accept(searched, args.kind) if args.what == "accept" else storage(searched)
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
