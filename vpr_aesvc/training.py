"""From frames to a model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import extract
from vpr_aesvc.files import check_free
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo, model_fingerprint, save_model
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.types import Frame

VIEWS = 2  # changed views of each image: what another visit does to an embedding is estimated from them


def train(
    frames: Sequence[Frame],
    backbone: Backbone,
    output: Path | str,
    sizes: Sequence[int] | None = None,
    method: str = "auto",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Describer:
    """Fits a projection to the database ``frames``, without labels, and writes the model folder ``output``.

    Args:
        frames: the database images; poses or sequences, where there are some, only help to choose among the projections.
        backbone: from :func:`vpr_aesvc.open_backbone`.
        output: a folder that does not exist yet.
        sizes: descriptor sizes to train for; by default powers of two from 8 up, and the full size.
        method: ``auto`` chooses on held-out frames; see ``vpr_aesvc.projections.fit.METHODS``.
        seed: same frames and seed, same bytes.
        progress: called with (stage, done, of).

    Returns:
        the model, opened.

    Raises:
        VprError: too few different images, an output that exists, torch missing.
    """
    output = Path(output)
    check_free(output, "model")
    if len(frames) < MIN_IMAGES:
        raise VprError(f"training needs at least {MIN_IMAGES} images, found {len(frames)}")
    require_torch()  # now rather than after an hour of extraction
    found = extract(
        backbone, frames, VIEWS, seed, progress and (lambda done, of: progress("embedding images", done, of))
    )
    data = TrainingData.of(found.embeddings, found.views, found.view_rows)
    result = fit(data, found.frames, sizes, method, seed, progress)
    manifest = Manifest(
        backbone=BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint),
        method=result.method,
        sizes=list(result.sizes),
        fingerprint=model_fingerprint(backbone.fingerprint, result.projection),
        training=TrainingInfo(
            images=len(found.frames),
            skipped=found.skipped,
            seed=seed,
            why=result.why,
            isotropic=result.isotropic,
            view=result.view,
            held_out_scores=result.scores,
            terms=result.terms,
            cosine_variance=result.cosine_variance,
        ),
    )
    save_model(output, manifest, result.projection)
    return Describer(output, manifest, result.projection, backbone)


def require_torch() -> None:
    """Raises VprError where it is missing. Nothing is imported."""
    if find_spec("torch") is None:
        raise VprError("training needs torch: pip install 'vpr_aesvc[train]'")
