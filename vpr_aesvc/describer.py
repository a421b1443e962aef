"""Image -> descriptor. Runs in numpy; torch is touched only where the backbone itself needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import Reader
from vpr_aesvc.images import as_rgb
from vpr_aesvc.model import Manifest, load_model
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.types import Frame

Described = tuple[list[int], NDArray[np.float32], "list[NDArray[np.uint8]] | None"]


class Describer:
    """A model, ready to use.

    Attributes:
        dim: the full descriptor size.
        sizes: the sizes a descriptor may be cut to, ascending; the last is ``dim``.
        fingerprint: stored in every map made with this model.
    """

    def __init__(self, path: Path, manifest: Manifest, projection: Projection, backbone: Backbone) -> None:
        self.path = path
        self.manifest = manifest
        self.projection = projection
        self.backbone = backbone
        self.dim = projection.dim_out
        self.sizes = tuple(manifest.sizes)
        self.fingerprint = manifest.fingerprint

    @classmethod
    def open(cls, path: Path | str, backbone: Backbone | None = None) -> Describer:
        """Opens a model folder.

        Args:
            backbone: one that is open already, such as embeddings computed elsewhere; by default the one the model names.

        Raises:
            VprError: not a model, damaged, or its backbone is missing or no longer the same.
        """
        path = Path(path)
        manifest, projection = load_model(path)
        try:
            backbone = backbone or open_backbone(manifest.backbone.spec)
        except VprError as error:
            raise VprError(f"{path}: its backbone cannot be opened: {error}") from error
        if backbone.fingerprint != manifest.backbone.fingerprint:
            raise VprError(
                f"{path}: was trained on backbone {manifest.backbone.spec} with fingerprint {manifest.backbone.fingerprint}, "
                f"which now has {backbone.fingerprint}; bring the old weights back or train again"
            )
        return cls(path, manifest, projection, backbone)

    def describe_frames(self, frames: Sequence[Frame], skipped: list[str]) -> Iterator[Described]:
        """Frames in order, some at a time: (positions in ``frames``, descriptors float32 [n, d_max], their RGB images). A model of
        embeddings that were computed elsewhere looks its frames up, and has no images.

        Args:
            skipped: gets one clear line for each frame that could not be read and is left out.

        Raises:
            VprError: no frame could be read, or one has no embedding.
        """
        if isinstance(self.backbone, GivenEmbeddings):
            for start in range(0, len(frames), 256):
                part = frames[start : start + 256]
                yield list(range(start, start + len(part))), self.projection(self.backbone.look_up(part)), None
            return
        reader = Reader(frames, skipped)
        for positions, images in reader.batches():
            yield positions, self.describe_batch(images), images
        reader.require_one()

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One RGB uint8 image [H, W, 3] (grey and alpha accepted) -> descriptor float32 [d_max], unit norm.

        Raises:
            VprError: not an image array.
        """
        return self.describe_batch([image])[0]  # type: ignore[no-any-return]

    def describe_batch(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images of any sizes -> descriptors float32 [n, d_max], unit norm."""
        return self.projection(self.backbone.embed([as_rgb(image) for image in images]))
