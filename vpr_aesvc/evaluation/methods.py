"""The descriptor methods of a benchmark. All are fitted on the same database embeddings, with the same seed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.paper import TEACHER_SIZE
from vpr_aesvc.projections.stages import Stages

NAMES = {
    "raw": "raw",
    "pca": "PCA",
    "whitening": "whitening",
    "aesvc": "AE-SVC",
    "rotation": "(SS)2D rotation",
    "vae-paper": "VAE (paper)",
    "aesvc-paper": "AE-SVC (paper)",
    "ssd-paper": "SSD (paper)",
    "ss2d-paper": "(SS)2D (paper)",
}
"""Key of each method -> its name in reports. ``aesvc`` and ``rotation`` are this project's AE-SVC and (SS)2D. ``...-paper`` are trained as in the paper
(``vpr_aesvc.projections.paper``); ``ssd-paper`` and ``vae-paper`` train a network for each size, and SSD is the upper bound of (SS)2D."""
DEFAULT_METHODS = ("raw", "pca", "whitening", "aesvc", "rotation")
Describe = Callable[[NDArray[np.floating]], NDArray[np.float32]]
Number = TypeVar("Number", bound=np.floating)
_CHUNK = 8192  # embeddings described at once


@dataclass(frozen=True)
class Method:
    """A fitted method.

    Attributes:
        name: as shown in reports.
        by_size: descriptor size -> function from embeddings to descriptors. Its first ``size`` numbers are the descriptor.
        seconds: fitting time, without stages that an earlier method already computed.
        note: a choice made while fitting; may be empty.
    """

    key: str
    name: str
    by_size: dict[int, Describe]
    seconds: float
    note: str = ""


def describe_in_chunks(describe: Describe, embeddings: NDArray[np.floating], dtype: type[Number]) -> NDArray[Number]:
    """Descriptors [n, d] of ``dtype``. Chunks avoid a full single-precision copy of the embeddings."""
    chunks = (embeddings[at : at + _CHUNK] for at in range(0, len(embeddings), _CHUNK))
    return np.concatenate([describe(np.asarray(chunk, np.float32)).astype(dtype) for chunk in chunks])


def fit_methods(stages: Stages, dim: int, methods: Sequence[str]) -> list[Method]:
    """Fits each method at the sizes of ``stages``. The raw embedding has only its full size, ``dim``.

    Raises:
        VprError: a method is unknown or repeated.
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
    """Raises VprError for an unknown or repeated method."""
    unknown = [key for key in methods if key not in NAMES]
    if unknown or not methods:
        raise VprError(f"method {', '.join(unknown)!r} is not known; choose among {', '.join(NAMES)}")
    if len(set(methods)) != len(methods):
        raise VprError(f"methods are named twice: {', '.join(methods)}; name each once")


def _fit(stages: Stages, dim: int, key: str) -> tuple[dict[int, Describe], str]:
    sizes, lift = stages.sizes, stages.lift
    if key == "raw":
        return {dim: unit}, ""
    if key.endswith("-paper"):
        return _fit_paper(stages, key.removesuffix("-paper"))
    note = ""
    if key == "pca":
        projection = linear.pca(stages.data)
    elif key == "whitening":
        projection = linear.whitening(stages.data, isotropic=0).first(stages.data.rank)
        note = "PCA whitening, not shrunk"
    elif key == "aesvc":
        projection = stages.teacher
        note = "covariance enlarged by {:g} of its mean eigenvalue and {:g} of the covariance of views".format(
            *stages.shrinkage
        )
    else:
        projection = stages.rotation
        if stages.held_out is not None and stages.trial_rotation[0] == 0:
            note = "no student ranks held-out frames better, so it is the AE-SVC latent"
    return dict.fromkeys(sizes, lift(projection)), note


def _fit_paper(stages: Stages, kind: str) -> tuple[dict[int, Describe], str]:
    paper, lift = stages.paper, stages.lift
    if kind == "aesvc":
        teacher, full = lift(paper.teacher), lift(paper.aesvc)
        note = f"up to {TEACHER_SIZE} numbers the first ones of a latent of that size"
        return {size: teacher if size <= TEACHER_SIZE else full for size in stages.sizes}, note
    if kind == "ss2d":
        return dict.fromkeys(paper.student_sizes, lift(paper.student(paper.student_sizes))), ""
    train = paper.vae if kind == "vae" else lambda size: paper.student([size])
    return {size: lift(train(size)) for size in paper.student_sizes}, "one network per size"
