"""``vpr query``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import ValidationError

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.answers import SHOWN, Answer, answer_line, answers_table, say_recall
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, err, out, progress_bars, say_skipped
from vpr_aesvc.cli.recording_options import INPUT_HELP, recording_options, refuse_unused
from vpr_aesvc.datasets import open_input
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.offline import recognize_run
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recordings import is_recording, open_recording
from vpr_aesvc.recordings.recording import RecordingOptions
from vpr_aesvc.runtime import PROVIDER_HELP, THREADS_HELP
from vpr_aesvc.types import Frame

RATE_HELP = "Of a recording, at most so many frames a second; by default all of them."


@recording_options
def query_command(
    map: Annotated[Path, typer.Argument(help="A .vprmap file.")],
    input: Annotated[
        Path,
        typer.Argument(
            help=f"An image, a folder of images, a frames.csv (its rows with split `query`); or a run: {INPUT_HELP}."
        ),
    ],
    recording: RecordingOptions,
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
        bool | None,
        typer.Option(
            "--sequence/--no-sequence",
            help="Follow the images of each sequence in order: what fits a way counts. A recording is followed by default.",
            show_default=False,
        ),
    ] = None,
    smooth: Annotated[
        bool,
        typer.Option(
            "--smooth",
            help="Use the images after as well as those before: for a whole run, offline. Implies --sequence.",
        ),
    ] = False,
    geometry: Annotated[
        bool | None,
        typer.Option(
            "--geometry/--no-geometry",
            help="Compare key points with those of the best places' pictures; for a recording by default.",
            show_default=False,
        ),
    ] = None,
    false_positive_rate: Annotated[
        float | None,
        typer.Option(
            help="Say of each match whether to accept it, so that at most this part of the images from elsewhere is. "
            f"With --sequence or --geometry {RecognizerSettings().false_positive_rate} by default.",
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help=RATE_HELP)] = None,
    provider: Annotated[str, typer.Option(help=PROVIDER_HELP)] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help=THREADS_HELP)] = None,
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each image, on standard output.")
    ] = False,
) -> None:
    """Find new images in a map.

    Where the images and the map both say where they are (poses, or sequence and index), recall is printed as well. A recording is
    recognized frame by frame, as a robot would; its answers come while it runs.
    """
    if is_recording(input, recording):
        from vpr_aesvc.cli.query_recording import query_recording

        for name, value in (("--shortlist", shortlist), ("--embeddings", embeddings), ("--smooth", smooth or None)):
            if value is not None:
                raise VprError(
                    f"{input}: a recording is recognized image by image, against every place: leave out {name}"
                )
        run = open_recording(input, recording)
        wanted = recognizer_settings(size, top, sequence is not False, geometry is not False, false_positive_rate)
        with PlaceMap.open(map) as place_map:
            describer = describer_of(place_map, model, None, provider, threads)
            query_recording(run, Recognizer(place_map, describer, wanted), rate, as_json)
        return
    if rate is not None:
        raise VprError(f"{input}: --rate is for recordings, and this is none")
    refuse_unused(input, recording)
    inputs = open_input(input)
    frames = inputs.split("query").frames
    given = None if embeddings is None else read_embeddings(embeddings, inputs.frames)
    settings = None
    if smooth and sequence is False:
        raise VprError("--smooth follows a sequence: leave out --no-sequence")
    if sequence or smooth or geometry or false_positive_rate is not None:
        settings = recognizer_settings(size, top, bool(sequence or smooth), bool(geometry), false_positive_rate)
    if settings is not None and shortlist is not None:
        raise VprError("recognition compares with every place: leave out --shortlist")
    with PlaceMap.open(map) as place_map:
        describer = describer_of(place_map, model, given, provider, threads)
        place_map.require(describer)
        place_map.check_size(size)
        recognizer = None if settings is None else Recognizer(place_map, describer, settings)
        answers: list[Answer] = []
        described: list[NDArray[np.float32]] = []
        skipped: list[str] = []
        with progress_bars() as progress:
            for positions, descriptors, images in describer.describe_frames(frames, skipped):
                asked = [frames[at] for at in positions]
                if smooth:
                    answers += [(frame, [], None) for frame in asked]
                    described.append(descriptors)
                elif recognizer is None:
                    found = place_map.search(descriptors, top, size, shortlist=shortlist)
                    answers += [(frame, matches, None) for frame, matches in zip(asked, found, strict=True)]
                else:
                    answers += _recognized(recognizer, asked, descriptors, images, answers[-1][0] if answers else None)
                progress("querying", positions[-1] + 1, len(frames))
        if smooth and recognizer is not None and answers:
            answers = list(_smoothed(recognizer, [answer[0] for answer in answers], np.concatenate(described)))
        say_skipped(skipped, len(frames))
        if as_json:
            for answer in answers:
                typer.echo(json.dumps(answer_line(*answer)))
        else:
            out.print(answers_table(answers))
            if len(answers) > SHOWN:
                out.print(f"and {len(answers) - SHOWN} more; --json gives all")
        if settings is not None:
            accepted = sum(bool(answer[2] and answer[2].accepted) for answer in answers)
            err.print(
                f"{accepted} of {len(answers)} accepted at a false-positive rate of {settings.false_positive_rate:g}"
            )
        say_recall([answer[:2] for answer in answers], list(place_map.places().values()), top)


def recognizer_settings(
    size: int | None, top: int, sequence: bool, geometry: bool, rate: float | None
) -> RecognizerSettings:
    """What the options say.

    Raises:
        VprError: one is out of range; the message names it.
    """
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


def _smoothed(recognizer: Recognizer, frames: list[Frame], descriptors: NDArray[np.float32]) -> Iterator[Answer]:
    starts = [at for at, frame in enumerate(frames) if at == 0 or frame.sequence != frames[at - 1].sequence]
    for start, end in pairwise([*starts, len(frames)]):
        run = frames[start:end]
        for frame, found in zip(run, recognize_run(recognizer, run, descriptors[start:end]), strict=True):
            yield frame, [candidate.match for candidate in found.candidates], found


def describer_of(
    place_map: PlaceMap, model: Path | None, backbone: Backbone | None, provider: str, threads: int | None
) -> Describer:
    if model is None and not place_map.model_path.is_dir():
        raise VprError(
            f"{place_map.path}: its model is no longer at {place_map.model_path}; say where it is with -m MODEL"
        )
    return Describer.open(model or place_map.model_path, backbone, provider=provider, threads=threads)
