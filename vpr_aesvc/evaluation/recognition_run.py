"""Recognition in a benchmark: the recognizer runs on a map of the database frames and recognizes the queries in order.

The descriptors come from the embeddings that the methods were compared on. Nothing is embedded again.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import Positives, image_codes
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.methods import Method, describe_in_chunks
from vpr_aesvc.evaluation.recognition_ablation import (
    VariantAnswers,
    recording_order,
    run_variant,
    score_variant,
    variants,
    write_map,
)
from vpr_aesvc.evaluation.results import RecognitionResult
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Progress, StageProgress

MOTION_WITHOUT_STAMPS = "no odometry, and not all images have stamps, so the sequence counts frames"


def check_recognizable(dataset: FrameSet, backbone: Backbone, settings: RecognizerSettings) -> None:
    """Checks the data set before hours of embedding.

    Raises:
        VprError: queries are also database images, or the images that geometry needs are missing.
    """
    queries, database = dataset.split("query").frames, dataset.split("database").frames
    codes = image_codes([*queries, *database])
    own = int(np.isin(codes[: len(queries)], codes[len(queries) :]).sum())
    if own:
        raise VprError(
            f"{dataset.path}: recognition needs queries that are not in the map, but {own} of {len(queries)} queries are database "
            "images as well; give the input a split, or compare methods without recognition"
        )
    if settings.geometry and isinstance(backbone, GivenEmbeddings):
        missing = [f for f in (*queries, *database) if f.image is None and (f.path is None or not f.path.is_file())]
        if missing:
            raise VprError(
                f"{dataset.path}: geometry needs the images, but {len(missing)} of them are missing, such as {missing[0].label}; "
                "add them, or leave geometry out"
            )


def recognize_queries(
    database: Sequence[Frame],
    queries: Sequence[Frame],
    embeddings: tuple[NDArray[np.floating], NDArray[np.floating]],
    positives: Positives,
    backbone: Backbone,
    chosen: tuple[Method, str],
    settings: RecognizerSettings,
    progress: StageProgress | None = None,
) -> RecognitionResult:
    """Runs every variant on one map.

    Args:
        embeddings: of the database [n, D] and of the queries [q, D].
        positives: the right database rows of each query.
        chosen: the method that makes the descriptors, and the reason for it.
        settings: ``sequence`` and ``geometry`` select the variants.

    Raises:
        VprError: an image that geometry needs cannot be read, or the map cannot be written.
    """
    method, reason = chosen
    describe = method.by_size[max(method.by_size)]
    orders = recording_order(database), recording_order(queries)
    stored, descriptors = (
        describe_in_chunks(describe, part[order], np.float32) for part, order in zip(embeddings, orders, strict=True)
    )
    places, frames = [database[row] for row in orders[0]], [queries[row] for row in orders[1]]
    compared = variants(settings.sequence, settings.geometry)
    describer = _describer(backbone, method, stored.shape[1])
    answers: dict[str, VariantAnswers] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.vprmap"
        write_map(path, describer, places, stored, settings.geometry, stage_progress(progress, "building the map"))
        with PlaceMap.open(path, describer) as place_map:
            for variant in compared:
                shown = stage_progress(progress, f"recognizing: {variant.name}")
                answers[variant.name] = run_variant(
                    place_map, describer, variant, frames, descriptors, settings=settings, progress=shown
                )
    ordered = positives.of_queries(orders[1])
    known, rate = ordered.counts > 0, settings.false_positive_rate
    hits = {
        name: ordered.hits(np.where(one.rows < 0, -1, orders[0][one.rows])[:, None])[:, 0]
        for name, one in answers.items()
    }
    similarity_hits = hits[compared[0].name]
    parts = [score_variant(name, one, hits[name], known, similarity_hits, rate) for name, one in answers.items()]
    protocol = {
        **_protocol(places, frames, known),
        "descriptors": f"{method.name}, {stored.shape[1]} numbers; the map stores them in half precision",
        "descriptors_chosen": f"{reason}; queries were not used",
        "false_positive_rate": f"{rate:g}: the target fraction of accepted matches among frames from outside the map, estimated from the map alone",
    }
    return RecognitionResult(rate, parts, len(frames), int((~known).sum()), protocol)


def _protocol(places: Sequence[Frame], frames: Sequence[Frame], known: NDArray[np.bool_]) -> dict[str, Any]:
    with_pose, absent = sum(place.pose is not None for place in places), int((~known).sum())
    positions = "all with positions" if with_pose == len(places) else f"{with_pose or 'none'} with positions"
    rest = f"any match of the other {absent} is wrong" if absent else "all queries are in the map"
    stamped = all(frame.stamp is not None for frame in (*places, *frames))
    return {
        "map": f"{len(places)} database images as places, {positions}",
        "order": _order(frames),
        "motion": "from the stamps; no odometry" if stamped else MOTION_WITHOUT_STAMPS,
        "right_places": f"{int(known.sum())} of {len(frames)} queries have a right place in the map; {rest}",
        "level": "for curves and recalls, matches are accepted by false-positive rate, for equal rates by probability; "
        "for similarity alone, by similarity",
    }


def _describer(backbone: Backbone, method: Method, size: int) -> Describer:
    """Names the model of the map. It describes nothing: all descriptors are given."""
    no_scores: dict[str, Any] = {"held_out_scores": {}, "terms": {}, "cosine_variance": {}}
    manifest = Manifest(
        backbone=BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint),
        method=method.key,
        sizes=[size],
        fingerprint=fingerprint("benchmark", backbone.fingerprint, method.key),
        training=TrainingInfo(images=0, seed=0, why="a benchmark", isotropic=0.0, view=0.0, **no_scores),
    )
    return Describer(Path("benchmark"), manifest, None, backbone)


def _order(frames: Sequence[Frame]) -> str:
    by = "by index" if any(frame.index is not None for frame in frames) else "in the order of the input"
    by = "by stamp" if all(frame.stamp is not None for frame in frames) else by
    sequences = len({frame.sequence for frame in frames})
    if sequences > 1:
        return f"the queries of {sequences} sequences, each {by}; the recognizer is reset between them"
    return f"the queries of one sequence, {by}"


def stage_progress(progress: StageProgress | None, stage: str) -> Progress | None:
    """The progress of one stage, as (done, total)."""
    return None if progress is None else lambda done, total: progress(stage, done, total)
