"""Frames -> model folder."""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.crops import Crops
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import Extraction, extract
from vpr_aesvc.files import check_free
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.inputs import database_frames
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo, model_fingerprint, save_model
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.fit import default_sizes, fit
from vpr_aesvc.projections.selection import is_above_zero
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.projections.threads import fit_threads
from vpr_aesvc.types import Frame, StageProgress

VIEWS = 2  # augmented views of each image, to estimate how an embedding changes at another visit


def train(
    source: FrameSource | Sequence[Frame],
    backbone: Backbone,
    output: Path | str,
    sizes: Sequence[int] | None = None,
    method: str = "auto",
    seed: int = 0,
    progress: StageProgress | None = None,
    crops: bool = False,
) -> Describer:
    """Fits a projection to the database frames of a set or to the keyframes of a recording, without labels, and writes the model folder ``output``.

    Args:
        source: from ``vpr_aesvc.open_input``, or frames. Poses or sequences are optional; they help to choose among the projections.
        backbone: from ``vpr_aesvc.open_backbone``.
        output: a folder that does not exist yet.
        sizes: descriptor sizes to train for; by default powers of two from 8, and the full size.
        method: one of ``vpr_aesvc.projections.fit.METHODS``; ``auto`` chooses on held-out frames.
        seed: the same frames and seed give the same bytes.
        progress: called with (stage, done, total).
        crops: also tries the mean of five crops of each image, and keeps it where it ranks held-out frames better.

    Returns:
        the opened model.

    Raises:
        VprError: too few different images, the output exists, or torch is missing.
    """
    output = Path(output)
    check_free(output, "model")
    require_torch()  # before the extraction, which may take an hour
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder:
        frames = database_frames(source, Path(folder), progress=progress)
        if len(frames) < MIN_IMAGES:
            raise VprError(f"training needs at least {MIN_IMAGES} images, found {len(frames)}")
        if crops and isinstance(backbone, GivenEmbeddings):
            raise VprError("crops need images; precomputed embeddings have none")
        extraction, said = _extract(backbone, frames, seed, progress, "embedding images"), ""
        if crops:
            backbone, extraction, said = _choose_crops(backbone, extraction, seed, progress)
    data = _data(extraction)
    with fit_threads(data):
        result = fit(data, extraction.frames, sizes, method, seed, progress)
    manifest = Manifest(
        backbone=BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint),
        method=result.method,
        sizes=list(result.sizes),
        fingerprint=model_fingerprint(backbone.fingerprint, result.projection),
        neighbor_weight=result.neighbor_weight,
        training=TrainingInfo(
            images=len(extraction.frames),
            skipped=extraction.skipped,
            seed=seed,
            why=result.why + said,
            isotropic=result.isotropic,
            view=result.view,
            held_out_scores=result.scores,
            terms=result.terms,
            cosine_variance=result.cosine_variance,
        ),
    )
    save_model(output, manifest, result.projection)
    return Describer(output, manifest, result.projection, backbone)


def _extract(
    backbone: Backbone, frames: Sequence[Frame], seed: int, progress: StageProgress | None, stage: str
) -> Extraction:
    return extract(backbone, frames, VIEWS, seed, progress and (lambda done, total: progress(stage, done, total)))


def _data(extraction: Extraction) -> TrainingData:
    return TrainingData.of(extraction.embeddings, extraction.views, extraction.view_rows)


def _choose_crops(
    backbone: Backbone, plain: Extraction, seed: int, progress: StageProgress | None
) -> tuple[Backbone, Extraction, str]:
    """(backbone, its extraction, what is said of the choice): five crops if AE-SVC then ranks held-out frames better."""
    wide = Crops(backbone)
    averaged = _extract(wide, plain.frames, seed, progress, "embedding five crops")
    ranks = []
    for one in (plain, averaged):
        stages = Stages(_data(one), plain.frames, default_sizes(backbone.dim), seed)
        if stages.held_out is None or len(one.frames) != len(plain.frames):
            return backbone, plain, "; crops were not used, as nothing tells whether they help"
        ranks.append(stages.held_out.reciprocal_ranks(stages.trial, stages.trial_sizes).mean(1))
    said = f"{ranks[1].mean():.3f} against {ranks[0].mean():.3f} of one crop"
    if is_above_zero(ranks[1] - ranks[0]):
        return wide, averaged, f"; five crops are averaged, with which AE-SVC ranks them {said}"
    return backbone, plain, f"; five crops did not help AE-SVC enough: {said}"


def require_torch() -> None:
    """Raises VprError if torch is not installed. Imports nothing."""
    if find_spec("torch") is None:
        raise VprError("training needs torch: pip install torch")
