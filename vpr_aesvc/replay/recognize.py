"""A whole recording through a map, frame by frame as a robot would: what ``vpr query`` and ``vpr replay`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vpr_aesvc.recognition.run import Run
from vpr_aesvc.recordings.decoded import decoded, thinned
from vpr_aesvc.recordings.recording import RecordedFrame, Recording
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.recognition.result import Recognition
    from vpr_aesvc.recognition.recognizer import Recognizer

Progress = Callable[[int, int], None]


def recognised(
    recording: Recording,
    recognizer: Recognizer,
    rate: float | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Frame, Recognition]]:
    """Each frame, with its image, and what it shows of the map. In constant memory; two runs give the same answers. Images that cannot
    be read are passed over, and noted in ``recording.left_out``.

    Args:
        rate: at most so many frames a second, by their stamps; by default all of them.
        progress: called with (images read, images there should be).

    Raises:
        VprError: the recording ends in damage, or the map is damaged.
    """
    run = Run(recognizer)
    frames = thinned(counted(recording, progress), rate)
    for frame in decoded(frames, recording.left_out):
        yield frame, run.recognize(frame, intrinsics=recording.intrinsics)


def counted(recording: Recording, progress: Progress | None) -> Iterator[RecordedFrame]:
    """The recording's frames, with progress."""
    for done, recorded in enumerate(recording.frames(), 1):
        if progress:
            progress(min(done, recording.images), recording.images)
        yield recorded
