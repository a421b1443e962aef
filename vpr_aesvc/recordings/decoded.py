"""Frames of a recording with their pictures: the next is decoded in a thread while the caller works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.recording import Image, RecordedFrame, Recording, SkipCounts
from vpr_aesvc.types import Frame

Progress = Callable[[int, int], None]

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


def decoded(frames: Iterable[RecordedFrame], skip_counts: SkipCounts) -> Iterator[Frame]:
    """The same frames with their images, in order, in constant memory: two pictures at a time.

    Args:
        skip_counts: gets those whose picture cannot be read, which are passed over.
    """
    with ThreadPoolExecutor(1, "decode") as pool:
        waiting: tuple[RecordedFrame, Future[Image]] | None = None
        for recorded in frames:
            before, waiting = waiting, (recorded, pool.submit(recorded.decode))
            if before is not None:
                yield from _finished(*before, skip_counts)
        if waiting is not None:
            yield from _finished(*waiting, skip_counts)


def _finished(recorded: RecordedFrame, image: Future[Image], skip_counts: SkipCounts) -> Iterator[Frame]:
    try:
        yield replace(recorded.frame, image=image.result())
    except VprError as error:
        skip_counts.add(UNREADABLE, str(error))


def counted(recording: Recording, progress: Progress | None) -> Iterator[RecordedFrame]:
    """The recording's frames, with progress."""
    for done, recorded in enumerate(recording.frames(), 1):
        if progress:
            progress(min(done, recording.images), recording.images)
        yield recorded
