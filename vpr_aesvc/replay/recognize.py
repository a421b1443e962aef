"""Every frame of a source recognized in a map, one loop for ``vpr query``, ``vpr replay`` and ``vpr eval``."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.run import RunFollower, motion_between, recognize_run
from vpr_aesvc.recordings.decoded import UNREADABLE, counted, decoded, thinned
from vpr_aesvc.types import Descriptor, Frame, Progress

Followed = Iterator[tuple[Frame, Descriptor, Recognition]]


def described(
    source: FrameSource, describer: Describer, rate: float | None = None, progress: Progress | None = None
) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
    """Each query frame with its image, and its descriptor float32 [d_max]. Frames of a set are described some at a time,
    those of a recording one at a time, in constant memory. ``source.skip_counts`` counts images that cannot be read.
    ``rate``: at most so many frames a second of a recording; by default all. ``progress``: called with (frames done, frames
    expected). Raises VprError: a recording is damaged, or no frame of a set could be read."""
    if source.is_recording:
        for frame in decoded(thinned(counted(source, progress), rate), source.skip_counts):
            assert frame.image is not None
            yield frame, describer.describe(frame.image)
        return
    frames, skipped = list(source), list[str]()
    for positions, descriptors, images in describer.describe_frames(frames, skipped):
        for row, at in enumerate(positions):
            yield (frames[at] if images is None else replace(frames[at], image=images[row])), descriptors[row]
        if progress:
            progress(positions[-1] + 1, len(frames))
    for line in skipped:
        source.skip_counts.add(UNREADABLE, line)


def recognized(
    source: FrameSource, recognizer: Recognizer, rate: float | None = None, progress: Progress | None = None
) -> Iterator[tuple[Frame, Recognition]]:
    """Each query frame with its image, and the recognition of it, as a robot would get it. Arguments and errors as for ``described``."""
    return ((frame, result) for frame, _, result in followed(source, recognizer, rate, progress))


def followed(
    source: FrameSource, recognizer: Recognizer, rate: float | None = None, progress: Progress | None = None
) -> Iterator[tuple[Frame, NDArray[np.float32], Recognition]]:
    """As ``recognized``, with the descriptor of each frame, float32 [d_max]. Two calls give the same answers.

    If the source is a run, the poses of its frames give the motion between them. The sequence filter starts anew at another
    ``sequence``. Arguments and errors as for ``described``.
    """
    run = RunFollower(recognizer)
    previous: Frame | None = None
    for frame, descriptor in described(source, recognizer.describer, rate, progress):
        if previous is not None and frame.sequence != previous.sequence:
            run.reset()
        previous = replace(frame, image=None)
        if source.is_run:
            yield frame, descriptor, run.recognize(frame, descriptor, source.intrinsics)
        else:
            yield frame, descriptor, recognizer.recognize(frame, descriptor=descriptor, intrinsics=source.intrinsics)


def smoothed(source: FrameSource, recognizer: Recognizer, progress: Progress | None = None) -> Followed:
    """Like ``followed``, but each frame is recognized by later frames too (forward-backward). For sets, whose frames can be read twice."""
    frames: list[Frame] = []
    descriptors = []
    for frame, descriptor in described(source, recognizer.describer, None, progress):
        frames.append(replace(frame, image=None))
        descriptors.append(descriptor)
    starts = [at for at, frame in enumerate(frames) if at == 0 or frame.sequence != frames[at - 1].sequence]
    for start, end in pairwise([*starts, len(frames)]):
        run = frames[start:end]
        odometry = [None, *(motion_between(*pair) for pair in pairwise(run))] if source.is_run else None
        rows = np.stack(descriptors[start:end])
        yield from zip(run, rows, recognize_run(recognizer, run, rows, odometry), strict=True)
