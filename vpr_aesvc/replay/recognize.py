"""A whole recording through a map, frame by frame as a robot would: what ``vpr query`` and ``vpr replay`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vpr_aesvc.recognition.run import Run
from vpr_aesvc.recordings.decoded import counted, decoded, thinned
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.recognition.recognizer import Recognizer
    from vpr_aesvc.recognition.result import Recognition

Progress = Callable[[int, int], None]


def recognized(
    recording: Recording,
    recognizer: Recognizer,
    rate: float | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Frame, Recognition]]:
    """Each frame, with its image, and what it shows of the map. In constant memory; two runs give the same answers. Images that cannot
    be read are passed over, and noted in ``recording.skip_counts``.

    Args:
        rate: at most so many frames a second, by their stamps; by default all of them.
        progress: called with (images read, images there should be).

    Raises:
        VprError: the recording ends in damage, or the map is damaged.
    """
    run = Run(recognizer)
    frames = thinned(counted(recording, progress), rate)
    for frame in decoded(frames, recording.skip_counts):
        yield frame, run.recognize(frame, intrinsics=recording.intrinsics)
