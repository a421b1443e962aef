"""The descriptor methods of a benchmark. All are fitted on the same database embeddings, with the same seed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.selection import is_harmful
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
"""Key of each method -> its name in reports. ``ss2d`` is the paper's student: one network for all sizes. ``ssd`` trains one such network per
size, the upper bound of ``ss2d``. ``rotation`` and ``pair`` are this project's variants (``vpr_aesvc.projections.ss2d``)."""
DEFAULT_METHODS = ("raw", "pca", "whitening", "vae", "aesvc", "ssd", "ss2d", "rotation")
Describe = Callable[[NDArray[np.floating]], NDArray[np.float32]]
Number = TypeVar("Number", bound=np.floating)
# Closest to the AE-SVC latent first; ``rotation`` has its cosines at full size.
_FAITHFUL = ("rotation", "aesvc", "whitening")
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

    def multiply_adds(self, size: int) -> int:
        """Multiply-adds to project one embedding."""
        projection = self.by_size[size]
        if not isinstance(projection, Projection):
            return 0
        hidden = len(projection.hidden_bias)
        return projection.dim_in * (size + hidden) + hidden * size


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


def choose_method(methods: Sequence[Method], stages: Stages, dim: int) -> tuple[Method, str]:
    """Chooses the method that makes the map for recognition, and says why.

    As in `vpr train`: the fitted method closest to the AE-SVC latent where it does no harm on held-out database frames, else the raw embedding
    (``dim`` numbers). Queries are not used.
    """
    by_key = {method.key: method for method in methods}
    key = next((key for key in _FAITHFUL if key in by_key), None)
    raw = by_key.get("raw")
    if key is None:
        return raw or methods[0], f"none of {', '.join(_FAITHFUL)} was compared"
    held_out = stages.held_out
    raw = raw or Method("raw", "raw", {dim: unit}, 0.0)
    if held_out is None:
        return raw, f"{stages.why_not_held_out}, and the raw embedding cannot do harm"
    trained = key != "whitening" and stages.steps_help
    trial = stages.trial["aesvc"] if trained else linear.whitening(held_out.data, *stages.shrinkage)
    if is_harmful(held_out, trial, linear.rotated_identity(held_out.data)):
        return raw, f"no projection beat the raw embedding by more than the uncertainty on {held_out.kind}"
    return by_key[key], f"it beat the raw embedding by more than the uncertainty on {held_out.kind}"


def _fit(stages: Stages, dim: int, key: str) -> tuple[dict[int, Describe], str]:
    sizes, lift = stages.sizes, stages.lift
    if key == "raw":
        return {dim: unit}, ""
    if key == "vae":
        return {size: lift(_train_vae(stages, at)) for at, size in enumerate(sizes)}, "one network per size"
    if key == "ssd":
        return {size: lift(stages.ssd_student(size)) for size in sizes}, "one network per size"
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
            note = "gradient steps did not improve the closed-form start, so AE-SVC equals whitening"
    else:
        student = "free" if key == "ss2d" else key
        projection = stages.forms(student)[student]
    return dict.fromkeys(sizes, lift(projection)), note


def _train_vae(stages: Stages, at: int) -> Projection:
    """The VAE of the size at this position; the progress bar covers all sizes."""
    progress, count = stages.progress_of("VAE"), len(stages.sizes)
    shifted = None if progress is None else lambda done, total: progress(at * total + done, count * total)
    return train_vae(stages.data, stages.sizes[at], stages.seed, shifted)
