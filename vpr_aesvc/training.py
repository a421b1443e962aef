"""Frames -> model folder."""

import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.shards import Shards
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import extract
from vpr_aesvc.files import check_free
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.inputs import database_frames
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo, model_fingerprint, save_model
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.moments import Moments
from vpr_aesvc.projections.threads import fit_threads
from vpr_aesvc.sharding import VIEWS
from vpr_aesvc.types import Frame, StageProgress


def train(
    source: FrameSource | Sequence[Frame] | Shards,
    backbone: Backbone,
    output: Path | str,
    sizes: Sequence[int] | None = None,
    method: str = "auto",
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Describer:
    """Fits a projection to the database frames of a set or to the keyframes of a recording, without labels, and writes the model folder ``output``.

    Args:
        source: from ``vpr_aesvc.open_input``, or frames. Poses or sequences are optional; they help to choose among the projections. Of
            ``vpr_aesvc.Shards`` at most 100,000 rows are in memory.
        backbone: from ``vpr_aesvc.open_backbone``; for shards the one that made them, ``shards.manifest.spec``.
        output: a folder that does not exist yet.
        sizes: descriptor sizes to train for; by default powers of two from 8, and the full size.
        method: one of ``vpr_aesvc.projections.fit.METHODS``; ``auto`` chooses on held-out frames.
        seed: the same frames and seed give the same bytes.
        progress: called with (stage, done, total).

    Returns:
        the opened model.

    Raises:
        VprError: too few different images, the output exists, torch is missing, or shards are damaged or of another backbone.
    """
    output = Path(output)
    check_free(output, "model")
    require_torch()  # before the extraction, which may take an hour
    frames: Sequence[Frame]
    if isinstance(source, Shards):
        shards = Shards(source.path, "database")
        if shards.manifest.fingerprint != backbone.fingerprint:
            raise VprError(
                f"{shards.path}: was made by {shards.manifest.spec}, not by {backbone.spec}; give that backbone"
            )
        data = TrainingData.of(shards, *shards.views(), Moments.merged(Moments(*one) for one in shards.moments()))
        frames, skipped, count = shards.frames(data.sampled), shards.skipped, len(shards)
    else:
        with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder:
            frames = database_frames(source, Path(folder), progress=progress)
            if len(frames) < MIN_IMAGES:
                raise VprError(f"training needs at least {MIN_IMAGES} images, found {len(frames)}")
            extraction = extract(backbone, frames, VIEWS, seed, progress and partial(progress, "embedding images"))
        data = TrainingData.of(extraction.embeddings, extraction.views, extraction.view_rows)
        frames, skipped, count = data.of_sample(extraction.frames), extraction.skipped, len(extraction.frames)
    with fit_threads(data):
        result = fit(data, frames, sizes, method, seed, progress)
    manifest = Manifest(
        backbone=BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint),
        method=result.method,
        sizes=list(result.sizes),
        fingerprint=model_fingerprint(backbone.fingerprint, result.projection),
        neighbor_weight=result.neighbor_weight,
        recommended_size=result.recommended_size,
        training=TrainingInfo(
            images=count,
            skipped=skipped,
            seed=seed,
            why=result.why,
            isotropic=result.isotropic,
            view=result.view,
            held_out_scores=result.scores,
            size_scores=result.size_scores,
            terms=result.terms,
            cosine_variance=result.cosine_variance,
        ),
    )
    save_model(output, manifest, result.projection)
    return Describer(output, manifest, result.projection, backbone)


def require_torch() -> None:
    """Raises VprError if torch is not installed. Imports nothing."""
    if find_spec("torch") is None:
        raise VprError("training needs torch: pip install torch")
