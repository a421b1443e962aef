"""Checks on real images whether an exported model finds the same places as the original.

A robot uses the export with a map of the original. So each image gets an augmented view (``vpr_aesvc.augment``), which simulates
another visit, and the view is searched among the *original's* descriptors of the images: once described by the original, once by the
export. The images themselves would be poor queries, as each finds itself.

Frames of a video are near duplicates, whose order depends on rounding. A best match counts as *changed* only if the original rates the
export's match less similar than its own match by more than ``NEAR_TIE``. All other differences are counted separately.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.augment import make_view
from vpr_aesvc.robot_model import Check
from vpr_aesvc.types import Image

Describe = Callable[[Sequence[Image]], NDArray[np.float32]]
MAX_CHANGED = 0.01  # fraction of the views
NEAR_TIE = 0.02  # cosine
MIN_COSINE = 0.95  # median: among few, very different images even a poor export finds the right one


@dataclass(frozen=True)
class Reference:
    """Real images, their augmented views, and the original's descriptors of both: float32 [n, d]."""

    images: list[Image]
    views: list[Image]
    of_images: NDArray[np.float32]
    of_views: NDArray[np.float32]

    @classmethod
    def of(cls, describe: Describe, images: Sequence[Image], labels: Sequence[str]) -> Reference:
        """``labels`` name the images; the same label gives the same view."""
        views = [make_view(image, label) for image, label in zip(images, labels, strict=True)]
        return cls(list(images), views, describe(images), describe(views))

    def first(self, count: int) -> Reference:
        """The first ``count`` images only."""
        return Reference(self.images[:count], self.views[:count], self.of_images[:count], self.of_views[:count])

    def check(self, describe: Describe) -> Check:
        """Compares ``describe`` with the original."""
        cosines = (describe(self.images) * self.of_images).sum(1)
        original = self.of_views @ self.of_images.T
        rows = np.arange(len(original))
        best, best_of_export = original.argmax(1), (describe(self.views) @ self.of_images.T).argmax(1)
        changed = float((original[rows, best_of_export] < original[rows, best] - NEAR_TIE).mean())
        return Check(
            images=len(self.images),
            cosine_median=round(float(np.median(cosines)), 6),
            cosine_p1=round(float(np.quantile(cosines, 0.01)), 6),
            cosine_min=round(float(cosines.min()), 6),
            views=len(self.views),
            top1_changed=round(changed, 6),
            top1_other=round(float((best != best_of_export).mean()), 6),
            own_found=(round(float((best == rows).mean()), 6), round(float((best_of_export == rows).mean()), 6)),
            passed=changed <= MAX_CHANGED and float(np.median(cosines)) >= MIN_COSINE,
        )
