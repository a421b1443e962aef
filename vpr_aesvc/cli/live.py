"""``vpr live``: recognize what a camera sees now."""

import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.query import recognizer_settings
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recordings.live_camera import LiveCamera
from vpr_aesvc.replay.recognize import followed
from vpr_aesvc.view.recognized_run import NEWEST, Answer, RecognizedRun

_PERIOD = 1.0  # seconds between lines about the same place


def live_command(
    map: opt.MapPath,
    /,
    *,
    camera: Annotated[
        str, Parameter(help="Number of a device, address of a stream (rtsp://...), or a video file.")
    ] = "0",
    calibration: Annotated[Path | None, Parameter(help="The camera's intrinsics, for metric poses.")] = None,
    view: Annotated[bool, Parameter(help="Also show it in the browser, as `vpr view` does.")] = False,
    port: Annotated[int, opt.number("Port of the page; 0 for any free one.", 0, 65535)] = 8600,
    model: opt.ModelOption = None,
    false_positive_rate: opt.FalsePositiveRate = opt.RATE,
    runtime: opt.RuntimeFlags = opt.RuntimeFlags(),
) -> None:
    """Recognize what a camera sees now: a line for each place, and one a second while it stays.

    Frames are recognized one after the other, always the newest; there is no odometry, so the sequence knows the time alone.
    With --view the frames are kept in a temporary file, some 20 kB each. Ctrl-C ends it.

    Example:  vpr live office.vprmap --camera 0 --view
    """
    if view:
        require_installed("vpr live --view", "starlette", "uvicorn")
    source = LiveCamera(camera, calibration)
    with PlaceMap.open(map) as place_map:
        settings = recognizer_settings(false_positive_rate)
        recognizer = Recognizer(place_map, runtime.describer(place_map, model), settings)
        with progress_bars() as progress:
            recognizer.prepare(progress=partial(progress, "learning the map"))
        answers = followed(source, recognizer)
        if not view:
            _say_all(answers)
            return
        from vpr_aesvc.view.server import application, serve

        run = RecognizedRun(str(source.path), recognizer.snapshot, settings, NEWEST)
        ended = threading.Event()
        thread = threading.Thread(target=_say_until, args=(run.collected(answers), ended))
        thread.start()
        try:
            page = partial(application, place_map, [run], is_live=True)
            serve(page, "127.0.0.1", port, lambda address: out.print(f"look at {address} in a browser; Ctrl-C ends it"))
        finally:
            ended.set()
            thread.join()


def _say_until(answers: Iterable[Answer], ended: threading.Event) -> None:
    try:
        _say_all(answers, ended)
    except VprError as error:
        err.print(f"error: {error}", style="red")


def _say_all(answers: Iterable[Answer], ended: threading.Event | None = None) -> None:
    last, due = None, 0.0
    for frame, _, result in answers:
        if ended is not None and ended.is_set():
            return
        now = time.time()
        shown = result.accepted, result.best and result.best.place.id
        if shown == last and now < due:
            continue
        last, due = shown, now + _PERIOD
        clock = time.strftime("%H:%M:%S", time.localtime(frame.stamp))
        late = f"{1000 * (now - (frame.stamp or now)):.0f} ms"
        if not result.accepted or result.best is None:
            out.print(f"{clock}  refused   {late:>7}  {result.why.partition(': ')[2] or result.why}")
            continue
        place, pose = result.best.place, result.pose
        where = "" if pose is None else f"  at {pose.x:.2f}, {pose.y:.2f} m{' (metric)' if result.metric else ''}"
        out.print(f"{clock}  accepted  {late:>7}  {place.label}, probability {result.probability:.2f}{where}")
