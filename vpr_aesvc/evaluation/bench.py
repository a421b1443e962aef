"""A benchmark run: a data set, a backbone and methods -> every score, with the protocol that it depends on."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vpr_aesvc import __version__
from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import Tolerance, image_codes, positives
from vpr_aesvc.embedding_cache import EmbeddingCache
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.evaluate import EvaluationResult, RetrievalTask, evaluate
from vpr_aesvc.evaluation.methods import DEFAULT_METHODS, Method, check_methods, fit_methods
from vpr_aesvc.extraction import Extraction, extract
from vpr_aesvc.images import image_of
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import default_sizes
from vpr_aesvc.projections.reduction import MAX_DIMENSIONS
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.projections.threads import fit_threads
from vpr_aesvc.runtime import median_ms
from vpr_aesvc.training import VIEWS
from vpr_aesvc.types import Frame, StageProgress

_LIBRARIES = ("numpy", "torch", "faiss-cpu", "opencv-python-headless", "transformers", "onnxruntime", "scikit-learn")
_TIMED = 10  # images


@dataclass(frozen=True)
class BenchmarkRun:
    """A finished run.

    Attributes:
        database, queries: the frames that could be read, in order.
        task: their embeddings and the right rows.
        protocol: everything that a number depends on, for ``results.json``.
    """

    title: str
    database: list[Frame]
    queries: list[Frame]
    task: RetrievalTask
    methods: list[Method]
    evaluation: EvaluationResult
    protocol: dict[str, Any]


def bench(
    dataset: FrameSet,
    title: str,
    backbone: Backbone,
    methods: Sequence[str] = DEFAULT_METHODS,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    cache: EmbeddingCache | None = None,
    progress: StageProgress | None = None,
    encoder: str | None = None,
) -> BenchmarkRun:
    """Embeds both splits, fits every method on the database alone, and evaluates it on the queries.

    Args:
        dataset: methods are fitted on its split ``database`` and evaluated on its split ``query``.
        title: of the report.
        methods: keys of ``vpr_aesvc.evaluation.methods.NAMES``.
        sizes: descriptor sizes; by default powers of two up to the rank of the embeddings.
        cache: keeps embeddings between runs.
        progress: called with (stage, done, total).
        encoder: name of the backbone in reports; by default its ``spec``.

    Raises:
        VprError: the data set does not define right places, has no queries, or no size can be filled.
    """
    check_methods(methods)
    tolerance = dataset.tolerance
    if tolerance is None:
        raise VprError(
            f"{dataset.path}: does not say which images show the same place; it needs poses, sequence with index, or category"
        )
    splits = dataset.split("database").frames, dataset.split("query").frames
    shown = [progress and partial(progress, f"embedding the {name}") for name in ("database", "queries")]
    database = extract(backbone, splits[0], VIEWS, seed, progress=shown[0], cache=cache)
    queries = extract(backbone, splits[1], 0, seed, progress=shown[1], cache=cache)
    task = _retrieval_task(dataset, tolerance, database, queries)
    task = replace(task, embed_ms=_embed_ms(backbone, queries.frames), encoder=encoder or backbone.spec)
    data = TrainingData.of(database.embeddings, database.views, database.view_rows)
    used_sizes, left_out = _sizes(sizes, data)
    stages = Stages(data, data.of_sample(database.frames), used_sizes, seed, progress)
    with fit_threads(data):
        fitted = fit_methods(stages, backbone.dim, methods)
    protocol = {
        **({"input": "; ".join(dataset.notes)} if dataset.notes else {}),
        "database_images": len(database.frames),
        "query_images": len(queries.frames),
        "queries_without_positives": int((task.positives.counts == 0).sum()),
        "positives": str(tolerance),
        "own_image_is_no_answer": task.own_images > 0,
        "skipped": [*database.skipped, *queries.skipped],
        "backbone": backbone.spec,
        "backbone_fingerprint": backbone.fingerprint,
        "embedding_size": backbone.dim,
        "preprocessing": backbone.preprocessing,
        "fitted_on": "database images only",
        "rows_in_memory": len(data.embeddings),
        "changed_views": f"{len(database.views)} of {len(np.unique(database.view_rows))} database images",
        "embeddings_stored_as": "float16" if database.embeddings.dtype == np.float16 else "float32",
        "descriptors_stored_as": "float16",
        "search": "FAISS, exact, cosine",
        "map": "mAP@k: mean over queries of sum(precision at right ranks up to k) / min(k, right places)",
        "precision_recall": "best match of each query; area is scikit-learn's average precision",
        "intervals": "95 %, bootstrap over queries",
        "sizes_left_out": left_out,
        "methods": {method.name: method.note for method in fitted},
        "seconds": "time to fit a method, without what earlier methods already computed",
        "held_out": stages.held_out.kind if stages.held_out else stages.why_not_held_out,
        "seed": seed,
        "versions": _versions(),
        "machine": f"{platform.platform()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores",
    }
    evaluation = evaluate(task, fitted, progress)
    return BenchmarkRun(title, database.frames, queries.frames, task, fitted, evaluation, protocol)


def _retrieval_task(
    dataset: FrameSet, tolerance: Tolerance, database: Extraction, queries: Extraction
) -> RetrievalTask:
    right = positives(queries.frames, database.frames, tolerance)
    if right is None or not right.counts.any():
        raise VprError(
            f"{dataset.path}: no query has a right place in the database ({tolerance}); check that both have poses in one frame, "
            "or the same sequences or categories"
        )
    times, panoramas = [], []
    if dataset.has_times_and_panoramas:
        times = [frame.extra.get("time", "") for frame in queries.frames]
        panoramas = [frame.extra.get("panorama", "") for frame in database.frames]
    return RetrievalTask(
        database.embeddings,
        queries.embeddings,
        right,
        image_codes([*queries.frames, *database.frames]),
        times=times if all(times) else [],
        panoramas=np.unique(panoramas, return_inverse=True)[1] if panoramas and all(panoramas) else None,
    )


def _embed_ms(backbone: Backbone, frames: list[Frame]) -> float | None:
    """Median time to embed an image that is decoded already, milliseconds; None for embeddings from elsewhere."""
    if isinstance(backbone, GivenEmbeddings):
        return None
    images = [image_of(frame) for frame in frames[:_TIMED]]
    backbone.embed(images[:1])
    return median_ms(lambda at: backbone.embed([images[at % len(images)]]), 2 * _TIMED)


def _sizes(sizes: Sequence[int] | None, data: TrainingData) -> tuple[tuple[int, ...], list[int]]:
    """The sizes that the images can fill, and the requested sizes that they cannot."""
    most = min(data.rank, MAX_DIMENSIONS)
    if not sizes:
        return default_sizes(most), []
    used = tuple(sorted({size for size in sizes if 1 <= size <= most}))
    if not used:
        raise VprError(f"none of the requested sizes can be filled by these images; choose sizes up to {most}")
    return used, sorted(set(sizes) - set(used))


def _versions() -> dict[str, str]:
    versions = {"vpr_aesvc": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
