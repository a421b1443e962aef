"""The table ``meta``: which model made the map, and for which descriptor sizes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.placemap.checksums import matches, metadata_checksum
from vpr_aesvc.placemap.sqlite_errors import damage_error, vpr_errors

_MAX_DIM = 1 << 20  # numbers of a descriptor


class Description:
    """The metadata of a map, parsed.

    Attributes:
        path: the map file, or the address of a fleet's map without its password.
        dim: the full descriptor size.
        sizes: the prefix sizes that search may use, ascending; the last is ``dim``.
        model_fingerprint: of the model that made the map. model_family: of all models that may be used with the map.
        patch_projection: how patches were projected, as ``PatchProjection`` stores it; None if the map stores none.
        model_path: where the model was. model_precision: its precision. created: UTC time.

    Raises:
        VprError: the metadata is damaged.
    """

    path: Path | str

    def __init__(self, path: Path | str, metadata: Mapping[str, str]) -> None:
        self.path = path
        try:
            self.dim = int(metadata["dim"])
            self.sizes = tuple(int(size) for size in json.loads(metadata["sizes"]))
            if not all(0 < size <= self.dim < _MAX_DIM for size in self.sizes):
                raise ValueError(f"descriptors of {self.dim} numbers and sizes {self.sizes}")
            self.model_fingerprint, self.model_family = metadata["model_fingerprint"], metadata["model_family"]
            self.model_precision, self.created = metadata["model_precision"], metadata["created"]
            self.model_path = Path(metadata["model_path"])
            self.patch_projection = metadata.get("patches")
        except (KeyError, ValueError, TypeError) as error:
            raise damage_error(path, f"its description cannot be read: {error}") from error

    def require(self, describer: Describer) -> None:
        """Raises VprError for a model of another family: its descriptors cannot be compared with the map's."""
        if describer.family != self.model_family:
            found = f"(then at {self.model_path}), but {describer.path} is model {describer.fingerprint}"
            advice = "use the map's model or a verified export of it, or build the map again"
            raise VprError(f"{self.path}: was made with model {self.model_fingerprint} {found}; {advice}")

    def require_same_model(self, other: Description) -> None:
        """Raises VprError for a map of another model family, or of another size: the descriptors cannot be compared."""
        if other.model_family != self.model_family:
            made = f"{other.path}: was made with model {other.model_fingerprint}, {self.path} with {self.model_fingerprint}"
            raise VprError(f"{made}; build one of them again with the other's model")
        self.require_same_size(other)

    def require_same_size(self, other: Description) -> None:
        """Raises VprError for a map whose descriptors have another length."""
        if other.dim != self.dim:
            found = f"{other.path}: holds descriptors of {other.dim} numbers, {self.path} of {self.dim}"
            raise VprError(f"{found}; build one of them again with --size")

    def check_size(self, size: int | None) -> int:
        """The descriptor size for search; None is the full size. Raises VprError if the map was not made for this size."""
        if size is not None:
            expect(size, (int, np.integer), "an integer size")
        if size is not None and size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise VprError(f"{self.path}: size {size} is not one this map was made for; choose one of {known}")
        return self.dim if size is None else size


def metadata_of(describer: Describer) -> dict[str, str]:
    """The metadata of a new map for this model's descriptors."""
    return {
        "dim": str(describer.dim),
        "sizes": json.dumps(list(describer.sizes)),
        "model_fingerprint": describer.fingerprint,
        "model_family": describer.family,
        "model_precision": describer.precision,
        "model_path": str(describer.path.resolve()),
    }


def read_metadata(path: Path, db: sqlite3.Connection) -> dict[str, str]:
    """The metadata as stored, without its checksum. Raises VprError if it does not match the checksum."""
    with vpr_errors(path):
        metadata = dict(db.execute("SELECT key, value FROM meta"))
    if not matches(metadata.pop("checksum", None), metadata_checksum, metadata):
        raise damage_error(path, "its description does not match its checksum")
    return metadata


def write_metadata(db: sqlite3.Connection, metadata: Mapping[str, str]) -> None:
    """Replaces the metadata. Only within a transaction."""
    db.execute("DELETE FROM meta")
    rows = {**metadata, "checksum": metadata_checksum(metadata)}.items()
    db.executemany("INSERT INTO meta VALUES (?, ?)", rows)


def map_id(metadata: Mapping[str, str]) -> str:
    """Written by every transaction into ``tally``, hence in every WAL."""
    return f"{metadata.get('created', '')} {metadata.get('copied', '')}"


def utc_now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"
