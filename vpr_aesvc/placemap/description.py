"""What a map says of itself: which model made it, and for which sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import store

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer


class Description:
    """Read from the table ``meta``.

    Attributes:
        path: the map's file.
        dim: the full descriptor size.
        sizes: the sizes a descriptor may be cut to for search, ascending; the last is ``dim``.
        model_fingerprint: of the model that made the map. model_family: of all models that may be used with it.
        model_path: where that model lay. model_precision: its precision. created: when the map was, UTC.

    Raises:
        VprError: it is damaged.
    """

    def __init__(self, path: Path, meta: Mapping[str, str]) -> None:
        self.path = path
        try:
            self.dim = int(meta["dim"])
            self.sizes = tuple(int(size) for size in json.loads(meta["sizes"]))
            self.model_fingerprint, self.model_family = meta["model_fingerprint"], meta["model_family"]
            self.model_precision, self.created = meta["model_precision"], meta["created"]
            self.model_path = Path(meta["model_path"])
        except (KeyError, ValueError, TypeError) as error:
            raise VprError(store.damage(path, f"its description cannot be read: {error}")) from error

    def require(self, describer: Describer) -> None:
        """Refuses a model that this map's descriptors cannot be compared with.

        Raises:
            VprError: it is of another family.
        """
        if describer.family != self.model_family:
            raise VprError(
                f"{self.path}: was made with model {self.model_fingerprint} (then at {self.model_path}), but {describer.path} "
                f"is model {describer.fingerprint}; use that model, or an export of it that passed its check, or build the map again"
            )

    def check_size(self, size: int | None) -> int:
        """The size to search at; None is the full size.

        Raises:
            VprError: the map was not made for this size.
        """
        if size is not None and size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise VprError(f"{self.path}: size {size} is not one this map was made for; choose one of {known}")
        return self.dim if size is None else size


def meta_of(describer: Describer) -> dict[str, str]:
    """The table's content for a map that a model is about to make."""
    return {
        "dim": str(describer.dim),
        "sizes": json.dumps(list(describer.sizes)),
        "model_fingerprint": describer.fingerprint,
        "model_family": describer.family,
        "model_precision": describer.precision,
        "model_path": str(describer.path.resolve()),
    }
