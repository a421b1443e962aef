"""``vpr replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.query import RATE_HELP, describer_of, recognizer_settings
from vpr_aesvc.cli.query_recording import say_recording
from vpr_aesvc.cli.recording_options import INPUT_HELP, recording_options
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recordings import open_recording
from vpr_aesvc.recordings.recording import RecordingOptions
from vpr_aesvc.runtime import PROVIDER_HELP, THREADS_HELP


@recording_options
def replay_command(
    map: Annotated[Path, typer.Argument(help="A .vprmap file.")],
    input: Annotated[Path, typer.Argument(help=f"The run: {INPUT_HELP}.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The ROS 2 bag to make, a folder.")],
    recording: RecordingOptions,
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="The model folder, where it has moved since.")
    ] = None,
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Also each frame beside the place it was matched with.")
    ] = True,
    path: Annotated[bool, typer.Option("--path", help="Also the way through all accepted poses.")] = False,
    rate: Annotated[float | None, typer.Option(min=0.001, help=RATE_HELP)] = None,
    false_positive_rate: Annotated[
        float | None, typer.Option(help="Part of the frames from elsewhere whose match may be accepted.")
    ] = None,
    provider: Annotated[str, typer.Option(help=PROVIDER_HELP)] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help=THREADS_HELP)] = None,
) -> None:
    """Recognize a whole run and write a bag of what a robot would have said, for Foxglove or RViz.

    /vpr/pose: accepted matches, the camera's pose in frame `map`. /vpr/diagnostics: every frame, OK where accepted, with the reason.
    /vpr/match_image/compressed: the frame and its place side by side. All carry the stamps of the frames.
    """
    from vpr_aesvc.replay.bag_writer import write_replay
    from vpr_aesvc.replay.recognize import recognized

    if storage not in ("mcap", "sqlite3"):
        raise VprError(f"--storage: expected mcap or sqlite3, found {storage!r}")
    check_free(output, "bag")
    run = open_recording(input, recording)
    settings = recognizer_settings(None, RecognizerSettings().candidates, True, True, false_positive_rate)
    with PlaceMap.open(map) as place_map:
        recognizer = Recognizer(place_map, describer_of(place_map, model, None, provider, threads), settings)
        with progress_bars() as progress:
            answers = recognized(run, recognizer, rate, lambda done, of: progress("recognizing", done, of))
            done = write_replay(answers, place_map, output, storage, images, path)  # type: ignore[arg-type]
    say_recording(run)
    if done.without_pose:
        err.print(f"{done.without_pose} accepted matches are of places without a pose, so they gave no message")
    out.print(f"{output}: {done.accepted} of {done.frames} frames accepted, {done.poses} poses", markup=False)
