"""``vpr eval``: how well a robot would know where it is on a run."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import err, out, progress_bars, say_source
from vpr_aesvc.cli.query import recognizer_settings
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.alignment import aligned_drive, matched_poses
from vpr_aesvc.evaluation.drive import BOTH, Drive, check_poses, check_same_frame, drive_in_map, drive_loops
from vpr_aesvc.evaluation.drive_measures import DriveMeasures, measure_drive
from vpr_aesvc.evaluation.drive_report import DriveReport, table_header, table_rows, write_drive
from vpr_aesvc.evaluation.report import check_installed
from vpr_aesvc.files import check_free
from vpr_aesvc.fleet import open_map
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import keyframes as keyframes_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.pose_graph.alignment import Alignment, Kind, align_poses, tolerance_of
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recordings.decoded import counted, decoded, thinned


def eval_command(
    input: opt.InputPath,
    /,
    *,
    output: opt.Output,
    map: Annotated[
        str | None,
        Parameter(help="Recognize the run in this map; its poses must be in the run's frame. Default: find loops."),
    ] = None,
    model: opt.ModelOption = None,
    within: Annotated[
        float | None,
        opt.number("A match within so many meters is right; default 1, 5, 10 or 25, by the extent of the run.", 0.01),
    ] = None,
    rate: opt.Rate = None,
    align: Annotated[
        Literal["none"] | Kind,
        Parameter(
            help="With --map: move the run's poses into the map's frame by the accepted matches. se2 turns about z and shifts, se3 turns about any "
            "axis, sim3 also scales."
        ),
    ] = "none",
    false_positive_rate: opt.FalsePositiveRate = opt.RATE,
    loops: opt.LoopFlags = opt.LoopFlags(),
    keyframes: opt.KeyframeFlags = opt.KeyframeFlags(),
    reading: opt.CameraFlags = opt.CameraFlags(),
    runtime: opt.RuntimeFlags = opt.RuntimeFlags(),
) -> None:
    """Measure how well a robot would know where it is on a run. The run's own poses are the truth.

    With --map, each frame is recognized in a map, and where the accepted matches show that its poses have another origin than the map's,
    the figures are given with and without the shift between them. Without, loops are found: each keyframe is searched in the map of the keyframes before
    it, then added. The report compares single frame, sequence, geometry, and both.

    Example:  vpr eval another_drive/ --map office.vprmap -o report
    """
    check_free(output, "results")
    check_installed()
    _check_numbers(map, within, rate, loops, keyframes)
    if map is None and align != "none":
        raise VprError("--align is for --map: within one run all poses have one origin")
    if map is None and model is None:
        raise VprError("say which model describes the images with -m MODEL, or in which --map the run is recognized")
    settings = recognizer_settings(false_positive_rate)
    source = reading.open(input, rate=rate)
    if not source.is_run:
        expected = "a bag, a video or images whose frames have stamps and poses"
        raise VprError(f"{input}: expected a run: {expected}; `vpr bench` evaluates other sets of images")
    source = source.split("query")
    if map is None:
        assert model is not None
        check_poses(source)
        describer = Describer.open(model, provider=runtime.provider, threads=runtime.threads)
        settings = settings.model_copy(update=vars(loops))
        drive = _loops(source, describer, settings, keyframes.settings)
        how = {f"keyframes, {name}": str(value) for name, value in keyframes.settings.model_dump().items()}
        how |= {"recent, left out": f"{loops.recent_seconds:g} s, {loops.recent_meters:g} m"}
    else:
        with open_map(map) as place_map:
            describer = runtime.describer(place_map, model)
            check_same_frame(source, place_map, any_distance=align != "none")
            with progress_bars() as progress:
                frames = decoded(thinned(counted(source, partial(progress, "recognizing")), rate), source.skip_counts)
                drive = drive_in_map(frames, place_map, describer, settings, source.intrinsics)
            shown = str(place_map.path)
            how = {"map": f"{shown}, {len(place_map)} places", "rate": "all frames" if rate is None else f"{rate:g} Hz"}
    if not len(drive):
        raise VprError(f"{input}: no frame that can be read has a pose; {'; '.join(source.skip_counts.lines())}")
    say_source(source)
    if drive.without_pose:
        err.print(f"{drive.without_pose} frames have no pose; they were left out")
    measures, other = measure_drive(drive, within), None
    alignment = None if map is None else _alignment(drive, align)
    if alignment is not None and (align != "none" or alignment.contradicts):
        aligned = aligned_drive(drive, alignment.transform)
        other = measure_drive(aligned, within)
        how["alignment"] = _compared(drive, aligned, measures.threshold, alignment)
        if align != "none":
            drive, measures, other = aligned, other, measures
    lowest = ", ".join(f"{variant} {rate:.2g}" for variant, rate in drive.lowest.items())
    how |= {
        "model": f"{describer.path}, {describer.fingerprint}",
        "false-positive rate": f"{false_positive_rate:g}",
        "distances": "straight, in x, y and z, between the frame's pose and the place's",
        "left out": "; ".join(source.skip_counts.lines()) or "nothing",
        "lowest rate that the map can promise": lowest,
    }
    found = ((f"found {at}", note) for at, note in enumerate(source.notes, 1))
    notes = [("run", f"{input}, {source.kind}"), *found, *how.items()]
    name = Path(input).resolve().name
    title = f"{name}: loops within one run" if map is None else f"{name} in {Path(shown).name}"
    sentences = write_drive(DriveReport(title, drive, measures, notes), output)
    for table in measures_tables(measures):
        out.print(table)
    for sentence in sentences:
        out.print(sentence)
    if other is not None:
        out.print(how["alignment"])
        for part in ("aligned:" if align == "none" else "as given:", *measures_tables(other)):
            out.print(part)
    out.print(f"lowest false-positive rate that the map can promise: {lowest}")
    unreachable = [variant for variant, rate in drive.lowest.items() if rate > false_positive_rate]
    if unreachable:
        why = f"no match that key points verify can be accepted at {false_positive_rate:g}, because too few places have them"
        out.print(f"{' and '.join(unreachable)}: {why}; raise --false-positive-rate, or use a larger map")
    if drive.loops:
        near = f"Distances above {max(measures.recognizable):g} m are not counted: places that near were passed"
        out.print(f"{near} {loops.recent_meters:g} m before; --recent-meters leaves out more.")
    look = f"\nlook at {output / 'report.html'} in a browser; every number is in {output / 'drive.json'}"
    out.print(look)


def _alignment(drive: Drive, align: Literal["none"] | Kind) -> Alignment | None:
    """Raises VprError if an alignment is requested and the matches give none."""
    try:
        return align_poses(matched_poses(drive), tolerance_of(drive.places), "se2" if align == "none" else align)[0]
    except VprError as error:
        if align == "none":
            return None
        advice = "raise --false-positive-rate for more matches, or leave out --align"
        raise VprError(f"--align {align}: {error}; {advice}") from error


def _compared(given: Drive, aligned: Drive, within: float, alignment: Alignment) -> str:
    """How far the poses are apart, and what that does to the figures."""
    right = [int((one.column("error", BOTH) <= within).sum()) for one in (given, aligned)]
    origins = "The poses of the run and of the map seem to have different origins: " if alignment.contradicts else ""
    return (
        f"{origins}{alignment}. Best match within {within:g} m ({BOTH}): of {len(given)} frames {right[0]} as given, {right[1]} aligned. "
        "The aligned figures are judged by the matches that aligned them."
    )


def _check_numbers(
    map: str | None, within: float | None, rate: float | None, loops: opt.LoopFlags, keyframes: opt.KeyframeFlags
) -> None:
    """Refuses options that would do nothing."""
    if map is None:
        if rate is not None:
            raise VprError("--rate is for --map; without it, --keyframe-meters sets how many frames are used")
        smallest = max(1.0, within or 0.0)  # meters; 1 is always counted
        if smallest >= loops.recent_meters:
            what = "the smallest tolerance, 1 m," if within is None or within <= 1 else f"--within {within:g}"
            recent = f"--recent-meters {loops.recent_meters:g}"
            raise VprError(f"{what} must be less than {recent}: else a place just passed counts as a loop")
        return
    usual = {**vars(opt.LoopFlags()), **vars(opt.KeyframeFlags())}
    chosen = {**vars(loops), **vars(keyframes)}
    given = [f"--{name.replace('_', '-')}" for name, value in chosen.items() if value != usual[name]]
    if given:
        raise VprError(f"{given[0]} is for loops within the run, without --map: leave out {given[0]} or --map")


def measures_tables(measures: DriveMeasures) -> list[Table]:
    """A row for each variant: what is recognized, then when. Each table fits 80 columns."""
    tables = []
    columns = table_header(measures)
    for chosen in (range(len(columns) - 2), (0, len(columns) - 2, len(columns) - 1)):
        table = Table(*(columns[at] for at in chosen))
        table.columns[0].no_wrap = True
        for row in table_rows(measures):
            table.add_row(*(row[at] for at in chosen))
        tables.append(table)
    return tables


def _loops(source: FrameSource, model: Describer, settings: RecognizerSettings, gate: KeyframeSettings) -> Drive:
    with (
        tempfile.TemporaryDirectory(prefix="vpr-eval-") as folder,
        PlaceMap.create(Path(folder) / "loops.vprmap", model) as place_map,
        progress_bars() as progress,
    ):
        selected = keyframes_of(source, gate, progress=partial(progress, "looking for loops"))
        return drive_loops(selected, place_map, model, settings, source.intrinsics)
