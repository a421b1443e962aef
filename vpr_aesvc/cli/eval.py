"""``vpr eval``."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.query import RATE_HELP, describer_of
from vpr_aesvc.cli.query_recording import say_recording
from vpr_aesvc.cli.recording_options import INPUT_HELP, keyframe_options, recording_options
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.drive import Drive, check_poses, check_together, drive_in_map, drive_loops
from vpr_aesvc.evaluation.drive_measures import DriveMeasures, measure
from vpr_aesvc.evaluation.drive_report import DriveReport, check_installed, heads, rows, write_drive
from vpr_aesvc.files import check_free
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import keyframes as keyframes_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recordings import open_recording
from vpr_aesvc.recordings.decoded import counted, decoded, thinned
from vpr_aesvc.recordings.recording import Recording, RecordingOptions
from vpr_aesvc.runtime import PROVIDER_HELP, THREADS_HELP

Progress = Callable[[int, int], None]
_RECENT_SECONDS, _RECENT_METERS = 10.0, 15.0


@recording_options
@keyframe_options
def eval_command(
    input: Annotated[Path, typer.Argument(help=f"The run, with poses: {INPUT_HELP}.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of results to make.")],
    recording: RecordingOptions,
    keyframes: KeyframeSettings,
    map: Annotated[
        Path | None,
        typer.Option(help="The map to be recognized in, with poses in the run's frame; by default the run's own past."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="A model folder; with --map, by default the map's.")
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Meters within which a match counts as right in the picture and the times; by default 1, 5, 10 or 25, by how much the run covers.",
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help=f"With --map. {RATE_HELP}")] = None,
    recent_seconds: Annotated[
        float, typer.Option(min=0, help="Without --map: places this recent are no loop.")
    ] = _RECENT_SECONDS,
    recent_meters: Annotated[
        float, typer.Option(min=0, help="Without --map: nor are those of the last so many meters driven.")
    ] = _RECENT_METERS,
    false_positive_rate: Annotated[
        float, typer.Option(help="Part of the frames from elsewhere whose match may be accepted.")
    ] = RecognizerSettings().false_positive_rate,
    provider: Annotated[str, typer.Option(help=PROVIDER_HELP)] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help=THREADS_HELP)] = None,
) -> None:
    """Say how well a robot would have known where it was on a run, told by the run's own poses.

    With --map, the run's frames are recognized in a map. Without, in the run's own past: the map grows from keyframe to keyframe, and each is
    asked for before it is added, so that loops are what can be found. A single frame, a sequence of frames, geometry, and both are compared.
    """
    check_free(output, "results")
    check_installed()
    _check_numbers(map, within, rate, recent_seconds, recent_meters, keyframes)
    if map is None and model is None:
        raise VprError("say which model describes the images, with -m MODEL; or which --map the run is recognized in")
    try:
        settings = RecognizerSettings(false_positive_rate=false_positive_rate)
    except ValidationError as error:
        raise VprError(
            f"--false-positive-rate: {error.errors()[0]['msg'].lower()}, found {false_positive_rate}"
        ) from error
    run = open_recording(input, recording)
    if map is None:
        assert model is not None
        check_poses(run)
        describer = Describer.open(model, provider=provider, threads=threads)
        settings = settings.model_copy(update={"recent_seconds": recent_seconds, "recent_meters": recent_meters})
        drive = _loops(run, describer, settings, keyframes)
        how = {f"keyframes, {name}": str(value) for name, value in keyframes.model_dump().items()}
        how |= {"recent, left out": f"{recent_seconds:g} s, {recent_meters:g} m"}
    else:
        with PlaceMap.open(map) as place_map:
            describer = describer_of(place_map, model, None, provider, threads)
            place_map.require(describer)
            check_together(run, place_map)
            drive = _in_map(run, place_map, describer, settings, rate)
            how = {"map": f"{map}, {len(place_map)} places", "rate": "all frames" if rate is None else f"{rate:g} Hz"}
    if not len(drive):
        raise VprError(f"{input}: no frame that can be read has a pose; {'; '.join(run.skip_counts.lines())}")
    say_recording(run)
    if drive.without_pose:
        err.print(f"{drive.without_pose} frames have no pose, and were not asked for")
    measures = measure(drive, within)
    how |= {"model": f"{describer.path}, {describer.fingerprint}", "false-positive rate": f"{false_positive_rate:g}"}
    how |= {"distances": "straight, in x, y and z, between the frame's pose and the place's"}
    how |= {"left out": "; ".join(run.skip_counts.lines()) or "nothing"}
    notes = [
        ("run", f"{input}, {run.kind}"),
        *((f"found {at}", note) for at, note in enumerate(run.notes, 1)),
        *how.items(),
    ]
    name = Path(input).resolve().name
    title = f"{name}: loops within one run" if map is None else f"{name} in {map.name}"
    said = write_drive(DriveReport(title, drive, measures, notes), output)
    for table in measures_tables(measures):
        out.print(table)
    for sentence in said:
        out.print(sentence, markup=False, soft_wrap=True)
    if drive.loops:
        _say_distances(measures, recent_meters)
    out.print(
        f"\nlook at {output / 'report.html'} in a browser; every number is in {output / 'drive.json'}",
        markup=False,
        soft_wrap=True,
    )


def _check_numbers(
    map: Path | None,
    within: float | None,
    rate: float | None,
    recent_seconds: float,
    recent_meters: float,
    keyframes: KeyframeSettings,
) -> None:
    """Refuses numbers that mean nothing, and options that would do nothing."""
    numbers = {"--within": within, "--recent-seconds": recent_seconds, "--recent-meters": recent_meters}
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise VprError(f"{name} must be a finite number, found {number}")
    if map is None:
        if rate is not None:
            raise VprError(
                "--rate is for --map; for loops within the run, --keyframe-meters says how many frames are asked for"
            )
        least = max(1.0, within or 0.0)  # meters; 1 is always counted
        if least >= recent_meters:
            what = "the least distance that counts, 1 m," if within is None or within <= 1 else f"--within {within:g}"
            raise VprError(
                f"{what} must be less than --recent-meters {recent_meters:g}: else what was just driven past is a loop"
            )
        return
    usual = KeyframeSettings()
    given = [f"--keyframe-{name}" for name in usual.model_dump() if getattr(keyframes, name) != getattr(usual, name)]
    given += ["--recent-seconds"] if recent_seconds != _RECENT_SECONDS else []
    given += ["--recent-meters"] if recent_meters != _RECENT_METERS else []
    if given:
        raise VprError(
            f"{given[0]} is for loops within the run: with --map every frame is asked for; leave it out, or --map"
        )


def measures_tables(measures: DriveMeasures) -> list[Table]:
    """One row a form: what is recognized, then when. Each fits 80 columns."""
    tables = []
    columns = heads(measures)
    for chosen in (range(len(columns) - 2), (0, len(columns) - 2, len(columns) - 1)):
        table = Table(*(columns[at] for at in chosen))
        table.columns[0].no_wrap = True
        for row in rows(measures):
            table.add_row(*(row[at] for at in chosen))
        tables.append(table)
    return tables


def _loops(run: Recording, describer: Describer, settings: RecognizerSettings, keyframes: KeyframeSettings) -> Drive:
    with (
        tempfile.TemporaryDirectory(prefix="vpr-eval-") as folder,
        PlaceMap.create(Path(folder) / "loops.vprmap", describer) as place_map,
        progress_bars() as progress,
    ):
        show: Progress = lambda done, of: progress("looking for loops", done, of)  # noqa: E731
        return drive_loops(keyframes_of(run, keyframes, progress=show), place_map, describer, settings)


def _in_map(
    run: Recording, place_map: PlaceMap, describer: Describer, settings: RecognizerSettings, rate: float | None
) -> Drive:
    with progress_bars() as progress:
        show: Progress = lambda done, of: progress("recognizing", done, of)  # noqa: E731
        frames = decoded(thinned(counted(run, show), rate), run.skip_counts)
        return drive_in_map(frames, place_map, describer, settings)


def _say_distances(measures: DriveMeasures, recent_meters: float) -> None:
    out.print(
        f"Distances above {max(measures.askable):g} m are not counted: so near lies what was driven past {recent_meters:g} m before; "
        "--recent-meters leaves out more.",
        markup=False,
    )
