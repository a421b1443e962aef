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
_MANIFEST, _WEIGHTS = "model.json", "projection.safetensors"


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


def model_fingerprint(backbone: str, projection: Projection) -> str:
    """Over all that changes a descriptor: the backbone's fingerprint and every weight."""
    return fingerprint("model", backbone, *projection.tensors().values())


def save_model(path: Path, manifest: Manifest, projection: Projection) -> None:
    """Writes the folder beside its final name and renames it: it is there whole or not at all.

    Raises:
        VprError: the path exists or cannot be written.
    """
    check_free(path, "model")
    with new_folder(path, "model") as folder:
        projection.save(folder / _WEIGHTS)
        (folder / _MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1) + "\n")


def load_model(path: Path) -> tuple[Manifest, Projection]:
    """Reads and checks the folder.

    Raises:
        VprError: not a model folder, a newer format, or damaged.
    """
    manifest_path = path / _MANIFEST
    if not manifest_path.is_file():
        raise VprError(f"{path}: not a model folder (no {_MANIFEST}); make one with `vpr train INPUT -o {path.name}`")
    try:
        content = json.loads(manifest_path.read_bytes())
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise VprError(
                f"{manifest_path}: has format version {version}, this version reads {FORMAT_VERSION}; update vpr_aesvc"
            )
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise VprError(f"{manifest_path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise VprError(f"{manifest_path}: cannot be read ({error})") from error
    projection = Projection.load(path / _WEIGHTS)
    if projection.dim_in != manifest.backbone.dim or projection.dim_out != manifest.sizes[-1]:
        raise VprError(f"{path}: model.json and the weights do not agree on the sizes")
    if model_fingerprint(manifest.backbone.fingerprint, projection) != manifest.fingerprint:
        raise VprError(
            f"{path}: the model is damaged or was changed by hand (its fingerprint does not match its weights)"
        )
    return manifest, projection
