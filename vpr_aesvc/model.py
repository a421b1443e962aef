"""The model folder: ``model.json`` (what it is, how it came about) and ``projection.safetensors`` (the weights)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.projections.artifact import Projection

FORMAT_VERSION = 1
MANIFEST, _WEIGHTS = "model.json", "projection.safetensors"


class BackboneInfo(BaseModel):
    """Which backbone: ``spec`` opens it, ``fingerprint`` tells whether it is still the same."""

    model_config = ConfigDict(extra="forbid")
    spec: str
    dim: int = Field(ge=1)
    fingerprint: str


class TrainingInfo(BaseModel):
    """How the projection came about, for people and reports. Nothing here changes a descriptor."""

    model_config = ConfigDict(extra="forbid")
    images: int
    skipped: list[str] = []
    seed: int
    why: str
    isotropic: float = Field(description="part of the mean eigenvalue added to the covariance")
    view: float = Field(description="weight of the covariance of changes of view")
    held_out_scores: dict[str, float] = Field(description="mean reciprocal rank over the sizes on held-out frames")
    terms: dict[str, dict[str, float]] = Field(description="the four AE-SVC terms before (PCA) and after")
    cosine_variance: dict[str, float] = Field(description="variance of the cosines of database pairs before and after")


class Manifest(BaseModel):
    """``model.json``."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["vpr_aesvc model"] = "vpr_aesvc model"
    version: int = FORMAT_VERSION
    backbone: BackboneInfo
    method: str
    sizes: list[int] = Field(
        min_length=1, description="descriptor sizes it was trained for, ascending; the last is the full size"
    )
    fingerprint: str = Field(description="over the backbone and the weights: what changes a descriptor")
    training: TrainingInfo
    checksum: str | None = Field(
        default=None, description="over all of this file but backbone.spec, which may be corrected"
    )

    @property
    def family(self) -> str:
        """Models of one family share maps; a trained model is the first of its own."""
        return self.fingerprint

    @property
    def precision(self) -> str:
        """Trained models compute in single precision."""
        return "fp32"

    def expected_checksum(self) -> str:
        """What ``checksum`` must be."""
        said = self.model_dump(exclude={"backbone": {"spec"}, "checksum": True})
        return fingerprint("manifest", json.dumps(said, sort_keys=True))


def model_fingerprint(backbone: str, projection: Projection) -> str:
    """Over all that changes a descriptor: the backbone's fingerprint and every weight."""
    return fingerprint("model", backbone, *projection.tensors().values())


def save_model(path: Path, manifest: Manifest, projection: Projection) -> None:
    """Writes the folder beside its final name and renames it: it is there whole or not at all.

    Raises:
        VprError: the path exists or cannot be written.
    """
    check_free(path, "model")
    manifest = manifest.model_copy(update={"checksum": manifest.expected_checksum()})
    with new_folder(path, "model") as folder:
        projection.save(folder / _WEIGHTS)
        (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1) + "\n")


def read_manifest(path: Path) -> dict[str, object]:
    """The content of ``model.json``, not validated yet but for being a JSON object.

    Raises:
        VprError: not a model folder, or it cannot be read.
    """
    manifest_path = path / MANIFEST
    if not manifest_path.is_file():
        raise VprError(f"{path}: not a model folder (no {MANIFEST}); make one with `vpr train INPUT -o {path.name}`")
    try:
        content = json.loads(manifest_path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise VprError(f"{manifest_path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise VprError(f"{manifest_path}: cannot be read (expected a JSON object)")
    return content


def check_version(path: Path, content: dict[str, object], newest: int) -> None:
    """Refuses a format that only a later version of this library knows.

    Raises:
        VprError: so.
    """
    version = content.get("version")
    if isinstance(version, int) and version > newest:
        raise VprError(
            f"{path / MANIFEST}: has format version {version}, this version reads {newest}; update vpr_aesvc"
        )


def load_model(path: Path) -> tuple[Manifest, Projection]:
    """Reads and checks the folder.

    Raises:
        VprError: not a model folder, a newer format, or damaged.
    """
    content = read_manifest(path)
    check_version(path, content, FORMAT_VERSION)
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise VprError(f"{path / MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    projection = Projection.load(path / _WEIGHTS)
    if projection.dim_in != manifest.backbone.dim or projection.dim_out != manifest.sizes[-1]:
        raise VprError(f"{path}: model.json and the weights do not agree on the sizes")
    if model_fingerprint(manifest.backbone.fingerprint, projection) != manifest.fingerprint:
        raise VprError(
            f"{path}: the model is damaged or was changed by hand (its fingerprint does not match its weights)"
        )
    if manifest.checksum not in (None, manifest.expected_checksum()):  # models of version 0.1 have none
        raise VprError(f"{path / MANIFEST}: is damaged or was changed by hand (its checksum does not match)")
    return manifest, projection
