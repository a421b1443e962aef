"""What re-ranking by patches adds to similarity and to key points, and what it costs.

    python benchmarks/patches.py INPUT -m MODEL [--top 10] [--json FILE]

INPUT has splits and knows the right places. MODEL gives patches: trained with an encoder of `vpr model fetch`, which adds them to an ONNX encoder, too, or
exported. A map of the database frames is built with patches. The `--top` most similar places of each query that has a right place are ranked:

- similarity: not ranked again
- key points: most inliers first, from 12 inliers up
- patches: highest score first
- both: most inliers first, highest score of the patches between equal counts
- learned: by a weighted sum of log(1 + inliers) and the score of the patches. The weights are learned from the map alone, without labels (see
  `learned_weights`)

`any` is the part of the queries with a right place among these. Milliseconds are medians on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.images import read_image, thumbnail
from vpr_aesvc.inputs import open_input
from vpr_aesvc.mapping import build_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints, detect_keypoints
from vpr_aesvc.recognition.geometry.verification import MIN_INLIERS, verify
from vpr_aesvc.recognition.patches.stored import StoredPatches
from vpr_aesvc.runtime import median_ms
from vpr_aesvc.types import Frame

SIMULATED = 120  # places that serve as queries to learn the weights
NEAR = 3  # places along the drive
Table = NDArray[np.float64]


class Scorer:
    """Scores candidates of a map by key points and by patches."""

    def __init__(self, place_map: PlaceMap, describer: Describer) -> None:
        self.describer = describer
        self.ids, descriptors = place_map.descriptors()
        self.descriptors = descriptors.astype(np.float32)
        self.keypoints = StoredKeypoints(place_map)
        patches = StoredPatches.of(place_map, describer)
        assert patches is not None
        self.patches = patches
        self.keypoints.ids = self.patches.ids = self.ids

    def top(self, descriptor: NDArray[np.float32], count: int, excluded: int | None = None) -> NDArray[np.int64]:
        similarities = self.descriptors @ descriptor
        if excluded is not None:
            similarities[excluded] = -2
        return np.argsort(-similarities, kind="stable")[:count]

    def scores(self, keypoints: Any, patches: NDArray[np.float32], rows: NDArray[np.int64]) -> Table:
        """[k, 2]: inliers, and the score of the patches."""
        return np.array(
            [(verify(keypoints, self.keypoints[row]).inliers, self.patches.match(patches, row).score) for row in rows]
        )


def learned_weights(scorer: Scorer, frames: list[Frame], count: int) -> Table:
    """Conditional logit (McFadden, 1974) over the candidates of places that serve as queries of the map without themselves. The candidates that are at
    most 3 places away along the drive count as right."""
    tables, right = [], []
    for row in np.sort(np.random.default_rng(0).permutation(len(frames))[:SIMULATED]):
        rows = scorer.top(scorer.descriptors[row], count, excluded=row)
        near = [
            frames[at].sequence == frames[row].sequence
            and abs((frames[at].index or 0) - (frames[row].index or 0)) <= NEAR
            for at in rows
        ]
        if any(near) and not all(near):
            tables.append(features(scorer.scores(scorer.keypoints[row], scorer.patches[row], rows)))
            right.append(near)
    x, ok, weights = np.array(tables), np.array(right), np.zeros(2)
    for _ in range(50):
        odds = np.exp(x @ weights - (x @ weights).max(1, keepdims=True))
        given = odds / odds.sum(1, keepdims=True)
        wanted = odds * ok / (odds * ok).sum(1, keepdims=True)
        gradient = ((wanted - given)[..., None] * x).sum((0, 1)) - 0.01 * len(x) * weights
        mean = (given[..., None] * x).sum(1)
        curvature = np.einsum("qk,qkf,qkg->fg", given, x, x) - mean.T @ mean + 0.01 * len(x) * np.eye(2)
        weights += np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    return weights


def features(scores: Table) -> Table:
    return np.stack([np.log1p(scores[..., 0]), scores[..., 1]], -1)


def measure(source: Path, model: Path, count: int, folder: Path) -> dict[str, Any]:
    inputs, describer = open_input(source), Describer.open(model, threads=1)
    queries, database = (list(inputs.split(name).frames) for name in ("query", "database"))
    build_map(database, describer, folder / "map.vprmap", patches=True)
    known = positives(queries, database, inputs.tolerance)
    if known is None:
        raise SystemExit(f"{source}: the right places are unknown")
    asked, table = np.flatnonzero(known.counts), known.table(len(database))
    with PlaceMap.open(folder / "map.vprmap") as place_map:
        scorer = Scorer(place_map, describer)
        scores, right = [], []
        for query in asked:
            image = read_image(queries[query].path)
            rows = scorer.top(describer.describe(image), count)
            patches = scorer.patches.projection(describer.patches(image))
            scores.append(scorer.scores(detect_keypoints(thumbnail(image)), patches, rows))
            right.append(table[query, rows])
        found, hits = np.array(scores), np.array(right)
        inliers, patch_scores = found[..., 0], found[..., 1]
        weights = learned_weights(scorer, database, count)
        rankings = {
            "similarity": np.zeros_like(inliers),
            "key points": np.where(inliers >= MIN_INLIERS, inliers, 0),
            "patches": patch_scores,
            "both": inliers + patch_scores,  # which are below 1
            "learned": features(found) @ weights,
        }
        stored, size = place_map.patch_sizes()
        match = median_ms(lambda at: scorer.patches.match(patches, rows[at % count]), 200)
        project = median_ms(lambda _: scorer.patches.projection(describer.patches(image)), 50)
        with_patches = median_ms(lambda _: describer.describe(image), 15)
        describer.keep_patches = False
        return {
            "queries": len(asked),
            "places": len(database),
            "R@1": {
                name: round(float(hits[np.arange(len(asked)), score.argmax(1)].mean()), 3)
                for name, score in rankings.items()
            },
            "any": round(float(hits.any(1).mean()), 3),
            "weights of inliers and patches": np.round(weights, 2).tolist(),
            "bytes a place": size // stored,
            "ms": {
                "describe": round(median_ms(lambda _: describer.describe(image), 15), 2),
                "describe with patches": round(with_patches, 2),
                "project a frame": round(project, 3),
                "match a candidate": round(match, 3),
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, metavar="INPUT")
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--top", type=int, default=10, help="candidates")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.input, args.model, args.top, Path(folder))
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
