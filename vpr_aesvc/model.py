"""The model folder: ``model.json`` (the manifest) and ``projection.safetensors`` (the weights)."""

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.projections.artifact import Projection

FORMAT_VERSION = 1
Content = TypeVar("Content", bound=BaseModel)
MANIFEST, WEIGHTS = "model.json", "projection.safetensors"


class BackboneInfo(BaseModel):
    """The backbone: ``spec`` opens it, ``fingerprint`` verifies it."""

    model_config = ConfigDict(extra="forbid")
    spec: str
    dim: int = Field(ge=1)
    fingerprint: str


class TrainingInfo(BaseModel):
    """The record of the training, for people and reports. It does not affect descriptors."""

    model_config = ConfigDict(extra="forbid")
    images: int
    skipped: list[str] = []
    seed: int
    why: str
    isotropic: float = Field(description="fraction of the mean eigenvalue added to the covariance")
    view: float = Field(description="weight of the covariance of view changes")
    held_out_scores: dict[str, float] = Field(description="mean reciprocal rank over the sizes on held-out frames")
    size_scores: dict[int, float] = Field(default={}, description="mean reciprocal rank on held-out frames, by size")
    terms: dict[str, dict[str, float]] = Field(description="the four AE-SVC terms before (PCA) and after")
    cosine_variance: dict[str, float] = Field(description="variance of the cosines of database pairs before and after")


class Manifest(BaseModel):
    """``model.json``."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["vpr_aesvc model"] = "vpr_aesvc model"
    version: int = FORMAT_VERSION
    backbone: BackboneInfo
    method: str
    sizes: list[int] = Field(min_length=1, description="trained descriptor sizes, ascending; the last is the full size")
    fingerprint: str = Field(description="over the backbone and the weights")
    neighbor_weight: float = Field(default=0.0, ge=0, le=1, description="of a place's neighbors along the drive")
    recommended_size: int | None = Field(default=None, description="used where none is given; null for the full size")
    training: TrainingInfo
    checksum: str | None = Field(default=None, description="without backbone.spec, which a user may correct")

    @property
    def family(self) -> str:
        """Models of one family can use the same maps."""
        return self.fingerprint

    @property
    def precision(self) -> str:
        """Precision of the computation."""
        return "fp32"

    def expected_checksum(self) -> str:
        """The correct value of ``checksum``."""
        content = self.model_dump(exclude={"backbone": {"spec"}, "checksum": True})
        for part, name in (
            (content, "neighbor_weight"),
            (content, "recommended_size"),
            (content["training"], "size_scores"),
        ):
            if not part[name]:  # older models do not have it
                del part[name]
        return fingerprint("manifest", json.dumps(content, sort_keys=True))


def model_fingerprint(backbone: str, projection: Projection) -> str:
    """Fingerprint over all that determines a descriptor: the backbone's fingerprint and every weight."""
    return fingerprint("model", backbone, *projection.tensors().values())


def save_model(path: Path, manifest: Manifest, projection: Projection) -> None:
    """Writes the folder atomically. Raises VprError: the path exists or cannot be written."""
    check_free(path, "model")
    manifest = manifest.model_copy(update={"checksum": manifest.expected_checksum()})
    with new_folder(path, "model") as folder:
        projection.save(folder / WEIGHTS)
        (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1) + "\n")


def read_manifest(path: Path) -> dict[str, object]:
    """The JSON object in ``model.json``, not yet validated. Raises VprError: not a model folder, or the file cannot be
    read."""
    manifest_path = path / MANIFEST
    if not manifest_path.is_file():
        raise VprError(f"{path}: not a model folder (no {MANIFEST}); make one with `vpr train INPUT -o {path.name}`")
    try:
        content = json.loads(manifest_path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise VprError(f"{manifest_path}: cannot be read ({error}); copy the model folder again") from error
    if not isinstance(content, dict):
        raise VprError(f"{manifest_path}: cannot be read (expected a JSON object); copy the model folder again")
    return content


def validated(kind: type[Content], path: Path, content: dict[str, object], newest: int) -> Content:
    """The content of ``model.json``. Raises VprError for a format that is newer than this library, or for wrong fields."""
    version = content.get("version")
    if isinstance(version, int) and version > newest:
        raise VprError(f"{path / MANIFEST}: has format version {version}, this one reads {newest}; update vpr_aesvc")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise VprError(f"{path / MANIFEST}: {first_line(error)}") from error


def load_model(path: Path) -> tuple[Manifest, Projection]:
    """Reads and checks the folder. Raises VprError: not a model folder, a newer format, or damaged."""
    manifest = validated(Manifest, path, read_manifest(path), FORMAT_VERSION)
    projection = Projection.load(path / WEIGHTS)
    if projection.dim_in != manifest.backbone.dim or projection.dim_out != manifest.sizes[-1]:
        raise VprError(f"{path}: model.json and the weights do not agree on the sizes; copy the model folder again")
    problem = None
    if model_fingerprint(manifest.backbone.fingerprint, projection) != manifest.fingerprint:
        problem = "its fingerprint does not match its weights"
    elif manifest.checksum not in (None, manifest.expected_checksum()):  # models of version 0.1 have no checksum
        problem = f"the checksum of {MANIFEST} does not match"
    if problem:
        raise VprError(f"{path}: the model is damaged or was edited ({problem}); copy the folder again")
    return manifest, projection
