"""Descriptors of 8,448 numbers to 256: SIFT features of each image, aggregated (VLAD), then PCA, whitening and this project's default.

    python benchmarks/many_numbers.py INPUT [-o FILE.npz]

VLAD (Jegou et al., CVPR 2010): the residuals to 66 centers of k-means, summed for each center, each sum and the whole normalized. The
centers come from the database images. ``-o`` keeps the embeddings for another run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.extraction import extract
from vpr_aesvc.images import image_of
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import Projection, prefix, unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit

CENTERS, FEATURES, SIZES = 66, 400, (16, 64, 256, 512, 1000)


class Vlad:
    """A backbone of 66 x 128 numbers."""

    name, fingerprint, dim, preprocess = "vlad", "vlad", CENTERS * 128, "none"

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._sift = cv2.SIFT_create(FEATURES)
        cv2.setRNGSeed(0)
        features = np.concatenate([self._features(image) for image in images])
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
        self._centers = cv2.kmeans(features, CENTERS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([self._vlad(self._features(image)) for image in images])

    def _features(self, image: np.ndarray) -> np.ndarray:
        found = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)[1]
        rows = np.zeros((0, 128), np.float32) if found is None else found
        return np.sqrt(rows / np.maximum(rows.sum(1, keepdims=True), 1e-9))  # RootSIFT

    def _vlad(self, features: np.ndarray) -> np.ndarray:
        nearest = (features @ self._centers.T - np.square(self._centers).sum(1) / 2).argmax(1)
        sums = np.zeros((CENTERS, 128), np.float32)
        np.add.at(sums, nearest, features - self._centers[nearest])
        rows = unit(sums.reshape(-1, 128) + 1e-12).ravel()
        return np.asarray(rows / max(np.linalg.norm(rows), 1e-9), np.float32)


def embeddings(source: Path) -> dict[str, np.ndarray]:
    inputs = open_input(source)
    database, queries = inputs.split("database").frames, inputs.split("query").frames
    vlad = Vlad([image_of(frame) for frame in database[:: max(1, len(database) // 150)]])
    known = extract(vlad, database, views=2)
    asked = extract(vlad, queries)
    found = positives(asked.frames, known.frames, inputs.tolerance)
    assert found is not None
    return {
        "database": known.embeddings,
        "views": known.views,
        "view_rows": known.view_rows,
        "queries": asked.embeddings,
        "relevant": found.table(len(known.frames)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, help="a set with queries, such as ie_tower")
    parser.add_argument("-o", "--output", type=Path, help="where the embeddings are kept, .npz")
    arguments = parser.parse_args()
    kept = arguments.output
    rows = dict(np.load(kept)) if kept and kept.exists() else embeddings(arguments.input)
    if kept and not kept.exists():
        np.savez(kept, **rows)
    frames = open_input(arguments.input).split("database").frames
    data = TrainingData.of(rows["database"], rows["views"], rows["view_rows"])
    relevant = rows["relevant"]
    answerable = relevant.any(1)

    def recall(projection: Projection | None, size: int) -> float:
        described = [
            unit(rows[name]) if projection is None else projection(rows[name]) for name in ("queries", "database")
        ]
        queries, database = (prefix(one, min(size, one.shape[1])) for one in described)
        best = (queries @ database.T).argmax(1)
        return float(relevant[np.arange(len(queries)), best][answerable].mean())

    dim = data.embeddings.shape[1]
    print(f"{len(data.embeddings)} places, {answerable.sum()} queries, {dim} numbers; R@1")
    print(f"{'':<12}" + "".join(f"{size:>8}" for size in SIZES) + "    full")
    print(f"{'raw':<12}" + " " * 8 * len(SIZES) + f"{recall(None, dim):8.3f}")
    for name, method in (("raw rotated", "raw"), ("PCA", "pca"), ("AE-SVC", "aesvc"), ("default", "auto")):
        start = time.perf_counter()
        found = fit(data, frames, method=method)
        seconds = time.perf_counter() - start
        scores = "".join(f"{recall(found.projection, size):8.3f}" for size in SIZES)
        print(
            f"{name:<12}{scores}{recall(found.projection, dim):8.3f}   {found.projection.dim_out} numbers, {seconds:.1f} s, "
            f"{found.method}, isotropic {found.isotropic:g}, view {found.view:g}",
            flush=True,
        )
    # whitening without shrinkage, in the subspace that the images span
    from vpr_aesvc.projections.stages import Stages

    stages = Stages(data, frames, [256])
    plain = stages.lift(linear.whitening(stages.data, isotropic=0))
    print(
        f"{'whitening':<12}" + "".join(f"{recall(plain, size):8.3f}" for size in SIZES) + f"{recall(plain, dim):8.3f}"
    )


if __name__ == "__main__":
    main()
