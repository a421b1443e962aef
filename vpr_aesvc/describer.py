"""Image -> descriptor. Uses numpy; only a Hugging Face backbone needs torch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone, PatchBackbone, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import Reader
from vpr_aesvc.images import as_rgb
from vpr_aesvc.model import Manifest, load_model, read_manifest
from vpr_aesvc.projections.artifact import Projection, prefix
from vpr_aesvc.robot_model import RobotManifest, RobotModel, is_robot_model, load_robot_model
from vpr_aesvc.types import Frame, Image

AnyManifest = Manifest | RobotManifest
Described = tuple[list[int], NDArray[np.float32], "list[Image] | None"]


class Describer:
    """An opened model: a trained one (backbone and projection) or a robot model (one graph).

    Attributes:
        projection: None for a robot model, whose graph computes descriptors.
        dim: the descriptor size: that which the training recommends, see ``of_size``.
        sizes: valid prefix sizes, ascending; the last is ``dim``.
        fingerprint: models with the same fingerprint give the same descriptors.
        family: models of the same family can use the same maps. A robot model that passed its check is of its original's family.
        precision: ``fp32``, ``fp16`` or ``int8``.
        provider: execution provider of the graph, ``cpu`` if there is no graph.
        patch_grid: rows and columns of the patches of an image; None for a model that gives none.
        keep_patches: whether ``describe`` and ``describe_batch`` compute the patches, too, for ``patches``.
    """

    def __init__(self, path: Path, manifest: AnyManifest, projection: Projection | None, backbone: Backbone) -> None:
        self.path = path
        self.manifest = manifest
        self.projection = projection
        self.backbone = backbone
        self.dim = manifest.recommended_size or manifest.sizes[-1]
        if self.dim not in manifest.sizes:
            raise VprError(
                f"{path}: recommends size {self.dim}, for which it was not trained; copy or train the model again"
            )
        self.sizes = tuple(size for size in manifest.sizes if size <= self.dim)
        self.fingerprint = manifest.fingerprint
        self.family: str = manifest.family
        self.precision: str = manifest.precision
        self.provider: str = getattr(backbone, "provider", "cpu")
        self.patch_grid: tuple[int, int] | None = getattr(backbone, "patch_grid", None)
        self.keep_patches = False
        self._kept: tuple[Sequence[Image], NDArray[np.float32]] = (), np.empty(0, np.float32)

    @classmethod
    def open(
        cls, path: Path | str, backbone: Backbone | None = None, *, provider: str = "cpu", threads: int | None = None
    ) -> Describer:
        """Opens a model folder of `vpr train` or `vpr export`.

        Args:
            backbone: an open backbone, such as precomputed embeddings; by default the one that the model names.
            provider: of a graph, see ``open_session``.
            threads: CPU threads of a graph; by default all cores.

        Raises:
            VprError: not a model, damaged, its backbone is missing or has changed, or the provider is not available.
        """
        path = Path(path)
        content = read_manifest(path)
        if is_robot_model(content):
            if backbone is not None:
                raise VprError(f"{path}: is a robot model, which describes images only; use the trained model instead")
            robot_manifest, graph = load_robot_model(path, content)
            return cls(path, robot_manifest, None, RobotModel(path, robot_manifest, graph, provider, threads))
        manifest, projection = load_model(path)
        info, advice = manifest.backbone, "restore the old weights or train again"
        trained_on = f"was trained on backbone {info.spec} with fingerprint {info.fingerprint}"
        try:
            backbone = backbone or open_backbone(info.spec, provider, threads, info.fingerprint)
        except VprError as error:
            raise VprError(f"{path}: its backbone cannot be opened: {error}; it {trained_on}; {advice}") from error
        if backbone.fingerprint != info.fingerprint:
            raise VprError(f"{path}: {trained_on}, which now has {backbone.fingerprint}; {advice}")
        return cls(path, manifest, projection, backbone)

    def of_size(self, size: int | None) -> Describer:
        """This model with descriptors of ``size`` numbers, None for all: itself if it has that size, else a copy with the same backbone. Raises
        VprError if it was not trained for this size."""
        sizes = self.manifest.sizes
        size = size or sizes[-1]
        if size not in sizes:
            known = ", ".join(map(str, sizes))
            raise VprError(f"{self.path}: size {size} is not one this model was trained for; choose one of {known}")
        if size == self.dim:
            return self
        other = copy(self)
        other.dim, other.sizes = size, tuple(one for one in sizes if one <= size)
        return other

    @property
    def trained(self) -> Manifest:
        """The manifest of a trained model. Raises VprError: this is a robot model, which has no record of the training."""
        if isinstance(self.manifest, RobotManifest):
            raise VprError(f"{self.path}: is a robot model; the training record is in the original's model.json")
        return self.manifest

    def warm_up(self, rounds: int = 3) -> float:
        """Describes a gray frame ``rounds`` times, so that the first real frame is not slow (memory allocation, kernel selection,
        TensorRT engine build). Returns the duration of the last round in milliseconds.
        """
        frame = np.full((480, 640, 3), 128, np.uint8)
        for _ in range(max(1, rounds)):
            start = time.perf_counter()
            self.describe(frame)
        return 1000 * (time.perf_counter() - start)

    def describe_frames(self, frames: Sequence[Frame], skipped: list[str]) -> Iterator[Described]:
        """Describes frames in order, in batches: (positions in ``frames``, descriptors float32 [n, dim], RGB images). With precomputed
        embeddings there are no images.

        Args:
            skipped: gets one line for each frame that could not be read.

        Raises:
            VprError: no frame could be read, or a frame has no embedding.
        """
        if isinstance(self.backbone, GivenEmbeddings):
            for start in range(0, len(frames), 256):
                part = frames[start : start + 256]
                yield list(range(start, start + len(part))), self._projected(self.backbone.look_up(part)), None
            return
        reader = Reader(frames, skipped)
        for positions, images in reader.batches():
            yield positions, self.describe_batch(images), images
        reader.require_one()

    def describe(self, image: Image) -> NDArray[np.float32]:
        """One RGB uint8 image [H, W, 3] (gray and alpha accepted) -> descriptor float32 [d_max], unit norm. Raises
        VprError: not an image array."""
        return self.describe_batch([image])[0]  # type: ignore[no-any-return]

    def describe_batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """RGB uint8 images of any sizes -> descriptors float32 [n, d_max], unit norm."""
        pixels = [as_rgb(image) for image in images]
        if not self.keep_patches:
            return self._projected(self.backbone.embed(pixels))
        embeddings, patches = cast(PatchBackbone, self.backbone).embed_with_patches(pixels)
        self._kept = images, patches
        return self._projected(embeddings)

    def patches(self, image: Image) -> NDArray[np.float32]:
        """The patches float32 [h * w, c] of an RGB uint8 image, row by row of ``patch_grid``. With ``keep_patches``, an
        image of the last ``describe`` or ``describe_batch`` is not computed again. Raises VprError: the model gives no
        patches."""
        for kept, patches in zip(*self._kept, strict=True):
            if kept is image:
                return patches  # type: ignore[no-any-return]
        self.require_patches()
        return cast(PatchBackbone, self.backbone).embed_with_patches([as_rgb(image)])[1][0]  # type: ignore[no-any-return]

    def require_patches(self) -> tuple[int, int]:
        """From now on ``keep_patches``; returns ``patch_grid``. Raises VprError if the model gives no patches."""
        if self.patch_grid is None:
            advice = "export the model again with `vpr export`, or use an encoder that has them (`vpr model fetch` adds them)"
            raise VprError(f"{self.path}: its encoder gives no patches; {advice}")
        self.keep_patches = True
        return self.patch_grid

    def _projected(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        whole = embeddings if self.projection is None else self.projection(embeddings)
        return whole if self.dim == whole.shape[1] else prefix(whole, self.dim)
