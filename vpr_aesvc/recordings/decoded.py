"""Steps between a frame source and its user: fewer frames a second, progress, and images decoded one frame ahead."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import FrameSource, SkipCounts
from vpr_aesvc.images import image_of
from vpr_aesvc.types import Frame, Image, Progress

UNREADABLE = "images that cannot be read"


def counted(source: FrameSource, progress: Progress | None) -> Iterator[Frame]:
    """The frames of a source. ``progress`` is called with (frames read, frames expected) for each."""
    expected = len(source)
    for done, frame in enumerate(source, 1):
        if progress:
            progress(min(done, expected), expected)
        yield frame


def thinned(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """At most ``rate`` frames a second, evenly spaced by their stamps; all of them for None. Nothing is decoded.

    A stamp before the previous one starts the count anew. Frames without a stamp are kept.
    """
    period = 0.0 if rate is None else 1 / rate
    due = before = -float("inf")
    for frame in frames:
        stamp = frame.stamp
        if stamp is not None and rate is not None:
            if stamp < before:
                due = stamp
            before = stamp
            if stamp < due - 1e-6:
                continue
            due += period
            if due < stamp + period / 2:  # more than half a period late, or the first frame
                due = stamp + period
        yield frame


def decoded(frames: Iterable[Frame], skip_counts: SkipCounts) -> Iterator[Frame]:
    """The frames with ``image`` set, in order. A thread decodes the next image while the caller uses this one; two images are in memory.

    Args:
        skip_counts: counts the frames that are left out because their image cannot be read.
    """
    with ThreadPoolExecutor(1, "decode") as pool:
        pending: tuple[Frame, Future[Image]] | None = None
        for frame in frames:
            previous, pending = pending, (frame, pool.submit(image_of, frame))
            if previous is not None:
                yield from _with_image(*previous, skip_counts)
        if pending is not None:
            yield from _with_image(*pending, skip_counts)


def _with_image(frame: Frame, image: Future[Image], skip_counts: SkipCounts) -> Iterator[Frame]:
    try:
        yield replace(frame, image=image.result())
    except VprError as error:
        skip_counts.add(UNREADABLE, str(error))
