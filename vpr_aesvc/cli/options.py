"""Options that several commands share. Each group is a dataclass; a command takes it as one argument."""

from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter, validators

from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import FrameSource, InputOptions
from vpr_aesvc.inputs import RECORDING_HELP, open_input
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.runtime import PROVIDER_HELP, THREADS_HELP

EMBEDDINGS_HELP = (
    "Embeddings computed elsewhere, in place of a backbone: .npy (images x D) in the order of the input, .npz with names, "
    ".h5 as hloc writes it, a folder of `vpr extract`, or that of VPR-methods-evaluation's --save_descriptors."
)
_CAMERA_HELP = (
    "Calibration of the camera: ROS's or OpenCV's YAML, or KITTI's calib.txt. By default camera_info of a bag, or the calib.txt "
    "beside a trajectory."
)
_INPUT, _POSE_GAP = Group("Input", sort_key=10), InputOptions.pose_gap
RATE = RecognizerSettings().false_positive_rate


def number(help: str | None, least: float, most: float | None = None) -> Parameter:
    """An option with a finite number from ``least`` to ``most``."""
    bounds = validators.Number(gte=least, lt=inf) if most is None else validators.Number(gte=least, lte=most)
    return Parameter(help=help, validator=bounds)


MapPath = Annotated[Path, Parameter(help="A .vprmap file.")]
MAP_HELP = "A .vprmap file, or a fleet's map: postgresql://HOST/DATABASE?map=NAME."
MapAddress = Annotated[str, Parameter(help=MAP_HELP)]
InputPath = Annotated[Path, Parameter(help=f"A folder of images, a frames.csv, or {RECORDING_HELP}.")]
Output = Annotated[Path, Parameter(name=("--output", "-o"), help="What to write; it must not exist yet.")]
ModelOption = Annotated[Path | None, Parameter(name=("--model", "-m"), help="The model folder; default the map's.")]
Embeddings = Annotated[Path | None, Parameter(help=EMBEDDINGS_HELP)]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON on standard output.")]
Rate = Annotated[float | None, number("Of a recording, at most so many frames a second; by default all.", 0.001)]
FalsePositiveRate = Annotated[float, Parameter(help="Accept at most this part of the frames that the map lacks.")]


@Parameter(name="*", group=_INPUT)
@dataclass(frozen=True)
class BagFlags:
    """Which topics and frames of a bag are used."""

    image_topic: Annotated[str | None, Parameter(help="Image topic of a bag, if it has several cameras.")] = None
    pose_topic: Annotated[str | None, Parameter(help="Pose topic of a bag; `tf` for transforms, or `none`.")] = None
    base_frame: Annotated[str | None, Parameter(help="TF frame of the robot, if the bag does not name it.")] = None
    map_frame: Annotated[str | None, Parameter(help="Fixed TF frame, if poses are taken from TF.")] = None


@Parameter(name="*", group=_INPUT)
@dataclass(frozen=True)
class InputFlags(BagFlags):
    """How to read an input."""

    trajectory: Annotated[Path | None, Parameter(help="Poses of images or a video, in TUM or KITTI format.")] = None
    pose_gap: Annotated[float, number("Interpolate between poses at most so many seconds apart.", 0)] = _POSE_GAP
    keep_good: Annotated[bool, Parameter(negative="", help="Use a damaged recording up to the damage.")] = False

    def open(self, path: Path, embeddings: Path | None = None, **command_options: object) -> FrameSource:
        """Opens the input and refuses the options that do not fit it. ``command_options``: further options that were given,
        by name. Raises VprError: see ``vpr_aesvc.open_input``."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return open_input(path, InputOptions(**own, embeddings=embeddings), command_options)


@Parameter(name="*", group=_INPUT)
@dataclass(frozen=True)
class CameraFlags(InputFlags):
    """How to read an input for a map, or to be recognized in one."""

    camera: Annotated[Path | None, Parameter(help=_CAMERA_HELP)] = None


_GATE = KeyframeSettings()
_GATE_HELP = {name: field.description for name, field in KeyframeSettings.model_fields.items()}


@Parameter(name="*", group=Group("Keyframes", sort_key=11))
@dataclass(frozen=True)
class KeyframeFlags:
    """How far apart the keyframes of a recording are."""

    keyframe_meters: Annotated[float, number(_GATE_HELP["meters"], 0)] = _GATE.meters
    keyframe_degrees: Annotated[float, number(_GATE_HELP["degrees"], 0, 180)] = _GATE.degrees
    keyframe_seconds: Annotated[float, number(_GATE_HELP["seconds"], 0)] = _GATE.seconds

    @property
    def settings(self) -> KeyframeSettings:
        return KeyframeSettings(**{name.removeprefix("keyframe_"): value for name, value in vars(self).items()})

    @property
    def given(self) -> dict[str, float | None]:
        """The options that differ from their default, by name; the others are None."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: None if value == default else value for name, (value, default) in values.items()}


@Parameter(name="*", group=Group("Runtime", sort_key=12))
@dataclass(frozen=True)
class RuntimeFlags:
    """Where the model runs."""

    provider: Annotated[str, Parameter(help=PROVIDER_HELP)] = "cpu"
    threads: Annotated[int | None, number(THREADS_HELP, 1)] = None

    def describer(self, place_map: OpenMap, model: Path | None, embeddings: GivenEmbeddings | None = None) -> Describer:
        """Opens the model of a map, or the one at ``model``. Raises VprError: the model is no longer where the map says, or
        is not the map's."""
        if model is None and not place_map.model_path.is_dir():
            raise VprError(f"{place_map.path}: its model left {place_map.model_path}; say where it is with -m MODEL")
        path = model or place_map.model_path
        describer = Describer.open(path, embeddings, provider=self.provider, threads=self.threads)
        place_map.require(describer)
        return describer.of_size(place_map.dim)


@Parameter(name="*", group=Group("Loops within one run", sort_key=9))
@dataclass(frozen=True)
class LoopFlags:
    """Which places count as just passed."""

    recent_seconds: Annotated[float, number("A place this recent is no loop.", 0)] = 10.0
    recent_meters: Annotated[float, number("A place within the last so many meters driven is no loop.", 0)] = 15.0
