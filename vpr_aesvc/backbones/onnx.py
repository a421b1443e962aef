"""Any encoder as an ONNX file with a ``preprocess.json`` beside it, run by ONNX Runtime. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.images import Preprocess


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    size: tuple[int, int]
    colour: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Literal["square", "crop"] = "square"
    short_side: int | None = None
    interpolation: Literal["nearest", "linear", "cubic", "lanczos", "area"] = "cubic"


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = Field(ge=1)


class PreprocessFile(BaseModel):
    """``preprocess.json``: ``input.size`` is [height, width] in pixels; pixels become ``(p * scale - mean) / std``;
    ``output`` names the tensor that is the embedding, [n, size]."""

    model_config = ConfigDict(extra="forbid")
    input: _Input
    output: _Output


class OnnxBackbone:
    """An ONNX encoder.

    Args:
        path: the ``.onnx`` file, or a folder that holds exactly one.

    Raises:
        VprError: the file or its ``preprocess.json`` is missing, damaged, or they do not agree.
    """

    def __init__(self, path: str | Path) -> None:
        import onnxruntime

        self.path = self._find(Path(path).expanduser())
        self.preprocess_path = self.path.parent / "preprocess.json"
        try:
            self._file = PreprocessFile.model_validate_json(self.preprocess_path.read_text())
        except OSError as error:
            raise VprError(
                f"{self.preprocess_path}: an ONNX encoder needs this file beside it ({error.strerror})"
            ) from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise VprError(f"{self.preprocess_path}: {_first_line(error)}") from error
        settings = self._file.input
        self._preprocess = Preprocess(
            height=settings.size[0],
            width=settings.size[1],
            **settings.model_dump(include={"resize", "short_side", "interpolation", "scale", "mean", "std"}),
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises many kinds, all meaning: this file is not a graph it can run
            raise VprError(f"{self.path}: ONNX Runtime cannot load it ({_first_line(error)})") from error
        self._check_names()
        self.spec = f"onnx:{self.path.resolve()}"
        self.dim = self._file.output.size
        self.preprocessing = str(self._preprocess)
        self.fingerprint = fingerprint("onnx", self._file.model_dump_json(), self.path)

    @staticmethod
    def _find(path: Path) -> Path:
        if path.is_dir():
            found = sorted(path.glob("*.onnx"))
            if len(found) != 1:
                raise VprError(f"{path}: expected one .onnx file in this folder, found {len(found)}")
            return found[0]
        if not path.is_file():
            raise VprError(f"{path}: no such ONNX file or folder")
        return path

    def _check_names(self) -> None:
        inputs = [tensor.name for tensor in self._session.get_inputs()]
        outputs = [tensor.name for tensor in self._session.get_outputs()]
        for wanted, found, what in (
            (self._file.input.name, inputs, "input"),
            (self._file.output.name, outputs, "output"),
        ):
            if wanted not in found:
                raise VprError(
                    f"{self.preprocess_path}: {what} {wanted!r} is not in {self.path.name}, which has {found}"
                )
        batch = self._session.get_inputs()[inputs.index(self._file.input.name)].shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] -> float32 [n, D].

        Raises:
            VprError: the graph gives another shape than ``preprocess.json`` says, or numbers that are not finite.
        """
        if not images:
            return np.empty((0, self.dim), np.float32)
        pixels = np.stack([self._preprocess(self._ordered(image)) for image in images])
        if self._file.input.layout == "NHWC":
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        step = self._batch or len(pixels)  # some exports have a fixed batch axis
        parts = [
            self._session.run([self._file.output.name], {self._file.input.name: pixels[at : at + step]})[0]
            for at in range(0, len(pixels), step)
        ]
        embeddings = np.concatenate(parts).astype(np.float32).reshape(len(pixels), -1)
        if embeddings.shape[1] != self.dim:
            raise VprError(f"{self.path}: gave {embeddings.shape[1]} numbers an image, preprocess.json says {self.dim}")
        if not np.isfinite(embeddings).all():
            raise VprError(
                f"{self.path}: gave numbers that are not finite; check scale, mean and std in preprocess.json"
            )
        return embeddings

    def _ordered(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image if self._file.input.colour == "RGB" else np.ascontiguousarray(image[:, :, ::-1])


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    return str(error).strip().splitlines()[0][:300]
