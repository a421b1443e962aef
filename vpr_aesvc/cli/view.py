"""``vpr view``: look at a map, at runs in it, and at each answer."""

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars, say_source
from vpr_aesvc.cli.options import CameraFlags, MapAddress, ModelOption, Rate, RuntimeFlags, number
from vpr_aesvc.cli.query import RecognitionFlags
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.fleet import open_map
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.view.recognized_run import RecognizedRun

_TOP = 5  # candidates of a frame


def view_command(
    map: MapAddress,
    /,
    *runs: Annotated[Path, Parameter(help="Runs to recognize in the map, each any input of `vpr query`.")],
    model: ModelOption = None,
    rate: Rate = None,
    live: Annotated[
        bool, Parameter(negative="", help="Follow the nodes that run now, as runs; in a ROS 2 shell.")
    ] = False,
    host: Annotated[str, Parameter(help="Address; on others than 127.0.0.1 the page asks for a token.")] = "127.0.0.1",
    port: Annotated[int, number("Port; 0 for any free one.", 0, 65535)] = 8600,
    recognition: RecognitionFlags = RecognitionFlags(),
    reading: CameraFlags = CameraFlags(),
    runtime: RuntimeFlags = RuntimeFlags(),
) -> None:
    """Look at a map in the browser, and at runs that are recognized in it.

    Each frame is recognized as by `vpr query`; images without stamps and poses are verified by key points, too. The page shows each match on the map,
    both pictures with the key points that agree, and why it was accepted or refused. It works offline, and changes nothing. With --live it subscribes
    to what the vpr_node answers, and to its images.

    Example:  vpr view office.vprmap another_drive/
    """
    from vpr_aesvc.view.server import application, serve

    require_installed("vpr view", "starlette", "uvicorn")
    sources = [reading.open(run, rate=rate, smooth=recognition.smooth).split("query") for run in runs]
    with open_map(map) as place_map:
        shown: list[RecognizedRun] = []
        describer = runtime.describer(place_map, model) if sources else None
        for path, source in zip(runs, sources, strict=True):
            settings = recognition.settings(source, None, _TOP, decide=True)
            recognizer = Recognizer(place_map, describer, settings, intrinsics=source.intrinsics)
            shown.append(RecognizedRun(path.resolve().name, recognizer.snapshot, settings))
            with progress_bars() as progress:
                recognizer.prepare(progress=partial(progress, "learning the map"))
                show = partial(progress, f"recognizing {path.name}")
                for answer in recognition.results(source, recognizer, rate, show):
                    shown[-1].add(*answer)
            say_source(source)
        with ExitStack() as stack:
            if live:
                shown += stack.enter_context(_followed(place_map))
            serve(lambda token: application(place_map, shown, token, live), host, port, partial(_say, map))


def _followed(place_map: OpenMap) -> AbstractContextManager[list[RecognizedRun]]:
    """Raises VprError without ROS 2."""
    from vpr_aesvc.ros.import_errors import explain

    try:
        from vpr_aesvc.ros.follow import followed_nodes
    except ImportError as error:
        problem = explain(error)
        raise VprError(f"--live: {problem.what}; {problem.advice}") from error
    return followed_nodes(place_map, lambda words: err.print(f"warning: {words}", style="yellow"))


def _say(map: str, address: str) -> None:
    out.print(f"{map}: look at {address} in a browser; Ctrl-C ends it")
