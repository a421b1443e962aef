"""One set with one backbone, for `paper.py`: all methods, and what the figure and the claims need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.labeled_sets import TITLES, open_set
from benchmarks.paper_published import FIGURES, Published, paper_backbone, published_beside
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.evaluation.benchmark_files import write_benchmark
from vpr_aesvc.projections.aesvc import cosine_sample
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import evenly_spaced
from vpr_aesvc.types import StageProgress

METHODS = ("raw", "pca", "vae-paper", "aesvc-paper", "ssd-paper", "ss2d-paper", "aesvc", "rotation")
SIZES = (
    8,
    16,
    32,
    64,
    128,
    256,
    512,
    768,
    1024,
)  # sizes above that of the embedding are left out, and that of the embedding is added
RAW, PCA, VAE, AESVC, SSD, SS2D = "raw", "PCA", "VAE (paper)", "AE-SVC (paper)", "SSD (paper)", "(SS)2D (paper)"
OUR_AESVC, OUR_SS2D = "AE-SVC", "(SS)2D rotation"
GFLOP_PER_NUMBER = 0.0336
"""Read off the paper's axis. It is what comparing 1,000 queries with 16,816 images costs, the number of images and queries of Pitts30k."""


@dataclass(frozen=True)
class PaperRun:
    """What is kept of a run.

    Attributes:
        specific: the backbone was trained on sets of this kind, as CosPlace was.
        queries: those with a right place.
        scores: method -> size -> mAP@4.
        cosines: method -> cosines of pairs of database images.
        theirs: method -> size -> mAP@4, as published for this set and backbone; size 0 is the full one.
        published: the same beside our figures.
    """

    dataset: str
    backbone: str
    specific: bool
    queries: int
    scores: dict[str, dict[int, float]]
    cosines: dict[str, np.ndarray]
    theirs: dict[str, dict[int, float]] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def full(self, method: str) -> float:
        """At its largest size."""
        return self.scores[method][max(self.scores[method])]

    @property
    def dim(self) -> int:
        return max(self.scores[RAW])


def run_set(
    dataset: str,
    data: Path,
    backbone: tuple[str, str, bool],
    folder: Path,
    cache: Path | None = None,
    sizes: Sequence[int] = SIZES,
    methods: Sequence[str] = METHODS,
    progress: StageProgress | None = None,
) -> PaperRun:
    """Evaluates all methods and writes their report to ``folder``. ``backbone``: name, spec and whether it is specific."""
    name, spec, specific = backbone
    opened, frames = open_backbone(spec), open_set(dataset, data)
    full = min(opened.dim, len(frames.split("database").frames) - 1)
    wanted = (*(size for size in sizes if size < full), full)
    with EmbeddingCache(cache or default_cache(), opened.fingerprint, opened.dim) as kept:
        run = bench(frames, TITLES[dataset], opened, methods, wanted, cache=kept, progress=progress)
    write_benchmark([run], dataset, folder)
    scores: dict[str, dict[int, float]] = {}
    for one in run.evaluation.results:
        scores.setdefault(one.method, {})[one.size] = one.map_at.get(4, float("nan"))
    sample = np.asarray(evenly_spaced(run.task.database, 1000), np.float32)
    latents = {one.name: one.by_size[max(one.by_size)] for one in run.methods if one.key in ("aesvc-paper", "aesvc")}
    cosines = {method: cosine_sample(describe(sample)) for method, describe in {RAW: unit, **latents}.items()}
    theirs = published_by(dataset, paper_backbone(spec))
    usable = run.protocol["query_images"] - run.protocol["queries_without_positives"]
    beside = tuple(published_beside(dataset, run.protocol, run.evaluation.results))
    return PaperRun(dataset, name, specific, usable, scores, cosines, theirs, beside)


def published_by(dataset: str, backbone: str | None) -> dict[str, dict[int, float]]:
    """Method -> size -> mAP@4 that the authors published."""
    found: dict[str, dict[int, float]] = {}
    for (figure_set, figure_backbone, method, size), value in FIGURES.items():
        if (figure_set, figure_backbone) == (dataset, backbone):
            found.setdefault(method, {})[size] = value
    return found
