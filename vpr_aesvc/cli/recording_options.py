"""The options that all commands on a recording share: which topics, which trajectory, how far apart keyframes are.

A decorated command gets them as one argument::

    @recording_options
    def command(input: Path, recording: RecordingOptions) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from vpr_aesvc.errors import VprError
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.recordings.recording import RecordingOptions

INPUT_HELP = "a bag (ROS 1 or 2), a video, or a folder of images with --trajectory"
_PANEL = "Recordings"
_DEFAULT = RecordingOptions()
_OF_RECORDING: dict[str, tuple[Any, str]] = {
    "image_topic": (str | None, "The images' topic; by default the only one there is."),
    "pose_topic": (str | None, "The poses' topic, or /tf; by default the only one there is."),
    "base_frame": (str | None, "The robot's frame, where the bag does not say whose poses it holds."),
    "map_frame": (str | None, "The fixed frame, where poses are taken from TF."),
    "trajectory": (Path | None, "Poses from a file in TUM or KITTI format, for a folder of images or a video."),
    "pose_gap": (float, "Seconds that two poses may lie apart for an image between them to get one."),
    "keep_good": (bool, "Of a damaged recording, use what can be read."),
}


def recording_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's argument ``recording`` by the options of a :class:`RecordingOptions`."""
    added = []
    for name, (kind, words) in _OF_RECORDING.items():
        least = 0.0 if kind is float else None
        flag = f"--{name.replace('_', '-')}"
        option = typer.Option(flag, help=words, rich_help_panel=_PANEL, min=least)
        added.append(_parameter(name, kind, option, getattr(_DEFAULT, name)))
    return _spread(command, "recording", added, RecordingOptions)


def keyframe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's argument ``keyframes`` by the options of a :class:`KeyframeSettings`."""
    fields = _from_model(KeyframeSettings, "keyframe_")

    def build(**values: float) -> KeyframeSettings:
        return KeyframeSettings(**{name.removeprefix("keyframe_"): value for name, value in values.items()})

    return _spread(command, "keyframes", fields, build)


def refuse_unused(input: Path, recording: RecordingOptions, keyframes: KeyframeSettings | None = None) -> None:
    """For an input that is no recording: options that would do nothing are a misunderstanding.

    Raises:
        VprError: one of them was given.
    """
    given = [name for name in _OF_RECORDING if getattr(recording, name) != getattr(_DEFAULT, name)]
    if keyframes is not None:
        usual = KeyframeSettings()
        given += [f"keyframe_{name}" for name in usual.model_dump() if getattr(keyframes, name) != getattr(usual, name)]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise VprError(f"{input}: {flag} is for a recording, which this is not; a recording is {INPUT_HELP}")


def _from_model(model: type[BaseModel], prefix: str) -> Iterable[inspect.Parameter]:
    for name, field in model.model_fields.items():
        least, most = (
            next((getattr(rule, of) for rule in field.metadata if hasattr(rule, of)), None) for of in ("ge", "le")
        )
        flag = f"--{(prefix + name).replace('_', '-')}"
        option = typer.Option(flag, help=field.description, rich_help_panel=_PANEL, min=least, max=most)
        yield _parameter(prefix + name, field.annotation, option, field.default)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    annotation = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _spread(
    command: Callable[..., None], argument: str, added: Iterable[inspect.Parameter], build: Callable[..., Any]
) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    new = {one.name: one for one in added}
    kept = [one for name, one in signature.parameters.items() if name != argument]

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        own = {name: values.pop(name) for name in new}
        for name, value in own.items():
            if isinstance(value, float) and not math.isfinite(value):  # passes every bound
                raise VprError(f"--{name.replace('_', '-')} must be a finite number, found {value}")
        built = build(**own)
        command(**values, **{argument: built})

    # Typer reads a command's signature; Python orders keyword-only parameters last.
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept]
    wrapped.__signature__ = signature.replace(parameters=[*keyword, *new.values()])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: one.annotation for name, one in wrapped.__signature__.parameters.items()}  # type: ignore[attr-defined]
    return wrapped
