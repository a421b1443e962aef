"""Image -> descriptor. Runs in numpy; torch is touched only where the backbone itself needs it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import Reader
from vpr_aesvc.images import as_rgb
from vpr_aesvc.model import Manifest, load_model, read_manifest
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.robot_model import RobotManifest, RobotModel, is_robot_model, load_robot_model
from vpr_aesvc.types import Frame

Described = tuple[list[int], NDArray[np.float32], "list[NDArray[np.uint8]] | None"]


class Describer:
    """A model, ready to use: a trained one (backbone and projection) or a robot model (one graph).

    Attributes:
        dim: the full descriptor size.
        sizes: the sizes a descriptor may be cut to, ascending; the last is ``dim``.
        fingerprint: two models with the same one give the same descriptors.
        family: two models with the same one share maps. A robot model that passed its check is of its original's family.
        precision: ``fp32``, ``fp16`` or ``int8``.
        provider: what runs the graph, ``cpu`` where there is none.
    """

    def __init__(
        self, path: Path, manifest: Manifest | RobotManifest, projection: Projection | None, backbone: Backbone
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.projection = projection  # None: the backbone gives descriptors
        self.backbone = backbone
        self.sizes = tuple(manifest.sizes)
        self.dim = self.sizes[-1]
        self.fingerprint = manifest.fingerprint
        self.family: str = manifest.family
        self.precision: str = manifest.precision
        self.provider: str = getattr(backbone, "provider", "cpu")

    @classmethod
    def open(
        cls, path: Path | str, backbone: Backbone | None = None, *, provider: str = "cpu", threads: int | None = None
    ) -> Describer:
        """Opens a model folder, as `vpr train` or `vpr export` wrote it.

        Args:
            backbone: one that is open already, such as embeddings computed elsewhere; by default the one the model names.
            provider: where a graph runs: ``cpu``, ``cuda``, ``tensorrt`` or ``openvino``; several with commas between, the
                first that is there is used, with a warning that names those that are not.
            threads: of a graph on the CPU; by default the cores that this process may run on.

        Raises:
            VprError: not a model, damaged, its backbone is missing or no longer the same, or no such provider here.
        """
        path = Path(path)
        content = read_manifest(path)
        if is_robot_model(content):
            if backbone is not None:
                raise VprError(f"{path}: is a robot model, which describes images only; use the trained model here")
            robot_manifest, graph = load_robot_model(path, content)
            return cls(path, robot_manifest, None, RobotModel(path, robot_manifest, graph, provider, threads))
        manifest, projection = load_model(path)
        known = manifest.backbone
        try:
            backbone = backbone or open_backbone(known.spec, provider, threads, known.fingerprint)
        except VprError as error:
            raise VprError(
                f"{path}: its backbone cannot be opened: {error}; it was trained on {known.spec} with fingerprint "
                f"{known.fingerprint}, so bring the old weights back or train again"
            ) from error
        if backbone.fingerprint != known.fingerprint:
            raise VprError(
                f"{path}: was trained on backbone {known.spec} with fingerprint {known.fingerprint}, "
                f"which now has {backbone.fingerprint}; bring the old weights back or train again"
            )
        return cls(path, manifest, projection, backbone)

    @property
    def trained(self) -> Manifest:
        """How a trained model came about.

        Raises:
            VprError: this is a robot model, which keeps only what it needs to run.
        """
        if isinstance(self.manifest, RobotManifest):
            raise VprError(f"{self.path}: is a robot model; how it was trained stands in the original's model.json")
        return self.manifest

    def warm_up(self, rounds: int = 3) -> float:
        """Describes a gray frame ``rounds`` times, so that the first real one is not slow: memory is taken, kernels are
        chosen, TensorRT builds its engine.

        Returns:
            how long the last one took, in milliseconds.
        """
        frame = np.full((480, 640, 3), 128, np.uint8)
        for _ in range(max(1, rounds)):
            start = time.perf_counter()
            self.describe(frame)
        return 1000 * (time.perf_counter() - start)

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
                yield list(range(start, start + len(part))), self._projected(self.backbone.look_up(part)), None
            return
        reader = Reader(frames, skipped)
        for positions, images in reader.batches():
            yield positions, self.describe_batch(images), images
        reader.require_one()

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One RGB uint8 image [H, W, 3] (gray and alpha accepted) -> descriptor float32 [d_max], unit norm.

        Raises:
            VprError: not an image array.
        """
        return self.describe_batch([image])[0]  # type: ignore[no-any-return]

    def describe_batch(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images of any sizes -> descriptors float32 [n, d_max], unit norm."""
        return self._projected(self.backbone.embed([as_rgb(image) for image in images]))

    def _projected(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        return embeddings if self.projection is None else self.projection(embeddings)
