"""Backbones: image -> embedding. One file for each kind; ``open_backbone`` opens one from a string."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Image


class Backbone(Protocol):
    """The interface of a backbone. No base class is needed: a new kind is one file with a class that has these five names."""

    spec: str
    """The string that opens this backbone again."""
    dim: int
    """Length D of an embedding."""
    fingerprint: str
    """Sixteen hex digits over everything that changes an embedding: weights, preprocessing, pooling."""
    preprocessing: str
    """Image preprocessing, for people: size, resize rule, normalization."""

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] of any sizes -> float32 [n, D], one row an image; [0, D] for no images.

        The rows need not have unit norm: the projection normalizes them. A row depends on its image alone. A row that is
        not finite is left out by the caller, with the image's name. Raises VprError: the model cannot run."""
        ...


class PatchBackbone(Backbone, Protocol):
    """A backbone that also gives the features of patches of the image: the tokens of a transformer, or the last feature map of a CNN."""

    patch_grid: tuple[int, int] | None
    """Rows h and columns w of the patches, which cover the preprocessed image; None if it gives none."""

    def embed_with_patches(self, images: Sequence[Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As ``embed``, and the patches float32 [n, h * w, c], row by row. Only with a ``patch_grid``."""
        ...


BACKBONE_HELP = (
    "hog (no weights) | an .onnx file with preprocess.json beside it | a Hugging Face folder or hub id, "
    "with ?pooling=cls, mean or gem"
)


def open_backbone(
    spec: str, provider: str = "cpu", threads: int | None = None, expected: str | None = None
) -> Backbone:
    """Opens a backbone from one string.

    - ``hog``: histograms of oriented gradients, no weights;
    - ``onnx:PATH`` or a path: an ``.onnx`` file, or a folder that holds one, with ``preprocess.json`` beside it;
    - ``hf:NAME`` or a folder with ``config.json`` or a hub id such as ``facebook/dinov2-small``; ``?pooling=mean`` or
      ``?pooling=gem`` may follow.

    Args:
        provider: for an ONNX encoder, see ``open_session``; other kinds ignore it.
        threads: CPU threads of an ONNX encoder; by default all cores.
        expected: the expected fingerprint, compared before the weights are parsed.

    Raises:
        VprError: not found, of an unknown kind, or not the expected backbone.
    """
    kind, _, rest = spec.partition(":")
    if spec == "hog":
        from vpr_aesvc.backbones.hog import HogBackbone

        return HogBackbone()
    if kind == "embeddings" and rest.isdigit():
        from vpr_aesvc.backbones.given import GivenEmbeddings

        return GivenEmbeddings(int(rest))
    if kind == "onnx":
        return _onnx(rest, provider, threads, expected)
    if kind == "hf":
        return _huggingface(rest, expected)
    path = Path(spec.partition("?")[0]).expanduser()
    if path.suffix == ".onnx" or (path.is_dir() and any(path.glob("*.onnx")) and not (path / "config.json").exists()):
        return _onnx(spec, provider, threads, expected)
    if path.is_dir() or spec.count("/") == 1:
        return _huggingface(spec, expected)
    raise VprError(f"backbone {spec!r}: no such file or folder, and not a hub id; expected {BACKBONE_HELP}")


def _onnx(path: str, provider: str, threads: int | None, expected: str | None) -> Backbone:
    from vpr_aesvc.backbones.onnx import OnnxBackbone

    return OnnxBackbone(path, provider, threads, expected)


def _huggingface(name: str, expected: str | None) -> Backbone:
    from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone

    name, _, options = name.partition("?")
    key, _, pooling = options.partition("=")
    if options and key != "pooling":
        raise VprError(f"backbone option {options!r} is not known; expected ?pooling=cls, mean or gem")
    return HuggingFaceBackbone(name, pooling=pooling or "cls", expected=expected)
