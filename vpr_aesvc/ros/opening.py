"""Opens what the parameters name, or says how to make it."""

from __future__ import annotations

from pathlib import Path

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.ros.settings import NodeSettings


def open_model(settings: NodeSettings) -> Describer:
    """The model, with its first and slow image behind it.

    Raises:
        VprError: none is named, or it cannot be read.
    """
    if not settings.model:
        raise VprError(
            "no model: set parameter model to a folder made by `vpr train MY_BAG -o model` (on a laptop) or `vpr export`"
        )
    describer = Describer.open(
        Path(settings.model).expanduser(), provider=settings.provider, threads=settings.threads or None
    )
    describer.warm_up()
    return describer


def open_map(settings: NodeSettings, describer: Describer) -> PlaceMap:
    """The map; a new one where it is missing and the mode makes places.

    Raises:
        VprError: none is named, it is missing, cannot be read, or is another model's.
    """
    if not settings.map:
        raise VprError(
            "no map: set parameter map to a .vprmap file; `vpr map build MY_BAG -m MODEL -o my.vprmap` makes one, and so does mode mapping"
        )
    path = Path(settings.map).expanduser()
    if path.exists():
        return PlaceMap.open(path, describer)
    if settings.mode != "localization":
        try:
            return PlaceMap.create(path, describer)
        except OSError as error:
            raise VprError(f"{path}: cannot be made ({error.strerror or error})") from error
    raise VprError(
        f"{path}: no such map; make it with `vpr map build MY_BAG -m {settings.model} -o {path}` or with mode mapping"
    )
