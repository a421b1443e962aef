"""``vpr map build`` and ``vpr map add``: from images or a recorded run to places."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, out, progress_bars, say_skipped
from vpr_aesvc.cli.query import describer_of
from vpr_aesvc.cli.query_recording import say_recording
from vpr_aesvc.cli.recording_options import INPUT_HELP, keyframe_options, recording_options, refuse_unused
from vpr_aesvc.datasets import open_input
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import name_of
from vpr_aesvc.mapping import build_map, build_map_of_recording
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.merge import add_map, beside, require_new_traverses
from vpr_aesvc.placemap.placemap import DEFAULT_TRAVERSE
from vpr_aesvc.recordings import is_recording, open_recording
from vpr_aesvc.recordings.recording import RecordingOptions

_INPUT_HELP = f"A folder of images, a frames.csv (its rows with split `database`); or a run: {INPUT_HELP}."
_TRAVERSE_HELP = "What to call a recording's traverse; by default the recording's name."


@recording_options
@keyframe_options
def build_command(
    input: Annotated[Path, typer.Argument(help=_INPUT_HELP)],
    model: Annotated[Path, typer.Option("-m", "--model", help="A model folder made by `vpr train` or `vpr export`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The map file to make, such as office.vprmap.")],
    keyframes: KeyframeSettings,
    recording: RecordingOptions,
    traverse: Annotated[str | None, typer.Option(help=_TRAVERSE_HELP)] = None,
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
) -> None:
    """Make a map of the images of a place, or of a recorded run through it.

    Of a run, the pictures that lie far enough apart become places; black, blurred and frozen ones are left out.

    Example:  vpr map build office.mcap -m model/ -o office.vprmap
    """
    check_free(output, "map")
    _make(input, output, lambda given: Describer.open(model, given), recording, keyframes, traverse, embeddings)
    with PlaceMap.open(output) as place_map:
        said = f"map {output} holds {len(place_map)} places; next: vpr query {shlex.quote(str(output))} NEW_IMAGES"
        out.print(said, markup=False, soft_wrap=True)


@recording_options
@keyframe_options
def add_command(
    map: Annotated[Path, typer.Argument(help="The .vprmap file to add to.")],
    input: Annotated[Path, typer.Argument(help=_INPUT_HELP)],
    keyframes: KeyframeSettings,
    recording: RecordingOptions,
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="The model folder, where it has moved since.")
    ] = None,
    traverse: Annotated[str | None, typer.Option(help=_TRAVERSE_HELP)] = None,
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
) -> None:
    """Add another traverse to a map: all of it, or, where something fails, nothing.

    Poses are taken as they are: they must be in the frame of the map's own. `vpr map merge` brings a map of its own into another's frame.
    """
    with PlaceMap.open(map) as place_map, beside(map) as folder:
        if not os.access(map, os.W_OK):
            raise VprError(f"{map}: can only be read here")
        if traverse is None and is_recording(input, recording):
            traverse = name_of(input)
        require_new_traverses(place_map, [] if traverse is None else [traverse])  # before a long run, not after it

        def describer(given: Backbone | None) -> Describer:
            found = describer_of(place_map, model, given, "cpu", None)
            place_map.require(found)
            return found

        beside_it = Path(folder) / map.name
        _make(input, beside_it, describer, recording, keyframes, traverse, embeddings)
        with PlaceMap.open(beside_it) as new:
            added = add_map(place_map, new)
        out.print(f"map {map} holds {len(place_map)} places, {added} of them new", markup=False)


def _make(
    input: Path,
    output: Path,
    describer: Callable[[Backbone | None], Describer],
    options: RecordingOptions,
    settings: KeyframeSettings,
    traverse: str | None,
    embeddings: Path | None,
) -> None:
    """A new map of what the user points at, and what there is to say of it."""
    if is_recording(input, options):
        if embeddings is not None:
            raise VprError(f"{input}: --embeddings belong to a folder of images; a recording is described by the model")
        recording = open_recording(input, options)
        with progress_bars() as progress:
            seen = build_map_of_recording(
                recording,
                describer(None),
                output,
                settings,
                traverse,
                partial(progress, "reading the recording"),
            )
        say_recording(recording)
        out.print(seen.line(), markup=False)
        return
    refuse_unused(input, options, settings)
    inputs = open_input(input)
    frames = inputs.split("database").frames
    opened = describer(None if embeddings is None else read_embeddings(embeddings, inputs.frames))
    with progress_bars() as progress:
        skipped = build_map(
            frames,
            opened,
            output,
            traverse or DEFAULT_TRAVERSE,
            partial(progress, "describing images"),
        )
    say_skipped(skipped, len(frames))


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("build")(build_command)
    app.command("add")(add_command)
