"""``vpr map build`` and ``vpr map add``: from images or a recorded run to places."""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli.console import out, progress_bars, say_source
from vpr_aesvc.cli.options import (
    EMBEDDINGS_HELP,
    InputFlags,
    InputPath,
    KeyframeFlags,
    MapPath,
    ModelOption,
    Output,
    RuntimeFlags,
)
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.keyframes.selection import name_of
from vpr_aesvc.mapping import build_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import add_map, require_new_traverses, temporary_folder_beside

_Traverse = Annotated[str | None, Parameter(help="Name of the traverse; by default the recording's name.")]
_Embeddings = Annotated[Path | None, Parameter(help=EMBEDDINGS_HELP)]


def build_command(
    input: InputPath,
    /,
    *,
    model: Annotated[Path, Parameter(name=("--model", "-m"), help="A model folder from `vpr train` or `vpr export`.")],
    output: Output,
    traverse: _Traverse = None,
    embeddings: _Embeddings = None,
    keyframes: KeyframeFlags = KeyframeFlags(),
    reading: InputFlags = InputFlags(),
) -> None:
    """Make a map of the images of a place, or of a recorded drive through it.

    Of a set with splits, the `database` images become places. Of a recording, keyframes become places; black, blurred and frozen images
    are left out.

    Example:  vpr map build office.mcap -m model/ -o office.vprmap
    """
    check_free(output, "map")
    source = reading.open(input, embeddings, **keyframes.given)
    _build(source, Describer.open(model, source.embeddings), output, traverse, keyframes)
    with PlaceMap.open(output) as place_map:
        hint = f"map {output} holds {len(place_map)} places; next: vpr query {shlex.quote(str(output))} NEW_IMAGES"
        out.print(hint, markup=False, soft_wrap=True)


def add_command(
    map: MapPath,
    input: InputPath,
    /,
    *,
    model: ModelOption = None,
    traverse: _Traverse = None,
    embeddings: _Embeddings = None,
    keyframes: KeyframeFlags = KeyframeFlags(),
    reading: InputFlags = InputFlags(),
) -> None:
    """Add another traverse to a map: all of it, or nothing if something fails.

    The poses are stored as they are: they must be in the frame of the map's poses. `vpr map merge` transforms another map into this frame.

    Example:  vpr map add office.vprmap second_drive.mcap
    """
    with PlaceMap.open(map) as place_map, temporary_folder_beside(map) as folder:
        if not os.access(map, os.W_OK):
            raise VprError(f"{map}: can only be read here")
        source = reading.open(input, embeddings, **keyframes.given)
        if traverse is None and source.is_recording:
            traverse = name_of(source.path)
        require_new_traverses(place_map, [] if traverse is None else [traverse])  # before a long run, not after it
        describer = RuntimeFlags().describer(place_map, model, source.embeddings)
        new_path = Path(folder) / map.name
        _build(source, describer, new_path, traverse, keyframes)
        with PlaceMap.open(new_path) as new:
            added = add_map(place_map, new)
        out.print(f"map {map} holds {len(place_map)} places, {added} of them new", markup=False)


def _build(
    source: FrameSource, describer: Describer, output: Path, traverse: str | None, keyframes: KeyframeFlags
) -> None:
    """Builds the map and says what was used."""
    with progress_bars() as progress:
        stats = build_map(
            source, describer, output, traverse, keyframes.settings, partial(progress, "describing images")
        )
    say_source(source)
    if source.is_recording:
        out.print(stats.line(), markup=False, soft_wrap=True)
