"""An ONNX graph with a description of its input and output, run by ONNX Runtime. No torch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.images import Preprocess
from vpr_aesvc.runtime import PROVIDERS, open_session
from vpr_aesvc.types import Image

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_INPUTS: dict[str, Any] = {**_FLOATS, "tensor(uint8)": np.uint8}
Side = Annotated[int, Field(ge=1, le=1 << 16)]
_RULE = {"resize", "short_side", "interpolation", "scale", "mean", "std"}
_MAX_BATCH_PIXELS = 32_000_000  # of a graph with a fixed batch size


class GraphInput(BaseModel):
    """The input tensor. ``size`` is [height, width] in pixels; pixel values become ``(p * scale - mean) / std``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    size: tuple[int, int]
    # The files and the fingerprint use this spelling; "color" is accepted too.
    colour: Literal["RGB", "BGR"] = Field("RGB", validation_alias=AliasChoices("colour", "color"))
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Literal["square", "crop"] = "square"
    short_side: int | None = None
    interpolation: Literal["nearest", "linear", "cubic", "lanczos", "area"] = "cubic"

    @classmethod
    def of(cls, name: str, rule: Preprocess) -> "GraphInput":
        """The input ``name``, NCHW, of a graph that takes images so preprocessed."""
        return cls(name=name, size=(rule.height, rule.width), **rule.model_dump(include=_RULE))

    def preprocess(self) -> Preprocess:
        """The preprocessing rule for images."""
        return Preprocess(height=self.size[0], width=self.size[1], **self.model_dump(include=_RULE))


class GraphOutput(BaseModel):
    """The output tensor, [n, size]."""

    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = Field(ge=1)


class GraphPatches(BaseModel):
    """A second output of patch features, float32 [n, h * w, size]: row by row of a ``grid`` of h, w cells that covers the image."""

    model_config = ConfigDict(extra="forbid")
    name: str
    grid: tuple[Side, Side]
    size: Side


class PreprocessFile(BaseModel):
    """``preprocess.json``: input and outputs of a graph, and the source of its weights, for people."""

    model_config = ConfigDict(extra="forbid")
    input: GraphInput
    output: GraphOutput
    patches: GraphPatches | None = None
    source: str | None = None


_Wanted = Sequence[GraphOutput | GraphPatches]


