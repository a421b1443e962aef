"""Does the exported model still recognize? Beside the original, on real images.

The question is not whether two descriptors are close but whether another place is found. Each image is therefore also looked
at as another visit would see it (a changed view, :mod:`vpr_aesvc.augment`): the view is looked up among the *original's*
descriptors of the images, once as the original describes it and once as the export does, as when a map made before the export serves
after it. Queries that are the images themselves would prove too little, as each finds itself.

Frames of a video are near duplicates, and which of two of them is best is a matter of the last digits. The best match counts as
*changed* where the export prefers an image that the original holds to be clearly less similar: by more than ``NEAR_TIE``. All
other exchanges are counted beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.augment import view_of, view_seed
from vpr_aesvc.robot_model import Check

Image = NDArray[np.uint8]
Describe = Callable[[Sequence[Image]], NDArray[np.float32]]
MOST_CHANGED = 0.01  # part of the views
NEAR_TIE = 0.02  # of cosine
LEAST_COSINE = 0.95  # in the median: among few images that are far apart even a poor export finds the right one


@dataclass(frozen=True)
class Reference:
    """Real images, their changed views, and what the original makes of them: float32 [n, d]."""

    images: list[Image]
    views: list[Image]
    of_images: NDArray[np.float32]
    of_views: NDArray[np.float32]

    @classmethod
    def of(cls, describe: Describe, images: Sequence[Image], labels: Sequence[str]) -> Reference:
        """``labels`` name the images; the same name gets the same view."""
        views = [
            view_of(image, np.random.default_rng(view_seed(label, 0, 0)))
            for image, label in zip(images, labels, strict=True)
        ]
        return cls(list(images), views, describe(images), describe(views))

    def first(self, count: int) -> Reference:
        """The first ``count`` images of it."""
        return Reference(self.images[:count], self.views[:count], self.of_images[:count], self.of_views[:count])

    def check(self, describe: Describe) -> Check:
        """What ``describe`` makes of the same images."""
        cosines = (describe(self.images) * self.of_images).sum(1)
        before = self.of_views @ self.of_images.T
        after = describe(self.views) @ self.of_images.T
        at = np.arange(len(before))
        best, now_best = before.argmax(1), after.argmax(1)
        changed = float((before[at, now_best] < before[at, best] - NEAR_TIE).mean())
        return Check(
            images=len(self.images),
            cosine_median=round(float(np.median(cosines)), 6),
            cosine_p1=round(float(np.quantile(cosines, 0.01)), 6),
            cosine_min=round(float(cosines.min()), 6),
            views=len(self.views),
            top1_changed=round(changed, 6),
            top1_other=round(float((best != now_best).mean()), 6),
            own_found=(round(float((best == at).mean()), 6), round(float((now_best == at).mean()), 6)),
            passed=changed <= MOST_CHANGED and float(np.median(cosines)) >= LEAST_COSINE,
        )
