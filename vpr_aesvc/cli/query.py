"""``vpr query``: where were these images taken?"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from pydantic import ValidationError

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.answers import Answer, QuerySummary, print_json_line
from vpr_aesvc.cli.console import err, progress_bars, say_source
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, write_file
from vpr_aesvc.fleet import open_map
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.replay.recognize import Followed, described, followed, smoothed
from vpr_aesvc.types import Progress
from vpr_aesvc.view.recognized_run import RecognizedRun

_Settings = RecognizerSettings | None
_FOR_RUNS = "default for a recording or a run with poses"
_RATE_HELP = f"Accept at most this part of the frames that the map lacks; default {opt.RATE} when matches are decided."


@Parameter(name="*", group=Group("Recognition", sort_key=9))
@dataclass(frozen=True)
class RecognitionFlags:
    """How a match is decided."""

    sequence: Annotated[bool | None, Parameter(help=f"Track the position with a Bayes filter; {_FOR_RUNS}.")] = None
    geometry: Annotated[bool | None, Parameter(help=f"Verify candidates by key points; {_FOR_RUNS}.")] = None
    smooth: Annotated[bool, Parameter(negative="", help="Use later frames too, offline. Implies --sequence.")] = False
    false_positive_rate: Annotated[float | None, Parameter(help=_RATE_HELP)] = None

    def settings(self, source: FrameSource, size: int | None, top: int, decide: bool = False) -> _Settings:
        """What a ``Recognizer`` needs; None if plain search is enough. With ``decide`` it is not: a set of images is then verified by key points, if
        nothing else is asked for. Raises VprError: options contradict each other, or a number is out of range."""
        if self.smooth and self.sequence is False:
            raise VprError("--smooth follows a sequence: leave out --no-sequence")
        asked = source.is_run or self.sequence or self.smooth or self.geometry or self.false_positive_rate is not None
        if not (asked or decide):
            return None
        sequence = source.is_run if self.sequence is None else self.sequence
        geometry = source.is_run or not asked if self.geometry is None else self.geometry
        decisions = {"sequence": sequence or self.smooth, "geometry": geometry}
        return recognizer_settings(self.false_positive_rate, size=size, candidates=top, **decisions)

    def results(self, source: FrameSource, recognizer: Recognizer, rate: float | None, progress: Progress) -> Followed:
        """Each frame with its recognition, see ``followed`` and ``smoothed``."""
        if self.smooth:
            return smoothed(source, recognizer, progress)
        return followed(source, recognizer, rate, progress)


def query_command(
    map: opt.MapAddress,
    input: opt.InputPath,
    /,
    *,
    model: opt.ModelOption = None,
    top: Annotated[int, opt.number("How many places for each image.", 1)] = 5,
    size: Annotated[int | None, opt.number("Compare only the first SIZE numbers of each descriptor.", 1)] = None,
    shortlist: Annotated[int | None, opt.number("Rank so many places of a compressed index by all numbers.", 1)] = None,
    rate: opt.Rate = None,
    embeddings: opt.Embeddings = None,
    as_json: opt.Json = False,
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="Also write the page of `vpr view`, as one HTML file.")
    ] = None,
    recognition: RecognitionFlags = RecognitionFlags(),
    reading: opt.CameraFlags = opt.CameraFlags(),
    runtime: opt.RuntimeFlags = opt.RuntimeFlags(),
) -> None:
    """Find new images in a map.

    A set with splits is asked with its `query` frames. A recording, and a set whose frames have stamps and poses, is recognized frame by
    frame as on a robot. If a set and the map both have poses (or sequence and index), recall is printed too; `vpr eval` measures recordings.

    Example:  vpr query office.vprmap another_drive/ --json
    """
    if output is not None:
        check_free(output, "page")
    source = reading.open(input, embeddings, rate=rate, shortlist=shortlist, smooth=recognition.smooth).split("query")
    settings = recognition.settings(source, size, top, decide=output is not None)
    if settings is not None and shortlist is not None:
        raise VprError("recognition compares with every place: leave out --shortlist")
    with open_map(map) as place_map:
        describer = runtime.describer(place_map, model, source.embeddings)
        place_map.check_size(size)
        summary = QuerySummary(source, place_map, top)
        run: RecognizedRun | None = None
        with progress_bars() as progress:
            show = partial(progress, "recognizing" if settings else "searching")
            if settings is None:
                answers = (
                    Answer(frame, place_map.search(descriptor, top, size, shortlist=shortlist), None)
                    for frame, descriptor in described(source, describer, None, show)
                )
            else:
                recognizer = Recognizer(place_map, describer, settings, intrinsics=source.intrinsics)
                recognizer.prepare(progress=partial(progress, "learning the map"))
                results = recognition.results(source, recognizer, rate, show)
                if output is not None:
                    run = RecognizedRun(Path(input).resolve().name, recognizer.snapshot, settings)
                    results = run.collected(results)
                answers = (
                    Answer(frame, [candidate.match for candidate in result.candidates], result)
                    for frame, _, result in results
                )
            for answer in answers:
                answer = answer._replace(frame=replace(answer.frame, image=None, decode=None))
                if as_json:
                    print_json_line(answer, source.is_run)
                summary.add(answer)
        if output is not None and run is not None:
            from vpr_aesvc.view.report import report_page

            write_file(output, report_page(place_map, run), "page")
            err.print(f"look at {output} in a browser")
    if not as_json:
        summary.print_table()
    say_source(source)
    if settings is not None:
        summary.say_accepted(settings.false_positive_rate)
        summary.say_metric()
    summary.say_recall()


def recognizer_settings(rate: float | None, **others: Any) -> RecognizerSettings:
    """The settings with a false-positive rate, or with the default one, and other fields. Raises VprError: a number is out
    of range; the message names the option."""
    try:
        return RecognizerSettings(false_positive_rate=opt.RATE if rate is None else rate, **others)
    except ValidationError as error:
        first = error.errors()[0]
        name = {"candidates": "--top, with recognition"}.get(str(first["loc"][0]), "--false-positive-rate")
        raise VprError(f"{name}: {first['msg'].lower()}, found {first['input']}") from error
