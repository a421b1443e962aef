"""Visual place recognition on board: image -> embedding -> adaptive descriptor -> place map -> match.

The public names below are imported on first use, so that ``import vpr_aesvc`` stays fast and a robot never pays for
what it does not run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Describer": "describer",
    **dict.fromkeys(("FrameSource", "InputOptions"), "frame_source"),
    **dict.fromkeys(("Frame", "Intrinsics", "Match", "Odometry", "Place", "Pose"), "types"),
    "KeyframeSettings": "keyframes.gate",
    "PlaceMap": "placemap",
    "Recognition": "recognition.result",
    "Recognizer": "recognition.recognizer",
    "RecognizerSettings": "recognition.settings",
    **dict.fromkeys(("RunFollower", "recognize_run"), "recognition.run"),
    "VprError": "errors",
    "Where": "placemap.where",
    **dict.fromkeys(("Local", "Ray", "extract"), "sharding"),
    "Shards": "backbones.shards",
    "build_map": "mapping",
    "export_model": "export",
    "open_backbone": "backbones",
    "open_input": "inputs",
    "open_map": "fleet",
    "read_image": "images",
    "train": "training",
}
"""Public name -> its module in this package."""
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from vpr_aesvc.backbones import open_backbone as open_backbone
    from vpr_aesvc.backbones.shards import Shards as Shards
    from vpr_aesvc.describer import Describer as Describer
    from vpr_aesvc.errors import VprError as VprError
    from vpr_aesvc.export import export_model as export_model
    from vpr_aesvc.fleet import open_map as open_map
    from vpr_aesvc.frame_source import FrameSource as FrameSource
    from vpr_aesvc.frame_source import InputOptions as InputOptions
    from vpr_aesvc.images import read_image as read_image
    from vpr_aesvc.inputs import open_input as open_input
    from vpr_aesvc.keyframes.gate import KeyframeSettings as KeyframeSettings
    from vpr_aesvc.mapping import build_map as build_map
    from vpr_aesvc.placemap import PlaceMap as PlaceMap
    from vpr_aesvc.placemap.where import Where as Where
    from vpr_aesvc.recognition.recognizer import Recognizer as Recognizer
    from vpr_aesvc.recognition.result import Recognition as Recognition
    from vpr_aesvc.recognition.run import RunFollower as RunFollower
    from vpr_aesvc.recognition.run import recognize_run as recognize_run
    from vpr_aesvc.recognition.settings import RecognizerSettings as RecognizerSettings
    from vpr_aesvc.sharding import Local as Local
    from vpr_aesvc.sharding import Ray as Ray
    from vpr_aesvc.sharding import extract as extract
    from vpr_aesvc.training import train as train
    from vpr_aesvc.types import Frame as Frame
    from vpr_aesvc.types import Intrinsics as Intrinsics
    from vpr_aesvc.types import Match as Match
    from vpr_aesvc.types import Odometry as Odometry
    from vpr_aesvc.types import Place as Place
    from vpr_aesvc.types import Pose as Pose


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vpr_aesvc' has no attribute {name!r}")
    return getattr(import_module(f"vpr_aesvc.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