class Graph:
    """A loaded graph: images -> its outputs.

    Args:
        data: the bytes of the ONNX file.
        path: the file, for error messages.
        described: its input and output.
        provider, threads, weights: as in ``open_session``.

    Raises:
        VprError: ONNX Runtime cannot load the graph, or its inputs and outputs are not as described.
    """

    def __init__(
        self,
        data: bytes,
        path: Path,
        described: PreprocessFile,
        provider: str = "cpu",
        threads: int | None = None,
        weights: Mapping[str, bytes] | None = None,
    ) -> None:
        self._path, self._input = path, described.input
        self._output, self._patches = described.output, described.patches
        self.preprocess = described.input.preprocess()
        self._session = open_session(data, str(path), provider, threads, weights)
        self.provider = {full: name for name, full in PROVIDERS.items()}[self._session.get_providers()[0]]
        self._dtype, self._batch = self._check_input()
        self._check_outputs()

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] -> float32 [n, size]. Raises VprError: ONNX Runtime cannot run the graph, or the
        output has another shape than described or is not finite."""
        return self._outputs(images, [self._output])[0]

    def with_patches(self, images: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As a call, and the patches float32 [n, h * w, c], from one run of the graph, which must have them."""
        assert self._patches is not None
        rows, patches = self._outputs(images, [self._output, self._patches])
        return rows, patches.reshape(len(images), math.prod(self._patches.grid), self._patches.size)

    def _outputs(self, images: Sequence[Image], wanted: _Wanted) -> list[NDArray[np.float32]]:
        """The wanted outputs, [n, numbers of an image] each."""
        if not images:
            return [np.empty((0, _length(one)), np.float32) for one in wanted]
        step = self._batch or len(images)  # some graphs have a fixed batch size
        parts = [self._run(images[at : at + step], wanted) for at in range(0, len(images), step)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The graph's input for an RGB uint8 image [H, W, 3]: [3, height, width] or [height, width, 3], in the type that the graph takes."""
        ordered = image if self._input.colour == "RGB" else np.ascontiguousarray(image[:, :, ::-1])
        if self._dtype == np.uint8:
            pixels = self.preprocess.resized(ordered)
            return pixels if self._input.layout == "NHWC" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
        scaled = self.preprocess(ordered).astype(self._dtype, copy=False)
        return scaled if self._input.layout == "NCHW" else np.ascontiguousarray(scaled.transpose(1, 2, 0))

    def _run(self, images: Sequence[Image], wanted: _Wanted) -> list[NDArray[np.float32]]:
        pixels = np.stack([self.tensor(image) for image in images])
        missing = (self._batch or 0) - len(images)
        if missing > 0:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, 0)])
        try:
            values = self._session.run([one.name for one in wanted], {self._input.name: pixels})
        except Exception as error:  # ONNX Runtime has many exception types
            problem = f"ONNX Runtime cannot run it on an input of {list(pixels.shape)} ({first_line(error)})"
            raise VprError(f"{self._path}: {problem}") from error
        return [
            self._checked(np.asarray(value), one, len(pixels))[: len(images)]
            for value, one in zip(values, wanted, strict=True)
        ]

    def _checked(self, output: NDArray[Any], described: GraphOutput | GraphPatches, count: int) -> NDArray[np.float32]:
        if not output.ndim or len(output) != count or output.size != count * _length(described):
            expected = f"an output {described.name} [{count}, {_length(described)}] for {count} images"
            advice = "correct its size in preprocess.json, or export the graph with a pooled embedding"
            raise VprError(f"{self._path}: expected {expected}, found {list(output.shape)}; {advice}")
        rows = output.reshape(count, -1).astype(np.float32, copy=False)
        if not np.isfinite(rows).all():
            raise VprError(f"{self._path}: the output is not finite; check scale, mean and std in preprocess.json")
        return rows

    def _check_input(self) -> tuple[Any, int | None]:
        """The type that the graph takes, and its batch size if that is fixed."""
        tensors = {tensor.name: tensor for tensor in self._session.get_inputs()}
        tensor = self._named("input", self._input.name, tensors)
        if len(tensors) > 1:
            advice = "export the graph with the image as its only input"
            raise VprError(f"{self._path}: expected one input, found {', '.join(tensors)}; {advice}")
        if tensor.type not in _INPUTS:
            known = "expected float32, float16, float64 or uint8"
            raise VprError(f"{self._path}: input {tensor.name} takes {tensor.type}; {known}")
        height, width = self._input.size
        expected = ["n", 3, height, width] if self._input.layout == "NCHW" else ["n", height, width, 3]
        fixed = [size if isinstance(size, int) and size > 0 else None for size in tensor.shape]
        agrees = len(fixed) == 4 and all(size in (None, one) for size, one in zip(fixed[1:], expected[1:], strict=True))
        if not agrees:
            found = f"{self._path.name} takes {tensor.shape}; correct size or layout"
            described = f"describes an input {expected} ({self._input.layout}, size [height, width])"
            raise VprError(f"{self._path.parent / 'preprocess.json'}: {described}, but {found}")
        if (fixed[0] or 1) * height * width > _MAX_BATCH_PIXELS:
            problem = f"takes {fixed[0]} images of {width} x {height} pixels at once, too many for the memory"
            raise VprError(f"{self._path}: {problem}; export it for one image")
        rule = self._input
        if tensor.type == "tensor(uint8)" and (rule.scale, *rule.mean, *rule.std) != (1, 0, 0, 0, 1, 1, 1):
            taken = f"input {tensor.name} of {self._path.name} takes bytes from 0 to 255; expected scale 1, mean 0 and std 1"
            found = f"scale {rule.scale:g}, mean {list(rule.mean)} and std {list(rule.std)}"
            raise VprError(f"{self._path.parent / 'preprocess.json'}: {taken}, found {found}")
        return _INPUTS[tensor.type], fixed[0]

    def _check_outputs(self) -> None:
        tensors = {one.name: one for one in self._session.get_outputs()}
        for name in (self._output.name, *([self._patches.name] if self._patches else [])):
            if (tensor := self._named("output", name, tensors)).type not in _FLOATS:
                raise VprError(f"{self._path}: output {name} is {tensor.type}; expected float32, float16 or float64")

    def _named(self, kind: str, name: str, tensors: Mapping[str, Any]) -> Any:
        if name not in tensors:
            where = self._path.parent / "preprocess.json"
            raise VprError(f"{where}: {kind} {name!r} is not in {self._path.name}, which has {list(tensors)}")
        return tensors[name]


def _length(described: GraphOutput | GraphPatches) -> int:
    """Numbers of an output for an image."""
    return described.size * (math.prod(described.grid) if isinstance(described, GraphPatches) else 1)
