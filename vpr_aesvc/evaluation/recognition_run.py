"""Recognition in a benchmark: the real recognizer on a map of the database frames, asked for the queries in their order.

Descriptors come from the embeddings that the methods were compared on; nothing is embedded again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
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
from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.evaluation.recognition_ablation import Answers, ask, forms, in_order, write_map
from vpr_aesvc.evaluation.recognition_measures import measure_part
from vpr_aesvc.evaluation.recognition_words import protocol_of
from vpr_aesvc.evaluation.results import RecognitionResult
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

_CHUNK = 8192
Progress = Callable[[str, int, int], None]


def check_recognizable(dataset: FrameSet, backbone: Backbone, settings: RecognizerSettings) -> None:
    """Before hours of embedding.

    Raises:
        VprError: queries are database images as well, or geometry lacks the images.
    """
    queries, database = dataset.split("query").frames, dataset.split("database").frames
    codes = image_codes([*queries, *database])
    own = int(np.isin(codes[: len(queries)], codes[len(queries) :]).sum())
    if own:
        raise VprError(
            f"{dataset.root}: recognition asks for images that the map does not hold, but {own} of {len(queries)} queries are database "
            "images as well; give the input a split, or compare methods without recognition"
        )
    if settings.geometry and isinstance(backbone, GivenEmbeddings):
        missing = [f for f in (*queries, *database) if f.image is None and (f.path is None or not f.path.is_file())]
        if missing:
            raise VprError(
                f"{dataset.root}: geometry looks at the images, but {len(missing)} of them are not there, such as {missing[0].label}; "
                "bring them, or leave geometry out"
            )


def recognize_queries(
    database: Sequence[Frame],
    queries: Sequence[Frame],
    embeddings: tuple[NDArray[np.floating], NDArray[np.floating]],
    right: Positives,
    backbone: Backbone,
    chosen: tuple[Method, str],
    settings: RecognizerSettings,
    progress: Progress | None = None,
) -> RecognitionResult:
    """Every form that is wanted, on one map.

    Args:
        embeddings: of the database [n, D] and of the queries [q, D].
        right: the right database rows of each query.
        chosen: the method that describes, and why it.
        settings: ``sequence`` and ``geometry`` say what is tried beyond a single frame.

    Raises:
        VprError: an image that geometry needs cannot be read, or the disk refuses.
    """
    method, why = chosen
    there, asked = in_order(database), in_order(queries)
    stored, given = (
        _described(method, embeddings[at], order) for at, order in enumerate((there, asked))
    )  # float32 [n, d], [q, d]
    places, frames = [database[at] for at in there], [queries[at] for at in asked]
    wanted = forms(settings.sequence, settings.geometry)
    describer = _describer(backbone, method, stored.shape[1])
    found: dict[str, Answers] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.vprmap"
        tell = _tell(progress, "building the map")
        write_map(path, describer, places, stored, settings.geometry, tell)
        with PlaceMap.open(path, describer) as place_map:
            for form in wanted:
                tell = _tell(progress, f"recognizing: {form.name}")
                found[form.name] = ask(place_map, describer, form, frames, given, settings, tell)
    of_asked = right.of_queries(asked)
    known = of_asked.counts > 0
    hits = {
        name: of_asked.hits(np.where(one.rows < 0, -1, there[one.rows])[:, None])[:, 0] for name, one in found.items()
    }
    before = hits[wanted[0].name]
    rate = settings.false_positive_rate
    parts = [measure_part(name, one, hits[name], known, before, rate) for name, one in found.items()]
    protocol = protocol_of(places, frames, known, method, why, stored.shape[1], wanted, rate)
    return RecognitionResult(rate, parts, len(frames), int((~known).sum()), protocol)


def _described(method: Method, embeddings: NDArray[np.floating], order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Descriptors at full size, unit norm, in this order."""
    describe = method.by_size[max(method.by_size)]
    parts = [
        describe(np.asarray(embeddings[order[at : at + _CHUNK]], np.float32)) for at in range(0, len(order), _CHUNK)
    ]
    return np.concatenate(parts)


def _describer(backbone: Backbone, method: Method, size: int) -> Describer:
    """What the map is made with. It is never asked to describe: all descriptors are known."""
    nothing: dict[str, Any] = {"held_out_scores": {}, "terms": {}, "cosine_variance": {}}
    manifest = Manifest(
        backbone=BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint),
        method=method.key,
        sizes=[size],
        fingerprint=fingerprint("benchmark", backbone.fingerprint, method.key),
        training=TrainingInfo(images=0, seed=0, why="a benchmark", isotropic=0.0, view=0.0, **nothing),
    )
    return Describer(Path("benchmark"), manifest, None, backbone)


def _tell(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, of: progress(stage, done, of)
