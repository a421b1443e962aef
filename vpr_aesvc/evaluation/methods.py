"""The methods side by side: same embeddings, same split, same seed, fitted on database images only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.projections.vae import train_vae

NAMES = {
    "raw": "raw",
    "pca": "PCA",
    "whitening": "whitening",
    "vae": "VAE",
    "aesvc": "AE-SVC",
    "ssd": "SSD",
    "ss2d": "(SS)2D",
    "rotation": "(SS)2D rotation",
    "pair": "(SS)2D pair",
}
"""Methods by the word that asks for them. ``ss2d`` is the paper's student, a network like those of ``ssd``, which are its upper
bound; the other two are this project's forms of it (:mod:`vpr_aesvc.projections.ss2d`)."""
DEFAULT_METHODS = ("raw", "pca", "whitening", "vae", "aesvc", "ssd", "ss2d", "rotation")
Describe = Callable[[NDArray[np.floating]], NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """A fitted method.

    Attributes:
        name: as reports show it.
        by_size: what describes embeddings for each size; the first numbers of what it gives are the descriptor.
        seconds: to fit it, without what a method before it had done already.
        note: what was chosen or left out, in words; may be empty.
    """

    key: str
    name: str
    by_size: dict[int, Describe]
    seconds: float
    note: str = ""

    def multiply_adds(self, size: int) -> int:
        """To project one embedding."""
        projection = self.by_size[size]
        if not isinstance(projection, Projection):
            return 0
        hidden = len(projection.hidden_bias)
        return projection.dim_in * (size + hidden) + hidden * size


def fit_methods(stages: Stages, dim: int, methods: Sequence[str]) -> list[Method]:
    """Fits each method at the sizes of ``stages``; the raw embedding has only its full size, ``dim``.

    Raises:
        VprError: an unknown method.
    """
    check_methods(methods)
    fitted = []
    for key in methods:
        start = time.perf_counter()
        by_size, note = _fit(stages, dim, key)
        seconds = 0.0 if key == "raw" else time.perf_counter() - start
        fitted.append(Method(key, NAMES[key], by_size, seconds, note))
    return fitted


def check_methods(methods: Sequence[str]) -> None:
    """Raises VprError for an unknown or a repeated method."""
    unknown = [key for key in methods if key not in NAMES]
    if unknown or not methods:
        raise VprError(f"method {', '.join(unknown)!r} is not known; choose among {', '.join(NAMES)}")
    if len(set(methods)) != len(methods):
        raise VprError(f"methods are named twice: {', '.join(methods)}")


def _fit(stages: Stages, dim: int, key: str) -> tuple[dict[int, Describe], str]:
    sizes, lift = stages.sizes, stages.lift
    if key == "raw":
        return {dim: unit}, ""
    if key == "vae":
        tell = stages.tell("VAE")
        count = len(sizes)

        def told(at: int) -> Callable[[int, int], None] | None:
            return None if tell is None else lambda done, of: tell(at * of + done, count * of)

        trained = [lift(train_vae(stages.data, size, stages.seed, told(at))) for at, size in enumerate(sizes)]
        return dict(zip(sizes, trained, strict=True)), "a network for each size"
    if key == "ssd":
        return {size: lift(stages.student_of(size)) for size in sizes}, "a network for each size"
    note = ""
    if key == "pca":
        projection = linear.pca(stages.data)
    elif key == "whitening":
        projection = stages.whitening
        note = "covariance enlarged by {:g} of its mean eigenvalue and {:g} of the covariance of views".format(
            *stages.shrinkage
        )
    elif key == "aesvc":
        projection = stages.teacher
        if not stages.steps_help:
            note = "gradient steps did not improve the closed-form start, which is kept: the same as whitening"
    else:
        form = "free" if key == "ss2d" else key
        projection = stages.forms(form)[form]
    return dict.fromkeys(sizes, lift(projection)), note
