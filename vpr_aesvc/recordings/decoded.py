"""Frames of a recording with their pictures: the next is decoded in a thread while the caller works on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.recording import Image, LeftOut, RecordedFrame
from vpr_aesvc.types import Frame

UNREADABLE = "images that cannot be read"


def thinned(frames: Iterable[RecordedFrame], rate: float | None) -> Iterator[RecordedFrame]:
    """At most ``rate`` frames a second, evenly, by their stamps; all of them for None. A clock that jumped back begins anew, and
    frames without a stamp all pass. Nothing is decoded."""
    period = 0.0 if rate is None else 1 / rate
    due = before = -float("inf")
    for recorded in frames:
        stamp = recorded.frame.stamp
        if stamp is not None and rate is not None:
            if stamp < before:
                due = stamp
            before = stamp
            if stamp < due - 1e-6:
                continue
            due += period
            if due < stamp + period / 2:  # the beat was lost, or has not begun
                due = stamp + period
        yield recorded


def decoded(frames: Iterable[RecordedFrame], left_out: LeftOut) -> Iterator[Frame]:
    """The same frames with their images, in order, in constant memory: two pictures at a time.

    Args:
        left_out: gets those whose picture cannot be read, which are passed over.
    """
    with ThreadPoolExecutor(1, "decode") as pool:
        waiting: tuple[RecordedFrame, Future[Image]] | None = None
        for recorded in frames:
            before, waiting = waiting, (recorded, pool.submit(recorded.decode))
            if before is not None:
                yield from _finished(*before, left_out)
        if waiting is not None:
            yield from _finished(*waiting, left_out)


def _finished(recorded: RecordedFrame, image: Future[Image], left_out: LeftOut) -> Iterator[Frame]:
    try:
        yield replace(recorded.frame, image=image.result())
    except VprError as error:
        left_out.add(UNREADABLE, str(error))
