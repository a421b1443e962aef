"""Do the false-positive rates and probabilities of the similarity margin hold, on real images?

    python benchmarks/recognition_probability.py INPUT --backbone SPEC [--unrelated OTHER ...] [--json]
    python benchmarks/recognition_probability.py --cost

INPUT is a set whose frames have a ``floor`` (or another column, ``--by``), ``sequence`` and ``index``, with database and query frames. Maps
are built from random floors; the frames of the other floors, and of OTHER, are from outside them. Whitening and null model are fitted to
each map alone. The design was chosen on seeds 0 to 3; ``--seeds`` selects others.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.calibration import reliability
from vpr_aesvc.extraction import Extraction, extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import Projection, prefix, unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods
from vpr_aesvc.recognition.similarity.null_model import NullModel

VIEWS = 2
NEAR = 3
RATES = (0.05, 0.01)


class Places:
    """The frames of one set with their embeddings, groups, traverses and indices."""

    def __init__(self, found: Extraction, group_by: str) -> None:
        self.data = TrainingData.of(found.embeddings, found.views, found.view_rows)
        self.frames = found.frames
        self.group = np.array([frame.extra[group_by] for frame in found.frames])
        self.traverse = np.array([frame.sequence for frame in found.frames])
        self.index = np.array([frame.index for frame in found.frames], float)
        self.is_query = np.array([frame.split == "query" for frame in found.frames])

    def whitening(self, rows: np.ndarray) -> Projection:
        return fit(self.data.subset(rows), [self.frames[row] for row in rows], method="aesvc").projection


def measure(places: Places, unrelated: np.ndarray, left_out: Sequence[str], sizes: Sequence[int | None]) -> list[dict]:
    """One map without the groups ``left_out``, at each size."""
    inside = ~np.isin(places.group, left_out)
    rows, queries, outside = (
        np.flatnonzero(which) for which in (inside & ~places.is_query, inside & places.is_query, ~inside)
    )
    projection = places.whitening(rows)
    kinds = [projection(places.data.embeddings[part]) for part in (rows, queries, outside)]
    kinds.append(projection(unrelated) if len(unrelated) else kinds[0][:0])
    near = places.traverse[queries][:, None] == places.traverse[rows]
    near &= np.abs(places.index[queries][:, None] - places.index[rows]) <= NEAR
    return [
        _at_size(*(prefix(part, size) if size else part for part in kinds), places.traverse[rows], near, size)
        for size in sizes
    ]


def _at_size(
    mapped: np.ndarray,
    queries: np.ndarray,
    elsewhere: np.ndarray,
    unrelated: np.ndarray,
    traverses: np.ndarray,
    near: np.ndarray,
    size: int | None,
) -> dict:
    neighborhoods = Neighborhoods(mapped, traverses)
    null = NullModel.fit(neighborhoods)
    found = [neighborhoods.margin(row) for row in queries @ mapped.T]
    inside = np.array([one.value for one in found])
    right = near[np.arange(len(found)), [one.row for one in found]]
    known = near.any(1)
    outside, foreign = (
        np.array([neighborhoods.margin(row).value for row in part @ mapped.T]) for part in (elsewhere, unrelated)
    )
    similarity, best = (queries @ mapped.T).max(1), (queries @ mapped.T).argmax(1)
    similar_right = near[np.arange(len(best)), best]
    figures: dict = {
        "size": size or mapped.shape[1],
        "places": len(mapped),
        "segments": null.segments,
        "recall_at_1": float(right[known].mean()),
        "similarity_recall_at_1": float(similar_right[known].mean()),
    }
    for rate in RATES:
        figures[f"accepted_{rate:g}"] = {
            "other_floors": _part(null.false_positive_rate(outside) <= rate),
            "unrelated": _part(null.false_positive_rate(foreign) <= rate),
            "recall": _part(right[known] & (null.false_positive_rate(inside[known]) <= rate)),
        }
        if len(outside):
            oracle = np.quantile(outside, 1 - rate), np.quantile((elsewhere @ mapped.T).max(1), 1 - rate)
            figures[f"oracle_{rate:g}"] = {
                "margin": _part(right[known] & (inside[known] > oracle[0])),
                "similarity": _part(similar_right[known] & (similarity[known] > oracle[1])),
            }
    for name, prior in (("", {}), ("_all_in_map", {"in_map": 1.0})):
        diagram = reliability(null.probability(inside, **prior), right)
        figures[f"calibration_error{name}"] = diagram.error
        figures[f"reliability{name}"] = [
            [round(float(p), 3), round(float(o), 3), int(n)]
            for p, o, n in zip(diagram.predicted, diagram.observed, diagram.counts, strict=True)
            if n
        ]
    return figures


def _part(which: np.ndarray) -> float | None:
    return float(which.mean()) if len(which) else None


def cost() -> dict:
    """Milliseconds, on drawn descriptors of 256 numbers, one traverse."""
    figures = {}
    for count in (1_000, 10_000, 20_000):
        random = np.random.default_rng(0)
        rows = random.standard_normal((count, 256)).astype(np.float32)
        rows[1:] += 0.7 * rows[:-1]
        rows = unit(rows)
        start = time.perf_counter()
        neighborhoods = Neighborhoods(rows)
        built = time.perf_counter()
        NullModel.fit(neighborhoods)
        fitted = time.perf_counter()
        similarities = rows @ rows[5]
        times = []
        for _ in range(200):
            begin = time.perf_counter()
            neighborhoods.margin(similarities)
            times.append(time.perf_counter() - begin)
        figures[count] = {
            "neighborhoods_ms": 1e3 * (built - start),
            "fit_ms": 1e3 * (fitted - built),
            "query_ms": 1e3 * float(np.median(times)),
        }
    return figures


def _table(results: list[dict]) -> None:
    print(
        f"{'left out':<9}{'size':>5}{'R@1':>7}"
        + "".join(f"{f'at {rate:g}':>8}{'unrel.':>8}{'recall':>8}{'oracle':>8}" for rate in RATES)
        + f"{'ECE':>7}"
    )
    for kind in dict.fromkeys(one["kind"] for one in results):
        for size in dict.fromkeys(one["size_name"] for one in results):
            part = [one for one in results if one["kind"] == kind and one["size_name"] == size]
            line = f"{kind:<9}{size:>5}{np.mean([one['recall_at_1'] for one in part]):7.3f}"
            spread = ""
            for rate in RATES:
                accepted = [one[f"accepted_{rate:g}"] for one in part]
                if accepted[0]["other_floors"] is None:
                    line += f"{'':>32}"
                    continue
                floors = [one["other_floors"] for one in accepted]
                oracle = np.mean([one[f"oracle_{rate:g}"]["margin"] for one in part])
                line += f"{np.mean(floors):8.3f}{max(one['unrelated'] or 0 for one in accepted):8.3f}{np.mean([one['recall'] for one in accepted]):8.3f}{oracle:8.3f}"
                spread += f"  [{min(floors):.3f}, {max(floors):.3f}]"
            print(f"{line}{np.mean([one['calibration_error'] for one in part]):7.3f}{spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?")
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--unrelated", type=Path, nargs="*", default=[])
    parser.add_argument("--by", default="floor", help="the column whose values are left out")
    parser.add_argument("--seeds", type=int, nargs=2, default=(10, 14), metavar=("FIRST", "END"))
    parser.add_argument("--size", type=int, default=64, help="besides the full size")
    parser.add_argument("--cost", action="store_true", help="time only")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.cost:
        print(json.dumps(cost(), indent=1))
        return
    if args.input is None:
        sys.exit("error: an INPUT is needed, or --cost")
    backbone = open_backbone(args.backbone)
    with EmbeddingCache(default_cache(), backbone.fingerprint, backbone.dim) as cache:
        places = Places(extract(backbone, open_input(args.input).frames, VIEWS, cache=cache), args.by)
        others = [extract(backbone, open_input(path).frames, cache=cache).embeddings for path in args.unrelated]
    unrelated = unit(np.concatenate(others)) if others else np.empty((0, backbone.dim), np.float32)
    groups = sorted(set(places.group.tolist()))
    results = []
    for kind, count in (("none", 0), ("half", len(groups) // 2), ("few", max(1, len(groups) // 4))):
        for seed in range(*args.seeds) if count else [0]:
            random = np.random.default_rng([seed, {"none": 2, "half": 0, "few": 1}[kind]])
            left_out = random.choice(groups, count, replace=False).tolist()
            for size, one in zip(
                (None, args.size), measure(places, unrelated, left_out, (None, args.size)), strict=True
            ):
                results.append(
                    {"kind": kind, "seed": seed, "left_out": left_out, "size_name": str(size or "full"), **one}
                )
    if args.json:
        print(json.dumps({"backbone": args.backbone, "results": results}, indent=1))
    else:
        _table(results)


if __name__ == "__main__":
    main()
