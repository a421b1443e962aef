"""The robot model folder: ``model.json`` and ``descriptor.onnx``, one graph from normalized image to unit-norm descriptor.

It needs no torch. Checksums of both files are verified before the graph is parsed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.backbones.onnx_graph import Graph, GraphInput, GraphOutput, GraphPatches, PreprocessFile
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.model import MANIFEST, validated

FORMAT = "vpr_aesvc robot model"
VERSION = 3  # 2: may have a second output, of patches; 3: target
GRAPH = "descriptor.onnx"
Precision = Literal["fp32", "fp16", "int8"]
Target = Literal["cpu", "openvino", "tensorrt", "portable"]


class Check(BaseModel):
    """Comparison of an exported model with its original on real images."""

    model_config = ConfigDict(extra="forbid")
    images: int = Field(description="real images described by both models")
    cosine_median: float = Field(description="between the two descriptors of an image")
    cosine_p1: float = Field(description="1st percentile")
    cosine_min: float
    views: int = Field(description="augmented views, searched among the original's descriptors of the images")
    top1_changed: float = Field(description="fraction of the views whose best match is clearly worse")
    top1_other: float = Field(description="fraction of the views with another best match, near ties included")
    own_found: tuple[float, float] = Field(description="views that find their own image: original, export; fractions")
    passed: bool


class Original(BaseModel):
    """The trained model that was exported."""

    model_config = ConfigDict(extra="forbid")
    fingerprint: str
    backbone: str
    method: str


class RobotManifest(BaseModel):
    """``model.json`` of a robot model."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["vpr_aesvc robot model"] = "vpr_aesvc robot model"
    version: int = VERSION
    precision: Precision
    target: Target = Field(default="cpu", description="a graph for openvino is run by OpenVINO, others by ONNX Runtime")
    how: str = Field(description="how the precision was reached, for people")
    input: GraphInput
    output: GraphOutput
    patches: GraphPatches | None = Field(default=None, description="null if the encoder has none")
    sizes: list[int] = Field(min_length=1)
    recommended_size: int | None = Field(default=None, description="as in the original")
    original: Original
    check: Check | None = Field(description="null if the export was not checked")
    fingerprint: str = Field(description="over the graph and the preprocessing")
    family: str = Field(description="can use the same maps; the original's fingerprint if the check passed")
    checksum: str = Field(description="over all other fields of this file")

    @classmethod
    def of(cls, graph: bytes, **fields: Any) -> RobotManifest:
        """A manifest of ``graph``, with fingerprint, family and checksum filled in."""
        draft = cls(fingerprint="", family="", checksum="", **fields)
        own = draft.fingerprint_of(graph)
        passed = draft.check is not None and draft.check.passed
        draft = draft.model_copy(update={"fingerprint": own, "family": draft.original.fingerprint if passed else own})
        return draft.model_copy(update={"checksum": draft.expected_checksum()})

    def fingerprint_of(self, graph: bytes) -> str:
        """The correct value of ``fingerprint`` for this graph."""
        described = self.input.model_dump_json(), self.output.model_dump_json()
        return fingerprint("robot model", *described, hashlib.sha256(graph).digest())

    def expected_checksum(self) -> str:
        """The correct value of ``checksum``."""
        newer = {"patches": None, "target": "cpu", "recommended_size": None}  # which older ones do not have
        left_out = {"checksum", *(name for name, default in newer.items() if getattr(self, name) == default)}
        return fingerprint("manifest", json.dumps(self.model_dump(exclude=left_out), sort_keys=True))


class RobotModel:
    """Image -> descriptor in one graph, with the interface of a backbone. On the CPU, a graph for OpenVINO is run by OpenVINO."""

    def __init__(self, path: Path, manifest: RobotManifest, graph: bytes, provider: str, threads: int | None) -> None:
        described = PreprocessFile(input=manifest.input, output=manifest.output, patches=manifest.patches)
        if manifest.target == "openvino" and provider == "cpu":
            provider = "openvino"  # which checked it
        self._graph = Graph(graph, path / GRAPH, described, provider, threads)
        self.provider = self._graph.provider
        self.embed = self._graph.__call__
        self.embed_with_patches = self._graph.with_patches
        self.patch_grid = manifest.patches and manifest.patches.grid
        self.spec = f"robot model {path}"
        self.dim = manifest.output.size
        self.fingerprint = manifest.fingerprint
        self.preprocessing = str(self._graph.preprocess)


def save_robot_model(path: Path, manifest: RobotManifest, graph: bytes) -> None:
    """Writes the folder atomically. Raises VprError: the path exists or cannot be written."""
    check_free(path, "robot model")
    with new_folder(path, "robot model") as folder:
        (folder / GRAPH).write_bytes(graph)
        (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1) + "\n")


def is_robot_model(content: dict[str, object]) -> bool:
    """Whether the content of a ``model.json`` is that of a robot model."""
    return content.get("format") == FORMAT


def load_robot_model(path: Path, content: dict[str, object]) -> tuple[RobotManifest, bytes]:
    """Verifies a robot model. Returns the manifest and the bytes of its graph. Raises VprError: a newer format, or a
    damaged file."""
    manifest = validated(RobotManifest, path, content, VERSION)
    advice = "copy or export the robot model again"
    if manifest.checksum != manifest.expected_checksum():
        raise VprError(f"{path / MANIFEST}: is damaged or was edited (its checksum does not match); {advice}")
    try:
        graph = (path / GRAPH).read_bytes()
    except OSError as error:
        raise VprError(f"{path / GRAPH}: cannot be read ({error.strerror}); {advice}") from error
    if manifest.fingerprint_of(graph) != manifest.fingerprint:
        raise VprError(f"{path / GRAPH}: is damaged or belongs to another model; {advice}")
    return manifest, graph
