"""Visual place recognition on board: image -> embedding -> adaptive descriptor -> place map -> match.

The public names below are imported on first use, so that ``import vpr_aesvc`` stays fast and a robot never pays for
what it does not run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "VprError": "vpr_aesvc.errors",
    "Frame": "vpr_aesvc.types",
    "Match": "vpr_aesvc.types",
    "Place": "vpr_aesvc.types",
    "Pose": "vpr_aesvc.types",
    "Describer": "vpr_aesvc.describer",
    "PlaceMap": "vpr_aesvc.placemap",
    "Recognizer": "vpr_aesvc.recognition.recognizer",
    "Where": "vpr_aesvc.placemap.where",
    "open_backbone": "vpr_aesvc.backbones",
    "open_input": "vpr_aesvc.datasets",
    "read_image": "vpr_aesvc.images",
    "train": "vpr_aesvc.training",
}
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from vpr_aesvc.backbones import open_backbone as open_backbone
    from vpr_aesvc.datasets import open_input as open_input
    from vpr_aesvc.describer import Describer as Describer
    from vpr_aesvc.errors import VprError as VprError
    from vpr_aesvc.images import read_image as read_image
    from vpr_aesvc.placemap import PlaceMap as PlaceMap
    from vpr_aesvc.placemap.where import Where as Where
    from vpr_aesvc.recognition.recognizer import Recognizer as Recognizer
    from vpr_aesvc.training import train as train
    from vpr_aesvc.types import Frame as Frame
    from vpr_aesvc.types import Match as Match
    from vpr_aesvc.types import Place as Place
    from vpr_aesvc.types import Pose as Pose


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vpr_aesvc' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
