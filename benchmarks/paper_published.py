"""The figures that the authors published, for comparison on their data sets and backbones.

mAP@4, read off the plots of arXiv 2410.07022: accurate to about .01.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vpr_aesvc.evaluation.results import MethodResult

# The paper's backbone -> strings of which one must be in the name of ours.
_BACKBONES = {
    "DINO-B16": ("dino-vitb16", "dino_vitb16"),
    "ViT": ("vit-base-patch16-224",),
    "DINOv2-L": ("dinov2-large",),
}
# set, backbone, method, size (0: full size of the embedding) -> mAP@4
FIGURES = {
    ("pitts30k", "DINO-B16", "raw", 0): 0.53,
    ("pitts30k", "DINO-B16", "AE-SVC", 0): 0.57,
    ("pitts30k", "ViT", "raw", 0): 0.45,
    ("pitts30k", "ViT", "AE-SVC", 0): 0.51,
    ("pitts30k", "DINOv2-L", "raw", 0): 0.70,
    ("pitts30k", "DINOv2-L", "AE-SVC", 0): 0.71,
    ("tokyo247", "DINO-B16", "raw", 0): 0.51,
    ("tokyo247", "DINO-B16", "AE-SVC", 0): 0.75,
    ("tokyo247", "ViT", "raw", 0): 0.47,
    ("tokyo247", "ViT", "AE-SVC", 0): 0.64,
    ("tokyo247", "DINOv2-L", "raw", 0): 0.62,
    ("tokyo247", "DINOv2-L", "AE-SVC", 0): 0.80,
    ("tokyo247", "DINO-B16", "(SS)2D", 128): 0.65,
    ("tokyo247", "DINO-B16", "AE-SVC", 128): 0.52,
    ("tokyo247", "DINO-B16", "PCA", 128): 0.41,
    ("tokyo247", "DINO-B16", "AE-SVC", 256): 0.69,
    ("tokyo247", "DINO-B16", "SSD", 128): 0.66,
}


@dataclass(frozen=True)
class Published:
    """A published figure and ours, for the same set, backbone, method and size."""

    what: str  # "mAP@4, AE-SVC, 768 numbers"
    theirs: float
    ours: float


def published_beside(dataset: str, protocol: dict[str, Any], results: Sequence[MethodResult]) -> list[Published]:
    """Published figures with ours beside them: same set with all of its images, same backbone, method and size."""
    spec, full = str(protocol["backbone"]), protocol["embedding_size"]
    if protocol["skipped"]:
        return []
    backbone = paper_backbone(spec)
    comparisons = []
    for (figure_set, figure_backbone, method, size), theirs in FIGURES.items():
        if (figure_set, figure_backbone) != (dataset, backbone):
            continue
        for ours in results:
            if ours.method in (method, f"{method} (paper)") and ours.size == (size or full) and 4 in ours.map_at:
                what = f"mAP@4, {ours.method}, {ours.size} numbers"
                comparisons.append(Published(what, theirs, ours.map_at[4]))
    return comparisons


def paper_backbone(spec: str) -> str | None:
    """The paper's name of a backbone."""
    return next((name for name, parts in _BACKBONES.items() if any(part in spec for part in parts)), None)
