"""A benchmark run: a set, a backbone and methods -> every number, with how it came about."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vpr_aesvc import __version__
from vpr_aesvc.backbones import Backbone
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import image_codes, positives
from vpr_aesvc.embedding_cache import EmbeddingCache
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.chosen_method import choose_method
from vpr_aesvc.evaluation.evaluate import Findings, Task, evaluate
from vpr_aesvc.evaluation.methods import DEFAULT_METHODS, Method, check_methods, fit_methods
from vpr_aesvc.evaluation.recognition_run import check_recognizable, recognize_queries
from vpr_aesvc.evaluation.results import RecognitionResult
from vpr_aesvc.extraction import extract
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import default_sizes
from vpr_aesvc.projections.reduction import MOST_DIRECTIONS
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.training import VIEWS
from vpr_aesvc.types import Frame

Progress = Callable[[str, int, int], None]
_LIBRARIES = ("numpy", "torch", "faiss-cpu", "opencv-python-headless", "transformers", "onnxruntime", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        database, queries: the frames that could be read, in order.
        task: their embeddings and what is right.
        protocol: all that a number depends on, for ``results.json``.
        recognition: what the recognizer makes of the same embeddings; None where that was not asked for.
    """

    title: str
    database: list[Frame]
    queries: list[Frame]
    task: Task
    methods: list[Method]
    findings: Findings
    protocol: dict[str, Any]
    recognition: RecognitionResult | None = None


def bench(
    dataset: FrameSet,
    title: str,
    backbone: Backbone,
    methods: Sequence[str] = DEFAULT_METHODS,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
    recognition: RecognizerSettings | None = None,
) -> Run:
    """Embeds both splits, fits every method on the database alone, and asks every query.

    Args:
        dataset: its split ``database`` is fitted on and searched, its split ``query`` is asked.
        title: what the report calls it.
        methods: among ``vpr_aesvc.evaluation.methods.NAMES``.
        sizes: descriptor sizes; by default powers of two and the most that the images can fill.
        cache: where embeddings are kept between runs.
        progress: called with (stage, done, of).
        recognition: also run the recognizer, with these parts and this false-positive rate.

    Raises:
        VprError: the set does not say who is near whom, has no queries, or a size cannot be filled; or, for recognition, its queries are
            in the database, or an image that geometry needs cannot be read.
    """
    check_methods(methods)
    tolerance = dataset.tolerance
    if tolerance is None:
        raise VprError(
            f"{dataset.root}: does not say which images show the same place; it needs poses, sequence with index, or category"
        )
    if recognition is not None:
        check_recognizable(dataset, backbone, recognition)
    before, asked_for = dataset.split("database").frames, dataset.split("query").frames
    seen = extract(backbone, before, VIEWS, seed, _tell(progress, "embedding the database"), cache)
    asked = extract(backbone, asked_for, 0, seed, _tell(progress, "embedding the queries"), cache)
    data = TrainingData.of(seen.embeddings, seen.views, seen.view_rows)
    right = positives(asked.frames, seen.frames, tolerance)
    assert right is not None  # the set has a tolerance
    if not right.counts.any():
        raise VprError(f"{dataset.root}: no query has a right place in the database ({tolerance})")
    wanted, skip_counts = _sizes(sizes, data)
    stages = Stages(data, seen.frames, wanted, seed, progress)
    fitted = fit_methods(stages, backbone.dim, methods)
    told = dataset.has_times_and_panoramas
    times = [frame.extra.get("time", "") for frame in asked.frames if told]
    cut_from = [frame.extra.get("panorama", "") for frame in seen.frames if told]
    task = Task(
        seen.embeddings,
        asked.embeddings,
        right,
        image_codes([*asked.frames, *seen.frames]),
        times if all(times) else [],
        np.unique(cut_from, return_inverse=True)[1] if cut_from and all(cut_from) else None,
    )
    findings = evaluate(task, fitted, progress)
    protocol = {
        "database_images": len(seen.frames),
        "query_images": len(asked.frames),
        "queries_without_positives": int((right.counts == 0).sum()),
        "positives": str(tolerance),
        "own_image_is_no_answer": task.own_images > 0,
        "skipped": [*seen.skipped, *asked.skipped],
        "backbone": backbone.spec,
        "backbone_fingerprint": backbone.fingerprint,
        "embedding_size": backbone.dim,
        "preprocessing": backbone.preprocessing,
        "fitted_on": "database images only",
        "changed_views": f"{len(seen.views)} of {len(np.unique(seen.view_rows))} database images",
        "embeddings_stored_as": "float16" if seen.embeddings.dtype == np.float16 else "float32",
        "descriptors_stored_as": "float16",
        "search": "FAISS, exact, cosine",
        "map": "mAP@k: mean over queries of sum(precision at right ranks up to k) / min(k, right places)",
        "precision_recall": "best match of each query; area is scikit-learn's average precision",
        "intervals": "95 %, bootstrap over queries",
        "sizes_left_out": skip_counts,
        "methods": {method.name: method.note for method in fitted},
        "seconds": "to fit a method, beyond what methods listed before it had computed",
        "held_out": stages.held_out.kind if stages.held_out else stages.lacking,
        "seed": seed,
        "versions": _versions(),
        "machine": _machine(),
    }
    recognized = None
    if recognition is not None:
        chosen = choose_method(fitted, stages, backbone.dim)
        both = seen.embeddings, asked.embeddings
        recognized = recognize_queries(seen.frames, asked.frames, both, right, backbone, chosen, recognition, progress)
    return Run(title, seen.frames, asked.frames, task, fitted, findings, protocol, recognized)


def _sizes(sizes: Sequence[int] | None, data: TrainingData) -> tuple[tuple[int, ...], list[int]]:
    most = min(data.rank, MOST_DIRECTIONS)
    if not sizes:
        return default_sizes(most), []
    kept = tuple(sorted({size for size in sizes if 1 <= size <= most}))
    if not kept:
        raise VprError(f"none of the sizes asked for can be filled by these images; choose sizes up to {most}")
    return kept, sorted(set(sizes) - set(kept))


def _versions() -> dict[str, str]:
    found = {"vpr_aesvc": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }


def _tell(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, of: progress(stage, done, of)
