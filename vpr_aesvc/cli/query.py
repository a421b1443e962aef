"""``vpr query``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, err, out, progress_bars, say_skipped
from vpr_aesvc.datasets import open_input
from vpr_aesvc.datasets.positives import guess_tolerance, positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.metrics import recall
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Frame, Match, Place

_SHOWN = 40  # rows of the table; --json gives all


def query_command(
    map: Annotated[Path, typer.Argument(help="A .vprmap file.")],
    input: Annotated[
        Path, typer.Argument(help="An image, a folder of images, or a frames.csv (its rows with split `query`).")
    ],
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="The model folder, where it has moved since.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many places for each image.")] = 5,
    size: Annotated[
        int | None, typer.Option(min=1, help="Compare only the first SIZE numbers of each descriptor.")
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each image, on standard output.")
    ] = False,
) -> None:
    """Find new images in a map.

    Where the images and the map both say where they are (poses, or sequence and index), recall is printed as well.
    """
    inputs = open_input(input)
    frames = inputs.split("query").frames
    given = None if embeddings is None else read_embeddings(embeddings, inputs.frames)
    with PlaceMap.open(map) as place_map:
        describer = _describer(place_map, model, given)
        place_map.require(describer)
        place_map.check_size(size)
        answers: list[tuple[Frame, list[Match]]] = []
        skipped: list[str] = []
        with progress_bars() as progress:
            for positions, descriptors, _ in describer.describe_frames(frames, skipped):
                found = place_map.search(descriptors, top, size)
                answers += zip((frames[at] for at in positions), found, strict=True)
                progress("querying", positions[-1] + 1, len(frames))
        say_skipped(skipped, len(frames))
        if as_json:
            for frame, matches in answers:
                typer.echo(json.dumps({"query": frame.label, "matches": [_as_dict(match) for match in matches]}))
        else:
            out.print(_table(answers))
            if len(answers) > _SHOWN:
                out.print(f"and {len(answers) - _SHOWN} more; --json gives all")
        _say_recall(answers, list(place_map.places().values()), top)


def _describer(place_map: PlaceMap, model: Path | None, backbone: Backbone | None) -> Describer:
    if model is None and not place_map.model_path.is_dir():
        raise VprError(
            f"{place_map.path}: its model is no longer at {place_map.model_path}; say where it is with -m MODEL"
        )
    return Describer.open(model or place_map.model_path, backbone)


def _as_dict(match: Match) -> dict[str, Any]:
    place = match.place
    found: dict[str, Any] = {
        "place": place.id,
        "path": place.label,
        "similarity": round(match.similarity, 6),
        "traverse": place.traverse,
    }
    if place.pose:
        found["pose"] = place.pose.as_tuple()
    return found


def _table(answers: Sequence[tuple[Frame, list[Match]]]) -> Table:
    table = Table("query", "best match", "similarity", "traverse", "x, y [m]", "next best")
    for frame, matches in answers[:_SHOWN]:
        if not matches:
            table.add_row(escape(frame.label), "the map is empty")
            continue
        best = matches[0]
        where = f"{best.place.pose.x:.1f}, {best.place.pose.y:.1f}" if best.place.pose else ""
        others = ", ".join(f"{match.similarity:.2f}" for match in matches[1:])
        names = (escape(name) for name in (frame.label, best.place.label, best.place.traverse))
        query, match, traverse = names
        table.add_row(query, match, f"{best.similarity:.3f}", traverse, where, others)
    return table


def _say_recall(answers: Sequence[tuple[Frame, list[Match]]], places: Sequence[Place], top: int) -> None:
    """Recall, where the queries and the places say who is near whom; on standard error, to leave --json alone."""
    asked, there = [frame for frame, _ in answers], [_as_frame(place) for place in places]
    tolerance = guess_tolerance([*asked, *there])
    right = positives(asked, there, tolerance)
    if right is None or not places:
        return
    row_of = {place.id: row for row, place in enumerate(places)}
    ranked = np.array([[row_of[match.place.id] for match in matches] for _, matches in answers])
    found = recall(ranked, right, sorted({k for k in (1, 5, 10, top) if k <= min(top, len(places))}))
    if not found.queries:
        err.print("no query has a right place in the map, so recall cannot be given")
        return
    numbers = ", ".join(f"R@{k} {value:.3f}" for k, value in found.at.items())
    without = f" ({found.without} without a right place left out)" if found.without else ""
    err.print(f"{numbers} over {found.queries} queries, right {tolerance}{without}")


def _as_frame(place: Place) -> Frame:
    index = place.extra.get("index")
    return Frame(
        label=place.label, pose=place.pose, sequence=place.traverse, index=None if index is None else float(index)
    )
