"""``vpr query``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import ValidationError
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
from vpr_aesvc.recognition.recognition import Recognition
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.runtime import PROVIDER_HELP, THREADS_HELP
from vpr_aesvc.types import Frame, Match, Place

Answer = tuple[Frame, list[Match], "Recognition | None"]
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
    shortlist: Annotated[
        int | None, typer.Option(min=1, help="How many places of a compressed index are ranked by the full descriptor.")
    ] = None,
    sequence: Annotated[
        bool, typer.Option("--sequence", help="Follow the images of each sequence in order: what fits a way counts.")
    ] = False,
    geometry: Annotated[
        bool, typer.Option("--geometry", help="Compare key points with those of the best places' pictures.")
    ] = False,
    false_positive_rate: Annotated[
        float | None,
        typer.Option(
            help="Say of each match whether to accept it, so that at most this part of the images from elsewhere is. "
            f"With --sequence or --geometry {RecognizerSettings().false_positive_rate} by default.",
        ),
    ] = None,
    provider: Annotated[str, typer.Option(help=PROVIDER_HELP)] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help=THREADS_HELP)] = None,
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
    settings = _settings(size, top, sequence, geometry, false_positive_rate)
    if settings is not None and shortlist is not None:
        raise VprError("recognition compares with every place: leave out --shortlist")
    with PlaceMap.open(map) as place_map:
        describer = _describer(place_map, model, given, provider, threads)
        place_map.require(describer)
        place_map.check_size(size)
        recognizer = None if settings is None else Recognizer(place_map, describer, settings)
        answers: list[Answer] = []
        skipped: list[str] = []
        with progress_bars() as progress:
            for positions, descriptors, images in describer.describe_frames(frames, skipped):
                asked = [frames[at] for at in positions]
                if recognizer is None:
                    found = place_map.search(descriptors, top, size, shortlist=shortlist)
                    answers += [(frame, matches, None) for frame, matches in zip(asked, found, strict=True)]
                else:
                    answers += _recognized(recognizer, asked, descriptors, images, answers[-1][0] if answers else None)
                progress("querying", positions[-1] + 1, len(frames))
        say_skipped(skipped, len(frames))
        if as_json:
            for answer in answers:
                typer.echo(json.dumps(_line(*answer)))
        else:
            out.print(_table(answers))
            if len(answers) > _SHOWN:
                out.print(f"and {len(answers) - _SHOWN} more; --json gives all")
        if settings is not None:
            accepted = sum(bool(answer[2] and answer[2].accepted) for answer in answers)
            err.print(
                f"{accepted} of {len(answers)} accepted at a false-positive rate of {settings.false_positive_rate:g}"
            )
        _say_recall([answer[:2] for answer in answers], list(place_map.places().values()), top)


def _settings(
    size: int | None, top: int, sequence: bool, geometry: bool, rate: float | None
) -> RecognizerSettings | None:
    """None where recognition was not asked for."""
    if not sequence and not geometry and rate is None:
        return None
    asked = RecognizerSettings().false_positive_rate if rate is None else rate
    try:
        return RecognizerSettings(
            size=size, candidates=top, sequence=sequence, geometry=geometry, false_positive_rate=asked
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = {"candidates": "--top, with recognition"}.get(str(first["loc"][0]), "--false-positive-rate")
        raise VprError(f"{name}: {first['msg'].lower()}, found {first['input']}") from error


def _recognized(
    recognizer: Recognizer,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32],
    images: Sequence[NDArray[np.uint8]] | None,
    before: Frame | None,
) -> Iterator[Answer]:
    for at, frame in enumerate(frames):
        if before is not None and frame.sequence != before.sequence:
            recognizer.reset()
        before = frame
        seen = frame if images is None else replace(frame, image=images[at])
        found = recognizer.recognize(seen, descriptor=descriptors[at])
        yield frame, [candidate.match for candidate in found.candidates], found


def _describer(
    place_map: PlaceMap, model: Path | None, backbone: Backbone | None, provider: str, threads: int | None
) -> Describer:
    if model is None and not place_map.model_path.is_dir():
        raise VprError(
            f"{place_map.path}: its model is no longer at {place_map.model_path}; say where it is with -m MODEL"
        )
    return Describer.open(model or place_map.model_path, backbone, provider=provider, threads=threads)


def _line(frame: Frame, matches: Sequence[Match], found: Recognition | None) -> dict[str, Any]:
    line: dict[str, Any] = {"query": frame.label, "matches": [_as_dict(match) for match in matches]}
    if found is not None:
        line |= {
            "accepted": found.accepted,
            "why": found.why,
            "probability": round(found.probability, 6),
            "false_positive_rate": round(found.false_positive_rate, 6),
        }
    return line


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


def _table(answers: Sequence[Answer]) -> Table:
    recognized = any(found is not None for _, _, found in answers)
    said = ("accepted", "probability") if recognized else ()
    table = Table("query", "best match", "similarity", *said, "traverse", "x, y [m]", "next best")
    for frame, matches, found in answers[:_SHOWN]:
        if not matches:
            table.add_row(escape(frame.label), "the map is empty")
            continue
        best = matches[0]
        where = f"{best.place.pose.x:.1f}, {best.place.pose.y:.1f}" if best.place.pose else ""
        others = ", ".join(f"{match.similarity:.2f}" for match in matches[1:])
        query, match, traverse = map(escape, (frame.label, best.place.label, best.place.traverse))
        verdict = ("yes" if found.accepted else "no", f"{found.probability:.2f}") if found is not None else ()
        table.add_row(query, match, f"{best.similarity:.3f}", *verdict, traverse, where, others)
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
