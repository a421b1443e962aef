"""``vpr replay``."""

from functools import partial
from typing import Annotated, Literal

from cyclopts import Parameter

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import err, out, progress_bars, say_source
from vpr_aesvc.cli.query import recognizer_settings
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.fleet import open_map
from vpr_aesvc.recognition.recognizer import Recognizer


def replay_command(
    map: opt.MapAddress,
    input: opt.InputPath,
    /,
    *,
    output: opt.Output,
    model: opt.ModelOption = None,
    storage: Annotated[Literal["mcap", "sqlite3"], Parameter(help="Storage of the bag.")] = "mcap",
    images: Annotated[bool, Parameter(help="Also write each frame beside the matched place.")] = True,
    rate: opt.Rate = None,
    false_positive_rate: opt.FalsePositiveRate = opt.RATE,
    reading: opt.CameraFlags = opt.CameraFlags(),
    runtime: opt.RuntimeFlags = opt.RuntimeFlags(),
) -> None:
    """Recognize a whole run and write what a robot would have answered as a ROS 2 bag, for Foxglove or RViz.

    /vpr/pose has the accepted matches, as the camera's pose in frame `map`. /vpr/diagnostics has every frame: OK if accepted, and the
    reason. /vpr/match_image/compressed shows frame and place side by side. All messages carry the stamps of the frames.

    Example:  vpr replay office.vprmap another_drive/ -o answers
    """
    from vpr_aesvc.replay.bag_writer import write_replay
    from vpr_aesvc.replay.recognize import recognized

    check_free(output, "bag")
    source = reading.open(input, rate=rate)
    if not source.is_run:
        raise VprError(f"{input}: a replay needs frames with stamps: a bag, a video, or images with stamps and poses")
    settings = recognizer_settings(false_positive_rate)
    with open_map(map) as place_map:
        recognizer = Recognizer(place_map, runtime.describer(place_map, model), settings)
        with progress_bars() as progress:
            answers = recognized(source.split("query"), recognizer, rate, partial(progress, "recognizing"))
            done = write_replay(answers, place_map, output, storage, images)
    say_source(source)
    if done.without_pose:
        err.print(f"{done.without_pose} accepted matches are of places without a pose; there is no /vpr/pose for them")
    out.print(f"{output}: {done.accepted} of {done.frames} frames accepted, {done.poses} poses")
