"""Any encoder as an ONNX file with a ``preprocess.json`` in the same folder, run by ONNX Runtime. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.images import Preprocess
from vpr_aesvc.runtime import PROVIDERS, open_session


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

    def preprocess(self) -> Preprocess:
        """The preprocessing rule for images."""
        named = self.model_dump(include={"resize", "short_side", "interpolation", "scale", "mean", "std"})
        return Preprocess(height=self.size[0], width=self.size[1], **named)


class GraphOutput(BaseModel):
    """The output tensor, [n, size]."""

    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = Field(ge=1)


class PreprocessFile(BaseModel):
    """``preprocess.json``: input and output of a graph."""

    model_config = ConfigDict(extra="forbid")
    input: GraphInput
    output: GraphOutput


class Graph:
    """A loaded graph: images -> its output.

    Args:
        data: the bytes of the ONNX file.
        path: the file, for error messages.
        described: its input and output.
        provider, threads: as in ``open_session``.

    Raises:
        VprError: ONNX Runtime cannot load the graph, or it has no such input or output.
    """

    def __init__(
        self, data: bytes, path: Path, described: PreprocessFile, provider: str = "cpu", threads: int | None = None
    ) -> None:
        self._path, self._input, self._output = path, described.input, described.output
        self.preprocess = described.input.preprocess()
        self._session = open_session(data, str(path), provider, threads)
        self.provider = {full: name for name, full in PROVIDERS.items()}[self._session.get_providers()[0]]
        inputs = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        outputs = [tensor.name for tensor in self._session.get_outputs()]
        for kind, name, names in ("input", self._input.name, list(inputs)), ("output", self._output.name, outputs):
            if name not in names:
                raise VprError(
                    f"{path.parent / 'preprocess.json'}: {kind} {name!r} is not in {path.name}, which has {names}"
                )
        batch = inputs[self._input.name][0]
        self._batch = batch if isinstance(batch, int) else None

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] -> float32 [n, size].

        Raises:
            VprError: the output has another shape than described, or is not finite.
        """
        if not images:
            return np.empty((0, self._output.size), np.float32)
        step = self._batch or len(images)  # some graphs have a fixed batch size
        parts = [self._run(images[at : at + step]) for at in range(0, len(images), step)]
        rows = np.concatenate(parts).astype(np.float32, copy=False).reshape(len(images), -1)
        if rows.shape[1] != self._output.size:
            raise VprError(
                f"{self._path}: the output has {rows.shape[1]} numbers for each image, expected {self._output.size}; correct output.size in preprocess.json"
            )
        if not np.isfinite(rows).all():
            raise VprError(f"{self._path}: the output is not finite; check scale, mean and std in preprocess.json")
        return rows

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        pixels = np.stack([self.tensor(image) for image in images])
        return np.asarray(self._session.run([self._output.name], {self._input.name: pixels})[0])

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The graph's input for an RGB uint8 image [H, W, 3]: float32, [3, height, width] or [height, width, 3]."""
        ordered = image if self._input.colour == "RGB" else np.ascontiguousarray(image[:, :, ::-1])
        pixels = self.preprocess(ordered)
        return pixels if self._input.layout == "NCHW" else np.ascontiguousarray(pixels.transpose(1, 2, 0))


class OnnxBackbone:
    """An ONNX encoder.

    Args:
        path: the ``.onnx`` file, or a folder that holds exactly one.
        provider, threads: as in ``open_session``; embeddings are equal up to rounding.
        expected: the expected fingerprint, compared before the graph is parsed.

    Raises:
        VprError: the file or its ``preprocess.json`` is missing or damaged, or they do not agree.
    """

    def __init__(
        self, path: str | Path, provider: str = "cpu", threads: int | None = None, expected: str | None = None
    ) -> None:
        self.path = self._find(Path(path).expanduser())
        self.preprocess_path = self.path.parent / "preprocess.json"
        try:
            self.described = PreprocessFile.model_validate_json(self.preprocess_path.read_text())
            self.described.input.preprocess()
            graph = self.path.read_bytes()
        except OSError as error:
            raise VprError(f"{error.filename}: an ONNX encoder needs this file ({error.strerror})") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise VprError(f"{self.preprocess_path}: {first_line(error)}") from error
        self.fingerprint = fingerprint("onnx", self.described.model_dump_json(), hashlib.sha256(graph).digest())
        if expected not in (None, self.fingerprint):
            raise VprError(
                f"{self.path}: has fingerprint {self.fingerprint}, expected {expected}; it was changed or damaged; restore the original file"
            )
        self._graph = Graph(graph, self.path, self.described, provider, threads)
        self.spec = f"onnx:{self.path.resolve()}"
        self.dim = self.described.output.size
        self.preprocessing = str(self._graph.preprocess)

    @staticmethod
    def _find(path: Path) -> Path:
        if path.is_dir():
            files = sorted(path.glob("*.onnx"))
            if len(files) != 1:
                raise VprError(f"{path}: expected one .onnx file in this folder, found {len(files)}")
            return files[0]
        if not path.is_file():
            raise VprError(f"{path}: no such ONNX file or folder")
        return path

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] -> float32 [n, D].

        Raises:
            VprError: the output has another shape than ``preprocess.json`` says, or is not finite.
        """
        return self._graph(images)
