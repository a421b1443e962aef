"""Any encoder as an ONNX file with a ``preprocess.json`` in the same folder, run by ONNX Runtime. No torch.

Weights may be in further files of the folder (ONNX external data), as exporters write them by default for large models.
https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vpr_aesvc.backbones.onnx_graph import Graph, PreprocessFile
from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.fingerprint import fingerprint, require_fingerprint

# How a serialized graph names a file of weights: a StringStringEntryProto with the key "location" and the length of its value.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]*[\x00-\x7f])")


class OnnxBackbone:
    """An ONNX encoder. ``path``: the ``.onnx`` file, or a folder that holds exactly one. ``provider``, ``threads``: as in
    ``open_session``; embeddings are equal up to rounding. ``expected``: the expected fingerprint, compared before the graph
    is parsed. Raises VprError: the file or its ``preprocess.json`` is missing or damaged, or they do not agree."""

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
        weights = read_weights(self.path, graph)
        hashes = [hashlib.sha256(data).digest() for data in (graph, *weights.values())]
        self.fingerprint = fingerprint("onnx", self.described.model_dump_json(exclude={"patches", "source"}), *hashes)
        require_fingerprint(self.path, self.fingerprint, expected)
        self._graph = Graph(graph, self.path, self.described, provider, threads, weights)
        self.spec = f"onnx:{self.path.resolve()}"
        self.dim = self.described.output.size
        self.patch_grid = self.described.patches and self.described.patches.grid
        self.embed_with_patches = self._graph.with_patches
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
        """RGB uint8 images [H, W, 3] -> float32 [n, D]. Raises VprError: the output has another shape than
        ``preprocess.json`` says, or is not finite."""
        return self._graph(images)


def read_weights(path: Path, graph: bytes) -> dict[str, bytes]:
    """The files of weights that a graph names, by the name that it uses; they are looked for in the folder of ``path`` and
    nowhere else. Raises VprError: a file is missing, or is outside the folder."""
    weights: dict[str, bytes] = {}
    for found in _LOCATION.finditer(graph):
        length = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(found[1]))
        name = graph[found.end() : found.end() + length].decode("utf-8", "replace")
        if name in weights:
            continue
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise VprError(f"{path}: names the weights {name!r}; expected a file in the same folder")
        try:
            weights[name] = (path.parent / name).read_bytes()
        except OSError as error:
            kept = f"{path.name} keeps its weights in this file ({error.strerror})"
            advice = "put it there, or write the model as one file with onnx.save_model(onnx.load(PATH), NEW_PATH)"
            raise VprError(f"{path.parent / name}: {kept}; {advice}") from error
    return weights
